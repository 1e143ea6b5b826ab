"""Columns that number or name rows and say nothing of what is in them: saved indices, counters, keys."""

from __future__ import annotations

import re

import numpy as np

__all__ = ["LEAST", "identifies"]

LEAST = 20  # rows from which a counter, or words of which none recurs, is no accident under any name
CALLED = re.compile(
    r"(unnamed: ?\d+|index|level_0|id|ids|idx|key|uid|uuid|guid|pk|s\.?no\.?|rownames?"
    r"|row([ _.-]?(id|num|number|no|index))?)",
    re.IGNORECASE,
)
ENDING = re.compile(r".*([ _.-](id|ID|Id|uuid|UUID|guid|key|idx|index)|[a-z](ID|Id|UUID))")


def identifies(name: str, column: np.ndarray | list[str]) -> str:
    """Why a column can only tell rows apart, in words, or nothing.

    Words of which none recurs are names of rows. Whole numbers are that where they count the rows in their order, from
    0 or from 1, or where the column is called as keys are and none recurs. Other numbers, also sorted ones, as of a
    time course, may be quantities.

    Args:
        name: What the column is called.
        column: Its cells, (n,): words, or numbers of which those that are missing are NaN.
    """
    n, called = len(column), bool(CALLED.fullmatch(name) or ENDING.fullmatch(name))
    if n < 2 or (n < LEAST and not called):
        return ""
    if isinstance(column, list):
        return f"no two of its {n:,} words are alike" if len(set(column)) == n else ""
    start = float(column[0])
    if start in (0.0, 1.0) and np.array_equal(column, np.arange(start, start + n)):
        return f"it counts the rows from {start:.0f}"
    if not called or (column.dtype.kind == "f" and not np.array_equal(column, np.rint(column))):
        return ""
    return f"it is called as a key is, and no two of its {n:,} values are alike" if len(np.unique(column)) == n else ""
