r"""How likely a sample of the data holds so much that the data never do: exact chances and bounds, for any law.

Let m rows of the data and n of the samples be of one law. Then every split of the m + n rows in two is as likely, and a
value that occurs c times among all of them occurs in the samples alone with chance

.. math:: h(c) = \binom{n}{c} / \binom{n + m}{c}.

A rare level that the data lack is therefore no fault: of those with c = 1 half are in the samples where m = n. The rows
with such values, :math:`T = \sum_l c_l 1_l`, are a sum over negatively associated indicators, for which Chernoff's
bound holds:

.. math:: P(T \ge t) \le \min_{s > 0} e^{-s t} \prod_l (1 - h(c_l) + h(c_l) e^{s c_l}).

Likewise k or more values beyond the smallest and the largest of the data have chance (k + 1) h(k) - k h(k + 1), with
ties at most. These hold with no estimate of the mass that the data have not seen.

Numbers that lie *apart* from all others are fewer, and say more. A look at the pool, without one at which row is whose,
tells whether its c largest do: behind a gap that is three times the excess of the other large ones over their 90 %
quantile, and three times any gap among these. As which are chosen does not depend on the split, all c of them are in
the samples with chance h(c), and no factor for the choice is due: sets of this kind are nested.

References:
    The population frequencies of species and the estimation of population parameters (Good, 1953), Biometrika 40.
    Negative association of random variables with applications (Joag-Dev & Proschan, 1983), Ann. Statist. 11.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln

__all__ = ["Apart", "alone", "apart", "beyond", "tail", "unseen"]

SLOPES = np.geomspace(1e-3, 30, 60)  # s in the bound
REPEATED = 3  # rows with one value, from which it does not occur by accident
TAIL = 0.1  # of the rows of a pool, on either side: what a gap is held against
FACTOR = 3.0  # times that, from which numbers lie apart
HUGE = 1e150  # from here on numbers are scaled down before they are subtracted


def alone(c: np.ndarray | int, n: int, m: int) -> np.ndarray:
    """The log of the chance h(c) that all of c rows among n + m are among the n."""
    c = np.asarray(c, np.float64)
    with np.errstate(invalid="ignore"):
        inside = gammaln(n + 1) - gammaln(np.maximum(n - c, 0) + 1) - gammaln(n + m + 1) + gammaln(n + m - c + 1)
    return np.where(c > n, -np.inf, inside)


def tail(counts: np.ndarray, t: int, n: int, m: int) -> float:
    """A bound of the chance that t rows or more of n hold values that none of the m others has.

    Args:
        counts: How often each value occurs among all n + m rows.
        t: Rows.
        n: Rows of the samples.
        m: Rows of the data.
    """
    if t <= 0:
        return 1.0
    sizes, times = np.unique(counts[counts <= n], return_counts=True)
    h = np.exp(alone(sizes, n, m))
    s = SLOPES[:, None]
    logs = np.logaddexp(np.log1p(-np.minimum(h, 1 - 1e-16)), np.log(np.maximum(h, 1e-300)) + s * sizes)
    return float(np.exp(min(0.0, float((logs @ times - SLOPES * t).min()))))


def unseen(fake: np.ndarray, data: np.ndarray, some: np.ndarray | None = None) -> float:
    """A bound of the chance that so many samples hold values that the data have not.

    It is the smaller of two, for the choice of which both are doubled: all values count, or those that three rows or
    more of the pool hold, so that a great many words that occur once do not hide one that the samples repeat.

    Args:
        fake: How often each value occurs among the samples.
        data: How often it occurs among the data.
        some: Which values are asked for of those that the data have not; all where it is left out.
    """
    n, m, counts = int(fake.sum()), int(data.sum()), fake + data
    chances = []
    for often in (counts > 0, counts >= REPEATED):
        rows = int(fake[often & (data == 0 if some is None else some)].sum())
        chances.append(tail(counts[often], rows, n, m))
    return min(1.0, 2 * min(chances)) if (counts < REPEATED).any() else chances[0]


def beyond(k: int, n: int, m: int) -> float:
    """The chance that k values or more of n lie beyond the extremes of m others; with ties, a bound of it."""
    if k <= 0:
        return 1.0
    return float(min(1.0, (k + 1) * np.exp(alone(k, n, m)) - k * np.exp(alone(k + 1, n, m))))


@dataclass(frozen=True, eq=False)
class Apart:
    """Numbers of the samples that lie apart from all others.

    Attributes:
        rows: Which, (n,) bool.
        p: The chance that all that lie apart on that side are among the samples.
        sides: On how many sides of the pool so many lie apart, whosever they are, that p could be `level` or less.
    """

    rows: np.ndarray
    p: float
    sides: int


def apart(fake: np.ndarray, data: np.ndarray, level: float) -> Apart:
    """Numbers of the samples, (n,), far beyond all others and beyond those of the data, (m,).

    Below, also numbers under 0 lie apart where all others are not. Where p is corrected for the sides of many columns,
    those that could not have been as small as the level need not be counted (Tarone, 1990).

    Args:
        fake: The samples.
        data: The data.
        level: What p is held against.
    """
    n, m = len(fake), len(data)
    pool = np.sort(np.concatenate([fake, data]))
    rows, p, sides = np.zeros(n, bool), 1.0, 0
    for sign, ordered in ((1.0, pool), (-1.0, -pool[::-1])):
        cuts = _cuts(ordered, n)
        if sign < 0 and 0 < (negative := int((pool < 0).sum())) <= min(n, TAIL * (n + m)):
            cuts = sorted({*cuts, negative})
        sides += int(bool(cuts) and float(alone(cuts[-1], n, m)) <= math.log(level))
        for c in reversed(cuts):
            inside = sign * fake >= ordered[len(ordered) - c]
            if int(inside.sum()) == c:
                rows, p = rows | inside, min(p, float(np.exp(alone(c, n, m))))
                break
    return Apart(rows, p, sides)


def _cuts(ordered: np.ndarray, most: int) -> list[int]:
    """How many of the largest lie apart from the others, (N,) ascending: every such number up to `most`, ascending."""
    count, largest = len(ordered), float(np.abs(ordered).max(initial=0))
    x = ordered / largest if largest > HUGE else ordered
    gaps, sums = np.diff(x), np.r_[0.0, np.cumsum(x - x[count // 2])]
    c = np.arange(1, min(most, count // 4) + 1)
    inside = count - c  # rows below the cut
    start = inside - np.maximum(1, np.ceil(TAIL * inside).astype(np.int64))  # where their own tail begins
    excess = (sums[inside] - sums[start]) / (inside - start) - (x[start] - x[count // 2])
    wide = c[(gaps[inside - 1] > 0) & (gaps[inside - 1] >= FACTOR * excess)]
    found = list[int]()
    for k in wide.tolist():
        rest, begin = x[: count - k], start[k - 1]
        begin = int(np.searchsorted(rest, x[begin], "left"))  # with the gap to the value below the tail's first
        own = gaps[max(begin - 1, 0) : count - k - 1]
        if len(own) and float(own.max()) > 0 and gaps[count - k - 1] >= FACTOR * float(own.max()):
            found.append(k)
    return found
