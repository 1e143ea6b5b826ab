"""Values between two Gaussians, known by closed form or quadrature; duality and dissipation between them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from laws.family import CALM, SMOOTH, A, B, Pair, close, each_smooth, real
from scipy.stats import norm

from pushforward.divergences import (
    HELLINGER,
    JEFFREYS,
    JS,
    KL,
    LOGD,
    NEYMAN,
    PEARSON,
    REVERSE_KL,
    TV,
    Divergence,
    alpha,
    potential,
    weight,
)
from pushforward.dynamics.velocity import Ascent, linear_critic, quadratic_critic

PRIMAL = [
    (KL, A, 0.5431435513, 1e-8), (KL, B, 0.5581064486, 1e-8),
    (REVERSE_KL, A, 0.8393564487, 1e-8), (REVERSE_KL, B, 0.3631435512, 1e-8),
    (JS, A, 0.2789910021, 1e-8), (JS, B, 0.1940684856, 1e-8),
    (LOGD, A, 0.2641525492, 1e-8), (LOGD, B, 0.3640379616, 1e-8),
    (JEFFREYS, A, 1.3825, 1e-8), (JEFFREYS, B, 0.92125, 1e-8),
    (HELLINGER, A, 0.3038485192, 1e-8), (HELLINGER, B, 0.2081656016, 1e-8),
    (PEARSON, A, 1.2360151239, 1e-8), (PEARSON, B, 10.8925246, 5e-8),
    (NEYMAN, A, 42.0182440828, 1e-8), (NEYMAN, B, 0.7159887356, 1e-8),
    (TV, A, 0.4288608783, 1e-8), (TV, B, 0.3528822755, 1e-8),
]  # fmt: skip
SPEED = [
    (KL, A, 1.2025, 1e-8), (JS, A, 0.36618296, 1e-8), (LOGD, A, 0.33005352, 1e-8), (PEARSON, A, 12.426128, 1e-6),
    (alpha(1.5), A, 1.54185429, 1e-8),
    (KL, B, 1.2025, 1e-8), (JS, B, 0.11720983, 1e-8), (LOGD, B, 0.72528001, 1e-8), (REVERSE_KL, B, 0.54353498, 1e-8),
    (JEFFREYS, B, 2.82443498, 1e-8), (NEYMAN, B, 5.38745104, 1e-8), (HELLINGER, B, 0.1348, 1e-8),
]  # fmt: skip


def _ids(rows: list[tuple[Divergence, Pair, float, float]]) -> list[str]:
    return [f"{row[0]} {'A' if row[1] is A else 'B'}" for row in rows]


def oracle(pair: Pair):
    """The exact log-ratio of a pair, as a critic of points (n, 1)."""
    return quadratic_critic((real([pair.mean]), real([[pair.std**2]])), (real([0.0]), real([[1.0]])))


@pytest.mark.parametrize(("divergence", "pair", "value", "printed"), PRIMAL, ids=_ids(PRIMAL))
def test_divergence_between_two_gaussians(divergence, pair, value, printed):
    assert pair.primal(divergence).item() == pytest.approx(value, abs=printed, rel=0)


@pytest.mark.parametrize("pair", [A, B], ids="AB")
def test_closed_forms_between_two_gaussians(pair):
    m, s, v = pair.mean, pair.std, pair.std**2
    assert pair.primal(KL).item() == pytest.approx((v + m**2 - 1 - math.log(v)) / 2, abs=1e-12)
    assert pair.primal(REVERSE_KL).item() == pytest.approx(((1 + m**2) / v - 1 + math.log(v)) / 2, abs=1e-12)
    overlap = math.sqrt(2 * s / (1 + v)) * math.exp(-(m**2) / (4 * (1 + v)))
    assert pair.primal(HELLINGER).item() == pytest.approx(2 - 2 * overlap, abs=1e-12)
    wanted = math.exp(m**2 / (2 - v)) / (s * math.sqrt(2 - v)) - 1
    assert pair.primal(PEARSON).item() == pytest.approx(wanted, rel=1e-12)
    wanted = v / math.sqrt(2 * v - 1) * math.exp(m**2 / (2 * v - 1)) - 1
    assert pair.primal(NEYMAN).item() == pytest.approx(wanted, rel=1e-12)
    low, high = sorted(np.roots([1 / v - 1, -2 * m / v, m**2 / v + math.log(v)]))
    between = [norm.cdf(high, *law) - norm.cdf(low, *law) for law in ((0, 1), (m, s))]
    assert pair.primal(TV).item() == pytest.approx(abs(between[0] - between[1]), abs=1e-12)


@pytest.mark.parametrize(("divergence", "pair", "value", "printed"), SPEED, ids=_ids(SPEED))
def test_mean_squared_speed_between_two_gaussians(divergence, pair, value, printed):
    v = Ascent(oracle(pair), divergence)(pair.x[:, None])[:, 0]
    assert pair.under_q(v.square()).item() == pytest.approx(value, abs=printed, rel=0)


@pytest.mark.parametrize("pair", [A, B], ids="AB")
@each_smooth
def test_velocity_is_weight_times_slope_of_the_log_ratio(divergence, pair):
    x = torch.linspace(-3, 4, 50, dtype=torch.float64)
    wanted = weight(divergence, pair.d(x))[0] * pair.score_gap(x)
    close(Ascent(oracle(pair), divergence)(x[:, None])[:, 0], wanted, 1e-12, 1e-13)


def test_log_ratio_of_shifted_gaussians_is_linear():
    # p = N(a, I), q = N(b, I): log p/q = (a - b) . x - (|a|^2 - |b|^2) / 2
    a, b, eye = real([0.5, -1.0]), real([-0.3, 0.4]), torch.eye(2, dtype=torch.float64)
    x = torch.randn(20, 2, dtype=torch.float64)
    offset = -((a @ a - b @ b) / 2).item()
    close(quadratic_critic((b, eye), (a, eye))(x), linear_critic(a - b, offset)(x), 1e-12, 1e-12)


@pytest.mark.parametrize("pair", [A, B], ids="AB")
@each_smooth
def test_dual_at_the_log_ratio_equals_the_divergence(divergence, pair):
    d = pair.d(pair.x)
    dual = pair.under_q(divergence.critic_map(d)) - pair.under_p(divergence.dual_value(d))
    primal = pair.primal(divergence)
    assert dual.item() == pytest.approx(primal.item(), rel=1e-12, abs=1e-12)


PERTURBATIONS = {
    "constant": torch.ones_like,
    "linear": lambda x: x / 3,
    "wave": torch.sin,
    "bump": lambda x: 1 / (1 + x * x),
}


@pytest.mark.parametrize("change", PERTURBATIONS.values(), ids=PERTURBATIONS)
@each_smooth
def test_any_other_critic_has_a_strictly_lower_dual_with_a_quadratic_gap(divergence, change):
    pair = CALM[divergence]
    d, g = pair.d(pair.x), change(pair.x)

    def gap(epsilon: float) -> float:
        v = d + epsilon * g
        dual = pair.under_q(divergence.critic_map(v)) - pair.under_p(divergence.dual_value(v))
        return (pair.primal(divergence) - dual).item()

    assert gap(0.1) > 1e-6
    assert gap(-0.1) > 1e-6
    # the second derivative of the gap is E_p[r^2 f''(r) g^2] = E_q[w g^2]
    w = weight(divergence, d)[0]
    curvature = (gap(1e-3) + gap(-1e-3)) / 1e-6
    assert curvature == pytest.approx(pair.under_q(w * g.square()).item(), rel=1e-4)


@pytest.mark.parametrize("pair", [A, B], ids="AB")
def test_dual_of_total_variation_tends_to_it_as_the_critic_steepens(pair):
    def dual(steepness: float) -> float:
        v = steepness * pair.d(pair.x)
        return (pair.under_q(TV.critic_map(v)) - pair.under_p(TV.dual_value(v))).item()

    total = pair.primal(TV).item()
    assert dual(1.0) < dual(5.0) < dual(50.0) < total
    assert dual(2000.0) == pytest.approx(total, abs=1e-5)


@pytest.mark.parametrize("divergence", SMOOTH, ids=str)
def test_divergence_falls_at_the_rate_of_the_mean_squared_speed(divergence):
    pair = CALM[divergence]
    x = pair.x[pair.x.abs() < 9]
    dx = pair.dx[pair.x.abs() < 9]
    at = x.clone().requires_grad_(True)
    h = weight(divergence, pair.d(at))[0] * pair.score_gap(at)
    (dh,) = torch.autograd.grad(h.sum(), at)
    h = h.detach()

    def pushed(epsilon: float) -> float:
        """The divergence of the law of x + epsilon h(x), in the variable x."""
        y, stretch = x + epsilon * h, 1 + epsilon * dh
        ratio = (pair.log_q(x) - pair.log_p(y)).exp() / stretch
        inside = (pair.log_p(y) > -600) & (ratio > 0) & (stretch > 0)
        values = torch.where(inside, pair.log_p(y).exp() * divergence.f(torch.where(inside, ratio, 1.0)) * stretch, 0.0)
        return (dx * values).sum().item()

    coarse, fine = ((pushed(0.0) - pushed(e)) / e for e in (1e-3, 5e-4))
    speed = (dx * pair.log_q(x).exp() * h.square()).sum().item()
    assert 2 * fine - coarse == pytest.approx(speed, rel=1e-4)


PARAMETRIC = [(KL, 1.0, -0.45), (JS, 0.4520372486, -0.3717277107), (LOGD, 0.5479627514, -0.0782722893)]


def generator_gradient(divergence: Divergence, mean: float, std: float) -> tuple[float, float]:
    """Slope of the generator loss E psi(d(m + s z)) in m and s, the critic frozen at the exact log-ratio."""
    pair, normal = Pair(mean, std), Pair(0.0, 0.999999)
    m, s = (real(value).requires_grad_(True) for value in (mean, std))
    losses = potential(divergence, pair.d(m + s * normal.x))
    inside = normal.x.abs() < 9
    loss = (normal.dx * normal.log_p(normal.x).exp() * losses)[inside].sum()
    return tuple(grad.item() for grad in torch.autograd.grad(loss, (m, s)))  # type: ignore[return-value]


@pytest.mark.parametrize(("divergence", "by_mean", "by_std"), PARAMETRIC, ids=[str(row[0]) for row in PARAMETRIC])
def test_generator_gradient_has_the_known_values(divergence, by_mean, by_std):
    assert generator_gradient(divergence, 1.0, 0.8) == pytest.approx((by_mean, by_std), abs=1e-7)


@each_smooth
def test_generator_gradient_with_a_frozen_critic_is_the_gradient_of_the_divergence(divergence):
    pair, step = CALM[divergence], 1e-3

    def primal(mean: float, std: float) -> float:
        return Pair(mean, std).primal(divergence).item()

    def by(central) -> float:
        """Fourth-order difference."""
        return (8 * (central(step) - central(-step)) - (central(2 * step) - central(-2 * step))) / (12 * step)

    wanted = (by(lambda e: primal(pair.mean + e, pair.std)), by(lambda e: primal(pair.mean, pair.std + e)))
    assert generator_gradient(divergence, pair.mean, pair.std) == pytest.approx(wanted, rel=1e-7, abs=1e-7)
