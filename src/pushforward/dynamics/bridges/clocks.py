r"""One denoiser, three clocks: the two stages of the bridge and the score model are one process at different paces.

With D(y; s) = E[Y | Y + s ε = y], δ = τ - σ² and g(t) = τ - tδ:

=======================  =============================  =================================================  ===========
process                  level s at its time            drift                                              noise a(t)
=======================  =============================  =================================================  ===========
`to_smoothed`, x/t       :math:`s^2 = g(t)/t`           :math:`(\tau D(x/t; s) - \delta x) / g(t)`         τ
`to_data`                :math:`s^2 = \sigma^2(1-t)`    :math:`(D(x; s) - x)/(1-t)`                        σ²
`variance_exploding`     time is s, and falls           :math:`2(x - D(x; s))/s`                           2s
=======================  =============================  =================================================  ===========

The first begins at one point and ends at the smoothed data :math:`p * N(0, \sigma^2 I)`, where the second begins.

References:
    Deep generative learning via Schrödinger bridge (Wang et al., 2021), arXiv:2106.10410.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

from torch import Tensor

from pushforward.dynamics.bridges.forms import DenoiserDrift
from pushforward.dynamics.sde.levels import towards
from pushforward.dynamics.sde.process import Pinned, Process, Start
from pushforward.errors import UsageError
from pushforward.types import Denoiser, Randomness, Samples, Velocity

__all__ = ["Noisy", "to_data", "to_smoothed", "variance_exploding"]


class Noisy:
    """The law of a noise level far above the data: normal about their mean.

    Args:
        mean: Of the data, (*event).
        deviation: Root of the level's and the data's variances together.
    """

    def __init__(self, mean: Tensor, deviation: float) -> None:
        self.mean, self.deviation = mean, deviation

    def __call__(self, rng: Randomness, n: int) -> Samples:
        """Points, (n, *event)."""
        return self.at(rng.normal(n, *self.mean.shape).to(self.mean))

    def at(self, z: Tensor) -> Samples:
        """The points that standard normal z (n, *event) stand for."""
        return self.mean.to(z) + self.deviation * z


def _point(mean: Tensor, rng: Randomness, n: int) -> Samples:
    return mean.expand(n, *mean.shape).clone()


def to_smoothed(
    denoiser: Denoiser, mean: Tensor, *, tau: float, sigma: float, drift: Velocity | None = None
) -> Process:
    r"""Stage 1: from the data's mean to :math:`q_\sigma = p * N(0, \sigma^2 I)`, the Föllmer process.

    All points x, and y = m + (x - m)/t, are taken about the mean m, so that the process begins there.

    Args:
        denoiser: D, which at the start is asked for nothing: there D = m.
        mean: m, (*event).
        tau: Variance of the noise in a unit of time.
        sigma: Width of the smoothing.
        drift: Another form of the drift, in the same coordinates, as of `forms`; the denoiser's own if None.

    Raises:
        UsageError: If sigma^2 >= tau.
    """
    exact, delta = DenoiserDrift(denoiser, tau, sigma, mean), tau - sigma**2

    def onwards(x: Samples, end: Samples, t: float, u: float) -> tuple[Samples, float]:
        now, then, h = tau - t * delta, tau - u * delta, u - t
        return mean + then / now * (x - mean) + tau * h / now * (end - mean), tau * h * then / now

    pinned = Pinned(exact.predict, onwards)
    return Process(partial(_point, mean), drift or exact, lambda t: tau, pinned=pinned)


def to_data(denoiser: Denoiser, start: Start, *, sigma: float) -> Process:
    """Stage 2: from the smoothed data to the data.

    Args:
        denoiser: D.
        start: The law of the smoothed data, or points that stage 1 made.
        sigma: Width of the smoothing.

    Raises:
        UsageError: If sigma is not positive.
    """
    if not 0 < sigma < math.inf:
        raise UsageError(f"sigma {sigma}: give a positive width")

    return _noisy(denoiser, start, lambda t: sigma * math.sqrt(1 - t), lambda t: -0.5 / (1 - t))


def variance_exploding(denoiser: Denoiser, start: Start, *, high: float) -> Process:
    """Noise of falling level: time is the level s itself, from `high` to 0.

    Args:
        denoiser: D.
        start: The law at the highest level, for example `Noisy`.
        high: That level.

    Raises:
        UsageError: If it is not positive.
    """
    if not 0 < high < math.inf:
        raise UsageError(f"highest level {high}: give a positive number")

    return _noisy(denoiser, start, lambda t: t, lambda t: 1 / t, (high, 0.0))


def _noisy(
    denoiser: Denoiser,
    start: Start,
    level: Callable[[float], float],
    rate: Callable[[float], float],
    ends: tuple[float, float] = (0.0, 1.0),
) -> Process:
    r"""Data with noise of a level s(t) on them, whose rate is :math:`r = \mathrm{d}\ln s/\mathrm{d}t`.

    The flow is :math:`r\,(x - D)`, the drift twice that, the score :math:`(D - x)/s^2`, the noise :math:`2 s^2 |r|`.
    """

    def predict(x: Samples, t: float = 0.0) -> Samples:
        return denoiser(x, level(t))

    def flow(x: Samples, t: float = 0.0) -> Samples:
        return rate(t) * (x - predict(x, t))

    def drift(x: Samples, t: float = 0.0) -> Samples:
        return 2 * flow(x, t)

    def score(x: Samples, t: float = 0.0) -> Samples:
        return (predict(x, t) - x) / level(t) ** 2

    pinned = Pinned(predict, lambda x, end, t, u: towards(x, end, level(t), level(u)))
    return Process(
        start, drift, lambda t: 2 * level(t) ** 2 * abs(rate(t)), ends, flow, score, pinned, level, closed=False
    )
