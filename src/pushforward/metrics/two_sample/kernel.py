r"""Maximum mean discrepancy between samples, and the exact permutation tests that go with it.

.. math::
    \mathrm{MMD}^2(q, p) = \mathbb{E}\,k(x, x') + \mathbb{E}\,k(y, y') - 2\,\mathbb{E}\,k(x, y), \qquad
    x, x' \sim q, \; y, y' \sim p

With :math:`k(x, y) = -\|x - y\|` it is the energy distance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.geometry.kernels import Kernel, energy, median_bandwidth, multiscale, rbf, squared_distances
from pushforward.metrics.core.comparison import Comparison, test_cost
from pushforward.metrics.core.features import RAW, Features
from pushforward.metrics.core.part import Found, Part, named
from pushforward.metrics.core.permutation import halves, permutation_measure, relabellings
from pushforward.metrics.core.reference import Given, compare, subset
from pushforward.metrics.core.result import Measure, Words
from pushforward.metrics.core.scale import FAR, draw_in, drawn_in
from pushforward.metrics.two_sample.quadratic import Matrices, relabelled_mmd, row_sums, signal_to_noise
from pushforward.randomness import generator

__all__ = ["PARTS", "Bandwidth", "energy_distance", "mmd", "mmd_permutations", "mmd_squared"]

FACTORS = (0.25, 0.5, 1.0, 2.0, 4.0)
"""Multiples of the median distance: the lengths that are averaged, chosen from, or maximised over."""

Bandwidth = Literal["pooled", "split", "aggregated"]
"""How a kernel's length is chosen, which is known up to a factor of a few: 1/4 to 4 times the median distance.

To try all of these on the rows tested and report the best would double the rate of false alarms. Three ways keep it:

- "pooled": the mean of the kernels at these lengths. All rows are tested.
- "split": the one length with the largest `signal_to_noise` on half of the rows, tested on the other half.
- "aggregated": the largest over the lengths of MMD² in standard deviations from the mean, both over all labellings;
  every relabelling chooses its own length. All rows are tested; the value is that maximum.
