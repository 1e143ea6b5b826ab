"""One Gaussian against two modes: closed forms, limits, and optima known to four digits."""

import math

import pytest
import torch

from pushforward import divergences
from pushforward.demos.fitting import (
    JSD,
    KL_DATA_MODEL,
    KL_MODEL_DATA,
    Grid,
    apart_jsd,
    crossing,
    fits,
    moments,
    pair,
    rivals,
)
from pushforward.densities.mixture import Mixture
from pushforward.errors import UsageError

GRID = Grid.of(1, 12.0, 2401)
SWEEP = Grid.of(1, 40.0, 1601)
LINE = Mixture.of([[-2.0], [2.0]], sigma=0.5, weights=[0.8, 0.2])
PLANE = Mixture.of([[-1.5, -1.5], [1.5, 1.5]], sigma=0.6, weights=[0.7, 0.3])


def symmetric(mean):
    return Mixture.of([[-mean], [mean]], sigma=0.5)


def minima(criterion, target, grid=GRID):
    return [fit for fit in fits(criterion, target, grid) if fit.minimum]


def normal(x, mean, sigma):
    return -0.5 * ((x - mean) / sigma) ** 2 - torch.log(sigma) - 0.5 * math.log(2 * math.pi)


@pytest.mark.parametrize(
    ("criterion", "divergence", "factor"),
    [
        (KL_DATA_MODEL, divergences.REVERSE_KL, 1),
        (KL_MODEL_DATA, divergences.KL, 1),
        (JSD, divergences.JS, 0.5),
    ],
    ids=["KL(p|q)", "KL(q|p)", "JSD"],
)
def test_criteria_are_the_divergences_of_the_library(criterion, divergence, factor):
    log_p, x = LINE.log_prob(GRID.points), GRID.points[:, 0]
    log_q = normal(x, -0.7, torch.tensor(1.1).double())
    value = criterion.integrand(log_q, log_p).sum() * GRID.cell
    wanted = factor * (log_p.exp() * divergence.f((log_q - log_p).exp())).sum() * GRID.cell
    assert float(value) == pytest.approx(float(wanted), abs=1e-9)


@pytest.mark.parametrize(
    ("criterion", "wanted"),
    [
        (KL_DATA_MODEL, [(-1.2000, 1.6763, 0.7094)]),
        (KL_MODEL_DATA, [(-2.0, 0.5, 0.2231), (2.0, 0.5, 1.6094)]),
        (JSD, [(-2.0, 0.5, 0.0749), (1.999, 0.502, 0.4228)]),
    ],
    ids=["KL(p|q)", "KL(q|p)", "JSD"],
)
def test_minima_on_the_line_are_the_known_ones(criterion, wanted):
    found = minima(criterion, LINE)
    assert len(found) == len(wanted)
    for fit, (mean, sigma, value) in zip(found, wanted):
        assert (float(fit.mean), fit.sigma, fit.value) == pytest.approx((mean, sigma, value), abs=1e-3)


@pytest.mark.parametrize(
    ("criterion", "wanted"),
    [
        (KL_DATA_MODEL, [(-0.6, 2.25, 1.89, 0.6108)]),
        (KL_MODEL_DATA, [(-1.499, 0.361, 0.001, 0.3563), (1.498, 0.3623, 0.0023, 1.203)]),
        (JSD, [(-1.499, 0.3616, 0.0016, 0.1171), (-0.629, 2.1597, 1.7997, 0.1703), (1.4965, 0.3653, 0.0053, 0.3417)]),
    ],
    ids=["KL(p|q)", "KL(q|p)", "JSD"],
)
def test_minima_in_the_plane_are_the_known_ones(criterion, wanted):
    found = minima(criterion, PLANE, Grid.of(2, 9.0, 181))
    assert len(found) == len(wanted)
    for fit, (mean, variance, covariance, value) in zip(found, wanted):
        assert fit.mean.tolist() == pytest.approx([mean, mean], abs=1e-3)
        assert fit.covariance.flatten().tolist() == pytest.approx(
            [variance, covariance, covariance, variance], abs=1e-3
        )
        assert fit.value == pytest.approx(value, abs=1e-3)


