"""Bounds from both sides: they hold, they meet, they agree, and they obey the laws of the divergence they bound."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from pushforward.divergences import HELLINGER, JS, KL, KL_LIP, PEARSON, REVERSE_KL, TV, W1, alpha, cumulant
from pushforward.oracles import Bracket, cloud, line, w1_line

MANY = pytest.mark.parametrize("divergence", [KL, alpha(1.01), alpha(2), alpha(10)], ids=str)


def normal(n: int, dim: int = 1, seed: int = 0) -> Tensor:
    return torch.randn(n, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


Q, P = normal(30, seed=1) * 0.8 + 1.5, normal(40, seed=2)


@MANY
@pytest.mark.parametrize("slope", [0.05, 1.0])
def test_both_solvers_agree(divergence, slope):
    exact, found = line(divergence, Q, P, slope), cloud(divergence, Q, P, slope)
    assert exact.gap < 1e-6
    assert 0 < found.gap < 2e-3 * exact.lower
    assert found.lower <= exact.upper + 1e-9
    assert exact.lower <= found.upper + 1e-9


@pytest.mark.parametrize("divergence", [REVERSE_KL, JS, HELLINGER, PEARSON, alpha(-1)], ids=str)
def test_bounded_domains_are_solved_as_well(divergence):
    exact, found = line(divergence, Q, P), cloud(divergence, Q, P)
    assert exact.gap < 1e-6
    assert found.lower - 1e-9 <= exact.lower <= found.upper + 1e-9
    assert found.gap < 2e-3 * exact.lower


@pytest.mark.parametrize("solve", [line, cloud])
def test_lower_bound_is_the_value_of_the_potential_and_no_potential_is_better(solve):
    found = solve(KL, Q, P, 0.7)
    cost = 0.7 * (Q - P.T).abs()

    def value(phi: Tensor) -> float:
        # on q the highest phi of slope L that is below phi + cost
        return ((cost + phi).amin(1).mean() - cumulant(KL, phi)).item()

    assert value(found.phi) == pytest.approx(found.lower, abs=1e-9)
    for seed in range(20):
        assert value(found.phi + 0.3 * normal(40, seed=seed)[:, 0]) <= found.upper
        assert value(normal(40, seed=seed)[:, 0]) <= found.upper


def test_potential_on_the_line_has_the_slope_it_may_have():
    phi, order = line(alpha(2), Q, P, 0.7).phi, P[:, 0].argsort()
    rises = phi[order].diff().abs() / P[order, 0].diff()
    assert rises.max() <= 0.7 + 1e-9
    assert rises.max() >= 0.7 - 1e-9


@MANY
def test_value_is_below_the_plain_divergence_and_the_transport_and_grows_with_the_slope(divergence):
    support = torch.linspace(-2, 2, 9, dtype=torch.float64)
    p, q = support.repeat(4), support.repeat_interleave(torch.tensor([1, 1, 2, 4, 4, 6, 8, 6, 4]))
    ratio = 9 * torch.bincount(((q + 2) * 2).long(), minlength=9) / len(q)
    plain, w1 = divergence.f(ratio.double()).mean().item(), w1_line(q, p)
    slopes = (0.01, 0.1, 0.3, 1.0, 3.0, 30.0)
    values = [line(divergence, q, p, slope).lower for slope in slopes]
    assert all(a < b + 1e-9 for a, b in pairwise(values))
    assert all(0 < value <= min(plain, slope * w1) + 1e-9 for value, slope in zip(values, slopes))
    assert values[0] == pytest.approx(0.01 * w1, rel=0.02)
    if divergence is not alpha(10):  # f'(r) needs a slope of hundreds there
        assert values[-1] == pytest.approx(plain, rel=1e-6)


@pytest.mark.parametrize("divergence", [KL, alpha(2), alpha(10)], ids=str)
def test_small_slopes_tend_to_transport_per_slope(divergence):
    w1 = w1_line(Q, P)
    near = line(divergence, Q, P, 0.01).lower / 0.01
    nearer = line(divergence, Q, P, 0.001).lower / 0.001
    assert near == pytest.approx(w1, rel=3e-3)
    assert w1 - nearer < (w1 - near) * 0.2 + 1e-9


@MANY
def test_equal_samples_are_no_distance_apart(divergence):
    for found in (line(divergence, P, P), cloud(divergence, P[:20], P[:20])):
        assert found.lower == pytest.approx(0, abs=1e-9)
        assert found.upper < 2e-3
    assert line(divergence, P[:1], P[:1]).lower == 0


def test_a_shift_of_both_changes_nothing_and_a_scale_is_one_of_the_slope():
    exact = line(alpha(2), Q, P, 0.6).lower
    assert line(alpha(2), Q + 7, P + 7, 0.6).lower == pytest.approx(exact, abs=1e-8)
    assert line(alpha(2), 5 * Q, 5 * P, 0.12).lower == pytest.approx(exact, abs=1e-8)
    assert line(alpha(2), 1000 * Q, 1000 * P, 0.0006).lower == pytest.approx(exact, abs=1e-8)


def decoded(divergence, code: Tensor, data: Tensor, decoder, slope: float, bound: float) -> tuple[Bracket, Bracket]:
    """The divergence of decoded samples at a slope, and that of the codes at the slope times the decoder's."""
    return cloud(divergence, decoder(code), decoder(data), slope), cloud(divergence, code, data, slope * bound)


@pytest.mark.parametrize("slope", [0.5, 1.0])
def test_data_processing_is_an_equality_for_a_scaled_isometry(slope):
    rows = torch.linalg.qr(normal(6, 2, 3))[0].T * 1.4
    left, right = decoded(KL, normal(40, 2, 1) + 1, normal(40, 2, 2), lambda z: z @ rows + 5, slope, 1.4)
    assert left.lower == pytest.approx(right.lower, abs=1e-6)
    assert left.upper == pytest.approx(right.upper, abs=1e-6)


@pytest.mark.parametrize("slope", [0.5, 1.0])
@pytest.mark.parametrize("divergence", [KL, alpha(2)], ids=str)
def test_data_processing_is_an_inequality_for_a_curve(divergence, slope):
    def helix(z: Tensor) -> Tensor:
        return torch.cat([z.sin(), z.cos(), 0.3 * z], 1)

    code, data = normal(40, 1, 1) + 2, normal(40, 1, 2)
    left, right = decoded(divergence, code, data, helix, slope, math.sqrt(1 + 0.3**2))
    assert left.upper < right.lower


def test_metric_without_f_has_no_upper_bound_off_the_line_and_is_exact_on_it():
    found = cloud(W1, Q, P)
    assert found.upper == math.inf
    assert found.lower <= w1_line(Q, P) + 1e-12
    assert found.lower == pytest.approx(w1_line(Q, P), rel=2e-3)
    assert line(W1, Q, P).gap < 1e-9


def test_total_variation_is_bracketed():
    for found in (line(TV, Q, P), cloud(TV, Q, P)):
        assert 0 < found.lower < found.upper < 1.5 * found.lower


def test_regularised_divergence_may_be_given_itself():
    assert line(KL_LIP, Q, P).lower == line(KL, Q, P).lower
