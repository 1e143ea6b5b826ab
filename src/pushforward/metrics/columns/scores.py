r"""Sums of scores under relabelling, made comparable between columns, and p-values that are corrected together.

Scores :math:`s_i` that add up to 0 over the pool of :math:`N = n + m` rows have, over all labellings,

.. math::
    S = \sum_{i \in q} s_i, \qquad \operatorname{Cov} S = \frac{nm}{N(N-1)} \sum_i s_i s_i^\top, \qquad
    X = S^\top (\operatorname{Cov} S)^+ S \approx \chi^2_{\operatorname{rank}}.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from pushforward.metrics.columns.read import Numbers

__all__ = [
    "ENDS",
    "deviate",
    "deviates",
    "ends",
    "occurrences",
    "quadratic",
    "ranked",
    "shapes",
    "single",
    "stepped_down",
]

Array = NDArray[np.float64]

NEVER = -9.0  # the deviate of a column in which there is nothing to see
ENDS: tuple[tuple[Literal["lower", "upper", "both"], float], ...] = (
    ("both", 0.01), ("both", 0.025), ("both", 0.06), ("lower", 0.01), ("lower", 0.04), ("upper", 0.01), ("upper", 0.04),
)  # fmt: skip
"""Ends of a column that are counted: on which side, and the share of the pool that lies there on each side."""

EXPECTED = 2.5  # rows that an end must hold of the smaller sample
SLACK = 1e-5  # relative, of statistics: sums of the same numbers in another order tie, so rounding can only raise p
LEAST = 1e-4  # chi-square that rounding may leave of nothing


def ranked(block: Numbers) -> tuple[Array, Array]:
    """Mid-ranks 1..N' of the numbers of each column, (N, k), and how many there are, (k,); empty cells rank behind."""
    filled = np.full(block.x.shape[1], len(block.x)) if block.empty is None else (~block.empty).sum(0)
    return np.asarray(rankdata(block.x, axis=0), np.float64), filled.astype(np.float64)


def shapes(ranks: Array, filled: Array, block: Numbers, degree: int) -> Array:
    """Legendre polynomials of the ranks brought to (-1, 1), each less its mean, 0 in empty cells; (N, k, degree).

    The first sees where a column lies, the second how wide it is, the others its skewness and its ends.
    """
    u = (2 * ranks - filled - 1) / np.maximum(filled, 1)
    powers = [np.ones_like(u), u]
    for j in range(2, degree + 1):
        powers.append(((2 * j - 1) * u * powers[-1] - (j - 1) * powers[-2]) / j)
    found = np.stack(powers[1:], -1)
    if block.empty is None:
        return found - found.mean(0)
    found[block.empty] = 0
    found -= found.sum(0) / np.maximum(filled, 1)[:, None]
    found[block.empty] = 0
    return found


def ends(ranks: Array, filled: Array, block: Numbers) -> NDArray[np.bool_]:
    """Which rows lie in each of `ENDS` of their column, (N, k, 7)."""
    below = (ranks - 0.5) / np.maximum(filled, 1)
    above = 1 - below
    if block.empty is not None:
        below, above = np.where(block.empty, np.inf, below), np.where(block.empty, np.inf, above)
    sides = {"lower": below, "upper": above, "both": np.minimum(below, above)}
    return np.stack([sides[side] < share for side, share in ENDS], -1)


def occurrences(block: Numbers) -> Array:
    """How often the value of a row occurs in the pool, by logarithm, and whether none occurs oftener; (N, k, 2).

    Each less its mean, 0 in empty cells and where all values differ. A sample that is rounded, heaped or drawn in to
    its ends repeats values that the other does not, wherever they lie.
    """
    found = np.zeros((*block.x.shape, 2))
    for k in range(block.x.shape[1]):
        some = block.filled(k)
        _, where, counts = np.unique(block.x[some, k], return_inverse=True, return_counts=True)
        often = counts[where]
        both = np.stack([np.log(often), often == often.max(initial=0)], 1)
        found[some, k] = both - both.mean(0) if len(both) else both
    return found


