"""One column of several sets as words or as numbers, however each of them writes it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

import numpy as np

from pushforward.data.columns.missing import partly
from pushforward.data.columns.separated import EITHER, WHY, Why, Written, settled
from pushforward.data.compare.points import Points
from pushforward.errors import DataError

__all__ = ["Cells", "Notations", "agreed", "cells_of"]

Cells = np.ndarray | list[str] | Written
Notations = dict[tuple[str, str], list[str]]
"""Columns by the sets and the way in which they were read."""


def cells_of(points: Points, j: int) -> Cells:
    """One column of a set: numbers with separators or words as they were written, else numbers, (n,)."""
    name = points.labels[j]
    if name in points.written:
        return points.written[name]
    return points.words[name] if name in points.words else points.take([j])[:, 0]


def agreed(
    cells: Mapping[str, Cells], name: str, sets: Mapping[str, Points], notes: list[str], said: Notations
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
    cells: Mapping[str, np.ndarray | Written], name: str, sets: Mapping[str, Points], said: Notations
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
            role, column = next(iter(either.items()))
            place, cell = sets[role].place, next(filter(EITHER.fullmatch, column.cells))
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
            f"{plain.place} has no names of columns, and column {name!r} of {wordy.place} holds words: give both as "
            f"tables with names{_of_numbers(wordy)}"
        )
    raise DataError(
        f"{wordy.place}: column {name!r} holds words such as {next(filter(None, column))!r}, that of {plain.place} "
        "numbers: write both the same way"
    )


def _of_numbers(points: Points) -> str:
    """The columns of numbers of a file, as a remedy."""
    numbers = [name for name in points.names if name not in points.words]
    if not numbers or not Path(points.place).suffix or any("," in name for name in numbers):
        return ""
    return f", or choose the columns of numbers, {points.place}:{','.join(numbers)}"
