r"""Pairs of columns: whether two belong together in fake as they do in real.

Every column becomes scores: of numbers the ranks in the pool and their squares, of categories the levels. Within a
sample two columns then have the block

.. math:: P_{jk} = \frac{\operatorname{Cov}(s_j, s_k)}{w_j w_k}, \qquad
    w = \operatorname{sd}(s) \text{ of ranks}, \; \sqrt{\operatorname{E} s} \text{ of levels},

whose size :math:`\|P\| / \sqrt{\min(\text{ranks})}` is the absolute rank correlation of two numbers, the correlation
ratio of a number and a category, and Cramér's V of two categories. The distance is the size of the difference. There
the rarest of more than eight levels count as one; the statistic that is tested takes `levels`, all of them, as well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from pushforward.metrics.columns.levels import Levels
from pushforward.metrics.columns.read import Category, Pool
from pushforward.metrics.columns.scores import deviates, ranked, shapes

__all__ = ["LEVELS", "MOST", "Pairs", "Scores", "associated", "scored", "unlike"]

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
        codes: The level of each row, (N,), by the column, where a category has more levels than count alone; else {}.
    """

    z: Array
    own: Ints
    level: NDArray[np.bool_]
    plain: NDArray[np.bool_]
    names: tuple[str, ...]
    codes: Mapping[int, Ints]

    def part(self, rows: Ints) -> Scores:
        """Some of the rows."""
        return replace(self, z=self.z[rows], codes={place: one[rows] for place, one in self.codes.items()})

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
        {one.place: one.hot.argmax(1) for one in pool.categories} if any(map(_many, pool.categories)) else {},
    )


def _many(one: Category) -> bool:
    return one.hot.shape[1] > LEVELS


def _common(one: Category) -> Array:
    """The commonest levels, and the others as one."""
    if not _many(one):
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
    many = {place for place, codes in scores.codes.items() if len(np.unique(codes)) > LEVELS}
    share, done = 0.5 if many else 1.0, tick or (lambda _: None)
    limit, chunk, held, found = max(1, 2**22 // len(scores.z)), list[tuple[int, int]](), 0, list[Pairs]()
    for k, (a, b) in enumerate(which):
        chunk, held = [*chunk, (a, b)], held + len(of[a]) * len(of[b])
        if held >= limit or k == len(which) - 1:
            found.append(_chunk(scores, np.array(chunk), of, labels, (means, widths)))
            chunk, held = [], 0
            done((k + 1) / len(which) * share)
    statistics = np.concatenate([one.statistics for one in found], 1)
    if many:
        _level_by_level(scores, which, labels, means, statistics, many, lambda part: done(share + part * (1 - share)))
    return Pairs(
        np.concatenate([one.which for one in found]),
        statistics,
        np.concatenate([one.distances for one in found], 1),
        np.concatenate([one.sizes for one in found], 1),
    )


def _level_by_level(
    scores: Scores,
    which: Sequence[tuple[int, int]],
    labels: Array,
    means: Array,
    statistics: Array,
    many: Set[int],
    tick: Callable[[float], None],
) -> None:
    """Raise statistics, (B + 1, pairs), in place to those of all levels, where a category is one of many levels."""
    levels = Levels.of(scores.codes, labels)
    for k, (a, b) in enumerate(which):
        tick(k / len(which))
        if a in scores.codes and b in scores.codes and {a, b} & many:
            found = levels.of_two(a, b)
        elif {a, b} & many:
            category, number = (a, b) if a in many else (b, a)
            own = np.flatnonzero(scores.own == number)
            found = levels.of_one(category, scores.z[:, own], means[..., own])
        else:
            continue
        statistics[:, k] = np.maximum(statistics[:, k], found)
    tick(1.0)


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
    whole = deviates(np.add.reduceat(standard, starts, axis=1), squares[0])
    ordered = deviates(np.add.reduceat(np.where(plain, standard, 0.0), starts, axis=1), squares[1])
    return Pairs(pairs, np.maximum(whole, ordered), distances, size)


def unlike(scores: Scores, n: int, most: int = MOST) -> list[tuple[int, int]]:
    """The pairs whose associations differ most between the first n rows and the others."""
    count = len(scores.names)
    if count * (count - 1) // 2 <= most:
        return list(combinations(range(count), 2))
    kept = np.flatnonzero(scores.plain)
    labels = (np.arange(len(scores.z)) < n).astype(np.float64)[None]
    chosen = Scores(scores.z[:, kept], scores.own[kept], scores.level[kept], scores.plain[kept], scores.names, {})
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
