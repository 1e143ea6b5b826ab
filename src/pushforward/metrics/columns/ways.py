"""In what way a column differs, in a few words with numbers, and the numbers by themselves."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.stats import fisher_exact

from pushforward.metrics.columns.laws import Aspect
from pushforward.metrics.columns.read import Category, Numbers
from pushforward.metrics.columns.scores import ENDS, ends, ranked
from pushforward.plain.fields import MISSING
from pushforward.plain.shares import percent

__all__ = ["of_levels", "of_numbers", "way_of_levels", "way_of_numbers"]

Array = NDArray[np.float64]
Record = dict[str, str | float | int | None]

PIECES = 8  # of a column, of which the one is named where samples are far too many or too few,
CUT = 0.25  # of the share of real, below which a tail counts as cut
HEAVY = 0.02  # or the value, if so many rows of the pool hold it


def of_numbers(numbers: Numbers, k: int, n: int) -> Record:
    """Medians, widths of the middle half, and shares of empty cells of a column."""
    (q, p), found = _sides(numbers, k, n), Record()
    for role, x in (("fake", q), ("real", p)):
        low, middle, high = np.quantile(x, [0.25, 0.5, 0.75]) if len(x) else (None, None, None)
        found |= {f"median_{role}": None if middle is None else float(middle)}
        found |= {f"middle_half_{role}": None if high is None or low is None else float(high - low)}
    if numbers.empty is not None:
        found |= _missing(numbers.empty[:, k], n)
    return found


def of_levels(one: Category, n: int) -> Record:
    """The number of levels, and shares of empty cells of a category."""
    found: Record = {"levels": len(one.levels)}
    if MISSING in one.levels:
        found |= _missing(one.hot[:, one.levels.index(MISSING)] > 0, n)
    return found


def _missing(empty: NDArray[np.bool_], n: int) -> Record:
    """Shares of empty cells with Fisher's exact p-value, which is not corrected."""
    if not empty.any():
        return {}
    a, b, m = int(empty[:n].sum()), int(empty[n:].sum()), len(empty) - n
    p = float(fisher_exact([[a, n - a], [b, m - b]])[1])  # pyright: ignore[reportArgumentType]
    return {"missing_fake": a / n, "missing_real": b / m, "p_missing": p}


def way_of_numbers(numbers: Numbers, k: int, n: int, aspect: Aspect) -> str:
    """How a column of numbers differs: where it lies, how wide it is, its ends, values that repeat, or a part of it.

    Args:
        numbers: The columns.
        k: Which.
        n: Rows of fake.
        aspect: What told most.
    """
    if aspect == "empty" and numbers.empty is not None:
        empty = numbers.empty[:, k]
        return f"empty in {percent(float(empty[:n].mean()))}, real {percent(float(empty[n:].mean()))}"
    q, p = _sides(numbers, k, n)
    if not len(q) or not len(p):
        return "all cells empty" if len(p) else "no cell empty, all of real are"
    told = _ends(numbers, k, n) if aspect == "ends" else _repeats(q, p) if aspect == "repeats" else None
    return told or _moved(q, p, 0.1 if aspect == "ranks" else 0.5) or _fullest(q, p)


def _moved(q: Array, p: Array, least: float) -> str | None:
    """Where the column lies and how wide it is, where one of these differs by so much; what cells saw is plain only."""
    a, b = (np.quantile(x, [0.25, 0.5, 0.75]) for x in (q, p))
    wide = max(a[2] - a[0], b[2] - b[0])
    if wide > 0:
        shift = (a[1] - b[1]) / wide
        ratio = abs(np.log((a[2] - a[0]) / (b[2] - b[0]))) if min(a[2] - a[0], b[2] - b[0]) > 0 else np.inf
        if abs(shift) >= least and abs(shift) >= 0.5 * min(ratio, 2.0):
            return f"{'higher' if shift > 0 else 'lower'}: median {a[1]:.4g}, real {b[1]:.4g}"
        if ratio >= least:
            word = "wider" if a[2] - a[0] > b[2] - b[0] else "narrower"
            return f"{word}: middle half {a[2] - a[0]:.3g}, real {b[2] - b[0]:.3g}"
    return None


