r"""The law of each column: what tells fake from real in it, how far apart they are, and in what way.

The distance of two columns of numbers is that of Kolmogorov and Smirnov, of categories the total variation,

.. math:: \sup_x |F_q(x) - F_p(x)|, \qquad \tfrac12 \sum_k |q_k - p_k|:

shares of rows, the same in every unit and under every monotone map, which no few rows decide.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pushforward.metrics.columns.read import Category, Numbers, Pool
from pushforward.metrics.columns.scores import ENDS, deviate, ends, occurrences, quadratic, ranked, shapes, single

__all__ = ["ASPECTS", "FLOORS", "SCORES", "Aspect", "Laws", "laws"]

Aspect = Literal["ranks", "cells", "empty", "ends", "repeats"]
"""What of a column differs most; `cells` are levels of a category."""

ASPECTS: tuple[Aspect, ...] = ("ranks", "cells", "empty", "ends", "repeats")

Array = NDArray[np.float64]

CELLS = 16  # parts of equal size into which the ranks of a column are cut
DEGREE = 4  # of the polynomials of ranks
SCORES = CELLS + DEGREE + len(ENDS) + 2  # of a column, or one more
FLOORS = 20  # relabellings behind a floor
BLOCK = 2**24  # numbers held at a time
RARE = 5  # rows that a level needs to count alone


@dataclass(frozen=True, eq=False)
class Laws:
    """What all columns have in common, in the order of their places.

    Attributes:
        statistics: Largest normal deviate of a column, seen and relabelled, (B + 1, columns).
        aspects: Which deviate that was, one a column.
        distances: Seen and relabelled, (FLOORS + 1, columns).
    """

    statistics: Array
    aspects: tuple[Aspect, ...]
    distances: Array


def laws(pool: Pool, labels: NDArray[np.float32]) -> Laws:
    """Compare the law of every column.

    Args:
        pool: Both samples.
        labels: 1 for rows of fake, 0 for real, seen and relabelled, (B + 1, N), float32; see
            `permutation.relabellings`.
    """
    count = len(pool.names)
    aspects = np.full((len(ASPECTS), len(labels), count), -np.inf)
    distances = np.zeros((min(FLOORS + 1, len(labels)), count))
    step = max(1, BLOCK // (len(pool.numbers.x) * SCORES))
    for start in range(0, len(pool.numbers.names), step):
        block = pool.numbers.part(start, start + step)
        places = list(block.places)
        aspects[:, :, places] = _numbers(block, labels, pool.n)
        for k, place in enumerate(places):
            distances[:, place] = _apart(block, k, labels[: len(distances)])
    for one in pool.categories:
        aspects[ASPECTS.index("cells"), :, one.place], distances[:, one.place] = _levels(
            one, labels, pool.n, len(distances)
        )
    return Laws(aspects.max(0), tuple(ASPECTS[j] for j in aspects[:, 0].argmax(0)), distances)


def _numbers(block: Numbers, labels: NDArray[np.float32], n: int) -> Array:
    """Deviates of every aspect for each labelling, (aspects, B + 1, k)."""
    ranks, filled = ranked(block)
    rows, k = ranks.shape
    cells = min(CELLS, max(2, rows // 10))
    # Rows that tie share their mid-rank and so their cell, and many that tie have one of their own.
    which = np.minimum((cells * (ranks - 0.5) / np.maximum(filled, 1)).astype(int), cells)
    if block.empty is not None:
        which[block.empty] = cells
    parts = [
        shapes(ranks, filled, block, DEGREE),
        which[:, :, None] == np.arange(cells),
        ends(ranks, filled, block),
        occurrences(block),
    ]
    if block.empty is not None:
        parts.append((block.empty - block.empty.mean(0))[..., None])
    # One product in single precision, in which counts are exact and the rest rounds less than `SLACK`.
    scores = np.concatenate([part.astype(np.float32) for part in parts], -1)
    sums = (labels @ scores.reshape(rows, -1)).reshape(len(labels), k, -1).astype(np.float64)
    of = np.split(sums, np.cumsum([part.shape[-1] for part in parts])[:-1], -1)
    found: dict[Aspect, Array] = {
        "ranks": deviate(*quadratic(of[0], parts[0], n)),
        "cells": _counted(of[1], parts[1].sum(0), rows, n),
        "ends": single(of[2], parts[2].sum(0), of[1].sum(-1), filled, n, rows),
        "repeats": deviate(*quadratic(of[3], parts[3], n)),
    }
    if block.empty is not None:
        found["empty"] = deviate(*quadratic(of[4], parts[4], n))
    nothing = np.full((len(labels), k), -np.inf)
    return np.stack([found.get(aspect, nothing) for aspect in ASPECTS])


def _counted(counts: Array, total: Array, rows: int, n: int) -> Array:
    """Deviate of the chi-square of counts in cells, (B + 1, k), given the rows that lie in any."""
    kept = total > 0
    own = counts.sum(-1, keepdims=True)
    expected = own * total / np.maximum(total.sum(-1, keepdims=True), 1)
    parts = np.where(kept, (counts - expected) ** 2 / np.where(kept, total, 1.0), 0.0)
    return deviate(parts.sum(-1) * rows * (rows - 1) / (n * (rows - n)), kept.sum(-1) - 1.0)


def _apart(block: Numbers, k: int, labels: NDArray[np.float32]) -> Array:
    """Kolmogorov-Smirnov distance of a column for each labelling; 0 where one side has no numbers."""
    filled = block.filled(k)
    x = block.x[filled, k]
    if not len(x):
        return np.zeros(len(labels))
    order = np.argsort(x, kind="stable")
    last = np.append(np.flatnonzero(np.diff(x[order])), len(x) - 1)
    below = (labels if block.empty is None else labels[:, filled])[:, order].cumsum(1, dtype=np.float64)[:, last]
    own = below[:, -1:]
    other = len(x) - own
    parts = below / np.maximum(own, 1) - (last + 1 - below) / np.maximum(other, 1)
    return np.where((own > 0) & (other > 0), np.abs(parts), 0.0).max(1)


def _levels(one: Category, labels: NDArray[np.float32], n: int, floors: int) -> tuple[Array, Array]:
    """Deviate for each labelling, and total variation for the first so many."""
    total, rows = one.hot.sum(0), len(one.hot)
    counts = (labels @ one.hot.astype(np.float32)).astype(np.float64)
    rare = total < RARE
    grouped, sizes = counts[:, ~rare], total[~rare]
    if rare.any():
        grouped = np.column_stack([grouped, counts[:, rare].sum(1)])
        sizes = np.append(sizes, total[rare].sum())
    shares = counts[:floors] / n - (total - counts[:floors]) / (rows - n)
    return _counted(grouped[:, None], sizes[None], rows, n)[:, 0], 0.5 * np.abs(shares).sum(1)
