"""How finely numbers were stored: in single precision, or with so many decimals."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

__all__ = ["decimals", "precise"]

LOW = 0xFFF  # the lower half of a float32's digits: numbers with a few decimals in binary leave it empty
DIGITS = 4  # decimals that are looked for
ENOUGH = 20  # rows from which so many decimals are no accident
DIFFERENT = 10  # values; fewer are levels
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
