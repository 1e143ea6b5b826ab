"""KID: definition, closed form, precision far from the origin, error against Monte Carlo, subsets, memory."""

import tracemalloc

import numpy as np
import pytest
import torch

from pushforward.errors import DataError, UsageError
from pushforward.metrics.core.features import Features
from pushforward.metrics.quality.kid import CUBIC, Polynomial, kid, kid_subsets, polynomial_mmd
from pushforward.randomness import generator


def normal(n, dim, seed, scale=1.0, shift=0.0):
    draw = torch.randn(n, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return draw * scale + shift


def dense(q, p, degree=3, gamma=None, coef=1.0):
    """The definition, in full matrices."""
    q, p = q.double(), p.double()
    gamma, n, m = gamma or 1 / q.shape[1], len(q), len(p)
    xx, yy, xy = ((gamma * a @ b.T + coef) ** degree for a, b in ((q, q), (p, p), (q, p)))
    within = (xx.sum() - xx.trace()) / (n * (n - 1)) + (yy.sum() - yy.trace()) / (m * (m - 1))
    return float(within - 2 * xy.mean())


@pytest.mark.parametrize(
    "settings", [{}, {"degree": 1}, {"degree": 2, "coef": 0.3}, {"degree": 5, "gamma": 0.05}], ids=str
)
def test_estimate_equals_its_definition(settings):
    q, p = normal(31, 6, 0), normal(44, 6, 1, 1.3, 0.4)
    wanted = dense(q, p, **settings)
    for budget in (2**26, 32 * 7**2):  # one tile, and tiles of seven rows that do not fit
        assert polynomial_mmd(q, p, kernel=Polynomial(**settings), budget=budget) == pytest.approx(wanted, rel=1e-11)
        found = kid(q, p, kernel=Polynomial(**settings), budget=budget)
        assert found.value == pytest.approx(wanted, rel=1e-11)
        middle = torch.cat([q, p]).mean(0)
        wanted_about = dense(q - middle, p - middle, **settings)
        found = kid(q, p, kernel=Polynomial(**settings, centred=True), budget=budget)
        assert found.value == pytest.approx(wanted_about, rel=1e-10)


@pytest.mark.parametrize("shift", [0.0, 30.0])
def test_float32_features_lose_nothing_that_matters_even_far_from_the_origin(shift):
    q, p = normal(300, 20, 0, 1.1, shift).float(), normal(400, 20, 1, 1, shift).float()
    found, middle = kid(q, p, kernel=CUBIC), torch.cat([q, p]).double().mean(0)
    assert "float32" in str(found.protocol["products"])
    assert abs(found.value - dense(q, p)) < 1e-5 * found.se
    found = kid(q, p)
    assert abs(found.value - dense(q.double() - middle, p.double() - middle)) < 1e-5 * found.se
    assert kid(q.double() * (1 + 1e-12), p).protocol["products"] == "float64"


def test_estimate_averages_to_the_closed_form_for_shifted_gaussians():
    # Moments of N(s, I) less those of N(0, I): s, s s', and the third ones; their squared norms are weighted 3, 3, 1.
    dim, shift = 4, 0.45
    square, g, found = dim * shift**2, 1 / dim, []
    third = 3 * dim * square + 6 * square + 6 * square**2 + square**3
    truth = 3 * g * square + 3 * g**2 * square**2 + g**3 * third
    for i in range(300):
        found.append(polynomial_mmd(normal(200, dim, 2 * i, 1, shift), normal(250, dim, 2 * i + 1)))
    error = np.std(found, ddof=1) / 300**0.5
    assert abs(np.mean(found) - truth) < 3 * error
    assert g**3 * 6 * square > 3 * error  # the test can see the smallest term missing


@pytest.mark.parametrize(("shift", "scale"), [(0.0, 1.0), (0.3, 1.0), (0.0, 1.5)])
def test_mean_is_zero_for_equal_laws_and_the_error_is_the_spread_for_all(shift, scale):
    found = [kid(normal(100, 6, 2 * i, scale, shift), normal(150, 6, 2 * i + 1)) for i in range(300)]
    values, errors = np.array([one.value for one in found]), np.array([one.se for one in found])
    spread = values.std(ddof=1)
    if (shift, scale) == (0.0, 1.0):
        assert abs(values.mean()) < 3 * spread / 300**0.5
    else:
        assert values.mean() > spread
    # A spread from 300 values is known to 4 %; the error never falls below the second-order part, which adds some.
    assert 0.85 < np.square(errors).mean() ** 0.5 / spread < 1.2
    assert {one.floor for one in found} == {0.0}


@pytest.mark.parametrize("offset", [10.0, 1e4, 1e8])
def test_value_and_error_do_not_depend_on_where_the_origin_lies(offset):
    q, p = normal(200, 5, 0, 1.3, 0.2), normal(300, 5, 1)
    here, there = kid(q, p), kid(q + offset, p + offset)
    assert there.value == pytest.approx(here.value, rel=1e-5)
    assert there.se == pytest.approx(here.se, rel=1e-5)
    assert "spreads from the origin" in kid_subsets(q + offset, p + offset, subsets=2, size=50).protocol["note"]
    assert "note" not in kid_subsets(q, p, subsets=2, size=50).protocol


@pytest.mark.parametrize("skewed", [False, True])
def test_the_error_is_the_spread_however_far_off_the_mean_lies(skewed):
    def draw(i):
        rng = np.random.default_rng([i, skewed])
        law = rng.exponential if skewed else lambda scale, size: rng.normal(0, scale, size)
        return (torch.from_numpy(1e4 + law(scale, (n, 3))) for scale, n in ((1.5, 120), (1.0, 180)))

    found = [kid(*draw(i)) for i in range(200)]
    spread = np.std([one.value for one in found], ddof=1)
    assert 0.85 < np.mean([one.se**2 for one in found]) ** 0.5 / spread < 1.25


def test_one_subset_of_everything_is_the_whole_and_the_mean_is_over_all():
    q, p = normal(80, 5, 0, 1.2), normal(80, 5, 1)
    assert kid_subsets(q, p, subsets=1, size=80).value == pytest.approx(dense(q, p), rel=1e-10)
    assert kid_subsets(q, p, subsets=1, size=80).protocol["std"] == 0.0
    found = kid_subsets(q, p, subsets=30, size=20, seed=4)
    values = found.detail["values"].numpy()
    assert len(set(values)) == 30
    assert found.value == pytest.approx(values.mean())
    assert found.protocol["std"] == pytest.approx(values.std(ddof=0))
    assert found.se is None
    rng = generator(4, "evaluate", part="kid_subsets")
    first = [x[torch.from_numpy(rng.permutation(80)[:20])] for x in (q, p)]
    assert values[0] == pytest.approx(dense(*first), rel=1e-9)


def test_mean_over_subsets_is_the_whole_up_to_their_noise():
    q, p = normal(500, 5, 0, 1.2), normal(600, 5, 1)
    found = kid_subsets(q, p, subsets=400, size=100)
    assert abs(found.value - kid(q, p, kernel=CUBIC).value) < 4 * found.protocol["std"] / 400**0.5


def test_result_depends_neither_on_the_order_of_rows_nor_on_rotation():
    q, p = normal(60, 4, 0, 1.2, 0.5), normal(50, 4, 1)
    turn = torch.linalg.qr(normal(4, 4, 2))[0]
    found = kid(q, p)
    for other in (kid(q.flip(0), p.flip(0)), kid(q @ turn, p @ turn), kid(p, q)):
        assert other.value == pytest.approx(found.value, rel=1e-10)
        assert other.se == pytest.approx(found.se, rel=1e-10)


def test_memory_is_a_small_part_of_the_full_matrices():
    q, p = normal(2500, 8, 0), normal(2500, 8, 1)
    tracemalloc.start()
    kid(q, p)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert 2 * 2500 * 8 * 8 < peak < 3 * 2500**2 * 8 / 15


def test_larger_samples_are_cut_and_every_setting_is_recorded():
    shares = []
    doubled = Features("doubled", "", 3, lambda x: 2 * x)
    found = kid(normal(50, 3, 0), normal(70, 3, 1), doubled, max_n=40, seed=2, tick=shares.append)
    assert (found.n_fake, found.n_real, found.features) == (40, 40, "doubled")
    assert {"kernel", "products", "estimator", "se", "max_n", "seed"} <= found.protocol.keys()
    assert found.protocol["kernel"] == "(0.333333 (x-a).(y-a) + 1)^3"
    published = kid(normal(50, 3, 0), normal(70, 3, 1), doubled, kernel=CUBIC)
    assert published.protocol["kernel"] == "(0.333333 x.y + 1)^3"
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1.0)
    assert kid(
        normal(50, 3, 0), normal(70, 3, 1), max_n=40, seed=2, kernel=Polynomial(gamma=4 / 3, centred=True)
    ).value == pytest.approx(found.value)
    assert {"subsets", "size", "std", "std_ddof"} <= kid_subsets(
        normal(9, 2, 0), normal(9, 2, 1), size=5
    ).protocol.keys()


def test_settings_out_of_range_are_refused_with_the_remedy():
    q, p = normal(9, 2, 0), normal(9, 2, 1)
    with pytest.raises(DataError, match=r"fake has 9 samples, real 9: draw 1000 of each, or pass a smaller size"):
        kid_subsets(q, p)
    for settings in ({"degree": 0}, {"degree": 1.5}, {"gamma": -1.0}):
        with pytest.raises(UsageError, match="degree is"):
            kid(q, p, kernel=Polynomial(**settings))
    with pytest.raises(UsageError, match="subsets is 0"):
        kid_subsets(q, p, subsets=0, size=5)
