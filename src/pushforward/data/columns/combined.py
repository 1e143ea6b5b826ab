"""Levels of two columns that occur together in the samples and never in the data, though each occurs there.

A row's two levels are one value of its own, so that the chances are those of `unseen`, for any law and however many
levels there are: what a sample of many rare combinations holds by chance is counted as well. No table of all
combinations is made, only of those that occur.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from pushforward.data.columns.unseen import unseen
from pushforward.plain.fields import MISSING, Field

__all__ = ["Coded", "Combined", "coded", "combined"]

FEW = 12  # values of a column of numbers up to which they are levels, as of months
START = 256  # rows that tell at once that a column has more
COLUMNS = 64  # columns whose levels are combined, categories first
CELLS = 1 << 25  # rows times pairs of columns that are looked at: a second
SHOWN = 3  # combinations written out


@dataclass(frozen=True, eq=False)
class Coded:
    """A column of levels.

    Attributes:
        name: Its name.
        codes: The level of each row, samples first, (N,).
        levels: What they are called.
    """

    name: str
    codes: np.ndarray
    levels: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Combined:
    """Combinations of two columns that the data never have.

    Attributes:
        name: Both columns.
        rows: The samples that hold one, (n,) bool.
        p: How likely so many are in a sample of the data, at most.
        shown: The most frequent of them, in words.
    """

    name: str
    rows: np.ndarray
    p: float
    shown: str


def coded(
    fields: Sequence[Field],
    x: np.ndarray,
    holes: np.ndarray,
    words: Mapping[str, Sequence[str]],
) -> tuple[list[Coded], int]:
    """The columns that have levels: words, numbers of few values, and whether a number is missing; and how many.

    Which they are does not depend on whose a row is.

    Args:
        fields: What the coordinates are.
        x: Rows of the samples, then of the data, (N, d).
        holes: Which cells were empty, (N, d).
        words: Of each category its word in every row.
    """
    found, later = list[Coded](), list[Coded]()
    for one in fields:
        if one.kind == "category":
            levels, codes = np.unique(np.array(words[one.name], object).astype(str), return_inverse=True)
            found.append(Coded(one.name, codes, tuple(repr(str(level)) for level in levels)))
            continue
        values, empty = x[:, one.places[0]], holes[:, one.places[0]]
        codes, names = np.zeros(len(x), np.int64), [f"some {one.name}"]
        if len(np.unique(values[:START][~empty[:START]])) <= FEW:
            levels, places = np.unique(values[~empty], return_inverse=True)
            if len(levels) <= FEW:
                codes[~empty], names = places, [_written(level) for level in levels]
        if empty.any():
            codes[empty], names = len(names), [*names, MISSING]
        later.append(Coded(one.name, codes, tuple(names)))
    every = [one for one in (*found, *later) if len(one.levels) > 1]
    most = int((2 * CELLS / max(1, len(x))) ** 0.5)
    return every[: max(2, min(COLUMNS, most))], len(every)


def _written(level: np.floating) -> str:
    """A number in as many digits as tell it from all others of its precision."""
    return repr(float(str(level))).removesuffix(".0")  # 0.1 in single precision is 0.1, not the double that it equals


def combined(columns: Sequence[Coded], n: int) -> list[Combined]:
    """Combinations of any two columns that the samples hold and the data never, where there are some.

    Args:
        columns: The columns.
        n: Rows of the samples.
    """
    known = [np.bincount(one.codes[n:], minlength=len(one.levels)) > 0 for one in columns]
    found = list[Combined]()
    for (a, first), (b, second) in combinations(enumerate(columns), 2):
        cells, where = np.unique(first.codes * len(second.levels) + second.codes, return_inverse=True)
        q, p = np.bincount(where[:n], minlength=len(cells)), np.bincount(where[n:], minlength=len(cells))
        left, right = cells // len(second.levels), cells % len(second.levels)
        strange = (q > 0) & (p == 0) & known[a][left] & known[b][right]  # a level of its own is said of its column
        if not strange.any():
            continue
        most = np.flatnonzero(strange)[np.argsort(-q[strange], kind="stable")[:SHOWN]]
        shown = ", ".join(f"{first.levels[left[k]]} with {second.levels[right[k]]}" for k in most)
        chance = unseen(q, p, strange)
        found.append(Combined(f"{first.name} and {second.name}", strange[where[:n]], chance, shown))
    return found
