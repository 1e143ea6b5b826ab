r"""Mean and scatter of features in one pass over blocks: float64, mergeable, positive semi-definite by construction.

.. math::
    m = \frac1n \sum_i x_i, \qquad S = \sum_i (x_i - m)(x_i - m)^\top, \qquad
    S_{a \cup b} = S_a + S_b + \frac{n_a n_b}{n_a + n_b} (m_b - m_a)(m_b - m_a)^\top
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from scipy.linalg import get_blas_funcs
from torch import Tensor

from pushforward.errors import DataError

__all__ = ["Moments", "moments", "ticking"]

_VALUES = 2**21
"""Numbers of one block held at a time: 16 MiB in float64, enough rows for a matrix product to run at full speed."""


@dataclass(frozen=True)
class Moments:
    """Sufficient statistics of features; `a + b` are those of both samples together, to rounding.

    Attributes:
        n: Number of rows.
        mean: (d,), float64.
        scatter: Sum of outer products of deviations from the mean, (d, d), float64.
    """

    n: int
    mean: Tensor
    scatter: Tensor

    @property
    def covariance(self) -> Tensor:
        """Unbiased covariance, scatter / (n - 1), (d, d)."""
        if self.n < 2:
            raise DataError(f"a covariance of {self.n} row(s) does not exist: give at least 2")
        return self.scatter / (self.n - 1)

    def __add__(self, other: Moments) -> Moments:
        """Merge two samples' moments (Chan, Golub & LeVeque, 1983)."""
        n = self.n + other.n
        step = other.mean - self.mean
        scatter = self.scatter + other.scatter + torch.outer(step, step) * (self.n * other.n / n)
        return Moments(n, self.mean + step * (other.n / n), scatter)


def moments(features: Tensor | Iterable[Tensor]) -> Moments:
    """Moments of features (n, d), or of a stream of such blocks; no more than one block is held in float64.

    Raises:
        DataError: If the stream holds no rows.
    """
    (syrk,) = get_blas_funcs(("syrk",), dtype=np.float64)
    n, mean, scatter = 0, np.zeros(0), np.zeros((0, 0))
    for block in [features] if isinstance(features, Tensor) else features:
        for part in block.detach().split(max(256, _VALUES // max(1, block.shape[1]))):
            rows, count = part.to("cpu", torch.float64).numpy(), len(part)
            if count == 0:
                continue
            if n == 0:
                mean, scatter = np.zeros(rows.shape[1]), np.zeros((rows.shape[1],) * 2, order="F")
            # About this point, between the old mean and the block's, the block's scatter already holds the term that
            # merging adds for the distance of the two means.
            step = rows.mean(0) - mean
            deviations = rows - (mean + step * (1 - (n / (n + count)) ** 0.5))
            scatter = syrk(1.0, deviations.T, beta=1.0, c=scatter, lower=1, overwrite_c=1)
            n, mean = n + count, mean + step * (count / (n + count))
    if n == 0:
        raise DataError("no rows to take moments of: the stream of features is empty")
    lower = np.tril(scatter)
    return Moments(n, torch.from_numpy(mean), torch.from_numpy(lower + np.tril(lower, -1).T))


def ticking(tick: Callable[[float], None] | None, total: int) -> Callable[[Iterable[Tensor]], Iterator[Tensor]]:
    """A pass-through for streams of blocks that reports the share of rows read, over all streams sent through it.

    Args:
        tick: Called with the share after each block; None for silence.
        total: Rows expected in all.
    """
    done = 0

    def through(blocks: Iterable[Tensor]) -> Iterator[Tensor]:
        nonlocal done
        for block in blocks:
            yield block
            done += len(block)
            if tick is not None:
                tick(min(1.0, done / total))

    return through
