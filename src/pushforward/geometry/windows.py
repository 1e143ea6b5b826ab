r"""Kernels as windows on a sample, whose means draw points: peaked ones, logarithms, and what they are the forces of.

A mean shift by a window k, :math:`\sum_j k(x, y_j)(y_j - x)`, is the gradient of :math:`\sum_j k^\sharp(x, y_j)` with

.. math:: k^\sharp(r) = \int_r^\infty s\, k(s)\, ds,

of a Gaussian the same Gaussian times h², of other kernels a smoother one.

References:
    arXiv:2604.06333 (2026), for the sharp kernel.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.geometry.kernels import Kernel

__all__ = ["laplace", "logarithm", "matern32", "rational", "sharp"]


def laplace(length: float) -> Kernel:
    r"""Laplace kernel :math:`\exp(-\|x - y\| / t)`, with a peak; its gradient at zero distance is 0.

    Args:
        length: Length t, in data units; positive.
    """
    a = 1 / _positive("laplace", length)
    return Kernel(
        "laplace",
        length,
        lambda squared: torch.exp(-a * squared.sqrt()),
        lambda squared, order: _peaked(squared, order, a),
        lambda squared: -a * squared.sqrt(),
        lambda squared: torch.log1p(a * squared.sqrt()) - a * squared.sqrt() - 2 * math.log(a),
    )


def matern32(length: float) -> Kernel:
    r"""Matérn kernel of smoothness 3/2, :math:`(1 + \sqrt3\, r/l)\, e^{-\sqrt3\, r/l}`.

    Args:
        length: Length l, in data units; positive.
    """
    a = math.sqrt(3) / _positive("matern32", length)

    def log(squared: Tensor) -> Tensor:
        r = a * squared.sqrt()
        return torch.log1p(r) - r

    def derivative(squared: Tensor, order: int) -> Tensor:
        return -(a**2) / 2 * (torch.exp(-a * squared.sqrt()) if order == 1 else _peaked(squared, order - 1, a))

    def of(squared: Tensor) -> Tensor:
        r = a * squared.sqrt()
        return (r.square() + 3 * r + 3).log() - r - 2 * math.log(a)

    return Kernel("matern32", length, lambda squared: log(squared).exp(), derivative, log, of)


def rational(length: float, power: float = 2.0) -> Kernel:
    r"""Rational quadratic kernel :math:`(1 + r^2 / 2 a l^2)^{-a}`: a mixture of Gaussian kernels of many lengths.

    Args:
        length: Length l, in data units; positive.
        power: Exponent a; positive. Up to 1 it has no sharp kernel.
    """
    scale = 1 / (2 * power * _positive("rational", length) ** 2) if power > 0 else 0.0
    if not power > 0:
        raise UsageError(f"power is {power}: the exponent of a rational quadratic kernel must be positive")

    def derivative(squared: Tensor, order: int) -> Tensor:
        factor = math.prod(-power - k for k in range(order)) * scale**order
        return (1 + squared * scale).pow(-power - order) * factor

    return Kernel(
        f"rational({power:g})",
        length,
        lambda squared: (1 + squared * scale).pow(-power),
        derivative,
        lambda squared: -power * torch.log1p(squared * scale),
        sharp=None
        if power <= 1
        else lambda squared: (1 - power) * torch.log1p(squared * scale) - math.log(2 * (power - 1) * scale),
    )


def logarithm(kernel: Kernel) -> Callable[[Tensor], Tensor]:
    """The logarithm of a kernel's profile; of one that gives none, of its profile, which is 0 far out."""
    if kernel.logarithm is not None:
        return kernel.logarithm
    return lambda squared: kernel.profile(squared).clamp_min(torch.finfo(squared.dtype).tiny).log()


def sharp(kernel: Kernel) -> Kernel:
    """The kernel whose gradient is the mean shift of this one.

    Raises:
        UsageError: If there is none.
    """
    log = kernel.sharp
    if log is None:
        raise UsageError(
            f"kernel {kernel.name} is the force of no kernel: use rbf, laplace, matern32, or rational(l, 2)"
        )

    def derivative(squared: Tensor, order: int) -> Tensor:
        return -(kernel.profile(squared) if order == 1 else kernel.derived()(squared, order - 1)) / 2

    return Kernel(f"sharp {kernel.name}", kernel.bandwidth, lambda squared: log(squared).exp(), derivative, log)


def _peaked(squared: Tensor, order: int, a: float) -> Tensor:
    """Derivatives of exp(-a sqrt(s)) in s, by reverse Bessel polynomials; 0 where s is 0."""
    apart = squared > 0
    r = torch.where(apart, squared, 1.0).sqrt()
    terms = (
        math.factorial(order - 1 + j) / (math.factorial(j) * math.factorial(order - 1 - j)) * (2 * a * r).pow(-j)
        for j in range(order)
    )
    return sum(terms, torch.zeros_like(r)) * (-a / (2 * r)).pow(order) * torch.exp(-a * r) * apart


def _positive(name: str, length: float) -> float:
    if not 0 < length < math.inf:
        raise UsageError(f"{name}: length is {length}; give a positive one, in data units")
    return length
