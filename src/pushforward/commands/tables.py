"""Samples as tables: columns under the names of the data, whole numbers as whole numbers, classes beside them.

Points that were carried come back as the table they came in: its columns in its order, those that did not move as they
stood.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pushforward import files
from pushforward.data import Dataset
from pushforward.data.columns.dates import dated, resolution
from pushforward.data.columns.text import quantity
from pushforward.data.formats.contents import Column, Table
from pushforward.data.formats.opening import PARQUET
from pushforward.errors import needs
from pushforward.plain import kinds

__all__ = ["ENDINGS", "columns", "held", "notes", "within", "write"]

ENDINGS = (".csv", ".parquet")


def columns(x: np.ndarray, data: Dataset, classes: np.ndarray | None) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """Points as columns of the types that the data have, and notes of what was rounded or renamed.

    Args:
        x: Points in data units, (n, d).
        data: Gives names and kinds of the columns.
        classes: The class of each point, (n,), or None; they stand last, under the name that the data give them.
    """
    out = kinds.columns(x, data.columns, data.kinds, data.label, classes)
    wanted, label = data.label or "label", list(out)[-1]
    moved = classes is not None and label != wanted
    said = (f"the classes are in column {label}, as there is a column {wanted}",) if moved else ()
    return out, (*said, *notes(data))


def held(x: np.ndarray, data: Dataset) -> np.ndarray:
    """Samples in data units as the data hold such numbers: whole where these are, truth values 0 or 1."""
    if data.kind == "images" or not notes(data):
        return x
    return kinds.rounded(torch.from_numpy(x), kinds.grid(data.kinds)).numpy()


def notes(data: Dataset) -> tuple[str, ...]:
    """What is rounded in the columns of data, in words; empty where nothing is."""
    names = data.columns or tuple(map(str, range(len(data.kinds))))
    at = list(zip(names, data.kinds, strict=True)) if data.kinds else []
    whole = [name for name, kind in at if kinds.rounds(kind) and kind not in kinds.DATES]
    dates = [f"{name} to the {kind}" for name, kind in at if kind in kinds.DATES]
    said = (
        (whole, "rounded, as the data hold whole numbers or truth values there"),
        (dates, "dates, rounded as finely as the data tell them"),
    )
    return tuple(f"{words}: {', '.join(which)}" for which, words in said if which)


def within(given: Table, moved: Mapping[str, np.ndarray], out: Path) -> tuple[dict[str, Any], tuple[str, ...]]:
    """A table in which some columns moved, ready to be written, and a note of those that did not.

    Args:
        given: The table.
        moved: Columns by the names that they have in it; others stand after its own.
        out: The file that it will be written to, whose ending says of which types columns can be.

    Returns:
        Columns by name: of .csv as they stood, of .parquet in the types of the file that they come from.
    """
    still = [name for name in given.names if name not in moved]
    if out.suffix.lower() not in PARQUET:
        kept: dict[str, Any] = {name: _dated(given, name) for name in still}
    elif given.path.suffix.lower() in PARQUET:
        import pyarrow.parquet

        table = pyarrow.parquet.read_table(given.path, columns=still, use_pandas_metadata=False)
        kept = {name: table.column(name) for name in still}
    else:
        kept = {name: _typed(given.columns[given.at[name]], given.mark) for name in still}
    order = dict.fromkeys((*given.names, *moved))
    said = (f"columns that stand as they stood: {', '.join(still)}",) if still else ()
    return {name: moved[name] if name in moved else kept[name] for name in order}, said


def _dated(given: Table, name: str) -> Column:
    """A column as it stood: dates that were read as days as dates again."""
    column = given.columns[given.at[name]]
    if given.declared.get(name) not in kinds.DATES or not isinstance(column, np.ndarray):
        return column
    return dated(column, resolution(column))


def _typed(column: Column, mark: str) -> Any:
    """The cells of a column of text as what they say; whole numbers that are not written as such, 007, are words."""
    if not isinstance(column, list):
        return column
    found = quantity(column, mark)
    if found is None:
        return column
    if found.kind == "whole" and not found.how:
        counts = list(map(int, column))
        held = -(2**63) <= min(counts) <= max(counts) < 2**63  # identifiers of 20 digits are in no such type
        return counts if held and all(map(str.__eq__, map(str, counts), column)) else column
    return kinds.columns(found.values[:, None], (), (found.kind,), None, None)["0"]


def write(path: Path, table: Mapping[str, Any]) -> None:
    """Write columns as .csv or .parquet, whole or not at all.

    Args:
        path: The file.
        table: Columns by name: arrays, lists, or for .parquet what pyarrow has for one.

    Raises:
        UsageError: If pyarrow is not installed.
    """
    if path.suffix.lower() == ".csv":
        text = io.StringIO(newline="")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(_header(table))
        writer.writerows(zip(*map(_cells, table.values()), strict=True))
        files.write(path, text.getvalue().encode(), parents=True)
        return
    with needs("pyarrow", f"--out {path}: writing Parquet"):
        import pyarrow
        import pyarrow.parquet
    content = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table({name: _plain(column) for name, column in table.items()}), content)
    files.write(path, content.getvalue(), parents=True)


def _header(table: Mapping[str, Any]) -> list[str]:
    """Names of columns; numbers that would be read as a row, as those below are whole numbers too, are x0, x1, ..."""
    whole = all(isinstance(column, np.ndarray) and column.dtype.kind in "iu" for column in table.values())
    return [f"x{name}" if whole and name.isdecimal() else name for name in table]


def _plain(column: Any) -> Any:
    return column.tolist() if isinstance(column, np.ndarray) else column


def _cells(column: Any) -> Any:
    """Cells of a text table; dates as ISO 8601 writes them."""
    dates = isinstance(column, np.ndarray) and column.dtype.kind == "M"
    return np.datetime_as_string(column).tolist() if dates else _plain(column)
