"""Columns of a data frame on the way in and out: refused by name where they are no numbers, else given back.

Whole numbers are rounded to whole numbers of the frame's own type, truth values to true above one half.
"""

from __future__ import annotations

import sys
from collections.abc import Hashable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np

from pushforward.data.units import MANY, Array, Unit, stretched
from pushforward.errors import DataError

__all__ = ["Columns", "Rows", "frame_of", "looked_at", "notes_on", "one_row", "rounded"]

Rows: TypeAlias = Any
"""Rows (n, d): an array, or after a fit to a data frame of pandas a frame with its columns."""

REMEDY = {
    "categories": "pandas.get_dummies makes a column of 0 and 1 of each, or leave it out",
    "dates": "make numbers of them, as days since the first, or leave it out",
    "words": "make numbers of them, or leave it out",
}
INTERCHANGED = {21: "words", 22: "dates", 23: "categories"}  # kinds of the interchange protocol that are no numbers


@runtime_checkable
class Interchanged(Protocol):
    """A data frame of another library, by the protocol that they share."""

    def __dataframe__(self) -> Any: ...


@dataclass(frozen=True)
class Columns:
    """What the columns of a data frame of pandas are.

    Attributes:
        names: Their names: text, numbers, or tuples where names have levels.
        types: Their types, in the same order.
        levels: Names of the levels; one where names have none.
    """

    names: tuple[Hashable, ...]
    types: tuple[str, ...]
    levels: tuple[Hashable, ...] = (None,)

    @property
    def worded(self) -> bool:
        """Whether all names are text, which scikit-learn then compares itself."""
        return all(isinstance(name, str) for name in self.names)

    def framed(self, x: Array, index: Any = None, *, typed: bool = True) -> Any:
        """Rows (n, d) as a data frame.

        Args:
            x: The rows.
            index: Its index; numbers from 0 where omitted.
            typed: Whether columns get the types that they had; else they are numbers with fractions.
        """
        import pandas

        columns = np.asarray(x, np.float64).T
        parts = [_typed(column, kind) if typed else column for column, kind in zip(columns, self.types, strict=True)]
        frame = pandas.DataFrame(dict(enumerate(parts)), index=index)
        if len(self.levels) > 1:
            names: Any = list(self.names)
            frame.columns = pandas.MultiIndex.from_tuples(names, names=list(self.levels))
        else:
            frame.columns = pandas.Index(list(self.names), name=next(iter(self.levels)), tupleize_cols=False)
        return frame

    def packed(self) -> dict[str, Any]:
        """As JSON has it.

        Raises:
            DataError: If a name is neither text nor a number.
        """
        return {
            "names": [_plain(name) for name in self.names],
            "types": list(self.types),
            "levels": [_plain(name) for name in self.levels],
        }

    @staticmethod
    def unpacked(found: Mapping[str, Any] | None) -> Columns | None:
        """The inverse of `packed`, of what may come from anybody.

        Raises:
            ValueError: If these are no names, not one type for each, or pandas knows no such type.
        """
        if found is None:
            return None
        names, levels = (tuple(map(_name, found.get(part, (None,)))) for part in ("names", "levels"))
        deep = {len(name) if isinstance(name, tuple) else 1 for name in names}
        if len(found["types"]) != len(names) or deep - {len(levels)}:
            raise ValueError(f"{len(names)} columns in {len(levels)} levels, {len(found['types'])} types")
        with suppress(ImportError):  # without pandas nobody asks for a frame
            from pandas.api.types import pandas_dtype

            for kind in found["types"]:
                try:
                    pandas_dtype(kind)
                except (TypeError, SyntaxError) as error:  # the second of words that numpy takes for a record
                    raise ValueError(f"a column of type {kind!r:.40}") from error
        return Columns(names, tuple(found["types"]), levels)


def _name(value: object) -> Hashable:
    """A name as it was before JSON.

    Raises:
        ValueError: If it is none.
    """
    if isinstance(value, list):
        return tuple(map(_name, value))
    if value is None or isinstance(value, str | int | float):
        return value
    raise ValueError(f"column {value!r:.40}")


def _plain(name: Hashable) -> Any:
    """A name as JSON has it."""
    if isinstance(name, tuple):
        return [_plain(part) for part in name]
    if isinstance(name, np.generic):
        name = name.item()
    if name is None or isinstance(name, str | int | float):
        return name
    raise DataError(f"column {name!r}: a name of type {type(name).__name__} cannot be written; use text or a number")


def _typed(column: Array, kind: str) -> Any:
    """A column as the type of a data frame that it had; numbers of any other stay as they are."""
    import pandas
    from pandas.api import types

    dtype: Any = types.pandas_dtype(kind)
    if isinstance(dtype, pandas.SparseDtype):
        return column
    if types.is_bool_dtype(dtype):
        return pandas.array(column > 0.5, dtype=dtype)
    if types.is_integer_dtype(dtype):
        limit = np.iinfo(dtype if isinstance(dtype, np.dtype) else dtype.numpy_dtype)
        low, high = float(limit.min), float(limit.max) * (1 - 2.0**-52)
        whole = np.rint(column).clip(low, high).astype(limit.dtype)
        return whole if isinstance(dtype, np.dtype) else pandas.array(whole, dtype=dtype)
    if types.is_float_dtype(dtype):
        return column.astype(dtype) if isinstance(dtype, np.dtype) else pandas.array(column, dtype=dtype)
    return column


