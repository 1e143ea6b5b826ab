r"""Sliced optimal transport: the exact distance on the line, averaged over directions.

.. math:: SW_2^2(q, p) = \mathbb{E}_{\theta} W_2^2(\theta \cdot q, \theta \cdot p)

All functions return the distance, not its power, in data units.
"""

from __future__ import annotations

import math
from functools import partial
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pushforward.metrics.core.comparison import Comparison, sort_cost
from pushforward.metrics.core.features import RAW, Features
from pushforward.metrics.core.part import Found, Part, named
from pushforward.metrics.core.reference import Floor, Given, compare, se_near, subset
from pushforward.metrics.core.result import Measure, Words
from pushforward.metrics.quality.transport import as_rows, powers_by_column
from pushforward.randomness import generator

__all__ = ["PARTS", "directions", "sliced_w2", "sliced_wasserstein"]

Array = NDArray[np.float64]
Sums: TypeAlias = list[list[float]]


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
    q, p = (torch.from_numpy(as_rows(sample)) for sample in (q, p))
    return _sliced(q @ along, p @ along)


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
    spread of real against real, by which a perfect sampler's value scatters, and of the first variation, less the noise
    that it counts twice at the floor (`se_near`). At the floor it is a bound, a third too large for most laws.

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
    known = partial(Floor.of, sizes=sizes, repeats=repeats, seed=seed)
    # Subsets of train share rows, and real's are always the same: they scatter too little, and all rows' halves do not.
    apart, drawn = (known(len(p), None), None) if t is None else (known(len(p), len(t)), known(len(everything), None))

    squares, noises, sums = _by_blocks((q, used, everything), (p, t), along, (apart, drawn), budget)
    value, error = _over_directions(squares)
    lines = along.shape[1]
    (floors, parts), (halves, quarters) = ([_roots(one, lines) for one in each] for each in sums)
    mean = apart.factor(floors, parts) * float(np.mean(floors))
    spread = float(np.std(halves, ddof=1)) * (drawn or apart).factor(halves, quarters) if len(halves) > 1 else 0.0
    noise = (
        float(np.hypot(*(one.std() / len(one) ** 0.5 for one in noises))) / (2 * value * lines) if value > 0 else 0.0
    )
    protocol: Words = {"seed": seed, "projections": lines, "max_n": max_n}
    protocol |= {"floor": apart.words, "se": "directions and samples"}
    samples = max(spread, se_near(noise, value**2, mean**2))
    return Measure(value, mean, float(np.hypot(error, samples)), None, n, len(used), features.id, "lower", protocol)


def _by_blocks(
    sets: tuple[Tensor, Tensor, Tensor],
    real: tuple[Tensor, Tensor | None],
    along: Tensor,
    floors: tuple[Floor, Floor | None],
    budget: int,
) -> tuple[Array, tuple[Array, Array], tuple[tuple[Sums, Sums], tuple[Sums, Sums]]]:
    """Sliced W2 a block of directions at a time.

    Args:
        sets: Fakes, the data that they are compared with, and all real rows there are.
        real: Data and training rows, for the floor.
        along: Unit vectors, (d, L).
        floors: Which pairs of `real` are the floor, and which of all real rows tell its scatter; None for the same.
        budget: Bytes that the temporaries of one block may take.

    Returns:
        Squared distances by direction, (L,); the first variation at each fake and each datum, summed over directions;
        sums of squares by block and pair, of the floor and of the pairs that tell its scatter, each with its parts.
    """
    (q, used, everything), (p, t), (apart, drawn) = sets, real, floors
    squares, summed = list[Array](), ((Sums(), Sums()), (Sums(), Sums()))
    noise_q, noise_p = np.zeros(len(q)), np.zeros(len(used))
    for some in along.split(max(1, budget // (64 * (len(q) + len(everything)))), 1):
        x, y = as_rows(q @ some), as_rows(used @ some)
        squares.append(powers_by_column(x, y, 2))
        noise_q, noise_p = noise_q + _potential(x, y), noise_p + _potential(y, x)
        del x, y
        # Every block of directions meets the same pairs: their seed is the same.
        known = _summed(apart, p @ some, None if t is None else t @ some)
        fresh = known if drawn is None else _summed(drawn, everything @ some, None)
        for kept, found in zip(summed, (known, fresh)):
            for sums, one in zip(kept, found):
                sums.append(one)
    return np.concatenate(squares), (noise_q, noise_p), summed


def _summed(floor: Floor, real: Tensor, train: Tensor | None) -> tuple[list[float], list[float]]:
    """Squared W2 of each pair, summed over its columns, and of each part of a pair."""
    pairs, parts = list[float](), list[float]()
    for a, b in floor.pairs(real, train):
        pairs.append(float(powers_by_column(as_rows(a), as_rows(b), 2).sum()))
        parts += [float(powers_by_column(as_rows(x), as_rows(y), 2).sum()) for x, y in floor.parts((a, b))]
    return pairs, parts


def _roots(sums: Sums, lines: int) -> list[float]:
    """Sliced W2 of each pair, from its sums over blocks of directions."""
    return [math.sqrt(math.fsum(one) / lines) for one in zip(*sums)]


def _sliced(q: Tensor, p: Tensor) -> tuple[float, float]:
    """Sliced W2 of projections (n, L) and (m, L), and its error over the L columns."""
    return _over_directions(powers_by_column(as_rows(q), as_rows(p), 2))


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


def _sliced_part(c: Comparison) -> Found:
    # Of images the pixels are compared: features have the other distances.
    if c.images:
        return {"sliced_w2": sliced_w2(c.first, c.real, train=c.train, seed=c.seed, max_n=5 * c.max_n, budget=c.budget)}
    found = sliced_w2(c.one, c.p, c.known, train=c.t, seed=c.seed, max_n=5 * c.max_n, budget=c.budget)
    return named({"sliced_w2": found})


PARTS = (
    Part(
        "sliced_w2", "sliced Wasserstein-2 distance", _sliced_part, sort_cost,
        {"sliced_w2": "Wasserstein-2 distance, averaged over directions"},
        usual=frozenset(("points", "images")), place=150,
    ),
)  # fmt: skip
