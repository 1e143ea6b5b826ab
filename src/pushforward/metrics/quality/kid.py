r"""Kernel distance of features (KID): unbiased MMD² under a polynomial kernel, tile by tile.

.. math::
    k(x, y) = (\gamma\, (x - a) \cdot (y - a) + c)^3, \qquad
    \mathrm{KID} = \frac{1}{n(n-1)} \sum_{i \ne j} k(x_i, x_j) + \frac{1}{m(m-1)} \sum_{i \ne j} k(y_i, y_j)
    - \frac{2}{nm} \sum_{ij} k(x_i, y_j)

`kid` takes for a the mean of both samples together: far from the origin the published kernel, a = 0, sees a shift
multiplied by the square of the offset and little else, in values and errors that say nothing. `kid_subsets` and
`polynomial_mmd` keep a = 0, the published convention. Products are taken about a mean b of the data in all cases,
:math:`x \cdot y = (x - b) \cdot (y - b) + x \cdot b + y \cdot b - b \cdot b`; where all features are float32
numbers, the first of these is a float32 product, all else is float64.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pushforward.errors import DataError, UsageError
from pushforward.metrics.core.comparison import Comparison, kid_cost, subset_cost
from pushforward.metrics.core.features import RAW, Features
from pushforward.metrics.core.part import Found, Part
from pushforward.metrics.core.reference import Given, check_compared, subset
from pushforward.metrics.core.result import Measure, Words
from pushforward.randomness import generator

__all__ = ["CENTRED", "CUBIC", "PARTS", "Polynomial", "kid", "kid_subsets", "polynomial_mmd"]

Array = NDArray[np.float64]

_EDGE = 256
"""Rows of a tile, at most: its temporaries stay in the processor's cache."""

_OFFSET = 25.0
"""Squares of the mean, in squares of the spread about it, from which the origin decides a KID about it."""


@dataclass(frozen=True)
class Polynomial:
    r"""The kernel :math:`(\gamma\, x \cdot y + c)^{degree}`.

    Attributes:
        degree: Exponent, a positive integer.
        gamma: Factor of the inner product; 1 / number of features if None.
        coef: Constant c.
        centred: Products about the mean of both samples together; else about the origin.
    """

    degree: int = 3
    gamma: float | None = None
    coef: float = 1.0
    centred: bool = False


CUBIC = Polynomial()
"""The kernel of the published convention."""

CENTRED = Polynomial(centred=True)
"""The same about the mean of both samples together: it does not depend on where the origin lies."""


def polynomial_mmd(q: Given, p: Given, *, kernel: Polynomial = CUBIC, budget: int = 2**26) -> float:
    """Unbiased MMD² under a polynomial kernel, which may be negative.

    Args:
        q: Model features, (n, d), n >= 2.
        p: Data features, (m, d), m >= 2.
        kernel: The kernel.
        budget: Bytes that the temporaries of one tile may take.
    """
    q, p, _ = check_compared(q, p)
    return _mmd(*_prepared(q, p, RAW, kernel), budget)


