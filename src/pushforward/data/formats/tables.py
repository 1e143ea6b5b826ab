"""Tables of numbers: CSV and Parquet files, one point a row."""

import csv as text_csv
import difflib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from pushforward.data.raw import Raw, brief, budget, enough
from pushforward.errors import DataError, UsageError

__all__ = ["Table", "csv", "labels", "parquet", "parsed", "points", "wanted"]

Column = list[str] | np.ndarray
ROWS = 200  # lines taken apart at a time; more would keep Python's collector busy
LONG = 1 << 22  # characters from which a file of numbers is read the fast way


@dataclass(frozen=True, eq=False)
class Table:
    """Named columns as they were stored.

    Attributes:
        path: The file.
        names: Names of the columns; their numbers from '0' where the file has no header.
        columns: One sequence a column: text from CSV, arrays from Parquet.
        lines: Where each row is, for messages: line numbers from 1 for CSV, row numbers from 0 for Parquet.
        unit: What `lines` counts, 'line' or 'row'.
    """

    path: Path
    names: tuple[str, ...]
    columns: tuple[Column, ...]
    lines: Sequence[int]
    unit: str


def csv(path: Path) -> Table:
    """Read delimited text: comma, semicolon or tab, with or without a line of names.

    The first line holds names if none of its cells is a number. A first column without a name is taken for the row
    numbers that spreadsheets write, and left out.

    Raises:
        DataError: If the text cannot be decoded, lines differ in length, names repeat, or there is no row.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
        first_line = next((line for line in text.splitlines() if line.strip()), "")
        delimiter = max(",;\t", key=lambda mark: len(next(text_csv.reader([first_line], delimiter=mark), [])))
        found = _numbers_only(path, text, first_line, delimiter) if len(text) > LONG and '"' not in text else None
        names, columns, lines = found or _cells(path, text, delimiter)
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: byte {error.start} is not UTF-8 text: save the table as CSV in UTF-8") from error
    except text_csv.Error as error:
        raise DataError(f"{path}: not a readable table ({brief(error)}): save it as CSV") from error
    if len(names) > 1 and not names[0]:
        names, columns = names[1:], columns[1:]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise DataError(f"{path}: line 1 names the column {twice!r} twice: give every column its own name")
    return Table(path, names, columns, lines, "line")


def _cells(path: Path, text: str, delimiter: str) -> tuple[tuple[str, ...], tuple[Column, ...], Sequence[int]]:
    """Names, columns of text and line numbers of delimited text."""
    reader = text_csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
    numbered = ((reader.line_num, cells) for cells in reader if any(map(str.strip, cells)))
    first, cells = next(numbered, (0, []))
    if not cells:
        raise DataError(f"{path}: the file holds no rows: save at least one line of numbers")
    names, width = _header(cells), len(cells)
    columns: list[list[str]] = [[] if names else [cell.strip()] for cell in cells]
    lines = [] if names else [first]
    while rows := list(islice(numbered, ROWS)):
        for line, cells in rows:
            if len(cells) != width:
                have = f"line {line} has {len(cells)} cells, line {first} has {width}"
                raise DataError(f"{path}: {have}: give every line equally many")
        lines += [line for line, _ in rows]
        for column, part in zip(columns, zip(*(cells for _, cells in rows), strict=True), strict=True):
            column.extend(map(str.strip, part))
    if not lines:
        raise DataError(f"{path}: there are names in line 1 but no rows: add lines of numbers")
    return names or tuple(map(str, range(width))), tuple(columns), lines


def _numbers_only(
    path: Path, text: str, first_line: str, delimiter: str
) -> tuple[tuple[str, ...], tuple[Column, ...], Sequence[int]] | None:
    """The same for a long file that holds finite numbers and nothing else, three times as fast; else None."""
    header = next(text_csv.reader([first_line], delimiter=delimiter, skipinitialspace=True))
    names = _header(header)
    skip = int(bool(names))
    try:
        x = np.loadtxt(path, np.float64, None, delimiter, skiprows=skip, ndmin=2, encoding="utf-8-sig")
    except ValueError:
        return None  # some cell is no number: the slow way says which
    lines = text.count("\n") + (not text.endswith("\n")) - skip
    if len(x) != lines or x.shape[1] != len(header) or not np.isfinite(x).all():
        return None
    columns = tuple(np.ascontiguousarray(column) for column in x.T)
    return names or tuple(map(str, range(len(header)))), columns, range(1 + skip, 1 + skip + len(x))


def _header(cells: list[str]) -> tuple[str, ...]:
    """The names in a first line, or nothing where one of its cells is a number."""
    names = tuple(cell.strip().removeprefix("#").strip() for cell in cells)
    return () if any(map(_is_number, names)) else names


def parquet(path: Path) -> Table:
    """Read a Parquet file; an index that pandas stored is left out.

    Raises:
        UsageError: If pyarrow is not installed.
        DataError: If the file is damaged or too large for the memory.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except Exception as error:
        raise UsageError(f"{path}: reading Parquet needs pyarrow: pip install 'pushforward[tables]'") from error
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            size = 8 * file.metadata.num_rows * file.metadata.num_columns
            if size > budget():
                raise DataError(f"{path}: the table needs {size / 2**30:.1f} GiB of memory: save fewer rows or columns")
            table = file.read()
    except (pyarrow.ArrowException, OSError) as error:
        raise DataError(f"{path}: not a readable Parquet file ({brief(error)}): write it again") from error
    named = [name for name in table.column_names if not name.startswith("__index_level_")]
    if len(set(named)) < len(named):
        raise DataError(f"{path}: two columns share a name: give every column its own name")
    columns: list[Column] = []
    for name in named:
        column = table.column(name)
        kind = column.type
        plain = pyarrow.types.is_integer(kind) or pyarrow.types.is_floating(kind) or pyarrow.types.is_boolean(kind)
        if plain:
            columns.append(column.to_numpy())
        else:
            columns.append(["" if value is None else str(value) for value in column.to_pylist()])
    return Table(path, tuple(named), tuple(columns), range(table.num_rows), "row")


