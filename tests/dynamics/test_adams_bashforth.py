"""Adams-Bashforth: the textbook weights, the order of convergence from the first step on, unequal steps, memory."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch

from pushforward.dynamics.integrate import AdamsBashforth, euler, fresh, integrate, quadrature
from pushforward.errors import UsageError

TEXTBOOK = {
    2: np.array([-1, 3]) / 2,
    3: np.array([5, -16, 23]) / 12,
    4: np.array([-9, 37, -59, 55]) / 24,
    5: np.array([251, -1274, 2616, -2774, 1901]) / 720,
}


@pytest.mark.parametrize("order", TEXTBOOK)
def test_weights_on_equal_steps_are_the_textbook_ones(order):
    times = 7.0 + 0.25 * np.arange(order)
    np.testing.assert_allclose(quadrature(times.tolist(), times[-1], 0.25), 0.25 * TEXTBOOK[order], rtol=1e-9)


@pytest.mark.parametrize("order", TEXTBOOK)
def test_a_polynomial_in_time_is_integrated_exactly_over_unequal_steps(order):
    scheme, x, t = AdamsBashforth(order), torch.zeros(1, dtype=torch.float64), 0.0
    for dt in (0.3, 0.1, 0.25, 0.4, 0.05, 0.2, 0.35, 0.15):
        x, t = scheme(lambda x, t=0.0: torch.full_like(x, order * t ** (order - 1)), x, t, dt), t + dt
    # the Runge-Kutta steps at the start are exact up to degree 3; beyond that they carry an error of their own
    assert float(x) == pytest.approx(t**order, rel=1e-12 if order < 5 else 1e-3)


@pytest.mark.parametrize("order", TEXTBOOK)
def test_the_error_falls_with_the_order_of_the_scheme(order):
    def velocity(x: torch.Tensor, t: float = 0.0) -> torch.Tensor:
        return -2 * t * x

    start = torch.ones(1, dtype=torch.float64)
    errors = [
        abs(float(integrate(velocity, start, until=1.0, steps=n, scheme=AdamsBashforth(order))) - math.exp(-1))
        for n in (40, 80, 160)
    ]
    rates = [math.log2(a / b) for a, b in pairwise(errors)]
    assert all(rate == pytest.approx(order, abs=0.35) for rate in rates), rates


def test_each_trajectory_has_a_memory_of_its_own():
    scheme = AdamsBashforth(3)
    x = torch.ones(2, 1)
    for k in range(5):
        x = scheme(lambda x, t=0.0: -x, x, 0.1 * k, 0.1)
    assert len(scheme.past) == 3
    other = fresh(scheme)
    assert isinstance(other, AdamsBashforth)
    assert other.past == []
    assert fresh(euler) is euler


def test_a_scheme_that_starts_over_forgets():
    scheme, x = AdamsBashforth(2), torch.ones(1, 1)
    once = [x := scheme(lambda x, t=0.0: -x, x, 0.1 * k, 0.1) for k in range(4)]
    x = torch.ones(1, 1)
    again = [x := scheme(lambda x, t=0.0: -x, x, 0.1 * k, 0.1) for k in range(4)]
    assert all(torch.equal(a, b) for a, b in zip(once, again))


@pytest.mark.parametrize("order", [0, 1, 6])
def test_orders_outside_the_family_are_refused(order):
    with pytest.raises(UsageError, match="orders are 2 to 5"):
        AdamsBashforth(order)


@pytest.mark.parametrize("order", TEXTBOOK)
def test_steps_of_no_time_are_numbers_and_change_nothing(order):
    def velocity(x: torch.Tensor, t: float = 0.0) -> torch.Tensor:
        return -2 * t * x

    def run(lengths):
        scheme, x, t = AdamsBashforth(order), torch.ones(1, dtype=torch.float64), 0.0
        for dt in lengths:
            x, t = scheme(velocity, x, t, dt), t + dt
        return x

    idle = run([0.0, 0.1, 0.1, 0.0, 0.0, 0.05, 0.1, 0.1, 0.1, 0.0, 0.1, 0.2, 0.0])
    assert torch.equal(idle, run([0.1, 0.1, 0.05, 0.1, 0.1, 0.1, 0.1, 0.2]))


@pytest.mark.parametrize("order", TEXTBOOK)
def test_the_order_is_the_same_backwards_in_time(order):
    calls = []

    def velocity(x: torch.Tensor, t: float = 0.0) -> torch.Tensor:
        calls.append(t)
        return -2 * t * x

    start = torch.full((1,), math.exp(-1), dtype=torch.float64)
    errors = [
        abs(float(integrate(velocity, start, until=0.0, start=1.0, steps=n, scheme=AdamsBashforth(order))) - 1)
        for n in (40, 80, 160)
    ]
    rates = [math.log2(a / b) for a, b in pairwise(errors)]
    assert all(rate == pytest.approx(order, abs=0.35) for rate in rates), rates
    assert len(calls) == 280 + 3 * 3 * (order - 1)  # one a step, and three more in each of the first
