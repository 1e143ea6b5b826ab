r"""The aggregated posterior, the mean of q(z|x_i) over data, and what a bound loses to it: ELBO surgery.

.. math::
    \tfrac1n\sum_i KL(q_i \| p) = I + KL(\bar q \| p), \qquad \bar q = \tfrac1n\sum_i q_i, \quad
    I = \tfrac1n\sum_i KL(q_i \| \bar q) \in [0, \log n],

so that only the last term sees the prior, and the best prior is :math:`\bar q` itself. Numbers of a code that tell
nothing of their row, a collapse, are found by their divergence from N(0, 1) and by means that do not move.

References:
    ELBO surgery (Hoffman & Johnson, 2016); VAE with a VampPrior (Tomczak & Welling, 2018), arXiv:1705.07120;
    Importance weighted autoencoders (Burda et al., 2016), arXiv:1509.00519, for active units.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward.densities.diagonal import DiagonalNormal
from pushforward.errors import UsageError
from pushforward.parallel.doubles import fine
from pushforward.types import Randomness, Scores

__all__ = [
    "Aggregate",
    "Surgery",
    "active_units",
    "divergence",
    "divergence_of_dimensions",
    "in_blocks",
    "information_of_dimensions",
    "surgery",
]

NUMBERS = 2**18  # of differences that are held at once


def in_blocks(each: Callable[[Tensor], Scores], z: Tensor, numbers: int) -> Scores:
    """What is asked of points z (..., d), (...), a block of rows (b, d) -> (b,) at a time.

    Args:
        each: What is asked of a block.
        z: The points.
        numbers: What `each` holds for a point.
    """
    found = [each(rows) for rows in z.reshape(-1, z.shape[-1]).split(max(1, NUMBERS // numbers))]
    return torch.cat(found).reshape(z.shape[:-1])


@dataclass(frozen=True)
class Aggregate:
    r"""The equal mixture of independent normal laws, :math:`\tfrac1n\sum_i N(m_i, \operatorname{diag} s_i^2)`.

    Attributes:
        parts: The laws, of means (n, d).
    """

    parts: DiagonalNormal

    def log_prob(self, z: Tensor, context: None = None) -> Scores:
        """log of the mixture at m points z (..., d), (...), over all n laws: O(m n d) time.

        Differences are taken a block of points at a time, so that without slopes memory is O(m + n d); with them every
        block is kept.
        """
        mean, precision = self.parts.mean, (-self.parts.log_deviation).exp()
        n, d = mean.shape
        constant = -self.parts.log_deviation.sum(1) - 0.5 * d * math.log(2 * math.pi) - math.log(n)

        def each(rows: Tensor) -> Scores:
            white = (rows[:, None] - mean) * precision
            return torch.logsumexp(constant - 0.5 * white.square().sum(2), 1)

        return in_blocks(each, z, n * d)

    def sample(self, n: int, rng: Randomness, context: None = None) -> Tensor:
        """n points, (n, d)."""
        rows = rng.integers(len(self.parts.mean), n).to(self.parts.mean.device)
        chosen = DiagonalNormal(self.parts.mean[rows], self.parts.log_deviation[rows])
        return chosen.at(rng.normal(n, self.parts.mean.shape[1]).to(self.parts.mean))


@dataclass(frozen=True)
class Surgery:
    """Where the divergence of a bound goes, in nats a row.

    Attributes:
        divergence: Mean of KL(q_i ‖ p).
        information: I, what codes tell of which row they came from.
        marginal: KL of the aggregated posterior from the prior; `divergence` less `information`.
        error: Standard error of the marginal.
        most: log n, which the information cannot exceed.
    """

    divergence: float
    information: float
    marginal: float
    error: float
    most: float


@torch.no_grad()
def surgery(parts: DiagonalNormal, prior: Scores, z: Tensor, own: Scores) -> Surgery:
    r"""The divergence's two parts, by one draw z_i of each of n laws.

    All n laws stand in the mixture, z_i's own among them: over a batch of M alone the information could not exceed
    log M.

    Args:
        parts: q_i, means (n, d).
        prior: log p(z_i), (n,).
        z: One draw of each, (n, d).
        own: log q_i(z_i), (n,).

    Raises:
        UsageError: If there are not as many draws as laws.
    """
    n = len(parts.mean)
    if not len(z) == len(prior) == len(own) == n:
        raise UsageError(f"{len(z)} draws, {len(prior)} and {len(own)} densities of {n} laws: give one of each")
    among, prior, own = fine(Aggregate(parts).log_prob(z)), fine(prior), fine(own)
    information, marginal = own - among, among - prior
    return Surgery(
        float((own - prior).mean()), float(information.mean()), float(marginal.mean()),
        float(marginal.std() / math.sqrt(n)) if n > 1 else math.nan, math.log(n),
    )  # fmt: skip


def divergence(q: DiagonalNormal, p: DiagonalNormal) -> Scores:
    r"""KL(q ‖ p) of two laws of independent normal numbers, (...), in nats.

    .. math:: \sum_k \tfrac12\Bigl(r_k - 1 - \log r_k + \frac{(m_k - m'_k)^2}{s_k'^2}\Bigr), \qquad
        r_k = \frac{s_k^2}{s_k'^2}

    Args:
        q: Means m and deviations s, (..., d).
        p: m' and s', of a shape that broadcasts with q's.
    """
    return _each(q.mean - p.mean, q.log_deviation - p.log_deviation, p.log_deviation).sum(-1)


def divergence_of_dimensions(q: DiagonalNormal) -> Tensor:
    """KL of each number of a code from N(0, 1), in nats, (..., d): near 0 in every row where it tells nothing."""
    return _each(q.mean, q.log_deviation, torch.zeros_like(q.mean))


@torch.no_grad()
def information_of_dimensions(parts: DiagonalNormal, z: Tensor) -> Tensor:
    r"""What each number of a code tells by itself of the row that it came from, (d,), in nats, whatever the prior.

    .. math:: I_k = \tfrac1n\sum_i KL(q_{ik} \| \bar q_k) \in [0, \log n], \qquad
        \tfrac1n\sum_i KL(q_{ik} \| N(0, 1)) = I_k + KL(\bar q_k \| N(0, 1))

    It is estimated by one draw of each law, and may fall below 0 by chance.

    Args:
        parts: q_i, means (n, d).
        z: One draw of each, (n, d).
    """
    found = []
    for k in range(z.shape[1]):
        own = DiagonalNormal(parts.mean[:, k : k + 1], parts.log_deviation[:, k : k + 1])
        at = z[:, k : k + 1]
        found.append((fine(own.log_prob(at)) - fine(Aggregate(own).log_prob(at))).mean())
    return torch.stack(found)


def _each(shift: Tensor, log_ratio: Tensor, log_deviation: Tensor) -> Tensor:
    """KL of single numbers, by the logarithm of the ratio of deviations, so that those near 0 keep their digits."""
    return 0.5 * (torch.expm1(2 * log_ratio) - 2 * log_ratio + (shift * (-log_deviation).exp()).square())


def active_units(means: Tensor, least: float = 0.01) -> Tensor:
    r"""Which numbers of a code move with the row, booleans (d,): :math:`\operatorname{Var}_i(m_{ik})` above a bound.

    Args:
        means: Posterior means of n rows, (n, d).
        least: The bound.

    Raises:
        UsageError: If there are fewer than two rows.
    """
    if len(means) < 2:
        raise UsageError(f"{len(means)} rows: give the means of at least 2, since what counts is how they vary")
    return fine(means).var(0, correction=0) > least