def single(counts: Array, total: Array, own: Array, filled: Array, n: int, rows: int) -> Array:
    """The largest deviate of single counts of each column, (B + 1, k); counts that few rows decide are left out.

    Args:
        counts: Rows of fake that count, (B + 1, k, r).
        total: Rows that do, (k, r).
        own: Rows of fake that hold a number, (B + 1, k).
        filled: Rows that do, (k,).
        n: Rows of fake.
        rows: Rows N.
    """
    share = total / np.maximum(filled, 1)[:, None]
    spread = total * (1 - share) * n * (rows - n) / (rows * (rows - 1))
    kept = (total * min(n, rows - n) >= EXPECTED * rows) & (spread > 0)
    x = np.where(kept, (counts - own[..., None] * share) ** 2 / np.where(kept, spread, 1.0), 0.0)
    return deviate(x.max(-1), np.asarray(kept.any(-1), np.float64))


def quadratic(sums: Array, scores: Array, n: int) -> tuple[Array, Array]:
    """X of each column for each labelling, (B + 1, k), and its rank, (k,).

    Args:
        sums: S, (B + 1, k, r).
        scores: Scores that add up to 0, (N, k, r).
        n: Rows of fake.
    """
    rows = len(scores)
    gram = np.matmul(scores.transpose(1, 2, 0), scores.transpose(1, 0, 2))
    values, vectors = np.linalg.eigh(gram)
    kept = values > 1e-6 * rows
    inverse = np.where(kept, 1 / np.where(kept, values, 1.0), 0.0)
    along = np.matmul(sums.transpose(1, 0, 2), vectors)  # (k, B + 1, r)
    factor = rows * (rows - 1) / (n * (rows - n))
    return factor * (along**2 * inverse[:, None]).sum(-1).T, kept.sum(-1).astype(np.float64)


def deviate(x: Array, degrees: Array) -> Array:
    r"""A chi-square as a normal deviate, large where it is large, by the cube root; it never overflows.

    .. math:: z = \frac{(x / k)^{1/3} - 1 + 2/(9k)}{\sqrt{2/(9k)}}

    References:
        The distribution of chi-square (Wilson & Hilferty, 1931).
    """
    k = np.maximum(degrees, 1e-3)
    return np.where(degrees > 0, (np.cbrt(np.maximum(x, LEAST) / k) - 1 + 2 / (9 * k)) / np.sqrt(2 / (9 * k)), NEVER)


def deviates(x: Array, most: Array | float) -> Array:
    r"""Sums of squares as normal deviates: of a chi-square that has their mean and variance over all other labellings.

    Were a labelling's own sum among those, no effect could be seen to exceed :math:`\sqrt{B}` spreads, which in a
    thousand pairs relabellings do as well. Every labelling is treated alike, so the test stays exact.

    Args:
        x: Sums, seen and relabelled, (B + 1, k).
        most: Squares in each, which bound its degrees of freedom, (k,).
    """
    others = max(1, len(x) - 1)
    centre = x.mean(0)
    own = x - centre  # squares of large sums that are nearly alike would cancel
    mean = -own / others
    variance = np.maximum((own**2).sum(0) - own**2, 0.0) / others - mean**2
    mean += centre
    known = (mean > 1e-12) & (variance > 1e-24)
    degrees = np.where(known, np.minimum(2 * mean**2 / np.where(known, variance, 1.0), most), 0.0)
    return np.where(known, deviate(x * degrees / np.where(known, mean, 1.0), degrees), NEVER)


def stepped_down(statistics: Array) -> tuple[Array, Array]:
    """p-value of each of several statistics, alone and corrected for all together; both (k,).

    The corrected ones bound the chance of any false alarm by the level, like Holm's, but from the relabellings
    themselves: the largest statistic is compared with the largest of every relabelling, the next with the largest of
    those that are left. Columns that say the same thing are then counted once.

    Args:
        statistics: Seen (first line) and relabelled, (B + 1, k), comparable between columns.

    References:
        Resampling-based multiple testing (Westfall & Young, 1993), algorithm 2.8.
    """
    seen, lines = statistics[0] - SLACK * (1 + np.abs(statistics[0])), len(statistics)
    alone = (1 + (statistics[1:] >= seen).sum(0)) / lines
    order = np.argsort(-statistics[0], kind="stable")
    left = np.maximum.accumulate(statistics[1:, order[::-1]], axis=1)[:, ::-1]  # largest from this one on
    corrected = np.empty(len(order))
    corrected[order] = np.maximum.accumulate((1 + (left >= seen[order]).sum(0)) / lines)
    return alone, corrected
