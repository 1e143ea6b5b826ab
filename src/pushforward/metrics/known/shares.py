r"""The law of KL(frequencies || shares) under a perfect sampler: its mean, its error, and p-values at any counts.

.. math:: T = \sum_k \frac{N_k}{n} \log \frac{N_k}{n s_k}

Twice n T tends to a chi-squared law, but slowly: at five to twenty expected in each class its 5 % quantile is passed by
7 to 10 % of all perfect samplers. So draws of the counts themselves are compared with.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import rel_entr

from pushforward.randomness import generator

__all__ = ["KL", "counted_kl", "expected_kl", "known_kl", "log_spread", "with_null"]

Array = NDArray[np.float64]
Counts = NDArray[np.int64]

_DRAWS = 999
_VALUES = 2**20
"""Counts drawn at a time."""


@dataclass(frozen=True)
class KL:
    """KL(frequencies || shares) in nats, and what it is for a perfect sampler.

    Attributes:
        value: The number.
        floor: Its mean for a perfect sampler.
        se: Its standard error.
        p: p-value of the sampler being perfect.
        how: In words how that was had.
        floor_words: The same of the floor.
    """

    value: float
    floor: float
    se: float
    p: float
    how: str
    floor_words: str


def known_kl(counts: Counts, shares: Array) -> KL:
    r"""The divergence from shares that are known, against multinomial draws of them.

    Where none of the draws comes up to the value, p is the least of 1 / 1000 and of a bound that holds at any counts,
    :math:`P(T \ge t) \le e^{-nt} (e n t / (K - 1))^{K - 1}` for :math:`n t > K - 1`.

    Args:
        counts: Samples in each class, (K,).
        shares: Probabilities, (K,), all positive.

    References:
        Finite-sample concentration of the multinomial in relative entropy (Agrawal, 2020), arXiv:1904.02291.
    """
    n, k = int(counts.sum()), len(counts)
    value, rng = float(rel_entr(counts / n, shares).sum()), generator(0, "evaluate", part="shares")
    null = _blocks(k, lambda size: rel_entr(rng.multinomial(n, shares, size=size) / n, shares).sum(1))
    p, how = _p(null, value), f"{_DRAWS} draws"
    if p == 1 / (_DRAWS + 1) and k > 1 and n * value > k - 1:
        bound = math.exp(min(0.0, (k - 1) * (1 + math.log(n * value / (k - 1))) - n * value))
        p, how = (bound, "bound of large deviations") if bound < p else (p, how)
    floor = expected_kl(n, shares, shares)
    error = with_null(log_spread(counts / n, shares) / n, value, floor, float(null.var()))
    return KL(value, floor, error, p, how, "exact mean of a perfect sampler")


def counted_kl(counts: Counts, shares: Array, n_real: int) -> KL:
    """The divergence from shares that were counted in data, against relabellings of the counts of both together.

    Of one law any n of the n + m rows are as likely the samples, whatever the law is: the counts of a class are
    multivariate hypergeometric. The statistic adds half a count to each class of the data, as `class_shares` does.

    Args:
        counts: Samples in each class, (K,).
        shares: Shares in the data, (K,), all positive: those of `class_shares`, or plain ones.
        n_real: Rows m of data.
    """
    n, k, rng = int(counts.sum()), len(counts), generator(0, "evaluate", part="shares")
    data, frequencies = _counts_behind(shares, n_real), counts / n
    pool, value = counts + data, float(rel_entr(frequencies, shares).sum())

    def smoothed(own: Counts) -> Array:
        return rel_entr(own / n, (pool - own + 0.5) / (n_real + 0.5 * k)).sum(-1)

    null = _blocks(k, lambda size: smoothed(rng.multivariate_hypergeometric(pool, n, size=size, method="marginals")))
    over_real = float(frequencies @ (frequencies / shares)) - 1
    variance, floor = log_spread(frequencies, shares) / n + max(0.0, over_real) / n_real, float(null.mean())
    error, p = with_null(variance, value, floor, float(null.var())), _p(null, float(smoothed(counts)))
    return KL(value, floor, error, p, f"{_DRAWS} relabellings of the counts", "mean of the relabelled values")


def log_spread(frequencies: Array, shares: Array) -> float:
    """Variance of log(frequency / share) over the samples: of the first variation of KL at their law."""
    logs = np.log(np.where(frequencies > 0, frequencies, shares) / shares)
    return max(0.0, float(frequencies @ logs**2) - float(frequencies @ logs) ** 2)


def with_null(first: float, value: float, floor: float, null: float) -> float:
    r"""Standard error of a divergence from its variance to first order and the variance of a perfect sampler's values.

    At its floor a divergence is quadratic in the noise. The first variation then sees that noise alone, twice as large
    as it is: what it says counts by the share of the value that is no floor, :math:`v_0 + v_1 (1 - T_0 / T)_+`.

    Args:
        first: Variance to first order, of the first variation.
        value: The divergence T.
        floor: Its mean T0 for a perfect sampler.
        null: Its variance v0 for a perfect sampler.
    """
    return math.sqrt(null + first * (max(0.0, 1 - floor / value) if value > 0 else 0.0))


def expected_kl(n: int, law: Array, reference: Array) -> float:
    r"""Exact mean of KL(frequencies || reference) over samples of a law, in nats.

    .. math:: \sum_k \mathbb{E} \frac{N_k}{n} \log \frac{N_k}{n r_k}, \qquad N_k \sim \mathrm{Binomial}(n, p_k)

    Where p = r it is (K - 1) / 2n to first order, which is too little where modes hold few samples each.

    Args:
        n: Number of samples.
        law: Probabilities p of the classes, (K,).
        reference: Probabilities r that the frequencies are compared with, (K,), all positive.
    """
    from scipy.stats import binom

    total = 0.0
    # Rounded, because products of the same shares in another order differ in the last digit.
    pairs, repeats = np.unique(np.round(np.stack([law, reference], 1), 15), axis=0, return_counts=True)
    for (p, r), times in zip(pairs, repeats):
        reach = 40 * float(n * p * (1 - p)) ** 0.5 + 40  # beyond lies less than rounding
        seen = np.arange(max(1, int(n * p - reach)), min(n, int(n * p + reach)) + 1)
        total += int(times) * float(binom.pmf(seen, n, p) @ (seen / n * np.log(seen / (n * r))))
    return total


def _counts_behind(shares: Array, m: int) -> Counts:
    """Counts of m rows that gave these shares, with half a count added to each class or without, (K,)."""
    for extra in (0.5, 0.0):
        guess = shares * (m + extra * len(shares)) - extra
        whole = np.rint(guess).astype(np.int64)
        if np.abs(guess - whole).max() < 0.05 and whole.sum() == m:
            return whole
    counts = np.floor(shares * m).astype(np.int64)  # shares of another kind: the nearest whole numbers that add up to m
    counts[np.argsort(counts - shares * m)[: m - counts.sum()]] += 1
    return counts


def _blocks(k: int, draw: Callable[[int], Array]) -> Array:
    """Values of all draws, so many at a time that their counts fit."""
    step = max(1, _VALUES // k)
    return np.concatenate([draw(min(step, _DRAWS - start)) for start in range(0, _DRAWS, step)])


def _p(null: Array, value: float) -> float:
    """Values that tie up to rounding count as at least as large."""
    return (1 + int((null >= value - 1e-12 * max(1.0, value)).sum())) / (len(null) + 1)
