"""Data frames in memory, of pandas or polars, as tables: what a file of theirs would hold.

A column of lists of equally many numbers, as of embeddings, is as many columns: emb[0], emb[1], ...
"""

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
        DataError: If there is no row, two columns share a name, or one holds durations, complex numbers or lists of
            unequal length.
    """
    names = tuple(map(str, data.columns))
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise DataError(f"{place}: two columns are named {twice!r}: give every column its own name")
    if not names or not len(data):
        raise DataError(f"{place}: a table of {len(data)} rows and {len(names)} columns: add rows")
    columns, declared, called = list[Column](), dict[str, Declared](), list[str]()
    for name in data.columns:
        values = np.asarray(_in_utc(data[name]))
        if (parts := _parts(values, place, str(name))) is not None:
            columns += list(parts.T)
            called += [f"{name}[{k}]" for k in range(parts.shape[1])]
            continue
        called.append(str(name))
        if values.dtype.kind == "M":
            declared[str(name)] = "microsecond"
        columns.append(_column(values, place, str(name)))
    return Table(Path(place), tuple(called), tuple(columns), range(len(data)), "row", declared=declared)


def _in_utc(column: Any) -> Any:
    """A column of pandas whose dates name a zone as those of UTC without; any other as it is."""
    return (
        column.dt.tz_convert(None)
        if str(column.dtype).startswith("datetime64[") and "," in str(column.dtype)
        else column
    )


def _parts(values: np.ndarray, place: str, name: str) -> np.ndarray | None:
    """A column of lists or arrays of numbers as columns of its own, (n, k), or None where it is another.

    Raises:
        DataError: If the lists differ in length, or hold something else.
    """
    if values.dtype != object or not isinstance(values[0], list | tuple | np.ndarray):
        return None
    lengths = [len(value) if isinstance(value, list | tuple | np.ndarray) else -1 for value in values]
    if wrong := [row for row, length in enumerate(lengths) if length != lengths[0]]:
        what = f"{lengths[wrong[0]]} numbers" if lengths[wrong[0]] >= 0 else "no list"
        raise DataError(
            f"{place}: row {wrong[0]}, column {name!r} holds {what}, row 0 {lengths[0]}: give every row equally many, "
            "or leave the column out"
        )
    try:
        out = np.asarray([np.ravel(value) for value in values], np.float64)
    except (TypeError, ValueError):
        out = np.empty((0, 0))
    if out.size == 0 or any(np.ndim(value) != 1 for value in values):
        raise DataError(f"{place}: column {name!r} holds lists that are no numbers: save their parts as columns")
    return out


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
