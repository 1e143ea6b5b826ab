"""Tables as text, .csv, .tsv and .txt: comma, semicolon or tab between cells, one row a line."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np

from pushforward.data.blocks.limits import VARIABLE, budget
from pushforward.data.blocks.lines import INSIDE
from pushforward.data.blocks.lines import columns as long_columns
from pushforward.data.blocks.scratch import Room, held
from pushforward.data.columns.text import EMPTY, is_number, is_value, quantity
from pushforward.data.formats.contents import Column, Contents, Table, Verbatim
from pushforward.data.formats.table import chosen, is_row_number, labels
from pushforward.data.raw import brief
from pushforward.errors import DataError
from pushforward.plain.sizes import size

__all__ = ["names", "read", "table"]

ROWS = 200  # lines taken apart at a time; more would keep Python's collector busy
LOOK = 1 << 16  # characters from which it is told whether a first line holds names
SHOWN = 6  # names written out in a note
COMMENTS = re.compile(r"(?:[ \t]*(?:#[^\r\n]*)?(?:\r\n|\r|\n))*")  # lines above a table that are blank or begin with #
LINE = re.compile(r"([^\r\n]*)(?:\r\n|\r|\n|\Z)")  # as csv takes lines: str.splitlines knows more that end one
TEXT = 8  # bytes of memory at most for one of text: the text itself, its lines, its numbers and what is made of them
LONG = 1 << 22  # characters from which a file of numbers is read the fast way

Parts = tuple[tuple[str, ...], tuple[Column, ...], Sequence[int]]
"""Names, columns and the line number of each row."""


def read(path: Path, key: str | None = None, *, verbatim: bool = False, room: Room = held) -> Contents:
    """What a text table holds.

    Args:
        path: The file.
        key: Names of columns, a,b,c; all where it is left out.
        verbatim: See `table`.
        room: Where columns of numbers are put.
    """
    found, notes = table(path, verbatim=verbatim, room=room)
    shown = notes if key is None else ()
    return Contents(str(path), chosen(found, key), found.names, partial(labels, found), notes=shown)


def table(path: Path, *, verbatim: bool = False, room: Room = held) -> tuple[Table, tuple[str, ...]]:
    """Read delimited text: comma, semicolon or tab, with or without a line of names.

    The first line holds names if none of its cells is a number. A first column without a name is taken for the row
    numbers that spreadsheets write, and left out. Lines above the table that begin with # are comments, but the last of
    them holds names where it has as many cells as the line below, and that one has numbers.

    Args:
        path: The file.
        verbatim: Keep the cells as they stand too, to write them back; the first line then holds names in any case.
        room: Where columns of numbers are put; where they may go to the disk, long files are read in blocks of lines.

    Returns:
        The table, and notes of what was left out.

    Raises:
        DataError: If the text cannot be decoded, lines differ in length, names repeat, or there is no row.
    """
    kept: Verbatim | None = None
    named: tuple[str, ...] = ()
    large = TEXT * path.stat().st_size > budget()
    if large and room is held and 2 * path.stat().st_size > budget():
        need = size(2 * path.stat().st_size)
        raise DataError(f"{path}: the table needs {need} of memory, {size(budget())} are allowed ({VARIABLE} sets it)")
    try:
        text = _begin(path) if large and room is not held else path.read_bytes().decode("utf-8-sig")
        mark, above, text = _beginning(text)
        head = 1 + above + _blank(text)
        if large and room is not held:
            named = _header(text, mark)
            before = head if named else above
            width = len(next(csv.reader([_first(text)], delimiter=mark, skipinitialspace=True), []))
            columns, lines = long_columns(path, mark, width, before, room)
            names = named or tuple(map(str, range(width)))
        elif verbatim:
            (names, columns, lines), kept = _kept(path, text, mark, above)
        else:
            named = _header(text, mark)
            plain = len(text) > LONG and '"' not in text and not INSIDE.search(text)
            found = _numbers_only(path, text, named, mark, above) if plain else None
            names, columns, lines = found or _cells(path, text, named, mark, above)
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: byte {error.start} is not UTF-8 text: save the table as CSV in UTF-8") from error
    except csv.Error as error:
        raise DataError(f"{path}: not a readable table ({brief(error)}): save it as CSV") from error
    notes = () if verbatim else _doubt(names, named, columns, head)
    if above:
        notes = (f"comments above the table are left out: line{f's 1 to {above}' if above > 1 else ' 1'}", *notes)
    if len(names) > 1 and not names[0]:
        names, columns = names[1:], columns[1:]
        notes = (*notes, "the first column has no name: taken for row numbers and left out")
    if len(set(names)) < len(names):
        counts = Counter(names)
        twice = next(name for name in names if counts[name] > 1)
        raise DataError(f"{path}: line {head} names the column {twice!r} twice: give every column its own name")
    aside = frozenset() if verbatim else frozenset(filter(is_row_number, names))
    notes += tuple(f"taken for row numbers and left out: {name}" for name in names if name in aside)
    return Table(path, names, columns, lines, "line", verbatim=kept, mark=mark, aside=aside), notes


def _beginning(text: str) -> tuple[str, int, str]:
    """What stands between two cells, how many lines above the table are comments, and the text from the table on."""
    matched = COMMENTS.match(text)
    head, rest = ("", text) if matched is None else (matched.group(), text[matched.end() :])
    if "#" not in head or not rest.strip():
        return _mark(_first(text)), 0, text
    lines, below = [line.group() for line in LINE.finditer(head)], _first(rest)
    mark, last = _mark(below), max(k for k, line in enumerate(lines) if line.lstrip().startswith("#"))
    cells, under = (next(csv.reader([line.strip()], delimiter=mark), []) for line in (lines[last], below))
    above = last if len(cells) == len(under) and any(is_value(cell.strip()) for cell in under) else last + 1
    above = above if "#" in "".join(lines[:above]) else 0
    return mark, above, text[len("".join(lines[:above])) :] if above else text


def _mark(line: str) -> str:
    """What stands between two cells: that of comma, semicolon and tab by which a line has most.

    Semicolons and tabs go before where they leave values alone, as between decimal commas.
    """
    for mark in ";\t":
        cells = next(csv.reader([line[:LOOK]], delimiter=mark), [])
        if len(cells) > 1 and all(is_value(cell.strip()) for cell in cells):
            return mark
    return max(",;\t", key=lambda mark: len(next(csv.reader([line[:LOOK]], delimiter=mark), [])))


def _first(text: str) -> str:
    """The first line that is not blank."""
    return next((line[1] for line in LINE.finditer(text) if line[1].strip()), "")


def names(path: Path, *, every: bool = False) -> tuple[str, ...]:
    """The names of the columns, told from the first lines; empty where they hold none, or are no text.

    Args:
        path: The file.
        every: Also those of row numbers, which are taken by their names alone.
    """
    try:
        mark, _, text = _beginning(_begin(path))
        found = _header(text, mark)
    except (UnicodeDecodeError, csv.Error):  # whoever reads the file says so
        return ()
    found = found[1:] if len(found) > 1 and not found[0] else found
    return tuple(name for name in found if every or not is_row_number(name))


def _begin(path: Path) -> str:
    """The first characters of a long file, more than are looked at to find names."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        return file.read(LOOK + 1)


