"""Rows that occur more than once: in one set, or in two that should have none in common."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pushforward.metrics.copying.precision import Precision, agreed, flat_rows
from pushforward.randomness import generator, mixed

__all__ = ["keys", "keys_as_stored", "once", "one_of_each"]

Keys = NDArray[np.uint64]

_FIRST = 128  # columns read first of long rows
_APART = 0.02  # rows that numbers a hundred times coarser may make equal


def keys_as_stored(sets: Sequence[Tensor], *, budget: int = 2**26) -> tuple[list[Keys], Precision, bool]:
    """Keys of rows by the digits that all sets have; see `keys` and `precision`.

    A set saved in single precision, or with 0 to 9 decimals, is known again beside one that was not. One saved with so
    many significant digits is not, nor one with other decimals than float32 tensors beside it.

    Args:
        sets: Rows, (n, *event) each.
        budget: Bytes that temporaries of one block may take.

    Returns:
        Keys (n,) of each set; the digits; and whether rounding may make rows equal that are not, since values lie so
        close. So close, decimals are not taken for a rounding.
    """
    for decimals in (True, False):
        digits = agreed(sets, decimals=decimals, budget=budget)
        found = keys(sets, digits, budget=budget)
        close = not digits.exact and _merged(sets, digits, found, budget) > _APART
        if digits.exact or not close:
            return found, digits, False
    return found, digits, True


def _merged(sets: Sequence[Tensor], digits: Precision, found: Sequence[Keys], budget: int) -> float:
    """The share of distinct rows that coarser numbers make equal to others; of the set with most."""
    coarse = keys(sets, digits, budget=budget, coarser=True)
    return max(1 - len(np.unique(few)) / len(np.unique(all_)) for few, all_ in zip(coarse, found, strict=True))


def keys(
    sets: Sequence[Tensor], digits: Precision | None = None, *, budget: int = 2**26, coarser: bool = False
) -> list[Keys]:
    """A number for each row of some sets, the same for rows that are equal to the bit, wherever the origin lies.

    For two rows that are not, it is the same about once in 2^63 pairs. Of long rows some columns are read first, and
    the others only of those rows that have these in common with another.

    Args:
        sets: Rows, (n, *event) each; float32 and float64 are one number where they have one value.
        digits: The digits that count; all where None.
        budget: Bytes that temporaries of one block may take.
        coarser: Compare by about a hundredth of the values that digits leave.

    Returns:
        (n,) of each set.
    """
    width = sets[0][0].numel()
    if width <= 2 * _FIRST:
        return [_keys(x, None, None, digits, budget, coarser) for x in sets]
    columns = np.linspace(0, width - 1, _FIRST).astype(np.int64)
    found = [_keys(x, None, columns, digits, budget, coarser) for x in sets]
    values, counts = np.unique(np.concatenate(found), return_counts=True)
    several = values[counts > 1]
    for x, first in zip(sets, found, strict=True):
        rows = np.flatnonzero(np.isin(first, several))
        if len(rows):
            first[rows] = _keys(x, rows, None, digits, budget, coarser)
    return found


def _keys(
    x: Tensor,
    rows: NDArray[np.int64] | None,
    columns: NDArray[np.int64] | None,
    digits: Precision | None,
    budget: int,
    coarser: bool,
) -> Keys:
    """Keys by some columns of some rows, or by all."""
    width = x[0].numel() if columns is None else len(columns)
    drawn = generator(0, "evaluate", part="row keys").integers(0, 2**63, width, np.uint64)
    weights = drawn * np.uint64(2) + np.uint64(1)
    n = len(x) if rows is None else len(rows)
    found = np.empty(n, np.uint64)
    step = max(1, budget // (40 * max(1, width)))
    for start in range(0, n, step):
        part = flat_rows(x, slice(start, start + step) if rows is None else rows[start : start + step], columns)
        if digits is not None:
            part = digits.of(part, columns, coarser=coarser)
        bits = (part + 0.0).view(np.uint64)  # -0 is 0
        found[start : start + step] = mixed((mixed(bits) * weights).sum(1, dtype=np.uint64))
    return found


def one_of_each(rows: Keys, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Of all rows that are equal one, drawn at random; (n,)."""
    order = rng.permutation(len(rows))
    _, first = np.unique(rows[order], return_index=True)
    chosen = np.zeros(len(rows), bool)
    chosen[order[first]] = True
    return chosen


def once(column: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which numbers of a column, (n,) or (n, 1), occur in no other row of it; (n,)."""
    _, place, counts = np.unique(column, return_inverse=True, return_counts=True)
    return counts[place.reshape(-1)] == 1
