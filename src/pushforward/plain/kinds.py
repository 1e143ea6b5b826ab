r"""What a column of a table holds, and numbers as such a column holds them: the one place that knows how kinds round.

    number    as it is
    whole     the nearest whole number, of two the even one; within [-2^62, 2^62], which int64 holds
    truth     1 above a half, else 0
    date      days since 1970-01-01, to the nearest day, minute, second or microsecond of the years 1 to 9999

.. math::
    t = \operatorname{round}(k x) / k, \qquad k = 1 \text{ of whole numbers, and as many as a day has of the resolution}
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor

__all__ = [
    "DATES",
    "FIRST",
    "LAST",
    "ColumnKind",
    "class_names",
    "columns",
    "grid",
    "is_number",
    "rounded",
    "rounds",
    "typed",
]

ColumnKind = Literal["number", "whole", "truth", "day", "minute", "second", "microsecond"]

MOST = 2.0**62
DATES: dict[ColumnKind, int] = {"day": 1, "minute": 1440, "second": 86_400, "microsecond": 86_400_000_000}
"""Resolutions of dates, coarsest first, and how many of it a day has."""

CODES = {"day": "D", "minute": "m", "second": "s", "microsecond": "us"}
FIRST, LAST = -719_162.0, 2_932_897.0 - 1e-6
"""The years 1 to 9999, which ISO 8601 writes with four digits."""


def is_number(cell: str) -> bool:
    """Whether a cell can be read as a number, written with a point."""
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell  # 5_126 is a number to Python alone


def rounds(kind: ColumnKind) -> bool:
    """Whether numbers are rounded in columns of a kind."""
    return kind != "number"


def grid(kinds: Sequence[ColumnKind]) -> Tensor:
    """What `rounded` needs of columns, float64 (4, d): parts of a unit, least and most of them, and 1 for truth values.

    No part stands for numbers, which are not rounded.
    """
    rows = list[tuple[float, float, float, float]]()
    for kind in kinds:
        per = float(DATES.get(kind, 1 if rounds(kind) else 0))
        ends = (FIRST * per, float(np.floor(LAST * per))) if kind in DATES else (-MOST, MOST)
        rows.append((per, *ends, float(kind == "truth")))
    return torch.tensor(rows, dtype=torch.float64).reshape(-1, 4).T.contiguous()


def rounded(x: Tensor, lattice: Tensor) -> Tensor:
    """Numbers as their columns hold them.

    Args:
        x: Points in data units, float64 (n, d).
        lattice: The `grid` of their columns, (4, d).
    """
    per, least, most, truth = lattice
    parts = torch.minimum(torch.maximum((x * per).round(), least), most)
    held = torch.where(per > 0, parts / torch.where(per > 0, per, 1.0), x)
    return torch.where(truth > 0, (x > 0.5).to(x.dtype), held)


def typed(x: np.ndarray, kind: ColumnKind) -> np.ndarray:
    """A column (n,) of rounded numbers in the type of its kind: float64, int64, bool or datetime64."""
    if kind in DATES:
        return np.rint(x * DATES[kind]).astype(np.int64).astype(f"datetime64[{CODES[kind]}]")
    return x.astype({"number": np.float64, "truth": np.bool_}.get(kind, np.int64))


def columns(
    x: np.ndarray, names: Sequence[str], kinds: Sequence[ColumnKind], label: str | None, classes: np.ndarray | None
) -> dict[str, np.ndarray]:
    """Points as columns of the types that the data have.

    Args:
        x: Points in data units, (n, d); their numbers are rounded as their columns want.
        names: Names of the columns; their numbers where there are none.
        kinds: What they hold; numbers where nothing is said.
        label: What the data call their classes, if they name them.
        classes: The class of each point, (n,), or None; they stand last.

    Returns:
        float64, int64, bool or datetime64 (n,) by name.
    """
    names, kinds = names or tuple(map(str, range(x.shape[1]))), kinds or ("number",) * x.shape[1]
    held = rounded(torch.from_numpy(np.ascontiguousarray(x, np.float64)), grid(kinds)).numpy()
    out = {name: typed(column, kind) for name, kind, column in zip(names, kinds, held.T, strict=True)}
    if classes is not None:
        label = label or "label"
        while label in out:
            label = f"{label}_class"
        out[label] = classes
    return out


def class_names(classes: Sequence[str]) -> np.ndarray:
    """What the data call their classes, (classes,): whole numbers where all are, else text, as 007 is."""
    numbers = all(re.fullmatch(r"-?(0|[1-9]\d{0,17})", name) for name in classes)
    return np.array([int(name) for name in classes] if numbers else list(classes))
