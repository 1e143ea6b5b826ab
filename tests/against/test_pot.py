"""The same numbers from POT, where it is installed."""

import numpy as np
import pytest
import torch

from pushforward.errors import DataError
from pushforward.geometry.sinkhorn import potentials
from pushforward.metrics.quality.sinkhorn import sinkhorn_divergence
from pushforward.metrics.quality.sliced import directions, sliced_wasserstein
from pushforward.metrics.quality.transport import wasserstein, wasserstein_1d

ot = pytest.importorskip("ot")


def normal(n, dim, seed, scale=1.0, shift=0.0):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((n, dim)) * scale + shift)


def uniform(n):
    return np.full(n, 1 / n)


@pytest.mark.parametrize(("n", "m"), [(120, 120), (120, 77), (30, 90)])
@pytest.mark.parametrize("dim", [1, 3, 16])
def test_exact_distances_are_those_of_the_network_simplex(n, m, dim):
    q, p = normal(n, dim, 0), normal(m, dim, 1, 1.5, 0.5)
    squared, plain = (ot.dist(q.numpy(), p.numpy(), metric=metric) for metric in ("sqeuclidean", "euclidean"))
    w2_squared = ot.emd2(uniform(n), uniform(m), squared, numItermax=10**6)
    w1 = ot.emd2(uniform(n), uniform(m), plain, numItermax=10**6)
    assert wasserstein(q, p) == pytest.approx(w2_squared**0.5, rel=1e-10)
    assert wasserstein(q, p, order=1) == pytest.approx(w1, rel=1e-10)


@pytest.mark.filterwarnings("ignore:numItermax")
def test_a_network_simplex_that_stops_early_is_no_answer():
    with pytest.raises(DataError, match="50 to 40 rows stopped after 10 pivots"):
        wasserstein(normal(50, 2, 0), normal(40, 2, 1), pivots=10)


def test_unequal_sizes_agree_with_the_assignment_of_repeated_rows():
    q, p = normal(20, 2, 0), normal(30, 2, 1, 1.5)
    repeated = wasserstein(q.repeat_interleave(3, 0), p.repeat_interleave(2, 0))
    assert wasserstein(q, p) == pytest.approx(repeated, rel=1e-10)
    line = q[:, :1], p[:, :1]
    assert wasserstein(*line, order=3) == pytest.approx(wasserstein_1d(*line, order=3), rel=1e-10)


@pytest.mark.parametrize(("n", "m"), [(80, 80), (80, 53)])
def test_sliced_distance_is_the_same_along_the_same_directions(n, m):
    q, p, along = normal(n, 5, 0), normal(m, 5, 1, 1.5, 0.5), directions(5, 40, 0)
    wanted = ot.sliced_wasserstein_distance(q.numpy(), p.numpy(), projections=along.numpy(), p=2)
    assert sliced_wasserstein(q, p, along)[0] == pytest.approx(float(wanted), rel=1e-10)


def test_sliced_distance_of_a_shift_is_its_length_over_the_root_of_the_dimension():
    x, shift = normal(50, 4, 0), torch.tensor([1.0, -2.0, 0.5, 0.0], dtype=torch.float64)
    along = directions(4, 3000, 1)
    value, error = sliced_wasserstein(x + shift, x, along)
    theirs = ot.sliced_wasserstein_distance((x + shift).numpy(), x.numpy(), projections=along.numpy())
    assert value == pytest.approx(float(theirs), rel=1e-10)
    assert abs(value - shift.norm().item() / 4**0.5) < 3 * error


@pytest.mark.parametrize(("n", "m", "dim"), [(60, 60, 2), (50, 35, 6)])
def test_entropic_cost_and_plan_are_those_of_sinkhorn_at_half_the_cost(n, m, dim):
    q, p, epsilon = normal(n, dim, 0), normal(m, dim, 1, 1.3, 0.5), 0.5
    cost = torch.cdist(q, p).square() / 2
    plan = ot.sinkhorn(uniform(n), uniform(m), cost.numpy(), epsilon, numItermax=20_000, stopThr=1e-14)
    found = potentials(q, p, epsilon, tolerance=1e-12, iterations=20_000)
    ours = torch.exp((found.f[:, None] + found.g - cost) / epsilon) / (n * m)
    np.testing.assert_allclose(ours.numpy(), plan, rtol=1e-8, atol=1e-300)
    value = float((plan * cost.numpy()).sum() + epsilon * (plan * np.log(plan * n * m)).sum())
    assert found.value == pytest.approx(value, rel=1e-10)


def test_divergence_is_that_of_three_entropic_costs():
    q, p, epsilon = normal(40, 2, 0), normal(55, 2, 1, 1.3, 0.5), 0.4

    def value(x, y):
        cost = ot.dist(x.numpy(), y.numpy()) / 2
        found = ot.solve(cost, uniform(len(x)), uniform(len(y)), reg=epsilon, reg_type="KL", max_iter=20_000, tol=1e-14)
        return float(found.value)

    wanted = value(q, p) - (value(q, q) + value(p, p)) / 2
    found = sinkhorn_divergence(q, p, epsilon, tolerance=1e-12, iterations=20_000)
    assert found.value == pytest.approx(wanted, rel=1e-10)


def test_divergence_of_transport_costs_alone_is_their_empirical_one():
    # POT's divergence leaves the entropy out of its three values and takes |x - y|², so epsilon doubles.
    q, p, epsilon = normal(40, 2, 0), normal(55, 2, 1, 1.3, 0.5), 0.4

    def moved(x, y):
        found = potentials(x, y, epsilon, tolerance=1e-12, iterations=20_000)
        cost = torch.cdist(x, y).square()
        return float((torch.exp((found.f[:, None] + found.g - cost / 2) / epsilon) * cost).mean())

    wanted = ot.bregman.empirical_sinkhorn_divergence(
        q.numpy(), p.numpy(), 2 * epsilon, numIterMax=20_000, stopThr=1e-14
    )
    assert moved(q, p) - (moved(q, q) + moved(p, p)) / 2 == pytest.approx(float(wanted), rel=1e-9)
