r"""One explicit step of dx/dt = v(x, t): Euler (order 1), Heun (2), Runge-Kutta (4), Adams-Bashforth (2 to 5).

.. math:: x_{n+1} = x_n + \sum_j b_j\, v_{n-j}, \qquad b_j = \int_{t_n}^{t_{n+1}} \prod_{i \ne j}
    \frac{t - t_{n-i}}{t_{n-j} - t_{n-i}}\,\mathrm dt

is Adams-Bashforth on any grid of times: the polynomial through the last velocities, integrated exactly.

The orders are those along one field v(x, t). A field that depends on where all points are has to be found afresh at
each stage, as `Particles(refit=True)` does; held through the step it leaves Heun and Runge-Kutta the order 1, and
Adams-Bashforth, whose first steps are Runge-Kutta ones, the order 2.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.parallel.doubles import finest
from pushforward.settings.groups import Scheme
from pushforward.types import Samples, Scores, Velocity

__all__ = [
    "AdamsBashforth",
    "Counted",
    "Integrator",
    "Lawful",
    "Remembering",
    "Scheme",
    "calls",
    "euler",
    "fresh",
    "heun",
    "integrate",
    "named",
    "quadrature",
    "rk4",
]

Integrator: TypeAlias = Callable[[Velocity, Samples, float, float], Samples]
"""(velocity, x, t, dt) -> x at t + dt."""


def euler(velocity: Velocity, x: Samples, t: float, dt: float) -> Samples:
    """x + dt v(x, t): order 1, one evaluation."""
    return x + dt * velocity(x, t)


def heun(velocity: Velocity, x: Samples, t: float, dt: float) -> Samples:
    """The trapezoid rule with an Euler predictor: order 2, two evaluations."""
    first = velocity(x, t)
    return x + dt / 2 * (first + velocity(x + dt * first, t + dt))


def rk4(velocity: Velocity, x: Samples, t: float, dt: float) -> Samples:
    """The classical Runge-Kutta scheme: order 4, four evaluations."""
    a = velocity(x, t)
    b = velocity(x + dt / 2 * a, t + dt / 2)
    c = velocity(x + dt / 2 * b, t + dt / 2)
    d = velocity(x + dt * c, t + dt)
    return x + dt / 6 * (a + 2 * (b + c) + d)


@runtime_checkable
class Remembering(Protocol):
    """A scheme that uses what it saw on the way: each trajectory needs one of its own."""

    def fresh(self) -> Integrator: ...


@runtime_checkable
class Lawful(Protocol):
    """A scheme that leaves the law of a density as it is, along a field that does not depend on where points are."""

    log_density: Callable[[Samples], Scores]


@runtime_checkable
class Counted(Protocol):
    """A scheme that says how often a step calls the velocity; one with a memory, once it has that."""

    @property
    def calls(self) -> int: ...


@dataclass
class AdamsBashforth:
    """The explicit multistep scheme of order 2 to 5: one evaluation a step, and the last velocities kept.

    The first steps, before there are enough of them, are Runge-Kutta ones, so that the order is reached from the start.
    Steps may differ in length: the weights are those of the times at hand.

    Attributes:
        order: Number of velocities used.
        past: The last velocities and their times, the newest last.

    Raises:
        UsageError: If the order is not 2 to 5.
    """

    order: int
    past: list[dict[str, Tensor]] = field(default_factory=list, repr=False)

    def __post_init__(self) -> None:
        if not 2 <= self.order <= 5:
            raise UsageError(f"Adams-Bashforth of order {self.order}: the orders are 2 to 5; order 1 is euler")

    @property
    def calls(self) -> int:
        """One call in a step, and four in each of the first ones."""
        return 1

    def fresh(self) -> AdamsBashforth:
        """The scheme for another trajectory."""
        return AdamsBashforth(self.order)

    def __call__(self, velocity: Velocity, x: Samples, t: float, dt: float) -> Samples:
        """One step, (n, *event), from time t to t + dt, which may lie before; without time nothing moves or is kept."""
        if not dt:
            velocity(x, t)  # whoever listens hears of every step
            return x
        if self.past and (t - float(self.past[-1]["time"])) * dt <= 0:
            self.past.clear()  # another trajectory, or this one from its beginning
        if len(self.past) < self.order - 1:
            seen: list[Samples] = []

            def watched(x: Samples, t: float = 0.0) -> Samples:
                seen.append(velocity(x, t))
                return seen[-1]

            moved = rk4(watched, x, t, dt)
            self._keep(t, seen[0])
            return moved
        self._keep(t, velocity(x, t))
        weights = quadrature([float(moment["time"]) for moment in self.past], t, dt)
        moved = x
        for weight, moment in zip(weights, self.past, strict=True):
            moved = moved + weight * moment["velocity"]
        return moved

    def _keep(self, t: float, v: Samples) -> None:
        self.past.append({"time": torch.tensor(t, dtype=finest(v.device)), "velocity": v})
        del self.past[: -self.order]


def quadrature(times: Sequence[float], t: float, dt: float) -> list[float]:
    """Weights on values at `times` that integrate polynomials through them exactly from t to t + dt."""
    nodes = (np.asarray(times, np.float64) - t) / dt
    powers = np.arange(len(nodes))
    return (dt * np.linalg.solve(nodes[None, :] ** powers[:, None], 1 / (powers + 1.0))).tolist()


def named(scheme: Scheme | str) -> Integrator:
    """The integrator that a name stands for; one with a memory is new."""
    return AdamsBashforth(int(scheme[2])) if scheme.startswith("ab") else SCHEMES[scheme]


SCHEMES: dict[str, Integrator] = {"euler": euler, "heun": heun, "rk4": rk4}


CALLS: tuple[tuple[Integrator, int], ...] = ((euler, 1), (heun, 2), (rk4, 4))


def calls(scheme: Integrator) -> int | None:
    """How often a step calls the velocity, with a memory once there is one; None where a scheme does not say."""
    return scheme.calls if isinstance(scheme, Counted) else next((n for known, n in CALLS if known is scheme), None)


def fresh(scheme: Integrator) -> Integrator:
    """The scheme for a new trajectory: one without memory is itself."""
    return scheme.fresh() if isinstance(scheme, Remembering) else scheme


def integrate(
    velocity: Velocity, x: Samples, *, until: float, steps: int, start: float = 0.0, scheme: Integrator = euler
) -> Samples:
    """Follow a velocity from time `start` to `until` in equal steps.

    Args:
        velocity: The field (x, t) -> dx/dt.
        x: Points, (n, *event).
        until: Last time.
        steps: Number of steps.
        start: First time.
        scheme: `euler`, `heun`, `rk4` or an `AdamsBashforth`.
    """
    dt, scheme = (until - start) / steps, fresh(scheme)
    for k in range(steps):
        x = scheme(velocity, x, start + k * dt, dt)
    return x
