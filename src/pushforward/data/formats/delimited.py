"""Tables as text, .csv, .tsv and .txt: comma, semicolon or tab between cells, one row a line."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from pushforward.data.formats.contents import Column, Contents, Table, Verbatim
from pushforward.data.formats.table import chosen, is_number, labels
from pushforward.data.raw import brief
from pushforward.errors import DataError

__all__ = ["read", "table"]

ROWS = 200  # lines taken apart at a time; more would keep Python's collector busy
LONG = 1 << 22  # characters from which a file of numbers is read the fast way

Parts = tuple[tuple[str, ...], tuple[Column, ...], Sequence[int]]
"""Names, columns and the line number of each row."""


def read(path: Path, key: str | None = None, *, verbatim: bool = False) -> Contents:
    """What a text table holds.

    Args:
        path: The file.
        key: Names of columns, a,b,c; all where it is left out.
        verbatim: See `table`.
    """
    found, notes = table(path, verbatim=verbatim)
    shown = notes if key is None else ()
    return Contents(str(path), chosen(found, key), found.names, partial(labels, found), notes=shown)


def table(path: Path, *, verbatim: bool = False) -> tuple[Table, tuple[str, ...]]:
    """Read delimited text: comma, semicolon or tab, with or without a line of names.

    The first line holds names if none of its cells is a number. A first column without a name is taken for the row
    numbers that spreadsheets write, and left out.

    Args:
        path: The file.
        verbatim: Keep the cells as they stand too, to write them back; the first line then holds names in any case.

    Returns:
        The table, and notes of what was left out.

    Raises:
        DataError: If the text cannot be decoded, lines differ in length, names repeat, or there is no row.
    """
    kept: Verbatim | None = None
    try:
        text = path.read_bytes().decode("utf-8-sig")
        first_line = next((line for line in text.splitlines() if line.strip()), "")
        mark = max(",;\t", key=lambda mark: len(next(csv.reader([first_line], delimiter=mark), [])))
        if verbatim:
            (names, columns, lines), kept = _kept(path, text, mark)
        else:
            found = _numbers_only(path, text, first_line, mark) if len(text) > LONG and '"' not in text else None
            names, columns, lines = found or _cells(path, text, mark)
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: byte {error.start} is not UTF-8 text: save the table as CSV in UTF-8") from error
    except csv.Error as error:
        raise DataError(f"{path}: not a readable table ({brief(error)}): save it as CSV") from error
    notes: tuple[str, ...] = ()
    if len(names) > 1 and not names[0]:
        names, columns = names[1:], columns[1:]
        notes = ("the first column has no name: taken for row numbers and left out",)
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise DataError(f"{path}: line 1 names the column {twice!r} twice: give every column its own name")
    return Table(path, names, columns, lines, "line", verbatim=kept), notes


def _cells(path: Path, text: str, mark: str) -> Parts:
    """Parts of a text, its cells without spaces around them."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=mark, skipinitialspace=True)
    (first, cells), numbered = _begun(path, reader)
    names = _header(cells)
    columns: list[list[str]] = [[] if names else [cell.strip()] for cell in cells]
    lines = [] if names else [first]
    lines += _filled(path, numbered, columns, first, str.strip)
    if not lines:
        raise DataError(f"{path}: there are names in line 1 but no rows: add lines of numbers")
    return names or tuple(map(str, range(len(columns)))), tuple(columns), lines


def _kept(path: Path, text: str, mark: str) -> tuple[Parts, Verbatim]:
    """The same, the first line taken for names, and the cells as they stand."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=mark)
    (first, cells), numbered = _begun(path, reader)
    raw: list[list[str]] = [[] for _ in cells]
    lines = _filled(path, numbered, raw, first, str)
    if not lines:
        raise DataError(f"{path}: there are no rows below the names in line 1: add some")
    columns = tuple([cell.strip() for cell in column] for column in raw)
    return (_words(cells), columns, lines), Verbatim(mark, tuple(cells), tuple(raw))


def _begun(path: Path, reader: Any) -> tuple[tuple[int, list[str]], Iterator[tuple[int, list[str]]]]:
    """The first line that is not blank and those after it, each with its number."""
    numbered = ((reader.line_num, cells) for cells in reader if any(map(str.strip, cells)))
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


def _numbers_only(path: Path, text: str, first_line: str, mark: str) -> Parts | None:
    """The same for a long file that holds finite numbers and nothing else, three times as fast; else None."""
    header = next(csv.reader([first_line], delimiter=mark, skipinitialspace=True))
    names = _header(header)
    skip = int(bool(names))
    try:
        x = np.loadtxt(path, np.float64, None, mark, skiprows=skip, ndmin=2, encoding="utf-8-sig")
    except ValueError:
        return None  # some cell is no number: the slow way says which
    lines = text.count("\n") + (not text.endswith("\n")) - skip
    if len(x) != lines or x.shape[1] != len(header) or not np.isfinite(x).all():
        return None
    columns = tuple(np.ascontiguousarray(column) for column in x.T)
    return names or tuple(map(str, range(len(header)))), columns, range(1 + skip, 1 + skip + len(x))


def _header(cells: list[str]) -> tuple[str, ...]:
    """The names in a first line, or nothing where one of its cells is a number."""
    names = _words(cells)
    return () if any(map(is_number, names)) else names


def _words(cells: list[str]) -> tuple[str, ...]:
    return tuple(cell.strip().removeprefix("#").strip() for cell in cells)
