"""Distances to nearest neighbours: cheap, and alert to strays and to lost modes alike."""

from __future__ import annotations

import numpy as np
from sklearn.neighbors import NearestNeighbors
from torch import Tensor

__all__ = ["chamfer"]


def chamfer(q: Tensor, p: Tensor) -> float:
    r"""Symmetric Chamfer distance :math:`\mathbb{E}_q\min_{y\in p}\|x-y\| + \mathbb{E}_p\min_{x\in q}\|x-y\|`.

    The first term rises with samples far from all data, the second with data far from all samples. It falls with the
    sample sizes, and says little about how often a mode is visited.

    Args:
        q: Model samples, (n, *event).
        p: Data samples, (m, *event).
    """
    x, y = (part.detach().flatten(1).double().cpu().numpy() for part in (q, p))
    return _reach(x, y) + _reach(y, x)


def _reach(x: np.ndarray, y: np.ndarray) -> float:
    """Mean distance from rows of x to the nearest row of y."""
    distance, _ = NearestNeighbors(n_neighbors=1).fit(y).kneighbors(x)
    return float(distance.mean())
