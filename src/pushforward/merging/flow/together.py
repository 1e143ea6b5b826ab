r"""Steps in which a whole cloud goes together: a smooth field instead of every cell's own velocity.

Of the velocities v of all cells at x, with means v̄ and x̄, in every coordinate j and within every class

.. math::  u_j = \bar v_j + a_j (x_j - \bar x_j) + S\,(v_j - \bar v_j - a_j (x_j - \bar x_j)),

where a is the slope of the least-squares line, so that shifts and scales, which are what most batches differ by, are
kept as they are, and S is the mean over a share of the cells: the nearest ones where the cloud set out. Neighbours
then stay neighbours, and kinds that lie side by side are not pulled apart. No cell goes faster than the fastest did.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward.metrics.core.neighbours import nearest
from pushforward.types import Labels, Samples, Velocity

__all__ = ["Around", "Together"]

ANCHORS = 500  # cells of a class whose surroundings are looked at; of more, each goes the mean way of the nearest
NEAR = 8  # anchors that a cell goes by
RIDGE = 1e-3  # keeps the slope of a coordinate without spread at 0; of the representation's unit, squared


@dataclass(frozen=True)
class Around:
    """Cells of one class, and the means over those around each.

    Attributes:
        rows: Their places in the cloud, (n,).
        means: Shares of all of them in the mean around every anchor, (m, n), of rows of sum 1; None for each its own.
        anchors: Anchors that each goes by, (n, k).
    """

    rows: Tensor
    means: Tensor | None
    anchors: Tensor

    @classmethod
    def of(cls, x: Samples, rows: Tensor, share: float) -> Around:
        """Who is around whom, of the cells at these rows of x.

        Args:
            x: The cloud, (N, d).
            rows: Cells of one class, (n,).
            share: Of them, that a mean is over, each itself among them.
        """
        n, cells = len(rows), x[rows].double().numpy()
        count = max(1, round(share * n))
        if count == 1:
            return cls(rows, None, torch.arange(n)[:, None])
        places = torch.linspace(0, n - 1, min(n, ANCHORS)).round().long()
        leads = cells[places.numpy()]
        means = torch.zeros(len(places), n)
        means.scatter_(1, torch.from_numpy(nearest(leads, cells, count)[1]), 1 / count)
        anchors = torch.arange(n)[:, None] if n <= ANCHORS else torch.from_numpy(nearest(cells, leads, NEAR)[1])
        return cls(rows, means, anchors)

    def smooth(self, v: Tensor) -> Tensor:
        """Means of these cells' values around each, (n, d)."""
        return v if self.means is None else (self.means @ v)[self.anchors].mean(1)


@dataclass
class Together:
    """Steps along the smooth field, and the length of every cell's way so far.

    Attributes:
        parts: The classes; one, where there are none.
        length: Length of the ways, (n,).
    """

    parts: list[Around]
    length: Tensor

    @classmethod
    def of(cls, x: Samples, labels: Labels | None, share: float) -> Together:
        """Steps of a cloud that sets out at x, (n, d), within classes (n,) if there are any."""
        classes = torch.zeros(len(x)) if labels is None else labels
        groups = [torch.nonzero(classes == label)[:, 0] for label in classes.unique()]
        return cls([Around.of(x, rows, share) for rows in groups], torch.zeros(len(x)))

    def __call__(self, velocity: Velocity, x: Samples, t: float, dt: float) -> Samples:
        v = velocity(x, t)
        way = torch.empty_like(v)
        for part in self.parts:
            mine, spread = v[part.rows], x[part.rows] - x[part.rows].mean(0)
            rise = (spread * mine).mean(0) / (spread.square().mean(0) + RIDGE)
            line = mine.mean(0) + rise * spread
            way[part.rows] = line + part.smooth(mine - line)
        speed, most = way.norm(dim=1, keepdim=True), v.norm(dim=1).max()
        way *= dt * (most / speed.clamp_min(1e-30)).clamp_max(1.0)
        self.length += way.norm(dim=1)
        return x + way
