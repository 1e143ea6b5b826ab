"""Sinkhorn divergence: zero, sign, symmetry, shifts, both limits, error and floor."""

import numpy as np
import pytest
import torch

from pushforward.errors import DataError
from pushforward.metrics.quality.sinkhorn import sinkhorn, sinkhorn_divergence
from pushforward.metrics.quality.transport import wasserstein


def normal(n, dim, seed, scale=1.0, shift=0.0):
    draw = torch.randn(n, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return draw * scale + shift


def divergence(q, p, epsilon, **options):
    return sinkhorn_divergence(q, p, epsilon, **{"tolerance": 1e-9, "iterations": 20_000} | options).value


def test_divergence_of_a_sample_from_itself_is_zero():
    x = normal(50, 3, 0)
    assert divergence(x, x.flip(0), 0.2) == pytest.approx(0, abs=1e-10)


def test_divergence_is_positive_and_symmetric():
    for seed in range(5):
        q, p = normal(30, 2, 2 * seed), normal(40, 2, 2 * seed + 1)
        value = divergence(q, p, 0.1)
        assert value > 1e-3
        assert divergence(p, q, 0.1) == pytest.approx(value, rel=1e-8)


def test_divergence_of_a_translate_is_half_its_squared_length_whatever_epsilon():
    x, shift = normal(40, 3, 0), torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    for epsilon in (0.3, 1.0, 50.0):
        assert divergence(x.flip(0) + shift, x, epsilon) == pytest.approx(shift.square().sum().item() / 2, rel=1e-8)


def test_divergence_tends_to_half_the_squared_distance_as_epsilon_falls():
    q, p = normal(15, 2, 0), normal(15, 2, 1, 1.5, 1.0)
    exact = wasserstein(q, p) ** 2 / 2
    errors = [abs(divergence(q, p, epsilon, tolerance=1e-4) - exact) for epsilon in (0.5, 0.05, 0.005)]
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 1e-3 * exact


def test_divergence_tends_to_half_the_squared_distance_of_the_means_as_epsilon_grows():
    q, p = normal(30, 2, 0), normal(25, 2, 1, 2.0, 1.0)
    wanted = (q.mean(0) - p.mean(0)).square().sum().item() / 2
    assert divergence(q, p, 1e5) == pytest.approx(wanted, rel=1e-3)


def test_divergence_scales_with_the_square_of_the_unit():
    q, p = normal(30, 2, 0), normal(25, 2, 1, 2.0)
    assert divergence(3 * q, 3 * p, 0.9) == pytest.approx(9 * divergence(q, p, 0.1), rel=1e-8)


def test_error_is_the_spread_over_fresh_samples():
    runs = [sinkhorn_divergence(normal(100, 2, 2 * i, 1.0, 1.0), normal(80, 2, 2 * i + 1), 0.2) for i in range(100)]
    assert np.mean([run.se for run in runs]) == pytest.approx(np.std([run.value for run in runs]), rel=0.25)


def test_value_of_a_perfect_sampler_is_near_the_floor_and_a_bad_one_is_far():
    real, train = normal(200, 2, 1), normal(2000, 2, 2)
    good = [sinkhorn(normal(200, 2, 100 + i), real, train=train, repeats=6) for i in range(6)]
    values, floor = [measure.value for measure in good], good[0].floor
    assert abs(np.mean(values) - floor) < 4 * np.std(values, ddof=1) * (1 / 6 + 1 / 6) ** 0.5
    assert good[0].protocol["floor"] == "train 200 vs real 200, mean of 6"
    bad = sinkhorn(normal(200, 2, 3, shift=1.0), real, train=train)
    assert bad.value - floor > 5 * bad.se > 0
    assert bad.protocol["epsilon"] == good[0].protocol["epsilon"]  # real's alone, so that models compare


def test_protocol_names_cost_and_epsilon_and_owns_up_to_a_plan_that_did_not_converge():
    done = []
    measure = sinkhorn(normal(60, 2, 0), normal(90, 2, 1), epsilon=0.3, max_n=50, tick=done.append)
    assert (measure.n_fake, measure.n_real, measure.protocol["epsilon"]) == (50, 50, 0.3)
    assert {"cost", "tolerance", "floor", "seed", "max_n"} <= measure.protocol.keys()
    assert "note" not in measure.protocol
    assert done == [0.25, 0.5, 0.75, 1.0]
    rough = sinkhorn(normal(60, 2, 0), normal(90, 2, 1, 1.0, 3.0), epsilon=1e-3, iterations=3)
    assert "raise epsilon or iterations" in rough.protocol["note"]
    with pytest.raises(DataError, match="points coincide"):
        sinkhorn(normal(5, 2, 0), torch.zeros(5, 2))
