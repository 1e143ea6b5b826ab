"""How finely numbers were stored: in single precision, with so many decimals, as whole numbers beyond 2^53."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

__all__ = ["EXACT", "above", "decimals", "precise", "whole"]

LOW = 0xFFF  # the lower half of a float32's digits: numbers with a few decimals in binary leave it empty
DIGITS = 4  # decimals that are looked for
ENOUGH = 20  # rows from which so many decimals are no accident
DIFFERENT = 10  # values; fewer are levels
EXACT = 2.0**53  # up to which float64 holds every whole number
NOISE = 2.0**-22  # relative error of a decimal that went through float32


def precise(columns: Mapping[str, np.ndarray]) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """One column of all sets at the precision of the coarsest, where a number that recurs was stored unlike.

    0.1 in single precision is another number than 0.1. Where values recur, as in a constant column, that alone tells
    sets apart; where none does, it tells nothing, and the numbers stay as they are. A number in single precision
    becomes the one in double precision that it is nearest to, where another set has that; where several are, all are
    rounded.

    Args:
        columns: The column by the role of its set, (n,) float64; all finite.

    Returns:
        The columns, and the roles of those in single precision where that made a difference.
    """
    pool = np.concatenate(list(columns.values()))
    single = tuple(role for role, x in columns.items() if _is_single(x))
    if not single or len(single) == len(columns) or len(np.unique(pool)) > 0.9 * len(pool):
        return dict(columns), ()
    fine = np.unique(np.concatenate([x for role, x in columns.items() if role not in single]))
    rounded = fine.astype(np.float32).astype(np.float64)
    if len(np.unique(rounded)) < len(fine):
        out = {role: x.astype(np.float32).astype(np.float64) for role, x in columns.items()}
    else:
        at = {role: np.searchsorted(rounded, columns[role]).clip(max=len(fine) - 1) for role in single}
        out = dict(columns) | {
            role: np.where(rounded[at[role]] == columns[role], fine[at[role]], columns[role]) for role in single
        }
    changed = [role for role, x in columns.items() if not np.array_equal(x, out[role])]
    return (out, single) if changed else (dict(columns), ())


def decimals(x: np.ndarray) -> int | None:
    """How many decimals all numbers of a column (n,) have, 1 to 4, up to errors of single precision, or None.

    Columns of whole numbers, of few rows and of few values have none.
    """
    if len(x) < ENOUGH or not np.isfinite(x).all():
        return None
    largest = float(np.abs(x).max(initial=0))
    for digits in range(1, DIGITS + 1):
        step = 10.0**-digits
        if step < 100 * NOISE * largest:
            return None
        near = np.round(x, digits)
        if (np.abs(x - near) <= NOISE * np.abs(x)).all():
            whole = (near == np.rint(near)).all()
            return None if whole or len(np.unique(near)) < DIFFERENT else digits
    return None


def _is_single(x: np.ndarray) -> bool:
    """Whether numbers are float32, and not only numbers of few digits that any type holds."""
    with np.errstate(over="ignore"):
        small = x.astype(np.float32)
    if not np.array_equal(small.astype(np.float64), x) or np.array_equal(x, np.rint(x)):
        return False
    return bool((small.view(np.int32) & LOW).any())


def whole(cells: np.ndarray | list[str], values: np.ndarray) -> np.ndarray | None:
    """A column of whole numbers, (n,), exactly; None where float64 holds all of them, or they are not known exactly.

    Args:
        cells: The column as it was stored: an array, or text.
        values: The same as float64; NaN where a cell is missing, which is 0 in what is returned.
    """
    if not len(values) or not bool((np.abs(values) > EXACT).any()):
        return None
    if isinstance(cells, np.ndarray):
        return cells if cells.dtype.kind in "iu" else None
    there = np.isfinite(values)
    try:
        counts = [int(cell) if known else 0 for cell, known in zip(cells, there, strict=True)]
    except ValueError:  # written as 1e19, or with a fraction
        return None
    return np.array(counts, object)


def above(columns: Mapping[str, np.ndarray], exact: Mapping[str, np.ndarray]) -> tuple[dict[str, np.ndarray], str]:
    """A column of whole numbers beyond 2^53 less the smallest of all sets, where different ones are one in float64.

    A clock in nanoseconds counts 10^18, at which float64 holds every 256th number: all times of a second could be one.
    What they exceed the first by is held as finely as it was stored. A set that was stored in float64 itself has lost
    these digits, and then all are compared as it has them.

    Args:
        columns: The column by the role of its set, (n,) float64; NaN where a cell is missing.
        exact: The same as whole numbers, of the sets of which they are known.

    Returns:
        The columns, and in words what was done or lost; nothing where no two different numbers become one.
    """
    known = {role: x[np.isfinite(columns[role])] for role, x in exact.items()}
    different = np.unique(np.concatenate([x.astype(object) for x in known.values()]))
    lost = len(different) - len(np.unique(different.astype(np.float64)))
    if not lost:
        return dict(columns), ""
    large = int((np.abs(different) > EXACT).sum())
    share = f"{lost:,} of {large:,} different whole numbers beyond 2^53"
    coarse = [role for role, x in columns.items() if role not in exact and bool((np.abs(x) > EXACT).any())]
    if coarse:
        where = " and ".join(coarse)
        return dict(columns), f"{share} are equal to others in double precision, in which {where} is stored"
    others = [float(np.nanmin(x)) for role, x in columns.items() if role not in exact and np.isfinite(x).any()]
    least = min([int(different[0]), *(int(np.floor(x)) for x in others)])
    out = {role: _less(exact.get(role), x, least) for role, x in columns.items()}
    left = len(different) - len(np.unique((different - least).astype(np.float64)))
    still = f"; {left:,} are equal all the same" if left else ""
    return out, f"{share} would be equal to others in double precision: compared as what they are above {least}{still}"


def _less(exact: np.ndarray | None, x: np.ndarray, least: int) -> np.ndarray:
    """A column, (n,), less a whole number; its fraction and what is missing stay."""
    there = np.isfinite(x)
    counts = np.floor(np.where(there, x, 0)) if exact is None else exact
    fraction = 0.0 if exact is not None else np.where(there, x - counts, 0)
    parts = np.array([int(count) - least for count in counts.tolist()], np.float64) + fraction
    return np.where(there, parts, np.nan)
