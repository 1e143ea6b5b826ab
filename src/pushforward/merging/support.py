r"""Who has a counterpart: cells of a batch whose surroundings pair with surroundings of the target, whatever the shift.

Two cells are a pair where each is among the k nearest of the other side. A shift of a whole batch leaves pairs of a
type with itself, as both sides are pushed alike; cells of a type that the target lacks are nearest to cells which have
nearer ones. What few pairs they have meet at few target cells, so that the surroundings of these are not in pairs:

.. math::
    \ell(i) = \min\left(1, \tfrac{3}{k}\,\overline{\text{pairs}_{i'}}\right) \cdot
    \overline{\text{share in pairs of the surroundings of the partners of } i'}

with means over the cells i' around i: near 1 where laws are equal, also where a type is up to three times as heavy on
one side. It is looked at twice: where the cells are, and after those that have pairs, and they alone, went along the
mean way to their partners, which tells neighbouring types apart. A shift much beyond the width of a type along the
shift leaves too few pairs, and then nothing has a counterpart; round types that lie as near to each other as they do to
their own kind can be taken for one.

References:
    Batch effects in single-cell RNA-sequencing data are corrected by matching mutual nearest neighbors
    (Haghverdi et al., 2018), doi:10.1038/nbt.4091, for the pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pushforward.metrics.core.neighbours import nearest
from pushforward.randomness import generator

__all__ = ["Support", "counterparts", "mutual", "support"]

Array = NDArray[np.float64]
Places = NDArray[np.int64]

AROUND = 10  # cells around a cell, itself beside them, over which levels are means
VOTERS = 15  # cells, itself among them, of which half must have a counterpart for it to have one
WAYS = 20  # cells over which ways to partners are means, twice
SHARE, FEWEST, PARTNERS = 0.05, 3, 30  # neighbours among which partners are: that share of the smaller side, in bounds
HEAVIER = 3  # times as heavy a type may be in the batch as in the target before its cells lack partners
FIRST, SECOND = 0.3, 0.5  # levels from which a cell has a counterpart where it is, and after the first way
MOST = 2000  # cells of a side that are looked at; others go with the nearest of these


@dataclass(frozen=True)
class Support:
    """Which cells have a counterpart.

    Attributes:
        matched: Whether a cell has one, (n,).
        level: Its level after the first way, (n,), in [0, 1].
    """

    matched: NDArray[np.bool_]
    level: Array


def mutual(x: Array, y: Array, k: int) -> tuple[Places, Places]:
    """Places in x and in y of all pairs of which each is among the k nearest of the other side.

    Args:
        x: Cells, (n, d).
        y: Cells of the other side, (m, d).
        k: Neighbours, at most n and m.
    """
    there, back = nearest(x, y, k)[1], nearest(y, x, k)[1]
    ways = (np.arange(len(x))[:, None] * len(y) + there).ravel()
    both = np.intersect1d(ways, (back * len(y) + np.arange(len(y))[:, None]).ravel())
    mine, theirs = np.divmod(both, len(y))
    return mine.astype(np.int64), theirs.astype(np.int64)


def support(x: Array, target: Array, seed: int = 0) -> Support:
    """Which cells of a batch have a counterpart in the target; neither sees a class.

    Args:
        x: Cells of the batch, (n, d), n at least 10.
        target: Cells of the target, (m, d), m at least 10, in the same units.
        seed: Seed of the choice of cells that are looked at, where there are many.
    """
    rng = generator(seed, "evaluate", part="support")
    seen, x = x, _some(x, rng)
    target = _some(target, rng)
    first = _voted(x, _level(x, target) > FIRST)
    level = _level(_along(x, target, first), target)
    matched = _voted(x, first & (level > SECOND))
    if seen is x:
        return Support(matched, level)
    place = nearest(seen, x, 1)[1][:, 0]
    return Support(matched[place], level[place])


def counterparts(
    z: Array, batches: NDArray[np.str_], reference: str, sources: Sequence[str], seed: int = 0
) -> tuple[NDArray[np.bool_], list[str]]:
    """Which cells have a counterpart in the reference, (n,), and a line for each batch in which some have none.

    Args:
        z: All cells, (n, d).
        batches: Batch of each, (n,).
        reference: The batch that stays, whose cells are their own counterparts.
        sources: Batches that are looked at; all other cells have a counterpart.
        seed: As of `support`.
    """
    matched, said = np.ones(len(z), bool), list[str]()
    for name in sources:
        mine = batches == name
        matched[mine] = support(z[mine], z[batches == reference], seed).matched
        if missing := int((~matched[mine]).sum()):
            said.append(
                f"{name}: {missing} of {int(mine.sum())} cells ({missing / mine.sum():.0%}) have no counterpart in the "
                "target (gpa_matched): moved, they take the place of others"
            )
    return matched, said


def _level(x: Array, y: Array) -> Array:
    """How much the surroundings of each cell of x are paired with surroundings in y, (n,), in [0, 1]."""
    k = _partners(x, y)
    mine, theirs = mutual(x, y, k)
    count = np.bincount(mine, minlength=len(x))
    paired = (np.bincount(theirs, minlength=len(y)) > 0)[_around(y, AROUND + 1)].mean(1)
    partners = np.bincount(mine, paired[theirs], len(x)) / np.maximum(count, 1)
    around = _around(x, AROUND + 1)
    return partners[around].mean(1) * np.minimum(1, HEAVIER * (count / k)[around].mean(1))


def _along(x: Array, y: Array, moving: NDArray[np.bool_]) -> Array:
    """Cells that move along the mean way of the cells around them to their partners, smoothed; others stay."""
    mine, theirs = mutual(x, y, _partners(x, y))
    weight = moving[mine].astype(np.float64)
    count, around = np.bincount(mine, weight, len(x)), _around(x, WAYS)
    ways = np.stack([np.bincount(mine, weight * (y[theirs, c] - x[mine, c]), len(x)) for c in range(x.shape[1])], 1)
    mean = ways[around].sum(1) / np.maximum(count[around].sum(1), 1)[:, None]
    return x + np.where(moving[:, None], mean[around].mean(1), 0.0)


def _voted(x: Array, has: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """What at least half of the cells around each say, three times over: it is regions that have counterparts."""
    around = _around(x, VOTERS)
    for _ in range(3):
        has = has[around].mean(1) >= 0.5
    return has


def _around(x: Array, k: int) -> Places:
    """The k nearest cells of each, itself among them, (n, k)."""
    return nearest(x, x, min(k, len(x)))[1]


def _partners(x: Array, y: Array) -> int:
    """Neighbours on the other side among which partners are."""
    return min(max(FEWEST, min(PARTNERS, int(SHARE * min(len(x), len(y))))), len(x), len(y))


def _some(x: Array, rng: np.random.Generator) -> Array:
    """All cells, or a random choice where there are many."""
    return x if len(x) <= MOST else x[np.sort(rng.choice(len(x), MOST, replace=False))]
