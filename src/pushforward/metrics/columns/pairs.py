r"""Pairs of columns: whether two belong together in fake as they do in real.

Every column becomes scores: of numbers the ranks in the pool and their squares, of categories the levels. Within a
sample two columns then have the block

.. math:: P_{jk} = \frac{\operatorname{Cov}(s_j, s_k)}{w_j w_k}, \qquad
    w = \operatorname{sd}(s) \text{ of ranks}, \; \sqrt{\operatorname{E} s} \text{ of levels},

whose size :math:`\|P\| / \sqrt{\min(\text{ranks})}` is the absolute rank correlation of two numbers, the correlation
ratio of a number and a category, and Cramér's V of two categories. The distance is the size of the difference.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from pushforward.metrics.columns.read import Category, Pool
from pushforward.metrics.columns.scores import NEVER, deviate, ranked, shapes

__all__ = ["MOST", "Pairs", "Scores", "associated", "scored", "unlike"]

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

MOST = 2000  # pairs tested; of more those that are least alike on other rows
LEVELS = 8  # levels of a category that count alone, the others together


@dataclass(frozen=True, eq=False)
class Scores:
    """Scores of the columns of a pool.

    Attributes:
        z: (N, s), the scores of a column beside each other, in the order of columns.
        own: Column of each score, (s,).
        level: Which are levels of a category, (s,).
        plain: Which count in the distance: ranks and levels, not squares and empty cells, (s,).
        names: Names of all columns.
    """

    z: Array
    own: Ints
    level: NDArray[np.bool_]
    plain: NDArray[np.bool_]
    names: tuple[str, ...]

    @property
    def ranks(self) -> Array:
        """Largest number of dimensions that a column's scores can agree in, (columns,)."""
        levels = np.bincount(self.own[self.level], minlength=len(self.names))
        return np.maximum(levels - 1.0, 1.0)


def scored(pool: Pool) -> Scores:
    """The scores of every column."""
    parts: dict[int, tuple[Array, list[bool]]] = {}
    step = 256
    for start in range(0, len(pool.numbers.names), step):
        block = pool.numbers.part(start, start + step)
        found = shapes(*ranked(block), block, 2)
        for k, place in enumerate(block.places):
            columns, plain = [*found[:, k].T], [True, False]
            if block.empty is not None and block.empty[:, k].any():
                columns, plain = [*columns, block.empty[:, k].astype(np.float64)], [*plain, False]
            parts[place] = np.stack(columns, 1), plain
    for one in pool.categories:
        hot = _common(one)
        parts[one.place] = hot, [True] * hot.shape[1]
    categories = {one.place for one in pool.categories}
    order = sorted(parts)
    own = np.concatenate([np.full(len(parts[k][1]), k) for k in order])
    return Scores(
        np.concatenate([parts[k][0] for k in order], 1),
        own,
        np.isin(own, list(categories)),
        np.concatenate([np.array(parts[k][1]) for k in order]),
        tuple(pool.names.values()),
    )


def _common(one: Category) -> Array:
    """The commonest levels, and the others as one."""
    if one.hot.shape[1] <= LEVELS:
        return one.hot
    order = np.argsort(-one.hot.sum(0), kind="stable")
    kept = np.sort(order[: LEVELS - 1])
    return np.column_stack([one.hot[:, kept], one.hot[:, order[LEVELS - 1 :]].sum(1)])


@dataclass(frozen=True, eq=False)
class Pairs:
    """What was found of pairs.

    Attributes:
        which: Their columns, (pairs, 2).
        statistics: Normal deviates, seen and relabelled, (B + 1, pairs).
        distances: Likewise.
        sizes: Size of the block in fake and in real, (2, pairs); of two numbers with its sign.
    """

    which: Ints
    statistics: Array
    distances: Array
    sizes: Array


