"""Tables as text, .csv, .tsv and .txt: comma, semicolon or tab between cells, one row a line."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from pushforward.data.blocks.limits import VARIABLE, budget
from pushforward.data.blocks.lines import INSIDE, unfilled
from pushforward.data.blocks.lines import columns as long_columns
from pushforward.data.blocks.packed import is_packed, unpacked
from pushforward.data.blocks.scratch import Room, held
from pushforward.data.columns.header import LOOK, doubt, header, words
from pushforward.data.columns.storage import EXACT
from pushforward.data.columns.text import is_number, is_value
from pushforward.data.formats.contents import Column, Contents, Table, Verbatim
from pushforward.data.formats.table import chosen, is_row_number, labels
from pushforward.data.raw import brief
from pushforward.errors import DataError
from pushforward.plain.sizes import size

__all__ = ["names", "read", "table"]

ROWS = 200  # lines taken apart at a time; more would keep Python's collector busy
COMMENTS = re.compile(r"(?:[ \t]*(?:#[^\r\n]*)?(?:\r\n|\r|\n))*")  # lines above a table that are blank or begin with #
SEPARATOR = re.compile(
    r"[sS][eE][pP]=([,;\t|])[,;\t|]*(?:\r\n|\r|\n)"
)  # by which Excel is told what stands between cells
LINE = re.compile(r"([^\r\n]*)(?:\r\n|\r|\n|\Z)")  # as csv takes lines: str.splitlines knows more that end one
TEXT = 8  # bytes of memory at most for one of text: the text itself, its lines, its numbers and what is made of them
LONG = 1 << 22  # characters from which a file of numbers is read the fast way

Parts = tuple[tuple[str, ...], tuple[Column, ...], Sequence[int]]
"""Names, columns and the line number of each row."""


def read(
    path: Path,
    key: str | None = None,
    *,
    verbatim: bool = False,
    room: Room = held,
    expected: tuple[str, ...] = (),
) -> Contents:
    """What a text table holds.

    Args:
        path: The file.
        key: Names of columns, a,b,c; all where it is left out.
        verbatim: See `table`.
        room: Where columns of numbers are put.
        expected: See `table`; the names in the key are where there is one.
    """
    expected = expected if key is None else tuple(name.strip() for name in key.split(","))
    found, notes = table(path, verbatim=verbatim, room=room, expected=expected)
    shown = notes if key is None else ()
    return Contents(str(path), chosen(found, key), found.names, partial(labels, found), notes=shown)


def table(
    path: Path, *, verbatim: bool = False, room: Room = held, expected: tuple[str, ...] = ()
) -> tuple[Table, tuple[str, ...]]:
    """Read delimited text: comma, semicolon, tab or bar, with or without a line of names.

    The first line holds names if none of its cells is a number. A first column without a name is taken for the row
    numbers that spreadsheets write, and left out. Lines above the table that begin with # are comments, but the last of
    them holds names where it has as many cells as the line below, and that one has numbers.

    Args:
        path: The file.
        verbatim: Keep the cells as they stand too, to write them back; the first line then holds names in any case.
        room: Where columns of numbers are put; where they may go to the disk, long files are read in blocks of lines.
        expected: Names that who reads knows of; a first line of numbers that has all of them is one of names.

    Returns:
        The table, and notes of what was left out.

    Raises:
        DataError: If the text cannot be decoded, lines differ in length, names repeat, or there is no row.
    """
    kept: Verbatim | None = None
    named: tuple[str, ...] = ()
    packed = is_packed(path)
    large = not packed and TEXT * path.stat().st_size > budget()
    if large and room is held and 2 * path.stat().st_size > budget():
        need = size(2 * path.stat().st_size)
        raise DataError(f"{path}: the table needs {need} of memory, {size(budget())} are allowed ({VARIABLE} sets it)")
    try:
        whole = (lambda: unpacked(path, budget() // TEXT)) if packed else path.read_bytes
        text = _begin(path) if large and room is not held else whole().decode("utf-8-sig")
        separator = SEPARATOR.match(text)
        mark, above, text = _beginning(text)
        _apart(path, text, mark)
        head = 1 + above + _blank(text)
        if large and room is not held:
            named = header(text, mark, expected)
            before = head if named else above
            width = len(next(csv.reader([_first(text)], delimiter=mark, skipinitialspace=True), []))
            columns, lines = long_columns(path, mark, width, before, room)
            names = named or tuple(map(str, range(width)))
        elif verbatim:
            (names, columns, lines), kept = _kept(path, text, mark, above)
        else:
            named = header(text, mark, expected)
            plain = not packed and len(text) > LONG and '"' not in text and not INSIDE.search(text)
            found = _numbers_only(path, text, named, mark, above) if plain else None
            names, columns, lines = found or _cells(path, text, named, mark, above)
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: byte {error.start} is not UTF-8 text: save the table as CSV in UTF-8") from error
    except csv.Error as error:
        raise DataError(f"{path}: not a readable table ({brief(error)}): save it as CSV") from error
    notes = () if verbatim else doubt(named, text, mark, head, expected)
    if separator:
        notes = (f"line 1, which says that {mark!r} stands between cells, is left out", *notes)
    elif above:
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
    return Table(
        path, names, columns, lines, "line", verbatim=kept, mark=mark, aside=aside, bare=not (named or verbatim)
    ), notes


def _beginning(text: str) -> tuple[str, int, str]:
    """What stands between two cells, how many lines above the table are comments, and the text from the table on."""
    if named := SEPARATOR.match(text):
        return named[1], 1, text[named.end() :]
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


def _apart(path: Path, text: str, mark: str) -> None:
    """Refuse a table with spaces between its cells, as np.savetxt writes one unasked."""
    lines = (line[1] for line in LINE.finditer(text[:LOOK]) if line[1].strip() and not line[1].lstrip().startswith("#"))
    line = next(islice(lines, 1, None), "")
    cells = line.split()
    if mark not in line and len(cells) > 1 and all(map(is_number, cells)):
        raise DataError(
            f"{path}: spaces stand between the cells ({line.strip():.40}): write commas there, as np.savetxt does with "
            "delimiter=','"
        )


def _mark(line: str) -> str:
    """What stands between two cells: that of comma, semicolon, tab and bar by which a line has most.

    Semicolons, tabs and bars go before where they leave values alone, as between decimal commas.
    """
    for mark in ";\t|":
        cells = next(csv.reader([line[:LOOK]], delimiter=mark), [])
        if len(cells) > 1 and all(is_value(cell.strip()) for cell in cells):
            return mark
    return max(",;\t|", key=lambda mark: len(next(csv.reader([line[:LOOK]], delimiter=mark), [])))


def _first(text: str) -> str:
    """The first line that is not blank."""
    return next((line[1] for line in LINE.finditer(text) if line[1].strip()), "")


def names(path: Path, *, every: bool = False, expected: tuple[str, ...] = ()) -> tuple[str, ...]:
    """The names of the columns, told from the first lines; empty where they hold none, or are no text.

    Args:
        path: The file.
        every: Also those of row numbers, which are taken by their names alone.
        expected: See `table`.
    """
    try:
        mark, _, text = _beginning(_begin(path))
        found = header(text, mark, expected)
    except (UnicodeDecodeError, csv.Error):  # whoever reads the file says so
        return ()
    found = found[1:] if len(found) > 1 and not found[0] else found
    return tuple(name for name in found if every or not is_row_number(name))


def _begin(path: Path) -> str:
    """The first characters of a long file, more than are looked at to find names."""
    if is_packed(path):
        return unpacked(path, 4 * LOOK, cut=True).decode("utf-8-sig", errors="ignore")[: LOOK + 1]
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
        why = unfilled(text.splitlines()[first - above :], mark, first)
        raise DataError(f"{path}: {why or f'there are names in line {first} but no rows: add lines of numbers'}")
    return names or tuple(map(str, range(len(columns)))), tuple(columns), lines


def _kept(path: Path, text: str, mark: str, above: int) -> tuple[Parts, Verbatim]:
    """The same, the first line taken for names, and the cells as they stand."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=mark)
    (first, cells), numbered = _begun(path, reader, above)
    raw: list[list[str]] = [[] for _ in cells]
    lines = _filled(path, numbered, raw, first, str)
    if not lines:
        why = unfilled(text.splitlines()[first - above :], mark, first)
        raise DataError(f"{path}: {why or f'there are no rows below the names in line {first}: add some'}")
    columns = tuple([cell.strip() for cell in column] for column in raw)
    return (words(cells), columns, lines), Verbatim(mark, tuple(cells), tuple(raw))


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
                if cells[0].lstrip().startswith("#"):
                    raise DataError(f"{path}: line {line} is a comment below the table: remove it, or put it above")
                have = f"line {line} has {len(cells)} cells, line {first} has {width}"
                raise DataError(f"{path}: {have}: give every line equally many")
        lines += [line for line, _ in rows]
        for column, part in zip(columns, zip(*(cells for _, cells in rows), strict=True), strict=True):
            column.extend(map(cell, part))
    return lines


def _numbers_only(path: Path, text: str, names: tuple[str, ...], mark: str, above: int) -> Parts | None:
    """The same for a long file that holds numbers up to 2^53 and nothing else, three times as fast; else None."""
    skip = int(bool(names))
    try:
        x = np.loadtxt(path, np.float64, None, mark, skiprows=above + skip, ndmin=2, encoding="utf-8-sig")
    except ValueError:
        return None  # some cell is no number: the slow way says which
    lines = text.count("\n") + (not text.endswith("\n")) - skip
    if len(x) != lines or (names and x.shape[1] != len(names)) or not (np.abs(x) <= EXACT).all():
        return None  # nor are whole numbers beyond 2^53 held by these
    columns = tuple(np.ascontiguousarray(column) for column in x.T)
    return names or tuple(map(str, range(x.shape[1]))), columns, range(1 + above + skip, 1 + above + skip + len(x))
