r"""Kernels whose sums take O(n + m): products of features, :math:`k(x, y) = \phi(x) \cdot \phi(y)`, and sorts."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.types import Randomness

__all__ = ["Linear", "RandomFeatures", "SlicedEnergy", "directions", "random_features", "sliced_energy"]


@dataclass(frozen=True)
class Linear:
    r"""The kernel :math:`x \cdot y + c`: its MMD is the distance of the means, its Stein flow keeps Gaussians Gaussian.

    Attributes:
        offset: The constant c, in data units squared.
    """

    offset: float = 1.0

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        """Kernel matrix (n, m)."""
        return x.flatten(1) @ y.flatten(1).T + self.offset

    def combine(self, x: Tensor, z: Tensor, weights: Tensor) -> Tensor:
        """Sums of the kernel over z at x; see `KernelSums`."""
        return x.flatten(1) @ (z.flatten(1).T @ weights) + self.offset * weights.sum(0)

    def slope(self, x: Tensor, z: Tensor, weights: Tensor) -> Tensor:
        """Gradient of a sum, the same everywhere; see `KernelSums`."""
        return (weights @ z.flatten(1)).view(1, *x.shape[1:]).expand_as(x)

    def repulsion(self, x: Tensor, z: Tensor, weights: Tensor) -> Tensor:
        """Sum of gradients in the other argument, along x itself; see `KernelSums`."""
        return x * weights.sum()


@dataclass(eq=False)
class RandomFeatures:
    r"""A random approximation :math:`\frac1L \sum_l \cos(\omega_l \cdot (x - y))` of a kernel of differences.

    Attributes:
        frequencies: The :math:`\omega_l`, (L, d), in inverse data units; see `random_features`.

    References:
        Random features for large-scale kernel machines (Rahimi & Recht, 2007).
    """

    frequencies: Tensor

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        """Kernel matrix (n, m)."""
        (a, b), (c, d) = self._waves(x), self._waves(y)
        return (a @ c.T + b @ d.T) / len(self.frequencies)

    def combine(self, x: Tensor, z: Tensor, weights: Tensor) -> Tensor:
        """Sums of the kernel over z at x; see `KernelSums`."""
        (a, b), (c, d) = self._waves(x), self._waves(z)
        return (a @ (c.T @ weights) + b @ (d.T @ weights)) / len(self.frequencies)

    def slope(self, x: Tensor, z: Tensor, weights: Tensor) -> Tensor:
        """Gradient of a sum; see `KernelSums`."""
        (a, b), (c, d) = self._waves(x), self._waves(z)
        waves = a * (weights @ d) - b * (weights @ c)
        return (waves @ self.frequencies.to(x)).div_(len(self.frequencies)).view_as(x)

    def repulsion(self, x: Tensor, z: Tensor, weights: Tensor) -> Tensor:
        """Minus the slope; see `KernelSums`."""
        return -self.slope(x, z, weights)

    def _waves(self, x: Tensor) -> tuple[Tensor, Tensor]:
        angles = x.flatten(1) @ self.frequencies.to(x).T
        return angles.cos(), angles.sin()


def random_features(dim: int, count: int, bandwidth: float, rng: Randomness) -> RandomFeatures:
    r"""Random features of the Gaussian kernel :math:`\exp(-\|x - y\|^2 / 2h^2)`; an entry's error is about 1/sqrt(2L).

    Args:
        dim: Coordinates d of a point.
        count: Number L of frequencies; each has a cosine and a sine.
        bandwidth: Length h, in data units.
        rng: Where the frequencies come from.

    Raises:
        UsageError: If there are no features, or the length is not positive.
    """
    if count < 1 or not bandwidth > 0:
        raise UsageError(f"count is {count}, bandwidth {bandwidth}: give at least one feature and a positive length")
    return RandomFeatures(rng.normal(count, dim) / bandwidth)


@dataclass(eq=False)
class SlicedEnergy:
    r"""The energy kernel :math:`-\|x - y\|` as a mean over lines, :math:`-c\,\mathbb{E}_\theta |\theta \cdot (x - y)|`.

    On a line a sum of the kernel and its slope are read off sorted points, in O((n + m) log m) time for each line.

    Attributes:
        along: Unit vectors :math:`\theta_l`, (L, d); see `sliced_energy`.

    References:
        Generative sliced MMD flows with Riesz kernels (Hertrich et al., 2023), arXiv:2305.11463.
    """

    along: Tensor

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        """Kernel matrix (n, m), by way of (n, m, L) numbers: for small sets."""
        a, b = x.flatten(1) @ self.along.to(x).T, y.flatten(1) @ self.along.to(y).T
        return -self._unit() * (a[:, None] - b).abs().mean(2)

    def combine(self, x: Tensor, z: Tensor, weights: Tensor) -> Tensor:
        """Sums of the kernel over z at x, for weights (m,); see `KernelSums`."""
        at, below, _, level = self._below(x, z, weights, with_moments=True)
        moments, middle = level[:, :, 1].gather(1, below), 2 * level[:, :, 0].gather(1, below) - weights.sum()
        return self._unit() * (2 * moments - level[:, -1:, 1] - at * middle).mean(0)

    def slope(self, x: Tensor, z: Tensor, weights: Tensor) -> Tensor:
        """Gradient of a sum, the weight above less the weight below on each line; see `KernelSums`."""
        _, below, up_to, level = self._below(x, z, weights)
        slopes = weights.sum() - level[:, :, 0].gather(1, below) - level[:, :, 0].gather(1, up_to)
        return (slopes.T @ self.along.to(x)).mul_(self._unit() / len(self.along)).view_as(x)

    def repulsion(self, x: Tensor, z: Tensor, weights: Tensor) -> Tensor:
        """Minus the slope; see `KernelSums`."""
        return -self.slope(x, z, weights)

    def _unit(self) -> float:
        """The length of a vector over its mean length on a line."""
        d = self.along.shape[1]
        return math.sqrt(math.pi) * math.exp(math.lgamma((d + 1) / 2) - math.lgamma(d / 2))

    def _below(
        self, x: Tensor, z: Tensor, weights: Tensor, with_moments: bool = False
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """x on the lines (L, n), how many of z lie below and up to it, running sums (L, m + 1, 1 or 2) of weights.

        Projections that are equal up to rounding are equal, whatever a processor makes of the two products.
        """
        along = self.along.to(x)
        at, (points, order) = along @ x.flatten(1).T, (along @ z.flatten(1).T).sort(1)
        terms = weights[order][:, :, None]
        if with_moments:
            terms = torch.cat([terms, terms * points[:, :, None]], 2)
        level = torch.cat([torch.zeros_like(terms[:, :1]), terms.cumsum(1)], 1)
        rounding = torch.linalg.vector_norm(x.flatten(1), dim=1) * (
            8 * math.sqrt(along.shape[1]) * torch.finfo(x.dtype).eps
        )
        below, up_to = torch.searchsorted(points, at - rounding), torch.searchsorted(points, at + rounding, right=True)
        return at, below, up_to, level


def sliced_energy(dim: int, count: int, rng: Randomness) -> SlicedEnergy:
    """The energy kernel on `count` random lines in `dim` dimensions."""
    return SlicedEnergy(directions(dim, count, rng))


def directions(dim: int, count: int, rng: Randomness) -> Tensor:
    """Unit vectors uniform on the sphere, (count, dim); one serves on the line.

    Raises:
        UsageError: If there are none.
    """
    if count < 1:
        raise UsageError(f"count is {count}: give at least one direction")
    normal = rng.normal(count if dim > 1 else 1, dim)
    return normal / torch.linalg.vector_norm(normal, dim=1, keepdim=True)
