r"""Down from one noise level to the next: what a denoiser says of a step, whatever the clock.

Where x is a data point with noise of level s, D(x; s) held over the step takes it to level u < s by

.. math:: x' = x + \Bigl(1 - \frac{u^2}{s^2}\Bigr)(D - x) + \sqrt{v}\,\varepsilon, \qquad
    v = \frac{u^2}{s^2}(s^2 - u^2) \ \text{(exact where the data are one point)}, \quad v = s^2 - u^2\ \text{(Euler)}.

Both stages of the two-stage bridge are such steps: with :math:`s^2 = \sigma^2(1-t)` in the second one, and in the
coordinates x/t with :math:`s^2 = \sigma^2 + \tau(1-t)/t` in the first, which begins at :math:`s = \infty`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from pushforward.errors import UsageError
from pushforward.types import Samples

__all__ = ["ancestral", "euler_maruyama", "linear_variance", "pairs_of", "power", "towards"]


def ancestral(x: Samples, denoised: Samples, s: float, u: float, noise: Samples) -> Samples:
    """x at level u, (n, *event), from x at level s: the law of the way to D, which at u = 0 is D itself.

    Args:
        x: Points at level s, (n, *event).
        denoised: D(x; s).
        s: Their level.
        u: The next one, 0 <= u < s.
        noise: Standard normal numbers, (n, *event).
    """
    mean, variance = towards(x, denoised, s, u)
    return mean + math.sqrt(variance) * noise


def towards(x: Samples, end: Samples, s: float, u: float) -> tuple[Samples, float]:
    """Mean (n, *event) and variance of the law at level u of points x at level s, on their way to the end."""
    kept = (u / s) ** 2
    return x + (1 - kept) * (end - x), kept * (s * s - u * u)


def euler_maruyama(x: Samples, denoised: Samples, s: float, u: float, noise: Samples) -> Samples:
    """The same with all the noise of the stochastic differential equation, also in the last step, as published."""
    return x + (1 - (u / s) ** 2) * (denoised - x) + math.sqrt(s * s - u * u) * noise


def power(steps: int, high: float, low: float, rho: float = 7.0) -> list[float]:
    r"""Levels :math:`(h^{1/\rho} + \tfrac{k}{N-1}(l^{1/\rho} - h^{1/\rho}))^\rho`, k = 0..N-1, and 0: N steps.

    Args:
        steps: N.
        high: First level h.
        low: Last level l above 0.
        rho: How close together the low ones are; 1 is uniform.

    Raises:
        UsageError: If the levels are not in order.

    References:
        Elucidating the design space of diffusion-based generative models (Karras et al., 2022), arXiv:2206.00364.
    """
    if not 0 < low <= high < math.inf or steps < 1 or not rho > 0:
        raise UsageError(f"levels {high} to {low} in {steps} steps, rho {rho}: need 0 < low <= high, a step, rho > 0")
    top, bottom = high ** (1 / rho), low ** (1 / rho)
    ends = [(top + k / max(steps - 1, 1) * (bottom - top)) ** rho for k in range(steps)]
    return [high, *ends[1:], 0.0]


def linear_variance(steps: int, high: float) -> list[float]:
    r"""Levels :math:`h\sqrt{1 - k/N}`, k = 0..N: the published ladder of stage 2, uniform in its time."""
    if not 0 < high < math.inf or steps < 1:
        raise UsageError(f"{steps} steps from level {high}: need a positive one, and a step")
    return [high * math.sqrt(1 - k / steps) for k in range(steps + 1)]


def pairs_of(levels: Sequence[float]) -> list[tuple[float, float]]:
    """Pairs (s, u) of a ladder, each level with the next.

    Raises:
        UsageError: If levels do not fall, or one but the last is not positive.
    """
    pairs = list(pairwise(levels))
    if not pairs or any(not 0 <= u < s < math.inf for s, u in pairs):
        raise UsageError(f"levels {list(levels)[:6]}: give at least two that fall, the last of them 0 or more")
    return pairs
