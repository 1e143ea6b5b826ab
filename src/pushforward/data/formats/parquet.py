"""Tables in Parquet files."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from pushforward.data.formats.contents import Column, ColumnKind, Contents, Table
from pushforward.data.formats.table import chosen, labels
from pushforward.data.raw import brief, budget
from pushforward.errors import DataError, UsageError

__all__ = ["read"]


def read(path: Path, key: str | None = None) -> Contents:
    """What a Parquet file holds; an index that pandas stored is left out.

    Args:
        path: The file.
        key: Names of columns, a,b,c; all where it is left out.

    Raises:
        UsageError: If pyarrow is not installed.
        DataError: If the file is damaged or too large for the memory.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except Exception as error:
        raise UsageError(f"{path}: reading Parquet needs pyarrow: pip install pyarrow") from error
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
    columns, declared = list[Column](), dict[str, ColumnKind]()
    for name in named:
        column = table.column(name)
        declared[name] = kind = _kind(pyarrow.types, column.type)
        if kind in ("number", "whole", "truth"):
            columns.append(column.to_numpy())
        else:
            columns.append(["" if value is None else str(value) for value in column.to_pylist()])
    found = Table(path, tuple(named), tuple(columns), range(table.num_rows), "row", declared=declared)
    left = len(table.column_names) - len(named)
    notes = ("an index that pandas stored is left out",) if left and key is None else ()
    return Contents(str(path), chosen(found, key), found.names, partial(labels, found), notes=notes)


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
