r"""Does a model copy its training data? Two-sample tests against held-out data do not see it; distances to train do.

A copy lies nearer to some training row than that row's own nearest neighbour does (authenticity), nearer than held-out
data do (the rank statistic C_T), and nearer to training rows than to as many held-out ones (the gap). Only the gap is
zero for every model that knows the law but not the rows, whatever else is wrong with it: a model that shows only the
middle of the data is near its training rows by C_T too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pushforward.metrics.core.comparison import Comparison, copy_cost
from pushforward.metrics.core.features import RAW, Features
from pushforward.metrics.core.neighbours import nearest
from pushforward.metrics.core.part import Found, Part, named
from pushforward.metrics.core.permutation import p_value, relabellings
from pushforward.metrics.core.reference import compare
from pushforward.metrics.core.result import Measure, Words
from pushforward.randomness import generator

__all__ = ["PARTS", "copies", "memorisation", "nearest_training"]

Array = NDArray[np.float64]

_POOL = 32  # a random half misses all of a fake's 32 nearest pool rows once in four thousand million times


def memorisation(
    fake: Tensor,
    real: Tensor,
    train: Tensor,
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
    rng = generator(seed, "evaluate", part="memorisation")
    (rows, shown), (_, held) = (_cut(x, max_n, rng) for x in (fake, real))
    q, p, t = (x.numpy() for x in compare(shown, held, train, features) if x is not None)
    found = _near_training(q, p, t, budget, _part(tick, 0, 0.8))
    words: Words = {"max_n": max_n, "n_train": len(t), "seed": seed}
    gap = _train_gap(q, p, t, permutations, rng, seed, budget, _part(tick, 0.8, 0.95))
    return {
        "authenticity": _authenticity(found, features.id, words),
        "copying": _copying(found, features.id, words, found.detail(rows, suspects)),
        "near_copies": _near_copies(found.fake, found.real, features.id, words),
        "train_gap": replace(gap, features=features.id, protocol=words | gap.protocol),
        "duplicates": _duplicates(q, p, near, rng, features.id, words, budget, _part(tick, 0.95, 1)),
    }


def copies(measures: Mapping[str, Measure]) -> str | None:
    """A warning in plain words where a model copies its training data, else None.

    Two looks must agree. Fakes are nearer to training than to held-out rows by more than four standard errors, which
    happens to a model that does not copy about three times in a hundred thousand, however bad it is. And there are
    copies to show: authenticity is more than four standard errors below that of held-out data, or too many fakes are
    nearer to train than nearly all held-out rows, at the same level.

    Args:
        measures: What `memorisation` answered with; other measures may be among them.
    """
    names = ("authenticity", "copying", "near_copies", "train_gap")
    if not all(name in measures for name in names):
        return None
    authentic, ranks, close, gap = (measures[name] for name in names)
    nearer = gap.se is not None and gap.value < -4 * gap.se
    floor = authentic.floor or 0.0
    noise = (authentic.se or 0.0) ** 2 + floor * (1 - floor) / max(1, authentic.n_real)
    shown = authentic.value < floor - 4 * noise**0.5 or (close.p is not None and close.p < 3e-5)
    if not nearer or not shown:
        return None
    return (
        f"The model copies training data: {close.value:.1%} of its samples are nearer to a training row than all but "
        f"1% of held-out data are, {authentic.value:.0%} are authentic against {floor:.0%} of held-out data, "
        f"z = {ranks.value:.1f}. Two-sample tests do not see this."
    )


def nearest_training(
    fake: Tensor, train: Tensor, k: int = 1, features: Features = RAW, *, budget: int = 2**26
) -> tuple[Tensor, Tensor]:
    """The training rows nearest to each fake, for pictures of samples beside what they may be copies of.

    Args:
        fake: Model samples, (n, *event).
        train: Training rows, (m, *event).
        k: How many.
        features: The feature space distances are taken in.
        budget: Bytes that temporaries of one block may take.

    Returns:
        Rows of train (n, k), nearest first, and distances (n, k), float64, in feature units.

    Raises:
        DataError: If the samples do not fit together, or train has fewer than k rows.
    """
    q, t, _ = compare(fake, train, None, features)
    distances, rows = nearest(q.numpy(), t.numpy(), k, budget=budget)
    return torch.from_numpy(rows), torch.from_numpy(distances)


@dataclass(frozen=True)
class _Near:
    """Distances to the nearest training row, and of that row to its own nearest one.

    Attributes:
        fake: Distances of fakes, (n,).
        real: Distances of held-out rows, (m,).
        place: The training rows nearest to the fakes, (n,).
        own: Distances of these to their own nearest training rows, (n,).
        own_real: The same for held-out rows, (m,).
    """

    fake: Array
    real: Array
    place: NDArray[np.int64]
    own: Array
    own_real: Array

    def detail(self, rows: NDArray[np.int64], suspects: int) -> dict[str, Tensor]:
        """The fakes most like copies, of which `rows` are the numbers, and all distances."""
        # Against the distance usual around the row found: a blank image is near to others without being a copy.
        unusual = np.divide(self.fake, self.own, out=np.where(self.fake > 0, np.inf, 0.0), where=self.own > 0)
        worst = np.lexsort((self.fake, unusual))[:suspects]
        seen = {"suspects": rows[worst], "nearest": self.place[worst], "distance": self.fake[worst]}
        return {name: torch.from_numpy(x) for name, x in (seen | {"fake": self.fake, "real": self.real}).items()}


def _cut(x: Tensor, most: int, rng: np.random.Generator) -> tuple[NDArray[np.int64], Tensor]:
    """At most so many rows of x, drawn and in their order: their numbers, and themselves."""
    rows = np.sort(rng.permutation(len(x))[:most])
    return rows, x if len(x) <= most else x[torch.from_numpy(rows).to(x.device)]


def _near_training(q: Array, p: Array, t: Array, budget: int, tick: Callable[[float], None] | None) -> _Near:
    """Where fakes and held-out rows lie among the training rows."""
    fake, place = _first(nearest(q, t, budget=budget, tick=_part(tick, 0, 0.375)))
    real, real_place = _first(nearest(p, t, budget=budget, tick=_part(tick, 0.375, 0.625)))
    # Only training rows that are someone's nearest need their own nearest one.
    hit = np.unique(np.concatenate([place, real_place]))
    apart, _ = _first(nearest(t[hit], t, own=hit, budget=budget, tick=_part(tick, 0.625, 1)))
    return _Near(fake, real, place, apart[np.searchsorted(hit, place)], apart[np.searchsorted(hit, real_place)])


def _first(found: tuple[Array, NDArray[np.int64]]) -> tuple[Array, NDArray[np.int64]]:
    return found[0][:, 0], found[1][:, 0]


def _part(tick: Callable[[float], None] | None, start: float, stop: float) -> Callable[[float], None] | None:
    """Progress of one stage as progress of the whole."""
    if tick is None:
        return None
    return lambda done: tick(start + (stop - start) * done)


def _authenticity(found: _Near, features: str, words: Words) -> Measure:
    value, floor = float((found.fake > found.own).mean()), float((found.real > found.own_real).mean())
    n, m = len(found.fake), len(found.real)
    protocol = words | {"floor": "held-out rows", "se": "binomial"}
    return Measure(value, floor, (value * (1 - value) / n) ** 0.5, None, n, m, features, "higher", protocol)


def _copying(found: _Near, features: str, words: Words, detail: dict[str, Tensor]) -> Measure:
    """Rank-sum z with the variance that ties leave."""
    from scipy.stats import mannwhitneyu, norm, tiecorrect

    fake, real = found.fake, found.real
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


def _train_gap(
    q: Array,
    p: Array,
    t: Array,
    permutations: int,
    rng: np.random.Generator,
    seed: int,
    budget: int,
    tick: Callable[[float], None] | None,
) -> Measure:
    """Mean difference of nearest distances, with its law under relabelling of the rows of train and real.

    A relabelling needs no new search: it looks up the first row of either kind among the pool's nearest rows. In the
    rare case that all of these are of one kind, the distance to the other counts as that to the last of them.
    """
    m = min(len(t), len(p))
    pool = np.concatenate([x if len(x) == m else x[rng.permutation(len(x))[:m]] for x in (t, p)])
    distances, places = nearest(q, pool, min(_POOL, len(pool)), budget=budget, tick=tick)
    labels, last = relabellings(m, m, permutations, seed=seed).numpy(), distances.shape[1] - 1
    values, rows = np.empty(len(labels)), np.arange(len(q))
    for line, label in enumerate(labels):
        of_train = label[places]
        first, other = of_train.argmax(1), (~of_train).argmax(1)
        first[~of_train.any(1)] = last
        other[of_train.all(1)] = last
        values[line] = (distances[rows, first] - distances[rows, other]).mean()
    null = torch.from_numpy(values[1:])
    error = float(null.square().mean().sqrt()) if len(null) else None
    p_low = p_value(-torch.from_numpy(values))
    protocol: Words = {"rows_of_each": m, "permutations": permutations, "se": "relabelling train and real"}
    protocol["p"] = "permutation, one-sided: fakes nearer to train"
    return Measure(float(values[0]), 0.0, error, p_low, len(q), m, "", "none", protocol, {"null": null})


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
    within_q, _ = _first(nearest(q, q, own=np.arange(n), budget=budget))
    within_p, _ = _first(nearest(p, p, own=np.arange(n), budget=budget, tick=tick))
    close = near * float(np.median(within_p))
    value, floor = float((within_q <= close).mean()), float((within_p <= close).mean())
    protocol = words | {"near": near, "floor": "real", "se": "binomial"}
    return Measure(value, floor, (value * (1 - value) / n) ** 0.5, None, n, n, features, "lower", protocol)


def _memorisation_part(c: Comparison) -> Found:
    assert c.t is not None
    found = memorisation(c.one, c.p, c.t, c.known, max_n=5 * c.max_n, permutations=c.permutations, seed=c.seed,
                         budget=c.budget, tick=c.tick)  # fmt: skip
    # Their p-values ask whether the model copies, not whether it follows the law of the data.
    said = {k: replace(m, protocol=m.protocol | {"hypothesis": "does not copy"}) for k, m in found.items()}
    return named(said)


PARTS = (
    Part(
        "memorisation", "copies of the training set", _memorisation_part, copy_cost,
        {"authenticity": "Share of samples that are no near copy of a training row",
         "copying": "How much closer to the training set samples lie than held-out data do, in standard deviations",
         "near_copies": "Share of samples nearer to a training row than all but 1 % of held-out data are",
         "train_gap": "Distance to the training set minus distance to held-out data; below 0 means copying",
         "duplicates": "Share of samples that repeat another sample"},
        frozenset(("train",)), usual=frozenset(("points", "images")), place=230,
    ),
)  # fmt: skip
