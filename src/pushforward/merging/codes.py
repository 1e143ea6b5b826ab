r"""Principal axes of a matrix that may be sparse and large: :math:`z = (x - \mu) A`, :math:`\hat x = \mu + z A^\top`.

The mean is never subtracted from a sparse matrix: products with x - 1 mu' are products with x less a rank-one term.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse

from pushforward.errors import DataError
from pushforward.randomness import generator

__all__ = ["Axes", "dense", "principal_axes", "rows_of"]

Array = NDArray[np.float64]

FEW = 512  # columns up to which the whole covariance is taken apart
BLOCK = 1 << 25  # bytes of a dense block


@dataclass(frozen=True)
class Axes:
    """An affine code of rows.

    Attributes:
        mean: Mean of the rows it was fitted on, (d,).
        axes: Orthonormal columns, (d, k); identity of the order d where k = d and nothing is left out.
        residual: Root mean square of what the code leaves out of a row, on the rows it was fitted on.
        kept: Share of the variance that it keeps.
    """

    mean: Array
    axes: Array
    residual: float
    kept: float

    def encode(self, x: Any) -> Array:
        """Codes (n, k) of rows (n, d), sparse or dense; sparse ones are not made dense."""
        return np.asarray(x @ self.axes, np.float64) - self.mean @ self.axes

    def shift(self, moved: Array) -> Array:
        """What a displacement of codes (n, k) is for the rows, (n, d)."""
        return moved @ self.axes.T


def principal_axes(x: Any, k: int, rows: NDArray[np.bool_] | None = None, seed: int = 0) -> Axes:
    """The k directions of largest variance, as many as there are where k is larger.

    Up to 512 columns they are eigenvectors of the covariance; beyond, Lanczos vectors of the implicitly centred matrix.

    Args:
        x: Matrix (n, d), dense or sparse (of scipy).
        k: Number of directions.
        rows: Rows to fit on, a mask (n,); all if None.
        seed: Seed of the first Lanczos vector.

    Raises:
        DataError: If a number is not finite, or there are fewer than two rows.
    """
    part = rows_of(x) if rows is None else rows_of(x)[np.flatnonzero(rows)]
    n, d = map(int, part.shape)
    if n < 2:
        raise DataError(f"{n} cells to fit principal axes on: give at least 2")
    mean = np.asarray(part.mean(0), np.float64).ravel()
    if not np.isfinite(mean).all():
        column = int(np.flatnonzero(~np.isfinite(mean))[0])
        raise DataError(
            f"column {column} of the matrix, counted from 0, holds a number that is not finite: fill or leave out"
        )
    whole = _variance(part, mean)
    k = min(k, d, n - 1)
    if d <= FEW or k >= min(n, d) - 1:
        axes, variance = _by_covariance(part, mean, k)
    else:
        axes, variance = _by_lanczos(part, mean, k, seed)
    flip = np.where(axes[np.abs(axes).argmax(0), np.arange(axes.shape[1])] < 0, -1.0, 1.0)
    left = max(0.0, whole - float(variance.sum()))
    return Axes(mean, axes * flip, float(np.sqrt(left)), 1 - left / whole if whole > 0 else 1.0)


def _by_covariance(x: Any, mean: Array, k: int) -> tuple[Array, Array]:
    n, d = x.shape
    if n < d:  # fewer rows than columns: the Gram matrix is the smaller
        centred = dense(x) - mean
        values, left = np.linalg.eigh(centred @ centred.T)
        values, left = values[::-1][:k].clip(min=0), left[:, ::-1][:, :k]
        return centred.T @ left / np.sqrt(np.maximum(values, np.finfo(float).tiny)), values / n
    product = sum((np.asarray(_product(block), np.float64) for block in _blocks(x)), np.zeros((d, d)))
    values, vectors = np.linalg.eigh(product / n - np.outer(mean, mean))
    return vectors[:, ::-1][:, :k], values[::-1][:k].clip(min=0)


def _product(block: Any) -> Any:
    block = block.astype(np.float64)
    found = block.T @ block
    return found.toarray() if issparse(found) else found


def _by_lanczos(x: Any, mean: Array, k: int, seed: int) -> tuple[Array, Array]:
    from scipy.sparse.linalg import LinearOperator, svds

    n, d = x.shape

    def forward(v: Array) -> Array:
        return np.asarray(x @ v) - mean @ v

    def back(u: Array) -> Array:
        return np.asarray(x.T @ u) - np.multiply.outer(mean, u.sum(0))

    make: Any = LinearOperator  # its stub knows no named functions
    centred = make((n, d), matvec=forward, rmatvec=back, matmat=forward, rmatmat=back, dtype=np.float64)
    start = generator(seed, "init", part="lanczos").standard_normal(min(n, d))
    found: Any = svds(centred, k=k, v0=start)
    _, values, axes = found
    order = values.argsort()[::-1]
    return axes[order].T, values[order] ** 2 / n


def _variance(x: Any, mean: Array) -> float:
    """Sum over the columns of the variance."""
    squares = 0.0
    for block in _blocks(x):
        values = np.asarray(block.data if issparse(block) else block, np.float64)
        squares += float(np.square(values).sum())
    return max(0.0, squares / x.shape[0] - float(mean @ mean))


def rows_of(x: Any) -> Any:
    """The matrix in a form whose rows can be taken: CSR where it is sparse, else an array."""
    return x.tocsr() if issparse(x) else np.asarray(x)


def dense(x: Any) -> Array:
    """A block as an array of float64."""
    return np.asarray(x.toarray() if issparse(x) else x, np.float64)


def _blocks(x: Any) -> Iterator[Any]:
    step = max(1, BLOCK // (8 * x.shape[1]))
    return (x[start : start + step] for start in range(0, x.shape[0], step))