"""


def mmd_squared(q: Tensor, p: Tensor, kernel: Kernel, *, biased: bool = False, budget: int = 2**26) -> float:
    """MMD² in float64, tile by tile.

    Args:
        q: Model samples, (n, *event), n >= 2.
        p: Data samples, (m, *event), m >= 2.
        kernel: A radial kernel.
        biased: Include the diagonals (V-statistic, never negative) instead of leaving them out (U-statistic, mean
            zero where q = p, may be negative).
        budget: Bytes that the temporaries of one tile may take.
    """
    return float(mmd_permutations(q, p, kernel, 0, biased=biased, budget=budget))


def mmd_permutations(
    q: Tensor,
    p: Tensor,
    kernel: Kernel,
    permutations: int,
    *,
    biased: bool = False,
    seed: int = 0,
    budget: int = 2**26,
) -> Tensor:
    """MMD² of the samples (first entry) and of random relabellings of their pool, (permutations + 1,).

    Args:
        q: Model samples, (n, *event).
        p: Data samples, (m, *event).
        kernel: Fixed in advance, or chosen without looking at which sample a point came from.
        permutations: Number of relabellings.
        biased: See `mmd_squared`.
        seed: Seed of the relabellings.
        budget: Bytes that the temporaries of one tile may take.
    """
    labels = relabellings(len(q), len(p), permutations, seed=seed)
    pool = torch.cat([x.detach().flatten(1).double().cpu() for x in (q, p)])
    return relabelled_mmd(pool, labels, _radial([kernel]), biased=biased, budget=budget)[0][0]


def mmd(
    fake: Given,
    real: Given,
    features: Features = RAW,
    *,
    kernel: Kernel | None = None,
    family: Callable[[float], Kernel] = rbf,
    bandwidth: Bandwidth = "pooled",
    biased: bool = False,
    permutations: int = 200,
    max_n: int = 2000,
    seed: int = 0,
    budget: int = 2**26,
    tick: Callable[[float], None] | None = None,
) -> Measure:
    r"""MMD² with its permutation p-value :math:`(1 + \#\{T_b \ge T_0\}) / (B + 1)`, exact for independent samples.

    The floor is 0 for the unbiased estimate, whose mean it is for equal laws, else the mean of the relabelled values;
    `protocol["null_95"]` is their 95 % quantile and `detail["null"]` holds them. Far rows: see `_drawn_in`.

    Args:
        fake: Model samples, (n, *event).
        real: Data samples, (m, *event).
        features: The feature space.
        kernel: A radial kernel, fixed in advance; its length is then not chosen at all.
        family: Constructor of a kernel from its length, such as `geometry.imq`.
        bandwidth: How the length is chosen; see `Bandwidth`.
        biased: V-statistic instead of U-statistic; see `mmd_squared`.
        permutations: Relabellings B.
        max_n: Rows used of each; more are subsampled.
        seed: Seed of subsets and relabellings.
        budget: Bytes that the temporaries of one tile may take.
        tick: Told the fraction done.

    Raises:
        DataError: If the samples do not fit together.
        UsageError: If a kernel is given together with a choice of its length.

    References:
        A kernel two-sample test (Gretton et al., 2012); MMD aggregated two-sample test (Schrab et al., 2023),
        arXiv:2110.15073, for the maximum over lengths.
    """
    _check_choice(bandwidth, kernel, permutations)
    q, p, _ = compare(fake, real, None, features, max_n=max_n, seed=seed)
    rng = generator(seed, "evaluate", part="kernel")
    q, p, far = _drawn_in(q, subset(p, max_n, rng), FAR if kernel else 100 * FAR)
    kernels, q, p, other = _chosen(bandwidth, kernel or family, q, p, rng, seed, budget)
    protocol: Words = {"choice": "fixed" if kernel else bandwidth} | other | far
    labels = relabellings(len(q), len(p), permutations, seed=seed)
    pool, radial = torch.cat([q, p]), _radial(kernels)
    many, rounding = relabelled_mmd(pool, labels, radial, biased=biased, budget=budget, tick=tick)
    values, error, best = many[0], float(rounding[0]), kernels[0]
    if bandwidth == "aggregated":
        spread = (many - many.mean(1, keepdim=True)) / many.std(1, keepdim=True).clamp_min(1e-300)
        values, error, best = spread.amax(0), 0.0, kernels[int(spread[:, 0].argmax())]
        protocol["value"] = "largest MMD² over lengths, in standard deviations over all labellings"
    protocol |= {"kernel": best.name, "bandwidth": best.bandwidth, "estimator": "biased" if biased else "unbiased"}
    protocol |= {"seed": seed, "max_n": max_n}
    floor = None if biased or bandwidth == "aggregated" else 0.0
    return permutation_measure(values, (len(q), len(p)), features.id, protocol, floor=floor, rounding=error)


def energy_distance(
    fake: Given,
    real: Given,
    features: Features = RAW,
    *,
    permutations: int = 200,
    max_n: int = 2000,
    seed: int = 0,
    budget: int = 2**26,
    tick: Callable[[float], None] | None = None,
) -> Measure:
    r"""Unbiased energy distance with its exact permutation p-value; no length to choose.

    .. math:: E = 2\,\mathbb{E}\|x - y\| - \mathbb{E}\|x - x'\| - \mathbb{E}\|y - y'\|

    Rows beyond ten median radii are drawn in, so that a few do not drown the rest; see `core.scale`.
    It is in data units and not a square root, with means over different points only, so its floor is 0 and it may be
    negative; `scipy.stats.energy_distance` is the root of the version with equal points, on the line.

    Args:
        fake: Model samples, (n, *event).
        real: Data samples, (m, *event).
        features: The feature space.
        permutations: Relabellings B.
        max_n: Rows used of each; more are subsampled.
        seed: Seed of subsets and relabellings.
        budget: Bytes that the temporaries of one tile may take.
        tick: Told the fraction done.

    Raises:
        DataError: If the samples do not fit together.

    References:
        Energy statistics (Székely & Rizzo, 2013).
    """
    return mmd(
        fake, real, features, kernel=energy(),
        permutations=permutations, max_n=max_n, seed=seed, budget=budget, tick=tick,
    )  # fmt: skip


def _radial(kernels: Sequence[Kernel]) -> Matrices:
    """Matrices of radial kernels, from one matrix of distances."""

    def matrices(x: Tensor, y: Tensor) -> Iterator[Tensor]:
        squared = squared_distances(x, y)
        return (kernel.profile(squared) for kernel in kernels)

    return matrices


def _check_choice(bandwidth: Bandwidth, kernel: Kernel | None, permutations: int) -> None:
    if kernel is not None and bandwidth != "pooled":
        raise UsageError(f"bandwidth is {bandwidth!r} beside a kernel of set length: give its family instead")
    if bandwidth == "aggregated" and permutations < 1:
        raise UsageError("bandwidth is 'aggregated' without relabellings, which give its unit: set permutations")


def _drawn_in(q: Tensor, p: Tensor, far: float) -> tuple[Tensor, Tensor, Words]:
    """Both samples with their far rows drawn in, and what must be said of it; see `core.scale`.

    A bounded kernel is blinded by no row, but beyond 1,000 median radii squares lose the digits that differences need.
    One of set length need not be bounded: there ten are far.
    """
    pool, count = draw_in(torch.cat([q, p]), far)
    return pool[: len(q)], pool[len(q) :], drawn_in(count, len(pool), far)


def _chosen(
    how: Bandwidth,
    kernel: Kernel | Callable[[float], Kernel],
    q: Tensor,
    p: Tensor,
    rng: np.random.Generator,
    seed: int,
    budget: int,
) -> tuple[list[Kernel], Tensor, Tensor, Words]:
    """Kernels to test with, the rows left to test, and what must be said of the rows that were not."""
    if isinstance(kernel, Kernel):
        return [kernel], q, p, {}
    if how == "split":
        (q_other, q), (p_other, p) = halves(q, rng), halves(p, rng)
        best = _most_telling(_at_lengths(kernel, q_other, p_other, seed), q_other, p_other, budget)
        return [best], q, p, {"chosen_on": f"{len(q_other)} and {len(p_other)} other rows"}
    if how == "aggregated":
        return _at_lengths(kernel, q, p, seed), q, p, {}
    return [multiscale(kernel, median_bandwidth(q, p, seed=seed), FACTORS)], q, p, {}


def _at_lengths(family: Callable[[float], Kernel], q: Tensor, p: Tensor, seed: int) -> list[Kernel]:
    centre = median_bandwidth(q, p, seed=seed)
    return [family(factor * centre) for factor in FACTORS]


def _most_telling(kernels: Sequence[Kernel], q: Tensor, p: Tensor, budget: int) -> Kernel:
    """The kernel with the largest signal to noise on equally many rows of q and p."""
    n = min(len(q), len(p))
    q, p, matrices = q[:n], p[:n], _radial(kernels)
    both, xx, yy = (row_sums(rows, matrices, len(kernels), budget) for rows in (torch.cat([q, p]), q, p))
    found = [
        signal_to_noise(xx[k], yy[k], both[k, :n] - xx[k], both[k, n:] - yy[k], float(kernel(q[:1], q[:1])))
        for k, kernel in enumerate(kernels)
    ]
    return kernels[int(torch.stack(found).argmax())]


def _mmd_part(c: Comparison) -> Found:
    found = mmd(c.one, c.p, c.known, permutations=c.permutations, max_n=c.max_n, seed=c.seed, budget=c.budget,
                tick=c.tick)  # fmt: skip
    return named({"mmd": found})


def _energy_part(c: Comparison) -> Found:
    found = energy_distance(c.one, c.p, c.known, permutations=c.permutations, max_n=c.max_n, seed=c.seed,
                            budget=c.budget, tick=c.tick)  # fmt: skip
    return named({"energy": found})


PARTS = (
    Part(
        "mmd", "kernel two-sample test, Gaussian kernels at five lengths", _mmd_part, test_cost,
        {"mmd": "Kernel distance (MMD²); its p-value asks whether samples and data follow one law"},
        test=True, usual=frozenset(("points", "images")), place=10,
    ),
    Part(
        "energy", "energy-distance test", _energy_part, test_cost,
        {"energy": "Energy distance; its p-value asks whether samples and data follow one law"},
        test=True, place=20,
    ),
)  # fmt: skip
