r"""The Schrödinger bridge between two normal laws, in closed form.

Of all processes :math:`dX = u\,dt + \sqrt\tau\,dW` from :math:`N(\mu_0, \Sigma_0)` at t = 0 to
:math:`N(\mu_1, \Sigma_1)` at t = 1 the bridge has the least :math:`E\int\|u\|^2 dt`. Its ends are the plan of entropic
transport for the cost :math:`\|x - y\|^2/2` and the weight :math:`\tau` of entropy (:math:`2\tau` for the cost
:math:`\|x - y\|^2`).

References:
    The Schrödinger bridge between Gaussian measures has a closed form (Bunne et al., 2023), arXiv:2202.05722.
    Entropic optimal transport between unbalanced Gaussian measures has a closed form (Janati et al., 2020),
    arXiv:2006.02572.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.parallel.doubles import moved
from pushforward.types import Samples

__all__ = ["GaussianBridge"]

NODES = 64  # of Gauss and Legendre in t, for the energy


@dataclass(frozen=True, eq=False)
class GaussianBridge:
    r"""The bridge from :math:`N(\mu_0, \Sigma_0)` to :math:`N(\mu_1, \Sigma_1)` with the noise :math:`\sqrt\tau\,dW`.

    Attributes:
        mean0: mu_0, (d,) float64.
        covariance0: Sigma_0, (d, d) float64, positive definite; or 0, for a start at a point.
        mean1: mu_1, (d,).
        covariance1: Sigma_1, (d, d), positive definite.
        tau: Variance of the noise in one unit of time.

    Raises:
        UsageError: If shapes do not match, a covariance is none, or tau is not positive.
    """

    mean0: Tensor
    covariance0: Tensor
    mean1: Tensor
    covariance1: Tensor
    tau: float

    def __post_init__(self) -> None:
        d = len(self.mean0)
        shapes = [tuple(part.shape) for part in (self.mean0, self.covariance0, self.mean1, self.covariance1)]
        if shapes != [(d,), (d, d), (d,), (d, d)]:
            raise UsageError(f"means and covariances of shapes {shapes}: give (d,), (d, d), (d,), (d, d)")
        if not 0 < self.tau < math.inf:
            raise UsageError(f"tau is {self.tau}: give a positive number")
        for name, matrix in (("covariance0", self.covariance0), ("covariance1", self.covariance1)):
            if name == "covariance0" and not matrix.any():
                continue
            if not torch.allclose(matrix, matrix.mT) or not float(torch.linalg.eigvalsh(matrix).min()) > 0:
                raise UsageError(f"{name}: it must be symmetric and positive definite{' or 0' * name.endswith('0')}")

    @classmethod
    def from_point(cls, point: Tensor, mean: Tensor, covariance: Tensor, tau: float) -> GaussianBridge:
        """The bridge from a point, (d,): the Föllmer process of a normal law."""
        return cls(point, torch.zeros_like(covariance), mean, covariance, tau)

    @cached_property
    def coupling(self) -> Tensor:
        r"""Cov(X_0, X_1), (d, d): :math:`2 S (M + \tau I)^{-1} S\,\Sigma_1`.

        Here :math:`S = \Sigma_0^{1/2}`, :math:`M = (4 S\Sigma_1 S + \tau^2 I)^{1/2}`. The joint precision of the ends
        has :math:`-I/\tau` beside its diagonal, as that of the noise alone has.
        """
        root, eye = _root(self.covariance0), self._eye
        middle = _root(4 * root @ self.covariance1 @ root + self.tau**2 * eye)
        return 2 * root @ torch.linalg.solve(middle + self.tau * eye, root @ self.covariance1)

    @property
    def _eye(self) -> Tensor:
        return torch.eye(len(self.mean0)).to(self.covariance0)

    def mean(self, t: float) -> Tensor:
        """Mean of X_t, (d,)."""
        return (1 - t) * self.mean0 + t * self.mean1

    def covariance(self, t: float) -> Tensor:
        r"""Covariance of X_t, (d, d), with C the coupling.

        .. math:: \Sigma_t = (1-t)^2\Sigma_0 + t^2\Sigma_1 + t(1-t)(C + C^\top + \tau I)
        """
        eye = self._eye
        across = self.coupling + self.coupling.mT + self.tau * eye
        return (1 - t) ** 2 * self.covariance0 + t**2 * self.covariance1 + t * (1 - t) * across

    def gain(self, t: float) -> Tensor:
        r"""A(t), (d, d), of the drift :math:`\mu_1 - \mu_0 + A(t)(x - \mu_t)`: :math:`K_t\Sigma_t^{-1}`.

        .. math:: K_t = t\Sigma_1 - (1-t)\Sigma_0 + (1-t)C^\top - tC - \tau t I

        With it :math:`K_t + K_t^\top + \tau I` is the rate of :math:`\Sigma_t`.
        """
        eye = self._eye
        if not self.covariance0.any():  # K_t and Sigma_t over t, which is all there is at t = 0
            return torch.linalg.solve(
                t * self.covariance1 + (1 - t) * self.tau * eye, self.covariance1 - self.tau * eye
            )  # both are functions of Sigma_1, and commute
        k = t * self.covariance1 - (1 - t) * self.covariance0 + (1 - t) * self.coupling.mT - t * self.coupling
        return torch.linalg.solve(self.covariance(t), (k - self.tau * t * eye).mT).mT

    def drift(self, x: Samples, t: float = 0.0) -> Samples:
        """b(t, x), (n, d) -> (n, d): a velocity, for any integrator; with the noise it makes X_t."""
        gain, mean, shift = (
            moved(part, x.device).to(x) for part in (self.gain(t), self.mean(t), self.mean1 - self.mean0)
        )
        return shift + (x - mean) @ gain.mT

    __call__ = drift

    @cached_property
    def energy(self) -> float:
        r""":math:`E\int_0^1\|b(t, X_t)\|^2 dt`, which is :math:`2\tau` KL(bridge | noise from the same start)."""
        nodes, weights = np.polynomial.legendre.leggauss(NODES)
        shift = float((self.mean1 - self.mean0).square().sum())
        return shift + sum(float(w) / 2 * self._spread((float(s) + 1) / 2) for s, w in zip(nodes, weights, strict=True))

    def _spread(self, t: float) -> float:
        """Mean square of the part of the drift that depends on x."""
        gain = self.gain(t)
        return float((gain @ self.covariance(t) * gain).sum())

    def ipf(self) -> Iterator[tuple[Tensor, Tensor]]:
        r"""Iterative proportional fitting: the joint precision's diagonal blocks (P, Q) after each round, without end.

        The joint law of the ends keeps :math:`-I/\tau` beside them. It begins at Q = I / tau, the noise from any start;
        a round fits the start, :math:`P = \Sigma_0^{-1} + Q^{-1}/\tau^2`, then the end, likewise.

        Raises:
            UsageError: If the bridge starts at a point.
        """
        if not self.covariance0.any():
            raise UsageError("ipf: the bridge starts at a point, and is there after half a round")
        q = self._eye / self.tau
        while True:
            p = torch.linalg.inv(self.covariance0) + torch.linalg.inv(q) / self.tau**2
            q = torch.linalg.inv(self.covariance1) + torch.linalg.inv(p) / self.tau**2
            yield p, q

    @property
    def ipf_rate(self) -> float:
        r"""What a round leaves of the error in the end: the spectral radius of :math:`Q^{-1}P^{-1}/\tau^2`, squared."""
        joint = torch.cat([
            torch.cat([self.covariance0, self.coupling], 1), torch.cat([self.coupling.mT, self.covariance1], 1)
        ])  # fmt: skip
        precision, d = torch.linalg.inv(joint), len(self.mean0)
        p, q = precision[:d, :d], precision[d:, d:]
        return float(torch.linalg.eigvals(torch.linalg.inv(p @ q) / self.tau**2).abs().max()) ** 2


def _root(matrix: Tensor) -> Tensor:
    """The symmetric root of a matrix that has no negative direction."""
    values, axes = torch.linalg.eigh(matrix)
    return axes * values.clamp(min=0).sqrt() @ axes.mT
