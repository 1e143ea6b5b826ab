r"""Who has a counterpart: cells of a batch whose surroundings pair with surroundings of the target, whatever the shift.

Two cells are a pair where each is among the nearest of the other side. A shift of a whole batch leaves pairs of a
type with itself, as both sides are pushed alike; cells of a type that the target lacks are nearest to cells which have
nearer ones. What few pairs they have meet at few target cells, so that the surroundings of these are not in pairs:

.. math::
    \ell(i) = \min\left(1, \tfrac{3}{k}\,\overline{\text{pairs}_{i'}}\right) \cdot
    \overline{\text{share in pairs of the surroundings of the partners of } i'}

with k target cells that may be partners of one, and means over the cells i' around i: near 1 where laws are equal,
whatever the sizes of the two sides, also where a type is up to three times as heavy on one side. It is looked at twice:
where the cells are, and after those that have pairs, and they alone, went along the mean way to their partners, which
tells neighbouring types apart. A shift much beyond the width of a type along the shift leaves too few pairs, and then
nothing has a counterpart; in up to three dimensions a part of a type has none from about its width on. Round types that
lie as near to each other as they do to their own kind can be taken for one; a handful of cells on one side is like
anything. Of two blood samples without a type in common up to 12 % seem to have counterparts: where fewer than 15 %
do, none does.

How much of the target each part of the batch asks for is told by such ways too: after three each matched cell gives its
mass, in equal parts, to the nearest target cells, and what these got is spread over their surroundings,

.. math:: v = W^8 \tfrac{m}{n K} A^\top 1, \qquad W 1 = W^\top 1 = 1,

A the cells' K nearest of the target's m, W the target's own neighbours, scaled to rows and columns of one: v estimates
q/p, q the law of the matched cells moved, has mean 1, and is 0 about target cells that nothing of the batch is like.

References:
    Batch effects in single-cell RNA-sequencing data are corrected by matching mutual nearest neighbors
    (Haghverdi et al., 2018), doi:10.1038/nbt.4091, for the pairs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, diags_array

from pushforward.metrics.core.neighbours import nearest
from pushforward.randomness import generator

__all__ = ["MOST", "Support", "mutual", "support"]

Array = NDArray[np.float64]
Places = NDArray[np.int64]

AROUND = 10  # cells around a cell, itself beside them, over which levels are means
VOTERS = 15  # cells, itself among them, of which half must have a counterpart for it to have one
WAYS = 20  # cells over which ways to partners are means, twice
LARGER = 1.6  # times as large a batch may be as the target before cells of the latter take more partners
SHARE, FEWEST, PARTNERS = 0.05, 3, 30  # neighbours among which partners are: that share of the smaller side, in bounds
HEAVIER = 3  # times as heavy a type may be in the batch as in the target before its cells lack partners
FIRST, SECOND = 0.3, 0.5  # levels from which a cell has a counterpart where it is, and after the first way
CHANCE = 0.15  # share of a batch that may seem to have a counterpart where nothing has one: of fewer, none has
TURNS = 3  # ways that cells go, one after the other, before they give their mass
GIVEN, ROUNDS, SCALINGS = 15, 8, 20  # target cells that a cell gives its mass to, rounds of spreading, of scaling W
SPREAD = 0.5  # of the way to the nearest other place, by which equal cells are moved apart
MOST = 2000
"""Cells of a side that are looked at; others go with the nearest of these."""


@dataclass(frozen=True)
class Support:
    """Which cells have a counterpart, and how much of the target they ask for.

    Attributes:
        matched: Whether a cell of the batch has one, (n,).
        level: Its level after the first way, (n,), in [0, 1].
        shares: Mass that the matched cells ask of each target cell, (m,), of mean 1: an estimate of q/p; all 1 where
            nothing is matched.
    """

    matched: NDArray[np.bool_]
    level: Array
    shares: Array

    def of(self, cells: Array, target: Array) -> Array:
        """Mass that further target cells are asked for, (k,): that of the nearest of some 2,000 that were there."""
        step = max(1, len(target) // MOST)
        return self.shares[step * nearest(cells, _floats(target[::step]), 1)[1][:, 0]]


def support(x: Array, target: Array, seed: int = 0) -> Support:
    """Which cells of a batch have a counterpart in the target; neither sees a class.

    Args:
        x: Cells of the batch, (n, d).
        target: Cells of the target, (m, d), in the same units.
        seed: Seed of the choice of cells that are looked at, where there are many.
    """
    rng = generator(seed, "evaluate", part="support")
    cells, goal = _some(x, rng), _some(target, rng)
    width = float(np.concatenate([cells, goal]).std(0).max()) or 1.0
    found = _looked_at(_told_apart(cells, width, rng), _told_apart(goal, width, rng))
    mine, theirs = _stand_ins(x, cells), _stand_ins(target, goal)
    return Support(found.matched[mine], found.level[mine], found.shares[theirs] / found.shares[theirs].mean())


def mutual(x: Array, y: Array, k: int, back: int | None = None) -> tuple[Places, Places]:
    """Places in x and in y of all pairs of which each is among the nearest of the other side.

    Args:
        x: Cells, (n, d).
        y: Cells of the other side, (m, d).
        k: Neighbours in y, at most m.
        back: Neighbours in x, at most n; as many if None.
    """
    there, back_there = nearest(x, y, k)[1], nearest(y, x, k if back is None else back)[1]
    ways = (np.arange(len(x))[:, None] * len(y) + there).ravel()
    both = np.intersect1d(ways, (back_there * len(y) + np.arange(len(y))[:, None]).ravel())
    mine, theirs = np.divmod(both, len(y))
    return mine.astype(np.int64), theirs.astype(np.int64)


def _looked_at(x: Array, y: Array) -> Support:
    """`support` of cells that are all looked at."""
    (k, back), near, there = _partners(len(x), len(y)), _around(x, WAYS), _around(y, GIVEN)
    pairs = mutual(x, y, k, back)
    first = _voted(near, _level(near, there, pairs, k) > FIRST)
    moved = _along(x, y, first, near, pairs)
    level = _level(_around(moved, AROUND + 1), there, mutual(moved, y, k, back), k)
    matched = _voted(near, first & (level > SECOND))
    matched &= matched.mean() >= CHANCE
    for turn in range(TURNS):
        x = _along(x, y, matched, near, pairs if not turn else mutual(x, y, k, back))
    return Support(matched, level, _shares(x[matched], y, there))


def _level(near: Places, there: Places, pairs: tuple[Places, Places], k: int) -> Array:
    """How much the surroundings of each cell are paired with surroundings in the target, (n,), in [0, 1]."""
    (mine, theirs), near, there = pairs, near[:, : AROUND + 1], there[:, : AROUND + 1]
    count = np.bincount(mine, minlength=len(near))
    paired = (np.bincount(theirs, minlength=len(there)) > 0)[there].mean(1)
    partners = np.bincount(mine, paired[theirs], len(near)) / np.maximum(count, 1)
    return partners[near].mean(1) * np.minimum(1, HEAVIER * (count / k)[near].mean(1))


def _along(x: Array, y: Array, moving: NDArray[np.bool_], near: Places, pairs: tuple[Places, Places]) -> Array:
    """Cells that move along the mean way of the cells around them to their partners, smoothed; others stay."""
    mine, theirs = pairs
    weight = moving[mine].astype(np.float64)
    count = np.bincount(mine, weight, len(x))
    ways = np.stack([np.bincount(mine, weight * (y[theirs, c] - x[mine, c]), len(x)) for c in range(x.shape[1])], 1)
    mean = ways[near].sum(1) / np.maximum(count[near].sum(1), 1)[:, None]
    return x + np.where(moving[:, None], mean[near].mean(1), 0.0)


def _shares(x: Array, y: Array, there: Places) -> Array:
    """What each cell of y is given by the cells of x, spread over its surroundings, (m,), of mean 1."""
    if not len(x):
        return np.ones(len(y))
    given = np.bincount(nearest(x, y, min(GIVEN, len(y)))[1].ravel(), minlength=len(y)).astype(np.float64)
    rows = np.arange(len(y)).repeat(there.shape[1])
    graph = csr_array((np.ones(there.size), (rows, there.ravel())), shape=(len(y), len(y)))
    spread = graph + graph.T
    for _ in range(SCALINGS):
        scale = diags_array(1 / np.sqrt(spread.sum(1)))
        spread = scale @ spread @ scale
    for _ in range(ROUNDS):
        given = spread @ given
    return given / given.mean()


def _voted(near: Places, has: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """What at least half of the cells around each say, three times over: it is regions that have counterparts."""
    for _ in range(3):
        has = has[near[:, :VOTERS]].mean(1) >= 0.5
    return has


def _around(x: Array, k: int) -> Places:
    """The k nearest cells of each, itself among them, (n, k)."""
    return nearest(x, x, min(k, len(x)))[1]


def _partners(n: int, m: int) -> tuple[int, int]:
    """Nearest cells among which partners are, in the target, of m cells, and in the batch, of n.

    As many on either side, but where sides differ in size: cells of a large target are then each in reach of a few of
    the batch, and cells of a large batch of some of the target.
    """
    k = min(max(FEWEST, min(PARTNERS, int(SHARE * min(n, m)))), n, m)
    return min(max(k, FEWEST * m // n), m), min(max(k, int(k * n / (LARGER * m))), n)


def _told_apart(x: Array, width: float, rng: np.random.Generator) -> Array:
    """Cells, equal ones spread about their place: who of them is near to whom would else hang on their order.

    They are spread by half of the way to the nearest other place, or to one in the middle of the order of these ways if
    that is less; by half of a width where all are in one place.
    """
    kinds, place, count = np.unique(x, axis=0, return_inverse=True, return_counts=True)
    if len(kinds) == len(x):
        return x
    ways = np.full(1, width) if len(kinds) == 1 else nearest(kinds, kinds, own=np.arange(len(kinds)))[0][:, 0]
    reach = SPREAD * np.where(count > 1, np.minimum(ways, np.median(ways)), 0)[place.ravel(), None]
    return x + reach / np.sqrt(x.shape[1]) * rng.standard_normal(x.shape)


def _some(x: Array, rng: np.random.Generator) -> Array:
    """All cells, or a random choice where there are many."""
    return _floats(x if len(x) <= MOST else x[np.sort(rng.choice(len(x), MOST, replace=False))])


def _floats(x: Array) -> Array:
    return np.asarray(x, np.float64)


def _stand_ins(x: Array, some: Array) -> Places:
    """The place among some cells of the nearest to each of all."""
    return np.arange(len(x)) if len(some) == len(x) else nearest(x, some, 1)[1][:, 0]
