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

    With a second real sample, subsets of it take the place of the fakes. Without one, real is cut in two at random;
    where it is too small for both sets the parts are smaller than the sets compared and the distance comes out too
    high. A known rate mends that by the factor :math:`((1/n + 1/m) / (1/n' + 1/m'))^{rate}`.

    Attributes:
        sizes: Rows n' and m' of a pair.
        repeats: Pairs.
        seed: Seed of the subsets.
        factor: What the mean distance of the pairs is to be multiplied with.
        words: All this in words.
    """

    sizes: tuple[int, int]
    repeats: int
    seed: int
    factor: float
    words: str

    @staticmethod
    def of(
        real: int, train: int | None, sizes: tuple[int, int], *, repeats: int, seed: int, rate: float = 0.0
    ) -> Floor:
        """The pairs of so many real and training rows; see `real_floor` for the rest."""
        n, m = sizes
        if train is not None:
            a, b = min(n, train), min(m, real)
            repeats = repeats if a < train else 1
            return Floor((a, b), repeats, seed, 1.0, f"train {a} vs real {b}, mean of {repeats}")
        a = min(n, real // 2)
        b = min(m, real - a)
        words = f"real {a} vs real {b}, mean of {repeats}"
        if (a, b) == (n, m) or rate == 0:
            return Floor((a, b), repeats, seed, 1.0, words)
        factor = ((1 / n + 1 / m) / (1 / a + 1 / b)) ** rate
        return Floor((a, b), repeats, seed, factor, f"{words}, scaled to {n} vs {m}")

    def pairs(self, real: Tensor, train: Tensor | None) -> Iterator[tuple[Tensor, Tensor]]:
        """The pairs, (n', d) in the place of the fakes and (m', d), one at a time; the same rows at every call."""
        (a, b), rng = self.sizes, generator(self.seed, "evaluate", part="floor")
        real = real if train is None else subset(real, b, rng)
        for _ in range(self.repeats):
            if train is not None:
                yield subset(train, a, rng), real
            else:
                mixed = subset(real, len(real), rng, shuffle=True)
                yield mixed[:a], mixed[a : a + b]


def real_floor(
    distance: Callable[[Tensor, Tensor], float],
    real: Tensor,
    train: Tensor | None,
    sizes: tuple[int, int],
    *,
    repeats: int,
    seed: int,
    rate: float = 0.0,
) -> tuple[float, str]:
    r"""Mean distance between real samples and real samples, and in words how it was had; see `Floor`.

    Args:
        distance: The measure, q before p.
        real: Data samples, (m, d).
        train: Second sample of the data, (k, d), or None.
        sizes: Numbers n of fakes and m of real rows that the floor is for.
        repeats: Random subsets averaged.
        seed: Seed of the subsets.
        rate: Exponent at which the distance of two samples of one law falls with their sizes; 0 leaves it as it is.
    """
    floor = Floor.of(len(real), None if train is None else len(train), sizes, repeats=repeats, seed=seed, rate=rate)
    return floor.factor * float(np.mean([distance(a, b) for a, b in floor.pairs(real, train)])), floor.words


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
