"""Columns of a table as numbers, words or labels; what is wrong is said by line and column."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pushforward.data.blocks.limits import budget, peak
from pushforward.data.blocks.scratch import blocks, is_mapped, mapped, spans, written
from pushforward.data.dataset import ColumnKind
from pushforward.data.formats.contents import Column, Table
from pushforward.data.raw import Raw, enough
from pushforward.errors import DataError, meant

__all__ = ["chosen", "is_number", "labels", "parsed", "points", "wanted"]


def chosen(table: Table, key: str | None) -> Table:
    """The table with the columns that a key asks for, a,b,c; all where there is none."""
    return table if key is None else replace(table, chosen=tuple(name.strip() for name in key.split(",")))


def points(table: Table, label: str | None = None) -> Raw:
    """The chosen columns as points, all but the labels where none is chosen, and one more as labels.

    Args:
        table: The table.
        label: Name of the column of labels, or None.

    Raises:
        DataError: If a column is missing, or a cell is no finite number; line and column are named.
    """
    known = None if label is None else labels(table, label)
    names = wanted(table, label)
    values = [_column(table, name) for name in names]
    enough(len(table.lines), str(table.path), 1)  # who learns from them asks for more
    found = [_numbers(column) for column in values]
    text = [name for name, numbers in zip(names, found, strict=True) if numbers is None]
    if text:
        _refuse_text(table, names, text)
    x = _stacked([numbers for numbers in found if numbers is not None], str(table.path))
    _finite(table, x, names)
    return Raw(str(table.path), "points", x, labels=known, columns=names, kinds=_kinds(table, names), label=label)


def _kinds(table: Table, names: tuple[str, ...]) -> tuple[ColumnKind, ...]:
    """What the columns hold; numbers read the fast way are whole where all of them are."""
    found: list[ColumnKind] = []
    for name in names:
        column = table.columns[table.at[name]]
        kind = table.kind(name)
        plain = kind == "number" and name not in table.declared and isinstance(column, np.ndarray)
        found.append("whole" if plain and _all_whole(np.asarray(column)) else kind)
    return tuple(found)


def _all_whole(column: np.ndarray) -> bool:
    return all(bool(np.all(block == np.rint(block))) for block in blocks(column))


def _stacked(columns: list[np.ndarray], place: str) -> np.ndarray:
    """Columns side by side, (n, d): float64 in memory; on the disk, of the type that holds all, where one is mapped."""
    if not any(map(is_mapped, columns)):
        return np.stack([np.asarray(column, np.float64) for column in columns], axis=1)
    shape = (len(columns[0]), len(columns))
    if peak(shape, np.dtype(np.float64)) <= budget():
        return np.stack([np.asarray(column, np.float64) for column in columns], axis=1)
    out = mapped(shape, np.result_type(np.float32, *(column.dtype for column in columns)), place)
    for part in spans(out):
        for j, column in enumerate(columns):
            out[part, j] = column[part]
        written(out)
    return out


def wanted(table: Table, label: str | None = None) -> tuple[str, ...]:
    """Names of the columns that were chosen, or of all but the labels.

    Raises:
        DataError: If none is left, or one is missing or named twice.
    """
    names = table.chosen or tuple(name for name in table.names if name != label)
    if not names:
        raise DataError(f"{table.path}: no column is left to learn from: add columns of numbers")
    if len(set(names)) < len(names):
        raise DataError(f"{table.path}: a column is named twice in {','.join(names)!r}: name each column once")
    for name in names:
        _column(table, name)
    return names


def parsed(table: Table, names: tuple[str, ...]) -> dict[str, np.ndarray | list[str]]:
    """The chosen columns, each as finite float64 (n,) or, where most cells are no numbers, as words.

    Columns of true and false are 1 and 0.

    Raises:
        DataError: If a cell is empty, no number among numbers, or not finite; line and column are named.
    """
    out: dict[str, np.ndarray | list[str]] = {}
    for name in names:
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
        counted = values.dtype.kind == "f" and name not in table.declared and np.isfinite(values).all()
        return np.asarray(values, np.int64) if counted and _all_whole(values) else np.asarray(values)
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
    if name in table.at:
        return table.columns[table.at[name]]
    hint = meant(name, table.names, repr)
    raise DataError(f"{table.path}: no column named {name!r}: {hint}the columns are {', '.join(table.names[:20])}")


def is_number(cell: str) -> bool:
    """Whether a cell can be read as a number."""
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _numbers(values: Column) -> np.ndarray | None:
    """The column as float64, or None if a cell is no number; a mapped one as it is."""
    if isinstance(values, np.ndarray) and is_mapped(values):
        return values
    try:
        return np.array(values, np.float64)
    except ValueError:
        return None


def _refuse_text(table: Table, names: tuple[str, ...], text: list[str]) -> None:
    """Raise for columns with cells that are no numbers: by cell where most are numbers, by column otherwise."""
    good = [name for name in names if name not in text]
    remedy = f"choose columns, {table.path}:{','.join(good[:6])}" if good else "encode them as numbers"
    for name in text:
        _refuse_cell(table, name, remedy)
    plural = "s" if len(text) > 1 else ""
    named = ", ".join(map(repr, text[:6]))
    raise DataError(f"{table.path}: column{plural} {named} hold{'' if plural else 's'} text, not numbers: {remedy}")


def _refuse_cell(table: Table, name: str, remedy: str) -> None:
    """Raise for a column of numbers in which some cells are none."""
    cells = _column(table, name)
    words = {cell for cell in set(cells) if not is_number(cell)}
    wrong = [i for i, cell in enumerate(cells) if cell in words]
    if 2 * len(wrong) <= len(cells):
        cell, line = cells[wrong[0]], table.lines[wrong[0]]
        what = f"{cell!r} is not a number" if cell else "the cell is empty"
        point = " (decimals take a point)" if "," in cell else ""
        raise DataError(f"{table.path}: {table.unit} {line}, column {name!r}: {what}{point}: correct it, or {remedy}")


def _finite(table: Table, x: np.ndarray, names: tuple[str, ...]) -> None:
    first, count = None, 0
    for part in spans(x):
        bad = np.argwhere(~np.isfinite(x[part]))
        count += len(bad)
        if first is None and len(bad):
            first = part.start + int(bad[0][0]), int(bad[0][1])
    if first is not None:
        row, column = first
        raise DataError(
            f"{table.path}: {table.unit} {table.lines[row]}, column {names[column]!r} is {x[row, column]} "
            f"({count} of {x.size} cells are not finite): remove these rows or fill the cells"
        )
