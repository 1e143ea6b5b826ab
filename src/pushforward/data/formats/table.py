"""Columns of a table as numbers, words or labels; what is wrong is said by line and column."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import get_args

import numpy as np

from pushforward.data.blocks.limits import budget, peak
from pushforward.data.blocks.lines import padded
from pushforward.data.blocks.scratch import blocks, is_mapped, mapped, spans, written
from pushforward.data.columns.dates import dated, resolution
from pushforward.data.columns.missing import ALWAYS, AMONG, partly
from pushforward.data.columns.separated import Written, lists
from pushforward.data.columns.storage import EXACT, whole
from pushforward.data.columns.text import Quantity, fault, is_value, quantity, refusal
from pushforward.data.formats.contents import Column, Declared, Table
from pushforward.data.raw import Raw, enough
from pushforward.errors import DataError, meant
from pushforward.plain.kinds import DATES, FIRST, LAST, ColumnKind, is_number
from pushforward.plain.lists import listed

__all__ = ["chosen", "is_row_number", "labels", "parsed", "points", "stacked", "wanted"]

NEVER: tuple[Declared, ...] = ("category", "duration", "time of day", "list or object")  # declared, and no quantity
QUANTITIES: tuple[ColumnKind, ...] = get_args(ColumnKind)
TYPES: Mapping[str, ColumnKind] = {"b": "truth", "i": "whole", "u": "whole"}
Parsed = np.ndarray | list[str] | Written
REMEDY = {
    "duration": "save them as seconds",
    "time of day": "save them as seconds since midnight",
    "list or object": "save their parts as columns",
}


def chosen(table: Table, key: str | None) -> Table:
    """The table with the columns that a key asks for, a,b,c; all where there is none."""
    return table if key is None else replace(table, chosen=tuple(name.strip() for name in key.split(",")))


def is_row_number(name: str) -> bool:
    """Whether a column is called as pandas calls a first one without a name, which holds row numbers."""
    return name == "Unnamed: 0"


def points(table: Table, label: str | None = None) -> Raw:
    """The chosen columns as points, all but the labels where none is chosen, and one more as labels.

    Args:
        table: The table.
        label: Name of the column of labels, or None.

    Raises:
        DataError: If a column is missing or no quantity, or a cell is no finite number; line and column are named.
    """
    known = None if label is None else labels(table, label)
    names = wanted(table, label)
    enough(len(table.lines), str(table.path), 1)  # who learns from them asks for more
    found = {name: _quantity(table, name) for name in names}
    read = {name: column for name, column in found.items() if column is not None}
    if len(read) < len(names):
        _refuse_text(table, names, [name for name in names if name not in read], labelled=label is not None)
    x = stacked([column.values for column in read.values()], str(table.path))
    _finite(table, x, names)
    kinds: dict[str, ColumnKind] = {name: _kind(table, name, column) for name, column in read.items()}
    notes = _notes(table, read, kinds)
    return Raw(
        str(table.path), "points", x, labels=known, columns=names, notes=notes, kinds=tuple(kinds.values()), label=label
    )


def _quantity(table: Table, name: str) -> Quantity | None:
    """A column as numbers, mapped ones as they are; None where it holds none."""
    column, declared = _column(table, name), table.declared.get(name)
    if isinstance(column, list):
        if len(column) < len(table.lines):
            raise DataError(
                f"{table.path}: column {name!r} holds too many different words to be kept in memory: leave it out, or "
                "save the table as .parquet if they are numbers or dates"
            )
        return None if declared in NEVER else quantity(column, table.mark)
    kind: ColumnKind | None = next((known for known in QUANTITIES if known == declared), None)
    kind = kind or TYPES.get(column.dtype.kind) or "number"
    if is_mapped(column):
        return Quantity(column, kind)
    try:
        return Quantity(np.asarray(column, np.float64), kind)
    except (TypeError, ValueError):
        return None


def _kind(table: Table, name: str, column: Quantity) -> ColumnKind:
    """What a column holds: numbers that were read the fast way are whole where all are, dates as fine as they are."""
    if column.kind in DATES:
        for part in spans(column.values):
            wrong = np.flatnonzero((column.values[part] < FIRST) | (column.values[part] > LAST))
            if wrong.size:
                where = f"{table.unit} {table.lines[part.start + int(wrong[0])]}, column {name!r}"
                raise DataError(f"{table.path}: {where}: no date of the years 1 to 9999: correct it or remove the row")
        return column.kind if column.kind == "day" else resolution(column.values)
    fast = column.kind == "number" and name not in table.declared and isinstance(_column(table, name), np.ndarray)
    return "whole" if fast and _all_whole(column.values) else column.kind


def _notes(table: Table, read: Mapping[str, Quantity], kinds: Mapping[str, ColumnKind]) -> tuple[str, ...]:
    """What was taken for granted in reading columns as quantities."""
    said: dict[str, list[str]] = {}
    for name, column in read.items():
        kind = kinds[name]
        if kind == "truth":
            said.setdefault("true and false are 1 and 0", []).append(name)
        elif kind in DATES:
            said.setdefault("dates are days since 1970-01-01", []).append(f"{name} (to the {kind})")
        elif table.declared.get(name) == "word":
            said.setdefault("columns of text that hold numbers", []).append(name)
        if kind == "whole" and any(bool((np.abs(block) > EXACT).any()) for block in blocks(column.values)):
            said.setdefault("whole numbers beyond 2^53 lose their last digits", []).append(name)
        if column.how:
            said.setdefault(column.how, []).append(name)
    return tuple(f"{what}: {', '.join(names)}" for what, names in said.items())


def _all_whole(column: np.ndarray) -> bool:
    return all(bool(np.all(block == np.rint(block))) for block in blocks(column))


def stacked(columns: list[np.ndarray], place: str) -> np.ndarray:
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
    names = table.chosen or tuple(name for name in table.names if name != label and name not in table.aside)
    if not names:
        raise DataError(f"{table.path}: no column is left to learn from: add columns of numbers")
    if len(set(names)) < len(names):
        raise DataError(f"{table.path}: a column is named twice in {','.join(names)!r}: name each column once")
    for name in names:
        _column(table, name)
    return names


def parsed(table: Table, names: tuple[str, ...]) -> tuple[dict[str, Parsed], dict[str, np.ndarray], tuple[str, ...]]:
    """The chosen columns, each as float64 (n,), as numbers with separators, or, where it is none, as words.

    Beside them those of whole numbers beyond 2^53 exactly, where they are known; and notes. A missing cell is NaN among
    numbers and "" among words. Who compares columns says how separators were read and what of whole numbers is lost.

    Raises:
        DataError: If a cell is no number among numbers, is infinite, or is missing in a column that is not in memory;
            line and column are named.
    """
    out: dict[str, Parsed] = {}
    read, stands = dict[str, Quantity](), dict[str, list[str]]()
    for name in names:
        column, never = _column(table, name), table.declared.get(name) in NEVER
        if isinstance(column, list) and len(column) == len(table.lines) and not never:
            found, words = partly(column, table.mark)
        else:
            found, words = tuple(filter(None, (_quantity(table, name),))), frozenset[str]()
        if odd := sorted(filter(None, words if found else ())):
            stands.setdefault(", ".join(map(repr, odd)), []).append(name)
        for one in found:
            if is_mapped(one.values):
                _finite(table, one.values[:, None], (name,))
            _bounded(table, one.values, name)
        if found and found[0].separated:
            cells = ["" if cell in words else cell for cell in map(str, column)]
            how = tuple(one.how for one in found)
            out[name] = Written(cells, tuple(one.values for one in found), how, table.mark == ";")
            continue
        if found:
            out[name], read[name] = found[0].values, found[0]
            continue
        cells = ["" if cell.lower() in ALWAYS else cell for cell in map(str, column)]
        if not any(cells):
            out[name] = np.full(len(cells), np.nan)
            continue
        if not never:
            _refuse_cell(table, name, f"choose columns, {table.path}:a,b", missing=True)
        out[name] = cells
    exact = {
        name: counts
        for name, one in read.items()
        if one.kind not in DATES and not is_mapped(one.values)
        if (counts := whole(_column(table, name), one.values)) is not None
    }
    kinds: dict[str, ColumnKind] = {name: _kind(table, name, one) for name, one in read.items()}
    kinds |= dict.fromkeys(exact, "number")  # who compares them says what is lost
    notes = _notes(table, read, kinds)
    return (
        out,
        exact,
        (*notes, *(f"{words} counts as an empty cell: {', '.join(some)}" for words, some in stands.items())),
    )


def _bounded(table: Table, x: np.ndarray, name: str) -> None:
    if is_mapped(x):
        return  # these were looked at a block at a time
    wrong = np.flatnonzero(np.isinf(x))
    if len(wrong):
        raise DataError(
            f"{table.path}: {table.unit} {table.lines[int(wrong[0])]}, column {name!r} is {x[wrong[0]]} "
            f"({len(wrong)} of {len(x)} cells are infinite): remove these rows or leave the cells empty"
        )


def labels(table: Table, name: str) -> np.ndarray:
    """One column as labels, (n,): whole numbers where all cells are, else numbers, else text, as 007 and 20 digits are.

    Raises:
        DataError: If there is no such column or a cell is empty.
    """
    values = _column(table, name)
    if isinstance(values, np.ndarray):
        if table.declared.get(name) in DATES and np.isfinite(values).all():
            return np.datetime_as_string(dated(np.asarray(values), resolution(values)))
        counted = values.dtype.kind == "f" and name not in table.declared and np.isfinite(values).all()
        return np.asarray(values, np.int64) if counted and _all_whole(values) else np.asarray(values)
    if "" in values:
        line = table.lines[values.index("")]
        raise DataError(
            f"{table.path}: {table.unit} {line}, column {name!r}: the label is empty: fill it or remove the row"
        )
    if padded(set(values)):
        return np.array(values)
    try:
        if any("_" in value for value in set(values)):
            return np.array(values)
        return np.array([int(value) for value in values], np.int64)
    except OverflowError:  # identifiers of 20 digits, of which two may be the same float
        return np.array(values)
    except ValueError:
        return np.array(values, np.float64) if all(map(is_number, set(values))) else np.array(values)


def _column(table: Table, name: str) -> Column:
    if name in table.at:
        return table.columns[table.at[name]]
    hint = meant(name, table.names, repr)
    raise DataError(f"{table.path}: no column named {name!r}: {hint}the columns are {listed(table.names, 20)}")


def _refuse_text(table: Table, names: tuple[str, ...], text: list[str], *, labelled: bool) -> None:
    """Raise for columns that are no quantities: by cell where most cells are, by column and cause otherwise."""
    good = [name for name in names if name not in text]
    remedy = f"choose columns, {table.path}:{','.join(good)}" if good else "encode them as numbers"
    for name in text:
        declared, cells = table.declared.get(name), list(map(str, _column(table, name)))
        if declared in REMEDY:
            raise DataError(f"{table.path}: column {name!r} holds a {declared}: {REMEDY[declared]}, or {remedy}")
        if declared != "category":
            _refuse_cell(table, name, remedy)
        what, own = refusal(cells, "" if labelled or not good else f"--labels {name}")
        if what:
            raise DataError(f"{table.path}: column {name!r} holds {what}: {own}, or {remedy}")
    plural = "s" if len(text) > 1 else ""
    named = listed(list(map(repr, text)))
    cell = next((str(cell) for cell in _column(table, text[0]) if str(cell)), "")
    shown = f" such as {cell!r:.40}" if cell else ""
    raise DataError(
        f"{table.path}: column{plural} {named} hold{'' if plural else 's'} text, not numbers{shown}: {remedy}"
    )


def _refuse_cell(table: Table, name: str, remedy: str, *, missing: bool = False) -> None:
    """Raise for a column of quantities in which some cells are none; those that are missing may be no fault."""
    cells = list(map(str, _column(table, name)))
    if missing:
        filler = next((cell for cell in dict.fromkeys(cells) if is_value(cell)), "")  # few words, many cells
        cells = [filler if cell.lower() in AMONG else cell for cell in cells]
        if lists(cells):
            return
    if found := fault(cells):
        row, what = found
        raise DataError(f"{table.path}: {table.unit} {table.lines[row]}, column {name!r}: {what}, or {remedy}")


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
