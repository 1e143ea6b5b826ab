"""Sets of points as they come, and how two of them are brought to the same columns: by name where they have names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from pushforward.data.blocks.limits import budget
from pushforward.data.blocks.scratch import is_mapped
from pushforward.data.compare.mixed import encoded
from pushforward.data.formats.arrays import LARGE
from pushforward.data.formats.contents import Cells, Table
from pushforward.data.formats.table import parsed, stacked, wanted
from pushforward.data.raw import numeric
from pushforward.errors import DataError, nearest
from pushforward.plain.fields import Field
from pushforward.plain.lists import listed

__all__ = ["Joined", "Points", "joined", "of_array", "of_cells", "of_table", "settled"]

SHOWN = 6  # names written out in a note or an error

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
        what: What a column is called.
        table: Whether the columns are on scales of their own.
        notes: What should be known about the set.
    """

    place: str
    n: int
    width: int
    names: tuple[str, ...]
    take: Callable[[Sequence[int] | None], np.ndarray]
    words: Mapping[str, list[str]] = field(default_factory=dict)
    what: What = "column"
    table: bool = False
    notes: tuple[str, ...] = ()

    @property
    def shape(self) -> str:
        """What the set holds, in words."""
        return f"points of shape ({self.width},)"


@dataclass(frozen=True, eq=False)
class Joined:
    """Sets of points with the same columns.

    Attributes:
        x: Values by the role of the set, (n, d).
        names: Names of the d columns, or empty.
        categorical: Which of them stand for a level of a category, (d,).
        fields: What they are, where columns have names; else ().
        notes: What was done.
    """

    x: dict[str, np.ndarray]
    names: tuple[str, ...]
    categorical: np.ndarray
    notes: list[str]
    fields: tuple[Field, ...] = ()


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


def of_array(x: np.ndarray, place: str) -> Points:
    """Points from an array (n,) or (n, d) of finite numbers."""
    numeric(x.dtype, place)
    x = settled(x[:, None] if x.ndim == 1 else x, place)
    kept = (f"kept as {x.dtype}, {x.nbytes / 2**30:.1f} GiB",) if 8 * x.size > LARGE else ()
    return Points(place, len(x), x.shape[1], (), lambda some: x if some is None else x[:, list(some)], notes=kept)


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
        DataError: If a column is missing, or a cell is empty, damaged or not finite; line and column are named.
    """
    names, place = wanted(table), str(table.path)
    values, more = parsed(table, names)
    words = {name: value for name, value in values.items() if isinstance(value, list)}
    numbered = names == tuple(map(str, range(len(names))))  # the names that a table without any is given
    if words and numbered:
        raise DataError(
            f"{place}: column {next(iter(words))} holds text and has no name: give the columns names in a first line"
        )

    def take(some: Sequence[int] | None) -> np.ndarray:
        picked = [values[names[j]] for j in (range(len(names)) if some is None else some)]
        return stacked([column for column in picked if isinstance(column, np.ndarray)], place)

    named = () if numbered else names
    return Points(place, len(table.lines), len(names), named, take, words, table=len(names) > 1, notes=(*notes, *more))


def joined(sets: Mapping[str, Points]) -> Joined:
    """Bring sets to the columns of the real one, in its order.

    Args:
        sets: "fake", "real" and, if there is one, "train".

    Raises:
        DataError: If the number or the names of columns differ, or a column holds words here and numbers there.
    """
    real, notes = sets["real"], []
    orders = {role: _order(points, real, role, notes) for role, points in sets.items()}
    for role, points in sets.items():
        if role != "real":
            _same_kinds(points, real)
    if not real.words:
        x = {role: points.take(orders[role]) for role, points in sets.items()}
        fields = tuple(Field(name, (j,)) for j, name in enumerate(real.names))
        return Joined(x, real.names, np.zeros(real.width, bool), notes, fields)
    blocks: dict[str, dict[str, np.ndarray]] = {role: {} for role in sets}
    names: dict[str, tuple[str, ...]] = {}
    fields, width = list[Field](), 0
    for j, name in enumerate(real.names):
        if name in real.words:
            hot, levels, more = encoded({role: points.words[name] for role, points in sets.items()}, name, real.place)
            names[name], notes = levels, [*notes, *more]
        else:
            hot = {role: points.take([(orders[role] or range(real.width))[j]]) for role, points in sets.items()}
            names[name] = (name,)
        places = tuple(range(width, width + len(names[name])))
        levels = tuple(level.removeprefix(f"{name}=") for level in names[name]) if name in real.words else ()
        fields.append(Field(name, places, "category" if levels else "number", levels))
        width += len(places)
        for role in sets:
            blocks[role][name] = hot[role]
    return Joined(
        {role: np.concatenate(list(columns.values()), axis=1) for role, columns in blocks.items()},
        tuple(name for some in names.values() for name in some),
        np.array([name in real.words for name, some in names.items() for _ in some]),
        notes,
        tuple(fields),
    )


def _order(points: Points, real: Points, role: str, notes: list[str]) -> list[int] | None:
    """Positions of real's columns in another set, or None where they are the same; what was done goes to the notes."""
    if points is real:
        return None
    if not points.names or not real.names:
        if points.width != real.width:
            raise DataError(
                f"{points.place} holds {points.shape} and {real.place} {real.shape}; "
                "only like can be compared with like: give both the same columns"
            )
        if points.names or real.names:
            bare, named = (role, "real") if real.names else ("real", role)
            notes.append(f"{bare}: no names of {real.what}s, matched with those of {named} by position")
        return None
    known = {name: j for j, name in enumerate(points.names)}
    if missing := [name for name in real.names if name not in known]:
        _refuse_missing(points, real, missing)
    if extra := [name for name in points.names if name not in set(real.names)]:
        notes.append(f"{role}: {_counted(extra, points.what)} that real has not, left out: {', '.join(extra)}")
    order = [known[name] for name in real.names]
    if order == list(range(points.width)):
        return None
    if order != sorted(order):
        notes.append(f"{role}: {points.what}s brought into the order of real by their names")
    return order


