"""Shape within modes: what is planted is measured at any size and radius, and perfect samplers are not accused."""

import math

import numpy as np
import pytest
import torch
from scipy import integrate, stats

from pushforward import evaluate
from pushforward.errors import DataError
from pushforward.metrics.known.cut_normal import ModeMoments, cut_power, cut_variance, perfect_moments, width_behind
from pushforward.metrics.known.shape import mode_shape

SIGMA = 0.05
GRID = torch.cartesian_prod(torch.arange(-4.0, 5, 2), torch.arange(-4.0, 5, 2)).double()
RING = torch.tensor([[math.cos(k * math.pi / 4), math.sin(k * math.pi / 4)] for k in range(8)]).double()
NAMES = ("mode_width", "mode_centre", "mode_correlation")


def planted(n, seed, *, width=1.0, off=0.0, correlation=0.0, centres=GRID, sigma=SIGMA, kept=None, freedom=None):
    """Samples about the centres, those of each mode moved by `off` sigma in a random direction."""
    rng, (count, d) = np.random.default_rng(seed), centres.shape
    mode = rng.integers(kept or count, size=n)
    z = rng.standard_normal((n, d))
    if d > 1:
        z[:, 1] = correlation * z[:, 0] + (1 - correlation**2) ** 0.5 * z[:, 1]
    if freedom:
        z /= np.sqrt(rng.chisquare(freedom, (n, 1)) / freedom)
    away = rng.standard_normal((count, d))
    away *= off / np.linalg.norm(away, axis=1, keepdims=True)
    return centres.numpy()[mode] + sigma * (width * z + away[mode])


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("n", [2500, 10_000])
@pytest.mark.parametrize("width", [0.42, 0.85, 1.2])
def test_a_planted_width_is_measured_and_told_apart_and_nothing_else_is(width, n, seed):
    found = mode_shape(planted(n, seed, width=width), GRID, SIGMA)
    value = found["mode_width"]
    assert value.p == 0.001
    assert abs(value.value - width) < 4 * value.se
    assert value.se < 0.03
    assert min(found[name].p for name in NAMES[1:]) > 0.005


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("n", [2500, 10_000])
def test_centres_that_are_off_are_measured_as_the_cut_law_has_them_and_nothing_else_is_told_apart(n, seed):
    found = mode_shape(planted(n, seed, off=0.4), GRID, SIGMA)
    value = found["mode_centre"]
    # The mean of a normal law that is shifted by 0.4 and cut at 3.
    wanted = 0.4 * stats.ncx2.cdf(9, 4, 0.16) / stats.ncx2.cdf(9, 2, 0.16)
    assert value.p == 0.001
    assert abs(value.value - wanted) < 4 * value.se
    assert value.protocol["noise"] == pytest.approx((50 / n) ** 0.5, rel=0.1)  # sqrt(d / n_k)
    assert min(found[name].p for name in ("mode_width", "mode_correlation")) > 0.005


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("n", [2500, 10_000])
def test_a_correlation_within_modes_is_measured_and_told_apart(n, seed):
    x = planted(n, seed, correlation=0.5)
    assert mode_shape(x, GRID, SIGMA)["mode_correlation"].p == 0.001
    whole = mode_shape(x, GRID, SIGMA, radius=9.0)["mode_correlation"]
    assert abs(whole.value - 0.5) < 4 * whole.se


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("n", [2500, 10_000])
def test_the_modes_that_are_there_are_judged_alone_and_those_that_are_not_are_told_of(n, seed):
    found = mode_shape(planted(n, seed, kept=12), GRID, SIGMA)
    for name in NAMES:
        assert found[name].p > 0.005
        assert found[name].protocol["modes_counted"] == 12
        assert "13 of 25 modes hold fewer than 20 samples" in found[name].protocol["note"]
        assert {row["mode"] for row in found[name].rows} == set(range(12))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("n", [2500, 10_000])
def test_heavy_tails_are_seen_by_the_width_and_make_no_mode_off_or_correlated(n, seed):
    found = mode_shape(planted(n, seed, freedom=2), GRID, SIGMA)
    assert found["mode_width"].p < 0.005
    assert min(found[name].p for name in NAMES[1:]) > 0.005


def test_modes_of_unlike_widths_are_told_apart_though_their_mean_is_right():
    rng = np.random.default_rng(0)
    mode = rng.integers(25, size=5000)
    scale = np.where(mode < 12, 0.75, 1.2)[:, None]
    value = mode_shape(GRID.numpy()[mode] + SIGMA * scale * rng.standard_normal((5000, 2)), GRID, SIGMA)["mode_width"]
    assert abs(value.value - 1) < 0.05
    assert value.p == 0.001
    assert value.rows[0]["width"] < 0.85
    assert {row["mode"] for row in value.rows[:12]} == set(range(12))


