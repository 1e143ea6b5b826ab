r"""Discrete data are compared on one grid: generated values are rounded to the levels that the data have.

A column of data is discrete if it holds whole numbers only (levels :math:`a + sk`, k any whole number, s the greatest
common divisor of the differences), or if few values recur in it; images are if they hold few levels, or the 256 of
eight bits. Values are rounded to the nearest level and never truncated. Where the levels are a list of values, only
what lies within half a gap of one is rounded to it: within half the distance to its nearer neighbour. What lies farther
off is no level with rounding on top, and stays as it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pushforward.data.columns.storage import decimals
from pushforward.plain.lists import counted
from pushforward.plain.shares import percent

__all__ = ["EIGHT_BITS", "MOST", "Grid", "decimal_grid", "grid_of", "grids", "pixel_grid", "snapped", "spread"]

EACH = 6  # columns that get a note of their own
MOST = 64  # levels that are still few
SHARE = 0.05  # of the rows: so many levels are still few
ONCE = 0.25  # of the levels: so many may occur a single time; in sparse continuous data nearly all do
PROOF = 20  # rows apart from the most frequent value, before whole numbers count as multiples
EXACT = 2.0**53  # from here on float64 holds whole numbers only, which says nothing about the data
HEAD = 1 << 22  # values looked at before a column is read whole
WHOLE = 1 << 26  # values looked at in all; longer columns are judged by a part of their rows
RUNS = 64  # runs of neighbouring rows in that part: single rows of a mapped file would bring most of it into memory


@dataclass(frozen=True, eq=False)
class Grid:
    """Levels that values are rounded to.

    Attributes:
        levels: The levels, ascending; None for `offset` + `step` k with any whole k.
        offset: One of the levels.
        step: Their distance.
        ends: Lowest and highest level, to which values beyond are clamped, or None.
        close: Moves up to this length are not counted, in data units.
        words: What the levels are called in notes.
        digits: Decimals that values are rounded to, in place of all this, or None.
    """

    levels: np.ndarray | None = None
    offset: float = 0.0
    step: float = 1.0
    ends: tuple[float, float] | None = None
    close: float = 1e-6
    words: str = "whole numbers"
    digits: int | None = None

    def to_grid(self, x: np.ndarray) -> np.ndarray:
        """The nearest level of each value, in the shape of x and in its type where that is a floating one."""
        x = x if x.dtype.kind == "f" else x.astype(np.float64)
        if self.digits is not None:
            return np.round(x, self.digits)
        if self.levels is not None:
            middles = (self.levels[1:] + self.levels[:-1]) / 2
            return self.levels[np.searchsorted(middles, x)].astype(x.dtype)
        y = np.rint(x) if self.offset == 0 and self.step == 1 else np.rint((x - self.offset) / self.step)
        y = y if self.offset == 0 and self.step == 1 else y * self.step + self.offset
        if self.ends is not None:
            y = np.clip(y, *self.ends)
        return (y + 0.0).astype(x.dtype, copy=False)

    def near(self, x: np.ndarray) -> np.ndarray:
        """Which values lie within half a gap of a level, (n,) -> (n,): their rounding is a matter of notation."""
        if self.levels is None or len(self.levels) < 2:
            return np.ones(x.shape, bool)
        gaps = np.diff(self.levels)
        reach = np.minimum(np.r_[gaps[0], gaps], np.r_[gaps, gaps[-1]]) / 2
        nearest = np.searchsorted((self.levels[1:] + self.levels[:-1]) / 2, x)
        return np.abs(x - self.levels[nearest]) <= reach[nearest] * (1 + 1e-9)

    def moved(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Which values rounding x to y has moved, by more than `close`."""
        return np.abs(x - y) > self.close


EIGHT_BITS = Grid(ends=(0.0, 255.0), close=0.1, words="256 levels")


def grid_of(x: np.ndarray) -> Grid | None:
    """The grid of one column of data, (n,), or None if it is continuous or constant."""
    x = np.asarray(x, np.float64)
    low, high = float(x.min()), float(x.max())
    if low == high:
        return None
    if (x == np.rint(x)).all():
        return _lattice(x, max(-low, high))
    values, counts = np.unique(x, return_counts=True)
    if len(values) > min(MOST, SHARE * len(x)) or (counts == 1).mean() > ONCE:
        return None
    return Grid(values, close=1e-6 * float(np.diff(values).min()), words=f"{len(values)} values")


def _lattice(x: np.ndarray, largest: float) -> Grid:
    if largest >= EXACT:
        return Grid()
    steps = (x - x[0]).astype(np.int64)
    step = int(np.gcd.reduce(steps[:1000]))
    step = int(np.gcd.reduce(steps)) if step != 1 else step
    if step > 1 and len(x) - np.unique(x, return_counts=True)[1].max() < PROOF:
        return Grid()
    offset = float(x[0] % step) if step > 1 else 0.0
    words = f"multiples of {step}" if not offset else f"{offset:g} and multiples of {step} from there"
    return Grid(None, offset, float(step), words=words if step > 1 else "whole numbers")


