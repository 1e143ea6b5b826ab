"""Entropic transport: optimality, closed forms, limits, blocks, precision."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from pushforward.errors import DataError, UsageError
from pushforward.geometry.sinkhorn import default_epsilon, entropic_map, potentials, soft_min
from pushforward.metrics.quality.transport import wasserstein


def normal(n, dim, seed, scale=1.0, shift=0.0):
    draw = torch.randn(n, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return draw * scale + shift


def plan(x, y, found):
    cost = torch.cdist(x, y).square() / 2
    return torch.exp((found.f[:, None] + found.g - cost) / found.epsilon) / (len(x) * len(y)), cost


@pytest.mark.parametrize(("n", "m", "dim", "share"), [(30, 50, 2, 0.05), (40, 25, 20, 0.05), (30, 30, 1, 0.1)])
def test_plan_has_uniform_marginals_and_its_cost_is_the_value(n, m, dim, share):
    x, y = normal(n, dim, 0), normal(m, dim, 1, 1.5, 0.5)
    found = potentials(x, y, default_epsilon(x, y, share), tolerance=1e-9, iterations=20_000)
    mass, cost = plan(x, y, found)
    torch.testing.assert_close(mass.sum(1), torch.full((n,), 1 / n, dtype=torch.float64), rtol=1e-6, atol=0)
    torch.testing.assert_close(mass.sum(0), torch.full((m,), 1 / m, dtype=torch.float64), rtol=1e-6, atol=0)
    primal = (mass * cost).sum() + found.epsilon * (mass * (mass * n * m).log()).sum()
    assert found.value == pytest.approx(primal.item(), rel=1e-8)
    assert found.error < 1e-9


def test_two_points_against_the_same_two_are_done_by_hand():
    x = torch.tensor([[0.0], [1.0]], dtype=torch.float64)
    for epsilon in (0.05, 0.3, 4.0):
        wanted = -epsilon * math.log((1 + math.exp(-0.5 / epsilon)) / 2)
        assert potentials(x, x.clone(), epsilon, tolerance=1e-12).value == pytest.approx(wanted, rel=1e-10)
        assert potentials(x, None, epsilon, tolerance=1e-12).value == pytest.approx(wanted, rel=1e-10)


def test_one_point_pays_the_mean_cost_whatever_epsilon():
    x, y = torch.tensor([[1.0, -2.0]], dtype=torch.float64), normal(20, 2, 0)
    for epsilon in (0.01, 1.0, 100.0):
        assert potentials(x, y, epsilon).value == pytest.approx((x - y).square().sum(1).mean().item() / 2, rel=1e-10)


def test_value_between_gaussians_is_the_closed_form():
    # The best plan is Gaussian; its covariance c solves c² + eps c = a² b².
    a, b, shift, epsilon = 1.0, 0.6, 0.7, 0.4
    levels = (np.arange(800) + 0.5) / 800
    x = torch.from_numpy(stats.norm.ppf(levels))[:, None] * a
    y = torch.from_numpy(stats.norm.ppf(levels))[:, None] * b + shift
    c = (-epsilon + (epsilon**2 + 4 * a**2 * b**2) ** 0.5) / 2
    wanted = (a**2 + b**2 + shift**2) / 2 - c - epsilon / 2 * math.log(1 - (c / (a * b)) ** 2)
    assert potentials(x, y, epsilon).value == pytest.approx(wanted, rel=4e-3)  # of the 800 points


def test_value_falls_to_half_the_squared_distance_as_epsilon_falls():
    x, y = normal(12, 2, 0), normal(12, 2, 1, 1.0, 1.0)
    exact = wasserstein(x, y) ** 2 / 2
    values = [potentials(x, y, epsilon, tolerance=1e-3).value - exact for epsilon in (0.3, 0.03, 0.003)]
    assert values[0] > values[1] > values[2] > 0
    assert values[2] < 0.003 * math.log(12) * 1.01  # KL of a permutation from the product is log n


def test_map_goes_from_the_mean_to_the_assignment_as_epsilon_falls():
    x, y = normal(10, 2, 0), normal(10, 2, 1, 1.0, 3.0)
    wide, sharp = (potentials(x, y, epsilon) for epsilon in (1e5, 1e-3))
    torch.testing.assert_close(entropic_map(x, y, wide.g, 1e5), y.mean(0).expand(10, 2), rtol=0, atol=1e-3)
    sent = entropic_map(x, y, sharp.g, 1e-3)
    assert (sent - x).square().sum(1).mean().item() == pytest.approx(wasserstein(x, y) ** 2, rel=1e-3)


def test_gradient_of_the_potential_is_the_move_to_the_map():
    x, y, h = normal(9, 3, 0).requires_grad_(), normal(14, 3, 1), normal(14, 1, 2)[:, 0]
    cost = torch.cdist(x, y).square() / 2
    dense = -0.7 * (torch.logsumexp((h - cost) / 0.7, 1) - math.log(14))
    (slope,) = torch.autograd.grad(dense.sum(), x)
    torch.testing.assert_close(soft_min(x, y, h, 0.7), dense.detach(), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(x.detach() - entropic_map(x, y, h, 0.7), slope, rtol=1e-10, atol=1e-12)


def test_sample_against_itself_equals_two_copies_and_has_equal_potentials():
    x = normal(60, 2, 0)
    alone, twice = (potentials(x, y, 0.1, tolerance=1e-10) for y in (None, x.clone()))
    assert alone.value == pytest.approx(twice.value, rel=1e-9)
    assert torch.equal(alone.f, alone.g)
    assert alone.iterations < 40


@pytest.mark.parametrize("dim", [2, 40])
def test_blocks_and_kept_products_change_nothing(dim):
    x, y = normal(70, dim, 0, 1.0, 3.0), normal(50, dim, 1, 1.3, 2.5)
    epsilon = default_epsilon(x, y)
    whole, parts = (potentials(x, y, epsilon, tolerance=1e-9, budget=budget) for budget in (2**26, 8 * 50 * 7))
    torch.testing.assert_close(parts.f, whole.f, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(parts.g, whole.g, rtol=1e-9, atol=1e-9)
    few = entropic_map(x, y, whole.g, epsilon, budget=8 * 50 * 3)
    torch.testing.assert_close(few, entropic_map(x, y, whole.g, epsilon), rtol=1e-12, atol=0)


def test_annealing_and_relaxation_do_not_change_the_answer():
    x, y = normal(80, 1, 0), normal(80, 1, 1, 1.5, 0.5)
    quick, slow = (potentials(x, y, 0.2, tolerance=1e-8, annealing=factor).value for factor in (0.05, 0.9))
    assert quick == pytest.approx(slow, rel=1e-12)
    bare = torch.zeros(80, dtype=torch.float64)
    for _ in range(1000):  # plain alternation
        bare = soft_min(x, y, soft_min(y, x, bare, 0.2), 0.2)
    assert float(bare.mean() + soft_min(y, x, bare, 0.2).mean()) == pytest.approx(quick, rel=1e-10)


def test_relaxed_updates_are_far_fewer_than_plain_ones():
    x, y = normal(200, 2, 0), normal(200, 2, 1, 1.3, 0.5)
    epsilon = default_epsilon(x, y)
    found, f, g, plain = potentials(x, y, epsilon), torch.zeros(200).double(), torch.zeros(200).double(), 0
    while True:
        f, plain = soft_min(x, y, g, epsilon), plain + 1
        last, g = g, soft_min(y, x, f, epsilon)
        if torch.expm1((last - g) / epsilon).abs().mean() < 1e-4:
            break
    assert found.error < 1e-4
    assert found.iterations < 0.6 * plain


@pytest.mark.parametrize("dim", [2, 64])
def test_single_precision_far_from_the_origin_agrees_with_double(dim):
    x, y = normal(100, dim, 0), normal(90, dim, 1, 1.3, 0.5)
    epsilon = default_epsilon(x, y)
    double = potentials(x, y, epsilon)
    single = potentials(x.float() + 100, y.float() + 100, epsilon)
    assert single.f.dtype == torch.float32
    assert single.value == pytest.approx(double.value, rel=1e-4)
    alone = potentials(x.float(), None, epsilon, tolerance=1e-12)  # finer than rounding: it must stop all the same
    assert alone.iterations < 100


def test_too_few_iterations_are_reported():
    x, y = normal(40, 2, 0), normal(40, 2, 1, 1.0, 1.0)
    found = potentials(x, y, 0.01, iterations=5)
    assert (found.iterations, found.error > 1e-3) == (5, True)


def test_default_epsilon_is_a_share_of_the_mean_cost_within_the_pool():
    x, y = normal(30, 3, 0), normal(20, 3, 1, 2.0, 1.0)
    pool = torch.cat([x, y])
    wanted = 0.05 * (torch.cdist(pool, pool).square() / 2).mean().item()
    assert default_epsilon(x, y) == pytest.approx(wanted, rel=1e-10)
    assert default_epsilon(y, x) == pytest.approx(wanted, rel=1e-10)
    assert default_epsilon(3 * x, 3 * y) == pytest.approx(9 * wanted, rel=1e-10)


def test_what_has_no_answer_is_refused():
    x = normal(5, 2, 0)
    with pytest.raises(UsageError, match="epsilon is 0"):
        potentials(x, x, 0.0)
    with pytest.raises(UsageError, match="iterations 0"):
        potentials(x, x, 1.0, iterations=0)
    with pytest.raises(DataError, match="one event shape"):
        potentials(x, normal(5, 3, 0), 1.0)
    with pytest.raises(DataError, match="all 10 points coincide"):
        default_epsilon(torch.zeros(5, 2), torch.zeros(5, 2))
