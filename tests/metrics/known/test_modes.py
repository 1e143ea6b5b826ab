"""Mode coverage: a perfect sampler scores the floor, a one-mode sampler is caught."""

import itertools
import math

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.special import rel_entr

from pushforward.errors import DataError
from pushforward.metrics.known.modes import class_shares, classes, expected_modes, modes, probabilities
from pushforward.metrics.known.shares import counted_kl, expected_kl, known_kl

SIGMA = 0.05
GRID = torch.cartesian_prod(torch.arange(-4.0, 5, 2), torch.arange(-4.0, 5, 2)).double()


def oracle(n, seed, weights=None, centres=GRID, sigma=SIGMA):
    rng = torch.Generator().manual_seed(seed)
    shares = torch.ones(len(centres)) if weights is None else torch.as_tensor(weights)
    picks = torch.multinomial(shares, n, replacement=True, generator=rng)
    return centres[picks] + sigma * torch.randn(n, centres.shape[1], generator=rng, dtype=torch.float64)


def test_perfect_sampler_scores_every_floor():
    found = modes(oracle(2500, 0), GRID, SIGMA)
    quality = found["high_quality"]
    assert quality.floor == pytest.approx(0.98889, abs=5e-6)
    assert found["high_quality_4"].floor == pytest.approx(0.99966, abs=5e-6)
    assert abs(quality.value - quality.floor) < 3 * (quality.floor * (1 - quality.floor) / 2500) ** 0.5
    assert found["modes_captured"].value == found["modes_captured_20"].value == 25
    assert found["modes_captured"].floor == pytest.approx(25)
    assert found["modes_captured_20"].floor == pytest.approx(25)
    assert found["mode_kl"].p > 0.01


def test_kl_of_perfect_samplers_averages_to_its_floor_and_its_p_value_is_uniform():
    weights = torch.arange(1.0, 9)
    centres = torch.stack([torch.arange(8.0), torch.zeros(8)], 1).double()
    found = [modes(oracle(1000, i, weights, centres), centres, SIGMA, weights)["mode_kl"] for i in range(200)]
    values = [measure.value for measure in found]
    assert found[0].floor == pytest.approx(expected_kl(1000, np.arange(1, 9) / 36, np.arange(1, 9) / 36))
    assert found[0].floor == pytest.approx(7 / 2000 + (np.sum(36 / np.arange(1, 9)) - 1) / (12 * 1000**2), rel=1e-4)
    assert abs(np.mean(values) - found[0].floor) < 3.5 * np.std(values, ddof=1) / 200**0.5
    assert stats.kstest([measure.p for measure in found], "uniform").pvalue > 0.01


@pytest.mark.parametrize(("dim", "inside"), [(1, 0.99730), (2, 0.98889), (16, 0.0866)])
def test_share_within_three_sigma_is_that_of_the_chi_square_law(dim, inside):
    centres = torch.stack([torch.zeros(dim), torch.full((dim,), 9.0)]).double()
    quality = modes(oracle(4000, 0, centres=centres), centres, SIGMA, radius=3.0)["high_quality"]
    assert quality.floor == pytest.approx(stats.chi2.cdf(9, dim), rel=1e-10)
    assert quality.floor == pytest.approx(inside, abs=5e-5)
    assert abs(quality.value - inside) < 3.5 * (inside * (1 - inside) / 4000) ** 0.5


def test_expected_number_of_modes_is_the_coupon_formula():
    for n in (1, 10, 300):
        assert expected_modes(1, n, probabilities(None, 40)) == pytest.approx(40 * (1 - (1 - 1 / 40) ** n), rel=1e-12)
    assert expected_modes(20, 10, probabilities(None, 40)) == 0
    twenty = stats.binom.sf(19, 300, probabilities([1.0, 3.0], 2)).sum()
    assert expected_modes(20, 300, probabilities([1.0, 3.0], 2)) == pytest.approx(twenty, rel=1e-12)


def test_one_mode_sampler_is_caught():
    found = modes(oracle(1000, 0, centres=GRID[:1]), GRID, SIGMA)
    assert found["modes_captured"].value == found["modes_captured_20"].value == 1
    assert found["mode_kl"].value == pytest.approx(math.log(25), rel=1e-12)
    assert found["mode_kl"].p < 1e-6
    assert found["high_quality"].value > 0.98


