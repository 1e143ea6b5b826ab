"""Lambda(phi) = inf_nu nu + E_p f*(phi - nu), its root and its weights: the laws of a risk, for every divergence."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest
import torch
from laws.family import ALL, close, each, each_smooth, real, slope
from scipy.optimize import brentq, minimize_scalar
from torch.fx.experimental.proxy_tensor import make_fx
from torch.optim import SGD

from pushforward.divergences import (
    HELLINGER,
    HELLINGER_LIP,
    HINGE,
    JS_LIP,
    KL,
    KL_LIP,
    PEARSON,
    PEARSON_LIP,
    REVERSE_KL,
    REVERSE_KL_LIP,
    TV,
    TV_LIP,
    W1,
    Divergence,
    alpha,
    alpha_lip,
    cumulant,
    dual,
    lipschitz_dual,
    locate,
    logistic,
    shift,
    tilt,
)
from pushforward.errors import UsageError
from pushforward.flows.critic import CriticFlow
from pushforward.nets import mlp
from pushforward.training.learner import Learner

FAMILY = (*ALL, alpha(2), alpha(10), alpha(1.01), alpha(-5), W1)
EXTREME = (alpha(-1), alpha(-5))
"""Steep at the end of their domains: the root is as exact as float64 resolves their argument, the weights less so."""

every = pytest.mark.parametrize("divergence", FAMILY, ids=str)


def scores(m: int = 40, scale: float = 2.0, seed: int = 0) -> torch.Tensor:
    return scale * torch.randn(m, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@each
def test_slope_of_the_conjugate_is_its_derivative_inside_the_domain(divergence):
    end = min(divergence.domain, 3.0)
    t = torch.linspace(-4, end - 0.05, 137, dtype=torch.float64)
    t = t[(t + 0.5).abs() > 1e-3]  # total variation has a kink there
    close(divergence.conjugate_slope(t), slope(divergence.conjugate, t), 1e-9, 1e-12)


@each
def test_slope_of_the_conjugate_is_one_at_zero_monotone_and_infinite_past_the_domain(divergence):
    close(divergence.conjugate_slope(real([0.0])), real([1.0]), 1e-12)
    t = torch.cat([torch.linspace(-1e6, -1, 50), torch.linspace(-1, 3, 400), torch.tensor([1e3, 1e6])]).double()
    values = divergence.conjugate_slope(t)
    assert not values.isnan().any()
    assert (values >= 0).all()
    assert (values[1:] >= values[:-1]).all()
    past = divergence.conjugate_slope(real([divergence.domain + 1e-9, divergence.domain + 5]))
    assert (past == math.inf).all() or divergence.domain == math.inf


@each_smooth
def test_slope_of_the_conjugate_undoes_the_slope_of_f(divergence):
    r = torch.logspace(-2, 2, 81, dtype=torch.float64)
    close(divergence.conjugate_slope(divergence.df(r)), r, 1e-8)


@every
@pytest.mark.parametrize("c", [-3.0, 1e4])
def test_a_constant_is_carried_through(divergence, c):
    phi = scores()
    close(cumulant(divergence, phi + c), cumulant(divergence, phi) + c, 0, 1e-11)
    close(cumulant(divergence, torch.full((7,), c).double()), real(c), 1e-14, 1e-14)


@every
def test_value_is_the_infimum_over_nu(divergence):
    phi = scores()

    def objective(nu: float) -> float:
        return nu + float(divergence.conjugate(phi - nu).mean())

    top = phi.max().item()
    low = max(phi.min().item() - 1, top - divergence.domain)
    found = minimize_scalar(objective, bounds=(low, top + 1), method="bounded", options={"xatol": 1e-10})
    wanted = min(found.fun, objective(top - 0.5) if divergence is TV else math.inf)
    close(cumulant(divergence, phi), real(wanted), 0, 1e-7)


@pytest.mark.parametrize("divergence", [d for d in FAMILY if d not in (TV, W1)], ids=str)
@pytest.mark.parametrize("m", [2, 40, 700])
def test_root_is_that_of_an_independent_solver(divergence, m):
    phi = scores(m)
    top = phi.max().item()

    def gap(nu: float) -> float:
        mean = divergence.conjugate_slope(phi - nu).mean().item()
        return min(mean, 1e300) - 1

    low = max(phi.min().item(), top - divergence.domain + 1e-16)
    root = brentq(gap, low - 1e-12, top + 1e-12, xtol=1e-14, rtol=1e-14)
    assert shift(divergence, phi).item() == pytest.approx(root, abs=1e-9, rel=0)


@every
@pytest.mark.parametrize("m", [1, 2, 40, 700])
def test_weights_are_a_probability_and_the_gradient_of_the_value(divergence, m):
    phi = scores(m).requires_grad_(True)
    (gradient,) = torch.autograd.grad(cumulant(divergence, phi), phi)
    weights = tilt(divergence, phi)
    assert not weights.requires_grad
    assert (weights >= 0).all()
    close(weights.sum(), real(1.0), 0, 1e-12)
    close(gradient, weights, 0, 1e-14)


@pytest.mark.parametrize("divergence", [d for d in FAMILY if d is not TV], ids=str)
def test_gradient_is_that_of_finite_differences(divergence):
    phi, h = scores(12), 1e-5
    steps = h * torch.eye(12, dtype=torch.float64)
    numbers = torch.stack([(cumulant(divergence, phi + e) - cumulant(divergence, phi - e)) / (2 * h) for e in steps])
    close(tilt(divergence, phi), numbers, 0, 1e-3 if divergence in EXTREME else 1e-7)


@every
def test_value_is_monotone_convex_and_between_mean_and_maximum(divergence):
    phi, psi = scores(seed=1), scores(seed=2)
    a, b = cumulant(divergence, phi), cumulant(divergence, psi)
    assert cumulant(divergence, torch.maximum(phi, psi)) >= torch.maximum(a, b) - 1e-12
    assert cumulant(divergence, (phi + psi) / 2) <= (a + b) / 2 + 1e-12
    assert phi.mean() - 1e-12 <= a <= phi.max() + 1e-12


@every
def test_value_of_the_whole_is_at_least_the_mean_of_its_halves(divergence):
    phi = scores(60)
    halves = (cumulant(divergence, phi[:30]) + cumulant(divergence, phi[30:])) / 2
    assert cumulant(divergence, phi) >= halves - 1e-12


def test_value_for_kl_is_log_mean_exp_by_either_way():
    phi = scores(300)
    wanted = phi.logsumexp(0) - math.log(300)
    general = Divergence("KL", KL.variation, KL.log_weight, conjugate=lambda t: t.exp() - 1, conjugate_slope=torch.exp)
    for divergence in (KL, KL_LIP, general):
        close(cumulant(divergence, phi), wanted, 1e-13)
        close(shift(divergence, phi), wanted, 1e-13)
        close(tilt(divergence, phi), phi.softmax(0), 1e-10)


def test_value_for_pearson_is_mean_plus_quarter_variance_while_no_weight_vanishes():
    phi = scores(50, scale=0.3)  # 1 + t/2 > 0 throughout
    close(cumulant(PEARSON, phi), phi.mean() + phi.var(correction=0) / 4, 1e-12)
    close(cumulant(alpha(2), phi), phi.mean() + phi.var(correction=0) / 2, 1e-12)
    close(tilt(alpha(2), phi), (1 + phi - phi.mean()) / 50, 1e-11)


def test_value_for_total_variation_is_the_mean_cut_one_below_the_maximum():
    for phi in (scores(60), scores(60, 0.1), real([2.0, 2.0, -9.0]), real([4.0])):
        top = phi.max()
        close(cumulant(TV, phi), torch.maximum(phi, top - 1).mean(), 1e-14, 1e-14)
        assert shift(TV, phi) >= top - 0.5 - 1e-12
    close(tilt(TV, real([2.0, 2.0, -9.0])), real([0.5, 0.5, 0.0]), 0, 1e-15)


def test_orders_tend_to_kl_and_reverse_kl_at_the_rate_of_their_expansion():
    # f_a = f_1 + (a-1) (r l^2/2 - r l + r - 1) + ... and f_a = f_0 + a (r - 1 - l - l^2/2) + ..., with l = log r
    phi, h = scores(100), 1e-4
    for order, limit in ((1.0, KL), (0.0, REVERSE_KL)):
        r = limit.conjugate_slope(phi - shift(limit, phi))
        log_r = r.log()
        first = r * log_r**2 / 2 - r * log_r + r - 1 if order else r - 1 - log_r - log_r**2 / 2
        rate = (cumulant(alpha(order + h), phi) - cumulant(alpha(order - h), phi)) / (2 * h)
        close(rate, -first.mean(), 1e-4)
        assert (cumulant(alpha(order + h), phi) - cumulant(limit, phi)).abs() < 2e-4


def test_conventions_of_the_orders_two_and_a_half():
    # c f has the cumulant c Lambda_f(phi / c)
    phi = scores(80)
    close(cumulant(alpha(2), phi), cumulant(PEARSON, 2 * phi) / 2, 1e-11)
    close(cumulant(alpha(0.5), phi), 2 * cumulant(HELLINGER, phi / 2), 1e-11)


@every
def test_scores_of_a_million_stay_finite(divergence):
    phi = scores(200) * torch.linspace(0, 13, 200, dtype=torch.float64).exp()
    assert phi.abs().max() > 1e5
    for x in (phi, phi.float()):
        y = x.clone().requires_grad_(True)
        (gradient,) = torch.autograd.grad(cumulant(divergence, y), y)
        assert gradient.isfinite().all()
        assert gradient.sum().item() == pytest.approx(1, abs=1e-5)
        assert x.mean() - 1e-6 <= cumulant(divergence, x) <= x.max()


@every
def test_single_precision_is_double_precision_rounded(divergence):
    phi = scores(100).float()
    wanted = cumulant(divergence, phi.double())
    found = cumulant(divergence, phi)
    assert found.dtype == tilt(divergence, phi).dtype == shift(divergence, phi).dtype == torch.float32
    torch.testing.assert_close(found.double(), wanted, rtol=3e-7, atol=3e-7)


@pytest.mark.parametrize("m", [64, 5000, 70000])
def test_root_does_not_depend_on_how_fine_the_bracket_is_cut(m):
    phi = scores(64).repeat(math.ceil(m / 64))
    close(shift(alpha(3), phi), shift(alpha(3), scores(64)), 0, 1e-12)


@pytest.mark.parametrize("divergence", [KL_LIP, alpha_lip(2), JS_LIP, TV_LIP], ids=str)
def test_contrast_is_traced_as_one_graph_for_all_values(divergence):
    def train(q, p):
        with torch.enable_grad():
            p = p.detach().requires_grad_(True)
            loss = divergence.contrast(q, p)
            return loss.detach(), torch.autograd.grad(loss, p)[0]

    q, p = scores(20), scores(30)
    traced = make_fx(train)(q, p)
    for seed in (1, 2):
        q, p = scores(20, 5.0, seed), scores(30, 0.1 * seed, seed)
        for found, wanted in zip(traced(q, p), train(q, p)):
            close(found, wanted, 1e-12, 1e-12)


PRIMALS = [(KL_LIP, KL), (REVERSE_KL_LIP, REVERSE_KL), (HELLINGER_LIP, HELLINGER), (PEARSON_LIP, PEARSON),
           (TV_LIP, TV), (alpha_lip(1.5), alpha(1.5))]  # fmt: skip


@pytest.mark.parametrize(("regularised", "plain"), PRIMALS, ids=lambda d: d.name)
def test_minus_the_contrast_is_the_divergence_at_its_critic_and_below_it_elsewhere(regularised, plain):
    # q and p on three atoms; p uniform, q of ratios r: the best phi is f'(r) and needs no bound on its slope
    r = real([0.2, 0.9, 1.9])
    rows = torch.tensor([0] * 2 + [1] * 9 + [2] * 19)
    wanted = plain.f(r).mean()
    best = -plain.df(r)
    close(-regularised.contrast(best[rows], best), wanted, 1e-10)
    close(-regularised.contrast(best[rows] + 5, best + 5), wanted, 1e-10)
    for other in (best + 0.3 * real([1.0, -1.0, 0.5]), 0 * best, 2 * best, -best):
        assert -regularised.contrast(other[rows], other) <= wanted + 1e-12


def test_contrasts_of_the_metrics():
    q, p = scores(30, seed=1), scores(50, seed=2)
    close(W1.contrast(q, p), q.mean() - p.mean(), 1e-15)
    close(lipschitz_dual(W1).contrast(q, p), q.mean() + cumulant(W1, -p), 1e-12)
    close(HINGE.contrast(0 * q, 0 * p), real(0.0), 0, 0)
    # q and p apart, and the best critic: twice the total variation of 1
    close(HINGE.contrast(torch.full_like(q, -1), torch.full_like(p, 1)), real(-2.0), 0, 0)


@pytest.mark.parametrize("divergence", [KL_LIP, REVERSE_KL_LIP, TV_LIP, W1, HINGE, alpha_lip(2)], ids=str)
def test_velocity_is_the_slope_of_the_critic_itself(divergence):
    d = scores(10)
    assert (divergence.log_weight(d) == 0).all()
    close(slope(divergence.variation, d), -torch.ones_like(d), 0)


@pytest.mark.parametrize(
    ("name", "wanted"),
    {"KL_LIP": KL_LIP, "kl-lip": KL_LIP, "w1": W1, "hinge": HINGE, "alpha_lip(2)": alpha_lip(2), "JS_LIP": JS_LIP,
     "Lipschitz alpha(2)": alpha_lip(2), "alpha_lip(1)": KL_LIP, "pushforward.divergences:TV_LIP": TV_LIP}.items(),
)  # fmt: skip
def test_regularised_divergences_are_found_by_name(name, wanted):
    assert locate(name) is wanted


def test_the_dual_of_a_regularised_divergence_is_its_contrast():
    assert dual(KL_LIP) is KL_LIP.contrast
    assert lipschitz_dual(KL_LIP) is KL_LIP


@pytest.mark.parametrize("call", [partial(cumulant), partial(shift), partial(tilt)])
def test_divergence_without_a_conjugate_is_refused(call):
    with pytest.raises(UsageError, match="hinge has no convex conjugate"):
        call(HINGE, torch.zeros(3))


def small() -> Learner:
    torch.manual_seed(0)
    return Learner(mlp.critic(2, width=8, depth=1), partial(SGD, lr=0.01))


def test_flow_takes_the_contrast_of_its_divergence_unless_it_is_given_one():
    assert CriticFlow(small(), KL).objective is logistic
    assert CriticFlow(small(), KL_LIP).objective is KL_LIP.contrast
    assert CriticFlow(small(), KL_LIP, contrast=logistic).objective is logistic


def test_logs_tell_what_the_loss_bounds():
    q, p = torch.randn(30, 2), torch.randn(40, 2) + 1
    flow = CriticFlow(small(), KL_LIP)
    wanted = -KL_LIP.contrast(flow.scores(q), flow.scores(p))
    flow.learn(q, p)
    torch.testing.assert_close(flow.logs["divergence"], wanted)
    assert "bound" not in flow.logs
    flow = CriticFlow(small(), KL)
    flow.learn(q, p)
    assert set(flow.logs) == {"critic", "bound"}


def test_weights_count_the_data_that_carry_the_mass():
    phi = real(np.repeat([0.0, -1e3], [5, 95]))
    for divergence in (KL_LIP, alpha_lip(2), TV_LIP):
        assert (1 / tilt(divergence, phi).square().sum()).item() == pytest.approx(5, rel=1e-9)
    assert (1 / tilt(W1, phi).square().sum()).item() == pytest.approx(100)
