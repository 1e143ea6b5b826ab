"""The closed forms agree with quadrature, with each other, and with numbers worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.optimize import minimize_scalar
from scipy.stats import norm, wasserstein_distance

from pushforward.divergences import HELLINGER, JS, KL, PEARSON, REVERSE_KL, W1, alpha
from pushforward.geometry.kernels import rbf
from pushforward.oracles import Translation, cloud, dirac, dirac_gaussian, dudley_diracs, line, mmd_diracs, w1_line

MANY = pytest.mark.parametrize("divergence", [KL, REVERSE_KL, JS, HELLINGER, PEARSON, alpha(2), alpha(10)], ids=str)


def cloud_of(n: int, dim: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize(("point", "value"), [(0.0, 0.64787), (1.0, 0.90331), (3.0, 2.51002)])
def test_dirac_against_the_standard_gaussian(point, value):
    assert dirac_gaussian(point) == pytest.approx(value, abs=5e-6)


@pytest.mark.parametrize(("point", "mean", "std", "slope"), [(0.3, -1.0, 0.5, 2.0), (4.0, 0.0, 2.0, 0.1), (9, 0, 1, 3)])
def test_dirac_against_a_gaussian_is_the_integral(point, mean, std, slope):
    mass, _ = quad(
        lambda x: math.exp(-slope * abs(x - point)) * norm.pdf(x, mean, std),
        mean - 14 * std,
        max(mean + 14 * std, point + 14 * std),
        points=[point],
        epsabs=1e-14,
        limit=400,
    )
    assert dirac_gaussian(point, mean, std, slope) == pytest.approx(-math.log(mass), rel=1e-8)


def test_dirac_for_kl_is_minus_log_mean_exp_of_the_distances():
    point, p = torch.tensor([1.0, -2.0, 0.5]), cloud_of(40, 3)
    distance = (p - point).norm(dim=1)
    wanted = -math.log((-0.7 * distance).exp().mean())
    assert dirac(KL, point, p, 0.7) == pytest.approx(wanted, abs=1e-12)


@MANY
def test_dirac_is_the_best_height_of_the_cone(divergence):
    point, p = torch.tensor([1.0, -2.0]), cloud_of(40, 2)
    cone = -0.7 * (p - point).norm(dim=1)

    def negative(c: float) -> float:
        return float(divergence.conjugate(c + cone).mean()) - c

    low = -cone.max().item()
    found = minimize_scalar(negative, bounds=(low, low + min(divergence.domain, 20)), options={"xatol": 1e-12})
    assert dirac(divergence, point, p, 0.7) == pytest.approx(-found.fun, abs=1e-8)


@MANY
def test_dirac_is_what_both_solvers_find(divergence):
    point, p = torch.tensor([0.4]), cloud_of(30, 1)
    wanted = dirac(divergence, point, p, 1.3)
    on_the_line = line(divergence, point, p, 1.3)
    assert on_the_line.lower == pytest.approx(wanted, abs=1e-11)
    found = cloud(divergence, point[None], p, 1.3)
    assert found.lower - 1e-9 <= wanted <= found.upper + 1e-9
    assert found.gap < 3e-3


@MANY
def test_two_diracs_are_their_distance_times_the_slope(divergence):
    a, b = torch.tensor([1.0, 2.0]), torch.tensor([[4.0, -2.0]])
    assert dirac(divergence, a, b, 0.6) == pytest.approx(3.0, abs=1e-12)
    assert dirac(W1, a, b, 0.6) == pytest.approx(3.0, abs=1e-12)


@pytest.mark.parametrize("gap", [0.0, 0.4, 1.0, 1.7, 6.0])
def test_huber_is_the_best_linear_critic(gap):
    # phi = a x, |a| <= L: a delta - a^2 s^2 / 2 by the Gaussian's log-mean-exp
    pair = Translation(gap, std=1.3, slope=0.8)
    a = np.linspace(0, 0.8, 800_001)
    assert pair.divergence == pytest.approx((a * gap - a**2 * 1.3**2 / 2).max(), abs=1e-11)


def test_huber_by_hand():
    assert Translation(2.0).divergence == pytest.approx(1.5)
    assert Translation(0.5).divergence == pytest.approx(0.125)
    assert Translation(10.0, std=2.0, slope=3.0).divergence == pytest.approx(50 / 4)


@pytest.mark.parametrize(("gap", "slack"), [(2.0, 0.03), (0.5, 0.02)])
def test_huber_is_what_the_line_finds_between_quantiles(gap, slack):
    p = torch.from_numpy(norm.ppf((np.arange(300) + 0.5) / 300))
    found = line(KL, p + gap, p)
    assert found.gap < 1e-6
    assert found.lower == pytest.approx(Translation(gap).divergence, abs=slack)


@pytest.mark.parametrize(("std", "slope"), [(1.0, 1.0), (0.7, 3.0), (2.0, 0.5), (2.0, math.inf)])
def test_flow_between_gaussians_slides_at_its_speed_and_loses_twice_its_kinetic_energy(std, slope):
    start, h = Translation(5.0, std, slope), 1e-5
    for time in (0.0, 0.5, 2.0, 8.0, 30.0):
        now, later = start.after(time), start.after(time + h)
        assert (now.gap - later.gap) / h == pytest.approx(now.speed, rel=1e-4)
        assert (now.divergence - later.divergence) / h == pytest.approx(2 * now.kinetic, rel=1e-4)
        assert now.after(1.5).gap == pytest.approx(start.after(time + 1.5).gap, rel=1e-12)
        assert now.speed <= slope


def test_euler_steps_shrink_the_gap_by_their_factor_and_tend_to_the_flow():
    assert Translation(0.5, std=2.0).step(1.0).gap == pytest.approx(0.5 * (1 - 1.0 / 4))
    assert Translation(5.0).step(0.3).gap == pytest.approx(4.7)
    errors = []
    for steps in (50, 100):
        pair = Translation(3.0)
        for _ in range(steps):
            pair = pair.step(4.0 / steps)
        errors.append(pair.gap - Translation(3.0).after(4.0).gap)
    assert errors[0] / errors[1] == pytest.approx(2, rel=0.1)


@pytest.mark.parametrize("r", [0.1, 1.0, 2.0, 30.0])
def test_dudley_metric_of_diracs_is_the_best_split_of_slope_and_bound(r):
    c = np.linspace(0, 1, 1_000_001)
    assert dudley_diracs(r) == pytest.approx(np.minimum(c * r, 2 * (1 - c)).max(), abs=1e-5 * r)


def test_mmd_of_diracs_is_that_of_the_kernel():
    x, y = torch.zeros(1, 2, dtype=torch.float64), torch.tensor([[0.6, 0.8]], dtype=torch.float64)
    k = rbf(0.7)
    squared = k(x, x) + k(y, y) - 2 * k(x, y)
    assert mmd_diracs(1.0, 0.7) == pytest.approx(squared.sqrt().item(), rel=1e-12)
    assert mmd_diracs(1e-4, 1.0) == pytest.approx(1e-4, rel=1e-6)
    assert mmd_diracs(100.0) == pytest.approx(math.sqrt(2))


def test_transport_on_the_line_is_the_mean_gap_of_sorted_samples():
    q, p = cloud_of(50, 1, 1)[:, 0], cloud_of(50, 1, 2)[:, 0] * 2 + 1
    assert w1_line(q, p) == pytest.approx((q.sort().values - p.sort().values).abs().mean().item(), rel=1e-12)
    assert w1_line(q[:20], p) == pytest.approx(wasserstein_distance(q[:20], p), rel=1e-12)
    assert line(W1, q[:20], p, 1.7).lower == pytest.approx(1.7 * w1_line(q[:20], p), rel=1e-9)
