r"""Numbers with marks between their thousands or a comma before their decimals: all ways in which a column can be read.

.. code-block:: text

    1,5  1.234,5  1.234.567        decimal commas, points between thousands
    1,234.5  1,234,567             commas between thousands
    1'234.5  1'234,5  1'234        apostrophes between thousands
    1 234.5  1 234,5  1 234        spaces between thousands, those that do not break among them
    1,234 in all cells with a comma: decimals or thousands, which `settled` decides by what else is known
    001,002  1,2,3                 no numbers

Points alone, as in 1.234, are decimals, always: a set that is a thousand times too small must not pass for the other
way of writing it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np

from pushforward.plain.kinds import is_number

__all__ = ["COMMAS", "EITHER", "GROUPS", "WAYS", "WHY", "Way", "Written", "lists", "settled", "ways"]

COMMAS = "decimal commas are read as points"
GROUPS = "commas between thousands are left out"
SIGNS = str.maketrans({"\N{RIGHT SINGLE QUOTATION MARK}": "'"} | dict.fromkeys("\u00a0\u2009\u202f", " "))
EITHER = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}([eE][+-]?\d+)?")
"""A cell whose comma may stand before decimals or between thousands."""
PARTS = re.compile(r"\d+([,.' ]\d+)+")
CLEAR = 3.0  # times as deep among known numbers as the other reading of a cell
SURE = 50  # cells of three decimals each, of which none ends in 0, that would rarely be if zeros were left out


@dataclass(frozen=True)
class Way:
    """One way of writing numbers.

    Attributes:
        one: What a cell of it is.
        many: What cells of it are.
        group: What stands between thousands.
        point: What stands before decimals.
        how: What is taken for granted in reading it.
    """

    one: str
    many: str
    group: str
    point: str
    how: str

    def fits(self, cell: str) -> bool:
        """Whether a cell is a number that is written so."""
        return bool(_pattern(self.group, self.point).fullmatch(cell.translate(SIGNS)))

    def value(self, cell: str) -> float:
        """The number that a cell says."""
        return float(cell.translate(SIGNS).replace(self.group, "").replace(self.point, "."))

    def shown(self, words: Collection[str]) -> bool:
        """Whether some cell has what tells this way from a plain number: a point between thousands is one alone."""
        if self.group == ".":
            points = [word for word in words if "." in word]
            return not points or any("," in word[word.find(".") :] or word.count(".") > 1 for word in points)
        return any(self.group in word.translate(SIGNS) for word in words)


@cache
def _pattern(group: str, point: str) -> re.Pattern[str]:
    g, p = re.escape(group), re.escape(point)
    return re.compile(rf"[+-]?(0|[1-9]\d*|[1-9]\d{{0,2}}({g}\d{{3}})+)({p}\d+)?([eE][+-]?\d+)?")


WAYS = (
    Way("number with a decimal comma", "numbers with decimal commas", ".", ",", COMMAS),
    Way("number with commas between thousands", "numbers with commas between thousands", ",", ".", GROUPS),
    *(
        Way(f"number with {what} between thousands", f"numbers with {what} between thousands", mark, point, how)
        for mark, what in (("'", "apostrophes"), (" ", "spaces"))
        for point, how in (
            (".", f"{what} between thousands are left out"),
            (",", f"{what} between thousands are left out, {COMMAS}"),
        )
    ),
)


def ways(words: Collection[str], mark: str = "") -> list[Way]:
    """The ways in which all words are numbers with separators, the usual one first; two at most, and they differ.

    Args:
        words: Different cells, of which some is no plain number.
        mark: What stands between two cells of a line: where that is a semicolon, commas mostly stand before decimals.
    """
    found = [way for way in WAYS if all(map(way.fits, words))]
    if [way.group for way in found] == [".", ","] and not found[0].shown(words):
        return []  # points and commas, each of which may be the one or the other
    found = [way for way in found if way.shown(words)]
    if [way.group for way in found] == [".", ","]:
        return found if mark == ";" else found[::-1]
    return found[:1]


def lists(cells: Sequence[str]) -> bool:
    """Whether cells are lists and codes, 1,2 and 1,2,3, of which many but not all look like numbers with separators."""
    marked = {cell for cell in set(cells) if not is_number(cell)}
    odd = [cell for cell in marked if not any(way.fits(cell) for way in WAYS)]
    digits = bool(odd) and all(PARTS.fullmatch(cell.translate(SIGNS)) for cell in odd)
    return digits and 2 * sum(cell in marked for cell in cells) > len(cells)


@dataclass(frozen=True, eq=False)
class Written:
    """A column of numbers with separators as it was written, and what it says.

    Attributes:
        cells: Its cells, (n,); "" where one is missing.
        values: What they are in each way of reading them, (n,); NaN where one is missing.
        how: What each way takes for granted.
        prior: Whether the first way is usual where the column stands, and nothing else has to tell.
    """

    cells: list[str]
    values: tuple[np.ndarray, ...]
    how: tuple[str, ...]
    prior: bool = False

    def reading(self, how: str) -> np.ndarray:
        """What the cells are in one way of reading them, or in the only one."""
        return self.values[self.how.index(how) if how in self.how else 0]


Why = Literal["values", "decimals", "cells", "file", "either"]
WHY: Mapping[Why, str] = {
    "values": "a comma of theirs may be either; so they lie among the other values",
    "decimals": "a comma of theirs may be either; so they have the decimals of the other values",
    "cells": "a comma of theirs may be either; the cells without one say so",
    "file": "a comma of theirs may be either; between semicolons it mostly is that",
    "either": "a comma of theirs may be either, which is one unit or another in all sets",
}
"""What told how commas are read, in words."""


def settled(columns: Mapping[str, Written], known: np.ndarray) -> tuple[str, Why] | None:
    """How commas are read that may stand before decimals or between thousands, the same in all sets, and what says so.

    What tells, in this order: of the two numbers that a cell may be, one lies three times as deep among those that are
    known (the share of these on the side of fewer of them); their decimals; whole cells below 1,000 beside those with a
    comma, as thousands leave them; what is usual between semicolons. Where every cell has one comma and nothing is
    known, the two readings are one up to a factor, which no comparison of columns sees.

    Args:
        columns: Columns with two readings, by role.
        known: Numbers of the same column that can be read in one way only.

    Returns:
        `COMMAS` or `GROUPS`, and why; None where nothing tells.
    """
    plain, commas = list[float](), list[str]()
    decimal, grouped = list[np.ndarray](), list[np.ndarray]()
    for column in columns.values():
        either = np.array([bool(EITHER.fullmatch(cell)) for cell in column.cells])
        decimal.append(column.reading(COMMAS)[either])
        grouped.append(column.reading(GROUPS)[either])
        own = column.values[0][~either]
        plain += own[np.isfinite(own)].tolist()
        commas += [cell for cell, some in zip(column.cells, either, strict=True) if some]
    d, t, mine = np.concatenate(decimal), np.concatenate(grouped), np.abs(plain)
    ungrouped = bool((mine >= 1000).any())  # then not all thousands have a comma
    around = np.r_[known, plain] if ungrouped else known
    if len(around):
        depth = {COMMAS: _depth(d, around), GROUPS: _depth(t, around)}
        best = max(depth, key=lambda how: depth[how])
        if depth[best] > CLEAR * min(depth.values()):
            return best, "values"
        if len(known) and not np.array_equal(d, np.round(d, 2)) and np.array_equal(known, np.round(known, 2)):
            return GROUPS, "decimals"
        if len(known) and (np.round(known, 2) != known).mean() > 0.5:
            return COMMAS, "decimals"
    if len(plain) and not ungrouped and (any(cell.endswith("0") for cell in commas) or len(commas) >= SURE):
        return GROUPS, "cells"
    if all(column.prior for column in columns.values()):
        return COMMAS, "file"
    return None if len(plain) or len(known) else (GROUPS, "either")


def _depth(x: np.ndarray, known: np.ndarray) -> float:
    """How deep numbers lie among others, on average: the share of these on the side of fewer, 0 outside."""
    ordered = np.sort(known)
    below, above = np.searchsorted(ordered, x, "right"), len(ordered) - np.searchsorted(ordered, x, "left")
    return float(np.minimum(below, above).mean() / len(ordered)) if len(x) else 0.0
