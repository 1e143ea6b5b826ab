"""Fenchel duality: f*(t) = sup_r rt - f(r), the critic map phi(V) = f'(e^-V), and f* along it."""

from __future__ import annotations

import math

import pytest
import torch
from laws.family import AT_ZERO, SMOOTH, WEIGHTS, close, each, each_smooth, real, slope
from scipy.special import lambertw
from torch import Tensor

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


def capped(divergence: Divergence, cap: float, v: Tensor) -> tuple[Tensor, Tensor]:
    """The slopes (at q, at p) of a dual whose f'' is cut off at cap / r and cap / r^2, written down by hand."""
    w = torch.minimum(WEIGHTS[divergence](v), torch.minimum(real(cap), cap * v.exp()))
    return w, (-v).exp() * w


@each_smooth
@pytest.mark.parametrize("cap", [30.0, 1e4])
def test_capped_dual_has_the_slopes_of_one_divergence_as_far_as_scores_go(divergence, cap):
    far = torch.logspace(-2, 6, 200, dtype=torch.float64)
    v = torch.cat([-far.flip(0), far])
    q, p = v.clone().requires_grad_(True), v.clone().requires_grad_(True)
    found = torch.autograd.grad(dual(divergence, cap)(q, p), (q, p))
    near, usual = v.abs() < 600, v.clamp(-600, 600)  # beyond, only what exp can write
    wanted_q, wanted_p = capped(divergence, cap, usual)
    rounding = 1e-14  # of expm1 near -1, as above
    close(len(v) * found[0][near], wanted_q[near], 1e-9, rounding)
    close(-len(v) * found[1][near], wanted_p[near], 1e-9, rounding)
    assert (len(v) * found[0] >= 0).all()
    assert (len(v) * found[0] <= cap * (1 + 1e-9)).all()
    assert (-len(v) * found[1] <= cap * (1 + 1e-9)).all()


@each_smooth
@pytest.mark.parametrize("ratio", [1e-12, 1e-6, 1.0, 1e6, 1e12])
def test_capped_dual_is_least_at_the_log_ratio_however_far_that_is(divergence, ratio):
    """One point with mass 1 under p and q/p = ratio: the loss falls up to V = -log ratio, and rises from there on."""
    contrast, best = dual(divergence), -math.log(ratio)
    v = torch.cat([best + torch.linspace(-3, 3, 61, dtype=torch.float64), real([-1e6, -1e3, 1e3, 1e6])]).sort().values
    v = v.requires_grad_(True)
    lost = torch.stack([contrast(real([0.0]), one[None]) for one in v])
    gained = torch.stack([contrast(one[None], real([0.0])) for one in v])
    (on_p,), (on_q,) = torch.autograd.grad(lost.sum(), v), torch.autograd.grad(gained.sum(), v)
    # d/dV of p A(V) - q B(V) is w (q - p e^-V), so its sign is that of V - log p/q
    slopes = on_p + ratio * on_q
    rounding = 1e-14 * (1 + ratio)
    assert (slopes[v < best - 0.05] <= rounding).all()
    assert (slopes[v > best + 0.05] >= -rounding).all()
    assert slopes[v < best - 0.05].min() < 0
    assert slopes[v > best + 0.05].max() > 0


@each_smooth
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_minus_a_capped_dual_never_passes_the_divergence_nor_any_bound(divergence, dtype):
    """Critics as far apart as 1e6 between laws on three points, of which one has nearly no mass, or none, under p."""
    p = real([1e-16, 1.0, 0.3])
    q = real([1e-4, 0.3, 1e-12])
    p, q = p / p.sum(), q / q.sum()
    primal = (p * divergence.f(q / p)).sum().item()
    contrast = dual(divergence)
    far = [-1e6, -1e4, -10.0, -9.0, 0.0, 9.0, 10.0, 1e4, 1e6]
    zero = torch.zeros(1, dtype=dtype)
    at = torch.tensor(far, dtype=dtype)
    alone = torch.stack([contrast(zero, one[None]) for one in at]).double()  # f* on p alone
    pushed = torch.stack([contrast(one[None], zero) for one in at]).double()
    index = torch.cartesian_prod(*[torch.arange(len(far))] * 3)
    loss = (p * alone[index]).sum(1) + (q * pushed[index]).sum(1)
    assert loss.isfinite().all()
    assert -loss.min().item() <= primal * (1 + 1e-5) + 1e-5
    assert -(alone.min() + pushed.min()).item() < 1e6  # a bound for disjoint laws: q where p has nothing
