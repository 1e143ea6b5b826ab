r"""How wide the cells are that numbers of a column were rounded to: the step s of the grid :math:`a + s k` they lie on.

A law that is dense at the places of a grid has a density without bound there, whatever it is. With uniform noise as
wide as a cell, :math:`x + s\,(u - \tfrac12)`, there is one, and its mean logarithm over a cell is a bound from below:

.. math::
    E_u \log q\bigl(x + s\,(u - \tfrac12)\bigr) \le \log \frac1s \int_{|y - x| \le s/2} q(y)\,dy
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["cells", "told_of_cells"]

ERROR = 2.0**-21  # of numbers that went through single precision twice, as values and in standard units, and a bit more
CLEAR = 0.02  # of a step, which such errors may come to; else any number lies on the grid
FINEST = 6  # decimals below the size of a column that are looked for
ROWS = 100_000  # that are looked at
ENOUGH = 20  # rows from which it is no accident that all lie on a grid
OFTEN = 0.02  # of the rows with one value that lies on no grid, from which it is told


def cells(x: np.ndarray) -> NDArray[np.float64]:
    """The width of the cells of each column, (d,), in the units of x; 0 where it is a continuum or constant.

    Decimals are found up to a millionth of what a column spans, and of numbers on a grid the coarsest that holds all.

    Args:
        x: Rows, (n, d), as float64; they may have gone through single precision. The first hundred thousand are looked
            at.
    """
    return np.array([_cell(np.asarray(column, np.float64)) for column in x[:ROWS].T], np.float64).reshape(-1)


def _cell(x: np.ndarray) -> float:
    offset = x - x[0] if len(x) else x
    size = float(np.abs(offset).max(initial=0))
    if len(x) < ENOUGH or not 0 < size < math.inf:
        return 0.0
    error = ERROR * (size + float(np.abs(x).max()))
    first = math.floor(math.log10(size)) + 1
    for digits in range(FINEST + 2):
        step = 10.0 ** (first - digits)
        if error > CLEAR * step:
            break
        counts = np.rint(offset / step)
        if (np.abs(offset - counts * step) <= error).all():
            return step * int(np.gcd.reduce(counts.astype(np.int64)))
    return _even(np.unique(x), error)


def _even(values: np.ndarray, error: float) -> float:
    """The least gap of different values, (m,), ascending, if all are multiples of it apart; else 0."""
    gaps = np.diff(values)
    gaps = gaps[gaps > error]
    if not len(gaps):
        return 0.0
    width = float(values[-1] - values[0])
    step = width / np.rint(width / gaps.min())
    offset = values - values[0]
    whole = error <= CLEAR * step and bool((np.abs(offset - np.rint(offset / step) * step) <= error).all())
    return float(step) if whole else 0.0


def told_of_cells(
    x: np.ndarray, widths: Sequence[float] | np.ndarray, names: Sequence[object] = (), *, spread: bool = True
) -> tuple[str, ...]:
    """What is said of columns that are rounded, and of those that hold one value often and are not, in plain words.

    Args:
        x: Rows, (n, d).
        widths: Of their cells, (d,); 0 for none.
        names: Of the columns; their numbers if there are none.
        spread: Whether noise is spread over the cells; else that it should be.
    """
    called = [names[k] if len(names) else k for k in range(x.shape[1])]
    wide = [f"{name} by {width:.3g}" for name, width in zip(called, widths, strict=True) if width > 0]
    what = (
        "uniform noise as wide as their steps is added, in learning and in likelihoods, and samples are not rounded"
        if spread
        else "likelihoods grow without bound as a model learns them; add uniform noise as wide as their steps"
    )
    told = [f"rounded numbers have no density: {what} ({', '.join(wide)})"] * bool(wide)
    for name, width, column in zip(called, widths, x[:ROWS].T, strict=True):
        values, times = np.unique(column, return_counts=True)
        k = int(times.argmax())
        if width == 0 and len(values) > 1 and len(column) >= ENOUGH and times[k] > max(2.0, OFTEN * len(column)):
            told.append(
                f"column {name}: {times[k] / len(column):.0%} of the rows hold {values[k]:.6g}, which has no density: "
                "the likelihood grows without bound as a model learns it; leave the column out, or add noise"
            )
    return tuple(told)
