r"""Which column differs, and in what way: an exact test of one law and the table behind it, the worst column first.

Every column has a statistic of its own. All are computed for the same relabellings of the pool, so that the largest is
an exact test, whatever ties there are and however columns depend on each other; the p-values of single columns are
corrected by the same relabellings.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from pushforward.metrics.columns.laws import FLOORS, SCORES, Laws, laws
from pushforward.metrics.columns.read import Pool
from pushforward.metrics.columns.support import outside
from pushforward.metrics.columns.tables import (
    VALUES,
    fields_of,
    labellings,
    measure_of,
    p_cells,
    p_values,
    pool_of,
    rows_of,
    worst_first,
)
from pushforward.metrics.columns.ways import of_levels, of_numbers, way_of_levels, way_of_numbers
from pushforward.metrics.core.comparison import Comparison
from pushforward.metrics.core.part import Found, Part
from pushforward.metrics.core.reference import Given, check_compared, subset
from pushforward.metrics.core.result import Measure
from pushforward.plain.fields import Field
from pushforward.randomness import generator

__all__ = ["PARTS", "column_laws"]

SEEN = 50  # times `max_n` rows among which the range of a column is looked up


def column_laws(
    fake: Given,
    real: Given,
    train: Given | None = None,
    *,
    fields: Sequence[Field] = (),
    permutations: int = 200,
    max_n: int = 2000,
    seed: int = 0,
) -> Measure:
    """Compare every column of points.

    Of numbers, ranks are compared: four polynomials of them, their counts in sixteen cells and in the outermost 1 to
    6 %; and how often values repeat; of categories the counts of levels; of empty cells how many there are. The
    largest of these, as a normal deviate, is a column's statistic.

    Args:
        fake: Model samples, (n, d).
        real: Data samples, (m, d).
        train: A second sample of the data, (k, d), which counts as known where it is asked whether fake lies outside.
        fields: What each coordinate is; where empty, each is a column of numbers, called by its position.
        permutations: Relabellings B.
        max_n: A fifth of the rows used of each; fewer are used of wide tables, 10 million numbers in all.
        seed: Seed of subsets and relabellings.

    Returns:
        The largest distance of a column (Kolmogorov-Smirnov, total variation), the mean of the largest of relabelled
        samples as its floor, and the p-value of the largest statistic. A row of its table holds `distance` and
        `floor`, the p-value alone and corrected (Westfall and Young), `way` where the corrected one is below 5 %,
        medians and widths, shares of empty cells with Fisher's p-value, and the share of fake outside the range or
        the levels of real and train beside the share expected.

    Raises:
        DataError: If the samples do not fit together.

    References:
        Resampling-based multiple testing (Westfall & Young, 1993).
    """
    fake, real, train = check_compared(fake, real, train)
    pool = pool_of(fake, real, fields, max_n, seed)
    found = laws(pool, labellings(pool.n, pool.m, permutations, seed))
    rng = generator(seed, "evaluate", part="support")
    most = max(pool.n, pool.m, min(SEEN * max_n, VALUES // fake.shape[1]))
    known = [subset(x, most, rng).double().cpu() for x in (real, train) if x is not None]
    beyond = outside(subset(fake, most, rng), torch.cat(known), fields)
    return _table(pool, found, beyond, permutations + 1)


def _table(pool: Pool, found: Laws, beyond: dict[int, tuple[float, float]], lines: int) -> Measure:
    """The measure of the columns and its table."""
    alone, corrected = p_values(found.statistics, lines)
    rows = dict[int, dict[str, str | float | int | None]]()
    floors = found.distances[1:].mean(0)
    for k, place in enumerate(pool.numbers.places):
        way = way_of_numbers(pool.numbers, k, pool.n, found.aspects[place]) if corrected[place] < 0.05 else ""
        rows[place] = {"column": pool.numbers.names[k], "kind": "number", "way": way}
        rows[place] |= of_numbers(pool.numbers, k, pool.n)
    for one in pool.categories:
        way = way_of_levels(one, pool.n) if corrected[one.place] < 0.05 else ""
        rows[one.place] = {"column": one.name, "kind": "category", "way": way} | of_levels(one, pool.n)
    for place, row in rows.items():
        row |= {"distance": float(found.distances[0, place]), "floor": float(floors[place])}
        row |= p_cells(alone, corrected, place, lines)
        row |= {"outside": beyond[place][0], "outside_expected": beyond[place][1]}
    order = worst_first(found.statistics[0], corrected)
    return measure_of(pool, found.statistics, found.distances, [rows[k] for k in order], lines)


def _cost(c: Comparison) -> float:
    """Ranks and scores of each column, and sums of scores for each labelling."""
    d, most = c.real[0].numel(), rows_of(c.real[0].numel(), c.max_n)
    rows, lines = min(len(c.first), most) + min(len(c.real), most), max(c.permutations, FLOORS) + 1
    return rows * (0.4 * lines * SCORES * d + 50.0 * lines + 3e4 * d)


def _part(c: Comparison) -> Found:
    found = column_laws(c.first, c.real, c.train, fields=fields_of(c), permutations=c.permutations, max_n=c.max_n,
                        seed=c.seed)  # fmt: skip
    return {"columns": found}


PARTS = (
    Part(
        "columns", "which column differs, and in what way", _part, _cost,
        {"columns": "Largest distance between the laws of one column, in shares of rows; its table says which"},
        frozenset(("points",)), test=True, usual=frozenset(("points",)), place=84,
    ),
)  # fmt: skip
