"""The implicit step between Gaussians: the line's formula, optimality in any dimension, fixed point, samples."""

from __future__ import annotations

import pytest
import torch
from scipy.linalg import sqrtm

from pushforward.dynamics.integrate import euler
from pushforward.dynamics.jko import gaussian_kl, jko_step
from pushforward.errors import DataError, UsageError
from pushforward.flows.jko import GaussianJKO
from pushforward.randomness import Noise


def real(*values):
    return torch.tensor(values, dtype=torch.float64)


def spd(seed, dim=4):
    draw = Noise(seed, dtype=torch.float64).normal(dim, dim + 2)
    return draw @ draw.T / dim + 0.1 * torch.eye(dim, dtype=torch.float64)


def w2_squared(q, p):
    """Bures' distance, by scipy's matrix root."""
    root = torch.from_numpy(sqrtm(q[1].numpy()).real)
    cross = torch.from_numpy(sqrtm((root @ p[1] @ root).numpy()).real)
    return (q[0] - p[0]).square().sum() + q[1].trace() + p[1].trace() - 2 * cross.trace()


@pytest.mark.parametrize("tau", [0.01, 0.3, 5.0])
@pytest.mark.parametrize("s", [0.1, 1.0, 3.0])
def test_on_the_line_it_is_the_known_recursion(tau, s):
    (mean, covariance), _ = jko_step((real(2.0), real([s**2])), (real(0.0), real([1.0])), tau)
    wanted = (s + (s**2 + 4 * tau * (1 + tau)) ** 0.5) / (2 * (1 + tau))
    assert mean.item() == pytest.approx(2 / (1 + tau), rel=1e-12)
    assert covariance.sqrt().item() == pytest.approx(wanted, rel=1e-12)


def test_no_gaussian_nearby_is_better_in_four_dimensions():
    q, p, tau = (spd(1)[0], spd(2)), (spd(3)[0], spd(4)), 0.4

    def objective(law):
        return w2_squared(law, q) / (2 * tau) + gaussian_kl(law, p)

    (mean, covariance), _ = jko_step(q, p, tau)
    best = objective((mean, covariance))
    for seed in range(6):
        rng = Noise(seed, dtype=torch.float64)
        shift, bend = 1e-3 * rng.normal(4), 1e-3 * rng.normal(4, 4)
        change = torch.eye(4, dtype=torch.float64) + bend
        rise = objective((mean + shift, change @ covariance @ change.T)) - best
        assert 0 < rise < 1e-3  # of second order: 1e-6 times a curvature, against 1e-3 times a slope
        assert rise < 2e-4


def test_the_map_carries_q_to_the_step_and_is_optimal():
    q, p, tau = (spd(1)[0], spd(2)), (spd(3)[0], spd(4)), 0.7
    (mean, covariance), field = jko_step(q, p, tau)
    slope = torch.eye(4, dtype=torch.float64) + tau * field.matrix
    torch.testing.assert_close(slope @ q[1] @ slope.T, covariance)
    torch.testing.assert_close(euler(field, q[0][None], 0.0, tau)[0], mean)
    torch.testing.assert_close(slope, slope.T)
    assert torch.linalg.eigvalsh(slope).min() > 0


def test_the_target_is_the_fixed_point_and_every_step_lowers_kl_however_long():
    p = (spd(3)[0], spd(4))
    (mean, covariance), field = jko_step(p, p, 0.7)
    torch.testing.assert_close(mean, p[0])
    torch.testing.assert_close(covariance, p[1])
    assert field.matrix.abs().max() < 1e-12
    for tau in (0.1, 100.0):
        q = (spd(1)[0] + 5, spd(2))
        for _ in range(4):
            fresh, _ = jko_step(q, p, tau)
            assert gaussian_kl(fresh, p) < gaussian_kl(q, p)
            q = fresh
    torch.testing.assert_close(q[1], p[1], rtol=1e-3, atol=1e-3)


def test_a_short_step_is_the_flow_of_kl():
    q, p, tau = (spd(1)[0], spd(2)), (spd(3)[0], spd(4)), 1e-6
    _, field = jko_step(q, p, tau)
    x = Noise(0, dtype=torch.float64).normal(5, 4)
    wanted = -(x - p[0]) @ torch.linalg.inv(p[1]) + (x - q[0]) @ torch.linalg.inv(q[1])
    torch.testing.assert_close(field(x), wanted, rtol=1e-3, atol=1e-4)


def test_an_euler_step_of_the_flow_takes_the_moments_of_samples_to_the_implicit_step():
    p, tau = (spd(3)[0], spd(4)), 0.5
    x, flow = Noise(0, dtype=torch.float64).normal(30, 4) + 2, GaussianJKO(p[0], p[1], tau)
    for _ in range(3):
        q = x.mean(0), (x - x.mean(0)).T @ (x - x.mean(0)) / len(x)
        (mean, covariance), _ = jko_step(q, p, tau)
        x = euler(flow.velocity(x, x), x, 0.0, tau)
        torch.testing.assert_close(flow.logs["divergence"], gaussian_kl(q, p))
        torch.testing.assert_close(x.mean(0), mean)
        torch.testing.assert_close((x - mean).T @ (x - mean) / len(x), covariance)


def test_unusable_laws_are_refused():
    q = (real(0.0, 0.0), torch.eye(2, dtype=torch.float64))
    with pytest.raises(UsageError, match="tau"):
        jko_step(q, q, 0.0)
    with pytest.raises(DataError, match="eigenvalue"):
        jko_step((q[0], torch.ones(2, 2, dtype=torch.float64)), q, 1.0)
