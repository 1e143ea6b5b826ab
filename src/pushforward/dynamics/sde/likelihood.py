r"""The density of a denoiser's model, by the flow that carries noise to data without noise on the way.

With :math:`\lambda = \ln s` the points of the probability flow obey :math:`dx/d\lambda = x - D(x; s)`, and their
density falls by the divergence of that. In the coordinates :math:`z = (x - m)/r`, :math:`r^2 = s^2 + c^2`, where m is
the mean of the data and c about their width, what is left to integrate is what tells the data from N(m, c^2 I):

.. math::
    \frac{dz}{d\lambda} &= \frac1r\Bigl(\frac{c^2}{r^2}(x - m) - (D - m)\Bigr), \\
    \log p(x) &= \log N(z_{\text{high}}; 0, I) - d\ln r_{\text{low}}
    - \int\Bigl(\operatorname{tr}\partial_x D - \frac{c^2}{r^2}d\Bigr)d\lambda
    \quad\text{from}\ \ln s_{\text{low}}\ \text{to}\ \ln s_{\text{high}}.

References:
    Score-based generative modeling through stochastic differential equations (Song et al., 2021), arXiv:2011.13456.
    FFJORD: free-form continuous dynamics for scalable reversible generative models (Grathwohl et al., 2019),
    arXiv:1810.01367.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward.dynamics.integrate import Integrator, integrate, rk4
from pushforward.errors import UsageError
from pushforward.parallel.doubles import fine
from pushforward.types import Denoiser, Randomness, Samples, Scores

__all__ = ["Reach", "log_prob"]


@dataclass(frozen=True, eq=False)
class Reach:
    r"""Between which levels the flow is followed, and what is assumed at its far end.

    Attributes:
        low: The level of the points that are asked for, above 0.
        high: A level at which the law is taken to be :math:`N(m, (s^2 + c^2)I)`. What that misses falls as 1/high for
            a wrong mean, as 1/high^2 for a variance that is not c^2 everywhere, as 1/high^3 for skewness.
        mean: m, (*event); None for 0.
        spread: c, about the standard deviation of a coordinate, 0 or more. Where data are N(m, c^2 I) nothing is left
            to integrate; with a wrong c more steps, and a higher end, give the same.

    Raises:
        UsageError: If levels or spread are none that may be.
    """

    low: float
    high: float
    mean: Tensor | None = None
    spread: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.low < self.high < math.inf:
            raise UsageError(f"levels {self.low} to {self.high}: give 0 < low < high")
        if not 0 <= self.spread < math.inf:
            raise UsageError(f"spread is {self.spread}: give the standard deviation of the data, 0 or more")


def log_prob(
    denoiser: Denoiser,
    x: Samples,
    ends: Reach,
    *,
    steps: int = 64,
    probes: int = 0,
    rng: Randomness | None = None,
    scheme: Integrator = rk4,
    rows: int | None = None,
) -> Scores:
    r"""Log density, in nats, of the law that the probability flow of a denoiser has at the level `ends.low`.

    It is a density of :math:`p * N(0, s_{\text{low}}^2 I)`, at points that are taken to be samples of that: clean data
    are given their noise first, or `low` is far below what tells them apart. Data on a grid, as pixels of L values,
    have no density: dequantise them (add uniform noise of one cell), and with cells of width w a bound on the bits of
    a dimension is `pushforward.metrics.likelihood.density.bits_per_dim(-(mean + d * log(w)), d)`, of the mean of what
    is answered here; for 256 values from -1 to 1, w = 2 / 255. A denoiser that knows the grid needs a low level of
    about :math:`w/\sqrt{12}`, or it finds next to nothing between its points.

    Args:
        denoiser: D(y; s), differentiable in y, a row by itself; it is asked in the type of x.
        x: Points (n, *event).
        ends: Levels, and the law at the far end.
        steps: Steps, of equal length in ln s.
        probes: Random directions, signs +-1, for the trace: unbiased at every step, with one pass back for each. 0 for
            the exact trace, with one pass back for each of the d numbers of a sample.
        rng: Where directions come from; they are kept along the way of a point.
        scheme: The integrator.
        rows: Points that are followed at once; None for all, as a denoiser that knows their classes needs.

    Returns:
        (n,) in the finest type of the device.

    Raises:
        UsageError: If counts are none, probes lack a source, or the denoiser's answer has no slope.
    """
    if steps < 1 or probes < 0 or (rows is not None and rows < 1):
        raise UsageError(
            f"steps {steps}, probes {probes}, rows {rows}: give 1 or more steps and rows, 0 or more probes"
        )
    if probes and rng is None:
        raise UsageError(f"{probes} probes and no source for them: give rng=, or probes=0 for the exact trace")
    d = x.shape[1:].numel()
    signs = x.new_zeros(len(x), 0, d)
    if probes and rng is not None:
        signs = 1 - 2 * (rng.uniform(len(x), probes, d).to(x) < 0.5).to(x)
    size = max(1, len(x)) if rows is None else rows
    parts = zip(x.split(size), signs.split(size), strict=True)
    return torch.cat([_followed(denoiser, part, ends, directions, steps, scheme) for part, directions in parts])


def _followed(
    denoiser: Denoiser, x: Samples, ends: Reach, directions: Tensor, steps: int, scheme: Integrator
) -> Scores:
    """Log densities of some points, whose way and integral are followed as one state (n, d + 1)."""
    mean = fine(x.new_zeros(x.shape[1:]) if ends.mean is None else ends.mean.to(x.device)).flatten()
    d, low, shape, kind = len(mean), math.hypot(ends.low, ends.spread), x.shape, x.dtype

    def velocity(x: Samples, t: float = 0.0) -> Samples:
        s = math.exp(t)
        r = math.hypot(s, ends.spread)
        normal = (ends.spread / r) ** 2  # the slope of D where data are N(m, c^2 I)
        offset = r * x[:, :d]
        clean, trace = _traced(denoiser, (mean + offset).view(shape).to(kind), s, directions)
        way = (normal * offset - (fine(clean).flatten(1) - mean)) / r
        return torch.cat([way, normal * d - fine(trace)[:, None]], 1)

    begin = torch.cat([(fine(x).flatten(1) - mean) / low, fine(x.new_zeros(len(x), 1))], 1)
    first, last = math.log(ends.low), math.log(ends.high)
    end = integrate(velocity, begin, start=first, until=last, steps=steps, scheme=scheme)
    standard = -0.5 * end[:, :d].square().sum(1) - 0.5 * d * math.log(2 * math.pi)
    return standard - d * math.log(low) + end[:, d]


def _traced(denoiser: Denoiser, y: Samples, s: float, directions: Tensor) -> tuple[Samples, Scores]:
    """D(y; s), and the trace of its slope (n,): exact, or its mean over directions (n, k, d)."""
    with torch.enable_grad():
        y = y.detach().requires_grad_(True)
        clean = denoiser(y, s)
        if not clean.requires_grad:
            raise UsageError("the denoiser's answer has no slope in y: give one that does not compute under no_grad")
        flat, k = clean.flatten(1), directions.shape[1]
        trace = flat.new_zeros(len(flat))
        for j in range(k or flat.shape[1]):
            along = directions[:, j] if k else torch.zeros_like(flat)
            if not k:
                along[:, j] = 1.0
            (back,) = torch.autograd.grad(flat, y, along, retain_graph=True)
            trace = trace + (back.flatten(1) * along).sum(1)
    return clean.detach(), trace / k if k else trace
