"""Transport distances: shifts, the line, unequal sizes, invariances, floors."""

import sys
from functools import partial

import numpy as np
import pytest
import torch
from scipy import stats

from pushforward.errors import DataError, UsageError
from pushforward.metrics.quality.sinkhorn import sinkhorn
from pushforward.metrics.quality.sliced import directions, sliced_w2, sliced_wasserstein
from pushforward.metrics.quality.transport import w1, w2, wasserstein, wasserstein_1d


def normal(n, dim, seed, scale=1.0, shift=0.0):
    draw = torch.randn(n, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return draw * scale + shift


def shuffled(x, seed=9):
    return x[torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))]


def test_exact_distance_to_a_translate_is_the_length_of_the_shift():
    x, shift = normal(60, 3, 0), torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    assert wasserstein(shuffled(x) + shift, x) == pytest.approx(shift.norm().item(), rel=1e-12)
    assert w2(shuffled(x) + shift, x).value == pytest.approx(shift.norm().item(), rel=1e-12)


def test_exact_distance_of_a_stretch_is_that_of_the_gradient_map():
    x = normal(80, 4, 0)
    assert wasserstein(shuffled(3 * x), x) == pytest.approx(2 * x.square().sum(1).mean().sqrt().item(), rel=1e-12)


def test_exact_distance_of_order_one_is_the_earth_movers():
    x, shift = normal(60, 3, 0), torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    for order in (1, 1.5, 2, 3):
        assert wasserstein(shuffled(x) + shift, x, order=order) == pytest.approx(shift.norm().item(), rel=1e-12)
    q, p = torch.tensor([[0.0], [2.0], [3.0]]), torch.tensor([[1.0], [2.0], [5.0]])
    assert wasserstein(q, p, order=1) == pytest.approx((1 + 0 + 2) / 3)
    assert w1(q, p).value == pytest.approx((1 + 0 + 2) / 3)
    assert w2(q, p).value == pytest.approx((5 / 3) ** 0.5)


def test_distance_rises_with_its_order():
    x, y = normal(50, 2, 0), normal(50, 2, 1, 2.0)
    values = [wasserstein(x, y, order=order) for order in (1, 1.5, 2, 4)]
    assert values == sorted(values)
    assert values[0] < 0.95 * values[-1]


def test_unequal_sizes_without_pot_are_refused_with_a_remedy(monkeypatch):
    monkeypatch.setitem(sys.modules, "ot", None)
    with pytest.raises(
        DataError, match=r"q has 10 rows, p 12.*draw equally many, or have POT: python -m pip install POT"
    ):
        wasserstein(normal(10, 2, 0), normal(12, 2, 1))
    assert w2(normal(10, 2, 0), normal(12, 2, 1)).n_real == 10


def test_orders_below_one_are_refused():
    for distance in (wasserstein, wasserstein_1d):
        with pytest.raises(UsageError, match=r"order is 0\.5"):
            distance(normal(3, 1, 0), normal(3, 1, 1), order=0.5)


@pytest.mark.parametrize(("n", "m"), [(40, 40), (13, 29)])
def test_distance_of_order_one_on_the_line_is_that_of_scipy(n, m):
    x, y = normal(n, 1, 0), normal(m, 1, 1, 2.0, 1.0)
    wanted = stats.wasserstein_distance(x[:, 0].numpy(), y[:, 0].numpy())
    assert wasserstein_1d(x, y, order=1) == pytest.approx(wanted, rel=1e-12)


def test_distance_on_the_line_is_the_assignment():
    x, y = normal(70, 1, 0), normal(70, 1, 1, 2.0, 1.0)
    assert wasserstein_1d(x[:, 0], y[:, 0]) == pytest.approx(wasserstein(x, y), rel=1e-12)


@pytest.mark.parametrize(("n", "m"), [(3, 7), (4, 6), (5, 50), (1, 9)])
def test_unequal_sizes_on_the_line_agree_with_repeated_points(n, m):
    x, y = normal(n, 1, 0), normal(m, 1, 1, 2.0, 1.0)
    wanted = wasserstein(x.repeat_interleave(m, 0), y.repeat_interleave(n, 0))
    assert wasserstein_1d(x, y) == pytest.approx(wanted, rel=1e-12)
    assert wasserstein_1d(y, x) == pytest.approx(wanted, rel=1e-12)


