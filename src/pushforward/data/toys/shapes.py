"""Shapes that particles are moved onto: a normal cloud, four corners, a rolled sheet in space, a carpet with holes."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from pushforward.densities.mixture import Mixture, Rng, numpy_rng

__all__ = ["four_modes", "normal", "sierpinski", "sierpinski3", "swiss_roll3"]

# One round Gaussian of unit variance.
normal = Mixture.of([[0.0, 0.0]], sigma=1.0)

# Four round Gaussians on the corners of a square, eight standard deviations apart.
four_modes = Mixture.of([[0.0, 0.0], [0.0, 4.0], [4.0, 0.0], [4.0, 4.0]], sigma=0.5)


def swiss_roll3(n: int, rng: Rng) -> Tensor:
    """The rolled sheet in space without noise, (n, 3): a spiral of radius 1.5 pi to 4.5 pi, 21 wide."""
    rng = numpy_rng(rng)
    t = 1.5 * math.pi * (1 + 2 * rng.random(n))
    return torch.from_numpy(np.stack([t * np.cos(t), 21 * rng.random(n), t * np.sin(t)], 1)).float()


def sierpinski(n: int, rng: Rng, level: int = 4) -> Tensor:
    """Uniform on the carpet over [0, 10]^2, (n, 2): of nine squares the middle one is cut out, `level` times over."""
    rng = numpy_rng(rng)
    ninths = rng.integers(8, size=(level, n))
    ninths += ninths >= 4
    rows, columns = ninths // 3, ninths % 3
    powers = 3.0 ** -np.arange(1, level + 1)
    corner = np.stack([powers @ columns, powers @ rows], 1)
    return torch.from_numpy(10 * (corner + rng.random((n, 2)) * 3.0**-level)).float()


def sierpinski3(n: int, rng: Rng, level: int = 4) -> Tensor:
    """The carpet as a flat sheet in space, (n, 3), its third coordinate 0."""
    flat = sierpinski(n, rng, level)
    return torch.cat([flat, torch.zeros(n, 1)], 1)
