r"""Steps of a process from time t to u: Euler and Maruyama, exponential, stochastic Heun, probability flow, and more.

With h = |u - t| and standard normal noise:

=====================  =======================================================================  ==============
step                   x at u                                                                   weak order
=====================  =======================================================================  ==============
`EulerMaruyama`        :math:`x + b\,(u-t) + \sqrt{a(t)h}\,\varepsilon`                         1
`Exponential`          drawn from the bridge from x to the predicted end                        1
`StochasticHeun`       both ends' drift averaged, with one and the same noise                   2
`ProbabilityFlow`      along the flow, without noise                                            of its scheme
`Multistep`            along the flow, D being a line in ln s through the last two              2, by one call
`Churn`                up by some noise, then down along the flow                               of its scheme
`PredictorCorrector`   a step, then Langevin steps on the score at u                            none, see it
=====================  =======================================================================  ==============
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Protocol, runtime_checkable

from torch import Tensor

from pushforward.dynamics.integrate import Integrator, euler, fresh, heun
from pushforward.dynamics.integrate import calls as calls_of
from pushforward.dynamics.sde.process import Pinned, Process
from pushforward.errors import UsageError
from pushforward.types import Randomness, Samples, Velocity

__all__ = [
    "Churn",
    "EulerMaruyama",
    "Exponential",
    "Multistep",
    "PredictorCorrector",
    "ProbabilityFlow",
    "Remembering",
    "Sampler",
    "StochasticHeun",
]


class Sampler(Protocol):
    """One step: points at time u from points at time t."""

    def calls(self, process: Process, t: float, u: float) -> int:
        """How often the step asks the process for a drift, a flow, a score or an end."""
        ...

    def __call__(self, process: Process, x: Samples, t: float, u: float, rng: Randomness) -> Samples: ...


@runtime_checkable
class Remembering(Protocol):
    """A step that uses what it saw on the way: each path needs one of its own."""

    def fresh(self) -> Sampler: ...


@dataclass(frozen=True)
class EulerMaruyama:
    """The drift and the noise of the first time, for the whole step. Weak order 1."""

    def calls(self, process: Process, t: float, u: float) -> int:
        """One."""
        return 1

    def __call__(self, process: Process, x: Samples, t: float, u: float, rng: Randomness) -> Samples:
        """Points (n, *event) at u."""
        deviation = math.sqrt(process.diffusion(t) * abs(u - t))
        return x + (u - t) * process.drift(x, t) + deviation * _noise(x, rng)


@dataclass(frozen=True)
class Exponential:
    """The end predicted once, and the exact law of the way to it: exact for any step where the data are one point.

    Down a ladder of noise levels this is ancestral sampling; its last step answers with the prediction itself.
    """

    def calls(self, process: Process, t: float, u: float) -> int:
        """One."""
        return 1

    def __call__(self, process: Process, x: Samples, t: float, u: float, rng: Randomness) -> Samples:
        """Points (n, *event) at u."""
        pinned = _pinned(process, "exponential steps")
        mean, variance = pinned.towards(x, pinned.predict(x, t), t, u)
        return mean + math.sqrt(variance) * _noise(x, rng) if variance > 0 else mean


@dataclass(frozen=True)
class StochasticHeun:
    """The mean of the drift at both ends of the step, the second one found by Euler with the same noise.

    Weak order 2, as the noise does not depend on x; where the drift has no value at the end, the last step is Euler's.
    """

    def calls(self, process: Process, t: float, u: float) -> int:
        """Two, or one into an end where nothing is defined."""
        return 1 + process.callable_at(u)

    def __call__(self, process: Process, x: Samples, t: float, u: float, rng: Randomness) -> Samples:
        """Points (n, *event) at u."""
        shaken = x + math.sqrt(process.diffusion((t + u) / 2) * abs(u - t)) * _noise(x, rng)
        first = process.drift(x, t)
        there = shaken + (u - t) * first
        if not process.callable_at(u):
            return there
        return shaken + (u - t) / 2 * (first + process.drift(there, u))


@dataclass(frozen=True)
class ProbabilityFlow:
    """Along the flow that carries every law of the process into the next, without noise.

    Attributes:
        scheme: `integrate.euler`, `heun` or `rk4`; where the flow has no value at the end, the last step is Euler's.
    """

    scheme: Integrator = heun

    def fresh(self) -> ProbabilityFlow:
        """The step for another path, of a scheme that remembers."""
        return replace(self, scheme=fresh(self.scheme))

    def calls(self, process: Process, t: float, u: float) -> int:
        """As many as the scheme's, or one into an end where nothing is defined."""
        return (calls_of(self.scheme) or 1) if process.callable_at(u) else 1

    def __call__(self, process: Process, x: Samples, t: float, u: float, rng: Randomness) -> Samples:
        """Points (n, *event) at u."""
        return (self.scheme if process.callable_at(u) else euler)(_flow(process), x, t, u - t)


