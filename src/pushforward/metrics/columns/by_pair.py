"""Which pair of columns belongs together otherwise than in real: an exact test and the table behind it, worst first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pushforward.errors import DataError
from pushforward.metrics.columns.laws import FLOORS
from pushforward.metrics.columns.pairs import LEVELS, MOST, Pairs, associated, scored, unlike
from pushforward.metrics.columns.read import Numbers, Pool
from pushforward.metrics.columns.tables import (
    fields_of,
    labellings,
    measure_of,
    p_cells,
    p_values,
    pool_of,
    rows_of,
    worst_first,
)
from pushforward.metrics.core.comparison import Comparison
from pushforward.metrics.core.part import Found, Part
from pushforward.metrics.core.reference import Given
from pushforward.metrics.core.result import Measure, Row, Words
from pushforward.plain.fields import Field
from pushforward.randomness import generator

__all__ = ["PARTS", "column_pairs"]

WIDE = 1000  # columns whose pairs are looked at, half of them categories where there are as many


def column_pairs(
    fake: Given,
    real: Given,
    *,
    fields: Sequence[Field] = (),
    permutations: int = 200,
    max_n: int = 2000,
    seed: int = 0,
    tick: Callable[[float], None] | None = None,
) -> Measure:
    """Compare how columns of points belong together, pair by pair.

    The distance of a pair is the size of the difference of two blocks; see `metrics.columns.pairs`. Ranks are those
    in the pool of both samples, so a pair may differ a little where only its columns do.

    Args:
        fake: Model samples, (n, d).
        real: Data samples, (m, d).
        fields: What each coordinate is; where empty, each is a column of numbers, called by its position.
        permutations: Relabellings B.
        max_n: A fifth of the rows used of each; fewer are used of wide tables, 10 million numbers in all.
        seed: Seed of subsets and relabellings.
        tick: Told the fraction done.

    Returns:
        The largest distance of a pair, the mean of the largest of relabelled samples as its floor, and the p-value of
        the largest statistic. A row of its table holds both columns, the association in `fake` and in `real` and what
        `kind` it is, `distance` and `floor`, and the p-value alone and corrected (Westfall and Young). Of more than
        2,000 pairs those are tested whose associations differ most in a quarter of the rows, on the other rows; of
        more than 1,000 columns those with the fewest ties, 500 of categories where there are as many.

    Raises:
        DataError: If the samples do not fit together, or there is one column.
    """
    pool = pool_of(fake, real, fields, max_n, seed)
    if len(pool.names) < 2:
        raise DataError(f"{len(pool.names)} column makes no pair: give two or more")
    every = len(pool.names) * (len(pool.names) - 1) // 2
    pool, words = _narrow(pool), Words()
    scores = scored(pool)
    if every <= MOST:
        which, labels = unlike(scores, pool.n), labellings(pool.n, pool.m, permutations, seed)
    else:
        first, second = _cut(pool, seed)
        which = unlike(scores.part(first), int((first < pool.n).sum()))
        scores, n = scores.part(second), int((second < pool.n).sum())
        labels = labellings(n, len(second) - n, permutations, seed)
        words["looked_at"] = f"{len(which):,} of {every:,}, least alike on a quarter of the rows"
    found, lines = associated(scores, which, labels.astype(np.float64), tick), permutations + 1
    made = measure_of(pool, found.statistics, found.distances, _rows(pool, scores.names, found, lines), lines)
    return replace(made, protocol=made.protocol | words)


def _rows(pool: Pool, names: Sequence[str], found: Pairs, lines: int) -> list[Row]:
    """The table of the pairs."""
    alone, corrected = p_values(found.statistics, lines)
    numbers = set(pool.numbers.places)
    kinds = {2: "rank correlation", 1: "correlation ratio", 0: "Cramér's V"}
    rows = [
        {
            "first": names[a],
            "second": names[b],
            "kind": kinds[len({a, b} & numbers)],
            "fake": float(found.sizes[0, k]),
            "real": float(found.sizes[1, k]),
            "distance": float(found.distances[0, k]),
            "floor": float(found.distances[1:, k].mean()),
        }
        | p_cells(alone, corrected, k, lines)
        for k, (a, b) in enumerate(found.which.tolist())
    ]
    order = worst_first(found.statistics[0], corrected)
    return [rows[k] for k in order]


def _narrow(pool: Pool) -> Pool:
    """The columns whose pairs are looked at, counted anew: of very many those with the fewest ties."""
    numbers, categories = pool.numbers, pool.categories
    words = _finest([one.hot.any(0).sum() for one in categories], max(WIDE // 2, WIDE - len(numbers.names)))
    most = WIDE - len(words)
    many = len(numbers.names) > most
    distinct = [len(np.unique(x)) if many else 0 for x in numbers.x.T]
    some, categories = _finest(distinct, most), [categories[k] for k in words]
    kept = sorted([numbers.places[k] for k in some] + [one.place for one in categories])
    place = {old: new for new, old in enumerate(kept)}
    fewer = Numbers(
        tuple(numbers.names[k] for k in some),
        tuple(place[numbers.places[k]] for k in some),
        numbers.x[:, some],
        None if numbers.empty is None else numbers.empty[:, some],
    )
    return replace(pool, numbers=fewer, categories=tuple(replace(c, place=place[c.place]) for c in categories))


def _finest(distinct: Sequence[int], most: int) -> list[int]:
    """Up to so many columns with the most distinct values, in their order."""
    return sorted(sorted(range(len(distinct)), key=lambda k: -distinct[k])[:most])


def _cut(pool: Pool, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """A quarter of the rows of each sample, to choose pairs on, and the rest, to test them on."""
    rng = generator(seed, "evaluate", part="pairs")
    own, other = rng.permutation(pool.n), pool.n + rng.permutation(pool.m)
    parts = [(rows[: len(rows) // 4], rows[len(rows) // 4 :]) for rows in (own, other)]
    return np.concatenate([parts[0][0], parts[1][0]]), np.concatenate([np.sort(parts[0][1]), np.sort(parts[1][1])])


def _cost(c: Comparison) -> float:
    """Ranks and scores of each column, and sums of their products for each labelling, over all rows and by level."""
    d, most = c.real[0].numel(), rows_of(c.real[0].numel(), c.max_n)
    rows, lines = min(len(c.first), most) + min(len(c.real), most), max(c.permutations, FLOORS) + 1
    many = sum(len(one.levels) > LEVELS for one in c.fields)
    by_level = min(MOST, many * (many - 1) // 2 + many * (len(c.fields) - many))
    return rows * (8.0 * lines * (min(MOST, d * (d - 1) // 2) + by_level) + 100.0 * lines + 2e4 * d)


def _part(c: Comparison) -> Found:
    found = column_pairs(c.first, c.real, fields=fields_of(c), permutations=c.permutations, max_n=c.max_n,
                         seed=c.seed, tick=c.tick)  # fmt: skip
    return {"pairs": found}


PARTS = (
    Part(
        "pairs", "which pair of columns belongs together otherwise", _part, _cost,
        {"pairs": "Largest difference in how two columns belong together; its table says which"},
        frozenset(("points", "pairs")), test=True, usual=frozenset(("points",)), place=86,
    ),
)  # fmt: skip
