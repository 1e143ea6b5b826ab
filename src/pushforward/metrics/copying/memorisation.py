r"""Does a model copy its training data? Two-sample tests against held-out data do not see it; distances to train do.

A copy lies nearer to some training row than that row's own nearest neighbour does (authenticity), nearer than held-out
data do (the rank statistic C_T), and nearer to training rows than to as many held-out ones (the gap). Of these only the
gap is zero for every model that knows the law but not the rows, whatever else is wrong with it: a model that shows only
the middle of the data is near its training rows by C_T too. A mean sees no few copies among many samples; `copied` asks
row by row whether any sample lies nearer than chance allows, and that is what accuses.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pushforward.metrics.copying.copied import copied
from pushforward.metrics.copying.findings import OF_COPIES, copies
from pushforward.metrics.copying.near import Near, near_training, nearest_training, stage, train_gap
from pushforward.metrics.core.comparison import Comparison, copy_cost
from pushforward.metrics.core.features import RAW, Features
from pushforward.metrics.core.neighbours import nearest
from pushforward.metrics.core.part import Found, Part, named
from pushforward.metrics.core.reference import Given, check_compared, compare
from pushforward.metrics.core.result import COPYING, Measure, Words
from pushforward.randomness import generator

__all__ = ["PARTS", "copies", "memorisation", "nearest_training"]

Array = NDArray[np.float64]


def memorisation(
    fake: Given,
    real: Given,
    train: Given,
    features: Features = RAW,
    *,
    max_n: int = 10_000,
    suspects: int = 16,
    near: float = 0.05,
    permutations: int = 200,
    seed: int = 0,
    budget: int = 2**26,
    tick: Callable[[float], None] | None = None,
) -> dict[str, Measure]:
    """How near the model's samples come to the rows it was trained on, next to how near held-out data come.

    Args:
        fake: Model samples, (n, *event).
        real: Data held out from training, (m, *event).
        train: The rows the model was trained on, (k, *event); all are searched.
        features: The feature space distances are taken in.
        max_n: Rows used of fake and of real; more are subsampled.
        suspects: Fakes listed in the detail.
        near: What counts as a duplicate, in median nearest-neighbour distances of as many real rows.
        permutations: Relabellings behind the gap's error and p-value.
        seed: Seed of subsets and relabellings.
        budget: Bytes that temporaries of one block may take.
        tick: Called with the share of the work done.

    Returns:
        `authenticity`: share of fakes farther from their nearest training row than that row is from its own nearest
        one; the floor is that share of held-out rows.
        `copying`: C_T, the rank-sum statistic z of distances to train, fakes against held-out rows; standard normal
        where fakes are as near as held-out data, far below 0 for copies. The p-value is for being nearer. The detail
        lists the `suspects` (rows of fake, worst first), their `nearest` training rows, the `distance` between them,
        and all distances of fakes (`fake`) and of held-out rows (`real`).
        `near_copies`: share of fakes nearer to train than all but 1 % of held-out rows, which sees a few copies among
        many good or bad samples; floor 0.01, exact p-value.
        `copied`: share of fakes that equal a training row; the floor is that share of held-out rows. The p-value is
        that of two looks for copies, which a model that does not know the rows is not likely to show: fakes nearer to
        one training row than the rows around it allow, and fakes near training rather than held-out rows. The detail
        holds the numbers that `findings.found` reads.
        `train_gap`: mean distance of fakes to their nearest training row, less that to their nearest held-out row,
        from equally many of both; in feature units, 0 for a model that generalises, negative for one that copies. The
        error and the p-value are those of relabelling training and held-out rows.
        `duplicates`: share of fakes with another fake closer than `near`; the floor is that share in real.

    Raises:
        DataError: If the samples do not fit together, or hold fewer than two rows.

    References:
        A non-parametric test to detect data-copying in generative models (Meehan et al., 2020), arXiv:2004.05675; How
        faithful is your synthetic data? (Alaa et al., 2022), arXiv:2102.08921.
    """
    q, p, t = check_compared(fake, real, train)
    c = Comparison(q, p, t, q, p, t, space=features, known=features, seed=seed,
                   permutations=permutations, budget=budget, tick=tick)  # fmt: skip
    return _measured(c, max_n, suspects, near)


def _measured(c: Comparison, max_n: int, suspects: int = 16, near: float = 0.05) -> dict[str, Measure]:
    """See `memorisation`; of samples that may have come to features already."""
    assert c.train is not None
    assert c.t is not None
    rng, (tick, budget) = generator(c.seed, "evaluate", part="memorisation"), (c.tick, c.budget)
    rows, held = _some(c.first, max_n, rng), _some(c.real, max_n, rng)
    q, p, t = (x.numpy() for x in compare(_taken(c.one, rows), _taken(c.p, held), c.t, c.known) if x is not None)
    found = near_training(q, p, t, budget, stage(tick, 0, 0.75))
    words: Words = {"max_n": max_n, "n_train": len(t), "seed": c.seed}
    gap = train_gap((q, p, t), found, c.permutations, rng, c.seed, budget, stage(tick, 0.75, 0.9))
    seen = replace(c, fake=_taken(c.first, rows), real=_taken(c.real, held), draws=1)
    space = c.known.id
    return {
        "authenticity": _authenticity(found, space, words),
        "copying": _copying(found, space, words, found.detail(rows, suspects)),
        "near_copies": _near_copies(found.fake[:, 0], found.real[:, 0], space, words),
        "copied": replace(copied(seen, found, (q, p, t), words), features=space),
        "train_gap": replace(gap, features=space, protocol=words | gap.protocol),
        "duplicates": _duplicates(q, p, near, rng, space, words, budget, stage(tick, 0.95, 1)),
    }


def _some(x: Tensor, most: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """The numbers of at most so many rows of x, drawn and in their order."""
    return np.sort(rng.permutation(len(x))[:most])


def _taken(x: Tensor, rows: NDArray[np.int64]) -> Tensor:
    return x if len(x) == len(rows) else x[torch.from_numpy(rows).to(x.device)]


def _authenticity(found: Near, features: str, words: Words) -> Measure:
    value, floor = float((found.fake[:, 0] > found.own).mean()), float((found.real[:, 0] > found.own_real).mean())
    n, m = len(found.fake), len(found.real)
    protocol = words | {"floor": "held-out rows", "se": "binomial"}
    return Measure(value, floor, (value * (1 - value) / n) ** 0.5, None, n, m, features, "higher", protocol)


def _copying(found: Near, features: str, words: Words, detail: dict[str, Tensor]) -> Measure:
    """Rank-sum z with the variance that ties leave."""
    from scipy.stats import mannwhitneyu, norm, tiecorrect

    fake, real = found.fake[:, 0], found.real[:, 0]
    n, m = len(fake), len(real)
    wins = float(mannwhitneyu(fake, real, use_continuity=False, method="asymptotic").statistic)
    _, ranks, counts = np.unique(np.concatenate([fake, real]), return_inverse=True, return_counts=True)
    ends = counts.cumsum()
    spread = (n * m * (n + m + 1) / 12 * float(tiecorrect((ends - (counts - 1) / 2)[ranks]))) ** 0.5
    z = (wins - n * m / 2) / spread if spread > 0 else 0.0
    protocol = words | {"p": "one-sided: fakes nearer to train", "statistic": "Mann-Whitney z"}
    return Measure(z, 0.0, None, float(norm.cdf(z)), n, m, features, "none", protocol, detail)


def _near_copies(fake: Array, real: Array, features: str, words: Words, share: float = 0.01) -> Measure:
    """Fakes below the c-th smallest held-out distance.

    There are k or more just if at most c - 1 held-out rows are among the k + c - 1 smallest distances of all: a
    hypergeometric chance, where fakes and held-out rows are alike.
    """
    from scipy.stats import hypergeom

    n, m = len(fake), len(real)
    rank = max(1, round(share * (m + 1)))
    count = int((fake < np.partition(real, rank - 1)[rank - 1]).sum())
    p = float(hypergeom.cdf(rank - 1, n + m, m, count + rank - 1))
    value = count / n
    protocol = words | {"p": "hypergeometric, one-sided", "se": "binomial", "held_out_share": share}
    error = (value * (1 - value) / n) ** 0.5
    return Measure(value, rank / (m + 1), error, p, n, m, features, "lower", protocol)


def _duplicates(
    q: Array,
    p: Array,
    near: float,
    rng: np.random.Generator,
    features: str,
    words: Words,
    budget: int,
    tick: Callable[[float], None] | None,
) -> Measure:
    # Drawn, not cut off: stored class by class, the first rows of a large sample are nearer to each other than all are.
    n = min(len(q), len(p))
    q, p = (x if len(x) == n else x[rng.permutation(len(x))[:n]] for x in (q, p))
    within_q, _ = nearest(q, q, own=np.arange(n), budget=budget)
    within_p, _ = nearest(p, p, own=np.arange(n), budget=budget, tick=tick)
    close = near * float(np.median(within_p))
    value, floor = float((within_q <= close).mean()), float((within_p <= close).mean())
    protocol = words | {"near": near, "floor": "real", "se": "binomial"}
    return Measure(value, floor, (value * (1 - value) / n) ** 0.5, None, n, n, features, "lower", protocol)


def _memorisation_part(c: Comparison) -> Found:
    found = _measured(c, 5 * c.max_n)
    # Their p-values ask whether the model copies, not whether it follows the law of the data.
    asked = {name: m for name, m in found.items() if name != "duplicates"}  # which looks at samples alone
    said = {name: replace(m, protocol=m.protocol | {"hypothesis": COPYING}) for name, m in asked.items()}
    return named({**found, **said})


PARTS = (
    Part(
        "memorisation", "copies of the training set", _memorisation_part, copy_cost,
        {"authenticity": "Share of samples that are no near copy of a training row",
         "copying": "How much closer to the training set samples lie than held-out data do, in standard deviations",
         "near_copies": "Share of samples nearer to a training row than all but 1 % of held-out data are",
         "copied": "Share of samples that equal a training row",
         "train_gap": "Distance to the training set minus distance to held-out data; below 0 means copying",
         "duplicates": "Share of samples that repeat another sample"},
        frozenset(("train",)), finds=OF_COPIES, usual=frozenset(("points", "images")), place=230,
    ),
)  # fmt: skip
