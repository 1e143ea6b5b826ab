r"""The aggregated posterior, the mean of q(z|x_i) over data, and what a bound loses to it: ELBO surgery.

.. math::
    \tfrac1n\sum_i KL(q_i \| p) = I + KL(\bar q \| p), \qquad \bar q = \tfrac1n\sum_i q_i, \quad
    I = \tfrac1n\sum_i KL(q_i \| \bar q) \in [0, \log n],

so that only the last term sees the prior, and the best prior is :math:`\bar q` itself.

References:
    ELBO surgery (Hoffman & Johnson, 2016); VAE with a VampPrior (Tomczak & Welling, 2018), arXiv:1705.07120.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward.densities.flows import DiagonalNormal
from pushforward.errors import UsageError
from pushforward.types import Randomness, Scores

__all__ = ["Aggregate", "Surgery", "surgery"]

NUMBERS = 2**22  # of differences that are held at once


@dataclass(frozen=True)
class Aggregate:
    r"""The equal mixture of independent normal laws, :math:`\tfrac1n\sum_i N(m_i, \operatorname{diag} s_i^2)`.

    Attributes:
        parts: The laws, of means (n, d).
    """

    parts: DiagonalNormal

    def log_prob(self, z: Tensor, context: None = None) -> Scores:
        """log of the mixture at z (m, d), (m,), over all n laws in blocks: O(m n d) time, and memory as one pleases."""
        mean, precision = self.parts.mean, (-self.parts.log_deviation).exp()
        n, d = mean.shape
        constant = -self.parts.log_deviation.sum(1) - 0.5 * d * math.log(2 * math.pi) - math.log(n)
        found = list[Tensor]()
        for rows in z.split(max(1, NUMBERS // (n * d))):
            white = (rows[:, None] - mean) * precision
            found.append(torch.logsumexp(constant - 0.5 * white.square().sum(2), 1))
        return torch.cat(found) if found else z.new_zeros(0)

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
    among = Aggregate(parts).log_prob(z).double()
    information, marginal = own.double() - among, among - prior.double()
    return Surgery(
        float((own.double() - prior.double()).mean()), float(information.mean()), float(marginal.mean()),
        float(marginal.std() / math.sqrt(n)) if n > 1 else math.nan, math.log(n),
    )  # fmt: skip
