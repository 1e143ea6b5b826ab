r"""Balls that reach to k-th neighbours: their radii, and which points of two samples lie in them.

With :math:`r_k(x)` the distance of x to its k-th neighbour within its own sample, itself excluded, balls are closed,
:math:`B(x) = \{z : \|z - x\| \le r_k(x)\}`. Distances are compared up to the rounding of their matrix products: a
copy of a point lies in that point's ball even where the radius is zero, and the k-th neighbour itself lies on its
ball, not by chance in or out. Never more than a tile of distances exists at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pushforward.errors import UsageError

__all__ = ["Cover", "cover", "squared_radii"]

Array = NDArray[np.float64]

_EDGE = 512
"""Rows of a tile, at most: its temporaries stay in the processor's cache. Half of it where both sides are sorted."""


@dataclass(frozen=True)
class Cover:
    """How two samples lie in each other's balls.

    Attributes:
        around_fakes: For each fake the number of data balls that it lies in, (n,).
        around_real: For each data point the number of fakes in its ball, (m,).
        reached: Whether each data point lies in the ball of a fake, (m,), bool.
        k: Neighbours that a ball reaches to.
    """

    around_fakes: Tensor
    around_real: Tensor
    reached: Tensor
    k: int

    @property
    def precision(self) -> float:
        """Share of fakes in some ball about data."""
        return float((self.around_fakes > 0).double().mean())

    @property
    def recall(self) -> float:
        """Share of data in some ball about fakes."""
        return float(self.reached.double().mean())

    @property
    def density(self) -> float:
        """Mean number of data balls about a fake, over k; may exceed 1."""
        return float(self.around_fakes.mean()) / self.k

    @property
    def coverage(self) -> float:
        """Share of data with a fake in their ball."""
        return float((self.around_real > 0).double().mean())


def squared_radii(x: Tensor, k: int, *, budget: int = 2**26, step: Callable[[int], None] | None = None) -> Tensor:
    """Squared distance of each row to its k-th neighbour, itself excluded, (n,), float64.

    Each pair is looked at once, and of each row only the k smallest distances are kept.

    Args:
        x: Features, (n, d).
        k: Neighbour, 1 for the nearest.
        budget: Bytes that the temporaries of one tile may take.
        step: Called with the number of pairs looked at since the call before.

    Raises:
        UsageError: If there is no k-th neighbour.
    """
    if not 1 <= k < len(x):
        raise UsageError(f"k is {k} with {len(x)} rows: give a k between 1 and {len(x) - 1}")
    rows = _centred(x, x)
    squares = np.square(rows).sum(1)
    left, right = _augmented(-2 * rows, squares, first=True), _augmented(rows, squares, first=False)
    nearest, parts = np.full((len(rows), k), np.inf), _slices(len(rows), _EDGE // 2, budget)
    for index, i in enumerate(parts):
        for j in parts[: index + 1]:
            if i == j:
                # A product that is seen to be symmetric costs half.
                tile = squares[i, None] + squares[i] - 2 * (rows[i] @ rows[i].T)
                np.fill_diagonal(tile, np.inf)
            else:
                tile = left[i] @ right[j].T
                nearest[j] = _smallest(nearest[j], tile.T, k)
            nearest[i] = _smallest(nearest[i], tile, k)
        if step is not None:
            step((i.stop - i.start) * i.stop)
    return torch.from_numpy(nearest.max(1).clip(0))


def cover(
    q: Tensor,
    p: Tensor,
    radii_q: Tensor,
    radii_p: Tensor,
    k: int,
    *,
    budget: int = 2**26,
    step: Callable[[int], None] | None = None,
) -> Cover:
    """Who lies in whose ball.

    Args:
        q: Model features, (n, d).
        p: Data features, (m, d).
        radii_q: Squared radii of the balls about q, (n,); see `squared_radii`.
        radii_p: Squared radii of the balls about p, (m,).
        k: Neighbours that these reach to.
        budget: Bytes that the temporaries of one tile may take.
        step: Called with the number of pairs looked at since the call before.
    """
    y, x = _centred(q, p), _centred(p, p)
    reach_y, reach_x = radii_q.numpy(), radii_p.numpy()
    # A product of d terms rounds by at most d / 2^53 of the squared lengths; the radii carry as much.
    short = 1 - 8 * (x.shape[1] + 2) * 2.0**-53
    left = _augmented(-2 * x, short * np.square(x).sum(1) - reach_x, first=True)
    right = _augmented(y, short * np.square(y).sum(1), first=False)
    around_y, around_x, reached = np.zeros(len(y)), np.zeros(len(x)), np.zeros(len(x), bool)
    for i in _slices(len(x), _EDGE, budget):
        for j in _slices(len(y), _EDGE, budget):
            excess = left[i] @ right[j].T
            inside = (excess <= 0).astype(np.float32)
            around_x[i] += inside @ np.ones(inside.shape[1], np.float32)
            around_y[j] += np.ones(inside.shape[0], np.float32) @ inside
            excess += reach_x[i, None]
            reached[i] |= (excess <= reach_y[j]).any(1)
        if step is not None:
            step((i.stop - i.start) * len(y))
    return Cover(torch.from_numpy(around_y), torch.from_numpy(around_x), torch.from_numpy(reached), k)


def _centred(x: Tensor, about: Tensor) -> Array:
    """Rows moved to the median of another sample, which no far row moves: it keeps large numbers out of products."""
    return (x.detach().double().cpu() - about.detach().double().cpu().median(0).values).numpy()


def _augmented(rows: Array, extra: Array, *, first: bool) -> Array:
    """Rows with two more columns, (extra, 1) or (1, extra), so that a product adds both extras by itself."""
    ones = np.ones_like(extra)
    return np.column_stack([rows, extra, ones] if first else [rows, ones, extra])


def _smallest(kept: Array, tile: Array, k: int) -> Array:
    """The k smallest of each row of both."""
    return np.partition(np.concatenate([kept, tile], 1), k - 1, axis=1)[:, :k]


def _slices(n: int, edge: int, budget: int) -> list[slice]:
    edge = min(edge, max(1, int((budget / 32) ** 0.5)))
    return [slice(start, min(start + edge, n)) for start in range(0, n, edge)]
