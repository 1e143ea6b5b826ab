r"""Pairs of columns level by level: what a category with many levels shares with another column in each of them.

Of two categories the cells (a, b) that occur, of a category and a number the levels a with its scores s, have

.. math::
    D_{ab} = (q_{ab} - q_a q_b) - (p_{ab} - p_a p_b), \qquad
    D_{as} = \operatorname{Cov}_q(1_a, s) - \operatorname{Cov}_p(1_a, s),

and their squares over the share of the cell are summed. Cells and levels of fewer than five rows count as one. Only
what occurs is counted, by products with sparse matrices, so neither memory nor time grows with all combinations.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from pushforward.metrics.columns.scores import deviates

__all__ = ["Levels", "Sides"]

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

RARE = 5  # rows that a cell or a level needs to count alone


@dataclass(frozen=True, eq=False)
class Sides:
    """The labels by rows.

    Attributes:
        lines: 1 for rows of fake, seen and relabelled, (N, B + 1), float32, in which counts are exact.
        n: Rows of fake.
    """

    lines: NDArray[np.float32]
    n: float

    def means(self, matrix: csr_array, total: Array) -> tuple[Array, Array]:
        """Of sums over rows, (k, N), the means in fake and in real, (k, B + 1); total is over both, (k,)."""
        sums = np.asarray(matrix @ self.lines, np.float64)
        return sums / self.n, (total[:, None] - sums) / (len(self.lines) - self.n)


@dataclass(frozen=True, eq=False)
class Levels:
    """The levels of all categories.

    Attributes:
        codes: The level of each row, (N,), by the place of the column.
        shares: Shares of the levels in fake and in real for each labelling, (levels, B + 1), likewise.
        sides: The labels.
    """

    codes: Mapping[int, Ints]
    shares: Mapping[int, tuple[Array, Array]]
    sides: Sides

    @staticmethod
    def of(codes: Mapping[int, Ints], labels: Array) -> Levels:
        """Count the levels for each labelling, (B + 1, N)."""
        sides = Sides(np.ascontiguousarray(labels.T, np.float32), float(labels[0].sum()))
        shares = {place: sides.means(*_sums(one)) for place, one in codes.items()}
        return Levels(codes, shares, sides)

    def of_two(self, a: int, b: int) -> Array:
        """Deviates of two categories, seen and relabelled, (B + 1,)."""
        (qa, pa), (qb, pb) = self.shares[a], self.shares[b]
        cells, where, counts = np.unique(
            self.codes[a] * len(qb) + self.codes[b], return_inverse=True, return_counts=True
        )
        left, right = np.divmod(cells, len(qb))
        group, size = _grouped(counts)
        q, p = self.sides.means(*_sums(group[where]))
        often = counts >= RARE
        expected = qa[left[often]] * qb[right[often]] - pa[left[often]] * pb[right[often]]
        if not often.all():
            rare = csr_array((np.ones(int((~often).sum())), (left[~often], right[~often])), shape=(len(qa), len(qb)))
            together = (qa * (rare @ qb) - pa * (rare @ pb)).sum(0)
            expected = np.concatenate([expected, together[None]])
        difference = q - p - expected
        return _added(difference, size)

    def of_one(self, a: int, scores: Array, means: Array) -> Array:
        """Deviates of a category and a number, seen and relabelled, (B + 1,).

        Args:
            a: The category.
            scores: Of the number, (N, s).
            means: Their means in fake and in real, (2, B + 1, s).
        """
        counts = np.bincount(self.codes[a], minlength=len(self.shares[a][0]))
        group, size = _grouped(counts)
        code = group[self.codes[a]]
        shares = [np.zeros((len(size), self.sides.lines.shape[1])) for _ in range(2)]
        for own, every in zip(shares, self.shares[a], strict=True):
            np.add.at(own, group, every)
        found = list[Array]()
        for k, score in enumerate(scores.T):
            q, p = self.sides.means(*_sums(code, score))
            spread = score.std()
            if spread > 0:
                found.append((q - p - shares[0] * means[0, :, k] + shares[1] * means[1, :, k]) / spread)
        return _added(np.concatenate(found), np.tile(size, len(found))) if found else np.full(len(means[0]), -np.inf)


def _sums(code: Ints, values: Array | None = None) -> tuple[csr_array, Array]:
    """The matrix that sums values, or counts, of the rows of each code, (k, N), and these of all rows, (k,)."""
    x = np.ones(len(code)) if values is None else values
    order = np.argsort(code, kind="stable")
    ends = np.cumsum(np.bincount(code))
    matrix = csr_array((x[order].astype(np.float32), order, np.r_[0, ends]), shape=(len(ends), len(code)))
    return matrix, np.bincount(code, weights=x).astype(np.float64)


def _grouped(counts: Ints) -> tuple[Ints, Array]:
    """The group of each cell, those of few rows in one behind the others; and the rows of each group."""
    often = counts >= RARE
    group = np.where(often, np.cumsum(often) - 1, int(often.sum()))
    return group, np.bincount(group, weights=counts).astype(np.float64)


def _added(difference: Array, size: Array) -> Array:
    """Deviates of the sum of squares over shares, (k, B + 1) -> (B + 1,)."""
    squares = (difference**2 / np.maximum(size, 1.0)[:, None]).sum(0)
    return deviates((squares * size.sum())[:, None], float(len(difference)))[:, 0]
