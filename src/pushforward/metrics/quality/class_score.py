r"""Class score (Inception score): sharp and varied class probabilities score high.

.. math::
    S = \exp \frac1n \sum_i \mathrm{KL}(p(\cdot | x_i) \,\|\, \bar p) =
    \exp \Big( \frac1n \sum_{ic} p_{ic} \log p_{ic} - \sum_c \bar p_c \log \bar p_c \Big), \qquad
    \bar p = \frac1n \sum_i p(\cdot | x_i)

It lies in [1, K] for K classes, sees neither the data nor what goes on within a class, and rises with n.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import reduce

import numpy as np
import torch
from torch import Tensor

from pushforward.errors import DataError, UsageError
from pushforward.metrics.core.comparison import Comparison, linear_cost
from pushforward.metrics.core.features import Features, blocked
from pushforward.metrics.core.moments import ticking
from pushforward.metrics.core.part import Found, Part
from pushforward.metrics.core.reference import Given, check_samples, subset
from pushforward.metrics.core.result import Measure, Words
from pushforward.randomness import generator

__all__ = ["PARTS", "ClassSums", "class_score", "class_sums"]

_GROUPS = 50
"""Groups of the jackknife behind the error of an unsplit score; they give it to ten per cent."""


@dataclass(frozen=True)
class ClassSums:
    """Sufficient statistics of class probabilities; `a + b` are those of both samples together.

    Attributes:
        n: Number of rows.
        total: Sum of the probabilities of each class, (K,), float64.
        negentropy: Sum of p log p over rows and classes, in nats.
    """

    n: int
    total: Tensor
    negentropy: float

    def __add__(self, other: ClassSums) -> ClassSums:
        """Merge two samples' sums."""
        return ClassSums(self.n + other.n, self.total + other.total, self.negentropy + other.negentropy)

    def __sub__(self, other: ClassSums) -> ClassSums:
        """Take a part of the sample out."""
        return ClassSums(self.n - other.n, self.total - other.total, self.negentropy - other.negentropy)

    @property
    def score(self) -> float:
        """The score S, in [1, K] up to rounding."""
        mean = (self.total / self.n).clamp_min(0)
        return math.exp(self.negentropy / self.n + float(torch.special.entr(mean).sum()))


def class_sums(probabilities: Tensor) -> ClassSums:
    """Sums of class probabilities; zeros count as they should, 0 log 0 = 0.

    Args:
        probabilities: (n, K), rows that sum to one.
    """
    p = probabilities.detach().double().cpu()
    return ClassSums(len(p), p.sum(0), -float(torch.special.entr(p).sum()))


