r"""Precision, recall, density and coverage: shares of samples inside balls that reach to k-th neighbours.

With closed balls :math:`B(x)` about data x and fakes y, each to its k-th neighbour in its own sample,

.. math::
    \text{precision} &= \tfrac1n \#\{j : y_j \in \textstyle\bigcup_i B(x_i)\}, &
    \text{recall} &= \tfrac1m \#\{i : x_i \in \textstyle\bigcup_j B(y_j)\}, \\
    \text{density} &= \tfrac1{kn} \textstyle\sum_j \#\{i : y_j \in B(x_i)\}, &
    \text{coverage} &= \tfrac1m \#\{i : \exists j, y_j \in B(x_i)\}.

A sample set against itself has precision, recall and coverage 1 and, since k-th neighbours lie on their balls,
density (k + 1) / k.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from pushforward.metrics.core.comparison import Comparison, ball_cost
from pushforward.metrics.core.features import RAW, Features
from pushforward.metrics.core.part import Found, Part, named
from pushforward.metrics.core.reference import Given, check_compared, subset
from pushforward.metrics.core.result import Measure, Words
from pushforward.metrics.quality.balls import Cover, cover, squared_radii
from pushforward.randomness import generator

__all__ = ["PARTS", "manifold", "null_coverage"]


def null_coverage(n: int, m: int, k: int) -> float:
    r"""Expected coverage of m data by n fakes of the same law, :math:`1 - \prod_{i<k} (m-1-i) / (n+m-1-i)`.

    A data point is left out only if its k nearest among all others are data; the order of neighbours is random.
    """
    return 1 - math.prod((m - 1 - i) / (n + m - 1 - i) for i in range(k))


def manifold(
    fake: Given,
    real: Given,
    features: Features = RAW,
    *,
    train: Given | None = None,
    k: int = 5,
    max_n: int = 10_000,
    repeats: int = 1,
    seed: int = 0,
    budget: int = 2**26,
    tick: Callable[[float], None] | None = None,
) -> dict[str, Measure]:
    """Precision, recall, density and coverage, each with what real data score.

    Density has the floor 1 and coverage that of `null_coverage`, whatever the law, if it is continuous. Where rows
    or distances of the data recur, closed balls hold more than k neighbours and both floors are higher: that of
    density is the mean of :math:`C_i / k` with :math:`C_i` other data in the ball about datum i; that of coverage the
    mean of `null_coverage` with :math:`S_i` in the place of k, the number of others of both samples that are as near
    to datum i as the k-th of them: it is left out only if these are all data. Those of precision and recall depend on
    law and sizes, so they are measured: subsets of `train` against the data, or without it one half of the data
    against the other, which is for smaller samples (the protocol gives their sizes). The errors are the spread over
    points, times the root of 1/n + 1/m since both samples move the balls; they lean to the large side.

    Args:
        fake: Model samples, (n, *event).
        real: Data samples, (m, *event).
        features: The feature space.
        train: A second sample of the data, for the floors of precision and recall.
        k: Neighbours that a ball reaches to.
        max_n: Rows used of each; more are subsampled.
        repeats: Subsets averaged for the measured floors; 0 for none.
        seed: Seed of all subsets.
        budget: Bytes that the temporaries of one tile may take.
        tick: Called with the share of pairs looked at.

    Returns:
        precision, recall, density and coverage. `detail` tells the points apart: precision and density hold
        `around_fakes`, the number of data balls about each fake; coverage `around_real`, the number of fakes about
        each data point; recall `reached`. `rows` are the indices of these points in fake or real.

    Raises:
        DataError: If the samples do not fit together.
        UsageError: If there is no k-th neighbour.

    References:
        Improved precision and recall metric for assessing generative models (Kynkaanniemi et al., 2019),
        arXiv:1904.06991; Reliable fidelity and diversity metrics for generative models (Naeem et al., 2020),
        arXiv:2002.09797.
    """
    fake, real, train = check_compared(fake, real, train)
    rng = generator(seed, "evaluate", part="manifold")
    rows_q, rows_p = (torch.from_numpy(np.sort(rng.permutation(len(x))[:max_n])) for x in (fake, real))
    q, p = features(fake[rows_q.to(fake.device)]), features(real[rows_p.to(real.device)])
    n, m = len(q), len(p)
    walk = _Walk(k, budget, _share(tick, (1 + max(0, repeats)) * (n + m) ** 2 / 2))
    reach = walk.radii(p)
    found = walk.cover(q, p, reach)
    floors, how = _real_covers(walk, n, (p, reach), real, train, features, repeats, rng)
    if tick is not None:
        tick(1.0)

    noise = (1 / n + 1 / m) ** 0.5
    protocol: Words = {"k": k, "balls": "closed", "max_n": max_n, "seed": seed}

    def measure(value: float, floor: float | None, words: str, spread: float, detail: dict[str, Tensor]) -> Measure:
        record = protocol | {"floor": words, "se": "over points, root of 1/n + 1/m"}
        return Measure(value, floor, spread * noise, None, n, m, features.id, "higher", record, detail)

    def share(value: float, floors: list[float], detail: dict[str, Tensor]) -> Measure:
        floor = math.fsum(floors) / len(floors) if floors else None
        return measure(value, floor, how, (value * (1 - value)) ** 0.5, detail)

    fakes, data = (
        {"around_fakes": found.around_fakes, "rows": rows_q},
        {"around_real": found.around_real, "rows": rows_p},
    )
    covered = found.coverage
    deep, wide = (1.0, "exact"), (null_coverage(n, m, k), "closed form")
    if _tied(p, reach):
        # A fresh point of a datum's law is one more candidate for its neighbours, exchangeable with the other data: it
        # lies in the ball as often as they do, C / m of the time where the ball holds C of them.
        others = cover(p, p, reach, reach, k, budget=budget).around_real - 1
        deep = float(others.mean()) / k, f"measured, real {m} in its own balls"
        wide = _tied_coverage(p, q, k, budget), f"measured, ties of real {m} and fake {n} together"
    return {
        "precision": share(found.precision, [floor.precision for floor in floors], fakes),
        "recall": share(found.recall, [floor.recall for floor in floors], {"reached": found.reached, "rows": rows_p}),
        "density": measure(found.density, *deep, float(found.around_fakes.std()) / k, fakes),
        "coverage": measure(covered, *wide, (covered * (1 - covered)) ** 0.5, data),
    }


@dataclass(frozen=True)
class _Walk:
    """Settings of a walk over pairs."""

    k: int
    budget: int
    step: Callable[[int], None]

    def radii(self, x: Tensor) -> Tensor:
        return squared_radii(x, self.k, budget=self.budget, step=self.step)

    def cover(self, q: Tensor, p: Tensor, reach: Tensor) -> Cover:
        return cover(q, p, self.radii(q), reach, self.k, budget=self.budget, step=self.step)


def _share(tick: Callable[[float], None] | None, total: float) -> Callable[[int], None]:
    """Turn numbers of pairs into the share done."""
    done = 0

    def step(pairs: int) -> None:
        nonlocal done
        done += pairs
        if tick is not None:
            tick(min(1.0, done / total))

    return step


def _tied(p: Tensor, reach: Tensor) -> bool:
    """Whether rows recur, or radii as on a grid; those of a continuous law are shared by two points at most."""
    rows = (p + 0.0).numpy()  # -0 and 0 are one value
    if bool((reach == 0).any()) or len({hash(row.tobytes()) for row in rows}) < len(p):
        return True
    return len((reach / reach.max()).round(decimals=9).unique()) < len(reach) / 4


def _tied_coverage(p: Tensor, q: Tensor, k: int, budget: int) -> float:
    """Expected coverage of the data where rows tie: of one law, which of the pool's rows are data is chance alone."""
    pool = torch.cat([p, q])
    radii = squared_radii(pool, k, budget=budget)
    near = cover(pool, p, radii, radii[: len(p)], k, budget=budget).around_real - 1
    held, times = np.unique(near.numpy().astype(int), return_counts=True)
    return float(times @ [null_coverage(len(q), len(p), s) for s in held.tolist()]) / len(p)