def _refuse_missing(points: Points, real: Points, missing: list[str]) -> None:
    spare = [name for name in points.names if name not in set(real.names)] if len(real.names) < 500 else []
    near = nearest(missing[0], spare)
    hint = f" (is {near[0]!r} meant by {missing[0]!r}?)" if near else ""
    there = f"{len(real.names) - len(missing):,} of the {len(real.names):,} {real.what}s of {real.place} are there"
    remedy = "use one kind of identifiers and keep all genes" if real.what == "gene" else "add them"
    raise DataError(
        f"{points.place}: {_counted(missing, real.what)} missing, {listed(missing, SHOWN)}{hint}; {there}: {remedy}, "
        f"or choose {real.what}s that both have{_ready(points, real, missing)}"
    )


def _ready(points: Points, real: Points, missing: list[str]) -> str:
    """What names the columns of real that another set has too, where they can be named."""
    both = [name for name in real.names if name not in set(missing)]
    if real.what == "gene" or not both or any("," in name for name in both) or not Path(real.place).suffix:
        return ""
    return f": {real.place}:{','.join(both)}"


def _same_kinds(points: Points, real: Points) -> None:
    if (points.words or real.words) and not (points.names and real.names):
        bare, named = (points, real) if real.names else (real, points)
        raise DataError(
            f"{bare.place} has no names of columns, and column {next(iter(named.words))!r} of {named.place} holds "
            "words: save both as tables with names"
        )
    for name in real.names if points.words or real.words else ():
        if (name in points.words) != (name in real.words):
            wordy, plain = (points, real) if name in points.words else (real, points)
            raise DataError(
                f"{wordy.place}: column {name!r} holds words such as {wordy.words[name][0]!r}, that of {plain.place} "
                "numbers: write both the same way"
            )


def _counted(names: Sequence[str], what: str) -> str:
    return f"{len(names):,} {what}{'s' * (len(names) != 1)}"