def class_score(
    fake: Given,
    classify: Features | Callable[[Tensor], Tensor],
    *,
    real: Tensor | None = None,
    splits: int = 1,
    ddof: int = 0,
    block: int = 1024,
    seed: int = 0,
    tick: Callable[[float], None] | None = None,
) -> Measure:
    """Class score with its error; its floor is the score of as many real samples, where these are given.

    One split uses all samples together; its error is that of a jackknife over 50 random groups. The published
    convention is `splits=10`: the mean over random tenths, lower because each is small, with the standard deviation
    over them in `protocol["std"]` (libraries differ in its `ddof`). Compare scores of equal n and splits only.

    Args:
        fake: Model samples, (n, *event).
        classify: (b, *event) -> logits (b, K), or features with a classifier.
        real: Data samples, (m, *event), for the floor; n of them are used.
        splits: Random parts of equal size, give or take one, whose scores are averaged.
        ddof: Taken off the number of splits in their standard deviation.
        block: Rows classified at a time.
        seed: Seed of splits and groups, and of the real rows used.
        tick: Called with the share of rows classified.

    Raises:
        DataError: If a sample is too small or not finite, or the classifier answers with other than logits.
        UsageError: If there are no splits, more splits than rows can fill, or features have no classifier.

    References:
        Improved techniques for training GANs (Salimans et al., 2016), arXiv:1606.03498;
        A note on the Inception score (Barratt & Sharma, 2018), arXiv:1801.01973.
    """
    fake = check_samples("fake", fake)
    function, identity = (
        (classify.classify, classify.id) if isinstance(classify, Features) else (classify, "classifier")
    )
    if function is None:
        raise UsageError(f"features {identity} have no classifier: pass a function that gives logits")
    n, rng = len(fake), generator(seed, "evaluate", part="class_score")
    if not 1 <= splits <= n // 2 or not 0 <= ddof < max(2, splits):
        raise UsageError(f"splits is {splits}, ddof {ddof}, for {n} samples: give at least 2 samples a split")
    if real is not None:
        real = subset(check_samples("real", real, least=2 * splits), n, rng)
    read = ticking(tick, n + (0 if real is None else len(real)))

    groups = _grouped(fake, function, splits if splits > 1 else min(_GROUPS, n), block, rng, read)
    together = reduce(ClassSums.__add__, groups)
    protocol: Words = {"classes": len(together.total), "splits": splits, "seed": seed}
    value, error, how = _over_splits(groups, ddof) if splits > 1 else _jackknife(groups, together)
    protocol |= how
    floor = None
    if real is not None:
        floor = math.fsum(part.score for part in _grouped(real, function, splits, block, rng, read)) / splits
        protocol["floor"] = f"{len(real)} real samples"
    n_real, detail = 0 if real is None else len(real), {"mean_probabilities": together.total / n}
    return Measure(value, floor, error, None, n, n_real, identity, "higher", protocol, detail)


def _over_splits(groups: list[ClassSums], ddof: int) -> tuple[float, float, Words]:
    """Mean score of the splits, its error, and how it was had."""
    scores = np.array([group.score for group in groups])
    how: Words = {"std": float(scores.std(ddof=ddof)), "std_ddof": ddof, "se": "of the mean over splits"}
    return float(scores.mean()), float(scores.std(ddof=1)) / len(groups) ** 0.5, how


def _jackknife(groups: list[ClassSums], together: ClassSums) -> tuple[float, float, Words]:
    """Score of all samples together, its error with each group left out, and how it was had."""
    left = np.array([(together - group).score for group in groups])
    return together.score, float(left.std()) * (len(groups) - 1) ** 0.5, {"se": f"jackknife over {len(groups)} groups"}


def _grouped(
    x: Tensor,
    function: Callable[[Tensor], Tensor],
    groups: int,
    block: int,
    rng: np.random.Generator,
    read: Callable[[Iterable[Tensor]], Iterator[Tensor]],
) -> list[ClassSums]:
    """Sums of random groups of rows, of equal size give or take one, in one pass in the order of the rows."""
    labels = torch.from_numpy(rng.permutation(len(x)) % groups)
    answers = read(blocked(function, part, block) for part in x.split(block))
    total, negentropy = torch.zeros(groups, 0, dtype=torch.float64), torch.zeros(groups, dtype=torch.float64)
    for logits, label in zip(answers, labels.split(block), strict=True):
        if logits.ndim != 2 or len(logits) != len(label):
            raise DataError(f"classify gave shape {tuple(logits.shape)} for {len(label)} samples: wanted logits (n, K)")
        p = logits.softmax(1)
        if not p.isfinite().all():
            raise DataError(
                "classify gave logits without probabilities (NaN or infinity): check the range of the samples"
            )
        total = total if total.shape[1] else total.new_zeros(groups, p.shape[1])
        total.index_add_(0, label, p)
        negentropy.index_add_(0, label, -torch.special.entr(p).sum(1))
    counts = labels.bincount(minlength=groups)
    return [ClassSums(int(counts[g]), total[g], float(negentropy[g])) for g in range(groups)]


def _part(c: Comparison) -> Found:
    return {f"IS@{c.space.id}": class_score(c.first, c.space, real=c.real, seed=c.seed)}


PARTS = (
    Part(
        "score", "Inception-style score of a classifier", _part, linear_cost,
        {"IS": "Inception-style score: sure of each sample's class, unsure of the next"},
        frozenset(("classifier",)), place=130,
    ),
)  # fmt: skip
