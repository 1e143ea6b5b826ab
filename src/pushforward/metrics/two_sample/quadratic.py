"""Statistics quadratic in a kernel, for all relabellings of a pool at once.

Half of the symmetric kernel matrix is walked once, tile by tile: O(N² (d + B) / 2) time, memory within a budget.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import TypeAlias

import torch
from torch import Tensor

from pushforward.metrics.core.permutation import label_sums

__all__ = ["Matrices", "relabelled_mmd", "row_sums", "signal_to_noise"]

Matrices: TypeAlias = Callable[[Tensor, Tensor], Iterable[Tensor]]
"""(rows x, rows y) -> their matrices under each of several symmetric kernels with k(x, x) constant."""


def relabelled_mmd(
    pool: Tensor,
    labels: Tensor,
    matrices: Matrices,
    *,
    biased: bool = False,
    budget: int = 2**26,
    tick: Callable[[float], None] | None = None,
) -> tuple[Tensor, Tensor]:
    """MMD² under each of K kernels and for each labelling of a pool, from one pass over its pairs.

    Args:
        pool: Rows (N, d), float64.
        labels: (B + 1, N), bool, True for q; see `permutation.relabellings`.
        matrices: The kernels.
        biased: See `mmd_squared`.
        budget: Bytes that the temporaries of one tile may take.
        tick: Told the fraction done after each tile.

    Returns:
        The values, (K, B + 1), and how far rounding may move them, (K,).
    """
    diagonal = torch.stack([one[0, 0] for one in matrices(pool[:1], pool[:1])])[:, None]
    within_q, sums = pool.new_zeros(len(diagonal), len(labels)), pool.new_zeros(len(diagonal), len(pool))
    lines = max(1, budget // (128 * _side(budget)))
    for k, a, b, tile in _tiles(pool, matrices, budget, tick):
        _add_row_sums(sums[k], a, b, tile)
        for start in range(0, len(labels), lines):
            one, other = labels[start : start + lines, a], labels[start : start + lines, b]
            share = ((one.double() @ tile) * other).sum(1)
            within_q[k, start : start + lines] += share if a == b else 2 * share
    n, m = int(labels[0].sum()), int((~labels[0]).sum())
    cross = torch.stack([label_sums(labels, line, budget=budget) for line in sums]) - within_q
    within_p = sums.sum(1, keepdim=True) - within_q - 2 * cross
    rounding = 1e-13 * sums.sum(1).abs() / len(pool) ** 2
    if biased:
        within_q, within_p = (within_q + n * diagonal) / n**2, (within_p + m * diagonal) / m**2
        return within_q + within_p - 2 * cross / (n * m), rounding
    return within_q / (n * (n - 1)) + within_p / (m * (m - 1)) - 2 * cross / (n * m), rounding


def signal_to_noise(xx: Tensor, yy: Tensor, xy: Tensor, yx: Tensor, diagonal: float) -> Tensor:
    r"""MMD² over its standard deviation under the alternative: what a kernel is chosen by, on rows not tested.

    .. math::
        J = \frac{\mathrm{MMD}_u^2}{\sqrt{\sigma^2 + 10^{-8}}}, \qquad
        \sigma^2 = 4 \Big( \frac{1}{n^3} \sum_i h_i^2 - \frac{1}{n^4} \big( \sum_i h_i \big)^2 \Big), \qquad
        h_i = \sum_j k(x_i, x_j) + k(y_i, y_j) - k(x_i, y_j) - k(y_i, x_j)

    Args:
        xx: Sums over j of k(x_i, x_j) without j = i, (n,).
        yy: The same within y, (n,).
        xy: Sums over j of k(x_i, y_j), (n,).
        yx: Sums over j of k(y_i, x_j), (n,).
        diagonal: k(x, x).

    References:
        Learning deep kernels for non-parametric two-sample tests (Liu et al., 2020), arXiv:2002.09116.
    """
    n = len(xx)
    h = xx + yy - xy - yx + 2 * diagonal
    variance = 4 * (h.square().sum() / n**3 - h.sum().square() / n**4)
    return ((xx + yy).sum() / (n * (n - 1)) - 2 * xy.sum() / n**2) / (variance.clamp_min(0) + 1e-8).sqrt()


def row_sums(pool: Tensor, matrices: Matrices, kernels: int, budget: int = 2**26) -> Tensor:
    """Sums over each row of each kernel's matrix without its diagonal, (K, N).

    Args:
        pool: Rows (N, d), float64.
        matrices: The kernels.
        kernels: Their number K.
        budget: Bytes that the temporaries of one tile may take.
    """
    sums = pool.new_zeros(kernels, len(pool))
    for k, a, b, tile in _tiles(pool, matrices, budget):
        _add_row_sums(sums[k], a, b, tile)
    return sums


def _add_row_sums(sums: Tensor, a: slice, b: slice, tile: Tensor) -> None:
    sums[a] += tile.sum(1)
    if a != b:
        sums[b] += tile.sum(0)


def _side(budget: int) -> int:
    """Rows and columns of a tile: five float64 tiles and the labels' share fit into the budget, and into a cache."""
    return max(1, min(512, math.isqrt(budget // 64)))


def _tiles(
    pool: Tensor, matrices: Matrices, budget: int, tick: Callable[[float], None] | None = None
) -> Iterator[tuple[int, slice, slice, Tensor]]:
    """Kernel, rows, columns and tile, on and above the diagonal, which is set to 0; what lies below is its mirror."""
    parts = [slice(at, min(at + _side(budget), len(pool))) for at in range(0, len(pool), _side(budget))]
    total, done = len(parts) * (len(parts) + 1) // 2, 0
    for i, a in enumerate(parts):
        for b in parts[i:]:
            for k, tile in enumerate(matrices(pool[a], pool[b])):
                yield k, a, b, tile.fill_diagonal_(0) if a == b else tile
            done += 1
            if tick is not None:
                tick(done / total)
