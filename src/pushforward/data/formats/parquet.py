"""Tables in Parquet files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, overload

import numpy as np

from pushforward.data.blocks.limits import budget, peak
from pushforward.data.blocks.scratch import Room, held, mapped, size, spans, written
from pushforward.data.formats.contents import Column, ColumnKind, Contents, Table
from pushforward.data.formats.table import chosen, labels
from pushforward.data.raw import brief
from pushforward.errors import DataError, needs

__all__ = ["names", "read"]

ROWS = 1 << 18  # of a column that are read at a time


def read(path: Path, key: str | None = None, room: Room = held) -> Contents:
    """What a Parquet file holds; an index that pandas stored is left out.

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
        stored = [name for name in schema.names if not name.startswith("__index_level_")]
        if len(set(stored)) < len(stored):
            raise DataError(f"{path}: two columns share a name: give every column its own name")
        declared: dict[str, ColumnKind] = {name: _kind(pyarrow.types, schema.field(name).type) for name in stored}
        many = len(set(key.split(",")) & set(stored)) if key else len(stored)
        if room is held and 8 * n * many > budget():
            need = size(8 * n * many)
            raise DataError(f"{path}: the table needs {need} of memory: save fewer rows or columns")
        if peak((n, file.metadata.num_columns), np.dtype(np.float64)) <= budget():
            table = file.read()
            columns: Sequence[Column] = tuple(_column(table.column(name), declared[name]) for name in stored)
        else:
            large = peak((n, many), np.dtype(np.float64)) > budget()
            columns = _Lazy(path, file.metadata, stored, declared, mapped if large else None)
    found = Table(path, tuple(stored), columns, range(n), "row", declared=declared)
    left = len(schema.names) - len(stored)
    notes = ("an index that pandas stored is left out",) if left and key is None else ()
    return Contents(str(path), chosen(found, key), found.names, partial(labels, found), notes=notes)


def names(path: Path) -> tuple[str, ...]:
    """The names of the columns, without reading a row; empty where the file cannot be read."""
    try:
        import pyarrow.parquet
    except Exception:  # whoever reads the file says so
        return ()
    with suppress(DataError), _damage(path), pyarrow.parquet.ParquetFile(path) as file:
        return tuple(name for name in file.schema_arrow.names if not name.startswith("__index_level_"))
    return ()


@contextmanager
def _damage(path: Path) -> Iterator[None]:
    import pyarrow

    try:
        yield
    except DataError:
        raise
    except (pyarrow.ArrowException, OSError, ValueError, ArithmeticError) as error:  # also a date in the year 20,000
        raise DataError(f"{path}: not a readable Parquet file ({brief(error)}): write it again") from error


def _column(column: Any, kind: ColumnKind) -> Column:
    """A column of pyarrow as numbers, or as text that is empty where it is null."""
    if kind in ("number", "whole", "truth"):
        return column.to_numpy()
    same: dict[str, str] = {}
    cells = ("" if value is None else str(value) for value in column.to_pylist())
    return [same.setdefault(cell, cell) for cell in cells]


class _Lazy(Sequence[Column]):
    """Columns that are read when they are asked for, a group of rows at a time, and kept.

    Attributes:
        room: Where numbers are put; in memory where it is None.
    """

    def __init__(
        self, path: Path, metadata: Any, names: list[str], kinds: dict[str, ColumnKind], room: Room | None
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
            if self.room is None or kind not in ("number", "whole", "truth"):
                words = list[str]()
                if kind in ("number", "whole", "truth"):
                    return _column(file.read(columns=[name]).column(name), kind)
                for batch in file.iter_batches(columns=[name]):
                    words += _column(batch.column(0), kind)
                return words
            out: np.ndarray | None = None
            for batch in file.iter_batches(ROWS, columns=[name]):
                part = np.asarray(batch.column(0).to_numpy(zero_copy_only=False))
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


def _kind(types: Any, kind: Any) -> ColumnKind:
    """What pyarrow's type of a column means."""
    if types.is_boolean(kind):
        return "truth"
    if types.is_integer(kind):
        return "whole"
    if types.is_floating(kind):
        return "number"
    if types.is_dictionary(kind):
        return "category"
    return "date" if types.is_temporal(kind) else "word"