def test_what_is_flat_is_a_correlation_of_any_direction_and_a_line_has_one():
    rng = np.random.default_rng(0)
    flat = rng.standard_normal((4000, 2)) * (1.2, 0.4)
    turned = flat @ np.array([[1, -1], [1, 1]]) / 2**0.5
    one, other = (mode_shape(x, torch.zeros(1, 2), 1.0, radius=9.0)["mode_correlation"] for x in (flat, turned))
    assert one.value == pytest.approx(other.value, rel=1e-9)
    assert abs(one.value - (1.44 - 0.16) / (1.44 + 0.16)) < 4 * one.se  # that of the axes turned by 45 degrees
    line = np.outer(rng.standard_normal(500), (1.0, 2.0)) / 5**0.5
    assert mode_shape(line, torch.zeros(1, 2), 1.0)["mode_correlation"].value == pytest.approx(1)


def test_modes_that_fell_to_a_point_have_no_width_and_no_direction():
    off = torch.zeros(25, 2).double()
    off[3] = torch.tensor([0.5 * SIGMA, 0.0])
    found = mode_shape((GRID + off).repeat(40, 1), GRID, SIGMA)
    assert found["mode_width"].value < 1e-9
    assert found["mode_width"].p == 0.001
    assert found["mode_correlation"].value == 0
    assert found["mode_correlation"].p > 0.05
    assert found["mode_centre"].value == pytest.approx(0.1)  # one of 25 half a width off
    assert found["mode_centre"].rows[0]["mode"] == 3
    assert all(math.isfinite(x) for one in found.values() for x in (one.value, one.se))


def test_numbers_do_not_change_with_units_place_direction_or_the_order_of_samples_and_modes():
    x, turn = planted(2500, 0, width=0.8, off=0.2), np.linalg.qr(np.random.default_rng(1).standard_normal((2, 2)))[0]
    order = torch.randperm(25, generator=torch.Generator().manual_seed(0))
    once = mode_shape(x, GRID, SIGMA)
    again = mode_shape((7 * x @ turn + 3)[::-1].copy(), (7 * GRID @ torch.from_numpy(turn) + 3)[order], 7 * SIGMA)
    for name in NAMES:
        assert again[name].value == pytest.approx(once[name].value, rel=1e-6)
        # Draws go to other modes in another order.
        assert again[name].se == pytest.approx(once[name].se, rel=0.05)
        assert abs(again[name].p - once[name].p) < 0.1


@pytest.mark.parametrize("width", [0.5, 1.0, 1.4])
def test_the_width_does_not_depend_on_the_radius(width):
    x = planted(20_000, 0, width=width)
    for radius in (2.5, 3.0, 4.0, 8.0):
        found = mode_shape(x, GRID, SIGMA, radius=radius)["mode_width"]
        assert abs(found.value - width) < 4 * found.se


def test_distances_are_the_same_on_average_at_any_number_of_samples():
    def mean(n, name, **changes):
        return np.mean([mode_shape(planted(n, i, centres=RING, **changes), RING, SIGMA)[name].value for i in range(12)])

    for name, changes in (("mode_centre", {"off": 0.4}), ("mode_correlation", {"correlation": 0.5})):
        assert mean(400, name, **changes) == pytest.approx(mean(8000, name, **changes), abs=0.03)


def test_standard_errors_are_the_spread_of_the_values():
    found = [mode_shape(planted(4000, i, centres=RING, off=0.3, correlation=0.4), RING, SIGMA) for i in range(60)]
    for name in ("mode_width", "mode_correlation"):
        spread = np.std([one[name].value for one in found], ddof=1)
        assert spread == pytest.approx(np.mean([one[name].se for one in found]), rel=0.35)
    moved = np.std([one["mode_centre"].value for one in found], ddof=1)
    assert moved < 1.5 * np.mean([one["mode_centre"].se for one in found])


@pytest.mark.slow
@pytest.mark.parametrize("n", [400, 4000])
def test_p_values_of_perfect_samplers_are_uniform(n):
    found = [mode_shape(planted(n, 1000 + i, centres=RING), RING, SIGMA) for i in range(400)]
    for name in NAMES:
        p = np.array([one[name].p for one in found])
        assert stats.kstest(p, "uniform").pvalue > 0.001
        assert 0.015 < (p <= 0.05).mean() < 0.095  # what 400 of them, and the draws, scatter by


