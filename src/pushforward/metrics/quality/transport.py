r"""Optimal-transport distances between samples: exact, and exact on the line.

.. math::
    W_r^r(q, p) = \min_\pi \mathbb{E}_\pi \|x - y\|^r

All functions return the distance, not its power, in data units.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist
from torch import Tensor

from pushforward.errors import DataError, UsageError, install
from pushforward.metrics.core.comparison import Comparison, assignment_cost, half
from pushforward.metrics.core.features import RAW, Features
from pushforward.metrics.core.part import Found, Part, named
from pushforward.metrics.core.reference import Given, as_samples, compare, real_floor, subset
from pushforward.metrics.core.result import Measure, Words
from pushforward.randomness import generator

__all__ = ["PARTS", "as_rows", "powers_by_column", "w1", "w2", "wasserstein", "wasserstein_1d"]

Array = NDArray[np.float64]

LARGE = 1500  # rows from which on the network simplex of POT is the faster way


def wasserstein(q: Given, p: Given, *, order: float = 2, pivots: int = 10_000_000) -> float:
    """Exact Wasserstein distance of two samples; O(n³) time and O(nm) memory: 0.1 s at 1000 rows, 1 s at 2000.

    Equal sizes are an assignment problem; unequal ones a network flow, which POT solves where it is installed, and
    faster than assignment from about 1,500 rows on.

    Args:
        q: Model samples, (n, *event), in data units.
        p: Data samples, (m, *event).
        order: Power r >= 1 of the distance that is averaged: 1 is the earth mover's distance.
        pivots: Most steps of the network simplex, where sizes are unequal.

    Raises:
        DataError: If the sizes differ and POT is missing, or it stops before the optimum.
        UsageError: If the order is below 1.
    """
    _check_order(order)
    x, y, unit = _about_their_middle(as_rows(q), as_rows(p))
    cost = np.asarray(cdist(x, y, "sqeuclidean") if order == 2 else cdist(x, y) ** order, np.float64)
    if len(q) == len(p) and (len(q) < LARGE or _pot() is None):
        return unit * float(cost[linear_sum_assignment(cost)].mean() ** (1 / order))
    return unit * float(max(0.0, _network_flow(cost, pivots)) ** (1 / order))


def wasserstein_1d(q: Given, p: Given, *, order: float = 2) -> float:
    r"""Exact distance on the line, :math:`(\int_0^1 |Q_q(u) - Q_p(u)|^r du)^{1/r}`, for any two sizes.

    Args:
        q: Model samples, (n,) or (n, 1), in data units.
        p: Data samples, (m,) or (m, 1).
        order: Power r >= 1.

    Raises:
        UsageError: If the order is below 1.
    """
    _check_order(order)
    x, y, unit = _about_their_middle(*(as_rows(sample).reshape(-1, 1) for sample in (q, p)))
    return unit * float(powers_by_column(x, y, order)[0] ** (1 / order))


def powers_by_column(q: Array, p: Array, order: float) -> Array:
    """W_r to the power r of each column of q (n, L) against the same of p (m, L), by the quantile functions.

    Both are steps; on the common refinement of their cuts i/n and j/m the integrand is constant. Cuts are counted in
    units of 1/(nm), so that no rounding moves one.
    """
    n, m = len(q), len(p)
    q, p = np.sort(q, axis=0), np.sort(p, axis=0)
    if n == m:
        return _power(q - p, order).mean(0)
    cuts = np.union1d(np.arange(1, n + 1) * m, np.arange(1, m + 1) * n)
    weights = np.diff(cuts, prepend=0) / (n * m)
    return weights @ _power(q[(cuts - 1) // m] - p[(cuts - 1) // n], order)


def as_rows(x: Given) -> Array:
    """Samples (n, *event), or numbers (n,), as rows (n, d) in float64."""
    rows = as_samples("a sample", x).detach().double().cpu()
    return (rows[:, None] if rows.ndim == 1 else rows.flatten(1)).numpy()


def w1(
    fake: Given,
    real: Given,
    features: Features = RAW,
    *,
    train: Given | None = None,
    max_n: int = 1000,
    repeats: int = 3,
    seed: int = 0,
    tick: Callable[[float], None] | None = None,
) -> Measure:
    """Exact W1 (earth mover's distance) of equally many samples; see `w2` for the arguments and for when to use it.

    W1 weighs strays less than W2 does, and is finite wherever the mean is.
    """
    sets = compare(fake, real, train, features, max_n=max_n, seed=seed)
    return _exact(sets, features.id, 1, max_n, repeats, seed, tick)


def w2(
    fake: Given,
    real: Given,
    features: Features = RAW,
    *,
    train: Given | None = None,
    max_n: int = 1000,
    repeats: int = 3,
    seed: int = 0,
    tick: Callable[[float], None] | None = None,
) -> Measure:
    """Exact W2 of equally many samples, with the floor of real against real.

    W2 of two samples of one law falls only like n^(-1/d): above about eight dimensions mostly the floor is seen. Where
    the floor's rows are fewer than those compared it is scaled by the rate at which it falls from half of them to all.

    Args:
        fake: Model samples, (n, *event).
        real: Data samples, (m, *event).
        features: The feature space.
        train: A second sample of the data, for the floor; without it real is cut in two (see `Floor`).
        max_n: Rows used of each; more are subsampled, and the larger sample is cut to the size of the smaller.
        repeats: Subsets averaged for the floor.
        seed: Seed of all subsets.
        tick: Called with the share of the work done.

    Raises:
        DataError: If the samples do not fit together.
    """
    sets = compare(fake, real, train, features, max_n=max_n, seed=seed)
    return _exact(sets, features.id, 2, max_n, repeats, seed, tick)


def _about_their_middle(x: Array, y: Array) -> tuple[Array, Array, float]:
    """Both samples about a point of theirs, below 1 in size, and the unit that this takes: a power of 2."""
    with np.errstate(over="ignore"):
        x, y = x - y[0], y - y[0]
    largest = max(float(np.abs(x).max()), float(np.abs(y).max()))
    if not np.isfinite(largest):
        raise DataError("q and p lie too far apart for a distance between them: rescale them")
    unit = 2.0 ** min(int(np.frexp(largest)[1]), 1023) if largest > 0 else 1.0
    return x / unit, y / unit, unit


def _exact(
    sets: tuple[Tensor, Tensor, Tensor | None],
    features: str,
    order: int,
    max_n: int,
    repeats: int,
    seed: int,
    tick: Callable[[float], None] | None,
) -> Measure:
    """Exact distance of equal sizes and its floor."""
    q, p, t = sets
    n, rng, report = min(len(q), len(p), max_n), generator(seed, "evaluate", part=f"w{order}"), tick or (lambda _: None)

    def distance(a: Tensor, b: Tensor) -> float:
        rows = min(len(a), len(b))
        return wasserstein(a[:rows], b[:rows], order=order)

    value = distance(subset(q, n, rng), subset(p, n, rng))
    report(1 / (repeats + 1))
    floor, how = real_floor(
        distance,
        p,
        t,
        (n, n),
        repeats=repeats,
        seed=seed,
        tick=lambda share: report((1 + repeats * share) / (1 + repeats)),
    )
    protocol: Words = {"seed": seed, "max_n": max_n, "floor": how}
    return Measure(value, floor, None, None, n, n, features, "lower", protocol)


def _pot() -> Callable[..., Any] | None:
    """POT's network simplex, or None."""
    try:
        from ot import emd2
    except Exception:  # POT imports whatever array libraries it finds, and these fail in their own ways
        return None
    return emd2


def _network_flow(cost: Array, pivots: int) -> float:
    """Least mean cost between uniform weights on the rows and on the columns."""
    n, m = cost.shape
    emd2 = _pot()
    if emd2 is None:
        raise DataError(
            f"q has {n} rows, p {m}: unequal sizes need POT, which does not import; draw equally many, or have POT: "
            f"{install('POT')}"
        )
    value, log = emd2(np.full(n, 1 / n), np.full(m, 1 / m), cost, numItermax=pivots, log=True)
    if log["warning"]:
        raise DataError(f"transport of {n} to {m} rows stopped after {pivots} pivots: allow more, or draw fewer rows")
    return float(value)


def _check_order(order: float) -> None:
    if not 1 <= order < np.inf:
        raise UsageError(f"order is {order}: Wasserstein distances have finite orders from 1 on")


def _power(x: Array, order: float) -> Array:
    return np.square(x) if order == 2 else np.abs(x) ** order


def _w1_part(c: Comparison) -> Found:
    return named({"w1": w1(c.one, c.p, c.known, train=c.t, seed=c.seed, max_n=half(c), tick=c.tick)})


def _w2_part(c: Comparison) -> Found:
    return named({"w2": w2(c.one, c.p, c.known, train=c.t, seed=c.seed, max_n=half(c), tick=c.tick)})


PARTS = (
    Part(
        "w1", "exact Wasserstein-1 distance", _w1_part, assignment_cost,
        {"w1": "Exact Wasserstein-1 distance"}, place=160,
    ),
    Part(
        "w2", "exact Wasserstein-2 distance", _w2_part, assignment_cost,
        {"w2": "Exact Wasserstein-2 distance"}, usual=frozenset(("points",)), place=170,
    ),
)  # fmt: skip
