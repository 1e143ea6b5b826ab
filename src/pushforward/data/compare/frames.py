"""Data frames in memory, of pandas or polars, as tables: what a file of theirs would hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from pushforward.data.columns.dates import days
from pushforward.data.formats.contents import Column, Declared, Table
from pushforward.errors import DataError

__all__ = ["frame"]


def frame(data: Any, place: str) -> Table:
    """The table of a data frame; missing cells become empty ones.

    Raises:
        DataError: If there is no row, two columns share a name, or one holds durations or complex numbers.
    """
    names = tuple(map(str, data.columns))
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise DataError(f"{place}: two columns are named {twice!r}: give every column its own name")
    if not names or not len(data):
        raise DataError(f"{place}: a table of {len(data)} rows and {len(names)} columns: add rows")
    columns, declared = list[Column](), dict[str, Declared]()
    for name in data.columns:
        values = np.asarray(_in_utc(data[name]))
        if values.dtype.kind == "M":
            declared[str(name)] = "microsecond"
        columns.append(_column(values, place, str(name)))
    return Table(Path(place), names, tuple(columns), range(len(data)), "row", declared=declared)


def _in_utc(column: Any) -> Any:
    """A column of pandas whose dates name a zone as those of UTC without; any other as it is."""
    return (
        column.dt.tz_convert(None)
        if str(column.dtype).startswith("datetime64[") and "," in str(column.dtype)
        else column
    )


def _column(values: np.ndarray, place: str, name: str) -> Column:
    if values.dtype.kind in "biuf":
        return values
    if values.dtype.kind == "M":
        return days(values)
    if values.dtype.kind in "OUST":
        return ["" if _missing(value) else str(value).strip() for value in values.tolist()]
    what = "complex numbers" if values.dtype.kind == "c" else "durations"
    raise DataError(f"{place}: column {name!r} holds {what}: turn it into numbers, or leave it out")


def _missing(value: Any) -> bool:
    """Whether a cell is None, NaN or any other value that does not equal itself."""
    try:
        return value is None or bool(value != value)
    except TypeError:  # pandas.NA refuses to be true or false
        return True
