r"""What a merge is judged by: source cells and withheld cells of the target, and nothing else.

.. math::
    \text{purity}_i = \frac{1}{k_i} \#\{j \in N_{k_i}(i): y_j = y_i\}, \quad k_i = \min(15, n_{y_i} - 1), \qquad
    \text{moved} = \sqrt{\frac{\sum_i \|z_i - x_i\|^2}{\sum_i \|x_i - \bar x_{b_i}\|^2}}

A side lacks a type where none of its cells has it, before any are withheld; a type is shared where both sides have it.
Purity is asked of types that one side lacks and that have at least ten cells; labels are told where the target has two.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from benchmarks.merging.cases import Array, Case, Rows
from pushforward.metrics.core.neighbours import nearest
from pushforward.metrics.integration.conservation import kept, transfer
from pushforward.metrics.integration.mixing import ilisi, kbet, neighbourhoods
from pushforward.metrics.integration.table import split_floor
from pushforward.metrics.two_sample.kernel import energy_distance

__all__ = ["floor", "moved", "purity", "scores", "shared_p"]

AROUND = 15  # neighbours for purity
FEW = 10  # cells of a type below which its purity says nothing
ENOUGH, MOST, PERMUTATIONS = 20, 500, 999  # cells of a type on either side of a test, at least and at most


def scores(case: Case, z: Array, withheld: Rows, seed: int, distances: bool = True) -> dict[str, object]:
    """All numbers of a merge by name; those that the situation does not have are left out.

    Args:
        case: The case before merging.
        z: Its cells after, (n, e).
        withheld: Cells of the target by which it is judged, (n,).
        seed: Seed of the tests.
        distances: Whether distances before and after compare.
    """
    source, shared = ~case.staying, _shared(case)
    found: dict[str, object] = {"cells": [int(source.sum()), int(withheld.sum())]}
    found |= _purities(case, z, source, withheld)
    if (mixed := (source | withheld) & shared).any():
        near = neighbourhoods(z[mixed])
        found |= {"ilisi": ilisi(near, case.batch[mixed]), "kbet": kbet(near, case.batch[mixed])}
        found |= shared_p(case, z, source, withheld, seed)
        found |= _told(case, z, source & shared, {"transfer": withheld, "transfer_all": case.staying})
    if distances:
        found["moved"] = moved(case.x[source], z[source], case.batch[source])
    return found | {"kept": kept(case.x[source], z[source], case.batch[source])}


def floor(case: Case, withheld: Rows, seed: int) -> dict[str, object]:
    """What a perfect merge would score: the target against itself.

    iLISI and kBET are of the target's shared cells, cut at random into parts as large as the batches; for the others
    the target's cells that are not withheld take the place of the sources.
    """
    rest, shared = case.staying & ~withheld, _shared(case)
    found: dict[str, object] = {"cells": [int(rest.sum()), int(withheld.sum())]}
    if shared.any():
        names = np.unique(case.batch[~case.staying])
        sizes = [int((withheld & shared).sum()), *(int((shared & (case.batch == name)).sum()) for name in names)]
        found |= split_floor(case.x[case.staying & shared], None, [n / sum(sizes) for n in sizes], seed=seed)
        found |= shared_p(case, case.x, rest, withheld, seed)
        found |= _told(case, case.x, rest & shared, {"transfer": withheld})
        found |= _told(case, case.x, withheld & shared, {"transfer_all": rest})
    return found


def purity(x: Array, labels: Array, k: int = AROUND) -> Array:
    """Share of its own type among the neighbours of each cell, (n,); not a number where it is the only one of its type.

    There are k neighbours, or as many as the type has other cells, if these are fewer: 1 can always be reached.
    """
    _, codes, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    ours = np.minimum(np.minimum(k, len(x) - 1), sizes[codes] - 1)
    _, places = nearest(np.asarray(x, np.float64), np.asarray(x, np.float64), min(k, len(x) - 1), own=np.arange(len(x)))
    hits = np.cumsum(codes[places] == codes[:, None], 1)[np.arange(len(x)), ours - 1]
    return np.where(ours > 0, hits / np.maximum(ours, 1), np.nan)


def moved(before: Array, after: Array, batch: Array) -> float:
    """Root mean square of the displacement, in root mean square distances of a cell to the mean of its batch."""
    radius = 0.0
    for name in np.unique(batch):
        mine = before[batch == name]
        radius += np.square(mine - mine.mean(0)).sum()
    return float(np.sqrt(np.square(after - before).sum() / radius))


def shared_p(case: Case, z: Array, q: Rows, p: Rows, seed: int) -> dict[str, object]:
    """The least p of energy distances within the types of which both sides have enough cells, times their number.

    Within types, because batches may hold other shares of them. Nothing where no type has enough.
    """
    found = list[float]()
    for label in np.unique(case.labels):
        mine, theirs = z[q & (case.labels == label)], z[p & (case.labels == label)]
        if min(len(mine), len(theirs)) >= ENOUGH:
            test = energy_distance(mine, theirs, permutations=PERMUTATIONS, max_n=MOST, seed=seed)
            assert test.p is not None
            found.append(test.p)
    return {"p": min(1.0, len(found) * min(found)), "p_tests": len(found)} if found else {}


def _shared(case: Case) -> Rows:
    """Which cells are of a type that both sides have, (n,)."""
    mine, theirs = (np.unique(case.labels[side]) for side in (~case.staying, case.staying))
    return np.isin(case.labels, mine) & np.isin(case.labels, theirs)


def _told(case: Case, z: Array, rows: Rows, known: Mapping[str, Rows]) -> dict[str, object]:
    """Share of cells whose type the nearest known ones tell, by name; nothing where the target has one type only."""
    if len(np.unique(case.labels[case.staying])) < 2:
        return {}
    return {
        name: float((transfer(z[rows], z[theirs], case.labels[theirs])[0] == case.labels[rows]).mean())
        for name, theirs in known.items()
    }


def _purities(case: Case, z: Array, source: Rows, withheld: Rows) -> Iterator[tuple[str, object]]:
    """Mean purity of the cells that each side has of types that the other lacks, and by type."""
    names, sizes = np.unique(case.labels, return_counts=True)
    seen, values = source | withheld, np.full(len(z), np.nan)
    values[seen] = purity(z[seen], case.labels[seen])
    lonely = np.isin(case.labels, names[sizes >= FEW]) & ~_shared(case) & ~np.isnan(values)
    by_type = list[dict[str, object]]()
    for side, rows in (("sources", source & lonely), ("target", withheld & lonely)):
        if rows.any():
            yield f"purity_{side}", float(values[rows].mean())
        for label in np.unique(case.labels[rows]):
            mine = values[rows & (case.labels == label)]
            by_type.append({"side": side, "type": str(label), "cells": len(mine), "purity": float(mine.mean())})
    yield "purity_by_type", by_type
