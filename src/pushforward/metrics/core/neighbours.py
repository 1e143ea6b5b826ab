"""Nearest neighbours: who they are, how far off, and a distance made of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pushforward.errors import DataError

__all__ = ["chamfer", "nearest"]

Array = NDArray[np.float64]


def nearest(
    x: Array,
    y: Array,
    k: int = 1,
    *,
    own: NDArray[np.int64] | None = None,
    budget: int = 2**26,
    tick: Callable[[float], None] | None = None,
) -> tuple[Array, NDArray[np.int64]]:
    """The k nearest rows of y for each row of x, by trees in few dimensions and by blocks of products in many.

    Distances are computed anew from the rows found, so that those of close pairs keep all their digits.

    Args:
        x: Points, (n, d), float64.
        y: Points, (m, d), in the same units.
        k: Neighbours of each.
        own: Where x are rows of y, their places (n,): a row is then not its own neighbour, while its duplicates are.
        budget: Bytes that temporaries of one block may take.
        tick: Called with the share of rows done.

    Returns:
        Distances and places in y, (n, k) each, nearest first.

    Raises:
        DataError: If y has fewer than k rows to choose from.
    """
    from sklearn.neighbors import NearestNeighbors  # seconds to import

    wanted = k if own is None else k + 1
    if len(y) < wanted:
        raise DataError(f"{k} neighbours wanted, {len(y) - (own is not None)} rows to choose from: give more")
    search = NearestNeighbors(n_neighbors=wanted).fit(y)
    distances, places = np.empty((len(x), k)), np.empty((len(x), k), np.int64)
    step = max(1, budget // (8 * wanted * max(1, x.shape[1])))
    for start in range(0, len(x), step):
        rows = slice(start, start + step)
        found = search.kneighbors(x[rows], return_distance=False)
        if own is not None:
            # Among duplicates a row need not come first, nor even be among those found: then the last one goes.
            itself = found == own[rows, None]
            itself[:, -1] |= ~itself.any(1)
            found = found[~itself].reshape(-1, k)
        apart = np.linalg.norm(x[rows, None] - y[found], axis=2)
        order = apart.argsort(1, kind="stable")
        distances[rows], places[rows] = np.take_along_axis(apart, order, 1), np.take_along_axis(found, order, 1)
        if tick:
            tick(min(1.0, (start + step) / len(x)))
    return distances, places


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
