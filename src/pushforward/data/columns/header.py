"""Whether the first line of a text table holds names, or is a row like those below."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection
from itertools import pairwise

from pushforward.data.columns.text import EMPTY, is_value, quantity
from pushforward.plain.kinds import is_number

__all__ = ["LOOK", "doubt", "header", "words"]

LOOK = 1 << 16  # characters from which it is told whether a first line holds names
RUN = 8  # whole numbers one after the other that no row of data is likely to be
ENOUGH = 10  # rows from which a first line that is far from all of them is none
SHOWN = 6  # names written out in a note


def header(text: str, mark: str, expected: Collection[str] = ()) -> tuple[str, ...]:
    """The names in a first line, or nothing where it is a row like the others.

    It holds names if none of its cells is a number, and none a date or a truth value above others of that kind. Whole
    numbers, each other than the rest, are names in any order, as of years, if no column below has whole numbers only;
    those that ascend one by one also where some column below has a fraction, or where there are eight or more of them
    and no other line has such a run. So are those that all lie far from their columns: farther from the least and the
    largest number below than these from each other. They are also where a word stands above
    numbers, or nothing above a first column. The lines of the first 64 KB decide.

    Args:
        text: The table, from its first line on.
        mark: What stands between two cells.
        expected: Names that who reads knows of, as those of a run are; a line that has all of them is one of names.
    """
    start = text[: text.find("\n", LOOK) + 1 or None]
    rows = [row for row in csv.reader(io.StringIO(start, newline=""), delimiter=mark, skipinitialspace=True)
            if any(map(str.strip, row))]  # fmt: skip
    below = rows[1:] if len(start) == len(text) else rows[1:-1]  # the last line may be cut
    if not rows:
        return ()
    names = words(rows[0])
    if _are_told(names, expected):
        return names
    numbers = [name for name in names if is_number(name)]
    even = below and all(len(row) == len(names) for row in below)
    columns = [[cell.strip() for cell in column] for column in zip(*below, strict=True)] if even else []
    if even and any(_of_a_kind(name, column) for name, column in zip(names, columns, strict=True)):
        return ()
    if not numbers:
        return names
    if not _different(numbers) or not even:
        return ()
    if len(numbers) < len(names):
        others = [(name, column) for name, column in zip(names, columns, strict=True) if not is_number(name)]
        above = all(all(map(is_value, column)) for name, column in others if name) and not any(
            name.lower() in EMPTY for name, _ in others
        )
        sure = all(name for name, _ in others)  # a line without its first cell may be a row that lacks it
        return names if above and (sure or (not names[0] and _ascending(numbers))) else ()
    whole = [all(map(_whole, column)) for column in columns]
    counted = _ascending(numbers) and int(numbers[-1]) - int(numbers[0]) == len(numbers) - 1
    counted = counted and (len(numbers) > 1 or numbers == ["0"])
    if (counted and not all(whole)) or (len(numbers) > 1 and not any(whole)):
        return names
    alone = counted and len(numbers) >= RUN and not any(_run(row) for row in below)
    return names if alone or _far(numbers, columns) else ()


def doubt(names: tuple[str, ...], text: str, mark: str, line: int, expected: Collection[str] = ()) -> tuple[str, ...]:
    """A note where a first line of whole numbers could be a row as well as names.

    Args:
        names: What was taken for names in it, or nothing.
        text: The table, from its first line on.
        mark: What stands between two cells.
        line: The number of its first line.
        expected: As in `header`.
    """
    if any(map(is_number, names)):
        why = (
            "it has those that are asked for"
            if _are_told(names, expected)
            else "the lines below are numbers of another kind"
        )
        return (f"line {line}, {','.join(names[:SHOWN])}, is taken for names: {why}",)
    start = text[: text.find("\n", LOOK) + 1 or None]
    rows = csv.reader(io.StringIO(start, newline=""), delimiter=mark, skipinitialspace=True)
    first = words(next((row for row in rows if any(map(str.strip, row))), []))
    if not names and len(first) > 1 and _different(first):
        return (f"line {line}, {','.join(first[:SHOWN])}, is taken for a row: write words there if it holds names",)
    return ()


def words(cells: Collection[str]) -> tuple[str, ...]:
    """The cells of a line of names."""
    return tuple(cell.strip().removeprefix("#").strip() for cell in cells)


def _are_told(names: tuple[str, ...], expected: Collection[str]) -> bool:
    """Whether a line has all names that are expected, which are more than the places of its columns."""
    places = list(map(str, range(len(names))))
    more = not set(expected) <= set(places) or (list(expected) == list(names) != places)
    return bool(expected) and more and set(expected) <= set(names)


def _of_a_kind(name: str, column: list[str]) -> bool:
    """Whether a cell is a date, a truth value or a number with a decimal comma, and so is the column below."""
    if is_number(name) or not is_value(name):
        return False
    found = quantity([name, *column], ";")
    return found is not None and (found.kind != "number" or "," in name)


def _run(row: list[str]) -> bool:
    """Whether the cells of a line are whole numbers that ascend one by one."""
    cells = [cell.strip() for cell in row]
    return all(map(_whole, cells)) and all(int(high) - int(low) == 1 for low, high in pairwise(cells))


def _far(cells: list[str], columns: list[list[str]]) -> bool:
    """Whether each of several numbers lies farther from its column than that is wide, which has some rows."""
    if len(cells) < 2 or len(columns[0]) < ENOUGH or not all(all(map(is_number, column)) for column in columns):
        return False
    for cell, column in zip(map(int, cells), columns, strict=True):
        low, high = min(map(float, column)), max(map(float, column))
        if not (low < high and (cell < low - (high - low) or cell > high + (high - low))):
            return False
    return True


def _different(cells: Collection[str]) -> bool:
    """Whether cells are whole numbers, each other than the rest."""
    return all(map(_whole, cells)) and len(set(map(int, cells))) == len(cells)


def _ascending(cells: list[str]) -> bool:
    """Whether whole numbers are each larger than the one before."""
    return all(low < high for low, high in pairwise(map(int, cells)))


def _whole(cell: str) -> bool:
    """Whether a cell is a whole number, written without a point."""
    return cell.removeprefix("-").isdecimal() and len(cell) < 18