def points(table: Table, columns: tuple[str, ...] | None, label: str | None) -> Raw:
    """The chosen columns as points, and one more as labels.

    Args:
        table: The table.
        columns: Names of the columns to learn from, in the order wanted; all but the labels when None.
        label: Name of the column of labels, or None.

    Raises:
        DataError: If a column is missing, or a cell is no finite number; line and column are named.
    """
    known = None if label is None else labels(table, label)
    chosen = wanted(table, columns, label)
    values = [_column(table, name) for name in chosen]
    enough(len(table.lines), str(table.path))
    found = [_numbers(column) for column in values]
    text = [name for name, numbers in zip(chosen, found, strict=True) if numbers is None]
    if text:
        _refuse_text(table, chosen, text)
    x = np.stack([numbers for numbers in found if numbers is not None], axis=1)
    _finite(table, x, chosen)
    return Raw(str(table.path), "points", x, labels=known, columns=chosen)


def wanted(table: Table, columns: tuple[str, ...] | None, label: str | None = None) -> tuple[str, ...]:
    """Names of the columns asked for, or of all but the labels.

    Raises:
        DataError: If none is left, or one is missing or named twice.
    """
    chosen = columns or tuple(name for name in table.names if name != label)
    if not chosen:
        raise DataError(f"{table.path}: no column is left to learn from: add columns of numbers")
    if len(set(chosen)) < len(chosen):
        raise DataError(f"{table.path}: a column is named twice in {','.join(chosen)!r}: name each column once")
    for name in chosen:
        _column(table, name)
    return chosen


