r"""Optimal-transport distances between samples: exact, on the line, and sliced.

.. math::
    W_r^r(q, p) = \min_\pi \mathbb{E}_\pi \|x - y\|^r, \qquad
    SW_2^2(q, p) = \mathbb{E}_{\theta} W_2^2(\theta \cdot q, \theta \cdot p)

All functions return the distance, not its power, in data units.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist
from torch import Tensor

from pushforward.errors import DataError, UsageError, install
from pushforward.metrics.core.comparison import Comparison, assignment_cost, half, sort_cost
from pushforward.metrics.core.features import RAW, Features
from pushforward.metrics.core.part import Found, Part, named
from pushforward.metrics.core.reference import compare, real_floor, subset
from pushforward.metrics.core.result import Measure, Words
from pushforward.randomness import generator

__all__ = ["PARTS", "directions", "sliced_w2", "sliced_wasserstein", "w1", "w2", "wasserstein", "wasserstein_1d"]

Array = NDArray[np.float64]

LARGE = 1500  # rows from which on the network simplex of POT is the faster way


def wasserstein(q: Tensor, p: Tensor, *, order: float = 2, pivots: int = 10_000_000) -> float:
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
    x, y = _array(q), _array(p)
    cost = np.asarray(cdist(x, y, "sqeuclidean") if order == 2 else cdist(x, y) ** order, np.float64)
    if len(q) == len(p) and (len(q) < LARGE or _pot() is None):
        return float(cost[linear_sum_assignment(cost)].mean() ** (1 / order))
    return float(max(0.0, _network_flow(cost, pivots)) ** (1 / order))


def wasserstein_1d(q: Tensor, p: Tensor, *, order: float = 2) -> float:
    r"""Exact distance on the line, :math:`(\int_0^1 |Q_q(u) - Q_p(u)|^r du)^{1/r}`, for any two sizes.

    Args:
        q: Model samples, (n,) or (n, 1), in data units.
        p: Data samples, (m,) or (m, 1).
        order: Power r >= 1.

    Raises:
        UsageError: If the order is below 1.
    """
    _check_order(order)
    return float(_powers_by_column(_array(q.reshape(-1, 1)), _array(p.reshape(-1, 1)), order)[0] ** (1 / order))


def directions(dim: int, count: int, seed: int) -> Tensor:
    """Unit vectors uniform on the sphere, (dim, count), float64."""
    normal = generator(seed, "evaluate", part="directions").standard_normal((dim, count))
    return torch.from_numpy(normal / np.linalg.norm(normal, axis=0))


def sliced_wasserstein(q: Tensor, p: Tensor, along: Tensor) -> tuple[float, float]:
    r"""Sliced W2 along given directions; exact in each, for any two sizes.

    Args:
        q: Model samples, (n, *event), in data units.
        p: Data samples, (m, *event).
        along: Unit vectors, (d, L); see `directions`. A shift by s in d dimensions scores :math:`\|s\| / \sqrt d`.

    Returns:
        The distance, and its standard error over the directions.
    """
    along = along.double().cpu()
    return _sliced(q.detach().flatten(1).double().cpu() @ along, p.detach().flatten(1).double().cpu() @ along)


def w1(
    fake: Tensor,
    real: Tensor,
    features: Features = RAW,
    *,
    train: Tensor | None = None,
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
    fake: Tensor,
    real: Tensor,
    features: Features = RAW,
    *,
    train: Tensor | None = None,
    max_n: int = 1000,
    repeats: int = 3,
    seed: int = 0,
    tick: Callable[[float], None] | None = None,
) -> Measure:
    """Exact W2 of equally many samples, with the floor of real against real.

    W2 of two samples of one law falls only like n^(-1/d): above about eight dimensions mostly the floor is seen.

    Args:
        fake: Model samples, (n, *event).
        real: Data samples, (m, *event).
        features: The feature space.
        train: A second sample of the data, for the floor; without it real is cut in two.
        max_n: Rows used of each; more are subsampled, and the larger sample is cut to the size of the smaller.
        repeats: Subsets averaged for the floor.
        seed: Seed of all subsets.
        tick: Called with the share of the work done.

    Raises:
        DataError: If the samples do not fit together.
    """
    sets = compare(fake, real, train, features, max_n=max_n, seed=seed)
    return _exact(sets, features.id, 2, max_n, repeats, seed, tick)


def sliced_w2(
    fake: Tensor,
    real: Tensor,
    features: Features = RAW,
    *,
    train: Tensor | None = None,
    projections: int = 128,
    max_n: int = 10_000,
    repeats: int = 10,
    seed: int = 0,
) -> Measure:
    """Sliced W2 with the floor of real against real.

    Its error joins that of the finite number of directions to that over draws of the samples: the larger of the
    spread of real against real, by which a perfect sampler's value scatters, and of the first variation, which rules
    where the sampler is far off, or single rows are.

    Args:
        fake: Model samples, (n, *event).
        real: Data samples, (m, *event).
        features: The feature space.
        train: A second sample of the data, for the floor; without it real is cut in two.
        projections: Number of random directions; one serves on the line.
        max_n: Rows used of each; more are subsampled.
        repeats: Subsets averaged for the floor, and behind the spread.
        seed: Seed of directions and subsets.

    Raises:
        DataError: If the samples do not fit together.
    """
    q, p, t = compare(fake, real, train, features, max_n=max_n, seed=seed)
    along = directions(q.shape[1], projections if q.shape[1] > 1 else 1, seed)
    q, p, t = q @ along, p @ along, None if t is None else t @ along
    used, n = subset(p, max_n, generator(seed, "evaluate", part="sliced_w2")), len(q)
    (value, error), drawn = _sliced(q, used), list[float]()

    def distance(a: Tensor, b: Tensor) -> float:
        drawn.append(_sliced(a, b)[0])
        return drawn[-1]

    # On the line W2 of two samples of one law falls like the root of their sizes.
    sizes = (n, len(used))
    mean, how = real_floor(distance, p, t, sizes, repeats=repeats, seed=seed, rate=0.5)
    floor = mean
    if t is not None:  # subsets of train share rows, and real's are always the same: they scatter too little
        drawn.clear()
        mean, _ = real_floor(distance, torch.cat([p, t]), None, sizes, repeats=repeats, seed=seed, rate=0.5)
    unscaled = float(np.mean(drawn))
    spread = float(np.std(drawn, ddof=1)) * mean / unscaled if len(drawn) > 1 and unscaled > 0 else 0.0
    protocol: Words = {"seed": seed, "projections": along.shape[1], "max_n": max_n}
    protocol |= {"floor": how, "se": "directions and samples"}
    noise = _noise(_array(q), _array(used)) / (2 * value) if value > 0 else 0.0
    return Measure(
        value, floor, float(np.hypot(error, max(spread, noise))), None, n, len(used), features.id, "lower", protocol
    )


def _array(x: Tensor) -> Array:
    return x.detach().flatten(1).double().cpu().numpy()


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
    n, rng, solved = min(len(q), len(p), max_n), generator(seed, "evaluate", part=f"w{order}"), 0

    def distance(a: Tensor, b: Tensor) -> float:
        nonlocal solved
        rows, solved = min(len(a), len(b)), solved + 1
        value = wasserstein(a[:rows], b[:rows], order=order)
        if tick:
            tick(min(1.0, solved / (repeats + 1)))
        return value

    value = distance(subset(q, n, rng), subset(p, n, rng))
    floor, how = real_floor(distance, p, t, (n, n), repeats=repeats, seed=seed)
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


def _sliced(q: Tensor, p: Tensor) -> tuple[float, float]:
    """Sliced W2 of projections (n, L) and (m, L), and its error over the L columns."""
    squares = _powers_by_column(_array(q), _array(p), 2)
    value = float(squares.mean() ** 0.5)
    if len(squares) < 2 or value == 0:
        return value, 0.0
    return value, float(squares.std(ddof=1) / len(squares) ** 0.5) / (2 * value)


def _noise(q: Array, p: Array) -> float:
    r"""Standard error of the square of sliced W2 over draws of projections q (n, L) and p (m, L).

    Along a direction the first variation at x is the potential :math:`\phi' = 2 (x - T(x))` with T the monotone map.
    """

    def potential(x: Array, y: Array) -> Array:
        order = x.argsort(axis=0)
        x, middles = np.take_along_axis(x, order, 0), (2 * np.arange(len(x)) + 1) * len(y) // (2 * len(x))
        slopes = x - np.sort(y, axis=0)[middles]
        rises = np.cumsum((slopes[1:] + slopes[:-1]) * np.diff(x, axis=0), axis=0)
        values = np.zeros_like(x)
        np.put_along_axis(values, order[1:], rises, 0)
        return values.mean(1)

    return float(np.hypot(potential(q, p).std() / len(q) ** 0.5, potential(p, q).std() / len(p) ** 0.5))


def _powers_by_column(q: Array, p: Array, order: float) -> Array:
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


def _power(x: Array, order: float) -> Array:
    return np.square(x) if order == 2 else np.abs(x) ** order


def _sliced_part(c: Comparison) -> Found:
    # Of images the pixels are compared: features have the other distances.
    if c.images:
        return {"sliced_w2": sliced_w2(c.first, c.real, train=c.train, seed=c.seed, max_n=5 * c.max_n)}
    return named({"sliced_w2": sliced_w2(c.one, c.p, c.known, train=c.t, seed=c.seed, max_n=5 * c.max_n)})


def _w1_part(c: Comparison) -> Found:
    return named({"w1": w1(c.one, c.p, c.known, train=c.t, seed=c.seed, max_n=half(c), tick=c.tick)})


def _w2_part(c: Comparison) -> Found:
    return named({"w2": w2(c.one, c.p, c.known, train=c.t, seed=c.seed, max_n=half(c), tick=c.tick)})


PARTS = (
    Part(
        "sliced_w2", "sliced Wasserstein-2 distance", _sliced_part, sort_cost,
        {"sliced_w2": "Wasserstein-2 distance, averaged over directions"},
        usual=frozenset(("points", "images")), place=150,
    ),
    Part(
        "w1", "exact Wasserstein-1 distance", _w1_part, assignment_cost,
        {"w1": "Exact Wasserstein-1 distance"}, place=160,
    ),
    Part(
        "w2", "exact Wasserstein-2 distance", _w2_part, assignment_cost,
        {"w2": "Exact Wasserstein-2 distance"}, usual=frozenset(("points",)), place=170,
    ),
)  # fmt: skip
