r"""Sinkhorn divergence: entropic transport cost with its bias taken out.

.. math::
    S_\varepsilon(q, p) = \mathrm{OT}_\varepsilon(q, p) - \tfrac12 \mathrm{OT}_\varepsilon(q, q)
    - \tfrac12 \mathrm{OT}_\varepsilon(p, p)

for the cost :math:`\|x - y\|^2 / 2`, in data units squared. It tends to :math:`W_2^2 / 2` as :math:`\varepsilon \to 0`
and to half the squared distance of the means as :math:`\varepsilon \to \infty`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from torch import Tensor

from pushforward.geometry.sinkhorn import default_epsilon, potentials
from pushforward.metrics.core.comparison import Comparison, half, sinkhorn_cost
from pushforward.metrics.core.features import RAW, Features
from pushforward.metrics.core.part import Found, Part, named
from pushforward.metrics.core.reference import Given, compare, real_floor, se_near, subset
from pushforward.metrics.core.result import Measure
from pushforward.randomness import generator

__all__ = ["PARTS", "SinkhornValue", "sinkhorn", "sinkhorn_divergence"]


class SinkhornValue(NamedTuple):
    """A Sinkhorn divergence and what is known about it.

    Attributes:
        value: In data units squared.
        se: Standard error over draws of both samples, from the first variation; it means little at the floor.
        error: Largest error of a plan's masses, of the three plans.
        iterations: Updates made for the plan between the samples.
    """

    value: float
    se: float
    error: float
    iterations: int


def sinkhorn_divergence(
    q: Tensor, p: Tensor, epsilon: float, *, tolerance: float = 1e-4, iterations: int = 1000, budget: int = 2**26
) -> SinkhornValue:
    """Sinkhorn divergence of two samples, in float64.

    Args:
        q: Model samples, (n, *event), in data units.
        p: Data samples, (m, *event).
        epsilon: Regularisation, in data units squared.
        tolerance: Error of the plans' masses to stop at; the value's own error is of its square.
        iterations: Most updates a plan may take.
        budget: Bytes that temporaries may take.

    References:
        Learning generative models with Sinkhorn divergences (Genevay et al., 2018), arXiv:1706.00292; Interpolating
        between optimal transport and MMD using Sinkhorn divergences (Feydy et al., 2019), arXiv:1810.08278.
    """
    q, p = (x.detach().flatten(1).double().cpu() for x in (q, p))
    between, within_q, within_p = (
        potentials(x, y, epsilon, tolerance=tolerance, iterations=iterations, budget=budget)
        for x, y in ((q, p), (q, None), (p, None))
    )
    value = between.value - (within_q.value + within_p.value) / 2
    spread = _noise(between.f - within_q.f) + _noise(between.g - within_p.g)
    error = max(each.error for each in (between, within_q, within_p))
    return SinkhornValue(value, float(spread.sqrt()), error, between.iterations)


def _noise(potential: Tensor) -> Tensor:
    """Squared error of the potential's mean; of a single row it is not known."""
    return potential.var() / len(potential) if len(potential) > 1 else potential.new_tensor(0.0)


def sinkhorn(
    fake: Given,
    real: Given,
    features: Features = RAW,
    *,
    train: Given | None = None,
    epsilon: float | None = None,
    tolerance: float = 1e-4,
    iterations: int = 1000,
    max_n: int = 1000,
    repeats: int = 3,
    seed: int = 0,
    budget: int = 2**26,
    tick: Callable[[float], None] | None = None,
) -> Measure:
    """Sinkhorn divergence with the floor of real against real, in feature units squared.

    Args:
        fake: Model samples, (n, *event).
        real: Data samples, (m, *event).
        features: The feature space.
        train: A second sample of the data, for the floor; without it real is cut in two.
        epsilon: Regularisation, in feature units squared; where omitted, 5 % of real's total variance, whatever fake
            is, so that different models are measured alike.
        tolerance: Error of the plans' masses to stop at.
        iterations: Most updates a plan may take.
        max_n: Rows used of each; more are subsampled.
        repeats: Subsets averaged for the floor.
        seed: Seed of all subsets.
        budget: Bytes that temporaries may take.
        tick: Called with the share of the work done.

    Raises:
        DataError: If the samples do not fit together, or no epsilon is given and all of real coincides.
    """
    q, p, t = compare(fake, real, train, features, max_n=max_n, seed=seed)
    epsilon = epsilon or default_epsilon(p, p)
    used, report = subset(p, max_n, generator(seed, "evaluate", part="sinkhorn")), tick or (lambda _: None)
    distance = partial(sinkhorn_divergence, epsilon=epsilon, tolerance=tolerance, iterations=iterations, budget=budget)
    found = distance(q, used)
    report(1 / (repeats + 1))
    floor, how = real_floor(
        lambda a, b: distance(a, b).value, p, t, (len(q), len(used)), repeats=repeats, seed=seed, fastest=1.0,
        tick=lambda share: report((1 + repeats * share) / (1 + repeats)),
    )  # fmt: skip
    protocol: dict[str, str | float | int] = {"cost": "half squared distance", "epsilon": epsilon, "debiased": "yes"}
    protocol |= {
        "tolerance": tolerance,
        "seed": seed,
        "max_n": max_n,
        "floor": how,
        "se": "first variation, less its noise at the floor",
    }
    if found.error > tolerance:
        protocol["note"] = (
            f"plan off by {found.error:.2g} after {found.iterations} updates: raise epsilon or iterations"
        )
    se = se_near(found.se, found.value, floor)
    return Measure(found.value, floor, se, None, len(q), len(used), features.id, "lower", protocol)


def _part(c: Comparison) -> Found:
    found = sinkhorn(c.one, c.p, c.known, train=c.t, seed=c.seed, max_n=half(c), budget=c.budget, tick=c.tick)
    return named({"sinkhorn": found})


PARTS = (
    Part(
        "sinkhorn", "Sinkhorn divergence", _part, sinkhorn_cost,
        {"sinkhorn": "Sinkhorn divergence: transport cost with blur, without its bias"}, place=180,
    ),
)  # fmt: skip
