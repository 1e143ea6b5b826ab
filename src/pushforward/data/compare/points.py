"""Sets of points as they come: arrays, matrices that are read a part at a time, tables of numbers and words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np

from pushforward.data.blocks.limits import budget
from pushforward.data.blocks.scratch import is_mapped
from pushforward.data.columns.keys import identifies
from pushforward.data.columns.separated import Written
from pushforward.data.columns.storage import whole
from pushforward.data.formats.arrays import LARGE
from pushforward.data.formats.contents import Cells, Table
from pushforward.data.formats.table import parsed, stacked, wanted
from pushforward.data.raw import numeric
from pushforward.errors import DataError

__all__ = ["Points", "What", "of_array", "of_cells", "of_table", "settled"]

What = Literal["column", "gene"]


@dataclass(frozen=True, eq=False)
class Points:
    """One set of points before its columns are matched with those of another.

    Attributes:
        place: The file, for messages.
        n: Number of rows.
        width: Number of columns.
        names: Their names; empty where they have none.
        take: Columns of numbers by their positions, in the order given, or all where None is given -> (n, k).
        words: Columns of words by their names, one string a row.
        written: Columns of numbers with separators by their names.
        what: What a column is called.
        table: Whether the columns are on scales of their own.
        notes: What should be known about the set.
        keys: Columns that number or name rows, by their names, and why they are taken for that.
        asked: Columns that were asked for by their names.
        exact: Columns of whole numbers beyond 2^53 by their names, or numbers where they have none, (n,).
        gaps: Whether a cell of a number may be missing, which is NaN.
    """

    place: str
    n: int
    width: int
    names: tuple[str, ...]
    take: Callable[[Sequence[int] | None], np.ndarray]
    words: Mapping[str, list[str]] = field(default_factory=dict)
    written: Mapping[str, Written] = field(default_factory=dict)
    what: What = "column"
    table: bool = False
    notes: tuple[str, ...] = ()
    keys: Mapping[str, str] = field(default_factory=dict)
    asked: frozenset[str] = frozenset()
    gaps: bool = False
    exact: Mapping[str, np.ndarray] = field(default_factory=dict)

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """What the columns are called: their names, or where they have none their numbers from '0'."""
        return self.names or tuple(map(str, range(self.width)))

    @property
    def shape(self) -> str:
        """What the set holds, in words."""
        return f"points of shape ({self.width},)"


def settled(x: np.ndarray, place: str) -> np.ndarray:
    """Numbers as they are compared: float64; large arrays keep a floating type, or get the smallest exact one."""
    if 8 * x.size <= (min(LARGE, budget()) if is_mapped(x) else LARGE):
        return np.asarray(x, np.float64)
    if x.dtype.kind == "f" and x.dtype.isnative and x.dtype.itemsize <= 8:
        return x
    narrow = x.dtype.itemsize <= (4 if x.dtype.kind == "f" else 2)
    need = x.size * (4 if narrow else 8)
    if need > budget():
        raise DataError(
            f"{place}: shape {x.shape} needs {need / 2**30:.1f} GiB as numbers with a fraction, "
            f"{budget() / 2**30:.1f} GiB are allowed: save it as float32, which is not copied, or fewer rows"
        )
    return x.astype(np.float32 if narrow else np.float64)


def of_array(x: np.ndarray, place: str, *, gaps: bool = False) -> Points:
    """Points from an array (n,) or (n, d) of finite numbers, or where it has gaps of these and NaN."""
    numeric(x.dtype, place)
    given = x[:, None] if x.ndim == 1 else x
    x = settled(given, place)
    exact = {
        str(j): counts
        for j in (range(x.shape[1]) if given.dtype.kind in "iu" and given.dtype.itemsize == 8 else ())
        if (counts := whole(given[:, j], x[:, j])) is not None
    }
    kept = (f"kept as {x.dtype}, {x.nbytes / 2**30:.1f} GiB",) if 8 * x.size > LARGE else ()
    return Points(
        place, len(x), x.shape[1], (), lambda some: x if some is None else x[:, list(some)],
        notes=kept, gaps=gaps, exact=exact,
    )  # fmt: skip


def of_cells(cells: Cells, place: str) -> Points:
    """Points from a matrix that is read a part at a time: where its columns have names, these are genes."""
    what: What = "gene" if cells.names else "column"
    return Points(place, *cells.shape, cells.names, cells.take, what=what)


def of_table(table: Table, notes: tuple[str, ...] = ()) -> Points:
    """Points from the chosen columns of a table, or all of them.

    Args:
        table: The table.
        notes: What should be known about it.

    Raises:
        DataError: If a column is missing, or a cell is damaged or infinite; line and column are named.
    """
    names, place = wanted(table), str(table.path)
    values, exact, more = parsed(table, names)
    words = {name: value for name, value in values.items() if isinstance(value, list)}
    written = {name: value for name, value in values.items() if isinstance(value, Written)}
    plain = {name: value.values[0] if isinstance(value, Written) else value for name, value in values.items()}
    if words and table.bare:
        raise DataError(
            f"{place}: column {next(iter(words))} holds text and has no name: give the columns names in a first line"
        )

    def take(some: Sequence[int] | None) -> np.ndarray:
        picked = [plain[names[j]] for j in (range(len(names)) if some is None else some)]
        return stacked([column for column in picked if isinstance(column, np.ndarray)], place)

    small = {name: value for name, value in plain.items() if isinstance(value, list) or not is_mapped(value)}
    keys = {
        name: why
        for name, value in small.items()
        if not table.chosen and (why := identifies(name, exact.get(name, value)))
    }
    gaps = any(bool(np.isnan(value).any()) for value in small.values() if isinstance(value, np.ndarray))
    named, asked = () if table.bare else names, frozenset(table.chosen or ())
    return Points(
        place, len(table.lines), len(names), named, take, words, written,
        table=len(names) > 1, notes=(*notes, *more), keys=keys, asked=asked, gaps=gaps, exact=exact,
    )  # fmt: skip
