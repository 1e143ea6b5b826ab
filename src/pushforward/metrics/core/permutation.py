r"""Permutation tests: the one engine behind every p-value that is not known in closed form.

.. math:: p = \frac{1 + \#\{b : T_b \ge T_0\}}{B + 1}

For independent samples of one law every relabelling of their pool is as likely as the labels seen, so
:math:`P(p \le a) \le a` for any statistic that is large when the laws differ. Whatever is tuned on the data (a
bandwidth, a kernel, a classifier) must be tuned on other rows, on the unlabelled pool, or anew in every relabelling.
Rows that depend on each other (a Markov chain, a time series) break the promise: thin them first.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pushforward.errors import DataError, UsageError
from pushforward.metrics.core.result import Measure
from pushforward.randomness import generator

__all__ = [
    "halves",
    "label_sums",
    "out_of_reach",
    "p_value",
    "permutation_measure",
    "permutation_values",
    "relabellings",
]


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
    drawn = _drawn if (permutations + 1) * (n + m) <= _KEPT else _drawn.__wrapped__
    return torch.from_numpy(drawn(n, m, permutations, seed).copy())


_KEPT = 2**24  # bytes of a set of labels that is kept for the tests after


@lru_cache(maxsize=2)  # of all rows and of the held-out half: the tests of an evaluation ask for the same ones
def _drawn(n: int, m: int, permutations: int, seed: int) -> NDArray[np.bool_]:
    # A stream of its own: the same seed draws subsets, splits and directions, which must not be tied to the labels.
    rng = generator(seed, "evaluate", part="relabellings")
    labels = np.zeros((permutations + 1, n + m), bool)
    labels[:, :n] = True
    rng.permuted(labels[1:], axis=1, out=labels[1:])
    return labels


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


def label_sums(labels: Tensor, values: Tensor, *, budget: int = 2**26) -> Tensor:
    """Sum over the rows of q of a number per row, for each labelling; (B + 1,), float64.

    Args:
        labels: (B + 1, N), bool; see `relabellings`.
        values: One number a row of the pool, (N,), float64.
        budget: Bytes that the temporaries of one block may take.
    """
    lines = max(1, budget // (8 * max(1, labels.shape[1])))
    return torch.cat([part.double() @ values for part in labels.split(lines)])


def halves(x: Tensor, rng: np.random.Generator, share: float = 0.5) -> tuple[Tensor, Tensor]:
    """Two disjoint random parts of the rows: a share of them to tune a test on, the rest to test on.

    Args:
        x: Samples, (n, *event).
        rng: Draws the parts.
        share: Share of the first.

    Raises:
        DataError: If a part would have fewer than two rows.
    """
    cut = round(share * len(x))
    if not 2 <= cut <= len(x) - 2:
        raise DataError(f"{len(x)} rows do not give two parts of 2 rows or more at share {share:g}: draw more")
    order = torch.from_numpy(rng.permutation(len(x))).to(x.device)
    return x[order[:cut]], x[order[cut:]]


def p_value(values: Tensor, rounding: float = 0.0) -> float | None:
    """p-value of the first entry among all, (1 + #) / (B + 1); None where there is no other.

    Values that tie up to rounding count as at least as large: the p-value can only grow. What is not a number would
    compare as smaller than anything, so it is refused.

    Args:
        values: The statistic seen, then the relabelled ones, (B + 1,).
        rounding: Error of a value that is a small difference of large numbers; 1e-12 of the largest value at least.

    Raises:
        DataError: If a value is not finite.
    """
    if len(values) < 2:
        return None
    if not bool(values.isfinite().all()):
        raise DataError("a test's statistic is not finite: the samples are too large to compare, rescale them")
    slack = max(rounding, 1e-12 * float(values.abs().max()))
    return (1 + int((values[1:] >= values[0] - slack).sum())) / len(values)


def out_of_reach(distinct: int, permutations: int) -> dict[str, str | float | int]:
    """The smallest p-value that so many rows allow, where they and not the number of relabellings are the bound.

    However many are drawn, a share 1 / `distinct` of them puts the labels back as they were.

    Args:
        distinct: Relabellings that give different values: those of n + m rows, less those that a statistic cannot tell.
        permutations: Number of relabellings drawn.
    """
    return {"smallest_p": 1 / distinct} if distinct < permutations + 1 else {}


def permutation_measure(
    values: Tensor,
    sizes: tuple[int, int],
    features: str,
    protocol: Mapping[str, str | float | int],
    *,
    floor: float | None = None,
    rounding: float = 0.0,
) -> Measure:
    """The measure of a test whose value is its statistic.

    Args:
        values: The statistic seen, then the relabelled ones, (B + 1,).
        sizes: Rows tested of fake and of real.
        features: Identity of the feature space.
        protocol: What else changes the number; the number of relabellings and their 95 % quantile are added, and
            where the rows are too few for a smaller p-value "smallest_p".
        floor: The value expected of equal laws; where it is not known, the mean of the relabelled values.
        rounding: See `p_value`.
    """
    null, words = values[1:], {**protocol, "permutations": len(values) - 1}
    if len(null):
        words["null_95"] = float(null.quantile(0.95))
        # Of equal sizes the exchange of both samples gives the same distance.
        words |= out_of_reach(math.comb(sum(sizes), sizes[0]) // (1 + (sizes[0] == sizes[1])), len(null))
    if floor is None and len(null):
        floor, words["floor"] = float(null.mean()), "mean of the relabelled values"
    p = p_value(values, rounding)
    return Measure(float(values[0]), floor, None, p, *sizes, features, "lower", words, {"null": null})
