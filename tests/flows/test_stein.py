"""Stein flows: exact moments under a linear kernel, decay of KL, known collapse, KSD by hand."""

from __future__ import annotations

import pytest
import torch

from pushforward.dynamics.integrate import euler
from pushforward.dynamics.jko import gaussian_kl
from pushforward.flows.stein import KSDFlow, ScoreFlow, SteinFlow
from pushforward.geometry import Linear, energy, imq, rbf
from pushforward.geometry.stein import squared_ksd, stein_sums
from pushforward.randomness import Noise

COVARIANCE = torch.tensor([[1.5, 0.6], [0.6, 0.8]], dtype=torch.float64)
MEAN = torch.tensor([1.0, -2.0], dtype=torch.float64)


def score(x):
    return -(x - MEAN) @ torch.linalg.inv(COVARIANCE)


def standard(x):
    return -x


def draw(n, dim=2, seed=0):
    return Noise(seed, dtype=torch.float64).normal(n, dim)


def moments(x):
    return x.mean(0), (x - x.mean(0)).T @ (x - x.mean(0)) / len(x)


def test_a_linear_kernel_recovers_mean_and_covariance():
    q, flow = draw(30), SteinFlow(score, Linear(1.0))
    for _ in range(3000):
        q = euler(flow.velocity(q, q), q, 0.0, 0.05)
    mean, covariance = moments(q)
    torch.testing.assert_close(mean, MEAN, rtol=0, atol=1e-6)
    torch.testing.assert_close(covariance, COVARIANCE, rtol=0, atol=1e-6)


def test_kl_between_gaussians_falls_at_the_rate_of_the_squared_discrepancy():
    """Under a linear kernel Gaussians stay Gaussian, and KL is a function of the moments."""
    q, flow, dt = draw(50) * 1.3 - 0.5, SteinFlow(score, Linear(0.7)), 1e-5
    before = gaussian_kl(moments(q), (MEAN, COVARIANCE))
    moved = euler(flow.velocity(q, q), q, 0.0, dt)
    rate = (gaussian_kl(moments(moved), (MEAN, COVARIANCE)) - before) / dt
    torch.testing.assert_close(rate, -flow.logs["ksd2"], rtol=1e-3, atol=0)


def test_the_stein_kernel_agrees_with_automatic_derivatives():
    x, y = draw(4), draw(5, seed=1)
    for kernel in (rbf(0.9), imq(1.1, 0.7)):

        def one(a, b, kernel=kernel):
            a, b = a.clone().requires_grad_(True), b.clone().requires_grad_(True)
            k = kernel.profile((a - b).square().sum())
            (da, db) = torch.autograd.grad(k, (a, b), create_graph=True)
            trace = sum(torch.autograd.grad(da[i], b, retain_graph=True)[0][i] for i in range(2))
            s, r = score(a), score(b)
            return k * (s @ r) + s @ db + r @ da + trace

        wanted = torch.stack([torch.stack([one(a, b).detach() for b in y]).mean() for a in x])
        torch.testing.assert_close(stein_sums(kernel, x, score(x), y, score(y)), wanted, rtol=1e-9, atol=1e-9)


def test_the_linear_discrepancy_is_the_mean_of_its_stein_kernel():
    x, c = draw(9), 0.3
    s = score(x)
    pairs = (x @ x.T + c) * (s @ s.T) + (s * x).sum(1)[:, None] + (s * x).sum(1) + 2
    torch.testing.assert_close(squared_ksd(Linear(c), x, s), pairs.mean(), rtol=1e-12, atol=0)


def test_the_discrepancy_has_mean_zero_under_the_law_itself():
    """The Stein kernel integrates to zero in either argument."""
    root = torch.linalg.cholesky(COVARIANCE)
    many, at = draw(200_000, seed=3) @ root.T + MEAN, draw(5) * 2
    sums = stein_sums(imq(1.0), at, score(at), many, score(many))
    assert sums.abs().max() < 0.05
    assert stein_sums(imq(1.0), at, standard(at), many, standard(many)).abs().max() > 1


def test_stein_descent_with_a_radial_kernel_is_right_on_the_line():
    q, flow = draw(100, 1) * 0.5 + 3, SteinFlow(standard)
    for _ in range(1000):
        q = euler(flow.velocity(q, q), q, 0.0, 0.3)
    assert q.mean().abs() < 0.02
    assert q.var().item() == pytest.approx(1.0, abs=0.08)


@pytest.mark.parametrize(("dim", "low", "high"), [(2, 0.85, 1.05), (10, 0.3, 0.55), (50, 0.03, 0.15)])
def test_known_limitation_its_variance_collapses_in_high_dimensions(dim, low, high):
    """A hundred samples of N(0, I): about 0.93, 0.43 and 0.09 of the variance are left in 2, 10 and 50 dimensions."""
    q, flow = draw(100, dim), SteinFlow(standard, watch=False)
    for _ in range(600):
        q = euler(flow.velocity(q, q), q, 0.0, 1.0)
    assert low < q.var(0, correction=0).mean() < high


def test_ksd_descent_reaches_a_gaussian_and_its_value_falls():
    q, flow, values = draw(60) * 0.5, KSDFlow(score, rbf(1.5)), []
    for _ in range(400):
        q = euler(flow.velocity(q, q), q, 0.0, 0.05)
        values.append(flow.logs["divergence"])
    assert (torch.stack(values).diff() <= 0).all()
    assert values[-1] < 0.05 * values[0]
    mean, covariance = moments(q)
    torch.testing.assert_close(mean, MEAN, rtol=0, atol=0.1)
    torch.testing.assert_close(covariance.diagonal(), COVARIANCE.diagonal(), rtol=0.25, atol=0)


def test_a_score_flow_is_the_score():
    x = draw(7)
    assert torch.equal(ScoreFlow(score).velocity(x, x)(x), score(x))


def test_unsuited_kernels_leave_the_logs_empty():
    q = draw(20)
    flow = SteinFlow(score, energy(), watch=False)
    flow.velocity(q, q)
    assert not flow.logs
