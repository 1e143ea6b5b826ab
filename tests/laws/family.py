"""The members that a law of f-divergences is asserted over, and exact integrals between two Gaussians on the line."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache

import numpy as np
import pytest
import torch
from torch import Tensor

from pushforward.divergences import (
    HELLINGER,
    JEFFREYS,
    JS,
    KL,
    LIN,
    LOGD,
    NEYMAN,
    PEARSON,
    REVERSE_KL,
    TV,
    Divergence,
    alpha,
)

SMOOTH = (KL, REVERSE_KL, JS, LOGD, JEFFREYS, PEARSON, NEYMAN, HELLINGER, LIN, alpha(1.5), alpha(-1), alpha(0.5))
ALL = (*SMOOTH, TV)

each_smooth = pytest.mark.parametrize("divergence", SMOOTH, ids=str)
each = pytest.mark.parametrize("divergence", ALL, ids=str)

WEIGHTS: dict[Divergence, Callable[[Tensor], Tensor]] = {
    KL: torch.ones_like,
    REVERSE_KL: torch.exp,
    JS: lambda d: 1 / (1 + (-d).exp()),
    LOGD: lambda d: 1 / (1 + d.exp()),
    JEFFREYS: lambda d: 1 + d.exp(),
    PEARSON: lambda d: 2 * (-d).exp(),
    NEYMAN: lambda d: 2 * (2 * d).exp(),
    HELLINGER: lambda d: (d / 2).exp() / 2,
    LIN: lambda d: 1 / (2 + d.exp() + (-d).exp()),
    alpha(1.5): lambda d: (-d / 2).exp(),
    alpha(-1): lambda d: (2 * d).exp(),
    alpha(0.5): lambda d: (d / 2).exp(),
}
"""w(d), written down by hand."""

AT_ZERO = {
    KL: (1.0, -math.inf),
    REVERSE_KL: (math.inf, -math.inf),
    JS: (math.log(2), -math.inf),
    LOGD: (1 - math.log(2), -math.log(2)),
    JEFFREYS: (math.inf, -math.inf),
    PEARSON: (1.0, -2.0),
    NEYMAN: (math.inf, -math.inf),
    HELLINGER: (1.0, -math.inf),
    LIN: (math.log(2) - 0.5, -0.5),
    alpha(1.5): (1 / 1.5, -2.0),
    alpha(-1): (math.inf, -math.inf),
    alpha(0.5): (2.0, -math.inf),
    TV: (0.5, -0.5),
}
"""Limits of f(r) and f'(r) as r falls to 0."""


def real(values: object) -> Tensor:
    """A float64 tensor."""
    return torch.as_tensor(values, dtype=torch.float64)


def slope(function: Callable[[Tensor], Tensor], at: Tensor) -> Tensor:
    """The derivative of an elementwise function, by automatic differentiation."""
    at = at.detach().clone().requires_grad_(True)
    out = function(at)
    if not out.requires_grad:
        return torch.zeros_like(at)
    return torch.autograd.grad(out.sum(), at)[0]


def close(found: Tensor, wanted: Tensor, rel: float, absolute: float = 0.0) -> None:
    """Assert elementwise agreement in float64."""
    torch.testing.assert_close(found, wanted, rtol=rel, atol=absolute)


@cache
def _panel(nodes: int) -> tuple[np.ndarray, np.ndarray]:
    return np.polynomial.legendre.leggauss(nodes)


def quadrature(reach: float, *breaks: float, nodes: int = 4000) -> tuple[Tensor, Tensor]:
    """Nodes and weights of Gauss-Legendre panels on [-reach, reach], with further panel edges at `breaks`."""
    edges = np.union1d(np.linspace(-reach, reach, nodes // 20 + 1), breaks)
    x, w = _panel(20)
    half = np.diff(edges)[:, None] / 2
    return real((edges[:-1, None] + half * (x + 1)).ravel()), real((half * w).ravel())


@dataclass(frozen=True)
class Pair:
    """Data p = N(0, 1) and model q = N(mean, std^2), with expectations by quadrature."""

    mean: float
    std: float
    reach: float = 22.0
    x: Tensor = field(init=False, repr=False)
    dx: Tensor = field(init=False, repr=False)

    def __post_init__(self) -> None:
        v = self.std**2
        crossings = np.roots([1 / v - 1, -2 * self.mean / v, self.mean**2 / v + math.log(v)])
        x, dx = quadrature(self.reach, *crossings.real)
        object.__setattr__(self, "x", x)
        object.__setattr__(self, "dx", dx)

    def log_p(self, x: Tensor) -> Tensor:
        return -x.square() / 2 - math.log(2 * math.pi) / 2

    def log_q(self, x: Tensor) -> Tensor:
        return -((x - self.mean) / self.std).square() / 2 - math.log(2 * math.pi) / 2 - math.log(self.std)

    def d(self, x: Tensor) -> Tensor:
        """The exact log-ratio log p/q."""
        return self.log_p(x) - self.log_q(x)

    def score_gap(self, x: Tensor) -> Tensor:
        """The exact derivative of the log-ratio."""
        return -x + (x - self.mean) / self.std**2

    def under_p(self, values: Tensor) -> Tensor:
        """The expectation under p of values at the nodes."""
        return (self.dx * self.log_p(self.x).exp() * values).sum()

    def under_q(self, values: Tensor) -> Tensor:
        """The expectation under q of values at the nodes."""
        return (self.dx * self.log_q(self.x).exp() * values).sum()

    def primal(self, divergence: Divergence) -> Tensor:
        """E_p f(r)."""
        assert divergence.f is not None
        return self.under_p(divergence.f((-self.d(self.x)).exp()))


A = Pair(1.0, 0.8)
B = Pair(1.0, 1.25)

CALM: dict[Divergence, Pair] = {
    **dict.fromkeys((KL, JS, LOGD, PEARSON, LIN, alpha(1.5)), A),
    **dict.fromkeys((REVERSE_KL, JEFFREYS, NEYMAN, HELLINGER, alpha(-1), alpha(0.5)), B),
}
"""For each divergence the pair between which its velocity has light tails."""