def test_kl_from_data_to_model_is_least_at_the_moments():
    target = Mixture.of(
        [[-1.0, 0.5], [1.2, 0.0], [0.3, -1.4]],
        covariances=[[[0.5, 0.2], [0.2, 0.4]], [[0.3, 0.0], [0.0, 0.6]], [[0.4, -0.1], [-0.1, 0.3]]],
        weights=[0.5, 0.3, 0.2],
    )
    mean, covariance = moments(target)
    x = target.sample(400_000, torch.Generator().manual_seed(0)).double()
    assert (x.mean(0) - mean).abs().max() < 4 * 1.5 / 400_000**0.5
    assert (x.T.cov() - covariance).abs().max() < 0.01
    off = [(mean + 0.5, covariance), (mean, 2 * covariance)]
    (fit,) = fits(KL_DATA_MODEL, target, Grid.of(2, 9.0, 121), off)
    torch.testing.assert_close(fit.mean, mean, rtol=0, atol=1e-6)
    torch.testing.assert_close(fit.covariance, covariance, rtol=0, atol=1e-6)


def test_two_equal_modes_pull_the_two_kl_divergences_apart():
    (wide,) = minima(KL_DATA_MODEL, symmetric(2.0))
    assert (float(wide.mean), wide.sigma) == pytest.approx((0, math.sqrt(4.25)), abs=1e-6)
    left, right, middle = minima(KL_MODEL_DATA, symmetric(2.0))
    assert sorted([float(left.mean), float(right.mean)]) == pytest.approx([-2, 2], abs=1e-3)
    assert (left.value, left.sigma) == pytest.approx((math.log(2), 0.5), abs=1e-3)
    assert (float(middle.mean), middle.sigma) == pytest.approx((0, 1.7364), abs=1e-3)
    assert middle.value == pytest.approx(1.8712, abs=1e-3)


def test_wide_optimum_of_kl_from_model_to_data_is_a_minimum_and_no_saddle():
    target = symmetric(2.0)
    middle = max(minima(KL_MODEL_DATA, target), key=lambda fit: fit.sigma)
    log_p, x = target.log_prob(GRID.points), GRID.points[:, 0]

    def at(mean, sigma):
        log_q = normal(x, mean, torch.tensor(sigma).double())
        return float(KL_MODEL_DATA.integrand(log_q, log_p).sum() * GRID.cell)

    assert at(0.0, middle.sigma) == pytest.approx(middle.value, abs=1e-9)
    round_about = [(0.1 * math.cos(k), middle.sigma + 0.1 * math.sin(k)) for k in range(12)]
    assert min(at(mean, sigma) for mean, sigma in round_about) > middle.value + 1e-4


@pytest.mark.parametrize(("mean", "both", "one"), [(1.25, 0.0862, None), (2.0, 0.2010, 0.2157), (2.5, 0.2554, 0.2158)])
def test_jensen_shannon_covers_near_modes_and_seeks_among_far_ones(mean, both, one):
    found = minima(JSD, symmetric(mean))
    wide = [fit.value for fit in found if abs(float(fit.mean)) < 0.01]
    narrow = [fit.value for fit in found if abs(abs(float(fit.mean)) - mean) < 0.01]
    assert len(found) == len(wide) + len(narrow)
    assert wide == pytest.approx([both], abs=1e-3)
    assert narrow == pytest.approx([] if one is None else [one, one], abs=1e-3)


def test_covering_optimum_of_jensen_shannon_has_the_known_width():
    assert minima(JSD, symmetric(2.0))[0].sigma == pytest.approx(2.0424, abs=1e-3)


@pytest.mark.parametrize("weight", [0.2, 0.5, 0.8])
def test_values_on_one_far_mode_are_the_closed_forms(weight):
    target = Mixture.of([[-6.0], [6.0]], sigma=0.5, weights=[weight, 1 - weight])
    begin = [(torch.tensor([-5.8]).double(), torch.tensor([[0.3]]).double())]
    (seek,) = fits(KL_MODEL_DATA, target, GRID, begin)
    (share,) = fits(JSD, target, GRID, begin)
    assert seek.value == pytest.approx(-math.log(weight), abs=1e-9)
    assert share.value == pytest.approx(apart_jsd(weight), abs=1e-9)
    assert (float(share.mean), share.sigma) == pytest.approx((-6, 0.5), abs=1e-4)


