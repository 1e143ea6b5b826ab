r"""A process as data: :math:`dX = b(X, t)\,dt + \sqrt{a(t)}\,dW` from a start law, and what is known of it beside.

Time may run either way: a step from t to u moves by :math:`b\,(u - t)` and adds noise of variance :math:`a\,|u - t|`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from pushforward.types import Randomness, Samples, Velocity

__all__ = ["Pinned", "Process", "Start"]


class Start(Protocol):
    """The law at the first time: (rng, n) -> (n, *event)."""

    def __call__(self, rng: Randomness, n: int) -> Samples: ...


@dataclass(frozen=True)
class Pinned:
    """What is known of the way when its end is: a process whose law given its end D is that of a Gaussian bridge.

    Attributes:
        predict: (x, t) -> D, the mean of the end, (n, *event).
        towards: (x, D, t, u) -> mean (n, *event) and variance of the law of X_u given X_t = x and the end D.
    """

    predict: Velocity
    towards: Callable[[Samples, Samples, float, float], tuple[Samples, float]]


@dataclass(frozen=True)
class Process:
    r"""A diffusion. Only what a sampler uses has to be there.

    Attributes:
        start: The law at the first time.
        drift: b, (x, t) -> (n, *event).
        diffusion: a, t -> variance of the noise in a unit of time.
        ends: First and last time.
        flow: The velocity of the probability flow, :math:`b \mp \tfrac12 a\nabla\log q_t`, under which points have the
            same law q_t at every time; None where there is none.
        score: :math:`\nabla\log q_t`; None where it is not known.
        pinned: The way to a predicted end; None where it is not known.
        level: t -> s where X_t is a data point with normal noise of level s on it; None where it is not.
        closed: Whether drift, flow and score have a value at the last time, so that a step may end with a call there.
    """

    start: Start
    drift: Velocity
    diffusion: Callable[[float], float]
    ends: tuple[float, float] = (0.0, 1.0)
    flow: Velocity | None = None
    score: Velocity | None = None
    pinned: Pinned | None = None
    level: Callable[[float], float] | None = None
    closed: bool = True

    def callable_at(self, t: float) -> bool:
        """Whether its functions have a value at a time."""
        return self.closed or t != self.ends[1]