def kid(
    fake: Given,
    real: Given,
    features: Features = RAW,
    *,
    kernel: Polynomial = CENTRED,
    max_n: int = 10_000,
    seed: int = 0,
    budget: int = 2**26,
    tick: Callable[[float], None] | None = None,
) -> Measure:
    r"""KID of the whole samples, with its standard error over draws of both.

    Its floor is 0, since the estimate is unbiased at any size. The error comes from the mean kernel values of each
    row: twice their sample variances over the sizes, :math:`4 s_x^2 / n + 4 s_y^2 / m`, hold the first-order variance
    and twice the second-order one, :math:`v = 2 \sigma_{xx}^2 / n(n-1) + 2 \sigma_{yy}^2 / m(m-1) + 4 \sigma_{xy}^2 /
    nm`. So v is taken off once, and the larger of both is taken, which for equal laws errs on the safe side by a sixth
    at most. About the mean of the pool the
    estimate does not depend on where the origin lies, and stays unbiased for equal laws, since the pool's mean knows no
    labels; the protocol says which kernel was used.

    Args:
        fake: Model samples, (n, *event).
        real: Data samples, (m, *event).
        features: The feature space.
        kernel: The kernel; `CUBIC` is the published one.
        max_n: Rows used of each; more are subsampled.
        seed: Seed of these subsets.
        budget: Bytes that the temporaries of one tile may take.
        tick: Called with the share of the kernel matrices done.

    Raises:
        DataError: If the samples do not fit together.
        UsageError: If the degree is not a positive integer, or gamma is not positive.

    References:
        Demystifying MMD GANs (Binkowski et al., 2018), arXiv:1801.01401.
    """
    fake, real, _ = check_compared(fake, real)
    rng = generator(seed, "evaluate", part="kid")
    q, p = subset(fake, max_n, rng), subset(real, max_n, rng)
    x, y = _prepared(q, p, features, kernel)
    value, error = _statistics(x, y, budget, tick)
    protocol = x.protocol | {"estimator": "unbiased, all pairs", "se": "over draws of both samples"}
    protocol |= {"max_n": max_n, "seed": seed}
    return Measure(value, 0.0, error, None, len(q), len(p), features.id, "lower", protocol)


def kid_subsets(
    fake: Given,
    real: Given,
    features: Features = RAW,
    *,
    subsets: int = 100,
    size: int = 1000,
    kernel: Polynomial = CUBIC,
    seed: int = 0,
    budget: int = 2**26,
    tick: Callable[[float], None] | None = None,
) -> Measure:
    """KID in the published convention: the mean over random subsets, and their standard deviation with ddof 0.

    That deviation, `protocol["std"]`, is the spread of subsets of `size` rows, no error of the mean: subsets of one
    sample share rows. `kid` uses every pair and knows its error.

    Args:
        fake: Model samples, (n, *event).
        real: Data samples, (m, *event).
        features: The feature space.
        subsets: Number of subsets.
        size: Rows of each, drawn from fake and from real without replacement.
        kernel: The kernel.
        seed: Seed of the subsets.
        budget: Bytes that the temporaries of one tile may take.
        tick: Called with the share of subsets done.

    Returns:
        The mean; `detail["values"]` holds that of each subset.

    Raises:
        DataError: If the samples do not fit together, or are smaller than a subset.
        UsageError: If there is no subset, or the kernel's settings are out of range.
    """
    fake, real, _ = check_compared(fake, real)
    if subsets < 1 or size < 2:
        raise UsageError(f"subsets is {subsets}, size {size}: give at least one subset of two rows")
    if min(len(fake), len(real)) < size:
        sizes = f"fake has {len(fake)} samples, real {len(real)}"
        raise DataError(f"{sizes}: draw {size} of each, or pass a smaller size")
    x, y = _prepared(fake, real, features, kernel)
    rng, values = generator(seed, "evaluate", part="kid_subsets"), np.empty(subsets)
    for index in range(subsets):
        rows = [rng.permutation(len(side.z))[:size] for side in (x, y)]
        values[index] = _mmd(x.take(rows[0]), y.take(rows[1]), budget)
        if tick is not None:
            tick((index + 1) / subsets)
    protocol = (
        x.protocol | _off_centre(x, y) | {"estimator": "unbiased, mean over subsets", "subsets": subsets, "size": size}
    )
    protocol |= {"std": float(values.std()), "std_ddof": 0, "seed": seed}
    detail = {"values": torch.from_numpy(values)}
    return Measure(float(values.mean()), 0.0, None, None, len(fake), len(real), features.id, "lower", protocol, detail)


@dataclass(frozen=True)
class _Points:
    """One sample, ready for tiles: k(x_i, y_j) = (z_i . z_j + a_i + a_j)^degree.

    Attributes:
        z: Rows about the data's mean, times the root of gamma, (n, d), float32 or float64.
        a: What that leaves out of the inner products, half of it each, (n,).
        degree: Exponent.
        coef: The kernel's constant, which is part of a.
        protocol: The kernel in words.
    """

    z: NDArray[np.floating]
    a: Array
    degree: int
    coef: float
    protocol: dict[str, str | float | int]

    def take(self, rows: NDArray[np.integer]) -> _Points:
        return _Points(self.z[rows], self.a[rows], self.degree, self.coef, self.protocol)

    def kernel(self, other: _Points, i: slice, j: slice) -> Array:
        inner = (self.z[i] @ other.z[j].T).astype(np.float64, copy=False)
        inner += self.a[i, None]
        inner += other.a[j]
        values = inner.copy() if self.degree == 1 else inner * inner
        for _ in range(self.degree - 2):
            values *= inner
        return values


