"""The table of a merge: batch mixing and conserved biology of one embedding, from one search for neighbours."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pushforward.metrics.integration.conservation import (
    apart,
    clisi,
    clusters,
    graph_connectivity,
    kept,
    label_silhouette,
    transfer,
)
from pushforward.metrics.integration.mixing import (
    Array,
    batch_silhouette,
    ilisi,
    kbet,
    kbet_per_label,
    neighbourhoods,
    pcr_comparison,
)
from pushforward.randomness import derive, generator

__all__ = ["ABOUT", "integration", "split_floor", "total"]

ABOUT = {
    "ilisi": "neighbourhoods hold all batches",
    "kbet": "neighbourhoods pass a test of their batches",
    "kbet_label": "the same within each class",
    "bras": "batches overlap within each class",
    "asw_batch": "the same with Euclidean distances",
    "pcr": "variance explained by the batch that is gone",
    "kept": "cells have the same 30 neighbours of their own batch as before",
    "apart": "cells without a counterpart are among their own batch",
    "clisi": "neighbourhoods hold one class",
    "asw_label": "classes lie apart",
    "connectivity": "classes hang together",
    "nmi": "k-means finds the classes, by information",
    "ari": "k-means finds the classes, by pairs",
    "transfer": "labels of the reference, read off its neighbours, fit the others",
}

BATCH, BIOLOGY = ("bras", "ilisi", "kbet_label", "connectivity", "pcr"), ("nmi", "ari", "asw_label", "clisi")


def integration(
    x: Array,
    batch: NDArray,
    labels: NDArray | None = None,
    *,
    before: Array | None = None,
    matched: NDArray[np.bool_] | None = None,
    reference: object = None,
    max_n: int = 10_000,
    seed: int = 0,
) -> dict[str, float]:
    """Scores of an embedding by name, each 1 at best; `ABOUT` says what they mean.

    Args:
        x: Cells, (n, d).
        batch: Batch of each, (n,).
        labels: Class of each, (n,); without them only batch mixing is scored.
        before: The same cells before merging, for `pcr` and `kept`.
        matched: Whether each has a counterpart in the reference, (n,), for `apart`.
        reference: The batch that stays: it does not count for `kept`, and the others are given its labels, for
            `transfer`.
        max_n: Cells used; more are subsampled.
        seed: Seed of the subset and of k-means.
    """
    batch, labels = np.asarray(batch), None if labels is None else np.asarray(labels)
    if len(x) > max_n:
        keep = np.sort(generator(seed, "evaluate", part="integration").choice(len(x), max_n, replace=False))
        x, batch = x[keep], batch[keep]
        labels, before = (None if part is None else part[keep] for part in (labels, before))
        matched = None if matched is None else matched[keep]
    x = np.asarray(x, np.float64)
    near = neighbourhoods(x)
    scores = {"ilisi": ilisi(near, batch), "kbet": kbet(near, batch)}
    if before is not None:
        scores["pcr"] = pcr_comparison(before, x, batch)
        moving = np.ones(len(x), bool) if reference is None else batch != reference
        scores["kept"] = kept(before[moving], x[moving], batch[moving])
    if matched is not None and not matched.all():
        scores["apart"] = apart(near, batch, ~matched)
    if labels is None or len(np.unique(labels)) < 2:
        return scores
    scores["kbet_label"] = kbet_per_label(x, batch, labels)
    scores["bras"] = batch_silhouette(x, batch, labels)
    scores["asw_batch"] = batch_silhouette(x, batch, labels, adapted=False)
    scores |= {"clisi": clisi(near, labels), "asw_label": label_silhouette(x, labels)}
    scores["connectivity"] = graph_connectivity(near, labels)
    scores["nmi"], scores["ari"] = clusters(x, labels, seed)
    if reference is not None and (known := batch == reference).any() and not known.all():
        found, _ = transfer(x[~known], x[known], labels[known])
        scores["transfer"] = float((found == labels[~known]).mean())
    return scores


def split_floor(
    x: Array,
    labels: NDArray | None = None,
    shares: Sequence[float] = (0.5, 0.5),
    *,
    repeats: int = 3,
    max_n: int = 10_000,
    seed: int = 0,
) -> dict[str, float]:
    """What the scores would be if the others were more of the reference: it is cut into parts at random.

    Args:
        x: Cells of the reference, (n, d).
        labels: Their classes, (n,).
        shares: Shares of the parts, that of the reference first; those of the batches make the scores comparable.
        repeats: Random cuts that are averaged.
        max_n: Cells used of the reference.
        seed: Seed of the cuts.
    """
    rng, found = generator(seed, "evaluate", part="split_floor"), list[dict[str, float]]()
    edges = np.cumsum(shares)[:-1] / np.sum(shares)
    part = np.searchsorted(edges, (np.arange(len(x)) + 0.5) / len(x))
    for repeat in range(repeats):
        cut = derive(seed, "evaluate", repeat, part="split_floor")
        found.append(integration(x, rng.permutation(part), labels, reference=0, max_n=max_n, seed=cut))
    return {name: float(np.mean([scores[name] for scores in found])) for name in found[0]}


def total(scores: dict[str, float]) -> float:
    """0.4 times the mean of batch mixing plus 0.6 times that of conserved biology, as scib weighs them.

    Scores that are missing are left out of the means; not a number where all of one kind are.

    References:
        Benchmarking atlas-level data integration in single-cell genomics (Luecken et al., 2022).
    """
    batch, biology = ([scores[name] for name in names if name in scores] for names in (BATCH, BIOLOGY))
    return 0.4 * float(np.mean(batch)) + 0.6 * float(np.mean(biology)) if batch and biology else float("nan")
