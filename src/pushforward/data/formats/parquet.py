"""Tables in Parquet files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, overload

import numpy as np

from pushforward import files
from pushforward.data.blocks.limits import budget, peak
from pushforward.data.blocks.scratch import Room, held, mapped, spans, written
from pushforward.data.columns.dates import days
from pushforward.data.formats.contents import Column, Contents, Declared, Table
from pushforward.data.formats.table import chosen, is_row_number, labels
from pushforward.data.raw import brief
from pushforward.errors import DataError, UsageError, needs, of_memory
from pushforward.plain.kinds import DATES
from pushforward.plain.sizes import size

__all__ = ["names", "read"]

ROWS = 1 << 18  # of a column that are read at a time
NUMBERS: tuple[Declared, ...] = ("number", "whole", "truth", *DATES)
UNNAMED = "__index_level_"  # what pandas calls an index without a name


def read(path: Path, key: str | None = None, room: Room = held) -> Contents:
    """What a Parquet file holds; an index that pandas stored is left out unless it is named.

    A column of lists of equally many numbers, as of embeddings, is as many columns: emb[0], emb[1], ...

    A table within the budget is read at once, another one column by column, as they are asked for.

    Args:
        path: The file.
        key: Names of columns, a,b,c; all where it is left out.
        room: Where columns of numbers are put.

    Raises:
        UsageError: If pyarrow is not installed.
        DataError: If the file is damaged or too large for the memory.
    """
    with needs("pyarrow", f"{path}: reading Parquet"):
        import pyarrow
        import pyarrow.parquet
    with _damage(path), pyarrow.parquet.ParquetFile(path) as file:
        n, schema = file.metadata.num_rows, file.schema_arrow
        index = _index(schema)
        stored = [name for name in schema.names if not name.startswith(UNNAMED)]
        if len(set(stored)) < len(stored):
            raise DataError(f"{path}: two columns share a name: give every column its own name")
        columns: Sequence[Column]
        parts: dict[str, dict[str, Column]] = {}
        declared: dict[str, Declared] = {name: _kind(pyarrow.types, schema.field(name).type) for name in stored}
        many = len(set(map(str.strip, key.split(","))) & set(stored)) if key else len(stored)
        if room is held and 8 * n * many > budget():
            need = size(8 * n * many)
            raise DataError(f"{path}: the table needs {need} of memory: save fewer rows or columns")
        if peak((n, file.metadata.num_columns), np.dtype(np.float64)) <= budget():
            table = file.read()
            asked = set(stored) if key is None else {name.strip().partition("[")[0] for name in key.split(",")}
            lists = {name for name in stored if name in asked and _is_list(pyarrow.types, schema.field(name).type)}
            if lists and (need := 8 * _leaves(file.metadata)) > budget():
                raise DataError(f"{path}: the lists need {size(need)} of memory: save fewer rows or columns")
            parts = {name: _parts(table.column(name), path, name) for name in lists}
            key = None if key is None else _with_parts(key, parts)
            declared |= {one: "number" for some in parts.values() for one in some}
            held_columns = dict[str, Column]()
            for name in stored:
                held_columns |= parts.get(name) or {name: _column(table.column(name), declared[name])}
            stored, columns = list(held_columns), tuple(held_columns.values())
        else:
            large = peak((n, many), np.dtype(np.float64)) > budget()
            columns = _Lazy(path, file.metadata, stored, declared, mapped if large else None)
    aside = frozenset(name for name in stored if name in index or is_row_number(name))
    found = Table(path, tuple(stored), columns, range(n), "row", declared=declared, aside=aside)
    left = ", ".join(name for name in index if name in aside)
    notes = [f"the index that pandas stored is left out unless it is named: {left}"] if left else []
    notes += ["an index that pandas stored is left out"] if len(schema.names) > len(stored) else []
    notes += [f"the lists of {name} are {len(some)} columns, {name}[0] and on" for name, some in parts.items()]
    notes += [f"taken for row numbers and left out: {name}" for name in stored if is_row_number(name)]
    shown = tuple(notes) if key is None else ()
    return Contents(str(path), chosen(found, key), found.names, partial(labels, found), notes=shown)


def _index(schema: Any) -> tuple[str, ...]:
    """Columns that are the index of a frame of pandas, as the file says; nothing where it says so to nobody."""
    try:
        about = schema.pandas_metadata or {}
        return tuple(name for name in about.get("index_columns", ()) if isinstance(name, str) and name in schema.names)
    except (AttributeError, TypeError, ValueError):  # what a file says of itself may be anything
        return ()


def names(path: Path, *, every: bool = False) -> tuple[str, ...]:
    """The names of the columns that are taken unasked, without reading a row; empty where the file cannot be read.

    Args:
        path: The file.
        every: Also those of an index and of row numbers, which are taken by their names alone.
    """
    try:
        import pyarrow.parquet
    except Exception:  # whoever reads the file says so
        return ()
    with suppress(DataError), _damage(path), pyarrow.parquet.ParquetFile(path) as file:
        schema = file.schema_arrow
        stored = [name for name in schema.names if not name.startswith(UNNAMED)]
        aside = () if every else (*_index(schema), *filter(is_row_number, stored))
        fixed = {name: schema.field(name).type for name in stored}
        sizes = {name: kind.list_size for name, kind in fixed.items() if pyarrow.types.is_fixed_size_list(kind)}
        left = (name for name in stored if name not in aside)
        several = {name: tuple(f"{name}[{k}]" for k in range(many)) for name, many in sizes.items()}
        return tuple(one for name in left for one in several.get(name, (name,)))
    return ()


@contextmanager
def _damage(path: Path) -> Iterator[None]:
    """Within, a file is read that may be damaged; a full memory or disk is no fault of it.

    Raises:
        DataError: In place of what pyarrow raises then.
    """
    import pyarrow

    try:
        yield
    except (DataError, UsageError):
        raise
    except (pyarrow.ArrowException, OSError, ValueError, ArithmeticError) as error:  # also a date in the year 20,000
        if of_memory(error) or files.is_full(error):
            raise
        raise DataError(f"{path}: not a readable Parquet file ({brief(error)}): write it again") from error


def _column(column: Any, kind: Declared) -> Column:
    """A column of pyarrow as numbers, or as text that is empty where it is null."""
    if kind in NUMBERS:
        return _numbers(column, kind)
    same: dict[str, str] = {}
    cells = ("" if value is None else str(value) for value in column.to_pylist())
    return [same.setdefault(cell, cell) for cell in cells]


def _is_list(types: Any, kind: Any) -> bool:
    """Whether a type of pyarrow is one of lists of numbers."""
    several = types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)
    return several and (types.is_integer(kind.value_type) or types.is_floating(kind.value_type))


def _leaves(metadata: Any) -> int:
    """Values in all columns of a file, those in lists each."""
    groups = (metadata.row_group(i) for i in range(metadata.num_row_groups))
    return sum(group.column(j).num_values for group in groups for j in range(group.num_columns))


def _with_parts(key: str, parts: Mapping[str, Mapping[str, Column]]) -> str:
    """Names of columns, a,b,c, with those of lists replaced by the columns that they are."""
    names = (name.strip() for name in key.split(","))
    return ",".join(one for name in names for one in parts.get(name, (name,)))


def _parts(column: Any, path: Path, name: str) -> dict[str, Column]:
    """A column of lists of pyarrow as columns of numbers, by their names.

    Raises:
        DataError: If the lists differ in length, or one is missing.
    """
    from pyarrow.compute import call_function

    lengths = np.asarray(call_function("list_value_length", [column]).to_numpy(zero_copy_only=False), np.float64)
    wrong = np.flatnonzero(~(lengths == lengths[:1]))
    if len(wrong):
        row = int(wrong[0])
        what = "no list" if np.isnan(lengths[row]) else f"{lengths[row]:.0f} numbers"
        raise DataError(
            f"{path}: row {row}, column {name!r} holds {what}, row 0 {lengths[0]:.0f}: give every row equally many, or "
            f"choose columns without it, {path}:a,b"
        )
    flat = np.asarray(call_function("list_flatten", [column]).to_numpy(zero_copy_only=False), np.float64)
    rows = flat.reshape(len(lengths), -1) if len(lengths) else flat.reshape(0, 1)
    return {f"{name}[{k}]": np.ascontiguousarray(part) for k, part in enumerate(rows.T)}


def _numbers(column: Any, kind: Declared) -> np.ndarray:
    """A column of pyarrow, or a part of it, as numbers; what is missing is NaN or None."""
    import pyarrow

    if kind in DATES:
        fine = pyarrow.timestamp("us", getattr(column.type, "tz", None))
        return days(np.asarray(column.cast(fine, safe=False).to_numpy(zero_copy_only=False), "datetime64[us]"))
    if pyarrow.types.is_decimal(column.type):
        column = column.cast(pyarrow.float64())
    return np.asarray(column.to_numpy(zero_copy_only=False))


class _Lazy(Sequence[Column]):
    """Columns that are read when they are asked for, a group of rows at a time, and kept.

    Attributes:
        room: Where numbers are put; in memory where it is None.
    """

    def __init__(
        self, path: Path, metadata: Any, names: list[str], kinds: dict[str, Declared], room: Room | None
    ) -> None:
        self.path, self.metadata, self.names, self.kinds, self.room = path, metadata, names, kinds, room
        self.kept: dict[int, Column] = {}

    def __len__(self) -> int:
        return len(self.names)

    @overload
    def __getitem__(self, index: int) -> Column: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Column]: ...

    def __getitem__(self, index: int | slice) -> Column | Sequence[Column]:
        if isinstance(index, slice):
            return [self[j] for j in range(*index.indices(len(self)))]
        if index not in self.kept:
            self.kept[index] = self._read(self.names[index])
        return self.kept[index]

    def _read(self, name: str) -> Column:
        import pyarrow.parquet

        kind, done = self.kinds[name], 0
        with _damage(self.path), pyarrow.parquet.ParquetFile(self.path, metadata=self.metadata) as file:
            if self.room is None or kind not in NUMBERS:
                words = list[str]()
                if kind in NUMBERS:
                    return _column(file.read(columns=[name]).column(name), kind)
                for batch in file.iter_batches(columns=[name]):
                    words += _column(batch.column(0), kind)
                return words
            out: np.ndarray | None = None
            for batch in file.iter_batches(ROWS, columns=[name]):
                part = _numbers(batch.column(0), kind)
                if out is None or (part.dtype != out.dtype and part.dtype.kind in "fO"):  # the first null, as NaN
                    wider = part.astype(np.float64) if part.dtype == object else part
                    fresh = self.room((self.metadata.num_rows,), wider.dtype, str(self.path))
                    for some in spans(fresh[:done]):
                        fresh[some] = 0 if out is None else out[some]
                    out = fresh
                out[done : done + len(part)] = part
                done += len(part)
                written(out)
        return np.empty(0) if out is None else out


def _kind(types: Any, kind: Any) -> Declared:
    """What pyarrow's type of a column means."""
    if types.is_boolean(kind):
        return "truth"
    if types.is_integer(kind):
        return "whole"
    if types.is_floating(kind) or types.is_decimal(kind):
        return "number"
    if types.is_dictionary(kind):
        return "category"
    if types.is_timestamp(kind) or types.is_date(kind):
        return "day" if types.is_date32(kind) else "microsecond"  # at most as fine; its cells say how fine
    if types.is_duration(kind) or types.is_time(kind):
        return "duration" if types.is_duration(kind) else "time of day"
    return "list or object" if types.is_nested(kind) else "word"