def test_two_points_against_one_is_done_by_hand():
    assert wasserstein_1d(torch.tensor([0.0, 2.0]), torch.tensor([0.0])) == pytest.approx(2**0.5)


def test_sliced_distance_on_the_line_is_exact_with_no_error():
    x, y = normal(30, 1, 0), normal(41, 1, 1, 2.0)
    value, error = sliced_wasserstein(x, y, directions(1, 5, 0))
    assert value == pytest.approx(wasserstein_1d(x, y), rel=1e-12)
    assert error == pytest.approx(0, abs=1e-9)


def test_sliced_distance_of_a_shift_is_its_length_over_the_root_of_the_dimension():
    x, shift = normal(50, 6, 0), torch.linspace(-1, 2, 6, dtype=torch.float64)
    value, error = sliced_wasserstein(shuffled(x) + shift, x, directions(6, 2000, 0))
    assert abs(value - shift.norm().item() / 6**0.5) < 3 * error
    assert error < 0.05 * value


def test_error_over_directions_is_the_spread_over_their_seeds():
    x, y = normal(50, 4, 0), normal(60, 4, 1, torch.tensor([1.0, 2.0, 3.0, 0.5], dtype=torch.float64))
    runs = [sliced_wasserstein(x, y, directions(4, 60, seed)) for seed in range(200)]
    assert np.mean([error for _, error in runs]) == pytest.approx(np.std([value for value, _ in runs]), rel=0.2)


def test_unequal_sizes_slice_like_the_sorted_quantile_functions():
    x, y, along = normal(12, 3, 0), normal(30, 3, 1), directions(3, 7, 1)
    each = [wasserstein_1d(x @ theta, y @ theta) ** 2 for theta in along.T]
    assert sliced_wasserstein(x, y, along)[0] == pytest.approx(np.mean(each) ** 0.5, rel=1e-12)


def test_directions_are_uniform_unit_vectors_fixed_by_their_seed():
    along = directions(3, 3000, 5)
    torch.testing.assert_close(along.norm(dim=0), torch.ones(3000, dtype=torch.float64))
    torch.testing.assert_close(directions(3, 3000, 5), along)
    assert stats.kstest(along[0].numpy(), "uniform", args=(-1, 2)).pvalue > 0.01  # Archimedes


def test_order_of_the_rows_does_not_matter():
    x, y = normal(40, 2, 0), normal(40, 2, 1)
    assert wasserstein(shuffled(x), shuffled(y)) == pytest.approx(wasserstein(x, y), rel=1e-12)
    along = directions(2, 9, 0)
    assert sliced_wasserstein(shuffled(x), y, along) == pytest.approx(sliced_wasserstein(x, y, along), rel=1e-12)


@pytest.mark.parametrize("metric", [w1, w2, sliced_w2], ids=["w1", "w2", "sliced_w2"])
def test_value_of_a_perfect_sampler_is_near_the_measured_floor_and_a_bad_one_is_far(metric):
    real, train = normal(300, 2, 1), normal(3000, 2, 2)
    good = [metric(normal(300, 2, 100 + i), real, train=train, repeats=6) for i in range(8)]
    values, floor = [measure.value for measure in good], good[0].floor
    assert abs(np.mean(values) - floor) < 4 * np.std(values, ddof=1) * (1 / 8 + 1 / 6) ** 0.5
    assert good[0].protocol["floor"] == "train 300 vs real 300, mean of 6"
    assert metric(normal(300, 2, 3, shift=1.0), real, train=train).value > 2 * floor


def test_floor_without_a_second_sample_cuts_real_in_two_and_says_so():
    fake, real = normal(200, 2, 0), normal(1000, 2, 1)
    halves = "real 100 vs real 100, mean of 3, scaled to 200 vs 200 by the rate from 50 vs 50"
    assert w2(fake, real[:200]).protocol["floor"] == halves
    assert w2(fake, real).protocol["floor"] == "real 200 vs real 200, mean of 3"
    assert sliced_w2(fake, real).protocol["floor"] == (
        "real 200 vs real 800, mean of 10, scaled to 200 vs 1000 by the rate from 100 vs 400"
    )
    few = w2(fake[:6], real[:6], train=real[6:9])
    assert few.protocol["floor"] == "train 3 vs real 6, mean of 1, too few for 6 vs 6"


