r"""Closed forms: one Dirac against anything, two shifted Gaussians and their whole flow, metrics of two Diracs.

.. math:: D^L_f(\delta_a\|p) = -\Lambda_p(-L\,|x - a|), \qquad
          D^L_{KL}\bigl(N(\mu+\delta, s^2 I)\,\|\,N(\mu, s^2 I)\bigr) = \mathrm{Huber}(\delta)
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import norm, wasserstein_distance
from torch import Tensor

from pushforward.divergences import Divergence, cumulant
from pushforward.types import Samples

__all__ = ["Translation", "dirac", "dirac_gaussian", "dudley_diracs", "mmd_diracs", "w1_line"]


def dirac(divergence: Divergence, point: Tensor, p: Samples, slope: float = 1.0) -> float:
    r"""The divergence of a Dirac from samples, :math:`-\Lambda_p(-L\,|x - a|)`.

    Of all phi of slope L with phi(a) = 0 the cone -L|x - a| is the lowest and Lambda is monotone, so it is the best
    one, for every divergence and in every dimension. Between two Diracs that is L|a - b|.

    Args:
        divergence: Any with a conjugate.
        point: Where q sits, (*event).
        p: Data samples, (m, *event).
        slope: Largest slope L, per data unit.
    """
    distance = (p.double() - point.double()).flatten(1).norm(dim=1)
    return cumulant(divergence, -slope * distance).neg().item()


def dirac_gaussian(point: float, mean: float = 0.0, std: float = 1.0, slope: float = 1.0) -> float:
    r"""KL of a Dirac from a Gaussian on the line over critics of slope L, :math:`-\log \mathbb{E}_p e^{-L|x - a|}`.

    Args:
        point: Where q sits, a.
        mean: Mean of p.
        std: Standard deviation of p.
        slope: Largest slope L.
    """
    a, c = (point - mean) / std, slope * std
    return -float(c * c / 2 + np.logaddexp(norm.logcdf(a - c) - c * a, norm.logcdf(-a - c) + c * a))


@dataclass(frozen=True)
class Translation:
    r"""KL between Gaussians that are shifted by delta, over critics of slope L, and its flow: q slides and keeps shape.

    The best critic is linear, phi = a . x with |a| the speed :math:`\min(L, |\delta| / s^2)`.

    Attributes:
        gap: Distance of the means, |delta|.
        std: Standard deviation s of both, the same along every axis.
        slope: Largest slope L, +inf for no limit.
    """

    gap: float
    std: float = 1.0
    slope: float = 1.0

    @property
    def speed(self) -> float:
        """How fast each sample moves, min(L, |delta| / s^2)."""
        return min(self.slope, self.gap / self.std**2)

    @property
    def divergence(self) -> float:
        """The Huber function: |delta|^2 / (2 s^2) where |delta| <= L s^2, else L |delta| - L^2 s^2 / 2."""
        return self.speed * self.gap - self.speed**2 * self.std**2 / 2

    @property
    def kinetic(self) -> float:
        """The kinetic energy speed^2 / 2 per sample; the divergence falls at twice that rate."""
        return self.speed**2 / 2

    def after(self, time: float) -> Translation:
        """The pair after a time of the exact flow: a straight descent at speed L, then decay as e^{-t / s^2}."""
        way = min(max(self.gap - self.slope * self.std**2, 0.0), self.slope * time)
        return replace(self, gap=(self.gap - way) * math.exp(-(time - way / self.slope) / self.std**2))

    def step(self, length: float) -> Translation:
        """The pair after one explicit Euler step; below L s^2 the gap falls by the factor |1 - length / s^2|."""
        return replace(self, gap=abs(self.gap - length * self.speed))


def dudley_diracs(distance: float) -> float:
    """The Dudley metric of two Diracs, critics with |phi| + slope <= 1: 2r / (2 + r); its best slope is 2 / (2 + r)."""
    return 2 * distance / (2 + distance)


def mmd_diracs(distance: float, std: float = 1.0) -> float:
    """The MMD, not squared, of two Diracs under the Gaussian kernel exp(-r^2 / (2 std^2))."""
    return math.sqrt(-2 * math.expm1(-((distance / std) ** 2) / 2))


def w1_line(q: Tensor, p: Tensor) -> float:
    """The Wasserstein-1 distance of two samples on the line, (n,) and (m,): for n = m, the mean gap of sorted rows."""
    return float(wasserstein_distance(q.double().flatten().numpy(), p.double().flatten().numpy()))
