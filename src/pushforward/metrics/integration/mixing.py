r"""How well batches mix: neighbourhoods that forget the batch, variance that it no longer explains.

.. math::
    \mathrm{LISI}_i = \Big(\sum_b \big(\sum_{j:\,b_j = b} w_{ij}\big)^2\Big)^{-1}, \qquad
    \chi^2_i = \sum_b \frac{(n_{ib} - k f_b)^2}{k f_b}, \qquad
    \mathrm{PCR} = \frac{\sum_c \lambda_c R^2_c}{\sum_c \lambda_c}

One search for neighbours serves all of them. Every score is 1 for perfect mixing and 0 for none.

References:
    Fast, sensitive and accurate integration of single-cell data with Harmony (Korsunsky et al., 2019), for LISI.
    A test metric for assessing single-cell RNA-seq batch correction (Büttner et al., 2019), for kBET and PCR.
    Benchmarking atlas-level data integration in single-cell genomics (Luecken et al., 2022), for scales and defaults.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from scipy.stats import chi2

from pushforward.data.labels import coded
from pushforward.errors import DataError
from pushforward.metrics.core.neighbours import nearest

__all__ = [
    "Array",
    "Neighbourhoods",
    "batch_silhouette",
    "codes",
    "ilisi",
    "kbet",
    "kbet_per_label",
    "lisi",
    "neighbourhoods",
    "pcr_comparison",
    "principal_regression",
    "silhouettes",
]

Array = NDArray[np.float64]
Places = NDArray[np.int64]

SMALL = 10  # cells of a class below which a test of it says nothing


@dataclass(frozen=True)
class Neighbourhoods:
    """The k nearest rows of every row; the first of them is the row itself.

    Attributes:
        distances: (n, k), rising along a row, 0 first.
        places: Row numbers, (n, k).
    """

    distances: Array
    places: Places

    def first(self, k: int) -> Neighbourhoods:
        """The same with the k nearest only, or all of them where there are fewer."""
        return Neighbourhoods(self.distances[:, :k], self.places[:, :k])


def neighbourhoods(x: Array, k: int = 90, *, tick: Callable[[float], None] | None = None) -> Neighbourhoods:
    """Find the neighbourhoods of k rows, itself among them, of every row; of all rows where there are fewer than k.

    Args:
        x: Points, (n, d).
        k: Rows of one neighbourhood.
        tick: Told the fraction done.

    Raises:
        DataError: If there are fewer than 3 rows.
    """
    x = np.ascontiguousarray(x, np.float64)
    if len(x) < 3:
        raise DataError(f"{len(x)} cells have no neighbourhoods: give at least 3")
    own = np.arange(len(x))
    distances, places = nearest(x, x, min(k, len(x)) - 1, own=own, tick=tick)
    return Neighbourhoods(np.c_[np.zeros(len(x)), distances], np.c_[own, places])


def codes(names: NDArray) -> tuple[Places, int]:
    """Names -> numbers 0..count-1 in their order, and how many differ."""
    known, numbers = coded(names)
    return numbers, len(known)


def lisi(near: Neighbourhoods, names: NDArray, perplexity: float | None = None) -> Array:
    r"""Effective number of names in the neighbourhood of each row, (n,), from 1 to the number of names.

    Neighbours weigh :math:`w_{ij} \propto e^{-\beta_i d_{ij}}`, the row itself nothing, with :math:`\beta_i` such that
    :math:`-\sum_j w_{ij} \log w_{ij} = \log(\text{perplexity})`.

    Args:
        near: Neighbourhoods.
        names: Batch or label of each row, (n,).
        perplexity: Effective number of neighbours; a third of the neighbourhood, rounded down, if None.
    """
    numbers, count = codes(names)
    wanted = max(perplexity or near.places.shape[1] // 3, 1.0)
    weights = _weights(near.distances[:, 1:], float(np.log(wanted)))
    theirs = numbers[near.places[:, 1:]]
    shares = np.stack([(weights * (theirs == name)).sum(1) for name in range(count)], 1)
    return 1 / np.square(shares).sum(1)


def ilisi(near: Neighbourhoods, batch: NDArray, perplexity: float | None = None) -> float:
    """Median `lisi` of the batches, from 1..B onto 0..1; batches of unequal size cannot reach 1."""
    return _onto(float(np.median(lisi(near, batch, perplexity))), codes(batch)[1])


def kbet(near: Neighbourhoods, batch: NDArray, k: int = 50, level: float = 0.05) -> float:
    r"""Share of neighbourhoods whose batches pass a :math:`\chi^2` test against those of all rows.

    About 1 - level where batches are mixed at random.

    Args:
        near: Neighbourhoods.
        batch: Batch of each row, (n,).
        k: Rows of one neighbourhood, itself among them.
        level: Level of the test.
    """
    numbers, count = codes(batch)
    places = near.first(k).places
    expected = np.bincount(numbers) / len(numbers) * places.shape[1]
    theirs = numbers[places]
    observed = np.stack([(theirs == name).sum(1) for name in range(count)], 1)
    statistic = (np.square(observed - expected) / expected).sum(1)
    return float((chi2.sf(statistic, count - 1) >= level).mean())


def kbet_per_label(x: Array, batch: NDArray, labels: NDArray, level: float = 0.05) -> float:
    """Mean over the classes of `kbet` among the cells of one class, which unequal shares of classes leave alone.

    A neighbourhood has a quarter of the mean size of a batch in the class, but 10 to 70 rows. Classes of one batch or
    of fewer than 10 cells are left out; not a number where none remains.

    Args:
        x: Points, (n, d).
        batch: Batch of each row, (n,).
        labels: Class of each row, (n,).
        level: Level of the tests.
    """
    rates = []
    for label in np.unique(labels):
        mine = labels == label
        _, count = codes(batch[mine])
        if count > 1 and mine.sum() >= SMALL:
            k = int(np.clip(mine.sum() / count // 4, SMALL, 70))
            rates.append(kbet(neighbourhoods(x[mine], k), batch[mine], k, level))
    return float(np.mean(rates)) if rates else float("nan")


def silhouettes(
    x: Array,
    names: NDArray,
    *,
    metric: Literal["euclidean", "cosine"] = "euclidean",
    other: Literal["nearest", "mean"] = "nearest",
    budget: int = 2**26,
) -> Array:
    r"""Silhouette widths :math:`(b_i - a_i) / \max(a_i, b_i)`, (n,), in blocks of rows.

    a is the mean distance to the other rows of the same name, b that to the rows of the nearest other name, or to all
    rows of other names. A row alone in its name has width 0 only where a = b = 0.

    Args:
        x: Points, (n, d).
        names: Name of each row, (n,), at least two different.
        metric: What is averaged.
        other: Whether b belongs to the nearest name or to all other rows.
        budget: Bytes that the distances of one block may take.
    """
    x, (numbers, count) = np.asarray(x, np.float64), codes(names)
    members = np.eye(count)[numbers]
    sizes, widths = members.sum(0), np.empty(len(x))
    for rows in _blocks(len(x), budget // (8 * len(x))):
        sums = cdist(x[rows], x, metric) @ members
        mine = (np.arange(len(sums)), numbers[rows])
        own = sums[mine] / np.maximum(sizes[numbers[rows]] - 1, 1)
        if other == "mean":
            rest = (sums.sum(1) - sums[mine]) / np.maximum(len(x) - sizes[numbers[rows]], 1)
        else:
            means = sums / sizes
            means[mine] = np.inf
            rest = means.min(1)
        widths[rows] = (rest - own) / np.maximum(np.maximum(own, rest), np.finfo(float).tiny)
    return widths


def batch_silhouette(x: Array, batch: NDArray, labels: NDArray, *, adapted: bool = True) -> float:
    """Mean over the classes of 1 - |silhouette width| of the batches within a class.

    Args:
        x: Points, (n, d).
        batch: Batch of each row, (n,).
        labels: Class of each row, (n,).
        adapted: Distances are cosines and b belongs to all other rows (BRAS), which nested batches do not fool; else
            Euclidean ones and the nearest other batch.

    References:
        Shortcomings of silhouette in single-cell integration benchmarking (Rautenstrauch & Ohler, 2025), for BRAS.
    """
    scores = []
    for label in np.unique(labels):
        mine = labels == label
        if 1 < codes(batch[mine])[1] < mine.sum():
            widths = (
                silhouettes(x[mine], batch[mine], metric="cosine", other="mean")
                if adapted
                else silhouettes(x[mine], batch[mine])
            )
            scores.append(1 - np.abs(widths).mean())
    return float(np.mean(scores)) if scores else float("nan")


def principal_regression(x: Array, batch: NDArray) -> float:
    r"""Share of the variance that the batch explains, :math:`\sum_c \lambda_c R_c^2 / \sum_c \lambda_c`.

    Summed over all principal components it is the ratio of the variance between batches to the whole, for which no
    component need be computed.

    Args:
        x: Points, (n, d).
        batch: Batch of each row, (n,).
    """
    x, (numbers, count) = np.asarray(x, np.float64), codes(batch)
    centred = x - x.mean(0)
    members = np.eye(count)[numbers]
    sizes = members.sum(0)
    between = (sizes[:, None] * np.square(members.T @ centred / sizes[:, None])).sum()
    whole = np.square(centred).sum()
    return float(between / whole) if whole > 0 else 0.0


def pcr_comparison(before: Array, after: Array, batch: NDArray) -> float:
    """Share of the variance explained by the batch that is gone, 1 where it explains none; not below 0.

    Args:
        before: Points before merging, (n, d).
        after: The same rows after, (n, e).
        batch: Batch of each row, (n,).
    """
    was, left = principal_regression(before, batch), principal_regression(after, batch)
    return max(0.0, 1 - left / was) if was > 0 else 1.0


def _onto(value: float, count: int) -> float:
    return (value - 1) / (count - 1) if count > 1 else 1.0


def _weights(distances: Array, entropy: float) -> Array:
    """Weights of neighbours (n, k) of a given entropy, by bisection on the logarithm of beta in blocks of rows."""
    out = np.empty_like(distances)
    for rows in _blocks(len(distances), 2**20 // max(1, distances.shape[1])):
        apart = distances[rows] - distances[rows, :1]
        scale = np.maximum(apart.mean(1, keepdims=True), np.finfo(float).tiny)
        apart, low, high = apart / scale, np.full((len(apart), 1), -20.0), np.full((len(apart), 1), 20.0)
        for _ in range(45):
            middle = (low + high) / 2
            w, beta = _softmax(apart, middle)
            # log sum exp(-beta d) + beta <d> is the entropy; it falls as beta grows
            large = np.log(w.sum(1, keepdims=True)) + beta * (apart * w).sum(1, keepdims=True) / w.sum(1, keepdims=True)
            low, high = np.where(large > entropy, middle, low), np.where(large > entropy, high, middle)
        w, _ = _softmax(apart, (low + high) / 2)
        out[rows] = w / w.sum(1, keepdims=True)
    return out


def _softmax(apart: Array, exponent: Array) -> tuple[Array, Array]:
    beta = np.exp(exponent)
    return np.exp(-beta * apart), beta


def _blocks(n: int, step: int) -> Iterator[slice]:
    step = max(1, step)
    return (slice(start, min(start + step, n)) for start in range(0, n, step))
