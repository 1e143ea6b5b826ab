"""One explicit step of dx/dt = v(x, t): Euler (order 1), Heun (2) and the classical Runge-Kutta scheme (4)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from pushforward.types import Samples, Velocity

__all__ = ["Integrator", "euler", "heun", "integrate", "rk4"]

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
        scheme: One of `euler`, `heun`, `rk4`.
    """
    dt = (until - start) / steps
    for k in range(steps):
        x = scheme(velocity, x, start + k * dt, dt)
    return x
