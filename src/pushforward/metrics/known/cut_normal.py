r"""Round normal laws cut at a radius: their moments, the width behind a variance, and moments of perfect samples.

.. math::
    \mathbb{E}[r^{2j} \mid r \le R] = 2^j\, \frac{\Gamma(d/2 + j)}{\Gamma(d/2)}\, \frac{P(\chi^2_{d + 2j} \le R^2)}{P(\chi^2_d \le R^2)},
    \qquad v_d(R) = \mathbb{E}[r^2 \mid r \le R] / d

for standard normal x in d dimensions, r = \|x\|: a law of width w that is cut at R has variance :math:`w^2 v_d(R / w)`.
Within three standard deviations of the plane it is .949, so that what looks .974 wide there is as wide as it should be.
"""  # noqa: E501

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtr, gammaln

__all__ = ["ModeMoments", "cut_power", "cut_variance", "perfect_moments", "width_behind"]

Array = NDArray[np.float64]

WIDEST = 10.0
"""Width above which samples within a radius are as good as spread evenly, and tell no width."""

_FEW = 256  # samples of a mode up to which they are drawn one by one, and not as the limit of their sums
_VALUES = 2**21  # numbers drawn at a time


@dataclass(frozen=True)
class ModeMoments:
    """What is known of the samples of each of K modes, in units of their standard deviation and about their centres.

    Attributes:
        n: Number of samples, (K,); where they count in part, the number of whole ones that would be as noisy.
        mean: Their mean, (..., K, d).
        cov: Their covariance about it, unbiased, (..., K, d, d).
        quartic: Mean fourth power of the distance from it, (..., K).
    """

    n: Array
    mean: Array
    cov: Array
    quartic: Array

    @property
    def variance(self) -> Array:
        """Variance along an axis, on average, (..., K)."""
        return np.trace(self.cov, axis1=-2, axis2=-1) / self.cov.shape[-1]


def cut_power(d: int, radius: Any, j: int) -> Array:
    """Mean of the distance to the power 2j within a radius, of a standard normal law in d dimensions."""
    squared = np.square(np.asarray(radius, np.float64))
    top, whole = chdtr(d + 2 * j, squared), chdtr(d, squared)
    even = squared**j * d / (d + 2 * j)  # of a small ball, that the law fills evenly
    factor = 2.0**j * np.exp(gammaln(d / 2 + j) - gammaln(d / 2))
    return np.where(whole > 1e-280, factor * top / np.where(whole > 0, whole, 1.0), even)


def cut_variance(d: int, radius: Any) -> Array:
    """Variance along an axis within a radius, of a standard normal law in d dimensions."""
    return cut_power(d, radius, 1) / d


def width_behind(variance: Any, d: int, radius: float) -> Array:
    """The width of the round normal law whose part within the radius has this variance; `WIDEST` where none has.

    Args:
        variance: Variances along an axis, of any shape.
        d: Dimensions.
        radius: Where the law is cut.
    """
    variance = np.asarray(variance, np.float64)
    low, high = np.zeros_like(variance), np.full_like(variance, WIDEST)
    for _ in range(60):
        middle = (low + high) / 2
        small = middle**2 * cut_variance(d, radius / middle) < variance
        low, high = np.where(small, middle, low), np.where(small, high, middle)
    return low


def perfect_moments(n: Array, d: int, radius: float, draws: int, rng: np.random.Generator) -> Iterator[ModeMoments]:
    """ModeMoments of perfect samples: so many of each mode, all within the radius, some draws at a time.

    Modes of up to 256 samples are drawn sample by sample. Sums of more are normal but for terms of 1/n, with moments up
    to the eighth that are known.

    Args:
        n: Samples of each mode, (K,), rounded to whole numbers.
        d: Dimensions.
        radius: Where modes are cut, in their standard deviations.
        draws: Draws in all.
        rng: Draws them.
    """
    whole = np.maximum(np.rint(n), 2).astype(np.int64)
    each = len(n) * d * d + d * int(whole[whole <= _FEW].max(initial=0))
    step = max(1, _VALUES // each)
    for start in range(0, draws, step):
        size = min(step, draws - start)
        shapes = ((size, len(n), d), (size, len(n), d, d), (size, len(n)))
        found = ModeMoments(whole.astype(np.float64), *map(np.empty, shapes))
        for k, count in enumerate(whole.tolist()):
            one = _drawn(size, count, d, radius, rng) if count <= _FEW else _summed(size, count, d, radius, rng)
            found.mean[:, k], found.cov[:, k], found.quartic[:, k] = one
        yield found


def _drawn(size: int, n: int, d: int, radius: float, rng: np.random.Generator) -> tuple[Array, Array, Array]:
    """Mean, covariance and quartic of n samples that are drawn, so many times."""
    x = rng.standard_normal((size * n, d))
    while len(far := np.flatnonzero(np.einsum("ij,ij->i", x, x) > radius**2)):
        x[far] = rng.standard_normal((len(far), d))
    x = x.reshape(size, n, d)
    mean = x.mean(1)
    x = x - mean[:, None]
    return mean, x.mT @ x / (n - 1), np.square(np.einsum("bij,bij->bi", x, x)).mean(1)


def _summed(size: int, n: int, d: int, radius: float, rng: np.random.Generator) -> tuple[Array, Array, Array]:
    """The same by the central limit theorem.

    A round law's second moments are the trace, which goes with the quartic, and a traceless part, independent of both
    to this order, whose entries are normal of the variance E r^4 / (d (d + 2)), twice that on the diagonal.
    """
    two, four, six, eight = (float(cut_power(d, radius, j)) for j in (1, 2, 3, 4))
    mean = rng.standard_normal((size, d)) * (two / d / n) ** 0.5
    joint = np.array([[four - two**2, six - two * four], [six - two * four, eight - four**2]]) / n
    sums = rng.multivariate_normal([two, four], joint, size=size, method="cholesky")
    entries = rng.standard_normal((size, d, d))
    entries = (entries + entries.mT) / 2**0.5
    entries -= np.eye(d) * (np.trace(entries, axis1=1, axis2=2) / d)[:, None, None]
    cov = entries * (four / (d * (d + 2)) / n) ** 0.5 + np.eye(d) * (sums[:, :1, None] / d)
    return mean, cov, sums[:, 1]
