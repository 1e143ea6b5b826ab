r"""Laws of counts, as of molecules in cells: the negative binomial law, by its mean and its inverse dispersion.

.. math:: P(x) = \frac{\Gamma(x + r)}{\Gamma(r)\,x!}\Bigl(\frac{r}{r + \mu}\Bigr)^r\Bigl(\frac{\mu}{r + \mu}\Bigr)^x,
    \qquad E x = \mu, \quad \operatorname{Var} x = \mu + \mu^2/r,

a Poisson law whose rate is a gamma number of mean :math:`\mu` and shape r, and that of rate :math:`\mu` as r grows.

The law itself has nothing to learn: :math:`\theta` holds :math:`\log\mu` and :math:`\log r` of each number. How deep a
row was counted, and a dispersion that belongs to a column and not to a row, are said where a net's outputs become
:math:`\theta`:

    theta = dispersion(log_rates(decoder(z), library))     # (n, 1, *event) -> (n, 2, *event)

References:
    Deep generative modeling for single-cell transcriptomics (Lopez et al., 2018), doi:10.1038/s41592-018-0229-2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from pushforward.errors import DataError, UsageError
from pushforward.parallel.doubles import fine
from pushforward.types import Randomness, Samples, Scores

__all__ = ["NegativeBinomial", "SharedDispersion", "log_rates"]

MANY = 100.0  # r from which Stirling's series is exact to 1e-13
ALIKE = 1e-9  # mu / r, which bounds how far the law is from Poisson's


@dataclass(frozen=True)
class NegativeBinomial:
    r"""Counts 0, 1, 2, ... with :math:`\theta = (\log\mu, \log r)`, (n, 2, \*event)."""

    @property
    def outputs(self) -> int:
        """log mu and log r."""
        return 2

    def log_prob(self, x: Samples, theta: Tensor) -> Scores:
        r""":math:`\sum_j \log P(x_j)`, (n,), in nats, for x (n, \*event) and theta (n, 2, \*event).

        It is summed in double precision, where the device has it: of a count of a million the terms have eight digits
        before the point.

        Raises:
            DataError: If a number is negative or not whole: names the first and where it is.
        """
        x, (a, b) = fine(_counted(x)), self._parts(theta)
        r = b.exp()
        each = _rising(x, r) + x * a + (x + r) * logsigmoid(b - a) - torch.lgamma(x + 1)
        return each.flatten(1).sum(1).to(theta.dtype)

    def mean(self, theta: Tensor) -> Samples:
        r""":math:`\mu`, (n, \*event)."""
        return theta[:, 0].exp()

    def sample(self, theta: Tensor, rng: Randomness) -> Samples:
        r"""Counts, (n, \*event), in the type of theta: quantiles at one uniform number each, and as fine as that is.

        Where the law is within 1e-9 of Poisson's, that one's quantiles are taken, which do not need 1 - r/(r + mu).
        """
        from scipy.stats import nbinom, poisson

        rate, r = (part.detach().double().cpu().exp().numpy() for part in self._parts(theta))
        u = rng.uniform(*rate.shape).double().cpu().numpy()
        counts, near = nbinom.ppf(u, r, r / (r + rate)), rate < ALIKE * r
        counts[near] = poisson.ppf(u[near], rate[near])
        return torch.from_numpy(counts.clip(0)).to(theta)  # the quantile at 0 itself is -1

    def _parts(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        """log mu and log r, in the finest type of the device."""
        if theta.shape[1] != self.outputs:
            raise UsageError(
                f"{theta.shape[1]} parameters of each count: give 2, log mu and log r, or add r by SharedDispersion"
            )
        a, b = fine(theta).unbind(1)
        return a, b


class SharedDispersion(nn.Module):
    r"""Adds to log rates an inverse dispersion of each column, the same in all rows, that is learned.

    Args:
        event: Shape of a row.
        inverse: r at first.
        pace: How much further than a weight log r goes in an update of a given size: it may have far to go.

    Raises:
        UsageError: If r is not above 0.
    """

    def __init__(self, *event: int, inverse: float = 1.0, pace: float = 1.0) -> None:
        super().__init__()
        if not 0 < inverse < math.inf:
            raise UsageError(f"inverse dispersion {inverse:g}: give a number above 0")
        self.pace = pace
        self.log_inverse = nn.Parameter(torch.full(event, math.log(inverse) / pace, dtype=torch.get_default_dtype()))

    def forward(self, log_rate: Tensor) -> Tensor:
        r""":math:`\theta`, (n, 2, \*event), for log mu (n, 1, \*event)."""
        return torch.cat([log_rate, (self.pace * self.log_inverse).expand_as(log_rate)], 1)


def log_rates(logits: Tensor, library: Tensor) -> Tensor:
    r""":math:`\log\mu`: each row's size shared out among its columns, :math:`\mu_j = l\,e^{\eta_j}/\sum_k e^{\eta_k}`.

    Args:
        logits: :math:`\eta`, (n, 1, \*event).
        library: l, the sum of a row's counts, (n,).

    Raises:
        DataError: If a size is not above 0.
    """
    wrong = ~((library > 0) & library.isfinite())
    if bool(wrong.any()):
        row = int(wrong.nonzero()[0])
        raise DataError(f"row {row} has {float(library[row]):g} counts in all: leave out rows without any")
    share = logits.flatten(1).log_softmax(1).reshape(logits.shape)
    return share + library.to(logits).log().reshape(-1, *[1] * (logits.dim() - 1))


def _counted(x: Samples) -> Samples:
    """x, all of whose numbers are counts."""
    wrong = ~((x >= 0) & (x == x.floor()) & x.isfinite())
    if bool(wrong.any()):
        place = wrong.nonzero()[0].tolist()
        raise DataError(
            f"{int(wrong.sum())} of {x.numel()} numbers are no counts, the first {float(x[tuple(place)]):g} at "
            f"{place}: give whole numbers from 0 on, as counted, neither scaled nor logged"
        )
    return x


def _rising(x: Tensor, r: Tensor) -> Tensor:
    r""":math:`\log\Gamma(x + r) - \log\Gamma(r) - x\log r`: 0 as r grows, where it is taken by Stirling's series."""
    few, many = r.clamp_max(MANY), r.clamp_min(MANY)  # so that neither way has a slope where it is not taken
    near = torch.lgamma(x + few) - torch.lgamma(few) - x * few.log()
    ratio = torch.log1p(x / many)
    far = (x + many) * ratio - x - 0.5 * ratio + _stirling(x + many) - _stirling(many)
    return torch.where(r < MANY, near, far)


def _stirling(z: Tensor) -> Tensor:
    """What Stirling's formula of log Gamma(z) leaves, to 1e-13 from 100 on."""
    return (1 - 1 / (30 * z.square())) / (12 * z)
