"""Fenchel duality: f*(t) = sup_r rt - f(r), the critic map phi(V) = f'(e^-V), and f* along it."""

from __future__ import annotations

import math

import pytest
import torch
from laws.family import AT_ZERO, SMOOTH, WEIGHTS, close, each, each_smooth, real, slope
from scipy.special import lambertw

from pushforward.divergences import JEFFREYS, JS, KL, LOGD, PEARSON, TV, Divergence, alpha, dual, logistic
from pushforward.errors import UsageError

U = torch.logspace(-3, 3, 181, dtype=torch.float64)
V = torch.linspace(-6, 6, 121, dtype=torch.float64)
CLAMPED = [divergence for divergence in (*SMOOTH, TV) if AT_ZERO[divergence][1] > -math.inf]
BOUNDED = [divergence for divergence in (*SMOOTH, TV) if divergence.domain < math.inf]


@each_smooth
def test_fenchel_equality_holds_at_the_slope(divergence):
    t = divergence.df(U)
    gap = divergence.f(U) + divergence.conjugate(t) - U * t
    assert (gap.abs() <= 1e-10 * (U * t).abs().clamp(min=1)).all()


def test_fenchel_equality_of_total_variation_holds_at_its_two_slopes():
    for u, t in [(0.3, -0.5), (1.0, 0.2), (2.5, 0.5)]:
        assert (TV.f(real(u)) + TV.conjugate(real(t))).item() == pytest.approx(u * t, abs=1e-12)


@each
def test_fenchel_inequality_holds_everywhere(divergence):
    u = torch.cat([real([1e-9]), U])[:, None]
    t = torch.linspace(-7, min(divergence.domain - 1e-6, 7), 301, dtype=torch.float64)[None]
    gap = divergence.f(u) + divergence.conjugate(t) - u * t
    assert (gap >= -1e-10 * (u * t).abs().clamp(min=1)).all()


@each_smooth
def test_slope_of_the_conjugate_inverts_the_slope_of_f(divergence):
    u = torch.logspace(-2, 2, 81, dtype=torch.float64)
    close(slope(divergence.conjugate, divergence.df(u)), u, 1e-9)


@each
def test_limits_at_zero_are_those_of_the_table(divergence):
    value, steepness = AT_ZERO[divergence]
    tiny = real([1e-12])
    if math.isfinite(value):
        assert divergence.f(tiny).item() == pytest.approx(value, abs=1e-5)
    else:
        assert divergence.f(tiny).item() > 20
    if math.isfinite(steepness):
        assert divergence.df(tiny).item() == pytest.approx(steepness, abs=3e-6)
    else:
        assert divergence.df(tiny).item() < -20


@pytest.mark.parametrize("divergence", CLAMPED, ids=str)
def test_conjugate_is_flat_below_the_slope_at_zero(divergence):
    value, corner = AT_ZERO[divergence]
    below, above = real([corner - 5, corner - 1e-3, corner]), real([corner + 1e-9, corner + 1e-3])
    close(divergence.conjugate(below), torch.full_like(below, -value), 0.0, 1e-12)
    assert divergence.conjugate(above)[0].item() == pytest.approx(-value, abs=1e-8)
    assert (divergence.conjugate(above) > -value - 1e-12).all()
    assert divergence.conjugate(above)[1] > -value
    close(slope(divergence.conjugate, below[:2]), torch.zeros(2, dtype=torch.float64), 0.0, 1e-12)


@pytest.mark.parametrize("divergence", BOUNDED, ids=str)
def test_conjugate_is_infinite_outside_its_domain_with_a_slope_that_is_a_number(divergence):
    outside = real([divergence.domain + 1e-9, divergence.domain + 1, divergence.domain + 1e3])
    assert (divergence.conjugate(outside) == math.inf).all()
    assert divergence.conjugate(real([divergence.domain - 1e-9])).isfinite().all()
    assert not slope(divergence.conjugate, outside).isnan().any()


@pytest.mark.parametrize("divergence", SMOOTH, ids=str)
def test_domain_ends_at_the_slope_of_f_at_infinity(divergence):
    far = divergence.df(real([1e12])).item()
    if divergence.domain < math.inf:
        assert far == pytest.approx(divergence.domain, abs=3e-6)
    else:
        assert far > 20


@each_smooth
def test_critic_map_is_the_slope_of_f_at_the_ratio(divergence):
    close(divergence.critic_map(V), divergence.df((-V).exp()), 1e-10, 1e-10)


@each
def test_dual_value_is_the_conjugate_along_the_critic_map(divergence):
    close(divergence.dual_value(V), divergence.conjugate(divergence.critic_map(V)), 1e-9, 1e-10)


@each_smooth
def test_slopes_along_the_critic_map_are_the_weights_of_model_and_data(divergence):
    rounding = 1e-14  # of expm1 near -1, whose slope is computed as its value plus one
    close(slope(divergence.critic_map, V), -WEIGHTS[divergence](V), 1e-12, rounding)
    close(slope(divergence.dual_value, V), -(-V).exp() * WEIGHTS[divergence](V), 1e-12, rounding)


@each
def test_critic_map_stays_in_the_domain_for_every_score(divergence):
    scores = torch.cat([torch.linspace(-300, 300, 601, dtype=torch.float64)])
    assert (divergence.critic_map(scores) <= divergence.domain).all()


def test_jeffreys_conjugate_is_the_lambert_form():
    t = torch.linspace(-600, 20, 400, dtype=torch.float64)
    w = real(lambertw((1 - t).exp().numpy()).real)
    close(JEFFREYS.conjugate(t), w + 1 / w + t - 2, 1e-11, 1e-11)


def test_pearson_and_logd_conjugates_have_their_closed_forms_on_both_sides():
    assert PEARSON.conjugate(real([-7.0, -2.0, -1.0, 2.0])).tolist() == pytest.approx([-1, -1, -0.75, 3])
    log2 = math.log(2)
    assert LOGD.conjugate(real([-4.0, -log2, 0.0, log2])).tolist() == pytest.approx([log2 - 1, log2 - 1, 0, 2 - log2])


@each_smooth
def test_dual_contrast_is_the_mean_over_data_minus_the_mean_over_the_model(divergence):
    q, p = real([-0.4, 0.2, 1.1]), real([0.9, -0.7])
    wanted = divergence.dual_value(p).mean() - divergence.critic_map(q).mean()
    close(dual(divergence)(q, p), wanted, 1e-13)
    close(dual(divergence, cap=math.inf)(q, p), wanted, 1e-13)


def test_js_dual_is_the_logistic_loss():
    q, p = torch.randn(2, 50, dtype=torch.float64) * 3
    close(dual(JS)(q, p), logistic(q, p) - 2 * math.log(2), 1e-12)


def test_dual_of_a_divergence_without_critic_map_is_refused():
    bare = Divergence("bare", variation=KL.variation, log_weight=KL.log_weight)
    with pytest.raises(UsageError, match="bare has no dual form"):
        dual(bare)


@pytest.mark.parametrize("order", [math.nan, math.inf, -math.inf])
def test_alpha_needs_a_finite_order(order):
    with pytest.raises(UsageError, match="finite order"):
        alpha(order)