def _real_covers(
    walk: _Walk,
    n: int,
    balls: tuple[Tensor, Tensor],
    real: Tensor,
    train: Tensor | None,
    features: Features,
    repeats: int,
    rng: np.random.Generator,
) -> tuple[list[Cover], str]:
    """Real data in the place of n fakes, some times over, and in words how; balls are their centres and radii."""
    p, reach = balls
    small = len(real) // 2 if train is None else len(train)
    if repeats < 1 or small <= walk.k:
        return [], "none"
    if train is not None:
        size = min(n, len(train))
        repeats = repeats if size < len(train) else 1
        covers = [walk.cover(features(subset(train, size, rng)), p, reach) for _ in range(repeats)]
        return covers, f"train {size} vs real {len(p)}, mean of {repeats}"
    pool = p if len(p) == len(real) else features(subset(real, n + len(p), rng))
    a = min(n, len(pool) // 2)
    b = min(len(p), len(pool) - a)
    covers = []
    for _ in range(repeats):
        first, second = torch.from_numpy(rng.permutation(len(pool))[: a + b]).split([a, b])
        covers.append(walk.cover(pool[first], pool[second], walk.radii(pool[second])))
    return covers, f"real {a} vs real {b}, mean of {repeats}"


def _part(c: Comparison) -> Found:
    k = min(5, len(c.one) - 1, len(c.p) - 1, 5 * c.max_n - 1)
    found = manifold(c.one, c.p, c.known, train=c.t, k=k, max_n=5 * c.max_n, seed=c.seed, budget=c.budget, tick=c.tick)
    if k < 5:
        words = {"note": f"so few rows have no fifth neighbour: balls reach to number {k}"}
        found = {name: replace(one, protocol=one.protocol | words) for name, one in found.items()}
    return named(found)


PARTS = (
    Part(
        "manifold", "precision, recall, density, coverage", _part, ball_cost,
        {"precision": "Share of samples that lie among data",
         "recall": "Share of data that lie among samples",
         "density": "How deep samples lie among data; 1 for a perfect sampler",
         "coverage": "Share of data with a sample nearby"},
        usual=frozenset(("points", "images")), place=140,
    ),
)  # fmt: skip
