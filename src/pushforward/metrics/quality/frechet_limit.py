r"""Fréchet distance extrapolated to infinitely many samples, where its bias is gone.

.. math:: F(s) = a + \frac{b}{s} + \frac{B(s)}{s}

for the share s of the rows and a Brownian motion B: sums over nested subsets have independent increments. Those of
:math:`s F(s) = a s + b + B(s)` are therefore independent with mean a, so their mean is the generalised least squares
fit of a, and their scatter is its error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import accumulate

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pushforward.errors import DataError, UsageError
from pushforward.metrics.core.comparison import Comparison, limit_cost
from pushforward.metrics.core.features import RAW, Features
from pushforward.metrics.core.moments import Moments, moments, ticking
from pushforward.metrics.core.part import Found, Part
from pushforward.metrics.core.reference import Given, check_compared
from pushforward.metrics.core.result import Measure, Words
from pushforward.metrics.quality.frechet import frechet, frechet_name
from pushforward.randomness import generator

__all__ = ["PARTS", "frechet_limit"]


def frechet_limit(
    fake: Given,
    real: Given,
    features: Features = RAW,
    *,
    sizes: int = 15,
    seed: int = 0,
    tick: Callable[[float], None] | None = None,
) -> Measure:
    """Fréchet distance at infinitely many fakes and data: free of its first-order bias, at the price of more noise.

    Both samples are shuffled once and read once; the moments of each nested subset are those of the one before,
    merged with the new rows. The smallest subset holds a tenth of the rows, or twice as many as there are features.
    The value may be negative, and its floor is 0.

    Args:
        fake: Model samples, (n, *event).
        real: Data samples, (m, *event).
        features: The feature space.
        sizes: Number of nested subsets, equally spaced.
        seed: Seed of the order of the rows.
        tick: Called with the share of rows read so far.

    Returns:
        The limit; `detail` holds the sizes (fakes) and distances of the fit.

    Raises:
        DataError: If the samples do not fit together, or are fewer than four times the number of features.
        UsageError: If there are fewer than three sizes.

    References:
        Effectively unbiased FID and Inception score (Chong & Forsyth, 2020), arXiv:1911.07023.
    """
    fake, real, _ = check_compared(fake, real)
    n, m, dim = _checked(fake, real, features, sizes)
    rng, read = generator(seed, "evaluate", part="frechet_limit"), ticking(tick, n + m)

    def nested(x: Tensor) -> Iterator[Moments]:
        parts = _increments(len(x), shares, rng)
        return accumulate(moments(read(features.stream(x, rows=rows))) for rows in parts)

    shares = np.linspace(max(0.1, 2 * dim / min(n, m)), 1, sizes)
    points = [(q.n, p.n, frechet(q, p)) for q, p in zip(nested(fake), nested(real), strict=True)]
    rows_q, rows_p, distances = np.array(points).T
    # The bias goes with 1/n + 1/m; as a share of the full sample's this is 1/s, also after rounding to whole rows.
    value, error = _slope((1 / n + 1 / m) / (1 / rows_q + 1 / rows_p), distances)
    protocol: Words = {
        "estimator": "extrapolated to infinite samples, noisy",
        "covariance": "ddof 1",
        "dim": dim,
        "sizes": sizes,
        "smallest": int(rows_q.min()),
        "at_all_rows": float(distances[-1]),
        "se": "scatter of the increments between sizes; an upper bound for equal laws",
        "seed": seed,
    }
    detail = {"size": torch.from_numpy(rows_q), "distance": torch.from_numpy(distances)}
    return Measure(value, 0.0, error, None, n, m, features.id, "lower", protocol, detail)


def _checked(fake: Tensor, real: Tensor, features: Features, sizes: int) -> tuple[int, int, int]:
    """Numbers of fakes, of data and of features, if these allow a line through so many sizes."""
    if sizes < 3:
        raise UsageError(f"sizes is {sizes}: a line and its scatter need at least 3, 15 is usual")
    n, m, dim = len(fake), len(real), features(real[:1]).shape[1]
    if min(n, m) < 4 * dim:
        name = "fake" if n <= m else "real"
        raise DataError(f"{name} has {min(n, m)} samples for {dim} features: give at least {4 * dim} to extrapolate")
    return n, m, dim


def _slope(shares: NDArray[np.float64], distances: NDArray[np.float64]) -> tuple[float, float]:
    """Slope of share times distance over the share s: the limit where the distance is limit + bias / s. And its error.

    The mean of the slopes between neighbouring sizes, which share no rows but those both hold already. Where the laws
    are equal the distance is quadratic in its noise, and the steps to small sizes scatter more than their part, like
    1/s: so those to large sizes count most for the scatter, by s squared. Their error is then a fifth too large.
    """
    steps = np.diff(shares)
    slopes = np.diff(shares * distances) / steps
    whole, weights = float(steps.sum()), shares[1:] ** 2
    slope = float(np.average(slopes, weights=steps))
    scatter = float(weights @ (steps * (slopes - slope) ** 2)) / float(weights @ (1 - steps / whole))
    return slope, (scatter / whole) ** 0.5


def _increments(n: int, shares: NDArray[np.float64], rng: np.random.Generator) -> list[Tensor]:
    """Rows that each nested subset adds to the one before, in the order in which they are stored."""
    cuts = np.round(shares * n).astype(int)[:-1]
    return [torch.from_numpy(np.sort(part)) for part in np.split(rng.permutation(n), cuts)]


def _part(c: Comparison) -> Found:
    found = frechet_limit(c.q, c.p, c.known, seed=c.seed, tick=c.tick)
    return {f"{frechet_name(c.space)}_limit@{c.space.id}": found}


_READING = "Fréchet distance extrapolated to infinitely many samples"

PARTS = (
    Part(
        "limit", _READING, _part, limit_cost, {"FD_limit": _READING, "FID_limit": _READING}, place=100,
    ),
)  # fmt: skip
