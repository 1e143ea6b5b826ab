"""What real data score against real data: the floor under every distance between samples."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pushforward.errors import DataError, UsageError
from pushforward.randomness import generator

__all__ = [
    "Floor",
    "Given",
    "as_samples",
    "check_compared",
    "check_samples",
    "compare",
    "real_floor",
    "se_apart",
    "se_near",
    "subset",
]

Given: TypeAlias = Tensor | NDArray[Any]
"""What a metric takes as samples: tensors, or arrays of numbers of any type."""

_VALUES = 2**20
"""Numbers looked at in one go where a sample is checked."""


def as_samples(name: str, x: Given) -> Tensor:
    """Samples as a tensor: a tensor as it is, of an array the same numbers, on the same memory where that can be.

    Raises:
        DataError: If it is no array of numbers.
    """
    if isinstance(x, Tensor):
        return x
    values = np.asarray(x)
    if values.dtype.kind not in "biuf":
        raise DataError(f"{name} is {values.dtype} of shape {values.shape}: give a tensor or an array of numbers")
    if values.dtype not in (np.float32, np.float64):
        values = values.astype(np.float64)
    return torch.from_numpy(np.ascontiguousarray(values, values.dtype.newbyteorder("=")))


def check_samples(name: str, x: Given, least: int = 2) -> Tensor:
    """Refuse samples that no statistic can use, and answer with the others as a tensor.

    Args:
        name: What the caller calls them: "fake", "real", "train".
        x: Samples, (n, *event).
        least: Rows needed.

    Raises:
        DataError: If there are too few rows, no event axis, or values that are not finite.
    """
    x = as_samples(name, x)
    if x.ndim < 2:
        raise DataError(f"{name} has shape {tuple(x.shape)}: give samples as (n, *event), e.g. {name}[:, None]")
    if len(x) < least:
        raise DataError(f"{name} has {len(x)} sample(s), at least {least} are needed: draw more")
    # Blocks, because the truth values of a whole large sample would take a quarter of its memory.
    rows = max(1, _VALUES * len(x) // max(1, x.numel()))
    if not all(bool(part.isfinite().all()) for part in x.split(rows)):
        bad = sum(int((~part.flatten(1).isfinite().all(1)).sum()) for part in x.split(rows))
        raise DataError(f"{name} has {bad} of {len(x)} samples with NaN or infinity: drop them, or see why it diverged")
    return x


def check_compared(fake: Given, real: Given, train: Given | None = None) -> tuple[Tensor, Tensor, Tensor | None]:
    """Refuse samples that cannot be compared with each other, and answer with the others as tensors.

    Args:
        fake: Model samples, (n, *event).
        real: Data samples, (m, *event).
        train: A second, independent sample of the data, (k, *event), or None.

    Raises:
        DataError: If a sample is too small, not finite, or of another event shape than the rest.
    """
    fake, real = check_samples("fake", fake), check_samples("real", real)
    if fake.shape[1:] != real.shape[1:]:
        shapes = f"fake has event shape {tuple(fake.shape[1:])}, real {tuple(real.shape[1:])}"
        raise DataError(f"{shapes}: decode or reshape fake to the shape of real")
    if train is not None:
        train = check_samples("train", train)
        if train.shape[1:] != real.shape[1:]:
            shapes = f"train has event shape {tuple(train.shape[1:])}, real {tuple(real.shape[1:])}"
            raise DataError(f"{shapes}: give both splits in the same units and shape")
    return fake, real, train


def compare(
    fake: Given,
    real: Given,
    train: Given | None,
    features: Callable[[Tensor], Tensor],
    *,
    max_n: int | None = None,
    seed: int = 0,
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Check samples that are to be compared and map them to features.

    Args:
        fake: Model samples, (n, *event).
        real: Data samples, (m, *event).
        train: A second, independent sample of the data, (k, *event), or None.
        features: The feature space.
        max_n: Rows kept of fake, with twice as many of real and four times as many of train, so that floors can be
            measured with fresh rows; None keeps all.
        seed: Seed of that choice.

    Returns:
        The three as features, (., dim), float64 on the CPU.

    Raises:
        DataError: If a sample is too small, not finite, or of another event shape than the rest.
        UsageError: If fewer than two rows are to be kept.
    """
    fake, real, train = check_compared(fake, real, train)
    if max_n is not None:
        if max_n < 2:
            raise UsageError(f"max_n is {max_n}: use at least 2 rows; 2000 is usual")
        rng = generator(seed, "evaluate", part="choice")
        fake, real = subset(fake, max_n, rng), subset(real, 2 * max_n, rng)
        train = None if train is None else subset(train, 4 * max_n, rng)
    return features(fake), features(real), None if train is None else features(train)


