"""Fréchet distance: closed forms, invariances, exact merging, floor and error against Monte Carlo."""

import math
import re
import sys

import numpy as np
import pytest
import torch
from scipy import linalg
from torch import nn

from pushforward.errors import DataError, UsageError
from pushforward.metrics.core.features import of_module
from pushforward.metrics.core.reference import se_near
from pushforward.metrics.quality.frechet import (
    Moments,
    frechet,
    frechet_distance,
    frechet_floor,
    frechet_rows,
    frechet_se,
    moments,
)
from pushforward.metrics.quality.frechet_limit import frechet_limit
from pushforward.randomness import generator


def normal(n, dim, seed, scale=1.0, shift=0.0):
    draw = torch.randn(n, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return draw * scale + shift


def exact(mean, covariance):
    covariance = torch.as_tensor(covariance, dtype=torch.float64)
    return Moments(101, torch.as_tensor(mean, dtype=torch.float64), covariance * 100)


def rotation(dim, seed=0):
    return torch.linalg.qr(normal(dim, dim, seed))[0]


def test_diagonal_gaussians_have_the_closed_form():
    a, b = torch.tensor([1.0, 4.0, 0.25]), torch.tensor([9.0, 1.0, 0.25])
    distance = frechet(exact([0.0, 1.0, 2.0], a.diag()), exact([1.0, 1.0, 0.0], b.diag()))
    assert distance == pytest.approx(5 + (1 - 3) ** 2 + (2 - 1) ** 2 + 0, rel=1e-12)


def test_isotropic_golden_value():
    # |m|^2 = 3 (10 - 1)^2 and 3 (sqrt 5 - sqrt 3)^2.
    distance = frechet(exact([1.0] * 3, 5 * np.eye(3)), exact([10.0] * 3, 3 * np.eye(3)))
    assert distance == pytest.approx(243.7621, abs=5e-5)


def test_gaussians_that_do_not_commute_agree_with_the_eigenvalues_of_the_product():
    a, b = torch.cov(normal(40, 5, 0, torch.arange(1.0, 6)).T), torch.cov((normal(40, 5, 1) @ rotation(5)).T)
    cross = np.sqrt(np.linalg.eigvals((a @ b).numpy()).real).sum()
    wanted = float(a.trace() + b.trace()) - 2 * cross
    assert frechet(exact([0.0] * 5, a), exact([0.0] * 5, b)) == pytest.approx(wanted, rel=1e-9)


def test_four_routes_to_the_cross_term_agree():
    x, y = normal(90, 6, 0, torch.arange(1.0, 7)) @ rotation(6), normal(70, 6, 1, 0.5, 1.0)
    q, p = moments(x), moments(y)
    a, b = q.covariance.numpy(), p.covariance.numpy()
    rest = float((q.mean - p.mean).square().sum()) + np.trace(a) + np.trace(b)
    by_root = rest - 2 * np.trace(np.real(linalg.sqrtm(a @ b)))
    by_eigenvalues = rest - 2 * np.sqrt(np.linalg.eigvals(a @ b).real).sum()
    assert frechet(q, p) == pytest.approx(by_root, rel=1e-9)
    assert frechet(q, p) == pytest.approx(by_eigenvalues, rel=1e-9)
    assert frechet(q, p) == pytest.approx(frechet_rows(x, y), rel=1e-9)


@pytest.mark.parametrize(("n", "m"), [(12, 30), (30, 12), (5, 64), (64, 64)])
def test_rows_and_moments_agree_for_fewer_rows_than_features(n, m):
    x, y = normal(n, 64, 0, 1.5, 0.3) @ rotation(64), normal(m, 64, 1)
    assert frechet_rows(x, y) == pytest.approx(frechet(moments(x), moments(y)), rel=1e-6)
    assert frechet_rows(x, x) < 1e-10


@pytest.mark.parametrize("shift", [0.0, 100.0])
def test_distance_to_itself_is_zero_relative_to_the_variance(shift):
    x = normal(300, 16, 0, torch.linspace(0.1, 3, 16), shift) @ rotation(16)
    assert frechet(moments(x), moments(x)) < 1e-8 * float(moments(x).covariance.trace())


def test_distance_to_itself_is_zero_even_where_the_covariance_is_singular():
    for x in (normal(200, 16, 0, 3.0, 100.0), normal(10, 16, 1)):
        assert frechet(moments(x), moments(x)) < 1e-6


def test_distance_is_symmetric_and_invariant_under_rotation_and_shift():
    x, y, turn = normal(80, 6, 0, torch.arange(1.0, 7)), normal(90, 6, 1, 0.5, 1.0), rotation(6)
    distance = frechet(moments(x), moments(y))
    assert frechet(moments(y), moments(x)) == pytest.approx(distance, rel=1e-10)
    assert frechet(moments(x @ turn + 7), moments(y @ turn + 7)) == pytest.approx(distance, rel=1e-10)


def test_merged_moments_are_the_pooled_moments_far_from_the_origin():
    x = normal(700, 8, 0, 0.5, 1e3)
    parts = x.split([1, 13, 286, 400])
    merged, pooled = moments(parts), moments(x)
    assert merged.n == 700
    torch.testing.assert_close(merged.mean, x.mean(0), rtol=1e-12, atol=0)
    torch.testing.assert_close(merged.scatter, pooled.scatter, rtol=1e-12, atol=1e-12 * pooled.scatter.max().item())
    np.testing.assert_allclose(pooled.covariance.numpy(), np.cov(x.numpy().T), rtol=1e-9, atol=1e-12)
    left_first = (moments(parts[0]) + moments(parts[1])) + (moments(parts[2]) + moments(parts[3]))
    torch.testing.assert_close(left_first.scatter, pooled.scatter, rtol=1e-11, atol=1e-10)


def test_floor_of_the_identity_is_the_short_formula():
    assert frechet_floor(torch.eye(16), 500, 500) == pytest.approx((16**2 + 5 * 16) / 1000, rel=1e-12)
    assert frechet_floor(torch.zeros(3, 3), 50, 50) == 0.0


def test_floor_of_thirty_repeats_is_that_of_the_short_formula():
    values = [frechet(moments(normal(500, 16, 2 * i)), moments(normal(500, 16, 2 * i + 1))) for i in range(30)]
    assert abs(np.mean(values) - (16**2 + 5 * 16) / 1000) < 3 * np.std(values, ddof=1) / 30**0.5


@pytest.mark.parametrize(("n", "m"), [(400, 400), (300, 900)])
def test_floor_is_the_mean_distance_of_two_samples_of_one_law(n, m):
    scale, turn = torch.linspace(0.2, 2.0, 12, dtype=torch.float64), rotation(12)
    values = [
        frechet(moments(normal(n, 12, 2 * i, scale) @ turn), moments(normal(m, 12, 2 * i + 1, scale) @ turn))
        for i in range(60)
    ]
    error = np.std(values, ddof=1) / len(values) ** 0.5
    assert abs(np.mean(values) - frechet_floor(turn.T @ (scale**2).diag() @ turn, n, m)) < 3.5 * error


def test_standard_error_is_the_spread_over_draws():
    draws = [(normal(400, 4, 2 * i, 1.5, 0.6), normal(700, 4, 2 * i + 1)) for i in range(200)]
    spread = np.std([frechet(moments(x), moments(y)) for x, y in draws], ddof=1)
    claimed = np.mean([frechet_se(x, y) for x, y in draws[:20]])
    assert claimed == pytest.approx(spread, rel=0.17)  # three standard deviations of a spread from 200 draws


def contaminated(n, dim, rng):
    return torch.from_numpy(rng.normal(size=(n, dim)) * np.where(rng.random((n, 1)) < 0.05, 8, 1))


@pytest.mark.parametrize(("n", "m"), [(500, 500), (150, 900), (900, 300)])
def test_floor_from_halves_of_gaussian_data_is_the_closed_form(n, m):
    found = [frechet_distance(normal(n, 5, 2 * i), normal(m, 5, 2 * i + 1)) for i in range(40)]
    floors = np.array([one.floor for one in found])
    # To first order in 1/n; the second is about dim / n of it.
    closed = frechet_floor(torch.eye(5), n, m)
    assert abs(floors.mean() - closed) < 3 * floors.std() / 40**0.5 + 0.03 * closed
    assert "real" in str(found[0].protocol["floor"])


@pytest.mark.parametrize(("n", "m"), [(600, 600), (200, 900)])
def test_floor_from_halves_of_data_with_strays_is_what_fresh_pairs_score(n, m):
    rng = np.random.default_rng(0)
    found = [frechet_distance(contaminated(n, 6, rng), contaminated(m, 6, rng)) for _ in range(60)]
    fresh = np.mean([one.value for one in found])
    assert np.mean([one.floor for one in found]) == pytest.approx(fresh, rel=0.3)
    assert frechet_floor(torch.cov(contaminated(100_000, 6, rng).T), n, m) < fresh / 2


def test_floor_from_halves_is_the_mean_over_disjoint_parts_scaled_to_the_sizes():
    fake, real = normal(500, 3, 0), normal(101, 3, 1)
    found, rng = frechet_distance(fake, real, repeats=4, seed=7), generator(7, "evaluate", part="frechet")
    orders = [torch.from_numpy(rng.permutation(101)) for _ in range(4)]
    parts = [frechet(moments(real[order[:50]]), moments(real[order[50:]])) for order in orders]
    wanted = np.mean(parts) * (1 / 500 + 1 / 101) / (1 / 50 + 1 / 51)
    assert found.floor == pytest.approx(wanted, rel=1e-9)
    assert found.value == pytest.approx(frechet(moments(fake), moments(real)), rel=1e-9)
    assert found.protocol["floor"] == "halves of real, 50 vs 51, mean of 4, scaled to 500 vs 101"
    few = frechet_distance(fake[:20], real).protocol["floor"]
    assert str(few).startswith("parts of real, 20 vs 81, ")
    assert "closed form" in str(frechet_distance(fake, real[:11]).protocol["floor"])


def test_one_reading_of_real_gives_value_and_floor():
    spy, fake, real = Spy(), normal(50, 40, 0), normal(170, 40, 1)
    ticks = []
    found = frechet_distance(fake, real, of_module("spy", spy, 40), small=True, repeats=1, tick=ticks.append)
    assert "mean of 1" in str(found.protocol["floor"])
    assert sum(spy.seen) == 50 + 170 + 1
    assert ticks == sorted(ticks)
    assert ticks[-1] == 1.0


@pytest.mark.parametrize("size", [1e80, 1e200])
def test_values_whose_powers_overflow_are_refused_with_the_remedy(size):
    fake, real = normal(50, 2, 0), normal(50, 2, 1)
    largest = float((size * real).abs().max())
    with pytest.raises(DataError, match=re.escape(f"real holds values up to {largest:.3g}") + ".*rescale"):
        frechet_distance(fake, size * real)
    with pytest.raises(DataError, match="fake holds values up to"):
        frechet_distance(size * fake, real)
    assert math.isfinite(frechet_distance(1e60 * fake, 1e60 * real).se)


def test_measured_floor_uses_as_many_train_rows_as_there_are_fakes():
    fake, real, train = normal(300, 4, 0, 1.0, 2.0), normal(400, 4, 1), normal(3000, 4, 2)
    measured = frechet_distance(fake, real, train=train, repeats=20)
    halves = frechet_distance(fake, real)
    assert measured.protocol["floor"] == "train 300 vs real 400, mean of 20"
    assert halves.protocol["floor"] == "halves of real, 200 vs 200, mean of 20, scaled to 300 vs 400"
    assert measured.value == pytest.approx(halves.value, rel=1e-12)
    assert measured.value == pytest.approx(16, rel=0.15)
    assert halves.floor == pytest.approx(frechet_floor(torch.eye(4), 300, 400), rel=0.4)
    assert measured.floor == pytest.approx(halves.floor, rel=1.0)
    exact = frechet_distance(fake, real, train=train[:300])
    assert exact.floor == pytest.approx(frechet(moments(train[:300]), moments(real)), rel=1e-9)
    assert exact.protocol["floor"] == "train 300 vs real 400, mean of 1"
    short = frechet_distance(fake, real, train=train[:200])
    assert short.protocol["floor"] == halves.protocol["floor"]


def test_too_few_rows_are_refused_with_the_remedy_or_noted():
    fake, real = normal(15, 8, 0), normal(100, 8, 1)
    with pytest.raises(DataError, match=r"fake has 15 samples for 8 features: give at least 16"):
        frechet_distance(fake, real)
    assert "15 samples for 8 features" in str(frechet_distance(fake, real, small=True).protocol["note"])
    assert "note" not in frechet_distance(normal(16, 8, 0), real).protocol
    with pytest.raises(DataError, match="no rows"):
        moments([])
    assert math.isfinite(frechet_distance(fake, real, small=True).value)


def test_distance_over_several_draws_is_the_mean_over_them():
    generator = torch.Generator().manual_seed(3)
    fake = 1.2 * torch.randn(300, 4, generator=generator)
    real = torch.randn(100, 4, generator=generator)
    single = [frechet_distance(part, real).value for part in fake.split(100)]
    together = frechet_distance(fake, real, draws=3)
    assert together.value == pytest.approx(sum(single) / 3, rel=1e-12)
    assert together.n_fake == 100
    assert max(single) - min(single) > 1e-3


@pytest.mark.parametrize(("draws", "size"), [(6, 50), (1, 120), (1, 300), (3, 300)])
def test_error_of_value_less_floor_covers_their_spread_over_worlds_of_one_law(draws, size):
    rng = torch.Generator().manual_seed(3)
    worlds = [[torch.randn(n, 4, generator=rng) for n in (draws * size, 200, 300)] for _ in range(150)]
    found = [frechet_distance(q, p, train=t, draws=draws) for q, p, t in worlds]
    if draws == 1 and size == 300:  # one distance of each kind: nothing is known of their spread
        assert not any("se_apart" in one.protocol for one in found)
        return
    apart = torch.tensor([one.value - one.floor for one in found])
    told = torch.tensor([one.protocol["se_apart"] for one in found])
    ratio = float(told.square().mean().sqrt()) / float(apart.std())
    assert 0.87 < ratio < 1.6  # an upper bound, at 150 worlds: the sd is known to 6 %; subsets share s^2 to s of v
    assert abs(float(apart.mean())) < 4 * float(apart.std()) / len(found) ** 0.5


def test_fewer_rows_than_features_have_the_same_reading_without_a_square_matrix():
    fake, real, train = normal(20, 64, 0, 1.2, 0.4), normal(24, 64, 1), normal(60, 64, 2)
    few = frechet_distance(fake, real, train=train, small=True)
    assert few.value == pytest.approx(frechet(moments(fake), moments(real)), rel=1e-6)
    assert few.se == pytest.approx(se_near(frechet_se(fake, real), few.value, few.floor), rel=1e-6)
    assert few.floor == pytest.approx(
        np.mean([frechet(moments(subset), moments(real)) for subset in thirds(train, 20, 20)]), rel=1e-6
    )
    closed = frechet_distance(fake, real, small=True)
    assert closed.floor == pytest.approx(frechet_floor(moments(real).covariance, 20, 24), rel=1e-9)


def thirds(x, n, repeats, seed=0):
    rng = generator(seed, "evaluate", part="frechet")
    return [x[torch.from_numpy(rng.permutation(len(x))[:n])] for _ in range(repeats)]


class Spy(nn.Module):
    """Keeps count of the rows that it sees."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def forward(self, x):
        self.seen.append(len(x))
        return x


def test_a_network_sees_blocks_and_each_row_of_a_small_sample_once():
    spy = Spy()
    fake, real, train = normal(3000, 4, 0, 1.1), normal(2500, 4, 1), normal(4000, 4, 2)
    ticks = []
    found = frechet_distance(fake, real, of_module("spy", spy, 4), train=train, tick=ticks.append)
    assert max(spy.seen) <= 1024
    assert sum(spy.seen) == 3000 + 2500 + 4000 + 1  # the one more tells the number of features
    plain = frechet_distance(fake, real, train=train)
    assert (found.value, found.se, found.floor) == (plain.value, plain.se, plain.floor)
    assert ticks == sorted(ticks)
    assert ticks[-1] == 1.0


def test_error_from_a_subset_of_rows_is_that_of_all():
    fake, real = normal(20_000, 5, 0, 1.3, 0.2), normal(10_000, 5, 1)
    found = frechet_distance(fake, real)
    assert found.protocol["se"] == "first variation, less its noise at the floor, 4096 rows of each"
    assert found.se == pytest.approx(frechet_se(fake, real), rel=0.05)


def test_limit_has_no_bias_and_an_honest_error():
    truth, found = 16 * (0.1**2 + 0.1**2), []
    for i in range(40):
        fake, real = normal(600, 16, 2 * i, 1.1, 0.1), normal(900, 16, 2 * i + 1)
        found.append(frechet_limit(fake, real, seed=i))
    values, errors = np.array([one.value for one in found]), np.array([one.se for one in found])
    spread = values.std(ddof=1)
    assert abs(values.mean() - truth) < 3.5 * spread / 40**0.5
    assert np.mean([one.protocol["at_all_rows"] for one in found]) > truth + 10 * spread / 40**0.5  # what it takes off
    # A spread from 40 values is known to 11 %, an error from 14 increments to 19 %.
    assert 0.65 < np.square(errors).mean() ** 0.5 / spread < 1.5


def test_limit_is_exact_where_the_distance_is_a_line_in_one_over_n(monkeypatch):
    # By the module's own entry: the package holds the function under the same name.
    module = sys.modules[frechet_limit.__module__]
    monkeypatch.setattr(module, "frechet", lambda q, p: 3.0 + 50 / q.n + 50 / p.n)
    found = frechet_limit(normal(997, 3, 0), normal(1511, 3, 1))
    assert found.value == pytest.approx(3.0, rel=1e-9)
    assert found.se == pytest.approx(0.0, abs=1e-9)
    assert found.floor == 0.0


def test_limit_uses_nested_subsets_up_to_all_rows():
    fake, real, ticks = normal(500, 3, 0, 1.2), normal(400, 3, 1), []
    found = frechet_limit(fake, real, sizes=7, tick=ticks.append)
    assert found.protocol["at_all_rows"] == pytest.approx(frechet(moments(fake), moments(real)), rel=1e-10)
    assert found.detail["size"].tolist() == [50, 125, 200, 275, 350, 425, 500]
    assert ticks[-1] == 1.0
    assert found == frechet_limit(fake, real, sizes=7)
    with pytest.raises(DataError, match=r"real has 11 samples for 3 features: give at least 12"):
        frechet_limit(fake, real[:11])
    with pytest.raises(UsageError, match="sizes is 2"):
        frechet_limit(fake, real, sizes=2)


def test_the_error_of_a_distance_at_its_floor_is_its_spread():
    rng = np.random.default_rng(0)
    found = [frechet_distance(*(torch.from_numpy(rng.normal(size=(200, 4))) for _ in range(2))) for _ in range(100)]
    spread = np.std([one.value for one in found], ddof=1)
    assert 0.85 < np.mean([one.se**2 for one in found]) ** 0.5 / spread < 1.3


@pytest.mark.parametrize(("shift", "most"), [(0.0, 1.4), (1.0, 1.2)])
def test_the_error_of_the_limit_is_its_spread_and_little_more_for_equal_laws(shift, most):
    rng, found = np.random.default_rng(0), []
    for seed in range(120):
        q, p = (torch.from_numpy(rng.normal(size=(300, 4))) for _ in range(2))
        found.append(frechet_limit(q + shift, p, seed=seed))
    spread = np.std([one.value for one in found], ddof=1)
    assert 0.8 < np.mean([one.se**2 for one in found]) ** 0.5 / spread < most