def associated(
    scores: Scores, which: Sequence[tuple[int, int]], labels: Array, tick: Callable[[float], None] | None = None
) -> Pairs:
    """Compare pairs of columns.

    Args:
        scores: Of all columns.
        which: The pairs.
        labels: 1 for rows of fake, 0 for real, seen and relabelled, (B + 1, N).
        tick: Told the fraction done.
    """
    of = [np.flatnonzero(scores.own == k) for k in range(len(scores.names))]
    means, widths = _widths(scores, labels)
    limit, chunk, held, found = max(1, 2**22 // len(scores.z)), list[tuple[int, int]](), 0, list[Pairs]()
    for k, (a, b) in enumerate(which):
        chunk, held = [*chunk, (a, b)], held + len(of[a]) * len(of[b])
        if held >= limit or k == len(which) - 1:
            found.append(_chunk(scores, np.array(chunk), of, labels, (means, widths)))
            chunk, held = [], 0
            if tick:
                tick((k + 1) / len(which))
    return Pairs(
        np.concatenate([one.which for one in found]),
        np.concatenate([one.statistics for one in found], 1),
        np.concatenate([one.distances for one in found], 1),
        np.concatenate([one.sizes for one in found], 1),
    )


def _widths(scores: Scores, labels: Array) -> tuple[Array, Array]:
    """Means of the scores in fake and in real for each labelling, and one over w, 0 where w is; (2, B + 1, s)."""
    n = float(labels[0].sum())
    m = labels.shape[1] - n
    sums = labels @ scores.z
    means = np.stack([sums / n, (scores.z.sum(0) - sums) / m])
    squares = labels @ scores.z**2
    second = np.stack([squares / n, ((scores.z**2).sum(0) - squares) / m])
    w2 = np.where(scores.level, means, second - means**2)
    return means, np.where(w2 > 1e-9, 1 / np.sqrt(np.where(w2 > 1e-9, w2, 1.0)), 0.0)


def _chunk(
    scores: Scores, pairs: Ints, of: Sequence[NDArray[np.intp]], labels: Array, known: tuple[Array, Array]
) -> Pairs:
    """A few pairs at a time."""
    means, inverse = known
    i = np.concatenate([np.repeat(of[a], len(of[b])) for a, b in pairs])
    j = np.concatenate([np.tile(of[b], len(of[a])) for a, b in pairs])
    starts = np.cumsum([0, *(len(of[a]) * len(of[b]) for a, b in pairs)])[:-1]
    n = float(labels[0].sum())
    products = scores.z[:, i] * scores.z[:, j]
    sums = labels @ products
    mixed = np.stack([sums / n, (products.sum(0) - sums) / (labels.shape[1] - n)])
    blocks = (mixed - means[..., i] * means[..., j]) * inverse[..., i] * inverse[..., j]
    difference = blocks[0] - blocks[1]
    plain = scores.plain[i] & scores.plain[j]
    ranks = scores.ranks
    scale = np.sqrt(np.minimum(ranks[pairs[:, 0]], ranks[pairs[:, 1]]))
    size = np.sqrt(np.add.reduceat(np.where(plain, blocks[:, 0] ** 2, 0.0), starts, axis=1)) / scale
    numbers = ~(scores.level[i] | scores.level[j])[starts]
    size = np.where(numbers, blocks[:, 0][:, starts], size)
    distances = np.sqrt(np.add.reduceat(np.where(plain, difference**2, 0.0), starts, axis=1)) / scale
    spread = np.sqrt((difference**2).mean(0))
    standard = (difference / np.where(spread > 0, spread, 1.0)) ** 2
    squares = np.add.reduceat(np.stack([np.ones(len(i)), plain]), starts, axis=1)
    whole = _deviates(np.add.reduceat(standard, starts, axis=1), squares[0])
    ordered = _deviates(np.add.reduceat(np.where(plain, standard, 0.0), starts, axis=1), squares[1])
    return Pairs(pairs, np.maximum(whole, ordered), distances, size)


def _deviates(x: Array, most: Array | float) -> Array:
    r"""Sums of squares as normal deviates: of a chi-square that has their mean and variance over all other labellings.

    Were a labelling's own sum among those, no effect could be seen to exceed :math:`\sqrt{B}` spreads, which in a
    thousand pairs relabellings do as well. Every labelling is treated alike, so the test stays exact.

    Args:
        x: Sums, seen and relabelled, (B + 1, k).
        most: Squares in each, which bound its degrees of freedom, (k,).
    """
    others = max(1, len(x) - 1)
    center = x.mean(0)  # of little use to the sums but that they do not cancel
    own = x - center
    mean = -own / others
    variance = np.maximum((own**2).sum(0) - own**2, 0.0) / others - mean**2
    mean += center
    known = (mean > 1e-12) & (variance > 1e-24)
    degrees = np.where(known, np.minimum(2 * mean**2 / np.where(known, variance, 1.0), most), 0.0)
    return np.where(known, deviate(x * degrees / np.where(known, mean, 1.0), degrees), NEVER)


def unlike(scores: Scores, n: int, most: int = MOST) -> list[tuple[int, int]]:
    """The pairs whose associations differ most between the first n rows and the others."""
    count = len(scores.names)
    if count * (count - 1) // 2 <= most:
        return list(combinations(range(count), 2))
    kept = np.flatnonzero(scores.plain)
    labels = (np.arange(len(scores.z)) < n).astype(np.float64)[None]
    chosen = Scores(scores.z[:, kept], scores.own[kept], scores.level[kept], scores.plain[kept], scores.names)
    means, inverse = _widths(chosen, labels)
    blocks = [
        (rows.T @ rows / len(rows) - np.outer(mean, mean)) * np.outer(width, width)
        for rows, mean, width in zip((chosen.z[:n], chosen.z[n:]), means[:, 0], inverse[:, 0])
    ]
    starts = np.flatnonzero(np.diff(chosen.own, prepend=-1))
    square = np.add.reduceat(np.add.reduceat((blocks[0] - blocks[1]) ** 2, starts, axis=0), starts, axis=1)
    distance = square / np.minimum.outer(scores.ranks, scores.ranks)
    upper = np.triu_indices(count, 1)
    best = np.sort(np.argsort(-distance[upper], kind="stable")[:most])
    return list(zip(upper[0][best].tolist(), upper[1][best].tolist()))
