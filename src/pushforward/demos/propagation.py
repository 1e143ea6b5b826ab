r"""Laws on the line, carried through the steps of a sampler without a random number.

A step that adds normal noise of variance v to a function m of the point takes the density :math:`\rho` to

.. math:: \rho'(y) = \int \rho(x)\,N(y; m(x), v)\,dx,

a sum over cells that is exact but for their width. So the error of a sampler is known to many digits, and its order is
a slope.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from pushforward.errors import UsageError

__all__ = ["Law", "NoisyStep", "interpolated", "slope", "w2"]

NoisyStep: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""(points (n, 1), standard normal numbers (n, 1)) -> points (n, 1): one step of a sampler."""

REACH = 8.0  # standard deviations beyond which a normal density is nothing
BLOCK = 2**20  # shares of masses that are held at once


@dataclass(frozen=True, eq=False)
class Law:
    """A law on the line: masses in cells, within which it is even.

    Attributes:
        edges: Of the cells, (m + 1,) float64, ascending.
        mass: What lies in each, (m,), with sum 1.
        grid: Edges of the cells where the next step with noise lays its masses, all of one width.
    """

    edges: Tensor
    mass: Tensor
    grid: Tensor

    @classmethod
    def of(cls, log_density: Callable[[Tensor], Tensor], *, reach: float, cells: int) -> Law:
        """The law with a density, (m, 1) -> (m,) up to a constant, in cells from -reach to reach."""
        edges = torch.linspace(-reach, reach, cells + 1, dtype=torch.float64)
        return cls(edges, log_density(_middle(edges)[:, None]).softmax(0), edges)

    def point(self, x: float = 0.0) -> Law:
        """All of the mass at one place, before steps on the same grid."""
        return Law(self.grid.new_full((2,), x), self.grid.new_ones(1), self.grid)

    @property
    def at(self) -> Tensor:
        """Middles of the cells, (m,)."""
        return _middle(self.edges)

    @property
    def mean(self) -> float:
        """Mean."""
        return float(self.mass @ self.at)

    @property
    def variance(self) -> float:
        """Variance of the masses at the middles of the cells: that of a smooth density to many digits."""
        return float(self.mass @ (self.at - self.mean).square())

    def after(self, step: NoisyStep) -> Law:
        """The law after a step: a function of the point, plus the same multiple of the noise everywhere.

        Raises:
            UsageError: If the noise is not added alike, or is narrower than a cell; or if there is none, and the
                function does not ascend.
        """
        some = self.at[:: max(1, len(self.mass) // 16), None]
        still, once, twice = (step(some, torch.full_like(some, z)) for z in (0.0, 1.0, 2.0))
        width = float((once - still).mean())
        if float((once - still - width).abs().max() + (twice - still - 2 * width).abs().max()) > 1e-9:
            raise UsageError("a step whose noise is not added alike everywhere: follow chains, or split it in two")
        if width:
            return self.spread(_without_noise(step, self.at), abs(width))
        edges = _without_noise(step, self.edges)
        if bool((edges.diff() < -1e-12).any()):
            raise UsageError("a step without noise that turns the line back: follow chains, or take smaller steps")
        return Law(edges, self.mass, self.grid)

    def through(self, steps: Iterable[NoisyStep]) -> Law:
        """The law after steps, one after another."""
        law = self
        for step in steps:
            law = law.after(step)
        return law

    def spread(self, places: Tensor, width: float) -> Law:
        """The law after the mass of each cell has moved to places, (m,) or as much to each of (k, m), and got noise.

        Args:
            places: Where to.
            width: Standard deviation of the noise.

        Raises:
            UsageError: If it is narrower than a cell.
        """
        gap, count = float(self.grid[1] - self.grid[0]), len(self.grid) - 1
        if width < gap:
            raise UsageError(f"noise of width {width:.3g} in cells of {gap:.3g}: give narrower cells")
        first, reach = float(self.grid[0]) + gap / 2, math.ceil(REACH * width / gap) + 1
        near, mass = torch.arange(-reach, reach + 1), self.mass.new_zeros(count)
        shares = (self.mass / places[..., 0].numel()).expand_as(places).flatten()
        size = max(1, BLOCK // len(near))
        for part, share in zip(places.flatten().split(size), shares.split(size), strict=True):
            index = ((part - first) / gap).round().long()[:, None] + near
            added = (-0.5 * ((first + gap * index.double() - part[:, None]) / width).square()).exp()
            added *= (share / added.sum(1))[:, None]
            mass.index_add_(0, index.clamp(0, count - 1).flatten(), added.flatten())  # what leaves stays at the edge
        return Law(self.grid, mass, self.grid)

    def quantiles(self, levels: Tensor) -> Tensor:
        """Where so much of the mass lies below, (k,), for levels within 0 to 1."""
        below = torch.cat([self.mass.new_zeros(1), self.mass.cumsum(0)])
        below = below / below[-1]
        right = torch.searchsorted(below, levels.contiguous()).clamp(1, len(self.mass))
        share = (levels - below[right - 1]) / (below[right] - below[right - 1]).clamp(min=1e-300)
        return torch.lerp(self.edges[right - 1], self.edges[right], share.clamp(0, 1))


def w2(one: Law | Tensor, other: Law) -> float:
    r"""The distance :math:`W_2 = (\int_0^1 (F^{-1} - G^{-1})^2)^{1/2}` of two laws, or of points (n, 1) from a law.

    Of two laws it is exact: between the levels of all edges both quantiles are straight lines.
    """
    if isinstance(one, Tensor):
        levels = (torch.arange(len(one), dtype=torch.float64) + 0.5) / len(one)
        return float((one.flatten().double().sort().values - other.quantiles(levels)).square().mean().sqrt())
    levels = torch.cat([one.mass.cumsum(0) / one.mass.sum(), other.mass.cumsum(0) / other.mass.sum()]).sort().values
    levels = torch.cat([levels.new_zeros(1), levels.clamp(max=1)])
    total = levels.new_zeros(())
    for place in (-1 / math.sqrt(3), 1 / math.sqrt(3)):  # Gauss and Legendre, exact for squares of straight lines
        at = _middle(levels) + place / 2 * levels.diff()
        total = total + levels.diff() @ (one.quantiles(at) - other.quantiles(at)).square() / 2
    return float(total.sqrt())


def interpolated(x: Tensor, at: Tensor, values: Tensor) -> Tensor:
    """Values at x, (n,), in straight lines between those at even ascending nodes (m,), and on beyond the last ones."""
    place = (x - at[0]) / (at[-1] - at[0]) * (len(at) - 1)
    left = place.detach().floor().long().clamp(0, len(at) - 2)
    return values[left] + (place - left) * (values[left + 1] - values[left])


def slope(sizes: Sequence[float], errors: Sequence[float]) -> float:
    """The exponent of the power law through errors, by least squares of their logarithms."""
    x, y = (torch.tensor(list(each), dtype=torch.float64).log() for each in (sizes, errors))
    x = x - x.mean()
    return float(x @ y / x.square().sum())


def _without_noise(step: NoisyStep, x: Tensor) -> Tensor:
    return step(x[:, None], torch.zeros_like(x)[:, None])[:, 0]


def _middle(edges: Tensor) -> Tensor:
    return (edges[1:] + edges[:-1]) / 2
