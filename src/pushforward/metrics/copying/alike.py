r"""Rows that are one row but for storage or noise: far nearer to one another than any two rows of the data are.

Rows are scaled by the width of each column of the data and laid on a few random directions of length one, along which
no two are farther apart than they are in truth. Along the first, each is compared with some that follow it, which costs
n log n whatever the number of columns. With :math:`\delta` the least distance of two unlike rows of the data, and not
more than a few times that of rows that follow each other along the line, rows within

.. math:: \tau = \delta / 10

count as one. On a grid no two rows are nearer than its step, so that only what is off the grid by a tenth of it joins
what is on it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pushforward.metrics.copying.precision import flat_rows
from pushforward.metrics.copying.rows import Keys
from pushforward.randomness import generator

__all__ = ["joined"]

Array = NDArray[np.float64]
Places = NDArray[np.int64]

_LINES = 4  # directions; rows that are near along all of them are looked at whole
_FOLLOWING = 32  # rows compared with each along the first
_USUAL = 8  # the distance looked within is that of so many rows along it
_NEARER = 10.0  # times nearer than any two rows of the data
_SEEN = 500  # rows by which columns are scaled


def joined(sets: Sequence[Tensor], found: Sequence[Keys], data: int, *, budget: int = 2**26) -> list[Keys] | None:
    """Keys that are one for rows that are nearly one, or None where no unlike rows are that near.

    Args:
        sets: Rows, (n, *event) each.
        found: Their keys; see `rows.keys`.
        data: Which of the sets says how near rows may be.
        budget: Bytes that temporaries of one block may take.
    """
    values, first = np.unique(np.concatenate(found), return_index=True)
    of_data = np.isin(values, found[data])
    if of_data.sum() <= 2 * _USUAL:
        return None
    rows = _Rows(sets, first, data, budget)
    line = np.sort(rows.lines[of_data, 0])
    reach = float(np.median(line[_USUAL:] - line[:-_USUAL]))
    if not 0 < reach < np.inf:
        return None
    least = min((float(apart.min()) for _, _, apart in rows.within(reach, of_data)), default=reach)
    limit = min(reach, least) / _NEARER
    pairs = [(x[apart <= limit], y[apart <= limit]) for x, y, apart in rows.within(limit)]
    x, y = (np.concatenate([np.empty(0, np.int64), *(pair[k] for pair in pairs)]) for k in range(2))
    if not len(x):
        return None
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    _, group = connected_components(coo_array((np.ones(len(x)), (x, y)), shape=(len(values),) * 2), directed=False)
    _, one = np.unique(group, return_index=True)
    return [values[one[group[np.searchsorted(values, keys)]]] for keys in found]


class _Rows:
    """Unlike rows of all sets, by their place among the sets put together."""

    def __init__(self, sets: Sequence[Tensor], first: Places, data: int, budget: int) -> None:
        self.sets, self.first = sets, first
        self.starts = np.cumsum([0, *(len(x) for x in sets)])
        width = sets[0][0].numel()
        self.step = max(1, budget // (48 * width))
        some = flat_rows(sets[data], np.unique(np.linspace(0, len(sets[data]) - 1, _SEEN).astype(np.int64)))
        self.centre = np.median(some, 0)
        low, high = np.quantile(some, (0.05, 0.95), axis=0)
        with np.errstate(over="ignore", invalid="ignore"):
            spread = np.where(high > low, high - low, some.std(0))
        self.width = np.where((spread > 0) & np.isfinite(spread), spread, 1.0)
        drawn = generator(0, "evaluate", part="rows alike").normal(size=(width, _LINES))
        directions = drawn / np.linalg.norm(drawn, axis=0)
        whole = np.arange(len(first))
        blocks = (self.of(whole[k : k + self.step]) for k in range(0, len(first), self.step))
        self.lines = np.concatenate([np.clip(block, -1e9, 1e9) @ directions for block in blocks])

    def of(self, places: Places) -> Array:
        """Some rows, scaled."""
        wanted = self.first[places]
        out = np.empty((len(places), len(self.centre)))
        for k, x in enumerate(self.sets):
            mine = (wanted >= self.starts[k]) & (wanted < self.starts[k + 1])
            if mine.any():
                out[mine] = flat_rows(x, wanted[mine] - self.starts[k])
        with np.errstate(over="ignore", invalid="ignore"):
            return (out - self.centre) / self.width

    def within(self, reach: float, among: NDArray[np.bool_] | None = None) -> Iterator[tuple[Places, Places, Array]]:
        """Pairs of unlike rows that are not farther apart, and their distances."""
        some = np.arange(len(self.first)) if among is None else np.flatnonzero(among)
        order = some[np.argsort(self.lines[some, 0], kind="stable")]
        lines = self.lines[order]
        for lag in range(1, min(_FOLLOWING, len(order) - 1) + 1):
            near = lines[lag:, 0] - lines[:-lag, 0] <= reach
            if not near.any():
                return
            places = np.flatnonzero(near)
            places = places[(np.abs(lines[places + lag] - lines[places]) <= reach).all(1)]
            for start in range(0, len(places), self.step):
                x, y = order[places[start : start + self.step]], order[places[start : start + self.step] + lag]
                with np.errstate(over="ignore", invalid="ignore"):
                    apart = np.linalg.norm(self.of(x) - self.of(y), axis=1)
                if (close := apart <= reach).any():
                    yield x[close], y[close], apart[close]
