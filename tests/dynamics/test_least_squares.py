"""Least squares as a flow: the gradient method is Euler's, the closed form is its limit, schemes keep their orders."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch

from pushforward.dynamics.integrate import euler, heun, integrate, rk4
from pushforward.dynamics.least_squares import LeastSquares
from pushforward.errors import DataError
from pushforward.randomness import Noise


def problem(n=40, k=5, rank=5, seed=0):
    rng = Noise(seed, dtype=torch.float64)
    x = rng.normal(n, rank) @ rng.normal(rank, k)
    return LeastSquares(x, rng.normal(n)), rng.normal(3, k)


@pytest.mark.parametrize("rank", [5, 3])
def test_the_path_solves_the_equation_and_starts_where_it_should(rank):
    task, start = problem(rank=rank)
    torch.testing.assert_close(task.path(0.0, start), start)
    h = 1e-5
    slope = (task.path(0.3 + h, start) - task.path(0.3 - h, start)) / (2 * h)
    torch.testing.assert_close(slope, task.velocity(task.path(0.3, start)), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("rank", [5, 3])
def test_from_zero_it_is_the_closed_form_with_the_pseudo_inverse(rank):
    task, t = problem(rank=rank)[0], 0.4
    gram = task.x.T @ task.x
    shrink = torch.eye(5, dtype=torch.float64) - torch.linalg.matrix_exp(-t * gram / len(task.y))
    wanted = torch.linalg.pinv(gram, rtol=1e-10) @ shrink @ task.x.T @ task.y
    torch.testing.assert_close(task.path(t, torch.zeros(1, 5).double())[0], wanted)
    end = task.path(1e9, torch.zeros(1, 5).double())[0]
    torch.testing.assert_close(end, torch.linalg.pinv(task.x, rtol=1e-10) @ task.y, rtol=1e-5, atol=1e-6)


def test_more_unknowns_than_equations_keep_what_they_cannot_see():
    task, start = problem(n=3, k=5)
    end = task.path(1e9, start)
    assert task.value(end).max() < 1e-12
    _, _, axes = torch.linalg.svd(task.x, full_matrices=True)
    torch.testing.assert_close(end @ axes[3:].T, start @ axes[3:].T)


def test_velocity_is_minus_the_gradient():
    task, start = problem()
    free = start.clone().requires_grad_(True)
    (slope,) = torch.autograd.grad(task.value(free).sum(), free)
    torch.testing.assert_close(task.velocity(start), -slope)


def test_eulers_steps_are_the_gradient_method_bit_for_bit():
    task, start = problem()
    beta, rate = start, 0.01
    for _ in range(50):
        beta = beta + rate * ((task.y - beta @ task.x.T) @ task.x / len(task.y))
    assert torch.equal(integrate(task.velocity, start, until=0.5, steps=50), beta)


@pytest.mark.parametrize(("scheme", "order"), [(euler, 1), (heun, 2), (rk4, 4)])
def test_schemes_approach_the_path_at_their_order(scheme, order):
    task, start = problem()
    top = float(torch.linalg.matrix_norm(task.x, 2)) ** 2 / len(task.y)
    until, exact = 4 / top, task.path(4 / top, start)
    errors = []
    for steps in (16, 32, 64):
        errors.append((integrate(task.velocity, start, until=until, steps=steps, scheme=scheme) - exact).norm().item())
    for coarse, fine in pairwise(errors):
        assert math.log2(coarse / fine) == pytest.approx(order, abs=0.25)


def test_shapes_must_fit():
    with pytest.raises(DataError, match="shape"):
        LeastSquares(torch.ones(3, 2), torch.ones(4))