def _ends(numbers: Numbers, k: int, n: int) -> str:
    """The ends of which one sample has too much: those whose share differs most for its size."""
    block = numbers.part(k, k + 1)
    filled = numbers.filled(k)
    inside = ends(*ranked(block), block)[filled, 0]
    own = np.arange(len(filled))[filled] < n
    a, b, share = inside[own].mean(0), inside[~own].mean(0), inside.mean(0)
    spread = np.sqrt(share * (1 - share))
    j = int((np.abs(a - b) / np.where(spread > 0, spread, np.inf)).argmax())
    side, x = ENDS[j][0], block.x[filled, 0][inside[:, j]]
    middle = np.median(block.x[filled, 0])
    below, above = x[x < middle], x[x > middle]
    where = [f"up to {below.max():.4g}"] if side != "upper" and len(below) else []
    where += [f"from {above.min():.4g}"] if side != "lower" and len(above) else []
    word = "heavy" if a[j] > b[j] else "cut" if a[j] < CUT * b[j] else "thin"
    what = "tails" if side == "both" else f"{side} tail"
    return f"{what} {word}: {' and '.join(where)} {percent(float(a[j]))}, real {percent(float(b[j]))}"


def _repeats(q: Array, p: Array) -> str | None:
    """How many rows hold a value that occurs again, at the ends or anywhere, unless one value alone tells more."""
    low, high = float((q == q.min()).mean()), float((q == q.max()).mean())
    least = max(HEAVY, 2 / len(q))  # one row lies at each end of any sample
    sides = [("lower tail", q.min(), low)] if low >= least and p.min() < q.min() else []
    sides += [("upper tail", q.max(), high)] if high >= least and p.max() > q.max() else []
    if sides:
        what = "tails" if len(sides) > 1 else sides[0][0]
        at, real = " and ".join(f"{x:.4g}" for _, x, _ in sides), sum(float((p == x).mean()) for _, x, _ in sides)
        return f"{what} cut at {at}: {percent(sum(share for *_, share in sides))} lie there, real {percent(real)}"
    _, where, counts = np.unique(np.concatenate([q, p]), return_inverse=True, return_counts=True)
    again, most = counts[where] > 1, counts[where] == counts.max()
    shares = [(float(one[: len(q)].mean()), float(one[len(q) :].mean())) for one in (again, most)]
    (a, b), (c, d) = shares
    if a == b or abs(c - d) >= abs(a - b):
        return None
    return f"values repeat {'more' if a > b else 'less'}: {percent(a)} of rows hold one that recurs, real {percent(b)}"


def _fullest(q: Array, p: Array) -> str:
    """The part of the range whose shares differ most."""
    pool = np.sort(np.concatenate([q, p]))
    edges = np.unique(pool[np.linspace(0, len(pool) - 1, PIECES + 1).astype(int)])
    values, counts = np.unique(pool, return_counts=True)
    heavy = values[counts >= max(2, HEAVY * len(pool))]
    ranges = [(low, high, (low < q) & (q < high), (low < p) & (p < high)) for low, high in pairwise(edges)]
    ranges += [(one, one, q == one, p == one) for one in heavy]
    shares = [(low, high, float(a.mean()), float(b.mean())) for low, high, a, b in ranges]
    low, high, a, b = max(shares, key=lambda one: abs(one[2] - one[3]), default=(pool[0], pool[-1], 1.0, 1.0))
    where = f"at {low:.4g}" if low == high else f"between {low:.4g} and {high:.4g}"
    return f"{where}: {percent(a)}, real {percent(b)}"


def way_of_levels(one: Category, n: int) -> str:
    """The level whose shares differ most."""
    a, b = one.hot[:n].mean(0), one.hot[n:].mean(0)
    k = int(np.abs(a - b).argmax())
    return f"{one.levels[k]}: {percent(float(a[k]))}, real {percent(float(b[k]))}"


def _sides(numbers: Numbers, k: int, n: int) -> tuple[Array, Array]:
    filled = numbers.filled(k)
    return numbers.x[:n, k][filled[:n]], numbers.x[n:, k][filled[n:]]
