"""Which known modes a few samples show: cheap enough to be counted while a run trains.

A mode is a component of the mixture that the data were drawn from, or a class of labelled data. It is to be seen where
so many rows of the data would hold 20 of it, and is seen where the samples hold a tenth of what such rows would.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pushforward.densities.mixture import Mixture
from pushforward.metrics.core.features import blocked
from pushforward.metrics.known.modes import good_radius

__all__ = ["Seen", "of_classifier", "of_labels", "of_mixture"]

LEAST = 20  # rows of a mode that as many rows of the data hold on average, or else chance may hide it
TENTH = 0.1  # of these, from which on a mode is seen
ROWS = 5000  # rows of the data that the shares of the modes are counted in


@dataclass(frozen=True)
class Seen:
    """Counts the modes in samples.

    Attributes:
        place: Samples in model units, (n, *event) -> the mode of each, int64 (n,) in 0..count-1, or -1 for none.
        count: Number of modes.
        data: Rows of the data, (m, *event), in model units; the first 5,000 are counted.
    """

    place: Callable[[Tensor], Tensor]
    count: int
    data: Tensor

    @cached_property
    def shares(self) -> NDArray[np.float64]:
        """Share of the data in each mode, (count,)."""
        rows = self.data[:ROWS]
        return self._counts(rows) / len(rows)

    def _counts(self, x: Tensor) -> NDArray[np.int64]:
        placed = self.place(x).cpu().numpy()
        return np.bincount(placed[placed >= 0], minlength=self.count)

    def __call__(self, x: Tensor) -> tuple[int, int]:
        """Modes seen in samples (n, *event), and modes to be seen in so many."""
        wanted = self.shares * len(x)
        due = wanted >= LEAST
        return int((self._counts(x)[due] >= TENTH * wanted[due]).sum()), int(due.sum())


def of_mixture(mixture: Mixture, decode: Callable[[Tensor], NDArray], data: Tensor) -> Seen:
    """Modes of a mixture: the nearest centre, in widths of its component, where it is within 3 (or as likely a ball).

    Args:
        mixture: The density of the data, in data units.
        decode: Model units -> data units.
        data: Rows of the data, (m, d), in model units.
    """
    dim = mixture.means.shape[1]
    near = good_radius(dim) ** 2
    white = torch.linalg.inv(torch.linalg.cholesky(mixture.covariances))  # (k, d, d)

    def place(x: Tensor) -> Tensor:
        y = torch.as_tensor(np.asarray(decode(x.cpu())), dtype=torch.float64)
        off = torch.einsum("kij,nkj->nki", white, y[:, None] - mixture.means)
        least, nearest = off.square().sum(2).min(1)
        return torch.where(least < near, nearest, -1)

    return Seen(place, len(mixture.means), data)


def of_labels(rows: Tensor, labels: Tensor, count: int, data: Tensor) -> Seen:
    """Classes of labelled data: that of the nearest row.

    Args:
        rows: Rows that have labels, (m, *event), in model units.
        labels: Their classes, (m,), in 0..count-1.
        count: Number of classes.
        data: Other rows of the data, whose classes are found as those of samples are.
    """

    def place(x: Tensor) -> Tensor:
        known = rows.flatten(1).to(x)
        nearest = [torch.cdist(part, known).argmin(1) for part in x.flatten(1).split(1024)]
        return labels[torch.cat(nearest).cpu()]

    return Seen(place, count, data)


def of_classifier(classify: Callable[[Tensor], Tensor], data: Tensor) -> Seen:
    """Classes that a network sees.

    Args:
        classify: Samples (n, *event) -> logits (n, count).
        data: Rows of the data, (m, *event), in model units.
    """

    def place(x: Tensor) -> Tensor:
        return blocked(classify, x).argmax(1)

    return Seen(place, blocked(classify, data[:1]).shape[1], data)