def looked_at(X: Any) -> Columns | None:
    """The columns of a data frame of pandas; None for anything else.

    Raises:
        DataError: If two columns share a name, or one holds categories, dates or words; it is named, with the remedy.
    """
    pandas = sys.modules.get("pandas")  # whoever has a frame has imported it
    if pandas is None or not isinstance(X, pandas.DataFrame):
        if isinstance(X, Interchanged):
            frame = X.__dataframe__()
            columns = ((name, int(frame.get_column_by_name(name).dtype[0])) for name in frame.column_names())
            _refused((name, INTERCHANGED.get(kind, "")) for name, kind in columns)
        return None
    if not X.columns.is_unique:
        twice = X.columns[X.columns.duplicated()][0]
        raise DataError(f"X: two columns are called {twice!r}: give every column its own name")
    _refused((name, _kind(X.iloc[:, k])) for k, name in enumerate(X.columns))
    return Columns(tuple(X.columns), tuple(map(str, X.dtypes)), tuple(X.columns.names))


def _refused(columns: Iterable[tuple[Hashable, str]]) -> None:
    for name, kind in columns:
        if kind:
            raise DataError(f"X: column {name!r} holds {kind}, which are no numbers: {REMEDY[kind]}")


def _kind(column: Any) -> str:
    """What a column of pandas holds that is no number; nothing where it holds numbers."""
    import pandas
    from pandas.api import types

    dtype = column.dtype
    if isinstance(dtype, pandas.CategoricalDtype | pandas.IntervalDtype):
        return "categories"
    if types.is_datetime64_any_dtype(dtype) or types.is_timedelta64_dtype(dtype):
        return "dates"
    if isinstance(dtype, pandas.PeriodDtype):
        return "dates"
    if types.is_numeric_dtype(dtype):
        return ""
    cells = column.dropna()  # a cell that is missing is spoken of where rows are checked
    if any(isinstance(cell, date | timedelta | np.datetime64 | np.timedelta64) for cell in cells):
        return "dates"
    try:
        cells.astype("float64")
    except (TypeError, ValueError):
        return "words"
    return ""


def notes_on(columns: Columns | None, unit: Unit, x: Array) -> tuple[str, ...]:
    """What is assumed of the columns of a fit, in words.

    Args:
        columns: Those of a data frame, or None.
        unit: Their unit, whose scale is 0 where they do not vary.
        x: The rows, (n, d).
    """
    notes = list(stretched(unit.encode(x[:MANY]), columns.names if columns else ()))
    if where := np.flatnonzero(unit.scale == 0).tolist():
        named = [repr(columns.names[k]) if columns else str(k) for k in where]
        notes.append(f"columns that do not vary come back as they are: {', '.join(named)}")
    if columns is not None:
        from pandas.api import types

        kinds = [(str(name), types.pandas_dtype(kind)) for name, kind in zip(columns.names, columns.types, strict=True)]
        whole = [name for name, kind in kinds if types.is_integer_dtype(kind)]
        truth = [name for name, kind in kinds if types.is_bool_dtype(kind)]
        notes += _rounded(whole, "whole numbers") + _rounded(truth, "truth values")
    return tuple(notes)


def _rounded(names: Sequence[str], words: str) -> list[str]:
    return [f"{words}, learned as numbers and rounded in samples: {', '.join(names)}"] if names else []


def frame_of(columns: Columns | None, x: Array, like: Any = None) -> Rows:
    """Rows as the caller gave theirs.

    Args:
        columns: Columns of the fit's frame, or None, which gives the rows as they are.
        x: Rows, (n, d).
        like: What was carried to these rows: a frame's index is kept, and its values are numbers with fractions; an
            array comes back as an array. None for new rows, in the types of the fit's frame.
    """
    if like is None:
        return x if columns is None else columns.framed(x)
    found = looked_at(like)
    return x if found is None else found.framed(x, like.index, typed=False)


def rounded(columns: Columns | None, x: Array) -> Array:
    """Rows (n, d) as the columns of a fit's frame would hold them, float64; as they are where there was none."""
    if columns is None:
        return x
    frame = columns.framed(x)
    return np.column_stack([np.asarray(frame.iloc[:, k], np.float64) for k in range(x.shape[1])])


def one_row(given: Any) -> Any:
    """A row of a data frame of pandas, given as a frame or as a series, as a frame; None for anything else."""
    pandas = sys.modules.get("pandas")
    if pandas is None:
        return None
    if isinstance(given, pandas.Series):
        return given.to_frame().T
    return given if isinstance(given, pandas.DataFrame) else None