def _off_centre(x: _Points, y: _Points) -> Words:
    """A word where the origin decides: the offset's square is many times the rows' own about the mean."""
    own = float(np.mean([np.square(side.z, dtype=np.float64).sum(1).mean() for side in (x, y)]))
    offset = float(np.mean([2 * side.a.mean() for side in (x, y)])) - x.coef
    if offset <= _OFFSET * own:
        return {}
    return {
        "note": f"the mean lies {(offset / own) ** 0.5:.3g} spreads from the origin, which decides: read kid instead"
    }


def _prepared(q: Tensor, p: Tensor, features: Features, kernel: Polynomial) -> tuple[_Points, _Points]:
    sides = [_rows(features, part.detach()) for part in (q, p)]
    single = all(side.dtype == np.float32 for side in sides)
    x, y = sides if single else (side.astype(np.float64, copy=False) for side in sides)
    degree, coef, centred = kernel.degree, kernel.coef, kernel.centred
    factor = 1 / x.shape[1] if kernel.gamma is None else kernel.gamma
    if degree < 1 or int(degree) != degree or not factor > 0:
        raise UsageError(f"degree is {degree}, gamma {factor}: give a positive whole exponent and a positive factor")
    means, n, m = [side.mean(0, dtype=np.float64) for side in (x, y)], len(x), len(y)
    # Both ways round the same sum, or exchanging the samples would move the last digit of the centre.
    centre = (n * means[0] + m * means[1]) / (n + m) if centred else means[1]
    protocol: dict[str, str | float | int] = {
        "kernel": f"({factor:.6g} {'(x-a).(y-a)' if centred else 'x.y'} + {coef:g})^{degree}",
        "products": "float32 about the mean" if single else "float64",
    }

    def points(rows: NDArray[np.floating]) -> _Points:
        a = np.empty(len(rows))
        for part, rest in _blocks(rows, a):
            wide = part.astype(np.float64)
            rest[:] = coef / 2 if centred else factor * (wide @ centre - centre @ centre / 2) + coef / 2
            part[:] = (wide - centre) * factor**0.5
        return _Points(rows, a, degree, coef, protocol)

    return points(x), points(y)


def _rows(features: Features, x: Tensor) -> NDArray[np.floating]:
    """A copy of all features, (n, d): float32 where that holds them exactly, else float64."""
    rows, start = np.empty((0, 0), np.float32), 0
    for block in features.stream(x):
        part = block.numpy()
        if start == 0:
            rows = np.empty((len(x), part.shape[1]), np.float32)
        if rows.dtype == np.float32 and not (part.astype(np.float32) == part).all():
            wide = np.empty(rows.shape)
            wide[:start] = rows[:start]
            rows = wide
        rows[start : start + len(part)] = part
        start += len(part)
    return rows


