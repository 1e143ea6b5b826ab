"""Nearest neighbours: who they are, how far off, and a distance made of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pushforward.errors import DataError

__all__ = ["chamfer", "nearest"]

Array = NDArray[np.float64]
Places = NDArray[np.int64]

FLAT = 9  # dimensions from which on products of all rows cost less than trees, for 1,500 rows as for 100,000
_SLIGHT = 1e-9  # of a squared distance; rows that are nearer than each other by less may take each other's place
_EPS = float(np.finfo(np.float64).eps)


def nearest(
    x: Array,
    y: Array,
    k: int = 1,
    *,
    own: Places | None = None,
    budget: int = 2**26,
    tick: Callable[[float], None] | None = None,
) -> tuple[Array, Places]:
    """The k nearest rows of y for each row of x, by trees in few dimensions and by blocks of products in many.

    Distances are computed anew from the rows found, so that those of close pairs keep all their digits; where rounding
    of the products may have hidden a nearer row, all rows are looked at one by one.

    Args:
        x: Points, (n, d); of another type than float64 they are taken to it block by block.
        y: Points, (m, d), float64, in the same units.
        k: Neighbours of each.
        own: Where x are rows of y, their places (n,): a row is then not its own neighbour, while its duplicates are.
        budget: Bytes that temporaries of one block may take.
        tick: Called with the share of rows done.

    Returns:
        Distances and places in y, (n, k) each, nearest first.

    Raises:
        DataError: If y has fewer than k rows to choose from.
    """
    wanted = k if own is None else k + 1
    if len(y) < wanted:
        raise DataError(f"{k} neighbours wanted, {len(y) - (own is not None)} rows to choose from: give more")
    search = _by_trees(y, wanted) if y.shape[1] < FLAT else _by_products(y, wanted, budget)
    distances, places = np.empty((len(x), k)), np.empty((len(x), k), np.int64)
    step = max(1, budget // (8 * wanted * max(1, x.shape[1])))
    for start in range(0, len(x), step):
        rows = slice(start, start + step)
        apart, found = search(np.asarray(x[rows], np.float64))
        if own is not None:
            # Among duplicates a row need not come first, nor even be among those found: then the last one goes.
            itself = found == own[rows, None]
            itself[:, -1] |= ~itself.any(1)
            apart, found = (part[~itself].reshape(len(part), -1) for part in (apart, found))
        distances[rows], places[rows] = apart[:, :k], found[:, :k]
        if tick:
            tick(min(1.0, (start + step) / len(x)))
    return distances, places


Search = Callable[[Array], tuple[Array, Places]]
"""Rows x -> distances and places of the nearest rows, nearest first: as many as wanted, or one more."""


def _by_trees(y: Array, wanted: int) -> Search:
    from sklearn.neighbors import NearestNeighbors  # seconds to import

    tree = NearestNeighbors(n_neighbors=wanted, algorithm="kd_tree").fit(y)
    return lambda x: _ordered(x, y, tree.kneighbors(x, return_distance=False))


def _by_products(y: Array, wanted: int, budget: int) -> Search:
    r"""By :math:`\|x\|^2 - 2 x \cdot y + \|y\|^2` about the mean of y, and one row more than wanted.

    A row that is not found is at least as far as the farthest of those found, up to twice the rounding of
    :math:`4 (d + 4) \varepsilon (\|x\|^2 + \|y\|^2)`. Rows farther out than twice x and twice that distance are not
    near in any rounding, so that no outlier makes it large.
    """
    from sklearn.neighbors import NearestNeighbors

    centre, more = y.mean(0), min(wanted + 1, len(y))
    reach = float(np.linalg.norm(y - centre, axis=1).max())
    products = NearestNeighbors(n_neighbors=more, algorithm="brute").fit(y - centre)

    def search(x: Array) -> tuple[Array, Places]:
        apart, found = _ordered(x, y, products.kneighbors(x - centre, return_distance=False))
        far, last, size = apart[:, -1], apart[:, wanted - 1], np.linalg.norm(x - centre, axis=1)
        error = 8 * (y.shape[1] + 4) * _EPS * (size**2 + np.minimum(reach, 2 * (size + far)) ** 2)
        sure = (last**2 <= far**2 - error) | (error <= _SLIGHT * last**2) | (last == 0)
        rows = np.flatnonzero(~sure) if more < len(y) else np.empty(0, np.int64)
        step = max(1, budget // (16 * len(y)))
        for start in range(0, len(rows), step):
            some = rows[start : start + step]
            apart[some], found[some] = _ordered(x[some], y, _one_by_one(x[some], y, more))
        return apart, found

    return search


def _one_by_one(x: Array, y: Array, count: int) -> Places:
    """The nearest rows in any order, by the differences themselves."""
    from scipy.spatial.distance import cdist

    return np.argpartition(cdist(x, y, "sqeuclidean"), count - 1, axis=1)[:, :count]


def _ordered(x: Array, y: Array, found: Places) -> tuple[Array, Places]:
    """Distances to the rows found, and these, nearest first."""
    apart = np.linalg.norm(x[:, None] - y[found], axis=2)
    order = apart.argsort(1, kind="stable")
    return np.take_along_axis(apart, order, 1), np.take_along_axis(found, order, 1)


def chamfer(q: Tensor, p: Tensor) -> float:
    r"""Symmetric Chamfer distance :math:`\mathbb{E}_q\min_{y\in p}\|x-y\| + \mathbb{E}_p\min_{x\in q}\|x-y\|`.

    The first term rises with samples far from all data, the second with data far from all samples. It falls with the
    sample sizes, and says little about how often a mode is visited.

    Args:
        q: Model samples, (n, *event).
        p: Data samples, (m, *event).
    """
    x, y = (part.detach().flatten(1).double().cpu().numpy() for part in (q, p))
    return float(nearest(x, y)[0].mean() + nearest(y, x)[0].mean())
