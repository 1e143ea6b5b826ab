r"""How much biology survives a merge: classes that stay apart, hang together, and can be read off the neighbours.

.. math::
    \mathrm{cLISI} = \frac{C - \operatorname{median}_i \mathrm{LISI}_i}{C - 1}, \qquad
    \text{transfer} = \frac{1}{n}\sum_i \mathbb{1}\Big[y_i = \operatorname*{mode}_{j \in N_k(i)} y_j\Big]

Every score is 1 at best. None of them sees the batches, except the transfer, from the reference to the others, and the
two that see no classes: whether cells keep the neighbours of their own batch, and whether those without a counterpart
stay among their own.

References:
    Benchmarking atlas-level data integration in single-cell genomics (Luecken et al., 2022).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from pushforward.data.labels import coded
from pushforward.metrics.core.neighbours import nearest
from pushforward.metrics.integration.mixing import Neighbourhoods, codes, lisi, silhouettes
from pushforward.randomness import word

if TYPE_CHECKING:
    from pushforward.metrics.integration.mixing import Array

__all__ = ["apart", "clisi", "clusters", "graph_connectivity", "kept", "label_silhouette", "transfer"]


def clisi(near: Neighbourhoods, labels: NDArray, perplexity: float | None = None) -> float:
    """Median `lisi` of the labels, from 1..C onto 1..0: 1 where neighbourhoods hold one class each."""
    count = codes(labels)[1]
    return (count - float(np.median(lisi(near, labels, perplexity)))) / (count - 1) if count > 1 else 1.0


def label_silhouette(x: Array, labels: NDArray) -> float:
    """Mean silhouette width of the labels, from -1..1 onto 0..1."""
    return float(silhouettes(x, labels).mean() + 1) / 2


def graph_connectivity(near: Neighbourhoods, labels: NDArray, k: int = 15, *, directed: bool = False) -> float:
    """Mean over the classes of the share of a class that is one component of the graph of its own neighbours.

    Args:
        near: Neighbourhoods.
        labels: Class of each row, (n,).
        k: Rows of one neighbourhood, itself among them.
        directed: Count strongly connected components of the directed graph instead.
    """
    places, n = near.first(k).places, len(near.places)
    starts = np.arange(0, places.size + 1, places.shape[1])
    graph = csr_array((np.ones(places.size, np.int8), places.ravel(), starts), shape=(n, n))
    shares = []
    for label in np.unique(labels):
        mine = np.flatnonzero(labels == label)
        _, parts = connected_components(graph[mine][:, mine], directed=directed, connection="strong")
        shares.append(np.bincount(parts).max() / len(mine))
    return float(np.mean(shares))


def clusters(x: Array, labels: NDArray, seed: int = 0) -> tuple[float, float]:
    """Normalised mutual information and adjusted Rand index of labels and as many k-means clusters.

    Args:
        x: Points, (n, d).
        labels: Class of each row, (n,).
        seed: Seed of k-means; the best of ten starts counts.
    """
    from sklearn.cluster import KMeans
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

    numbers, count = codes(labels)
    starts: Any = 10
    found = KMeans(count, n_init=starts, random_state=word(seed, "evaluate", part="clusters")).fit_predict(x)
    return float(normalized_mutual_info_score(numbers, found)), float(adjusted_rand_score(numbers, found))


def transfer(x: Array, known: Array, labels: NDArray, k: int = 15) -> tuple[NDArray, Array]:
    """The commonest label among the k nearest known rows, and its share of them.

    Of labels that are equally common the one with the nearest row wins.

    Args:
        x: Rows to label, (n, d).
        known: Labelled rows, (m, d).
        labels: Their labels, (m,).
        k: Neighbours that vote; fewer where fewer are known.

    Returns:
        Labels (n,) of the type of `labels`, and shares (n,).
    """
    names, numbers = coded(labels)
    k = min(k, len(known))
    _, places = nearest(np.asarray(x, np.float64), np.asarray(known, np.float64), k)
    votes = numbers[places]
    counts = np.stack([(votes == name).sum(1) for name in range(len(names))], 1).astype(np.float64)
    first = np.full_like(counts, k)
    for rank in range(k - 1, -1, -1):
        first[np.arange(len(votes)), votes[:, rank]] = rank
    best = (counts - first / (k + 1)).argmax(1)
    return names[best], counts[np.arange(len(best)), best] / k


def kept(before: Array, after: Array, batch: NDArray, k: int = 30) -> float:
    r"""Mean share of the k nearest cells of its own batch that a cell has before and after; 1 where order is kept.

    .. math:: \frac{1}{nk} \sum_i |N_k(i) \cap N'_k(i)|

    Args:
        before: Cells, (n, d).
        after: The same cells moved, (n, d).
        batch: Batch of each, (n,).
        k: Neighbours, the cell itself not among them; fewer where a batch has fewer. Batches of one cell do not count.

    Returns:
        The score, or not a number where no batch has two cells.
    """
    shared, cells = 0.0, 0
    for name in np.unique(batch):
        rows = np.flatnonzero(batch == name)
        if (near := min(k, len(rows) - 1)) < 1:
            continue
        own, parts = np.arange(len(rows)), (np.asarray(x[rows], np.float64) for x in (before, after))
        one, other = (nearest(part, part, near, own=own)[1] for part in parts)
        pairs = np.sort(np.concatenate([one, other], 1), 1)
        shared += float((pairs[:, 1:] == pairs[:, :-1]).sum()) / near
        cells += len(rows)
    return shared / cells if cells else float("nan")


def apart(near: Neighbourhoods, batch: NDArray, alone: NDArray[np.bool_], k: int = 15) -> float:
    """Mean share of cells of its own batch in the neighbourhood of a cell that has no counterpart elsewhere.

    Args:
        near: Neighbourhoods.
        batch: Batch of each row, (n,).
        alone: Whether a row has no counterpart, (n,), by `support`; at least one.
        k: Rows of one neighbourhood, itself not among them.
    """
    places, batch = near.first(k + 1).places[alone][:, 1:], np.asarray(batch)
    return float((batch[places] == batch[alone][:, None]).mean())