def _blank(text: str) -> int:
    """Blank lines at the beginning."""
    return next((i for i, line in enumerate(LINE.finditer(text)) if line[1].strip()), 0)


def _cells(path: Path, text: str, names: tuple[str, ...], mark: str, above: int) -> Parts:
    """Parts of a text, its cells without spaces around them; names are those of its first line, if it has any."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=mark, skipinitialspace=True)
    (first, cells), numbered = _begun(path, reader, above)
    columns: list[list[str]] = [[] if names else [cell.strip()] for cell in cells]
    lines = [] if names else [first]
    lines += _filled(path, numbered, columns, first, str.strip)
    if not lines:
        raise DataError(f"{path}: there are names in line {first} but no rows: add lines of numbers")
    return names or tuple(map(str, range(len(columns)))), tuple(columns), lines


def _kept(path: Path, text: str, mark: str, above: int) -> tuple[Parts, Verbatim]:
    """The same, the first line taken for names, and the cells as they stand."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=mark)
    (first, cells), numbered = _begun(path, reader, above)
    raw: list[list[str]] = [[] for _ in cells]
    lines = _filled(path, numbered, raw, first, str)
    if not lines:
        raise DataError(f"{path}: there are no rows below the names in line {first}: add some")
    columns = tuple([cell.strip() for cell in column] for column in raw)
    return (_words(cells), columns, lines), Verbatim(mark, tuple(cells), tuple(raw))


def _begun(path: Path, reader: Any, above: int) -> tuple[tuple[int, list[str]], Iterator[tuple[int, list[str]]]]:
    """The first line that is not blank and those after it, each with its number, where some were above."""
    numbered = ((above + reader.line_num, cells) for cells in reader if any(map(str.strip, cells)))
    first = next(numbered, None)
    if first is None:
        raise DataError(f"{path}: the file holds no rows: save at least one line of numbers")
    return first, numbered


