r"""The implicit step of Jordan, Kinderlehrer and Otto for KL to a Gaussian, in closed form between Gaussians.

.. math:: q' = \arg\min_{\rho}\; \frac{1}{2\tau} W_2^2(\rho, q) + \mathrm{KL}(\rho \,\|\, N(m, C))

The best map back, from q' to q, is :math:`x + \tau\, C^{-1}(x - m) - \tau\, \Sigma'^{-1} (x - m')`. With
:math:`B = I + \tau C^{-1}` its slope squares into a quadratic equation for the eigenvalues of
:math:`Y = B^{1/2} \Sigma' B^{1/2}`, which commutes with :math:`M = B^{-1/2} \Sigma B^{-1/2}`:
:math:`y - 2 \tau + \tau^2 / y = \mu`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward.errors import DataError, UsageError
from pushforward.types import Samples

__all__ = ["Linear", "gaussian_kl", "jko_step"]


@dataclass(frozen=True)
class Linear:
    """The velocity v(x) = matrix (x - centre) + shift.

    Attributes:
        matrix: (d, d), symmetric.
        centre: (d,).
        shift: (d,).
    """

    matrix: Tensor
    centre: Tensor
    shift: Tensor

    def __call__(self, x: Samples, t: float = 0.0) -> Samples:
        """Velocity (n, *event) at x; the same at every time."""
        flat = x.detach().flatten(1)
        return ((flat - self.centre) @ self.matrix + self.shift).view_as(x)


def jko_step(q: tuple[Tensor, Tensor], p: tuple[Tensor, Tensor], tau: float) -> tuple[tuple[Tensor, Tensor], Linear]:
    """One implicit step from q, and the constant velocity that takes q there in time tau.

    On the line with p = N(0, 1) the mean becomes m / (1 + tau) and the standard deviation
    (s + sqrt(s² + 4 tau (1 + tau))) / (2 (1 + tau)).

    Args:
        q: Mean (d,) and covariance (d, d) of the model.
        p: Mean (d,) and covariance (d, d) of the data.
        tau: Length of the step, in units of time; positive.

    Returns:
        Mean and covariance after the step, and the velocity (T(x) - x) / tau with T the optimal map.

    Raises:
        DataError: If a covariance is singular.
        UsageError: If tau is not positive.

    References:
        The variational formulation of the Fokker-Planck equation (Jordan, Kinderlehrer & Otto, 1998).
    """
    if not tau > 0:
        raise UsageError(f"tau is {tau}: an implicit step needs a positive length")
    (mean, covariance), (goal, wanted) = q, p
    spectrum, axes = _spectrum(wanted, "p")
    inverse = (axes * (1 + tau / spectrum).rsqrt()) @ axes.T
    mu, turn = _spectrum(inverse @ covariance @ inverse, "q")
    surplus = (mu + (mu * (mu + 4 * tau)).sqrt()) / 2  # y - tau
    y, basis = surplus + tau, inverse @ turn
    moved = goal + (mean - goal) @ (axes * (spectrum / (spectrum + tau))) @ axes.T
    slope = (basis * (y / surplus)) @ basis.T
    matrix = (slope - torch.eye(len(mean), dtype=mean.dtype, device=mean.device)) / tau
    return (moved, (basis * y) @ basis.T), Linear(matrix, mean, (moved - mean) / tau)


def gaussian_kl(q: tuple[Tensor, Tensor], p: tuple[Tensor, Tensor]) -> Tensor:
    """KL(q‖p) between Gaussians given by mean (d,) and covariance (d, d)."""
    law_q, law_p = (torch.distributions.MultivariateNormal(mean, covariance) for mean, covariance in (q, p))
    return torch.distributions.kl_divergence(law_q, law_p)


def _spectrum(covariance: Tensor, whose: str) -> tuple[Tensor, Tensor]:
    values, axes = torch.linalg.eigh(covariance)
    least = float(values[0])
    if not least > torch.finfo(values.dtype).eps * float(values[-1]):
        raise DataError(f"the covariance of {whose} has the eigenvalue {least:.1e}: give more samples than dimensions")
    return values, axes
