"""Samples as tables: columns under the names of the data, whole numbers as whole numbers, classes beside them."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np

from pushforward import files
from pushforward.data import Dataset
from pushforward.errors import UsageError

__all__ = ["ENDINGS", "columns", "write"]

ENDINGS = (".csv", ".parquet")


def columns(x: np.ndarray, data: Dataset, classes: np.ndarray | None) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """Points as columns of the types that the data have, and notes of what was rounded.

    Args:
        x: Points in data units, (n, d).
        data: Gives names and kinds of the columns.
        classes: The class of each point, (n,), or None; they stand last, under the name that the data give them.
    """
    names = data.columns or tuple(map(str, range(x.shape[1])))
    kinds = data.kinds or ("number",) * len(names)
    out, rounded = dict[str, np.ndarray](), list[str]()
    for name, kind, column in zip(names, kinds, x.T, strict=True):
        if kind == "number":
            out[name] = column
            continue
        rounded.append(name)
        out[name] = column > 0.5 if kind == "truth" else np.rint(column).clip(-(2.0**62), 2.0**62).astype(np.int64)
    if classes is not None:
        label = data.label or "label"
        out[label if label not in out else f"{label}_class"] = classes
    notes = (f"rounded, as the data hold whole numbers or truth values there: {', '.join(rounded)}",) if rounded else ()
    return out, notes


def write(path: Path, table: dict[str, np.ndarray]) -> None:
    """Write columns as .csv or .parquet, whole or not at all.

    Raises:
        UsageError: If pyarrow is not installed.
    """
    if path.suffix.lower() == ".csv":
        text = io.StringIO(newline="")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(table)
        writer.writerows(zip(*(column.tolist() for column in table.values()), strict=True))
        files.write(path, text.getvalue().encode(), parents=True)
        return
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise UsageError(f"--out {path}: writing Parquet needs pyarrow: pip install pyarrow") from error
    content = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table({name: column.tolist() for name, column in table.items()}), content)
    files.write(path, content.getvalue(), parents=True)
