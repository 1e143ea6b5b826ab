"""Scores of a merge before, after and at their floor, on cells of the target that no critic saw."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pushforward.merging.given import Given
from pushforward.metrics.integration.table import integration, split_floor
from pushforward.randomness import generator

__all__ = ["LEAST", "scored", "scored_rows"]

Array = NDArray[Any]

MOST = 10_000  # rows that are scored
LEAST = 20
"""Held-out cells of the target without which all of its cells are scored, which is then said."""


def scored_rows(
    used: NDArray[np.bool_], staying: NDArray[np.bool_], aside: NDArray[np.bool_], seed: int = 0
) -> tuple[NDArray[np.bool_], list[str]]:
    """Rows that scores are of, a mask (n,): all that move, and the target's held-out ones; and what has to be said.

    Args:
        used: Rows that take part.
        staying: Rows of the target.
        aside: Rows that no critic saw.
        seed: Seed of the choice where there are more than 10,000.
    """
    if (held := int((staying & aside).sum())) >= LEAST:
        return _thinned(used & (~staying | aside), seed), []
    return _thinned(used, seed), [
        f"{held} held-out cells of the target are too few to score on: scores are of all its cells, which the critic "
        "saw, and flatter"
    ]


def _thinned(rows: NDArray[np.bool_], seed: int) -> NDArray[np.bool_]:
    """At most 10,000 of the rows of a mask, at random."""
    places = np.flatnonzero(rows)
    if len(places) <= MOST:
        return rows
    out = np.zeros(len(rows), bool)
    out[generator(seed, "evaluate", part="scored").choice(places, MOST, replace=False)] = True
    return out


def scored(
    given: Given,
    after: Array,
    rows: NDArray[np.bool_],
    matched: NDArray[np.bool_],
    *,
    seed: int = 0,
    tick: Callable[[str, float], None] | None = None,
) -> dict[str, dict[str, float]]:
    """Scores "before", "after", and "floor": of the target cut at random into parts as large as the batches.

    Args:
        given: All cells as they came in, n of them; classes count where all that take part have one.
        after: Where they are, (n, d).
        rows: Those that are scored, a mask (n,).
        matched: Whether each has a counterpart, (n,).
        seed: Seed of subsets, cuts and k-means.
        tick: Told what is being done and the fraction done.
    """
    before, reference, classes = given.x, given.plan.reference, given.classes
    classes = None if classes is None or (classes[given.used] == "").any() else classes
    names, labels = given.batches[rows], None if classes is None else classes[rows]
    table = dict[str, dict[str, float]]()
    for k, (when, x) in enumerate((("before", before[rows]), ("after", after[rows]))):
        if tick:
            tick(f"scores {when}", k / 3)
        table[when] = integration(
            x, names, labels, before=before[rows], matched=matched[rows], reference=reference, seed=seed
        )
    if tick:
        tick("scores of the target's parts", 2 / 3)
    staying, sources = given.batches == reference, [name for name in np.unique(names) if name != reference]
    shares = [float((names == name).mean()) for name in (reference, *sources)]
    staying = _thinned(staying, seed)
    table["floor"] = split_floor(before[staying], None if classes is None else classes[staying], shares, seed=seed)
    return table
