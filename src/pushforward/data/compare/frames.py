"""Data frames in memory, of pandas or polars, as tables: what a file of theirs would hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from pushforward.data.formats.contents import Column, Table
from pushforward.errors import DataError

__all__ = ["frame"]


def frame(data: Any, place: str) -> Table:
    """The table of a data frame; missing cells become empty ones.

    Raises:
        DataError: If there is no row, two columns share a name, or one holds dates.
    """
    names = tuple(map(str, data.columns))
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise DataError(f"{place}: two columns are named {twice!r}: give every column its own name")
    if not names or not len(data):
        raise DataError(f"{place}: a table of {len(data)} rows and {len(names)} columns: add rows")
    columns = tuple(_column(np.asarray(data[name]), place, str(name)) for name in data.columns)
    return Table(Path(place), names, columns, range(len(data)), "row")


def _column(values: np.ndarray, place: str, name: str) -> Column:
    if values.dtype.kind in "biuf":
        return values
    if values.dtype.kind in "OUST":
        return ["" if _missing(value) else str(value).strip() for value in values.tolist()]
    what = "complex numbers" if values.dtype.kind == "c" else "dates or durations"
    raise DataError(f"{place}: column {name!r} holds {what}: turn it into numbers, or leave it out")


def _missing(value: Any) -> bool:
    """Whether a cell is None, NaN or any other value that does not equal itself."""
    try:
        return value is None or bool(value != value)
    except TypeError:  # pandas.NA refuses to be true or false
        return True
