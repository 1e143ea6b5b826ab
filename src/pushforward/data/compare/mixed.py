r"""Columns of words: one column a level, :math:`1/\sqrt 2` where a row has it and 0 elsewhere.

Two rows with different levels are then 1 apart, whatever the levels are called and however many there are.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping

import numpy as np

from pushforward.data.columns.missing import STANDS
from pushforward.plain.fields import MISSING
from pushforward.plain.shares import percent

__all__ = ["HALF", "OTHER", "encoded", "with_missing"]

HALF = math.sqrt(0.5)
MOST = 300  # levels of all sets together that get a column each
OTHER = "(other)"  # the level of the rarest words where there are more
EMPTY = ("na", "n/a", "null", "none", "?", "-", "missing", "unknown")  # levels that may stand for an empty cell


def encoded(words: Mapping[str, list[str]], name: str) -> tuple[dict[str, np.ndarray], tuple[str, ...], list[str]]:
    """Turn one column of words into a column a level, in the order of the alphabet.

    Which levels get a column depends on all rows together and not on which set a row is from: were the words that only
    fake has made one level, two equally rich samples would be told apart by the rare words that either has alone.

    Args:
        words: The column in "fake", "real" and, if there is one, "train".
        name: Its name.

    Returns:
        Columns (n, levels) by role, the names of the levels, "kind=a", and notes. Of more than 300 levels the rarest
        share one.
    """
    known = set(words["real"]).union(words.get("train", ()))
    counts = Counter(cell for cells in words.values() for cell in cells)
    levels = sorted(counts)
    if len(levels) > MOST:  # ties go by the alphabet, which is the same for all sets
        levels = sorted(sorted(counts, key=lambda cell: (-counts[cell], cell))[:MOST])
    if len(known) == 1:
        notes = [f"column {name}: real holds only {words['real'][0]!r}"]
    else:
        notes = [f"column {name}: {len(known)} categories, any two of them 1 apart"]
    number = {level: k for k, level in enumerate(levels)}
    codes = {role: np.array([number.get(cell, len(levels)) for cell in cells]) for role, cells in words.items()}
    strange = Counter(cell for cell in words["fake"] if cell not in known)
    if strange:
        shown = ", ".join(repr(cell) for cell, _ in strange.most_common(3)) + (", …" if len(strange) > 3 else "")
        count, n = sum(strange.values()), len(words["fake"])
        notes.append(
            f"column {name}: {count:,} of {n:,} fake rows ({percent(count / n)}) hold "
            f"{len(strange):,} value{'s' * (len(strange) != 1)} that real never has, {shown}"
        )
    rare = len(counts) - len(levels)
    if rare:
        many = {role: (code == len(levels)).mean() for role, code in codes.items()}
        shares = ", ".join(f"{percent(float(share))} of {role}" for role, share in many.items())
        notes.append(f"column {name}: the {rare:,} rarest values of all sets count as one level: {shares}")
    for level in levels:
        if level.lower() in EMPTY:
            notes.append(f"column {name}: {level!r} counts as a category like the others; it may stand for empty cells")
    width = len(levels) + bool(rare)
    hot = {role: (code[:, None] == np.arange(width)) * HALF for role, code in codes.items()}
    return hot, tuple(f"{name}={level}" for level in (*levels, OTHER)[:width]), notes


def with_missing(words: Mapping[str, list[str]], name: str, notes: list[str]) -> dict[str, list[str]]:
    """Missing cells as a level of their own; where some are empty, also the words that stand for one."""
    if not any("" in column for column in words.values()):
        return dict(words)
    stand = {word for column in words.values() for word in set(column) if word.lower() in STANDS}
    out = {role: [MISSING if cell in stand else cell for cell in column] for role, column in words.items()}
    shares = ", ".join(f"{percent(column.count(MISSING) / len(column))} of {role}" for role, column in out.items())
    odd = f", as {', '.join(sorted(map(repr, stand - {''})))} is" if stand - {""} else ""
    notes.append(f"column {name}: an empty cell is a level of its own{odd}: {shares}")
    return out
