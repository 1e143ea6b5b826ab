"""Long text tables, a few megabytes of lines at a time: columns of numbers, on the disk if need be, and of words."""

from __future__ import annotations

import csv
import io
import re
from array import array
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path

import numpy as np

from pushforward.data.blocks.scratch import Room, written
from pushforward.errors import DataError

__all__ = ["INSIDE", "ZEROS", "Found", "columns", "padded", "unfilled"]

CHUNK = 1 << 23  # characters that are taken apart at a time
WORDS = 1 << 20  # different words of a column; a column of more is cut off here, and is none of labels

ZEROS = re.compile(r"[+-]?0\d+")
"""A whole number with zeros before it, which is a name, as postal codes are, and no quantity."""
INSIDE = re.compile(r"(?:^|[,;\t| ])[+-]?0\d", re.MULTILINE)
"""Where in a text such a number may begin."""

Found = tuple[tuple[list[str] | np.ndarray, ...], Sequence[int]]
"""Columns, and the line number of each row."""


def padded(cells: Collection[str]) -> bool:
    """Whether whole numbers with leading zeros are among cells."""
    return any(cell[0] in "0+-" and ZEROS.fullmatch(cell) for cell in cells if cell)


def columns(path: Path, mark: str, width: int, first: int, room: Room) -> Found:
    """Columns of a text table and the numbers of its lines.

    A column in which some cell is no number is one of words throughout, as it would be of a short table.

    Args:
        path: The file.
        mark: What stands between two cells.
        width: Number of columns.
        first: Number of the line that comes before the rows, 0 where there is none.
        room: Where numbers are put, (columns, rows) float64.

    Raises:
        DataError: If lines differ in length, there is no row, or the text cannot be decoded.
    """
    most = _lines(path)
    numbers = room((width, most), np.dtype(np.float64), str(path))
    words: dict[int, dict[str, str]] = {}
    while (found := _pass(path, mark, first, numbers, words)) is None:
        pass  # a column turned out to hold words
    texts, lines = found
    if not len(lines):
        with path.open(encoding="utf-8-sig", newline="") as file:
            why = unfilled(islice(file, first, None), mark, first)
        raise DataError(f"{path}: {why or f'there are names in line {first} but no rows: add lines of numbers'}")
    return tuple(texts[j] if j in texts else numbers[j, : len(lines)] for j in range(width)), lines


def unfilled(lines: Iterable[str], mark: str, first: int) -> str:
    """What is to be said of lines below the names in line `first` that have cells, none of them filled; else ""."""
    count = sum(mark in line for line in lines)
    which, has = ("the line", "has") if count == 1 else (f"the {count:,} lines", "have")
    return f"{which} below the names in line {first} {has} empty cells only: fill in numbers" if count else ""


def _lines(path: Path) -> int:
    """Lines of a file, at most."""
    count = 1
    with path.open("rb") as file:
        while block := file.read(CHUNK):
            count += max(block.count(b"\n"), block.count(b"\r"))
    return count


def _pass(
    path: Path, mark: str, first: int, numbers: np.ndarray, words: dict[int, dict[str, str]]
) -> tuple[dict[int, list[str]], Sequence[int]] | None:
    """Read the file once; None if a column of words was taken for numbers, which `words` then knows better.

    Args:
        path: The file.
        mark: What stands between two cells.
        first: Number of the line before the rows.
        numbers: Filled with the columns of numbers, (columns, rows).
        words: By the position of a column of words, the words that were met in it.

    Raises:
        DataError: If lines differ in length, the file grows, or the text cannot be decoded.
    """
    texts: dict[int, list[str]] = {j: [] for j in words}
    plain, odd, n = True, array("q"), 0
    with path.open("rb") as raw, io.TextIOWrapper(raw, "utf-8-sig", newline="") as file:
        try:
            line = first
            for _ in islice(file, first):
                pass
            while chunk := file.readlines(CHUNK):
                block = None if words else _plain(chunk, mark, len(numbers))
                if block is not None:
                    _within(numbers, n + len(block), path)
                    numbers[:, n : n + len(block)] = block.T
                    places: Sequence[int] = range(line + 1, line + 1 + len(block))
                    n, line = n + len(block), line + len(block)
                else:
                    rows, places, line = _rows(path, chunk, file, mark, line, len(numbers))
                    _within(numbers, n + len(rows), path)
                    if not _put(rows, numbers, n, texts, words):
                        return None
                    n += len(rows)
                if plain and len(places) and (places[0] != first + 1 + n - len(places) or places[-1] != first + n):
                    plain, odd = False, array("q", range(first + 1, first + 1 + n - len(places)))
                if not plain:
                    odd.extend(places)
                written(numbers)
        except UnicodeDecodeError as error:
            at = raw.tell()
            raise DataError(
                f"{path}: shortly before byte {at:,} there is no UTF-8 text: save the table as CSV in UTF-8"
            ) from error
    return texts, range(first + 1, first + 1 + n) if plain else odd


def _within(numbers: np.ndarray, rows: int, path: Path) -> None:
    """Refuse more rows than there were lines when they were counted.

    Raises:
        DataError: If the file has grown.
    """
    if rows > numbers.shape[1]:
        raise DataError(f"{path}: grew while it was read: wait until it is written, then try again")


def _plain(chunk: list[str], mark: str, width: int) -> np.ndarray | None:
    """Lines that hold numbers and nothing else, one row each; None of others."""
    if INSIDE.search("".join(chunk)):
        return None
    try:
        x = np.loadtxt(chunk, np.float64, None, mark, ndmin=2)
    except ValueError:
        return None
    return x if x.shape == (len(chunk), width) else None


def _rows(
    path: Path, chunk: list[str], file: io.TextIOWrapper, mark: str, line: int, width: int
) -> tuple[list[list[str]], list[int], int]:
    """Rows of some lines, and of those after them into which a quoted cell runs on; their numbers, and the last one.

    Raises:
        DataError: If a line has more cells than others, or fewer.
    """
    taken = 0

    def feed() -> Iterator[str]:
        nonlocal taken
        for one in chain(chunk, file):
            taken += 1
            yield one

    reader, rows, places = csv.reader(feed(), delimiter=mark, skipinitialspace=True), list[list[str]](), list[int]()
    while taken < len(chunk) and (cells := next(reader, None)) is not None:
        if not any(map(str.strip, cells)):
            continue
        at = line + reader.line_num
        if len(cells) != width:
            raise DataError(
                f"{path}: line {at} has {len(cells)} cells, others have {width}: give every line equally many"
            )
        rows.append([cell.strip() for cell in cells])
        places.append(at)
    return rows, places, line + taken


def _put(
    rows: list[list[str]], numbers: np.ndarray, n: int, texts: dict[int, list[str]], words: dict[int, dict[str, str]]
) -> bool:
    """Put the cells of rows into columns from row n on; False if one that was taken for numbers holds words."""
    fine = True
    for j, cells in enumerate(zip(*rows, strict=True)):
        if j in words:
            known = words[j]
            if len(known) < WORDS:
                texts[j] += [known.setdefault(cell, cell) for cell in cells]
            continue
        try:
            numbers[j, n : n + len(rows)] = np.array(cells, np.float64)
        except ValueError:
            words[j], fine = {}, False
        else:
            if padded(cells):
                words[j], fine = {}, False
    return fine