def two_modes(n, rng):
    return 10.0 * (rng.random((n, 1)) < 0.5) + rng.normal(size=(n, 1))


def flag(n, rng):
    return np.c_[rng.normal(size=n), rng.random(n) < 0.1]


def ring(n, rng):
    angle = 2 * np.pi * rng.integers(8, size=n) / 8
    return np.c_[np.cos(angle), np.sin(angle)] + 0.02 * rng.normal(size=(n, 2))


def plane(n, rng):
    return rng.normal(size=(n, 2))


def space(n, rng):
    return rng.normal(size=(n, 5))


FLOORS = [
    ("w2", plane, 120, 30), ("w2", space, 120, 30), ("w2", ring, 120, 30), ("w1", plane, 120, 30),
    ("sinkhorn", plane, 60, 20), ("sliced_w2", two_modes, 200, 100), ("sliced_w2", flag, 200, 100),
    ("sliced_w2", plane, 200, 60), ("sliced_w2", ring, 200, 60),
]  # fmt: skip
METRICS = {"w1": w1, "w2": w2, "sinkhorn": sinkhorn, "sliced_w2": partial(sliced_w2, projections=16)}


@pytest.mark.slow
@pytest.mark.parametrize("known", [0, 60], ids=["halves", "small train"])
@pytest.mark.parametrize(("name", "law", "n", "times"), FLOORS, ids=[f"{a}-{b.__name__}" for a, b, *_ in FLOORS])
def test_a_floor_of_fewer_rows_is_what_real_data_of_the_sizes_compared_score(name, law, n, times, known):
    rng, found = np.random.default_rng(1), []
    for seed in range(times):
        train = law(min(known, n // 2), rng) if known else None
        found.append(METRICS[name](law(n, rng), law(n, rng), train=train, seed=seed))
    values, floors = (np.array([getattr(one, key) for one in found]) for key in ("value", "floor"))
    error = np.hypot(values.std(), floors.std()) / times**0.5
    assert abs(values.mean() - floors.mean()) < 3 * error + 0.06 * values.mean()  # the rate itself changes with n
    assert "scaled to" in found[0].protocol["floor"]


@pytest.mark.parametrize("law", [two_modes, plane, ring, flag])
def test_the_error_of_a_sliced_distance_is_at_most_half_too_large_at_the_floor(law):
    rng = np.random.default_rng(2)
    found = [sliced_w2(law(200, rng), law(200, rng), projections=16, seed=seed) for seed in range(100)]
    spread = np.std([one.value for one in found], ddof=1)
    assert 0.9 < np.mean([one.se**2 for one in found]) ** 0.5 / spread < 1.6


def test_sliced_floor_from_halves_is_scaled_to_the_sizes_compared():
    fake, fresh = normal(400, 3, 0), normal(20_000, 3, 5)
    halves = [sliced_w2(fake, normal(400, 3, 10 + i), repeats=10).floor for i in range(10)]
    direct = [sliced_w2(fake, normal(400, 3, 10 + i), train=fresh, repeats=10).floor for i in range(10)]
    assert np.mean(halves) == pytest.approx(np.mean(direct), rel=0.1)  # unscaled it would read 1.41 times as much


def test_large_samples_are_cut_to_the_limit():
    measure = w2(normal(300, 2, 0), normal(200, 2, 1), max_n=50)
    assert (measure.n_fake, measure.n_real, measure.protocol["max_n"]) == (50, 50, 50)
    sliced = sliced_w2(normal(300, 2, 0), normal(200, 2, 1), max_n=250)
    assert (sliced.n_fake, sliced.n_real) == (250, 200)


def test_progress_is_told_after_each_assignment():
    done = []
    w2(normal(30, 2, 0), normal(60, 2, 1), repeats=3, tick=done.append)
    assert done == [0.25, 0.5, 0.75, 1.0]


def student(n, dim, rng):
    return torch.from_numpy(rng.standard_t(3, (n, dim)))


def gaussian(n, dim, rng):
    return torch.from_numpy(rng.normal(size=(n, dim)))


@pytest.mark.parametrize(("draw", "dim"), [(student, 1), (gaussian, 3)], ids=["heavy-1d", "normal-3d"])
@pytest.mark.parametrize("known", [0, 400], ids=["halves", "train"])
def test_sliced_value_of_a_perfect_sampler_is_within_three_errors_of_the_floor(draw, dim, known):
    rng, off = np.random.default_rng(0), []
    for seed in range(100):
        train = draw(known, dim, rng) if known else None
        found = sliced_w2(draw(300, dim, rng), draw(300, dim, rng), train=train, projections=32, seed=seed)
        off.append((found.value - found.floor) / found.se)
    assert np.mean(np.abs(off) <= 3) >= 0.9
    assert np.std(off) > 0.3  # nor is the error so large that nothing could be seen


def test_sliced_error_away_from_the_floor_is_the_spread_over_draws():
    rng = np.random.default_rng(0)
    found = [sliced_w2(2 * gaussian(400, 3, rng), gaussian(300, 3, rng), projections=100) for _ in range(150)]
    spread = np.std([one.value for one in found], ddof=1)
    assert np.mean([one.se for one in found]) == pytest.approx(spread, rel=0.2)


def test_sliced_distance_on_the_line_needs_one_direction():
    x, y = normal(30, 1, 0), normal(41, 1, 1, 2.0)
    found = sliced_w2(x, y)
    assert found.protocol["projections"] == 1
    assert found.protocol["se"] == "directions and samples"
    assert found.value == pytest.approx(wasserstein_1d(x, y), rel=1e-12)
    assert found.se > 0.01
    assert sliced_w2(3 * x, 3 * y).se == pytest.approx(3 * found.se, rel=1e-9)


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("size", [1e16, 1e100, 1e300, 1e-200])
def test_exact_distances_follow_the_unit_over_all_floating_numbers(size, order):
    rng = np.random.default_rng(0)
    q, p = rng.normal(size=(30, 2)), rng.normal(0.5, 1, (30, 2))
    assert wasserstein(size * q, size * p, order=order) == pytest.approx(
        size * wasserstein(q, p, order=order), rel=1e-9
    )
    line = wasserstein_1d(q[:, 0], p[:20, 0], order=order)
    assert wasserstein_1d(size * q[:, 0], size * p[:20, 0], order=order) == pytest.approx(size * line, rel=1e-9)


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("shift", [1e8, 1e16])
def test_a_translation_of_one_sample_is_the_distance_and_of_both_changes_nothing(shift, order):
    rng = np.random.default_rng(0)
    p = 4 * np.round(rng.normal(0, 9, (40, 2)))  # numbers that are exact at 1e16
    assert wasserstein(p + shift, p, order=order) == pytest.approx(2**0.5 * shift, rel=1e-14)
    q = 4 * np.round(rng.normal(3, 9, (40, 2)))
    here = wasserstein(q, p, order=order)
    assert wasserstein(q + shift, p + shift, order=order) == pytest.approx(here, rel=1e-12)
    assert wasserstein_1d(p[:, 0] + shift, p[:, 0], order=order) == pytest.approx(shift, rel=1e-14)


@pytest.mark.parametrize("train", [None, normal(70, 3, 2)])
def test_sliced_distance_is_the_same_in_whatever_blocks_its_directions_come(train):
    q, p = normal(40, 3, 0, 0.3), normal(60, 3, 1)
    whole, parts = (sliced_w2(q, p, train=train, projections=20, budget=budget) for budget in (2**26, 1))
    assert parts.value == pytest.approx(whole.value, rel=1e-12)
    assert parts.floor == pytest.approx(whole.floor, rel=1e-12)
    assert parts.se == pytest.approx(whole.se, rel=1e-12)


def test_sliced_distance_keeps_to_its_memory():
    import tracemalloc

    q, p = normal(20_000, 2, 0), normal(20_000, 2, 1)
    sliced_w2(q[:100], p[:100])
    tracemalloc.start()
    sliced_w2(q, p, max_n=20_000, repeats=2, budget=2**24)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**24
