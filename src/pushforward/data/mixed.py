r"""Columns of words: one column a level, :math:`1/\sqrt 2` where a row has it and 0 elsewhere.

Two rows with different levels are then 1 apart, whatever the levels are called and however many there are.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping

import numpy as np

from pushforward.data.grid import percent
from pushforward.errors import DataError

__all__ = ["OTHER", "encoded"]

LEVELS = 100  # levels that a column of categories may have
OTHER = "(other)"  # the level of words that real does not know
EMPTY = ("na", "n/a", "null", "none", "?", "-", "missing", "unknown")  # levels that may stand for an empty cell


def encoded(
    words: Mapping[str, list[str]], name: str, place: str
) -> tuple[dict[str, np.ndarray], tuple[str, ...], list[str]]:
    """Turn one column of words into a column a level, those of real and of train in the order of the alphabet.

    Args:
        words: The column in "fake", "real" and, if there is one, "train".
        name: Its name.
        place: The file of real, for messages.

    Returns:
        Columns (n, levels) by role, the names of the levels, "kind=a", and notes. Words that only fake has share one
        more level.

    Raises:
        DataError: If the words of real name its rows, or are too many to be categories.
    """
    _refuse_names(words["real"], name, place)
    levels = sorted(set(words["real"]).union(words.get("train", ())))
    if len(levels) == 1:
        notes = [f"column {name}: real holds only {levels[0]!r}"]
    else:
        notes = [f"column {name}: {len(levels)} categories, any two of them 1 apart"]
    number = {level: k for k, level in enumerate(levels)}
    codes = {role: np.array([number.get(cell, len(levels)) for cell in cells]) for role, cells in words.items()}
    strange = Counter(cell for cell in words["fake"] if cell not in number)
    if strange:
        shown = ", ".join(repr(cell) for cell, _ in strange.most_common(3)) + (", …" if len(strange) > 3 else "")
        count, n = sum(strange.values()), len(words["fake"])
        notes.append(
            f"column {name}: {count:,} of {n:,} fake rows ({percent(count / n)}) hold "
            f"{len(strange):,} value{'s' * (len(strange) != 1)} that real never has, {shown}, counted as one more level"
        )
    for level in levels:
        if level.lower() in EMPTY:
            notes.append(f"column {name}: {level!r} counts as a category like the others; it may stand for empty cells")
    width = len(levels) + bool(strange)
    hot = {role: (code[:, None] == np.arange(width)) * math.sqrt(0.5) for role, code in codes.items()}
    return hot, tuple(f"{name}={level}" for level in (*levels, OTHER)[:width]), notes


def _refuse_names(cells: list[str], name: str, place: str) -> None:
    levels = len(set(cells))
    if 1 < levels == len(cells) or levels > LEVELS:
        raise DataError(
            f"{place}: column {name!r} holds {levels:,} different words in {len(cells):,} rows, {cells[0][:30]!r} and "
            f"others; these are names or dates, not categories: choose columns without it, {place}:a,b"
        )