def _filled(
    path: Path,
    numbered: Iterator[tuple[int, list[str]]],
    columns: list[list[str]],
    first: int,
    cell: Callable[[str], str],
) -> list[int]:
    """Append the cells of all lines to their columns, in place; the lines' numbers."""
    lines, width = list[int](), len(columns)
    while rows := list(islice(numbered, ROWS)):
        for line, cells in rows:
            if len(cells) != width:
                have = f"line {line} has {len(cells)} cells, line {first} has {width}"
                raise DataError(f"{path}: {have}: give every line equally many")
        lines += [line for line, _ in rows]
        for column, part in zip(columns, zip(*(cells for _, cells in rows), strict=True), strict=True):
            column.extend(map(cell, part))
    return lines


def _numbers_only(path: Path, text: str, names: tuple[str, ...], mark: str, above: int) -> Parts | None:
    """The same for a long file that holds finite numbers and nothing else, three times as fast; else None."""
    skip = int(bool(names))
    try:
        x = np.loadtxt(path, np.float64, None, mark, skiprows=above + skip, ndmin=2, encoding="utf-8-sig")
    except ValueError:
        return None  # some cell is no number: the slow way says which
    lines = text.count("\n") + (not text.endswith("\n")) - skip
    if len(x) != lines or (names and x.shape[1] != len(names)) or not np.isfinite(x).all():
        return None
    columns = tuple(np.ascontiguousarray(column) for column in x.T)
    return names or tuple(map(str, range(x.shape[1]))), columns, range(1 + above + skip, 1 + above + skip + len(x))


def _header(text: str, mark: str) -> tuple[str, ...]:
    """The names in a first line, or nothing where it is a row like the others.

    It holds names if none of its cells is a number, and none a date or a truth value above others of that kind. Whole
    numbers are names, as of years or of columns counted from 0,
    if they ascend and the lines below differ from them in kind: no column has whole numbers only, or, where the first
    ascend one by one, some have a fraction. They are also where a word stands above numbers, or nothing above a first
    column. The lines of the first 64 KB decide.
    """
    start = text[: text.find("\n", LOOK) + 1 or None]
    rows = [row for row in csv.reader(io.StringIO(start, newline=""), delimiter=mark, skipinitialspace=True)
            if any(map(str.strip, row))]  # fmt: skip
    below = rows[1:] if len(start) == len(text) else rows[1:-1]  # the last line may be cut
    if not rows:
        return ()
    names = _words(rows[0])
    numbers = [name for name in names if is_number(name)]
    even = below and all(len(row) == len(names) for row in below)
    columns = [[cell.strip() for cell in column] for column in zip(*below, strict=True)] if even else []
    if even and any(_of_a_kind(name, column) for name, column in zip(names, columns, strict=True)):
        return ()
    if not numbers:
        return names
    if not _ascending(numbers) or not even:
        return ()
    if len(numbers) < len(names):
        others = [(name, column) for name, column in zip(names, columns, strict=True) if not is_number(name)]
        above = all(all(map(is_value, column)) for name, column in others if name) and not any(
            name.lower() in EMPTY for name, _ in others
        )
        return names if above and (not names[0] or len(others) == sum(bool(name) for name, _ in others)) else ()
    whole = [all(map(_whole, column)) for column in columns]
    counted = int(numbers[-1]) - int(numbers[0]) == len(numbers) - 1 and (len(numbers) > 1 or numbers == ["0"])
    return names if (counted and not all(whole)) or (len(numbers) > 1 and not any(whole)) else ()


def _of_a_kind(name: str, column: list[str]) -> bool:
    """Whether a cell is a date, a truth value or a number with a decimal comma, and so is the column below."""
    if is_number(name) or not is_value(name):
        return False
    found = quantity([name, *column], ";")
    return found is not None and (found.kind != "number" or "," in name)


def _ascending(cells: list[str]) -> bool:
    """Whether cells are whole numbers, each larger than the one before."""
    if not all(map(_whole, cells)):
        return False
    values = list(map(int, cells))
    return all(low < high for low, high in pairwise(values))


def _whole(cell: str) -> bool:
    """Whether a cell is a whole number, written without a point."""
    return cell.lstrip("-").isdecimal() and len(cell) < 18


def _doubt(names: tuple[str, ...], named: tuple[str, ...], columns: Sequence[Column], line: int) -> tuple[str, ...]:
    """A note where a first line of whole numbers could be a row as well as names."""
    numbers = [name for name in named if is_number(name)]
    if numbers:
        return (
            f"line {line}, {','.join(named[:SHOWN])}, is taken for names: the lines below are numbers of another kind",
        )
    first = [str(column[0]) for column in columns]
    if not named and len(names) > 1 and _ascending(first) and int(first[-1]) - int(first[0]) == len(first) - 1:
        return (f"line {line}, {','.join(first[:SHOWN])}, is taken for a row: write words there if it holds names",)
    return ()


def _words(cells: list[str]) -> tuple[str, ...]:
    return tuple(cell.strip().removeprefix("#").strip() for cell in cells)
