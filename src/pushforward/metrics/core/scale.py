r"""The one unit that columns are compared in: a width that no few rows decide, and far rows drawn in by logarithms.

.. math::
    w = \max\Big(\frac{Q_{3/4} - Q_{1/4}}{1.349},\; \operatorname{median}_{x_i \ne m} |x_i - m|\Big), \qquad
    \ell(u) = \log(1 + u), \quad
    \varphi(z) = \begin{cases} z & |z| \le c \\ \operatorname{sign}(z)\,(c + \ell(\ell(|z| - c))) & |z| > c \end{cases}

with m the median. Of a normal law w is the standard deviation; of a column that mostly repeats one value it is how far
the others lie, so that two levels are one apart. Less than a quarter of the rows cannot move it without bound. A value
is read as :math:`m + w\,\varphi((x - m) / w)`: as it is up to c widths, beyond them in order still, but no floating
number is farther than 17 widths, so that one row cannot outweigh the rest. Median and width are those of a pool,
without a look at which sample a row is from, so permutation tests stay exact.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward.metrics.core.result import Words

__all__ = ["FAR", "Scale", "draw_in", "drawn_in", "fit_scale"]

FAR = 10.0
"""Widths c up to which values stay as they are: a normal law has none beyond, an exponential one in 7,000."""

_QUARTILES = 1.3489795003921634  # of the standard normal law, one from the other
_VALUES = 2**22  # numbers sorted at a time
_STILL = 1e-10  # of the median: what lies nearer to it differs by rounding
_LARGEST = torch.finfo(torch.float64).max


@dataclass(frozen=True)
class Scale:
    """The unit of each column.

    Attributes:
        centre: Median, (d,), float64.
        width: The width w above, (d,), float64; 1 where the column is constant.
        constant: The columns that are constant, which stay in their own units.
    """

    centre: Tensor
    width: Tensor
    constant: tuple[int, ...] = ()

    def __call__(self, x: Tensor) -> Tensor:
        """Rows (n, d) in widths, far ones drawn in; not centred."""
        return self.drawn_in(x) / self.width.to(x.device)

    def standard(self, x: Tensor) -> Tensor:
        """Rows (n, d) in widths about the median."""
        return (self.drawn_in(x) - self.centre.to(x.device)) / self.width.to(x.device)

    def drawn_in(self, x: Tensor) -> Tensor:
        """Rows (n, d) in their own units; those that lie within `FAR` widths to the last bit."""
        x, centre, width = x.double(), self.centre.to(x.device), self.width.to(x.device)
        away = self._away(x)
        if not bool((away.abs() > FAR).any()):
            return x
        return torch.where(away.abs() > FAR, centre + width * _compressed(away), x)

    def far(self, x: Tensor) -> Tensor:
        """Rows beyond `FAR` widths, by column, (d,)."""
        return (self._away(x.double()).abs() > FAR).sum(0)

    def _away(self, x: Tensor) -> Tensor:
        centre, width = self.centre.to(x.device), self.width.to(x.device)
        return ((x - centre).clamp(-_LARGEST, _LARGEST) / width).clamp(-_LARGEST, _LARGEST)


def fit_scale(values: Tensor) -> Scale:
    """Median and width of each column of a pool, (n, d), and which columns are constant."""
    values = values.detach().flatten(1)
    blocks = values.split(max(1, _VALUES // max(1, len(values))), 1)
    found = [_fitted(part.double().cpu()) for part in blocks]
    centre, width = (torch.cat(parts) for parts in zip(*found))
    # A column of one repeated number has a spread at the level of its rounding, not always zero.
    still = width <= _STILL * centre.abs()
    return Scale(centre, torch.where(still, 1.0, width), tuple(still.nonzero().flatten().tolist()))


def draw_in(pool: Tensor, far: float = FAR) -> tuple[Tensor, int]:
    """Rows whose columns share a unit, the far ones drawn in towards the median along their rays.

    The radius about the coordinatewise median takes the place of the column, the median of the radii that are not zero
    that of the width. No direction is set apart, and of most data no row is far: then all stay to the last bit.

    Args:
        pool: Rows (n, d), float64.
        far: Median radii up to which rows stay as they are.

    Returns:
        The rows, and how many were drawn in.
    """
    centre = pool.median(0).values
    away = (pool - centre).clamp(-_LARGEST, _LARGEST)
    largest = away.abs().amax(1, keepdim=True).clamp_min(torch.finfo(torch.float64).tiny)
    rays = away / largest
    lengths = rays.norm(dim=1)
    radii = (largest[:, 0] * lengths).clamp_max(_LARGEST)
    apart = radii[radii > 0]
    unit = float(apart.median()) if len(apart) else 0.0
    if unit == 0 or not bool((beyond := radii / unit > far).any()):
        return pool, 0
    shorter = unit * _compressed(radii / unit, far)
    rows = torch.where(beyond[:, None], centre + rays * (shorter / lengths.clamp_min(1.0))[:, None], pool)
    return rows, int(beyond.sum())


def drawn_in(far: int, rows: int, limit: float = FAR) -> Words:
    """What a protocol says of rows that were drawn in, where there are any."""
    if far == 0:
        return {}
    return {"note": f"{far:,} of {rows:,} rows lie beyond {limit:g} median radii and were drawn in"}


def _compressed(z: Tensor, far: float = FAR) -> Tensor:
    """The function phi."""
    size = z.abs()
    return torch.where(size > far, z.sign() * (far + (size - far).clamp_min(0).log1p().log1p()), z)


def _fitted(values: Tensor) -> tuple[Tensor, Tensor]:
    """Median and width of the columns of a block."""
    ordered, n = values.sort(0).values, len(values)
    centre, quarter = ordered[(n - 1) // 2], (n - 1) // 4
    # Halves subtract without overflow, and as exactly as the numbers are stored, however far from 0 they lie.
    middle = ((ordered[n - 1 - quarter] / 2 - ordered[quarter] / 2) * (2 / _QUARTILES)).clamp_max(_LARGEST)
    away = (ordered - centre).abs_().clamp_max_(_LARGEST)
    # Ties with the median come first once sorted; the median of the others is so many places behind them.
    ties = (away <= _STILL * centre.abs()).sum(0)
    place = (ties + (n - ties - 1).clamp_min(0) // 2).clamp_max(n - 1)
    others = away.sort(0).values.gather(0, place[None])[0]
    return centre, torch.maximum(middle, others)
