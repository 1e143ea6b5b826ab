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
from pushforward.metrics.core.reference import Given, as_samples, compare, real_floor, subset
from pushforward.metrics.core.result import Measure, Words
from pushforward.randomness import generator

__all__ = ["PARTS", "directions", "sliced_w2", "sliced_wasserstein", "w1", "w2", "wasserstein", "wasserstein_1d"]

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
    x, y, unit = _about_their_middle(_array(q), _array(p))
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
    x, y, unit = _about_their_middle(*(_array(sample).reshape(-1, 1) for sample in (q, p)))
    return unit * float(_powers_by_column(x, y, order)[0] ** (1 / order))


def directions(dim: int, count: int, seed: int) -> Tensor:
    """Unit vectors uniform on the sphere, (dim, count), float64."""
    normal = generator(seed, "evaluate", part="directions").standard_normal((dim, count))
    return torch.from_numpy(normal / np.linalg.norm(normal, axis=0))


def sliced_wasserstein(q: Given, p: Given, along: Tensor) -> tuple[float, float]:
    r"""Sliced W2 along given directions; exact in each, for any two sizes.

    Args:
        q: Model samples, (n, *event), in data units.
        p: Data samples, (m, *event).
        along: Unit vectors, (d, L); see `directions`. A shift by s in d dimensions scores :math:`\|s\| / \sqrt d`.

    Returns:
        The distance, and its standard error over the directions.
    """
    along = along.double().cpu()
    q, p = (torch.from_numpy(_array(sample)) for sample in (q, p))
    return _sliced(q @ along, p @ along)


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
    fake: Given,
    real: Given,
    features: Features = RAW,
    *,
    train: Given | None = None,
    projections: int = 128,
    max_n: int = 10_000,
    repeats: int = 10,
    seed: int = 0,
    budget: int = 2**26,
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
        budget: Bytes that the temporaries of one block of directions may take.

    Raises:
        DataError: If the samples do not fit together.
    """
    q, p, t = compare(fake, real, train, features, max_n=max_n, seed=seed)
    along = directions(q.shape[1], projections if q.shape[1] > 1 else 1, seed)
    used, n = subset(p, max_n, generator(seed, "evaluate", part="sliced_w2")), len(q)
    sizes, everything = (n, len(used)), p if t is None else torch.cat([p, t])

    def floor(distance: Callable[[Tensor, Tensor], float], p: Tensor, t: Tensor | None) -> tuple[float, str]:
        # On the line W2 of two samples of one law falls like the root of their sizes.
        return real_floor(distance, p, t, sizes, repeats=repeats, seed=seed, rate=0.5)

    squares, noises, (apart, drawn) = _by_blocks((q, used, everything), (p, t), along, floor, budget)
    value, error = _over_directions(squares)
    lines, roots = along.shape[1], [list(np.sqrt(np.sum(sums, 0) / along.shape[1])) for sums in (apart, drawn or apart)]
    mean, how = floor(_said(roots[0]), p[:, :1], None if t is None else t[:, :1])
    scaled = mean if t is None else floor(_said(roots[1]), everything[:, :1], None)[0]
    spread = float(np.std(roots[1], ddof=1)) * scaled / float(np.mean(roots[1])) if _scatters(roots[1]) else 0.0
    protocol: Words = {"seed": seed, "projections": lines, "max_n": max_n}
    protocol |= {"floor": how, "se": "directions and samples"}
    noise = (
        float(np.hypot(*(one.std() / len(one) ** 0.5 for one in noises))) / (2 * value * lines) if value > 0 else 0.0
    )
    return Measure(
        value, mean, float(np.hypot(error, max(spread, noise))), None, n, len(used), features.id, "lower", protocol
    )


def _by_blocks(
    sets: tuple[Tensor, Tensor, Tensor],
    real: tuple[Tensor, Tensor | None],
    along: Tensor,
    floor: Callable[[Callable[[Tensor, Tensor], float], Tensor, Tensor | None], object],
    budget: int,
) -> tuple[Array, tuple[Array, Array], tuple[list[list[float]], list[list[float]]]]:
    """Sliced W2 a block of directions at a time.

    Args:
        sets: Fakes, the data that they are compared with, and all real rows there are.
        real: Data and training rows, for the floor.
        along: Unit vectors, (d, L).
        floor: Asks a distance for what real rows score against real rows.
        budget: Bytes that the temporaries of one block may take.

    Returns:
        Squared distances by direction, (L,); the first variation at each fake and each datum, summed over directions;
        sums of squares by block and subset, of the floor and where there are training rows of all real rows' halves.
    """
    (q, used, everything), (p, t) = sets, real
    squares, apart, drawn = list[Array](), list[list[float]](), list[list[float]]()
    noise_q, noise_p = np.zeros(len(q)), np.zeros(len(used))
    for some in along.split(max(1, budget // (64 * (len(q) + len(everything)))), 1):
        x, y = _array(q @ some), _array(used @ some)
        squares.append(_powers_by_column(x, y, 2))
        noise_q, noise_p = noise_q + _potential(x, y), noise_p + _potential(y, x)
        del x, y
        # Every block of directions meets the same subsets: their seed is the same.
        apart.append([])
        floor(_adding(apart[-1]), p @ some, None if t is None else t @ some)
        if t is not None:  # subsets of train share rows, and real's are always the same: they scatter too little
            drawn.append([])
            floor(_adding(drawn[-1]), everything @ some, None)
    return np.concatenate(squares), (noise_q, noise_p), (apart, drawn)


def _adding(sums: list[float]) -> Callable[[Tensor, Tensor], float]:
    """Notes the sum over directions of the squares of W2, as a distance that a floor asks for."""

    def distance(a: Tensor, b: Tensor) -> float:
        sums.append(float(_powers_by_column(_array(a), _array(b), 2).sum()))
        return sums[-1]

    return distance


def _said(values: list[float]) -> Callable[[Tensor, Tensor], float]:
    """Answers with what is known already, one after the other."""
    left = iter(values)
    return lambda a, b: next(left)


def _scatters(values: list[float]) -> bool:
    return len(values) > 1 and float(np.mean(values)) > 0


def _array(x: Given) -> Array:
    rows = as_samples("a sample", x).detach().double().cpu()
    return (rows[:, None] if rows.ndim == 1 else rows.flatten(1)).numpy()


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
    return _over_directions(_powers_by_column(_array(q), _array(p), 2))


def _over_directions(squares: Array) -> tuple[float, float]:
    """The root of the mean of squared distances (L,), and its error over them."""
    value = float(squares.mean() ** 0.5)
    if len(squares) < 2 or value == 0:
        return value, 0.0
    return value, float(squares.std(ddof=1) / len(squares) ** 0.5) / (2 * value)


def _potential(x: Array, y: Array) -> Array:
    r"""First variation of squared W2 at each row of x, summed over the directions of x (n, L) and y (m, L); (n,).

    Along a direction it is the potential with :math:`\phi' = 2 (x - T(x))`, T the monotone map.
    """
    order = x.argsort(axis=0)
    x, middles = np.take_along_axis(x, order, 0), (2 * np.arange(len(x)) + 1) * len(y) // (2 * len(x))
    slopes = x - np.sort(y, axis=0)[middles]
    rises = np.cumsum((slopes[1:] + slopes[:-1]) * np.diff(x, axis=0), axis=0)
    values = np.zeros_like(x)
    np.put_along_axis(values, order[1:], rises, 0)
    return values.sum(1)


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
        return {"sliced_w2": sliced_w2(c.first, c.real, train=c.train, seed=c.seed, max_n=5 * c.max_n, budget=c.budget)}
    found = sliced_w2(c.one, c.p, c.known, train=c.t, seed=c.seed, max_n=5 * c.max_n, budget=c.budget)
    return named({"sliced_w2": found})


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
