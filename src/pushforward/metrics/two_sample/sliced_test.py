r"""Two-sample test with the sliced 1-Wasserstein distance, relabelled without sorting anew.

.. math::
    SW_1(q, p) = \mathbb{E}_{\theta} \int |F_{\theta \cdot q}(t) - F_{\theta \cdot p}(t)|\, dt

On a line :math:`W_1` is the area between two distribution functions. Of a pool sorted once, a relabelling changes only
the running count of q's points: one cumulative sum serves any two sizes, where :math:`W_2` would need the quantile
functions matched anew.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.metrics.core.comparison import Comparison, relabelled_sort_cost
from pushforward.metrics.core.features import RAW, Features
from pushforward.metrics.core.part import Found, Part, named
from pushforward.metrics.core.permutation import permutation_measure, relabellings
from pushforward.metrics.core.reference import Given, compare, subset
from pushforward.metrics.core.result import Measure
from pushforward.metrics.core.scale import draw_in, drawn_in
from pushforward.metrics.quality.sliced import directions
from pushforward.randomness import generator

__all__ = ["PARTS", "relabelled_sliced_w1", "sliced_test"]

CACHED = 2**18
"""Entries of a block of counts: those of a block that leaves the cache take twice as long."""


def sliced_test(
    fake: Given,
    real: Given,
    features: Features = RAW,
    *,
    projections: int = 128,
    permutations: int = 200,
    max_n: int = 10_000,
    seed: int = 0,
    budget: int = 2**26,
    tick: Callable[[float], None] | None = None,
) -> Measure:
    r"""Sliced 1-Wasserstein distance, in data units, with its exact permutation p-value.

    The directions are drawn without a look at the labels, so the test is exact for any number of them. It sees what
    moves many points by a little (shifts, scales, tails) well, and what happens in few directions of many badly.
    Rows beyond ten median radii are drawn in, so that a few do not drown the rest; see `core.scale`.
    Time is O(projections (n + m) (log (n + m) + permutations)). The floor is the mean of the relabelled values.

    Args:
        fake: Model samples, (n, *event).
        real: Data samples, (m, *event).
        features: The feature space.
        projections: Number of random directions; on the line there is one.
        permutations: Relabellings B.
        max_n: Rows used of each; more are subsampled.
        seed: Seed of directions, subsets and relabellings.
        budget: Bytes that the temporaries of one block may take.
        tick: Told the fraction done.

    Raises:
        DataError: If the samples do not fit together.
        UsageError: If there is no direction.

    References:
        Sliced and Radon Wasserstein barycenters of measures (Bonneel et al., 2015).
    """
    if projections < 1:
        raise UsageError(f"projections is {projections}: give at least 1, about 128 for a stable value")
    q, p, _ = compare(fake, real, None, features, max_n=max_n, seed=seed)
    p = subset(p, max_n, generator(seed, "evaluate", part="sliced_test"))
    # On the line all directions say the same.
    along = directions(q.shape[1], projections if q.shape[1] > 1 else 1, seed)
    labels = relabellings(len(q), len(p), permutations, seed=seed)
    pool, far = draw_in(torch.cat([q, p]))
    values = relabelled_sliced_w1(pool, labels, along, budget=budget, tick=tick)
    protocol: dict[str, str | float | int] = {"order": 1, "projections": along.shape[1], "seed": seed, "max_n": max_n}
    protocol |= drawn_in(far, len(pool))
    return permutation_measure(values, (len(q), len(p)), features.id, protocol)


def relabelled_sliced_w1(
    pool: Tensor,
    labels: Tensor,
    along: Tensor,
    *,
    budget: int = 2**26,
    tick: Callable[[float], None] | None = None,
) -> Tensor:
    """Mean over directions of W1 on the line, for each labelling of a pool; (B + 1,), float64.

    Args:
        pool: Rows (N, d), float64, in data units.
        labels: (B + 1, N), bool, True for q; see `permutation.relabellings`.
        along: Unit vectors, (d, L).
        budget: Bytes that the temporaries of one block may take.
        tick: Told the fraction done.
    """
    rows, lines = len(pool), len(labels)
    n = int(labels[0].sum())
    by_row, total = labels.T.contiguous(), pool.new_zeros(lines)
    entries = min(CACHED, max(1, budget // 64))
    together = max(1, min(entries // (rows * lines), budget // (64 * rows)))
    height = max(1, entries // (together * lines))
    for start in range(0, along.shape[1], together):
        values, order = (pool @ along[:, start : start + together]).sort(0)
        counts = pool.new_zeros(values.shape[1], lines)
        for top in range(0, rows - 1, height):
            part = slice(top, min(top + height, rows - 1))
            seen = by_row[order[part]].double().cumsum_(0).add_(counts)
            counts = seen[-1].clone()
            expected = torch.arange(part.start + 1, part.stop + 1, dtype=torch.float64) * (n / rows)
            gaps = values[part.start + 1 : part.stop + 1] - values[part]
            total += gaps.flatten() @ seen.sub_(expected[:, None, None]).abs_().flatten(0, 1)
        if tick is not None:
            tick(min(1.0, (start + together) / along.shape[1]))
    return total * (rows / (n * (rows - n)) / along.shape[1])


def _part(c: Comparison) -> Found:
    found = sliced_test(c.one, c.p, c.known, permutations=c.permutations, max_n=c.max_n, seed=c.seed,
                        budget=c.budget, tick=c.tick)  # fmt: skip
    return named({"sliced_test": found})


PARTS = (
    Part(
        "sliced_test", "sliced Wasserstein test", _part, relabelled_sort_cost,
        {"sliced_test": "Wasserstein distance over directions, as a test"}, test=True, place=30,
    ),
)  # fmt: skip