def test_overlapping_modes_have_the_moments_of_each_and_no_p_value():
    centres = torch.tensor([[-1.5, 0.0], [1.5, 0.0]]).double()
    found = [mode_shape(planted(4000, i, centres=centres, sigma=1.0), centres, 1.0) for i in range(12)]
    widths = [one["mode_width"].value for one in found]
    assert abs(np.mean(widths) - 1) < 4 * np.std(widths) / 12**0.5
    assert np.mean([one["mode_centre"].value for one in found]) < 0.05
    assert all(one[name].p is None for one in found for name in NAMES)
    assert found[0]["mode_width"].protocol["p"] == "none, as modes overlap"


def test_a_line_has_no_correlation_and_many_dimensions_have_a_shape_too():
    line = torch.tensor([[0.0], [9.0]]).double()
    assert list(mode_shape(planted(500, 0, centres=line, sigma=1.0), line, 1.0)) == ["mode_width", "mode_centre"]
    many = 40 * torch.eye(12).double()[:3]
    found = mode_shape(planted(1500, 0, width=0.8, centres=many, sigma=1.0), many, 1.0)
    assert abs(found["mode_width"].value - 0.8) < 4 * found["mode_width"].se
    assert found["mode_width"].p == 0.001
    assert found["mode_centre"].p > 0.005


def test_too_few_samples_or_what_does_not_fit_is_refused():
    with pytest.raises(DataError, match="none of 25 modes has 20 samples within 3 sigma, of 100: draw more"):
        mode_shape(planted(100, 0), GRID, SIGMA)
    with pytest.raises(DataError, match="same units"):
        mode_shape(np.zeros((5, 3)), GRID, SIGMA)
    with pytest.raises(DataError, match="sigma is 0"):
        mode_shape(np.zeros((5, 2)), GRID, 0.0)


@pytest.mark.parametrize("d", [1, 2, 7])
@pytest.mark.parametrize("j", [1, 2, 4])
def test_moments_of_the_cut_law_are_its_integrals(d, j):
    def part(power):
        return integrate.quad(lambda r: r ** (power + d - 1) * math.exp(-(r**2) / 2), 0, 2.5)[0]

    assert float(cut_power(d, 2.5, j)) == pytest.approx(part(2 * j) / part(0), rel=1e-7)


def test_three_sigma_of_the_plane_are_974_thousandths_wide_and_the_width_is_the_inverse_of_the_cut():
    assert float(cut_variance(2, 3.0)) ** 0.5 == pytest.approx(0.9744, abs=5e-5)
    widths = np.array([1e-3, 0.42, 1.0, 1.2, 2.5])
    for d, radius in ((1, 3.0), (2, 3.0), (30, 7.0)):
        variances = widths**2 * cut_variance(d, radius / widths)
        assert width_behind(variances, d, radius) == pytest.approx(widths, rel=1e-6)
    assert float(width_behind(9 / 4, 2, 3.0)) == pytest.approx(10)  # spread evenly within the radius


def test_sums_of_many_samples_scatter_as_samples_drawn_one_by_one():
    def drawn(n):
        found = list(perfect_moments(np.array([n]), 2, 3.0, 4000, np.random.default_rng(0)))
        return ModeMoments(
            found[0].n, *(np.concatenate([vars(x)[k] for x in found]) for k in ("mean", "cov", "quartic"))
        )

    few, many = drawn(256.0), drawn(257.0)
    for of in (lambda m: m.mean[:, 0, 0], lambda m: m.variance[:, 0], lambda m: m.quartic[:, 0],
               lambda m: m.cov[:, 0, 0, 1], lambda m: m.cov[:, 0, 0, 0] - m.cov[:, 0, 1, 1],
               lambda m: m.quartic[:, 0] / m.variance[:, 0] ** 2):  # fmt: skip
        one, other = of(few), of(many)
        assert abs(one.mean() - other.mean()) < 5 * one.std() / 2000**0.5 + 2 * abs(one.mean()) / 256
        assert one.std() == pytest.approx(other.std(), rel=0.08)


def test_an_evaluation_of_known_modes_measures_their_shape_and_its_verdict_counts_it():
    shrunk = torch.from_numpy(planted(2500, 0, width=0.42)).float()
    found = evaluate(shrunk, "toy:grid25", metrics="mode_shape")
    assert found.grade == "bad"
    assert found.judgement.readings["mode_width"].words.endswith("0.42 × the floor")
    assert "mode_width (p 0.001, 0.42 σ wide, single modes 0." in found.verdict
    assert found.judgement.readings["mode_centre"].grade == found.judgement.readings["mode_correlation"].grade == "good"
    assert "mode_width ≈" in str(found)
    perfect = evaluate(torch.from_numpy(planted(2500, 5)).float(), "toy:grid25", metrics="modes,mode_shape")
    assert perfect.grade == "good"
