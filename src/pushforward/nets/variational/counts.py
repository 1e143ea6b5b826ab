r"""The two sides of a variational autoencoder of counts, and what they are given of a row: how deep it was counted.

.. math::
    \log\mu = \log l + \log\operatorname{softmax}(f(z, b) + a), \qquad x_j | z, l, b \sim \mathrm{NB}(\mu_j, r_j),

l being the sum of the row, b its batch as ones and zeros, f a net, and a and r numbers of each column that are learned.
The encoder sees log(1 + x) and b. Since both are told the batch, codes need not carry it.

What is modelled is a law of counts **given** l and b: its probabilities sum to 1 over all rows of counts for any l,
whether these sum to l or not. l is that of the row itself where a likelihood is asked for, and drawn where rows are
made.

References:
    Deep generative modeling for single-cell transcriptomics (Lopez et al., 2018), doi:10.1038/s41592-018-0229-2.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from pushforward.densities.likelihoods.counts import SharedDispersion, log_rates
from pushforward.errors import UsageError
from pushforward.nets import mlp
from pushforward.nets.variational.sides import Sides
from pushforward.types import Labels, Randomness, Samples

__all__ = ["CountDecoder", "CountEncoder", "Depths", "perceptrons_of_counts"]

PARTS = 64  # equal parts that the sizes of a batch are divided into
PACE = 10.0  # of log r, which is 0 at first and may be 5 for a column near Poisson's law
RARE = 0.5  # counts that a column has beside its own in the first shares


class Depths(nn.Module):
    r"""What is given of a row of counts: its size l, and ones and zeros for its batch, (n, 1 + batches).

    Sizes of rows that are made are drawn between the quantiles of those of training rows, 65 of each batch, along
    straight lines of log l: a law of any form, which tells no row's size.

    Args:
        sizes: Sums of the training rows, (n,).
        labels: Their batches, (n,), or None where nets are not told them.
        batches: Number of batches; 0 where nets are not told them.
    """

    quantiles: Tensor

    def __init__(self, sizes: Tensor, labels: Labels | None = None, batches: int = 0) -> None:
        super().__init__()
        self.batches = batches
        logs, at = sizes.double().log(), torch.linspace(0, 1, PARTS + 1).double()
        parts = [logs] if labels is None or not batches else [logs[labels == k] for k in range(batches)]
        self.register_buffer("quantiles", torch.stack([part.quantile(at) for part in parts]).to(sizes.dtype))

    @property
    def said(self) -> str:
        """What is given, in words."""
        return "of rows whose sums are given" + (", and their batches" if self.batches else "")

    def of(self, x: Samples, labels: Labels | None) -> Tensor:
        r"""Sizes and batches of rows (n, \*event)."""
        return self._joined(x.flatten(1).sum(1), labels)

    def drawn(self, n: int, rng: Randomness | None, labels: Labels | None) -> Tensor:
        """Sizes drawn from those of the batches, or their medians where there is no rng."""
        which = torch.zeros(n, dtype=torch.int64) if labels is None or not self.batches else labels
        own = self.quantiles[which.to(self.quantiles.device)]
        at = PARTS * (torch.full((n,), 0.5) if rng is None else rng.uniform(n)).to(own)
        low = at.floor().long().clamp(max=PARTS - 1)[:, None]
        size = torch.lerp(own.gather(1, low), own.gather(1, low + 1), at[:, None] - low)
        return self._joined(size[:, 0].exp(), labels)

    def _joined(self, size: Tensor, labels: Labels | None) -> Tensor:
        if not self.batches:
            return size[:, None]
        if labels is None:
            raise UsageError(f"rows of {self.batches} batches, which the nets are told: give labels, one a row")
        return torch.cat([size[:, None], one_hot(labels.to(size.device), self.batches).to(size)], 1)


class CountEncoder(nn.Module):
    """Logarithms of counts, and batches, into a net.

    Args:
        net: (n, columns + batches) -> (n, told).
    """

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Samples, given: Tensor) -> Tensor:
        """What the net says of counts (n, columns), (n, told)."""
        return self.net(torch.cat([x.log1p(), given[:, 1:]], 1))


class CountDecoder(nn.Module):
    r"""Codes and batches by a net into shares, times sizes: :math:`\log\mu` and :math:`\log r`, (n, 2, columns).

    Args:
        net: (n, code + batches) -> (n, 1, columns).
        usual: a at first, (columns,).
    """

    def __init__(self, net: nn.Module, usual: Tensor) -> None:
        super().__init__()
        self.net, self.usual = net, nn.Parameter(usual.clone())
        self.dispersion = SharedDispersion(*usual.shape, pace=PACE)

    def forward(self, z: Tensor, given: Tensor) -> Tensor:
        """What p(x|z) needs, for codes (n, code), in the type of what is given."""
        logits = self.net(torch.cat([z, given[:, 1:].to(z)], 1)).to(given.dtype) + self.usual
        return self.dispersion(log_rates(logits, given[:, 0]))


def perceptrons_of_counts(x: Samples, batches: int, code: int, told: int, *, width: int = 128, depth: int = 2) -> Sides:
    """Perceptrons with `depth` hidden layers on either side of counts.

    Args:
        x: Training rows, (n, columns), whose shares of all counts the decoder begins with.
        batches: Number of batches that both are told; 0 for none.
        code: Numbers of a code.
        told: Numbers that the encoder gives.
        width: Units of a hidden layer.
        depth: Hidden layers of each.
    """
    columns, total = x.shape[1], x.sum(0, dtype=torch.float64) + RARE
    encoder = mlp.generator(columns + batches, told, width=width, depth=depth, activation=nn.SiLU)
    decoder = mlp.generator(code + batches, (1, columns), width=width, depth=depth, activation=nn.SiLU)
    return Sides(CountEncoder(encoder), CountDecoder(decoder, (total / total.sum()).log().to(x.dtype)))
