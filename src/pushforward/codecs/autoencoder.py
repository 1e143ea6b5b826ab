"""A learned codec: an autoencoder net, how it learns, and the loss it learns by."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy

from pushforward.nets.autoencoder import AutoencoderNet
from pushforward.nets.blocks import Affine
from pushforward.nets.lipschitz import certificate
from pushforward.training.learner import Learner
from pushforward.types import Batch, Logs, Samples, Scalar, unpack

__all__ = ["Autoencoder", "Loss", "bernoulli", "squared"]

Loss: TypeAlias = Callable[[Samples, Samples], Scalar]
"""(reconstruction, x) -> scalar."""


def squared(back: Samples, x: Samples) -> Scalar:
    r"""Mean squared error of a sample, :math:`\tfrac{1}{n}\sum_i \|D(E(x_i)) - x_i\|^2`."""
    return (back - x).square().sum() / len(x)


def bernoulli(low: float = 0.0, high: float = 1.0) -> Loss:
    r"""Cross-entropy :math:`-\sum_j t_j \log b_j + (1 - t_j)\log(1 - b_j)`, mean over samples, of data in a box.

    t and b are the sample and its reconstruction with the box mapped to [0, 1]; the decoder must end in a sigmoid for
    [0, 1], in a tanh for [-1, 1]. At its least the loss is the pixels' entropy, not 0.

    Args:
        low: Lower end of the box.
        high: Upper end of the box.
    """

    def loss(back: Samples, x: Samples) -> Scalar:
        share, target = ((part - low) / (high - low) for part in (back, x))
        return binary_cross_entropy(share.clamp(0, 1), target.clamp(0, 1), reduction="sum") / len(x)

    return loss


@dataclass
class Autoencoder:
    """An autoencoder as a codec; `learn` fits it, and sampling code uses its running average where it keeps one.

    Attributes:
        learner: An `AutoencoderNet` and how it learns.
        rows: Number of different samples among the batches it is shown, for the record.
        loss: `squared`, `bernoulli(low, high)`, or any function of (reconstruction, x).
    """

    learner: Learner
    rows: int
    loss: Loss = squared

    @property
    def budget(self) -> str:
        """The number of rows and of updates."""
        return f"autoencoder of {self.rows:,} rows, {int(self._net.passes):,} updates"

    def learn(self, batches: Iterable[Batch], start: int = 0) -> Iterator[Logs]:
        """One update for each yield, on the samples of a batch; labels are not looked at.

        Args:
            batches: Endless batches, (n, *event).
            start: Number of steps done before; nothing depends on it.
        """
        for batch in batches:
            x = unpack(batch)[0]
            loss = self.loss(self.learner(x), x)
            self.learner.descend(loss)
            yield {"reconstruction": loss.detach()}

    def encode(self, x: Samples) -> Tensor:
        """Codes (n, k) of samples (n, *event)."""
        return self._through(self._net.encode, x)

    def decode(self, z: Tensor) -> Samples:
        """Samples (n, *event) of codes (n, k)."""
        return self._through(self._net.decode, z)

    def decoder(self) -> nn.Module:
        """The same as `decode`, as layers."""
        net = self._net
        return nn.Sequential(Affine(net.centre, net.variance.sqrt()), net.decoder)

    def certificate(self) -> float:
        """A bound of the decoder's Lipschitz constant from above, the product of its layers' norms, often too large.

        Raises:
            UsageError: If the decoder has layers whose norm is not known, as transposed convolutions.
        """
        body = getattr(self._net.decoder, "body", self._net.decoder)
        return certificate(body) * float(self._net.variance.sqrt())

    @property
    def _net(self) -> AutoencoderNet:
        return cast(AutoencoderNet, self.learner.sampler)

    def _through(self, side: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        with self.learner.autocast():
            out = side(x)
        return out.float() if out.dtype == torch.bfloat16 else out
