r"""Means, variances and quartiles of columns, a block of rows at a time.

Of two parts with counts n, m, means a, b and sums of squares A, B around them, together
:math:`\bar x = a + \delta m/(n + m)`, :math:`S = A + B + \delta^2 nm/(n + m)`, :math:`\delta = b - a` (Chan
et al., 1979): stable where the mean is large beside the spread. A single block is what numpy says of it, bit for bit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pushforward.data.blocks.scratch import is_mapped, spans

__all__ = ["SAMPLE", "Moments", "at_most", "moments", "sampled", "training"]

Array = NDArray[np.float64]

SAMPLE = 1 << 27  # bytes of float64 from which quartiles are taken, of rows that are not in memory


@dataclass(frozen=True, eq=False)
class Moments:
    """What is known of the columns of some rows.

    Attributes:
        n: Number of rows.
        low: Smallest value of each column, (d,).
        high: Largest, (d,).
        mean: Mean, (d,).
        variance: Mean square around it, (d,); infinite or NaN where it overflows.
    """

    n: int
    low: Array
    high: Array
    mean: Array
    variance: Array


def moments(parts: Iterable[Array]) -> Moments:
    """Moments of the rows of all parts, each (k, d) float64; parts without rows are passed over.

    Raises:
        ValueError: If there is no row.
    """
    found: Moments | None = None
    with np.errstate(over="ignore", invalid="ignore"):
        for x in parts:
            if len(x):
                mine = Moments(len(x), x.min(0), x.max(0), x.mean(0), x.var(0))
                found = mine if found is None else _joined(found, mine)
    if found is None:
        raise ValueError("no rows")
    return found


def _joined(a: Moments, b: Moments) -> Moments:
    n = a.n + b.n
    share, apart = b.n / n, b.mean - a.mean
    return Moments(
        n,
        np.minimum(a.low, b.low),
        np.maximum(a.high, b.high),
        a.mean + share * apart,
        (1 - share) * a.variance + share * b.variance + share * (1 - share) * np.square(apart),
    )


def training(x: np.ndarray, rows: np.ndarray) -> Iterator[Array]:
    """The rows to train on as float64, in the order of the source where they are mapped, else as one block.

    Args:
        x: All rows, (n, d).
        rows: Numbers of those to train on.
    """
    if not is_mapped(x):
        yield np.asarray(x[rows], np.float64)
        return
    wanted = np.zeros(len(x), bool)
    wanted[rows] = True
    for part in spans(x):
        yield np.asarray(x[part][wanted[part]], np.float64)


def at_most(x: np.ndarray) -> int:
    """Rows from which quartiles are taken: all of an array in memory, `SAMPLE` bytes of float64 of a mapped one."""
    return max(1, SAMPLE // (8 * x.shape[1])) if is_mapped(x) else len(x)


def sampled(x: np.ndarray, rows: np.ndarray, rng: np.random.Generator) -> Array:
    """Rows to train on, float64: all of them, or so many as `at_most` says, drawn at random."""
    most = at_most(x)
    if len(rows) > most:
        rows = rng.choice(rows, most, replace=False)
    return np.asarray(x[np.sort(rows) if is_mapped(x) else rows], np.float64)