def subset(x: Tensor, n: int, rng: np.random.Generator, *, shuffle: bool = False) -> Tensor:
    """n rows of x drawn without replacement; where x has no more than n, x itself, shuffled on request."""
    if len(x) <= n and not shuffle:
        return x
    return x[torch.from_numpy(rng.permutation(len(x))[:n]).to(x.device)]


@dataclass(frozen=True)
class Floor:
    r"""Which pairs of real samples a floor is the mean distance of, by the numbers of rows alone.

    With a second real sample, subsets of it take the place of the fakes. Without one, real is cut in two at random.
    Where there are too few rows for both sets, the pairs are smaller than the sets compared and their distance D is too
    high: it falls like a power of :math:`h = (1/n + 1/m)^{-1}`. How fast depends on the law (on the line like
    :math:`h^{-1/2}`, between two modes :math:`h^{-1/4}`, in d dimensions :math:`h^{-1/d}`), so pairs of half their rows
    measure it, :math:`D(h) = D(h_1) (D(h_1) / D(h_2))^{\log(h / h_1) / \log(h_1 / h_2)}`: of halves and quarters the
    square of the one over the other.

    Attributes:
        sizes: Rows n' and m' of a pair.
        repeats: Pairs.
        seed: Seed of the subsets.
        smaller: Rows of the pairs that measure the rate, two of each pair; none where the sizes are right.
        power: Power of D(h1) / D(h2) that the mean distance of the pairs is to be multiplied with.
        fastest: Least D(h1) / D(h2), that of the fastest rate.
        words: All this in words.
    """

    sizes: tuple[int, int]
    repeats: int
    seed: int
    smaller: tuple[int, int] | None
    power: float
    fastest: float
    words: str

    @staticmethod
    def of(
        real: int, train: int | None, sizes: tuple[int, int], *, repeats: int, seed: int, fastest: float = 0.5
    ) -> Floor:
        """The pairs of so many real and training rows; see `real_floor` for the rest."""
        n, m = sizes
        if train is None:
            a = min(n, real // 2)
            b, first = min(m, real - a), "real"
        else:
            a, b, first = min(n, train), min(m, real), "train"
            repeats = repeats if a < train else 1
        words, (c, d) = f"{first} {a} vs real {b}, mean of {repeats}", (a // 2, b // 2)
        if (a, b) == (n, m):
            return Floor((a, b), repeats, seed, None, 0.0, 1.0, words)
        if min(c, d) < 2:
            return Floor((a, b), repeats, seed, None, 0.0, 1.0, f"{words}, too few for {n} vs {m}")
        h, h1, h2 = (1 / (1 / x + 1 / y) for x, y in ((n, m), (a, b), (c, d)))
        words = f"{words}, scaled to {n} vs {m} by the rate from {c} vs {d}"
        power = math.log(h / h1) / math.log(h1 / h2)
        return Floor((a, b), repeats, seed, (c, d), power, (h2 / h1) ** fastest, words)

    def pairs(self, real: Tensor, train: Tensor | None) -> Iterator[tuple[Tensor, Tensor]]:
        """The pairs, (n', d) in the place of the fakes and (m', d), one at a time; the same rows at every call."""
        (a, b), rng = self.sizes, generator(self.seed, "evaluate", part="floor")
        mixed = self.smaller is not None  # parts of a pair are its first rows
        if train is not None:
            real = subset(real, b, rng, shuffle=mixed)
        for _ in range(self.repeats):
            if train is not None:
                yield subset(train, a, rng, shuffle=mixed), real
            else:
                rows = subset(real, len(real), rng, shuffle=True)
                yield rows[:a], rows[a : a + b]

    def parts(self, pair: tuple[Tensor, Tensor]) -> list[tuple[Tensor, Tensor]]:
        """Two pairs of half the rows, (n' / 2, d) and (m' / 2, d) with no row in common, where the rate is measured."""
        if self.smaller is None:
            return []
        (c, d), (x, y) = self.smaller, pair
        return [(x[:c], y[:d]), (x[c : 2 * c], y[d : 2 * d])]

    def factor(self, pairs: Sequence[float], parts: Sequence[float]) -> float:
        """What brings the mean distance of the pairs to the sizes compared, by that of their parts."""
        large, small = math.fsum(pairs), math.fsum(parts)
        if not parts or large <= 0 or small <= 0:
            return 1.0
        ratio = (large / len(pairs)) / (small / len(parts))
        return min(1.0, max(ratio, self.fastest)) ** self.power


def real_floor(
    distance: Callable[[Tensor, Tensor], float],
    real: Tensor,
    train: Tensor | None,
    sizes: tuple[int, int],
    *,
    repeats: int,
    seed: int,
    fastest: float = 0.5,
    tick: Callable[[float], None] | None = None,
) -> tuple[float, str]:
    r"""Mean distance between real samples and real samples, and in words how it was had; see `Floor`.

    Args:
        distance: The measure, q before p.
        real: Data samples, (m, d).
        train: Second sample of the data, (k, d), or None.
        sizes: Numbers n of fakes and m of real rows that the floor is for.
        repeats: Random subsets averaged.
        seed: Seed of the subsets.
        fastest: Largest power of :math:`1/n + 1/m` that the distance of two samples of one law falls with.
        tick: Called with the share of pairs measured.
    """
    floor = Floor.of(
        len(real), None if train is None else len(train), sizes, repeats=repeats, seed=seed, fastest=fastest
    )
    pairs, parts = list[float](), list[float]()
    for pair in floor.pairs(real, train):
        pairs.append(distance(*pair))
        parts += [distance(*part) for part in floor.parts(pair)]
        if tick:
            tick(len(pairs) / floor.repeats)
    return floor.factor(pairs, parts) * float(np.mean(pairs)), floor.words


def se_near(se: float, value: float, floor: float) -> float:
    r"""Standard error of a distance that is quadratic in its noise where both laws are one, near its floor too.

    With V the variance that the first variation gives, it is :math:`V (1 - \tfrac12 \min(1, T_0 / T))`: at the floor
    :math:`T_0` the first variation sees noise alone, twice as large as it is; far above it, all that there is.

    Args:
        se: Standard error to first order, :math:`V^{1/2}`.
        value: The distance T, in powers in which it is quadratic.
        floor: What two samples of one law score on average, T0.
    """
    return se * math.sqrt(1 - 0.5 * (min(1.0, max(floor, 0.0) / value) if value > 0 else 1.0))


def se_apart(values: Sequence[float], floors: Sequence[float], share: float) -> float | None:
    r"""Standard error of mean value less mean floor, both against the same rows of data, for one law; or None.

    What these rows chanced to be is in both and cancels. Subsets that are a share :math:`s` of the second sample vary
    by :math:`1 - s` of what fresh ones would, and what they have in common does not average out:
    :math:`v\,[(1 - s) / k + s]` of k subsets, with v the variance of one. An upper bound: of a distance that is
    quadratic in its rows, subsets have between :math:`s^2` and :math:`s` of their variance in common.

    Args:
        values: Distances of the model's sets.
        floors: Distances of the subsets.
        share: Rows of a subset by rows of the second sample.
    """
    if len(floors) > 1:
        fresh = statistics.variance(floors) / (1 - share)
    elif len(values) > 1:
        fresh = statistics.variance(values)
    else:
        return None
    noise = (statistics.variance(values) if len(values) > 1 else fresh) / len(values)
    return math.sqrt(noise + fresh * ((1 - share) / len(floors) + share))