@dataclass
class Multistep:
    r"""Down the noise levels along the flow, with one call a step: order 2, and exact where D does not change.

    .. math:: x' = \frac us\,x + \Bigl(1 - \frac us\Bigr)\Bigl(D + \frac{h}{2h_-}(D - D_-)\Bigr), \qquad
        h = \ln\frac su,

    :math:`D_-` being the prediction of the step before and :math:`h_-` its h. The first step, and one to the level 0,
    take D alone.

    Attributes:
        past: :math:`D_-` and :math:`h_-`; None before the first step.

    References:
        DPM-Solver++: fast solver for guided sampling of diffusion probabilistic models (Lu et al., 2022),
        arXiv:2211.01095.
    """

    past: tuple[Samples, float] | None = field(default=None, repr=False)

    def fresh(self) -> Multistep:
        """The step for another path."""
        return Multistep()

    def calls(self, process: Process, t: float, u: float) -> int:
        """One."""
        return 1

    def __call__(self, process: Process, x: Samples, t: float, u: float, rng: Randomness) -> Samples:
        """Points (n, *event) at u."""
        if process.level is None:
            raise UsageError("multistep: this process is not data with noise on them; use exponential or stochastic")
        s, low = process.level(t), process.level(u)
        found = _pinned(process, "multistep").predict(x, t)
        if low <= 0:
            return found
        h, led = math.log(s / low), found
        if self.past is not None:
            led = found + h / (2 * self.past[1]) * (found - self.past[0])
        self.past = (found, h)
        return led + low / s * (x - led)


@dataclass(frozen=True)
class Churn:
    r"""For a process whose time is its noise level: up from s to :math:`s(1 + \gamma)`, then down along the flow.

    Noise that is put in anew corrects what earlier steps got wrong; too much of it blurs.

    Attributes:
        amount: gamma, at most :math:`\sqrt2 - 1` as published.
        low: Levels below it are left alone.
        high: Levels above it are left alone.
        inflation: Factor on the noise that is put in.
        scheme: Of the way down.

    Raises:
        UsageError: If the amount is negative, or the levels are not in order.

    References:
        Elucidating the design space of diffusion-based generative models (Karras et al., 2022), arXiv:2206.00364.
    """

    amount: float
    low: float = 0.0
    high: float = math.inf
    inflation: float = 1.0
    scheme: Integrator = heun

    def __post_init__(self) -> None:
        if not 0 <= self.amount < math.inf or not 0 <= self.low <= self.high or not 0 < self.inflation < math.inf:
            raise UsageError(
                f"churn {self.amount} between {self.low} and {self.high}, inflation {self.inflation}: "
                "give amounts from 0 on, low <= high, and a positive inflation"
            )

    def calls(self, process: Process, t: float, u: float) -> int:
        """Those of the way down."""
        return ProbabilityFlow(self.scheme).calls(process, t, u)

    def __call__(self, process: Process, x: Samples, t: float, u: float, rng: Randomness) -> Samples:
        """Points (n, *event) at level u."""
        if process.ends[1] >= process.ends[0]:
            raise UsageError("churn: needs a process whose time is its noise level, such as variance_exploding")
        if self.amount and self.low <= t <= self.high:
            up = t * (1 + self.amount)
            x, t = x + self.inflation * math.sqrt(up * up - t * t) * _noise(x, rng), up
        return ProbabilityFlow(self.scheme)(process, x, t, u, rng)


@dataclass(frozen=True)
class PredictorCorrector:
    r"""A step, and then Langevin steps at its end: :math:`x + \epsilon\nabla\log q_u + \sqrt{2\epsilon}\,\varepsilon`.

    :math:`\epsilon = 2\,(r\,\|\varepsilon\| / \|\nabla\log q_u\|)^2`, norms being means over the points. The Langevin
    steps do not shrink with the predictor's: however many there are, a variance is too large by :math:`1/(1 - r^2)`.

    Attributes:
        predictor: The step.
        rounds: Langevin steps after it; none into an end where there is no score.
        ratio: r, signal to noise of a Langevin step.

    References:
        Score-based generative modeling through stochastic differential equations (Song et al., 2021), arXiv:2011.13456.
    """

    predictor: Sampler = field(default_factory=Exponential)
    rounds: int = 1
    ratio: float = 0.16

    def __post_init__(self) -> None:
        if self.rounds < 0 or not 0 < self.ratio < math.inf:
            raise UsageError(f"{self.rounds} rounds of ratio {self.ratio}: give 0 or more rounds, and a positive ratio")

    def fresh(self) -> PredictorCorrector:
        """The step for another path, of a predictor that remembers."""
        inside = self.predictor
        return replace(self, predictor=inside.fresh() if isinstance(inside, Remembering) else inside)

    def calls(self, process: Process, t: float, u: float) -> int:
        """Those of the predictor, and one a round."""
        return self.predictor.calls(process, t, u) + (self.rounds if process.callable_at(u) else 0)

    def __call__(self, process: Process, x: Samples, t: float, u: float, rng: Randomness) -> Samples:
        """Points (n, *event) at u."""
        if process.score is None:
            raise UsageError("predictor and corrector: this process tells no score; use another sampler")
        x = self.predictor(process, x, t, u, rng)
        for _ in range(self.rounds if process.callable_at(u) else 0):
            slope, noise = process.score(x, u), _noise(x, rng)
            length = 2 * (self.ratio * _mean_norm(noise) / _mean_norm(slope)).square()
            x = x + length * slope + (2 * length).sqrt() * noise
        return x


def _noise(x: Samples, rng: Randomness) -> Samples:
    return rng.normal(*x.shape).to(x)


def _mean_norm(x: Samples) -> Tensor:
    return x.flatten(1).norm(dim=1).mean()


def _pinned(process: Process, who: str) -> Pinned:
    if process.pinned is None:
        raise UsageError(f"{who}: this process predicts no end; use EulerMaruyama")
    return process.pinned


def _flow(process: Process) -> Velocity:
    if process.flow is None:
        raise UsageError(
            "probability flow: this process has none, as one that begins at a point; use exponential steps"
        )
    return process.flow
