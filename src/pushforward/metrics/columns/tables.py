"""What the tables of columns and of pairs share: the rows and labels they are made of, p-values, and their measure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from pushforward.metrics.columns.laws import FLOORS
from pushforward.metrics.columns.read import Pool, pooled
from pushforward.metrics.columns.scores import stepped_down
from pushforward.metrics.core.comparison import Comparison
from pushforward.metrics.core.permutation import relabellings
from pushforward.metrics.core.reference import Given, check_compared, subset
from pushforward.metrics.core.result import Measure, Row, Words
from pushforward.plain.fields import Field
from pushforward.randomness import generator

__all__ = [
    "VALUES",
    "fields_of",
    "labellings",
    "measure_of",
    "p_cells",
    "p_values",
    "pool_of",
    "rows_of",
    "worst_first",
]

Array = NDArray[np.float64]

VALUES = 10_000_000  # numbers of a table that are looked at
LEAST = 200  # rows of each that are, however wide it is


def rows_of(columns: int, max_n: int) -> int:
    """Rows of each sample that are looked at: five times `max_n`, fewer of wide tables."""
    return int(np.clip(VALUES // (2 * columns), LEAST, 5 * max_n))


def pool_of(fake: Given, real: Given, fields: Sequence[Field], max_n: int, seed: int) -> Pool:
    """The rows that are looked at, by their columns.

    Raises:
        DataError: If the samples do not fit together.
    """
    fake, real, _ = check_compared(fake, real)
    rng, most = generator(seed, "evaluate", part="columns"), rows_of(fake.shape[1], max_n)
    return pooled(subset(fake, most, rng), subset(real, most, rng), fields)


def fields_of(c: Comparison) -> tuple[Field, ...]:
    """What each coordinate is, as far as it is known."""
    return c.fields or tuple(Field(name, (j,)) for j, name in enumerate(c.names))


def labellings(n: int, m: int, permutations: int, seed: int) -> NDArray[np.float32]:
    """1 for rows of fake, seen and relabelled, often enough for a floor."""
    return relabellings(n, m, max(permutations, FLOORS), seed=seed).numpy().astype(np.float32)


def p_values(statistics: Array, lines: int) -> tuple[Array, Array]:
    """Alone and corrected, of the relabellings asked for; 1 where there is none."""
    if lines < 2:
        return np.ones(statistics.shape[1]), np.ones(statistics.shape[1])
    return stepped_down(statistics[:lines])


def p_cells(alone: Array, corrected: Array, k: int, lines: int) -> dict[str, str | float | int | None]:
    if lines < 2:
        return {"p": None, "p_corrected": None}
    return {"p": float(alone[k]), "p_corrected": float(corrected[k])}


def worst_first(seen: Array, corrected: Array) -> list[int]:
    return np.lexsort((-seen, corrected)).tolist()


def measure_of(pool: Pool, statistics: Array, distances: Array, rows: Sequence[Row], lines: int) -> Measure:
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