def grids(x: np.ndarray, *, skip: Sequence[int] = ()) -> list[Grid | None]:
    """The grid of every column of data.

    Constant columns have none, except that a constant whole number counts as one of the whole numbers where all other
    columns hold whole numbers: in a table of counts, a gene that nobody expresses is a count as well.

    Args:
        x: Data, (n, d); of more than 67 million values in columns that may be discrete, only a part is looked at.
        skip: Columns that are left alone.
    """
    n, d = x.shape
    head = np.asarray(x[spread(n, max(256, min(4096, HEAD // d)))], np.float64)
    whole = (head == np.rint(head)).all(0)
    few = 1 + (np.diff(np.sort(head, 0), axis=0) != 0).sum(0) <= MOST
    left = set(skip)
    likely = [j for j in np.flatnonzero(whole | few) if j not in left]
    rows = spread(n, max(4096, WHOLE // max(1, len(likely))))
    found: list[Grid | None] = [None] * d
    still = []
    for j in likely:
        column = np.asarray(x[rows, j], np.float64)
        found[j] = grid_of(column)
        if found[j] is None and whole[j] and (column == column[0]).all():
            still.append(j)
    left |= set(still)
    rest = [found[j] for j in range(d) if j not in left]
    if rest and all(grid is not None and grid.levels is None for grid in rest):
        for j in still:
            found[j] = Grid()
    return found


def decimal_grid(x: np.ndarray) -> Grid | None:
    """The grid of a column (n,) whose numbers all have so few decimals, or None."""
    digits = decimals(x)
    if digits is None:
        return None
    words = "one decimal" if digits == 1 else f"{digits} decimals"
    return Grid(step=10.0**-digits, close=1e-3 * 10.0**-digits, words=words, digits=digits)


def pixel_grid(x: np.ndarray) -> Grid | None:
    """The grid of images with levels from 0 to 255, (n, h, w, c): few levels, those of eight bits, or None."""
    flat = x.reshape(-1)
    parts = [flat[start : start + HEAD] for start in range(0, len(flat), HEAD)]
    on_pixels = x.dtype == np.uint8 or all((np.abs(part - np.rint(part)) <= EIGHT_BITS.close).all() for part in parts)
    values = np.empty(0)
    for part in parts:
        values = np.union1d(values, np.rint(part) if on_pixels else part)
        if len(values) > min(MOST, SHARE * len(flat)):
            return EIGHT_BITS if on_pixels else None
    if len(values) == 1:
        return EIGHT_BITS if on_pixels else None
    return Grid(values, close=0.51, words=f"{len(values)} levels")  # eight bits cost half a level


def snapped(
    fake: np.ndarray, found: Sequence[Grid | None], names: Sequence[str], *, what: str = "column", apply: bool = True
) -> tuple[np.ndarray, list[str]]:
    """Round samples to the grids of the data.

    Args:
        fake: Samples, (n, d).
        found: Grid of each column, or None.
        names: What the columns are called.
        what: "column" or "gene", for notes.
        apply: Round; otherwise only say what would be rounded, as seen in a part of the rows.

    Returns:
        The samples, themselves where all lie on the grids, and notes about the columns that do not. Values more than
        half a gap away from every level are left as they are, which is said.
    """
    far: dict[int, np.ndarray] = {}
    alike: dict[tuple[float, ...], list[int]] = {}
    for j, grid in enumerate(found):
        if grid is not None:  # columns with one lattice are rounded together
            alike.setdefault((grid.offset, grid.step) if grid.levels is None else (j,), []).append(j)
    out, shares = fake, np.zeros(len(found))
    if not apply:
        fake = fake[spread(len(fake), max(4096, WHOLE // len(found)))]
    for columns in alike.values():
        grid = found[columns[0]] or Grid()
        where, rows = slice(None) if len(columns) == len(found) else columns, max(1, HEAD // len(columns))
        for start in range(0, len(fake), rows):
            part = np.asarray(fake[start : start + rows, where])
            rounded = grid.to_grid(part)
            if grid.levels is not None and not (within := grid.near(part)).all():
                far[columns[0]] = np.append(far.get(columns[0], []), part[~within])
                rounded = np.where(within, rounded, part)
            if np.array_equal(rounded, part):
                continue
            shares[columns] += grid.moved(part, rounded).sum(0) / len(fake)
            if apply:
                out = np.array(fake) if out is fake else out
                out[start : start + rows, where] = rounded
    return out, [*_notes(found, shares, names, what, apply), *_kept(far, len(fake), names, what)]


def _kept(far: Mapping[int, np.ndarray], n: int, names: Sequence[str], what: str) -> list[str]:
    """Notes on values of which none lies within half a gap of a level."""
    notes = []
    for j, values in list(far.items())[:EACH]:
        shown = ", ".join(f"{value:g}" for value in np.unique(values)[:3])
        notes.append(
            f"{what} {names[j]}: {len(values):,} of {n:,} fake values ({percent(len(values) / n)}) are more than half "
            f"a gap away from the levels of real and stay as they are: {shown}"
        )
    more = len(far) - EACH
    many = f"{counted(more, f'more {what}', 'hold')} values far from the levels of real"
    return [*notes, many] if more > 0 else notes


def _notes(found: Sequence[Grid | None], shares: np.ndarray, names: Sequence[str], what: str, apply: bool) -> list[str]:
    kinds: dict[str, list[int]] = {}
    for j, grid in enumerate(found):
        if grid is not None and shares[j] > 0:
            kinds.setdefault(grid.words, []).append(j)
    notes = []
    for words, columns in kinds.items():
        each = [[j] for j in columns] if len(columns) <= 6 else [columns]
        for some in each:
            one = len(some) == 1
            who = f"{what} {names[some[0]]}" if one else f"{len(some):,} of {len(found):,} {what}s"
            share = percent(float(shares[some].mean()))
            if apply:
                notes.append(f"{who}: rounded to {words} (real holds only these); {share} of fake values moved")
            else:
                others = f"{share} of fake values are others"
                notes.append(f"{who}: real holds only {words}, {others}: rounding alone tells them apart")
    return notes


def spread(n: int, most: int) -> slice | np.ndarray:
    """All of n rows, or `most` of them in evenly spaced runs."""
    if n <= most:
        return slice(None)
    starts, length = np.linspace(0, n - most // RUNS, RUNS).astype(np.int64), most // RUNS
    return (starts[:, None] + np.arange(length)).reshape(-1)
