"""Columns of a data frame on the way in and out: refused by name where they are no numbers, else given back.

Whole numbers are rounded to whole numbers of the frame's own type, truth values to true above one half.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from pushforward.data.units import Array
from pushforward.errors import DataError

__all__ = ["Columns", "Rows", "frame_of", "looked_at", "notes_on"]

Rows: TypeAlias = Any
"""Rows (n, d): an array, or after a fit to a data frame of pandas a frame with its columns."""

REMEDY = {
    "categories": "pandas.get_dummies makes a column of 0 and 1 of each, or leave it out",
    "dates": "make numbers of them, as days since the first, or leave it out",
    "words": "make numbers of them, or leave it out",
}


@dataclass(frozen=True)
class Columns:
    """What the columns of a data frame of pandas are.

    Attributes:
        names: Their names.
        types: Their types, by name.
    """

    names: tuple[str, ...]
    types: tuple[str, ...]

    def framed(self, x: Array, index: Any = None, *, typed: bool = True) -> Any:
        """Rows (n, d) as a data frame.

        Args:
            x: The rows.
            index: Its index; numbers from 0 where omitted.
            typed: Whether columns get the types that they had; else they are numbers with fractions.
        """
        import pandas

        frame = pandas.DataFrame(np.asarray(x, np.float64), columns=pandas.Index(self.names), index=index)
        return self._typed(frame) if typed else frame

    def _typed(self, frame: Any) -> Any:
        import pandas

        for name, kind in zip(self.names, self.types, strict=True):
            lower = kind.lower()
            if lower.startswith("bool"):
                frame[name] = (frame[name] > 0.5).astype(kind)
            elif lower.startswith(("int", "uint")):
                limit = np.iinfo(pandas.api.types.pandas_dtype(lower))
                frame[name] = frame[name].round().clip(float(limit.min), float(limit.max) * (1 - 2.0**-52)).astype(kind)
            elif lower.startswith("float"):
                frame[name] = frame[name].astype(kind)
        return frame

    def packed(self) -> dict[str, list[str]]:
        """As JSON has it."""
        return {"names": list(self.names), "types": list(self.types)}

    @staticmethod
    def unpacked(found: Mapping[str, Any] | None) -> Columns | None:
        """The inverse of `packed`."""
        return None if found is None else Columns(tuple(found["names"]), tuple(found["types"]))


def looked_at(X: Any) -> Columns | None:
    """The columns of a data frame of pandas, all of whose names are text; None for anything else.

    Raises:
        DataError: If a column of a frame holds categories, dates or words; it is named, with the remedy.
    """
    if not hasattr(X, "columns") or not hasattr(X, "dtypes"):
        return None
    for name in X.columns:
        if kind := _kind(X[name]):
            raise DataError(f"X: column {str(name)!r} holds {kind}, which are no numbers: {REMEDY[kind]}")
    if type(X).__module__.partition(".")[0] != "pandas" or not all(isinstance(name, str) for name in X.columns):
        return None
    return Columns(tuple(X.columns), tuple(str(X[name].dtype) for name in X.columns))


def _kind(column: Any) -> str:
    """What a column holds that is no number; nothing where it holds numbers."""
    name = str(column.dtype).lower()
    if name.startswith(("categor", "enum")):
        return "categories"
    if name.startswith(("date", "period", "time", "duration")):
        return "dates"
    values = np.asarray(column)
    if values.dtype.kind in "biufc":
        return ""
    if values.dtype.kind in "mM":
        return "dates"
    try:
        np.asarray(values, np.float64)
    except (TypeError, ValueError):
        missing = values.dtype.kind == "O" and all(not isinstance(one, str) for one in values.tolist())
        return "" if missing else "words"  # a cell that is missing is spoken of where rows are checked
    return ""


def notes_on(columns: Columns | None, still: Array) -> tuple[str, ...]:
    """What is assumed of the columns of a fit, in words.

    Args:
        columns: Those of a data frame, or None.
        still: Which columns do not vary, (d,).
    """
    notes = []
    if where := np.flatnonzero(still).tolist():
        named = [repr(columns.names[k]) if columns else str(k) for k in where[:6]]
        more = f" and {len(where) - 6} more" if len(where) > 6 else ""
        notes.append(f"columns that do not vary come back as they are: {', '.join(named)}{more}")
    if columns is not None:
        pairs = list(zip(columns.names, columns.types, strict=True))
        whole = [name for name, kind in pairs if kind.lower().startswith(("int", "uint"))]
        truth = [name for name, kind in pairs if kind.lower().startswith("bool")]
        for names, words in ((whole, "whole numbers"), (truth, "truth values")):
            if names:
                more = f" and {len(names) - 6} more" if len(names) > 6 else ""
                notes.append(f"{words}, learned as numbers and rounded in samples: {', '.join(names[:6])}{more}")
    return tuple(notes)


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
