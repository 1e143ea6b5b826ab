"""Methods that see the types beside those that do not: all cells of real batches, and of one that is bent within types.

Scores are `pushforward.metrics.integration` of all cells; W2 to the target is in units of the representation's scale,
and `held`, where the law is known, W2 within types to cells of the target's law that nothing saw.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch

from benchmarks.merging.cases import Array, Case, Rows
from benchmarks.merging.jobs import FLOOR, Job, timed
from benchmarks.merging.journal import Line
from benchmarks.merging.methods import LABELLED, Method
from pushforward.merging.numbers.distances import distances
from pushforward.metrics.integration.table import integration, split_floor, total
from pushforward.metrics.quality.transport import wasserstein

__all__ = ["of_labels", "off"]

SITUATION = "all cells"
DRAWN = ("ours", "Harmony")  # methods that draw numbers, by how their names begin; others need one seed


def of_labels(cases: Sequence[Case], seeds: int) -> list[Job]:
    """Every method on every case; of those that draw no numbers only the first seed."""
    found = list[Job]()
    for case in cases:
        found.append(Job("labels", case.name, SITUATION, FLOOR, 0, partial(_floor, case)))
        for by in LABELLED:
            many = seeds if by.name.startswith(DRAWN) else 1
            found += [
                Job("labels", case.name, SITUATION, by.name, seed, partial(_scored, case, by, seed), by)
                for seed in range(many)
            ]
    return found


def off(case: Case, x: Array, mine: Rows) -> float:
    """Mean over the types of W2 from some cells to held-out cells of the target's law, which nothing saw."""
    assert case.held is not None
    held, labels = case.held
    found = []
    for label in np.unique(labels):
        q, p = x[mine & (case.labels == label)], held[labels == label]
        size = min(len(q), len(p))
        found.append(wasserstein(torch.from_numpy(q[:size].copy()), torch.from_numpy(p[:size].copy())))
    return float(np.mean(found))


def _scored(case: Case, method: Method, seed: int) -> Line:
    x, seconds = timed(lambda: method.fit(case, seed))
    found = integration(x, case.batch, case.labels, before=case.x, reference=case.reference)
    row: Line = {"labels": method.labels, "cpu_s": seconds} | found | {"total": total(found)}
    row["w2"] = _distances(case, x)["w2_after"]
    return row if case.held is None else row | {"held": off(case, x, ~case.staying)}


def _floor(case: Case) -> Line:
    staying = case.staying
    names = (case.reference, *np.unique(case.batch[~staying]))
    shares = [float((case.batch == name).mean()) for name in names]
    row: Line = dict(split_floor(case.x[staying], case.labels[staying], shares))
    row["w2"] = _distances(case, case.x)["w2_split"]
    return row if case.held is None else row | {"held": off(case, case.x, staying)}


def _distances(case: Case, x: Array) -> dict[str, float]:
    scale, staying = float(np.sqrt(np.var(case.x, axis=0).mean())), case.staying
    return distances(case.x[~staying] / scale, x[~staying] / scale, x[staying] / scale)