def test_strict_count_wants_twenty_good_samples_and_good_means_within_three_sigma():
    reach = torch.tensor([[2.99 * SIGMA, 0.0]]).double()
    beyond = torch.tensor([[3.01 * SIGMA, 0.0]]).double()
    far = torch.tensor([[4.01 * SIGMA, 0.0]]).double()
    parts = [(GRID[:1] + reach).repeat(20, 1), (GRID[1:2] + reach).repeat(19, 1), (GRID[2:3] + beyond).repeat(40, 1)]
    found = modes(torch.cat([*parts, GRID[3:4] + far]), GRID, SIGMA)
    assert found["modes_captured"].value == 2
    assert found["modes_captured_20"].value == 1
    assert found["high_quality"].value == pytest.approx(39 / 80)
    assert found["high_quality_4"].value == pytest.approx(79 / 80)


def test_floor_of_the_count_is_what_small_perfect_samples_capture():
    centres = torch.tensor([[0.0, 0.0], [5.0, 0.0], [0.0, 5.0]]).double()
    weights = [0.9, 0.08, 0.02]
    found = [modes(oracle(60, i, weights, centres), centres, SIGMA, weights) for i in range(300)]
    for name in ("modes_captured", "modes_captured_20"):
        values = [measures[name].value for measures in found]
        assert abs(np.mean(values) - found[0][name].floor) < 3.5 * np.std(values) / 300**0.5 + 1e-6
    assert found[0]["modes_captured"].floor < 2.7


def test_ball_in_many_dimensions_holds_what_three_sigma_hold_on_the_line():
    centres = torch.zeros(1, 16).double()
    quality = modes(oracle(4000, 0, centres=centres), centres, SIGMA)["high_quality"]
    assert quality.floor == pytest.approx(0.9973, abs=1e-5)
    assert abs(quality.value - 0.9973) < 3 * (0.9973 * 0.0027 / 4000) ** 0.5
    literal = modes(oracle(4000, 0, centres=centres), centres, SIGMA, radius=3.0)["high_quality"]
    assert literal.floor == pytest.approx(0.0866, abs=5e-5)


def test_scale_and_order_of_weights_and_samples_do_not_matter():
    fake, weights = oracle(500, 0), torch.arange(1.0, 26)
    once, again = modes(fake, GRID, SIGMA, weights), modes(fake.flip(0), GRID, SIGMA, 10 * weights)
    for name, measure in once.items():
        assert measure.value == pytest.approx(again[name].value, rel=1e-12)
        assert measure.floor == pytest.approx(again[name].floor, rel=1e-12)


def sign_classes(x):
    """Three classes on the line: below -1, between, above 1."""
    return torch.stack([-x[:, 0] - 1, torch.zeros(len(x)), x[:, 0] - 1], 1)


def test_classes_are_counted_from_logits_or_labels():
    x = torch.tensor([[-3.0], [-2.0], [0.0], [0.5], [0.2], [-5.0]])
    for classify in (sign_classes, lambda part: sign_classes(part).argmax(1)):
        found = classes(x, classify, 3, features="sign")
        assert found["classes_present"].value == 2
        assert found["smallest_class_share"].value == 0
        assert found["class_kl"].value == pytest.approx(math.log(3 / 2))
        assert found["class_kl"].features == "sign"


def test_class_floor_allows_for_shares_counted_in_data():
    def draw(n, seed):
        return 3 * torch.randn(n, 1, generator=torch.Generator().manual_seed(seed))

    found = []
    for i in range(150):
        shares = class_shares(draw(400, 2 * i), sign_classes)
        found.append(classes(draw(300, 2 * i + 1), sign_classes, 3, shares, n_real=400)["class_kl"])
    off = [measure.value - measure.floor for measure in found]
    assert np.mean([measure.floor for measure in found]) == pytest.approx(1 / 300 + 1 / 400, rel=0.02)
    assert abs(np.mean(off)) < 3.5 * np.std(off, ddof=1) / 150**0.5


def test_class_shares_add_half_a_count_so_that_none_is_zero():
    x = torch.tensor([[-3.0], [-2.0], [0.0]])
    torch.testing.assert_close(class_shares(x, sign_classes), torch.tensor([2.5, 1.5, 0.5]).double() / 4.5)


def test_inputs_that_do_not_fit_are_refused():
    with pytest.raises(DataError, match="same units"):
        modes(torch.zeros(5, 3), GRID, SIGMA)
    with pytest.raises(DataError, match="sigma is 0"):
        modes(torch.zeros(5, 2), GRID, 0.0)
    with pytest.raises(DataError, match="25 positive numbers"):
        modes(torch.zeros(5, 2), GRID, SIGMA, [1.0, 0.0])
    with pytest.raises(DataError, match="wanted 4 classes"):
        classes(torch.zeros(5, 1), sign_classes, 4)


