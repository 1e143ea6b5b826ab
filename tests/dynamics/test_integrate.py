"""Explicit schemes: exact on polynomials in time up to their order, and on the exponential up to its Taylor terms."""

from __future__ import annotations

import math

import pytest
import torch

from pushforward.dynamics.integrate import euler, heun, integrate, rk4

SCHEMES = pytest.mark.parametrize(("scheme", "order"), [(euler, 1), (heun, 2), (rk4, 4)], ids=["euler", "heun", "rk4"])
X = torch.tensor([[1.0], [-2.0]], dtype=torch.float64)


@SCHEMES
def test_a_step_of_exponential_growth_is_its_taylor_polynomial(scheme, order):
    wanted = sum(0.3**k / math.factorial(k) for k in range(order + 1))
    torch.testing.assert_close(scheme(lambda x, t: x, X, 0.0, 0.3), wanted * X, rtol=1e-14, atol=0)


@SCHEMES
def test_a_power_of_time_below_the_order_is_integrated_exactly(scheme, order):
    def power(x, t):
        return torch.full_like(x, t ** (order - 1))

    found = integrate(power, X, start=1.0, until=2.5, steps=3, scheme=scheme)
    torch.testing.assert_close(found, X + (2.5**order - 1) / order, rtol=1e-13, atol=0)


@SCHEMES
def test_the_next_power_of_time_is_not_exact(scheme, order):
    found = integrate(lambda x, t: torch.full_like(x, t**order), X, until=1.0, steps=1, scheme=scheme)
    assert (found - X - 1 / (order + 1)).abs().min() > 1e-3


@SCHEMES
def test_integration_runs_backward_when_it_ends_before_it_starts(scheme, order):
    there = integrate(lambda x, t: x * t, X, start=0.0, until=1.0, steps=64, scheme=scheme)
    back = integrate(lambda x, t: x * t, there, start=1.0, until=0.0, steps=64, scheme=scheme)
    torch.testing.assert_close(back, X, rtol=3 * 64.0**-order, atol=0)


@SCHEMES
def test_points_are_not_changed_in_place(scheme, order):
    x = X.clone()
    integrate(lambda x, t: -x, x, until=1.0, steps=3, scheme=scheme)
    assert torch.equal(x, X)
