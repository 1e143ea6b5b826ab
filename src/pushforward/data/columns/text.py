"""Cells of text as a quantity: numbers, true and false, ISO dates, numbers with separators; or why they are none.

A column is read where all of its cells fit one way of writing, and one only:

    1.5, 2e3                              numbers
    true, FALSE                           1 and 0
    2024-01-31, 2024-01-31T12:30          days since 1970-01-01
    1,5 or 1.234,5                        decimal commas
    1,234.5, 1'234, 1 234                 commas, apostrophes, spaces between thousands
    1,234 in all cells that have a comma  decimals in a file with semicolons; else either, and not read
    00123, 001,002                        a name, such as a postal code, and no quantity
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np

from pushforward.data.blocks.lines import ZEROS, padded
from pushforward.data.columns.dates import of_words, resolution
from pushforward.data.columns.separated import EITHER, WAYS, ways
from pushforward.plain.kinds import ColumnKind, is_number

__all__ = ["EMPTY", "Quantity", "fault", "is_value", "quantity", "readings", "refusal"]

EMPTY = ("na", "n/a", "nan", "null", "none", "?", "-")  # what stands for a missing value
TRUTH = {"true": 1.0, "false": 0.0}
ZONES = "dates with a time zone are those of UTC"

_DATE = re.compile(r"\d{1,4}([./-])\d{1,2}\1\d{1,4}([T ].*)?")
_ANSWERS = ({"yes", "no"}, {"y", "n"}, {"t", "f"})
_SIGNS = (
    (str.maketrans("", "", "%"), "with a percent sign", "write the numbers alone, in a column that says percent"),
    (str.maketrans("\N{MINUS SIGN}", "-"), "with the minus sign U+2212", "write the minus as -"),
    (
        str.maketrans("", "", "' _\N{RIGHT SINGLE QUOTATION MARK}\N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}"),
        "with marks between thousands",
        "write decimals with a point and nothing between thousands",
    ),
)  # signs in numbers that are not read, what to call them, and what to do
CLASSES = 50  # different words up to which a column may be meant as classes


@dataclass(frozen=True, eq=False)
class Quantity:
    """A column as numbers.

    Attributes:
        values: Numbers, (n,).
        kind: What they are.
        how: What was taken for granted in reading, or nothing.
    """

    values: np.ndarray
    kind: ColumnKind
    how: str = ""

    @property
    def separated(self) -> bool:
        """Whether marks between thousands or decimal commas were read in some way."""
        return bool(self.how) and self.kind in ("number", "whole")


def quantity(cells: Sequence[str], mark: str = "") -> Quantity | None:
    """Cells as numbers, or None where they are no quantity, or one of two.

    Args:
        cells: Text without spaces around it.
        mark: What stands between two cells of a line, which tells what a comma in them means.
    """
    found = readings(cells, mark)
    return found[0] if len(found) == 1 or (found and mark == ";") else None


def readings(cells: Sequence[str], mark: str = "") -> tuple[Quantity, ...]:
    """All quantities that cells may be, the usual one first: none, one, or two where a comma has two meanings.

    Args:
        cells: Text without spaces around it.
        mark: As for `quantity`.
    """
    words = set(cells)
    try:
        values = None if any("_" in word for word in words) else np.array(cells, np.float64)
    except ValueError:
        values = None
    if values is not None:
        if padded(words):
            return ()
        whole = bool(np.all(values == np.rint(values))) and all(map(_whole, words))
        return (Quantity(values, "whole" if whole else "number"),)
    found = _truths(words) or _dates(words) or _separated(words, mark)
    return tuple(
        Quantity(values, resolution(values) if kind == "day" else kind, how)
        for meaning, kind, how in found
        for values in [np.fromiter(map(meaning.__getitem__, cells), np.float64, len(cells))]
    )


def is_value(cell: str) -> bool:
    """Whether a cell is a number, however its decimals are written, a truth value or a date."""
    return is_number(cell) or any(fits(cell) for fits in _WAYS.values())


Meaning = tuple[dict[str, float], ColumnKind, str]


def _truths(words: Collection[str]) -> list[Meaning]:
    if {word.lower() for word in words} <= set(TRUTH):
        return [({word: TRUTH[word.lower()] for word in words}, "truth", "")]
    return []


def _dates(words: Collection[str]) -> list[Meaning]:
    found = of_words(words)
    return [] if found is None else [(found[0], "day", ZONES if found[1] else "")]


def _separated(words: Collection[str], mark: str) -> list[Meaning]:
    found = list[Meaning]()
    for way in ways(words, mark):
        values = {word: way.value(word) for word in words}
        whole = way.point == "." and not any("." in word for word in words)
        whole = whole and all(value == round(value) for value in values.values())
        found.append((values, "whole" if whole else "number", way.how))
    return found


def _whole(word: str) -> bool:
    try:
        int(word)
    except ValueError:
        return False
    return True


_WAYS: dict[tuple[str, str], Callable[[str], bool]] = {  # by what one is called, and what many are
    ("number", "numbers"): is_number,
    ("truth value", "truth values"): lambda cell: cell.lower() in TRUTH,
    ("date", "dates"): lambda cell: of_words([cell]) is not None,
    **{(way.one, way.many): way.fits for way in WAYS},
}


def fault(cells: Sequence[str]) -> tuple[int, str] | None:
    """The first cell of those that keep a column from being a quantity, and what it is not; None where most are none.

    Of a column of which no cell could be told from the others, nothing is said.
    """
    words = set(cells)
    for names, fits in _WAYS.items():
        wrong = {word for word in words if not fits(word)}
        bad = [row for row, cell in enumerate(cells) if cell in wrong]
        if bad and 2 * len(bad) <= len(cells):
            return bad[0], said(cells[bad[0]], *names, alone=len(bad) == 1 and bad[0] == 0)
    return None


def said(cell: str, one: str, many: str, *, alone: bool) -> str:
    """What is wrong with a cell among others of one kind, and the remedy up to an 'or'.

    Args:
        cell: The cell.
        one: What each of the others is.
        many: What they are together.
        alone: Whether it is the first of all and the only one, as a line of units is.
    """
    if not cell:
        return "the cell is empty: correct it"
    if alone and cell.lower() not in EMPTY and not is_value(cell):
        return f"{cell!r} stands above {many}: delete this line if it holds units, correct it"
    point = " (decimals take a point)" if one == "number" and "," in cell else ""
    return f"{cell!r} is not a {one}{point}: correct it"


def refusal(cells: Sequence[str], labels: str) -> tuple[str, str]:
    """Why a column without one cell at fault is no quantity: what it holds, and the remedy that goes with it, or ''.

    Args:
        cells: Its cells.
        labels: What makes classes of it, or ''.
    """
    words = set(cells)
    first = next((cell for cell in cells if cell), "")
    if all(map(is_number, words)) and padded(words):
        code = next(cell for cell in cells if ZEROS.fullmatch(cell))
        return f"numbers with leading zeros such as {code!r}, which are names and no quantities", (
            "write them without the zeros if they count something"
        )
    if len(ways(words)) == 2:
        comma = next((cell for cell in cells if EITHER.fullmatch(cell)), first)
        return f"numbers such as {comma!r}, which may be a decimal comma or one between thousands", (
            "write decimals with a point and nothing between thousands"
        )
    if all(map(_DATE.fullmatch, words)):
        return f"dates such as {first!r}", "write all of them as 2024-01-31 or 2024-01-31T12:30, with or without a zone"
    if {word.lower() for word in words} in _ANSWERS:
        return f"words such as {first!r}", "write true and false"
    for marks, what, remedy in _SIGNS:
        plain = {word.translate(marks) for word in words}
        if plain != words and all(is_number(word) or WAYS[0].fits(word) for word in plain):
            return f"numbers {what} such as {next(cell for cell in cells if cell.translate(marks) != cell)!r}", remedy
    if labels and 1 < len(words) <= min(CLASSES, len(cells) // 2):
        return (
            f"{len(words)} different words, not numbers",
            f"make classes of it, {labels}, or a column of 0 and 1 each",
        )
    return "", ""
