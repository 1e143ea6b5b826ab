r"""Maximum mean discrepancy between samples, and the exact permutation test that goes with it.

.. math::
    \mathrm{MMD}^2(q, p) = \mathbb{E}\,k(x, x') + \mathbb{E}\,k(y, y') - 2\,\mathbb{E}\,k(x, y), \qquad
    x, x' \sim q, \; y, y' \sim p
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from pushforward.geometry.kernels import Kernel, column_blocks, median_bandwidth, multiscale, rbf
from pushforward.metrics.features import RAW, Features
from pushforward.metrics.reference import compare, subset
from pushforward.metrics.result import Measure

__all__ = ["mmd", "mmd_permutations", "mmd_squared"]


def mmd_squared(q: Tensor, p: Tensor, kernel: Kernel, *, biased: bool = False, budget: int = 2**26) -> float:
    """MMD² in float64, block by block.

    Args:
        q: Model samples, (n, *event), n >= 2.
        p: Data samples, (m, *event), m >= 2.
        kernel: A radial kernel.
        biased: Include the diagonals (V-statistic, never negative) instead of leaving them out (U-statistic, mean
            zero where q = p, may be negative).
        budget: Bytes that the temporaries of one block may take.
    """
    labels = torch.zeros(1, len(q) + len(p), dtype=torch.float64)
    labels[:, : len(q)] = 1
    return float(_mmd_squared(torch.cat([_rows(q), _rows(p)]), labels, kernel, biased, budget))


def mmd_permutations(
    q: Tensor, p: Tensor, kernel: Kernel, permutations: int, *, seed: int = 0, budget: int = 2**26
) -> Tensor:
    """Unbiased MMD² of the samples (first entry) and of random relabellings of their pool, (permutations + 1,).

    One pass over one kernel matrix serves all relabellings, as products with their 0/1 rows:
    O((n + m)² (d + permutations)).

    Args:
        q: Model samples, (n, *event).
        p: Data samples, (m, *event).
        kernel: Fixed in advance, or chosen without looking at which sample a point came from.
        permutations: Number of relabellings.
        seed: Seed of the relabellings.
        budget: Bytes that the temporaries of one block may take.
    """
    n, total = len(q), len(q) + len(p)
    order = np.random.default_rng(seed).random((permutations + 1, total)).argsort(1)[:, :n]
    order[0] = np.arange(n)
    labels = torch.zeros(permutations + 1, total, dtype=torch.float64).scatter_(1, torch.from_numpy(order), 1.0)
    return _mmd_squared(torch.cat([_rows(q), _rows(p)]), labels, kernel, False, budget)


def mmd(
    fake: Tensor,
    real: Tensor,
    features: Features = RAW,
    *,
    kernel: Kernel | None = None,
    permutations: int = 200,
    max_n: int = 2000,
    seed: int = 0,
    budget: int = 2**26,
) -> Measure:
    r"""Unbiased MMD² with its permutation p-value :math:`(1 + \#\{T_b \ge T_0\}) / (B + 1)`.

    Its floor is 0, the mean of the unbiased estimate for equal laws; `protocol["null_95"]` is the 95 % quantile of
    the relabelled values. The p-value is exact for independent samples.

    Args:
        fake: Model samples, (n, *event).
        real: Data samples, (m, *event).
        features: The feature space.
        kernel: A radial kernel; where omitted, the mean of Gaussian kernels at 1/4 to 4 times the median distance of
            the pooled sample.
        permutations: Relabellings B.
        max_n: Rows used of each; more are subsampled.
        seed: Seed of subsets and relabellings.
        budget: Bytes that the temporaries of one block may take.

    Raises:
        DataError: If the samples do not fit together.

    References:
        A kernel two-sample test (Gretton et al., 2012).
    """
    q, p, _ = compare(fake, real, None, features, max_n=max_n, seed=seed)
    p = subset(p, max_n, np.random.default_rng(seed))
    kernel = kernel or multiscale(rbf, median_bandwidth(q, p, seed=seed))
    values = mmd_permutations(q, p, kernel, permutations, seed=seed, budget=budget)
    value, null = float(values[0]), values[1:]
    # Relabellings that tie up to rounding count as at least as large: the p-value can only grow.
    slack = 1e-12 * float(values.abs().max())
    protocol: dict[str, str | float | int] = {
        "kernel": kernel.name,
        "bandwidth": kernel.bandwidth,
        "estimator": "unbiased",
        "permutations": permutations,
        "seed": seed,
        "max_n": max_n,
    }
    p_value = None
    if permutations > 0:
        p_value = (1 + int((null >= value - slack).sum())) / (permutations + 1)
        protocol["null_95"] = float(null.quantile(0.95))
    return Measure(value, 0.0, None, p_value, len(q), len(p), features.id, "lower", protocol)


def _rows(x: Tensor) -> Tensor:
    return x.detach().flatten(1).double().cpu()


def _mmd_squared(pool: Tensor, labels: Tensor, kernel: Kernel, biased: bool, budget: int) -> Tensor:
    """MMD² for each row of 0/1 labels (B, N), where 1 means q."""
    within_q, row_sums = labels.new_zeros(len(labels)), labels.new_empty(labels.shape[1])
    diagonal = float(kernel.profile(pool.new_zeros(())))
    for part, block in column_blocks(kernel, pool, pool, budget=budget):
        block.diagonal(-part.start).fill_(diagonal)
        within_q += ((labels @ block) * labels[:, part]).sum(1)
        row_sums[part] = block.sum(0)
    n, m = labels.sum(1), (1 - labels).sum(1)
    cross = labels @ row_sums - within_q
    within_p = row_sums.sum() - within_q - 2 * cross
    if biased:
        return within_q / n**2 + within_p / m**2 - 2 * cross / (n * m)
    within_q, within_p = within_q - n * diagonal, within_p - m * diagonal
    return within_q / (n * (n - 1)) + within_p / (m * (m - 1)) - 2 * cross / (n * m)
