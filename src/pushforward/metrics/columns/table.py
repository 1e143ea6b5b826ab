r"""Which column differs, and which pair: two exact tests, and the tables behind them, the worst first.

Every column has a statistic of its own, and so has every pair. All are computed for the same relabellings of the pool,
so that the largest over the columns is an exact test of one law, whatever ties there are and however columns depend on
each other; the p-values of single columns and pairs are corrected by the same relabellings.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pushforward.metrics.columns.laws import CELLS, DEGREE, FLOORS, Laws, laws
from pushforward.metrics.columns.pairs import MOST, associated, scored, unlike
from pushforward.metrics.columns.read import Numbers, Pool, pooled
from pushforward.metrics.columns.scores import stepped_down
from pushforward.metrics.columns.support import outside
from pushforward.metrics.columns.ways import of_levels, of_numbers, way_of_levels, way_of_numbers
from pushforward.metrics.core.comparison import Comparison
from pushforward.metrics.core.part import Found, Part
from pushforward.metrics.core.permutation import relabellings
from pushforward.metrics.core.reference import check_compared, subset
from pushforward.metrics.core.result import Measure, Row, Words
from pushforward.plain.fields import Field
from pushforward.randomness import generator

__all__ = ["PARTS", "columns"]

Array = NDArray[np.float64]

VALUES = 10_000_000  # numbers of a table that are looked at
LEAST = 200  # rows of each that are, however wide it is
WIDE = 1000  # columns whose pairs are looked at
SEEN = 50  # times the rows of a test among which the range of a column is looked up


def columns(
    fake: Tensor,
    real: Tensor,
    train: Tensor | None = None,
    *,
    fields: Sequence[Field] = (),
    permutations: int = 200,
    max_n: int = 2000,
    seed: int = 0,
    tick: Callable[[float], None] | None = None,
) -> dict[str, Measure]:
    """Compare every column of points, and every pair of columns.

    Of numbers, ranks are compared: four polynomials of them, and their counts in sixteen cells; of categories the
    counts of levels; of empty cells how many there are. The largest of these, as a normal deviate, is a column's
    statistic. Of pairs see `metrics.columns.pairs`: as ranks are those in the pool of both samples, a pair may differ
    a little where only its columns do.

    Args:
        fake: Model samples, (n, d).
        real: Data samples, (m, d).
        train: A second sample of the data, (k, d), which counts as known where it is asked whether fake lies outside.
        fields: What each coordinate is; where empty, each is a column of numbers.
        permutations: Relabellings B.
        max_n: A fifth of the rows used of each; fewer are used of wide tables, 10 million numbers in all.
        seed: Seed of subsets and relabellings.
        tick: Told the fraction done.

    Returns:
        `columns`: the largest distance of a column (Kolmogorov-Smirnov, total variation), with the mean of the largest
        of relabelled samples as its floor, and the p-value of the largest statistic. A row of its table holds
        `distance` and `floor`, the p-value alone and corrected (Westfall and Young), `way` where the corrected one is
        below 5 %, medians and widths, shares of empty cells with Fisher's p-value, and the share of fake outside the
        range or the levels of real and train beside the share expected.
        `pairs`: likewise for pairs, where there are two columns or more. Of more than 2,000 pairs those are tested
        whose associations differ most in a quarter of the rows, on the other rows.

    Raises:
        DataError: If the samples do not fit together.
    """
    check_compared(fake, real, train)
    rng = generator(seed, "evaluate", part="columns")
    most = int(np.clip(VALUES // (2 * fake.shape[1]), LEAST, 5 * max_n))
    q, p = subset(fake, most, rng), subset(real, most, rng)
    pool = pooled(q, p, fields)
    labels = _labels(pool.n, pool.m, permutations, seed)
    more = max(most, min(SEEN * max_n, VALUES // fake.shape[1]))
    known = [subset(x, more, rng).double().cpu() for x in (real, train) if x is not None]
    beyond = outside(subset(fake, more, rng), torch.cat(known), fields)
    lines = permutations + 1
    found = {"columns": _measured_laws(pool, laws(pool, labels), beyond, lines)}
    if tick:
        tick(0.5)
    if len(pool.names) > 1:
        later = None if tick is None else _second_half(tick)
        found["pairs"] = _pairs(pool, labels, lines, seed, later)
    return found


def _labels(n: int, m: int, permutations: int, seed: int) -> Array:
    """1 for rows of fake, seen and relabelled, often enough for a floor."""
    return relabellings(n, m, max(permutations, FLOORS), seed=seed).numpy().astype(np.float64)


def _second_half(tick: Callable[[float], None]) -> Callable[[float], None]:
    return lambda done: tick(0.5 + 0.5 * done)


def _measured_laws(pool: Pool, found: Laws, beyond: dict[int, tuple[float, float]], lines: int) -> Measure:
    """The measure of the columns and its table."""
    alone, corrected = _p_values(found.statistics, lines)
    rows = dict[int, dict[str, str | float | int | None]]()
    floors = found.distances[1:].mean(0)
    for k, place in enumerate(pool.numbers.places):
        way = way_of_numbers(pool.numbers, k, pool.n, int(found.aspects[place])) if corrected[place] < 0.05 else ""
        rows[place] = {"column": pool.numbers.names[k], "kind": "number", "way": way}
        rows[place] |= of_numbers(pool.numbers, k, pool.n)
    for one in pool.categories:
        way = way_of_levels(one, pool.n) if corrected[one.place] < 0.05 else ""
        rows[one.place] = {"column": one.name, "kind": "category", "way": way} | of_levels(one, pool.n)
    for place, row in rows.items():
        row |= {"distance": float(found.distances[0, place]), "floor": float(floors[place])}
        row |= _tested(alone, corrected, place, lines)
        row |= {"outside": beyond[place][0], "outside_expected": beyond[place][1]}
    order = _worst_first(found.statistics[0], corrected)
    return _measure(pool, found.statistics, found.distances, [rows[k] for k in order], lines)


def _pairs(pool: Pool, labels: Array, lines: int, seed: int, tick: Callable[[float], None] | None) -> Measure:
    """The measure of the pairs and its table."""
    pool, words = _narrow(pool), Words()
    scores, every = scored(pool), len(pool.names) * (len(pool.names) - 1) // 2
    if every <= MOST:
        which = unlike(scores, pool.n)
    else:
        first, second = _cut(pool, seed)
        which = unlike(replace(scores, z=scores.z[first]), int((first < pool.n).sum()))
        scores, n = replace(scores, z=scores.z[second]), int((second < pool.n).sum())
        labels = _labels(n, len(second) - n, lines - 1, seed)
        words["looked_at"] = f"{len(which):,} of {every:,}, least alike on a quarter of the rows"
    found = associated(scores, which, labels, tick)
    alone, corrected = _p_values(found.statistics, lines)
    numbers = set(pool.numbers.places)
    kinds = {2: "rank correlation", 1: "correlation ratio", 0: "Cramér's V"}
    names = list(scores.names)
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
        | _tested(alone, corrected, k, lines)
        for k, (a, b) in enumerate(found.which.tolist())
    ]
    order = _worst_first(found.statistics[0], corrected)
    made = _measure(pool, found.statistics, found.distances, [rows[k] for k in order], lines)
    return replace(made, protocol=made.protocol | words)


def _narrow(pool: Pool) -> Pool:
    """The columns whose pairs are looked at, counted anew: of very many numbers those with the fewest ties."""
    numbers, most = pool.numbers, max(0, WIDE - len(pool.categories))
    chosen = np.arange(len(numbers.names))
    if len(chosen) > most:
        distinct = [len(np.unique(numbers.x[:, k])) for k in chosen]
        chosen = np.sort(np.argsort([-count for count in distinct], kind="stable")[:most])
    kept = sorted([numbers.places[k] for k in chosen] + [one.place for one in pool.categories])
    place = {old: new for new, old in enumerate(kept)}
    some = Numbers(
        tuple(numbers.names[k] for k in chosen),
        tuple(place[numbers.places[k]] for k in chosen),
        numbers.x[:, chosen],
        None if numbers.empty is None else numbers.empty[:, chosen],
    )
    return replace(pool, numbers=some, categories=tuple(replace(c, place=place[c.place]) for c in pool.categories))


def _cut(pool: Pool, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """A quarter of the rows of each sample, to choose pairs on, and the rest, to test them on."""
    rng = generator(seed, "evaluate", part="pairs")
    own, other = rng.permutation(pool.n), pool.n + rng.permutation(pool.m)
    parts = [(rows[: len(rows) // 4], rows[len(rows) // 4 :]) for rows in (own, other)]
    return np.concatenate([parts[0][0], parts[1][0]]), np.concatenate([np.sort(parts[0][1]), np.sort(parts[1][1])])


def _p_values(statistics: Array, lines: int) -> tuple[Array, Array]:
    """Alone and corrected, of the relabellings asked for; 1 where there is none."""
    if lines < 2:
        return np.ones(statistics.shape[1]), np.ones(statistics.shape[1])
    return stepped_down(statistics[:lines])


def _tested(alone: Array, corrected: Array, k: int, lines: int) -> dict[str, str | float | int | None]:
    if lines < 2:
        return {"p": None, "p_corrected": None}
    return {"p": float(alone[k]), "p_corrected": float(corrected[k])}


def _worst_first(seen: Array, corrected: Array) -> list[int]:
    return np.lexsort((-seen, corrected)).tolist()


def _measure(pool: Pool, statistics: Array, distances: Array, rows: Sequence[Row], lines: int) -> Measure:
    """A test of one law by the largest statistic, next to the largest distance and its floor."""
    largest = statistics.max(1)
    p = None if lines < 2 else float(stepped_down(largest[:lines, None])[1][0])
    words: Words = {
        "statistic": "the largest deviate",
        "correction": "Westfall-Young",
        "permutations": lines - 1,
        "floor": f"mean of the largest of {len(distances) - 1} relabellings",
    }
    detail = {"null": torch.from_numpy(largest[1:lines].copy()), "statistic": torch.tensor([largest[0]])}
    value, floor = float(distances[0].max()), float(distances[1:].max(1).mean())
    return Measure(value, floor, None, p, pool.n, pool.m, "raw", "lower", words, detail, rows=tuple(rows))


def _cost(c: Comparison) -> float:
    """Ranks and scores of each number, sums of scores of each labelling, for columns and for pairs."""
    n, m, d = len(c.first), len(c.real), c.real[0].numel()
    most = int(np.clip(VALUES // (2 * d), LEAST, 5 * c.max_n))
    rows, lines = min(n, most) + min(m, most), max(c.permutations, FLOORS) + 1
    sums = (CELLS + DEGREE) * d + 4 * min(MOST, d * (d - 1) // 2)
    return rows * (2.0 * lines * sums + 100.0 * lines + 8e4 * d)


def _part(c: Comparison) -> Found:
    fields = c.fields or tuple(Field(name, (j,)) for j, name in enumerate(c.names))
    return columns(c.first, c.real, c.train, fields=fields, permutations=c.permutations, max_n=c.max_n, seed=c.seed,
                   tick=c.tick)  # fmt: skip


PARTS = (
    Part(
        "columns", "which column differs, which pair of them, and in what way", _part, _cost,
        {"columns": "Largest distance between the laws of one column, in shares of rows; its table says which",
         "pairs": "Largest difference in how two columns belong together; its table says which"},
        frozenset(("points",)), test=True, usual=frozenset(("points",)), place=85,
    ),
)  # fmt: skip
