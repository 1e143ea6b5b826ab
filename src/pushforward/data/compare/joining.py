"""Sets of points brought to the same columns, by name where they have names, and to numbers throughout.

.. code-block:: text

    a number                    one coordinate; where a cell is missing, the median of all sets
    some of its cells missing   one more, 1/√2 where one is and 0 elsewhere
    words                       one coordinate a level; a missing cell is a level of its own
    names or numbers of rows    left out, and said
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from pushforward.data.columns.missing import filled
from pushforward.data.columns.storage import above
from pushforward.data.compare.matched.cells import Notations, agreed, cells_of
from pushforward.data.compare.matched.order import order
from pushforward.data.compare.mixed import HALF, encoded, with_missing
from pushforward.data.compare.points import Points
from pushforward.plain.fields import Field
from pushforward.plain.lists import counted
from pushforward.plain.shares import percent

__all__ = ["Joined", "joined"]

SHOWN = 6  # names written out in a note


@dataclass(frozen=True, eq=False)
class Joined:
    """Sets of points with the same columns.

    Attributes:
        x: Values by the role of the set, (n, d).
        names: Names of the d coordinates, or empty.
        categorical: Which of them stand for a level of a category or a missing cell, (d,).
        notes: What was done.
        fields: What they are, where columns have names or some are marked as missing; else ().
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

    @property
    def labels(self) -> tuple[str, ...]:
        """What the coordinates are called in notes: by their numbers where they have no names."""
        d = len(self.categorical)
        marks = {one.missing: f"{one.name} missing" for one in self.fields if one.missing is not None}
        return self.names or tuple(marks.get(j, str(j)) for j in range(d))


def joined(sets: Mapping[str, Points]) -> Joined:
    """Bring sets to the columns of the real one, in its order.

    Args:
        sets: "fake", "real" and, if there is one, "train".

    Raises:
        DataError: If the number or the names of columns differ, or a column holds words here and numbers there.
    """
    real, notes = sets["real"], list[str]()
    kept = _kept(sets, notes)
    orders = {role: order(points, real, role, kept, notes) for role, points in sets.items()}
    text = any(points.words or points.written for points in sets.values())
    found = (_mixed if text else _plain)(sets, kept, orders, notes)
    if any(points.exact for points in sets.values()):
        found = _above(found, sets, kept, orders)
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
    said: Notations = {}
    for i, j in enumerate(kept):
        name = real.labels[j]
        cells = agreed(
            {role: cells_of(points, orders[role][i]) for role, points in sets.items()}, name, sets, notes, said
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


def _above(found: Joined, sets: Mapping[str, Points], kept: list[int], orders: Mapping[str, list[int]]) -> Joined:
    """The same with columns of whole numbers beyond 2^53 in numbers that float64 tells apart."""
    x, notes, real = dict(found.x), list(found.notes), sets["real"]
    for i, j in enumerate(kept):
        called = {role: points.labels[orders[role][i]] for role, points in sets.items()}
        exact = {role: sets[role].exact[name] for role, name in called.items() if name in sets[role].exact}
        one = found.fields[i] if found.fields else Field(real.labels[j], (i,))
        if not exact or one.kind == "category":
            continue
        place = one.places[0]
        columns, said = above({role: part[:, place] for role, part in x.items()}, exact)
        notes += [f"column {one.name}: {said}"] if said else []
        for role, column in columns.items():
            if not np.array_equal(x[role][:, place], column, equal_nan=True):
                x[role] = np.array(x[role], np.float64)
                x[role][:, place] = column
    return replace(found, x=x, notes=notes)


def _marked(found: Joined) -> Joined:
    """The same with missing cells filled, and one more coordinate for each column that has some in any set."""
    holes = {role: np.isnan(part) for role, part in found.x.items()}
    some = np.flatnonzero(np.any([hole.any(0) for hole in holes.values()], axis=0))
    d, names = len(found.categorical), found.labels
    notes = list(found.notes)
    for j in some[:SHOWN]:
        shares = ", ".join(f"{percent(float(hole[:, j].mean()))} of {role}" for role, hole in holes.items())
        notes.append(f"column {names[j]}: cells are empty, filled with the median and marked: {shares}")
    if len(some) > SHOWN:
        left = counted(len(some) - SHOWN, "more column")
        notes.append(f"{left} with empty cells, filled and marked likewise")
    x = {role: np.concatenate([part, holes[role][:, some] * HALF], axis=1) for role, part in found.x.items()}
    holes = {role: np.pad(hole, ((0, 0), (0, len(some)))) for role, hole in holes.items()}
    place = {int(j): d + k for k, j in enumerate(some)}
    known = found.fields or tuple(Field(name, (j,)) for j, name in enumerate(names))
    fields = tuple(replace(one, missing=place.get(one.places[0])) for one in known) if len(some) else found.fields
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
