"""Sets of points brought to the same columns, by name where they have names, and to numbers throughout.

.. code-block:: text

    a number                    one coordinate; where a cell is missing, the median of all sets
    some of its cells missing   one more, 1/√2 where one is and 0 elsewhere
    words                       one coordinate a level; a missing cell is a level of its own
    names or numbers of rows    left out, and said
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NoReturn

import numpy as np

from pushforward.data.columns.missing import filled, partly
from pushforward.data.columns.separated import EITHER, WHY, Why, Written, settled
from pushforward.data.compare.mixed import HALF, encoded, with_missing
from pushforward.data.compare.points import Points
from pushforward.errors import DataError, nearest
from pushforward.plain.fields import Field
from pushforward.plain.lists import listed
from pushforward.plain.shares import percent

__all__ = ["Joined", "joined"]

SHOWN = 6  # names written out in a note or an error

Cells = np.ndarray | list[str] | Written
Said = dict[tuple[str, str], list[str]]  # columns by the sets and the way in which they were read


@dataclass(frozen=True, eq=False)
class Joined:
    """Sets of points with the same columns.

    Attributes:
        x: Values by the role of the set, (n, d).
        names: Names of the d coordinates, or empty.
        categorical: Which of them stand for a level of a category or a missing cell, (d,).
        notes: What was done.
        fields: What they are, where columns have names; else ().
        holes: Which values stand for a missing cell, (n, d) by role; empty where none does.
        words: Of each category its word in every row, by role.
    """

    x: dict[str, np.ndarray]
    names: tuple[str, ...]
    categorical: np.ndarray
    notes: list[str]
    fields: tuple[Field, ...] = ()
    holes: Mapping[str, np.ndarray] = field(default_factory=dict)
    words: Mapping[str, Mapping[str, list[str]]] = field(default_factory=dict)


def joined(sets: Mapping[str, Points]) -> Joined:
    """Bring sets to the columns of the real one, in its order.

    Args:
        sets: "fake", "real" and, if there is one, "train".

    Raises:
        DataError: If the number or the names of columns differ, or a column holds words here and numbers there.
    """
    real, notes = sets["real"], list[str]()
    kept = _kept(sets, notes)
    orders = {role: _order(points, real, role, kept, notes) for role, points in sets.items()}
    text = any(points.words or points.written for points in sets.values())
    found = (_mixed if text else _plain)(sets, kept, orders, notes)
    return _marked(found) if any(points.gaps for points in sets.values()) else found


def _kept(sets: Mapping[str, Points], notes: list[str]) -> list[int]:
    """Positions of the columns of real that are compared: all but those that number or name rows."""
    real, asked = sets["real"], frozenset[str]().union(*(points.asked for points in sets.values()))
    told = {name: why for role in ("train", "real") if role in sets for name, why in sets[role].keys.items()}
    kept = [j for j, name in enumerate(real.labels) if name not in told or name in asked]
    if not kept or real.what == "gene":
        return list(range(real.width))
    for j in sorted(set(range(real.width)) - set(kept)):
        name = real.labels[j]
        remedy = f"; {real.place}:{name},… compares it" if Path(real.place).suffix else ""
        notes.append(f"column {name} is left out, as {told[name]}{remedy}")
    return kept


def _plain(sets: Mapping[str, Points], kept: list[int], orders: Mapping[str, list[int]], notes: list[str]) -> Joined:
    """Columns of numbers alone."""
    real = sets["real"]
    x = {
        role: points.take(None if orders[role] == list(range(points.width)) else orders[role])
        for role, points in sets.items()
    }
    names = tuple(real.names[j] for j in kept) if real.names else ()
    return Joined(x, names, np.zeros(len(kept), bool), notes, tuple(Field(name, (j,)) for j, name in enumerate(names)))


def _mixed(sets: Mapping[str, Points], kept: list[int], orders: Mapping[str, list[int]], notes: list[str]) -> Joined:
    """Columns of numbers and words, one after the other."""
    real, width = sets["real"], 0
    blocks: dict[str, list[np.ndarray]] = {role: [] for role in sets}
    names, fields, written = list[str](), list[Field](), dict[str, dict[str, list[str]]]()
    said: Said = {}
    for i, j in enumerate(kept):
        name = real.labels[j]
        cells = _agreed(
            {role: _cells(points, orders[role][i]) for role, points in sets.items()}, name, sets, notes, said
        )
        words = {role: column for role, column in cells.items() if isinstance(column, list)}
        if words:
            written[name] = with_missing(words, name, notes)
            part, some, more = encoded(written[name], name)
            notes += more
            levels = tuple(level.removeprefix(f"{name}=") for level in some)
            fields.append(Field(name, tuple(range(width, width + len(some))), "category", levels))
        else:
            part = {role: np.asarray(column, np.float64)[:, None] for role, column in cells.items()}
            some = (name,)
            fields.append(Field(name, (width,)))
        names += some
        width += len(some)
        for role in sets:
            blocks[role].append(part[role])
    categorical = np.array([one.kind == "category" for one in fields for _ in one.places])
    x = {role: np.concatenate(columns, axis=1) for role, columns in blocks.items()}
    notes += [f"{roles}: {how}: {', '.join(some)}" for (roles, how), some in said.items()]
    named = bool(real.names or written)
    return Joined(x, tuple(names) if named else (), categorical, notes, tuple(fields) if named else (), words=written)


def _cells(points: Points, j: int) -> Cells:
    name = points.labels[j]
    if name in points.written:
        return points.written[name]
    return points.words[name] if name in points.words else points.take([j])[:, 0]


def _agreed(
    cells: Mapping[str, Cells], name: str, sets: Mapping[str, Points], notes: list[str], said: Said
) -> Mapping[str, np.ndarray | list[str]]:
    """One column of all sets as words or as numbers; how separators in these were read goes to what is said.

    Raises:
        DataError: If some are words that are no numbers, and others numbers; or numbers of which nothing tells how they
            are read.
    """
    cells = {
        role: [""] * len(column) if isinstance(column, np.ndarray) and np.isnan(column).all() else column
        for role, column in cells.items()
    }
    words = {role: column for role, column in cells.items() if isinstance(column, list)}
    if len(words) == len(cells):
        return words
    read = {role: _numbers(column) for role, column in words.items()}
    if strange := [role for role, column in read.items() if column is None]:
        as_text = {role: column.cells if isinstance(column, Written) else column for role, column in cells.items()}
        if any(isinstance(column, np.ndarray) for column in as_text.values()):
            _refuse_kinds(strange[0], cells, name, sets)
        return {role: column for role, column in as_text.items() if isinstance(column, list)}
    notes += [
        f"{role}: the categories of {name} are numbers, and compared as such" for role in words if any(words[role])
    ]
    numbers = {role: read.get(role, column) for role, column in cells.items()}
    return _as_read({role: x for role, x in numbers.items() if not isinstance(x, list | None)}, name, sets, said)


def _numbers(column: list[str]) -> np.ndarray | Written | None:
    """Words that are numbers as such; None where they are none."""
    if not any(column):
        return np.full(len(column), np.nan)
    ways, missing = partly(column)
    if ways and ways[0].separated:
        cells = ["" if cell in missing else cell for cell in column]
        return Written(cells, tuple(way.values for way in ways), tuple(way.how for way in ways))
    return ways[0].values if ways else None


def _as_read(
    cells: Mapping[str, np.ndarray | Written], name: str, sets: Mapping[str, Points], said: Said
) -> dict[str, np.ndarray]:
    """One column of numbers, with separators or without, as numbers."""
    written = {role: column for role, column in cells.items() if isinstance(column, Written)}
    either = {role: column for role, column in written.items() if len(column.values) > 1}
    how = {role: column.how[0] for role, column in written.items()}
    found: tuple[str, Why] | None = None
    if either:
        rest = [c.values[0] if isinstance(c, Written) else c for role, c in cells.items() if role not in either]
        known = np.concatenate([np.empty(0), *rest])
        found = settled(either, known[np.isfinite(known)])
        if found is None:
            place, cell = sets[min(either)].place, next(filter(EITHER.fullmatch, next(iter(either.values())).cells))
            raise DataError(
                f"{place}: column {name!r} holds numbers such as {cell!r}, whose comma may stand before decimals or "
                "between thousands, and no other value tells: write decimals with a point and nothing between thousands"
            )
        how |= dict.fromkeys(either, found[0])
    for way in dict.fromkeys(how.values()):
        roles = " and ".join(role for role, mine in how.items() if mine == way)
        why = f" ({WHY[found[1]]})" if found and way == found[0] else ""
        said.setdefault((roles, f"{way}{why}"), []).append(name)
    return {role: c.reading(how[role]) if isinstance(c, Written) else c for role, c in cells.items()}


def _refuse_kinds(role: str, cells: Mapping[str, Cells], name: str, sets: Mapping[str, Points]) -> NoReturn:
    wordy, column = sets[role], cells[role]
    assert isinstance(column, list)
    plain = next(sets[other] for other, some in cells.items() if isinstance(some, np.ndarray))
    if not (wordy.names and plain.names):
        raise DataError(
            f"{plain.place} has no names of columns, and column {name!r} of {wordy.place} holds words: save both as "
            "tables with names"
        )
    raise DataError(
        f"{wordy.place}: column {name!r} holds words such as {next(filter(None, column))!r}, that of {plain.place} "
        "numbers: write both the same way"
    )


def _marked(found: Joined) -> Joined:
    """The same with missing cells filled, and one more coordinate for each column that has some in any set."""
    holes = {role: np.isnan(part) for role, part in found.x.items()}
    some = np.flatnonzero(np.any([hole.any(0) for hole in holes.values()], axis=0))
    d, names = len(found.categorical), found.names or tuple(map(str, range(len(found.categorical))))
    notes = list(found.notes)
    for j in some[:SHOWN]:
        shares = ", ".join(f"{percent(float(hole[:, j].mean()))} of {role}" for role, hole in holes.items())
        notes.append(f"column {names[j]}: cells are empty, filled with the median and marked: {shares}")
    if len(some) > SHOWN:
        notes.append(f"{len(some) - SHOWN} more columns with empty cells, filled and marked likewise")
    x = {role: np.concatenate([part, holes[role][:, some] * HALF], axis=1) for role, part in found.x.items()}
    holes = {role: np.pad(hole, ((0, 0), (0, len(some)))) for role, hole in holes.items()}
    place = {int(j): d + k for k, j in enumerate(some)}
    fields = tuple(replace(one, missing=place.get(one.places[0])) for one in found.fields)
    marked = Joined(
        x,
        (*found.names, *(f"{names[j]} missing" for j in some)) if found.names else (),
        np.r_[found.categorical, np.ones(len(some), bool)],
        notes,
        fields,
        holes,
        found.words,
    )
    filled(marked.x, marked.holes, tuple(role for role in marked.x if role != "fake"))
    return marked


def _order(points: Points, real: Points, role: str, kept: list[int], notes: list[str]) -> list[int]:
    """Where the compared columns of real stand in a set; what was done goes to the notes."""
    if points is real:
        return kept
    wanted = [real.labels[j] for j in kept]
    known = {name: j for j, name in enumerate(points.labels)}
    numbered = [_numbered(points), _numbered(real)]
    if all(numbered) or (any(numbered) and not set(wanted) <= set(known)):
        if points.width not in (real.width, len(kept)):
            raise DataError(
                f"{points.place} holds {points.shape} and {real.place} {real.shape}; "
                "only like can be compared with like: give both the same columns"
            )
        if not all(numbered):
            bare, named = (role, "real") if numbered[0] else ("real", role)
            notes.append(f"{bare}: no names of {real.what}s, matched with those of {named} by position")
        return kept if points.width == real.width else list(range(len(kept)))
    if missing := [name for name in wanted if name not in known]:
        _refuse_missing(points, real, missing)
    order = [known[name] for name in wanted]
    left = set(real.labels)
    if extra := [name for name in points.labels if name not in left]:
        notes.append(f"{role}: {_counted(extra, points.what)} that real has not, left out: {', '.join(extra)}")
    if order != sorted(order):
        notes.append(f"{role}: {points.what}s brought into the order of real by their names")
    return order


def _numbered(points: Points) -> bool:
    """Whether columns have no names, or only those that a frame gives unasked, which count them."""
    return points.labels == tuple(map(str, range(points.width)))


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


def _counted(names: Sequence[str], what: str) -> str:
    return f"{len(names):,} {what}{'s' * (len(names) != 1)}"
