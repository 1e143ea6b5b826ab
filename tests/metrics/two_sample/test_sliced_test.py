"""The sliced test: W1 on the line, relabelled without sorting."""

import pytest
import torch
from scipy import stats

from pushforward.errors import UsageError
from pushforward.metrics.core.permutation import permutation_values, relabellings
from pushforward.metrics.quality.sliced import directions
from pushforward.metrics.two_sample.sliced_test import relabelled_sliced_w1, sliced_test


def normal(n, dim, seed, shift=0.0):
    return torch.randn(n, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + shift


def sliced_by_scipy(q, p, along):
    a, b = (q @ along).numpy(), (p @ along).numpy()
    return sum(stats.wasserstein_distance(a[:, k], b[:, k]) for k in range(along.shape[1])) / along.shape[1]


@pytest.mark.parametrize(("n", "m"), [(40, 40), (30, 50), (2, 37)])
def test_values_are_the_mean_over_directions_of_w1_for_every_labelling(n, m):
    q, p, along = normal(n, 3, 0), normal(m, 3, 1, 0.5), directions(3, 5, 0)
    values = relabelled_sliced_w1(torch.cat([q, p]), relabellings(n, m, 12), along)
    plain = permutation_values(lambda a, b: sliced_by_scipy(a, b, along), q, p, 12)
    torch.testing.assert_close(values, plain, rtol=1e-10, atol=1e-12)


def test_a_shift_on_the_line_costs_its_length():
    x = normal(50, 1, 0)
    assert sliced_test(x + 3, x, permutations=0).value == pytest.approx(3, rel=1e-12)
    assert sliced_test(x, x, permutations=0).value == pytest.approx(0, abs=1e-12)


def test_any_budget_gives_the_same_values():
    pool, along = normal(70, 4, 0), directions(4, 9, 0)
    labels = relabellings(30, 40, 11)
    whole = relabelled_sliced_w1(pool, labels, along)
    for budget in (1, 64 * 12 * 20, 64 * 12 * 70 * 4):
        torch.testing.assert_close(relabelled_sliced_w1(pool, labels, along, budget=budget), whole)


def test_tied_points_cost_nothing_in_any_order():
    x = torch.tensor([[0.0]] * 6 + [[1.0]] * 6, dtype=torch.float64)
    values = relabelled_sliced_w1(x, relabellings(6, 6, 50), torch.ones(1, 1, dtype=torch.float64))
    labels = relabellings(6, 6, 50)
    shares = labels[:, :6].double().mean(1)
    torch.testing.assert_close(values, (2 * shares - 1).abs())


def test_p_value_is_the_rank_of_the_value_and_the_floor_the_mean_of_the_rest():
    measure = sliced_test(normal(40, 3, 0, 0.6), normal(50, 3, 1), projections=10, permutations=80)
    null = measure.detail["null"]
    assert measure.p == (1 + int((null >= measure.value).sum())) / 81
    assert measure.floor == pytest.approx(null.mean().item())
    assert 0 < measure.floor < measure.value
    assert measure.protocol["projections"] == 10


def test_value_scales_with_the_data():
    q, p = normal(40, 3, 0, 0.2), normal(50, 3, 1)
    one, ten = (sliced_test(s * q, s * p, projections=10, permutations=20) for s in (1, 10))
    assert ten.value == pytest.approx(10 * one.value)
    assert ten.p == one.p


def test_progress_ends_at_one_and_no_direction_is_refused():
    told = []
    sliced_test(normal(40, 3, 0), normal(50, 3, 1), projections=7, permutations=5, budget=64, tick=told.append)
    assert told == sorted(told)
    assert told[-1] == 1.0
    with pytest.raises(UsageError, match="projections is 0"):
        sliced_test(normal(4, 3, 0), normal(5, 3, 1), projections=0)