def _blocks(rows: NDArray[np.floating], beside: Array) -> Iterator[tuple[NDArray[np.floating], Array]]:
    """Views of a few rows of both at a time."""
    width = max(1, 2**18 // rows.shape[1])
    return ((rows[i : i + width], beside[i : i + width]) for i in range(0, len(rows), width))


def _slices(n: int, budget: int) -> list[slice]:
    edge = min(_EDGE, max(1, int((budget / 32) ** 0.5)))
    return [slice(start, min(start + edge, n)) for start in range(0, n, edge)]


def _mmd(x: _Points, y: _Points, budget: int) -> float:
    """The estimate alone."""
    across = sum(float(x.kernel(y, i, j).sum()) for i in _slices(len(x.a), budget) for j in _slices(len(y.a), budget))
    return _within(x, budget) + _within(y, budget) - 2 * across / (len(x.a) * len(y.a))


def _within(x: _Points, budget: int) -> float:
    """Mean of k over pairs of different rows: tiles below the diagonal count twice."""
    total, parts = 0.0, _slices(len(x.a), budget)
    for index, i in enumerate(parts):
        total += 2 * sum(float(x.kernel(x, i, j).sum()) for j in parts[:index])
        tile = x.kernel(x, i, i)
        total += float(tile.sum() - tile.trace())
    return total / (len(x.a) * (len(x.a) - 1))


def _statistics(x: _Points, y: _Points, budget: int, tick: Callable[[float], None] | None) -> tuple[float, float]:
    """The estimate and its standard error."""
    n, m, done = len(x.a), len(y.a), 0

    def step(entries: int) -> None:
        nonlocal done
        done += entries
        if tick is not None:
            tick(min(1.0, 2 * done / (n + m) ** 2))

    xx, _, squares_xx = _sums(x, x, budget, step)
    yy, _, squares_yy = _sums(y, y, budget, step)
    xy, yx, squares_xy = _sums(x, y, budget, step)
    xx, yy, xy, yx = xx / (n - 1), yy / (m - 1), xy / m, yx / n
    mean = float(xy.mean())
    value = float(xx.mean() + yy.mean()) - 2 * mean

    # Variances of the kernel less its row and column means: what is left once the first order is taken out.
    pure_xx = squares_xx / (n * (n - 1)) - 2 * xx @ xx / n + xx.mean() ** 2
    pure_yy = squares_yy / (m * (m - 1)) - 2 * yy @ yy / m + yy.mean() ** 2
    pure_xy = squares_xy / (n * m) - xy @ xy / n - yx @ yx / m + mean**2
    second = 2 * pure_xx / (n * (n - 1)) + 2 * pure_yy / (m * (m - 1)) + 4 * pure_xy / (n * m)
    both = 4 * np.var(xx - xy, ddof=1) / n + 4 * np.var(yy - yx, ddof=1) / m
    return value, float(max(both - second, second, 0.0) ** 0.5)


def _sums(x: _Points, y: _Points, budget: int, step: Callable[[int], None]) -> tuple[Array, Array, float]:
    """Row sums, column sums and sum of squares of a kernel matrix; without its diagonal where x is y."""
    rows, columns, squares, same = np.zeros(len(x.a)), np.zeros(len(y.a)), 0.0, x is y
    parts = _slices(len(y.a), budget)
    for index, i in enumerate(_slices(len(x.a), budget)):
        for j in parts[:index] if same else parts:
            tile = x.kernel(y, i, j)
            rows[i] += tile.sum(1)
            columns[j] += tile.sum(0)
            squares += (1 + same) * float(np.vdot(tile, tile))
        if same:
            tile = x.kernel(x, i, i)
            np.fill_diagonal(tile, 0)
            rows[i] += tile.sum(1)
            squares += float(np.vdot(tile, tile))
        step((i.stop - i.start) * (i.stop if same else len(y.a)))
    return (rows + columns, rows + columns, squares) if same else (rows, columns, squares)


def _part(c: Comparison) -> Found:
    found = kid(c.one, c.p, c.known, max_n=5 * c.max_n, seed=c.seed, budget=c.budget, tick=c.tick)
    return {f"kid@{c.space.id}": found}


def _subsets_part(c: Comparison) -> Found:
    size = min(1000, len(c.one), len(c.p))
    found = kid_subsets(c.one, c.p, c.known, size=size, seed=c.seed, budget=c.budget, tick=c.tick)
    return {f"kid_subsets@{c.space.id}": found}


PARTS = (
    Part(
        "kid", "unbiased kernel distance with a cubic kernel", _part, kid_cost,
        {"kid": "Kernel distance with a cubic kernel; unbiased, so its floor is 0"}, place=110,
    ),
    Part(
        "kid_subsets", "kernel distance with a cubic kernel by the published convention, 100 subsets", _subsets_part,
        subset_cost, {"kid_subsets": "Kernel distance with a cubic kernel, as a mean over random subsets"}, place=120,
    ),
)  # fmt: skip
