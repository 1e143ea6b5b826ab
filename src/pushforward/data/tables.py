"""Tables of numbers: CSV and Parquet files, one point a row."""

import csv as text_csv
import difflib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pushforward.data.raw import Raw, brief, budget, enough
from pushforward.errors import DataError, UsageError

__all__ = ["Table", "csv", "labels", "parquet", "points"]

Column = list[str] | np.ndarray


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
        reader = text_csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
        rows = [(reader.line_num, cells) for cells in reader if any(cell.strip() for cell in cells)]
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: byte {error.start} is not UTF-8 text: save the table as CSV in UTF-8") from error
    except text_csv.Error as error:
        raise DataError(f"{path}: not a readable table ({brief(error)}): save it as CSV") from error
    if not rows:
        raise DataError(f"{path}: the file holds no rows: save at least one line of numbers")
    first, width = rows[0][0], len(rows[0][1])
    for line, cells in rows:
        if len(cells) != width:
            have = f"line {line} has {len(cells)} cells, line {first} has {width}"
            raise DataError(f"{path}: {have}: give every line equally many")
    header = [cell.strip().removeprefix("#").strip() for cell in rows[0][1]]
    if any(_is_number(cell) for cell in header):
        names = tuple(map(str, range(width)))
    else:
        names, rows = tuple(header), rows[1:]
    if not rows:
        raise DataError(f"{path}: there are names in line 1 but no rows: add lines of numbers")
    columns: tuple[Column, ...] = tuple(
        [cell.strip() for cell in column] for column in zip(*(r for _, r in rows), strict=True)
    )
    if width > 1 and not names[0]:
        names, columns = names[1:], columns[1:]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise DataError(f"{path}: line 1 names the column {twice!r} twice: give every column its own name")
    return Table(path, names, columns, [line for line, _ in rows], "line")


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
    chosen = columns or tuple(name for name in table.names if name != label)
    if not chosen:
        raise DataError(f"{table.path}: no column is left to learn from: add columns of numbers")
    if len(set(chosen)) < len(chosen):
        raise DataError(f"{table.path}: a column is named twice in {','.join(chosen)!r}: name each column once")
    values = [_column(table, name) for name in chosen]
    enough(len(table.lines), str(table.path))
    parsed = [_numbers(column) for column in values]
    text = [name for name, numbers in zip(chosen, parsed, strict=True) if numbers is None]
    if text:
        _refuse_text(table, chosen, text)
    x = np.stack([numbers for numbers in parsed if numbers is not None], axis=1)
    bad = np.argwhere(~np.isfinite(x))
    if len(bad):
        row, column = bad[0]
        raise DataError(
            f"{table.path}: {table.unit} {table.lines[row]}, column {chosen[column]!r} is {x[row, column]} "
            f"({len(bad)} of {x.size} cells are not finite): remove these rows or fill the cells"
        )
    return Raw(str(table.path), "points", x, labels=known, columns=chosen)


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
        cells = _column(table, name)
        wrong = [i for i, cell in enumerate(cells) if not _is_number(cell)]
        if 2 * len(wrong) <= len(cells):
            cell, line = cells[wrong[0]], table.lines[wrong[0]]
            what = f"{cell!r} is not a number" if cell else "the cell is empty"
            point = " (decimals take a point)" if "," in cell else ""
            raise DataError(
                f"{table.path}: {table.unit} {line}, column {name!r}: {what}{point}: correct it, or {remedy}"
            )
    plural = "s" if len(text) > 1 else ""
    named = ", ".join(map(repr, text[:6]))
    raise DataError(f"{table.path}: column{plural} {named} hold{'' if plural else 's'} text, not numbers: {remedy}")