def test_closed_form_of_jensen_shannon_has_its_known_values_and_ends():
    assert apart_jsd(0.5) == pytest.approx(0.2158, abs=5e-5)
    assert apart_jsd(0.8) == pytest.approx(0.0749, abs=5e-5)
    assert apart_jsd(1 - 1e-12) == pytest.approx(0, abs=1e-10)
    assert apart_jsd(1e-12) == pytest.approx(math.log(2), abs=1e-10)


@pytest.mark.parametrize("criterion", [KL_DATA_MODEL, KL_MODEL_DATA, JSD], ids=["KL(p|q)", "KL(q|p)", "JSD"])
def test_ten_times_the_points_change_nothing(criterion):
    coarse, fine = minima(criterion, LINE)[0], minima(criterion, LINE, Grid.of(1, 12.0, 24001))[0]
    assert coarse.value == pytest.approx(fine.value, abs=1e-11)
    assert coarse.sigma == pytest.approx(fine.sigma, abs=1e-6)


@pytest.mark.parametrize("criterion", [KL_MODEL_DATA, JSD], ids=["KL(q|p)", "JSD"])
def test_optima_move_with_the_axes(criterion):
    turn = torch.tensor([[0.8, -0.6], [0.6, 0.8]], dtype=torch.float64) * 0.7
    turned = Mixture(PLANE.means @ turn.T, turn @ PLANE.covariances @ turn.T, PLANE.weights)
    grid = Grid.of(2, 9.0, 181)
    here, there = minima(criterion, PLANE, grid)[0], minima(criterion, turned, grid)[0]
    assert here.value == pytest.approx(there.value, abs=1e-8)
    torch.testing.assert_close(turn @ here.mean, there.mean, rtol=0, atol=1e-5)
    torch.testing.assert_close(turn @ here.covariance @ turn.T, there.covariance, rtol=0, atol=1e-5)


def test_jensen_shannon_gives_no_slope_to_a_model_that_overlaps_nothing():
    far = [(torch.tensor([9.0]).double(), torch.tensor([[0.01]]).double())]
    (stuck,) = fits(JSD, LINE, GRID, far)
    assert (float(stuck.mean), stuck.value) == pytest.approx((9.0, math.log(2)), abs=1e-6)
    assert abs(stuck.curvature) < 1e-6
    assert not stuck.minimum


def test_order_of_the_two_optima_changes_at_the_crossing():
    for criterion, bracket in ((KL_MODEL_DATA, (2.6, 3.4)), (JSD, (3.6, 4.6))):
        at = crossing(criterion, bracket, SWEEP)
        near, there, far = (rivals(criterion, at + step, SWEEP) for step in (-0.05, 0, 0.05))
        assert near.both.value < near.one.value
        assert far.both.value > far.one.value
        assert there.both.value == pytest.approx(there.one.value, abs=1e-6)
    assert 4.0 < at < 5.0  # means at +-2 with sigma 0.5 cover, at +-2.5 they do not
    with pytest.raises(UsageError, match="give another bracket"):
        crossing(JSD, (1.0, 4.6), SWEEP)


def test_distances_in_standard_deviations_are_all_that_matters():
    by_unit, by_half = rivals(JSD, 4.0, SWEEP), minima(JSD, symmetric(2.0))
    assert by_unit.both.value == pytest.approx(by_half[0].value, abs=1e-8)
    assert by_unit.one.value == pytest.approx(by_half[1].value, abs=1e-8)
    assert moments(pair(4.0))[1].item() == pytest.approx(17.0)


@pytest.mark.parametrize(
    ("criterion", "wanted"),
    [(KL_DATA_MODEL, (-1.1615, 1.7885)), (KL_MODEL_DATA, (-1.9999, 0.5002)), (JSD, (-1.9299, 0.5227))],
    ids=["KL(p|q)", "KL(q|p)", "JSD"],
)
def test_fifty_steps_of_gradient_descent_end_at_the_known_places(criterion, wanted):
    x = torch.linspace(-6, 6, 500, dtype=torch.float64)
    log_p, theta = LINE.log_prob(x[:, None]), torch.tensor([-1.0, 0.5], dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.SGD([theta], lr=0.1)
    for _ in range(50):
        optimiser.zero_grad()
        (criterion.integrand(normal(x, *theta), log_p).sum() * 12 / 500).backward()
        optimiser.step()
    assert theta.tolist() == pytest.approx(wanted, abs=2e-4)