def parsed(table: Table, chosen: tuple[str, ...]) -> dict[str, np.ndarray | list[str]]:
    """The chosen columns, each as finite float64 (n,) or, where most cells are no numbers, as words.

    Columns of true and false are 1 and 0.

    Raises:
        DataError: If a cell is empty, no number among numbers, or not finite; line and column are named.
    """
    out: dict[str, np.ndarray | list[str]] = {}
    for name in chosen:
        column = _column(table, name)
        numbers = _numbers(column)
        if numbers is not None:
            _finite(table, numbers[:, None], (name,))
            out[name] = numbers
            continue
        cells = list(map(str, column))
        lower = {cell.lower() for cell in set(cells)}
        if lower <= {"true", "false"}:
            out[name] = np.array([cell.lower() == "true" for cell in cells], np.float64)
            continue
        _refuse_cell(table, name, f"choose columns, {table.path}:a,b")
        if lower & {"", "nan"}:
            row = next(i for i, cell in enumerate(cells) if cell.lower() in ("", "nan"))
            what = f"is {cells[row]}" if cells[row] else "is empty"
            raise DataError(
                f"{table.path}: {table.unit} {table.lines[row]}, column {name!r}: the cell {what}: "
                "fill it or remove the row"
            )
        out[name] = cells
    return out


def labels(table: Table, name: str) -> np.ndarray:
    """One column as labels, (n,): whole numbers where all cells are, else numbers, else text.

    Raises:
        DataError: If there is no such column or a cell is empty.
    """
    values = _column(table, name)
    if isinstance(values, np.ndarray):
        return values
    if "" in values:
        line = table.lines[values.index("")]
        raise DataError(
            f"{table.path}: {table.unit} {line}, column {name!r}: the label is empty: fill it or remove the row"
        )
    try:
        return np.array([int(value) for value in values], np.int64)
    except (ValueError, OverflowError):
        numbers = _numbers(values)
        return np.array(values) if numbers is None else numbers


def _column(table: Table, name: str) -> Column:
    if name in table.names:
        return table.columns[table.names.index(name)]
    close = difflib.get_close_matches(name, table.names, n=1, cutoff=0.4)
    hint = f"did you mean {close[0]!r}? " if close else ""
    raise DataError(f"{table.path}: no column named {name!r}: {hint}the columns are {', '.join(table.names[:20])}")


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _numbers(values: Column) -> np.ndarray | None:
    """The column as float64, or None if a cell is no number."""
    try:
        return np.array(values, np.float64)
    except ValueError:
        return None


def _refuse_text(table: Table, chosen: tuple[str, ...], text: list[str]) -> None:
    """Raise for columns with cells that are no numbers: by cell where most are numbers, by column otherwise."""
    good = [name for name in chosen if name not in text]
    remedy = f"choose columns, {table.path}:{','.join(good[:6])}" if good else "encode them as numbers"
    for name in text:
        _refuse_cell(table, name, remedy)
    plural = "s" if len(text) > 1 else ""
    named = ", ".join(map(repr, text[:6]))
    raise DataError(f"{table.path}: column{plural} {named} hold{'' if plural else 's'} text, not numbers: {remedy}")


def _refuse_cell(table: Table, name: str, remedy: str) -> None:
    """Raise for a column of numbers in which some cells are none."""
    cells = _column(table, name)
    words = {cell for cell in set(cells) if not _is_number(cell)}
    wrong = [i for i, cell in enumerate(cells) if cell in words]
    if 2 * len(wrong) <= len(cells):
        cell, line = cells[wrong[0]], table.lines[wrong[0]]
        what = f"{cell!r} is not a number" if cell else "the cell is empty"
        point = " (decimals take a point)" if "," in cell else ""
        raise DataError(f"{table.path}: {table.unit} {line}, column {name!r}: {what}{point}: correct it, or {remedy}")


def _finite(table: Table, x: np.ndarray, names: tuple[str, ...]) -> None:
    bad = np.argwhere(~np.isfinite(x))
    if len(bad):
        row, column = bad[0]
        raise DataError(
            f"{table.path}: {table.unit} {table.lines[row]}, column {names[column]!r} is {x[row, column]} "
            f"({len(bad)} of {x.size} cells are not finite): remove these rows or fill the cells"
        )