def test_the_p_value_of_mode_shares_keeps_its_level_where_modes_hold_two_samples_each():
    centres = 100 * torch.arange(25.0)[:, None]
    values = []
    for seed in range(400):
        fake = centres[torch.from_numpy(np.random.default_rng(seed).integers(25, size=50))]
        values.append(modes(fake, centres, 1.0)["mode_kl"].p)
    rejected = sum(value <= 0.05 for value in values)
    assert rejected <= 36  # of Binomial(400, 1/20) more than this has chance 1e-3; chi-squared rejects 46
    assert modes(centres[:1].expand(50, 1), centres, 1.0)["mode_kl"].p < 1e-30


# Of Binomial(500, 1/20) more than 42, of Binomial(500, 1/100) more than 14, have chance 1e-3 each.
@pytest.mark.parametrize(("k", "n"), [pytest.param(100, 500, marks=pytest.mark.slow), (8, 40)])
def test_the_p_value_of_mode_shares_keeps_its_level_where_modes_hold_five_samples_each(k, n):
    rng = np.random.default_rng(k)
    values = np.array([known_kl(rng.multinomial(n, np.full(k, 1 / k)), np.full(k, 1 / k)).p for _ in range(500)])
    assert (values <= 0.05).sum() <= 42
    assert (values <= 0.01).sum() <= 14
    assert (values <= 0.05).sum() >= 10  # nor is it a test that never rejects


@pytest.mark.parametrize(
    ("shares", "n", "m"),
    [
        pytest.param([0.55] + [0.009] * 50, 500, 500, marks=pytest.mark.slow),
        ([0.1] * 10, 100, 60),
        ([0.9, 0.04, 0.02, *[0.008] * 5], 1000, 200),
    ],
    ids=["rare", "few", "skew"],
)
def test_the_p_value_of_class_shares_keeps_its_level_where_classes_hold_few_rows(shares, n, m):
    law, rng = np.array(shares) / np.sum(shares), np.random.default_rng(0)
    values = []
    for _ in range(500):
        counted = rng.multinomial(m, law) + 0.5
        values.append(counted_kl(rng.multinomial(n, law), counted / counted.sum(), m).p)
    assert 10 <= (np.array(values) <= 0.05).sum() <= 42
    assert (np.array(values) <= 0.01).sum() <= 14


@pytest.mark.parametrize("k", [3, 6])
def test_the_bound_behind_a_p_value_out_of_the_draws_reach_lies_above_the_exact_one(k):
    n, shares = 24, probabilities(range(1, k + 1), k)
    counts = np.array([n, *[0] * (k - 1)])
    found = known_kl(counts, shares)
    assert found.how == "bound of large deviations"
    every = [np.diff([-1, *cuts, n + k - 1]) - 1 for cuts in itertools.combinations(range(n + k - 1), k - 1)]
    outcomes = np.array(every)
    divergences = rel_entr(outcomes / n, shares).sum(1)
    exact = stats.multinomial.pmf(outcomes, n, shares)[divergences >= found.value - 1e-12].sum()
    assert 0 < exact <= found.p < 1e-3


def test_relabelled_counts_give_the_exact_p_value_of_two_classes():
    a, b = np.array([3, 17]), np.array([9, 11])
    found = counted_kl(a, (b + 0.5) / 21, 20)
    own = np.arange(13)
    values = rel_entr(np.stack([own, 20 - own]) / 20, np.stack([12 - own + 0.5, 8 + own + 0.5]) / 21).sum(0)
    exact = stats.hypergeom.pmf(own, 40, 12, 20)[values >= values[3] - 1e-12].sum()
    assert abs(found.p - exact) < 4 * (exact * (1 - exact) / 999) ** 0.5 + 1 / 1000


@pytest.mark.parametrize("extra", [0.5, 0.0])
def test_the_counts_behind_shares_do_not_depend_on_whether_half_a_count_was_added(extra):
    a, b = np.array([30, 50, 40]), np.array([25, 35, 20])
    shares = (b + extra) / (b + extra).sum()
    assert counted_kl(a, shares, 80).p == counted_kl(a, (b + 0.5) / 81.5, 80).p


@pytest.mark.parametrize("n_real", [0, 200])
@pytest.mark.parametrize("tilt", [0.0, 2.0])
def test_the_error_of_shares_is_their_spread_over_draws_at_the_floor_and_off_it(tilt, n_real):
    rng, law = np.random.default_rng(1), probabilities(np.exp(tilt * np.linspace(0, 1, 8)).tolist(), 8)
    found = []
    for _ in range(300):
        counted = rng.multinomial(n_real, np.full(8, 1 / 8)) + 0.5 if n_real else np.ones(8)
        counts, shares = rng.multinomial(300, law), counted / counted.sum()
        found.append(counted_kl(counts, shares, n_real) if n_real else known_kl(counts, shares))
    spread = np.std([one.value for one in found], ddof=1)
    assert 0.87 < np.mean([one.se**2 for one in found]) ** 0.5 / spread < 1.3
