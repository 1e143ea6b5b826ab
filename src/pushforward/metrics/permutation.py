r"""Permutation tests: the one engine behind every p-value that is not known in closed form.

.. math:: p = \frac{1 + \#\{b : T_b \ge T_0\}}{B + 1}

For independent samples of one law every relabelling of their pool is as likely as the labels seen, so
:math:`P(p \le a) \le a` for any statistic that is large when the laws differ. Whatever is tuned on the data (a
bandwidth, a kernel, a classifier) must be tuned on other rows, on the unlabelled pool, or anew in every relabelling.
Rows that depend on each other (a Markov chain, a time series) break the promise: thin them first.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from pushforward.errors import UsageError

__all__ = ["p_value", "permutation_values", "relabellings"]


def relabellings(n: int, m: int, permutations: int, *, seed: int = 0) -> Tensor:
    """Labels of a pool of n + m rows: True for q. The first line is the labelling seen, the others are random.

    Args:
        n: Rows of q; they come first in the pool.
        m: Rows of p.
        permutations: Number B of random relabellings.
        seed: Seed of these.

    Returns:
        (B + 1, n + m), bool, n times True in each line: one byte an entry.

    Raises:
        UsageError: If the number of relabellings is negative.
    """
    if permutations < 0:
        raise UsageError(f"permutations is {permutations}: give 0 for no p-value, or at least 19")
    rng = np.random.default_rng(seed)
    labels = np.zeros((permutations + 1, n + m), bool)
    labels[:, :n] = True
    rng.permuted(labels[1:], axis=1, out=labels[1:])
    return torch.from_numpy(labels)


def permutation_values(
    statistic: Callable[[Tensor, Tensor], float], q: Tensor, p: Tensor, permutations: int, *, seed: int = 0
) -> Tensor:
    """Any statistic of (q, p), seen (first entry) and relabelled; (permutations + 1,), float64.

    Args:
        statistic: (n, *event), (m, *event) -> number, large when the laws differ.
        q: Model samples, (n, *event).
        p: Data samples, (m, *event).
        permutations: Number of relabellings.
        seed: Seed of these.
    """
    pool = torch.cat([q, p])
    labels = relabellings(len(q), len(p), permutations, seed=seed).to(pool.device)
    return torch.tensor([statistic(pool[line], pool[~line]) for line in labels], dtype=torch.float64)


def p_value(values: Tensor) -> float | None:
    """p-value of the first entry among all, (1 + #) / (B + 1); None where there is no other.

    Values that tie up to rounding count as at least as large: the p-value can only grow.

    Args:
        values: The statistic seen, then the relabelled ones, (B + 1,).
    """
    if len(values) < 2:
        return None
    slack = 1e-12 * float(values.abs().max())
    return (1 + int((values[1:] >= values[0] - slack).sum())) / len(values)
