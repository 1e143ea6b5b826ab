"""Scores up to 10,000 in single precision: capped weights, potentials and dual losses stay finite and right."""

from __future__ import annotations

import math

import pytest
import torch
from laws.family import SMOOTH, WEIGHTS, close, each_smooth, real, slope

from pushforward.divergences import KL, REVERSE_KL, TV, dual, logistic, potential, weight

MAGNITUDES = torch.tensor([1e-3, 0.3, 1.0, 5.0, 20.0, 50.0, 88.0, 89.0, 104.0, 1e3, 1e4])
SCORES = torch.cat([-MAGNITUDES.flip(0), MAGNITUDES])
CAPS = [0.3, 1.0, 1.5, 100.0, 1e6]

each_cap = pytest.mark.parametrize("cap", CAPS)


@each_smooth
@each_cap
def test_capped_weight_is_the_smaller_of_weight_and_cap(divergence, cap):
    w, _ = weight(divergence, SCORES, cap)
    wanted = WEIGHTS[divergence](SCORES.double()).clamp(max=cap).float()
    torch.testing.assert_close(w, wanted, rtol=2e-5, atol=1e-38)


@each_smooth
@each_cap
def test_capped_potential_is_finite_and_falls_with_the_capped_weight(divergence, cap):
    assert potential(divergence, SCORES, cap).isfinite().all()
    found = slope(lambda d: potential(divergence, d, cap), SCORES)
    torch.testing.assert_close(found, -weight(divergence, SCORES, cap)[0], rtol=2e-5, atol=1e-30)


@each_smooth
@each_cap
def test_capped_potential_is_continuous_where_the_cap_sets_in(divergence, cap):
    d = torch.linspace(-20, 20, 400_001, dtype=torch.float64)
    jumps = potential(divergence, d, cap).diff()
    assert (jumps <= 0).all()
    assert (jumps >= -cap * 1.0001e-4).all()


@each_smooth
def test_a_cap_that_is_never_reached_changes_nothing(divergence):
    d = torch.linspace(-4, 4, 81, dtype=torch.float64)
    close(potential(divergence, d, 1e9), divergence.variation(d), 1e-14)
    assert weight(divergence, d, 1e9)[1].item() == 0.0


def test_capped_share_counts_the_samples_above_the_cap():
    w, share = weight(REVERSE_KL, real([-1.0, 0.0, 0.5, 2.0, 3.0]), cap=math.e)
    assert share.item() == pytest.approx(0.4)
    close(w, real([math.exp(-1), 1, math.exp(0.5), math.e, math.e]), 1e-14)
    assert weight(KL, real([-1.0, 2.0]), cap=1.0)[1].item() == 0.0
    assert weight(REVERSE_KL, real([5.0, 6.0]))[1].item() == 0.0


@pytest.mark.parametrize("divergence", [*SMOOTH, TV], ids=str)
def test_dual_loss_and_its_slopes_are_finite_for_huge_scores(divergence):
    q, p = SCORES.clone().requires_grad_(True), SCORES.clone().requires_grad_(True)
    loss = dual(divergence)(q, p)
    towards_q, towards_p = torch.autograd.grad(loss, (q, p))
    assert loss.isfinite()
    assert towards_q.isfinite().all()
    assert towards_p.isfinite().all()
    rounding = torch.finfo(torch.float32).eps
    assert (towards_q >= -rounding).all()
    assert (towards_p <= rounding).all()


@each_smooth
def test_dual_slopes_are_the_weights_where_no_cap_bites_and_below_the_cap_elsewhere(divergence):
    cap = 1e4
    d = torch.cat([torch.linspace(-3, 3, 61, dtype=torch.float64), real([-1e4, -300, 300, 1e4])])
    q, p = d.clone().requires_grad_(True), d.clone().requires_grad_(True)
    towards_q, towards_p = torch.autograd.grad(dual(divergence, cap)(q, p), (q, p))
    n = len(d)
    close(n * towards_q[:61], WEIGHTS[divergence](d[:61]), 1e-12)
    close(n * towards_p[:61], -(-d[:61]).exp() * WEIGHTS[divergence](d[:61]), 1e-12)
    assert (n * towards_q <= cap * (1 + 1e-9)).all()
    assert (n * towards_p >= -cap * (1 + 1e-9)).all()


def test_logistic_loss_is_finite_for_huge_scores_with_slopes_in_the_unit_interval():
    q, p = SCORES.clone().requires_grad_(True), SCORES.clone().requires_grad_(True)
    loss = logistic(q, p)
    towards_q, towards_p = torch.autograd.grad(loss, (q, p))
    assert loss.isfinite()
    torch.testing.assert_close(len(q) * towards_q, SCORES.sigmoid())
    torch.testing.assert_close(len(p) * towards_p, -(-SCORES).sigmoid())


def test_logistic_loss_is_least_at_the_log_ratio():
    # two points with masses p = (0.8, 0.2) and q = (0.3, 0.7): scores of a balanced classifier
    d = real([math.log(0.8 / 0.3), math.log(0.2 / 0.7)])
    rows_q, rows_p = torch.tensor([0] * 3 + [1] * 7), torch.tensor([0] * 8 + [1] * 2)
    flat = slope(lambda scores: logistic(scores[rows_q], scores[rows_p]), d)
    close(flat, torch.zeros(2, dtype=torch.float64), 0.0, 1e-15)
