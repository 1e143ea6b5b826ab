"""Critics of a kernel's space: limits, the primal, certified gaps, agreement with a general optimiser."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from pushforward.divergences import HELLINGER, JS, KL, KL_LIP, LOGD, PEARSON, REVERSE_KL, TV, W1, alpha, cumulant
from pushforward.errors import DataError, TrainingError, UsageError
from pushforward.flows import dual
from pushforward.flows.dual import best
from pushforward.flows.kernel_gpa import KernelGPA, kale
from pushforward.flows.mmd import MMDFlow
from pushforward.geometry import energy, imq, rbf
from pushforward.randomness import Noise

SMOOTH = [KL, REVERSE_KL, JS, PEARSON, HELLINGER, alpha(3)]
each_smooth = pytest.mark.parametrize("divergence", SMOOTH, ids=str)


def pair(n=40, m=50):
    rng = Noise(1, dtype=torch.float64)
    return rng.normal(n, 2), rng.normal(m, 2) * 0.7 + 0.8


def supported():
    """Two laws on the same four points, 5 2 2 1 and 1 1 2 1 times."""
    sites = torch.tensor([[0.0, 0.0], [2.0, 0.5], [-1.0, 3.0], [4.0, 4.0]], dtype=torch.float64)
    counts_q, counts_p = torch.tensor([5, 2, 2, 1]), torch.tensor([1, 1, 2, 1])
    q, p = sites.repeat_interleave(counts_q, 0), sites.repeat_interleave(counts_p, 0)
    return q, p, (counts_q / 10).double(), (counts_p / 5).double()


@each_smooth
def test_without_penalty_it_is_the_divergence_of_the_laws(divergence):
    q, p, mass_q, mass_p = supported()
    wanted = (mass_p * divergence.f(mass_q / mass_p)).sum().item()
    for shift in (True, False):
        found = KernelGPA(divergence, rbf(1.0), 1e-5, shift=shift).value(q, p).item()
        assert found == pytest.approx(wanted, rel=2e-3)
        assert found < wanted


@each_smooth
def test_with_a_great_penalty_it_is_mmd(divergence):
    q, p = pair()
    wanted = MMDFlow(imq(1.0)).value(q, p).item()
    found = 1e5 * KernelGPA(divergence, imq(1.0), 1e5).value(q, p).item()
    assert found == pytest.approx(wanted, rel=1e-3)
    field = KernelGPA(divergence, imq(1.0), 1e5).velocity(q, p)
    torch.testing.assert_close(1e5 * field(q), MMDFlow(imq(1.0)).velocity(q, p)(q), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("divergence", [*SMOOTH, W1], ids=str)
def test_the_value_is_that_of_the_primal_at_its_weights(divergence):
    """Divergence of the weights to p, plus MMD² from q to them over twice the penalty."""
    (q, p), penalty, kernel = pair(), 0.05, rbf(1.0)
    flow = KernelGPA(divergence, kernel, penalty, tolerance=1e-9)
    field = flow.velocity(q, p)
    a = -field.weights[len(q) :]
    assert a.sum().item() == pytest.approx(1.0, abs=1e-6)
    assert a.min() > -1e-6
    density = 0.0 if divergence is W1 else divergence.f((len(p) * a).clamp_min(1e-300)).mean().item()
    moved = kernel(q, q).mean() - 2 * (kernel(q, p) @ a).mean() + a @ kernel(p, p) @ a
    assert flow.logs["divergence"].item() == pytest.approx(density + moved.item() / (2 * penalty), rel=1e-4)


def test_kale_agrees_with_a_general_optimiser():
    (q, p), penalty, kernel = pair(20, 25), 0.1, rbf(1.0)
    both = torch.cat([q, p])
    root = torch.linalg.cholesky(kernel(both, both) + 1e-10 * torch.eye(45, dtype=torch.float64))

    def loss(c):  # h = root c at the samples, with the squared norm c . c
        free = torch.from_numpy(c).requires_grad_(True)
        h = root @ free
        value = -(h[:20].mean() - torch.expm1(h[20:]).mean() - penalty / 2 * free @ free)
        value.backward()
        return value.item(), free.grad.numpy()

    wanted = -(1 + penalty) * minimize(loss, np.zeros(45), jac=True, method="L-BFGS-B", options={"gtol": 1e-10}).fun
    assert kale(kernel, penalty).value(q, p).item() == pytest.approx(wanted, rel=1e-5)


def test_kale_goes_from_kl_to_half_of_mmd_squared_and_is_monotone_between():
    q, p, mass_q, mass_p = supported()
    assert kale(rbf(1.0), 1e-5).value(q, p).item() == pytest.approx(
        (mass_q * (mass_q / mass_p).log()).sum().item(), rel=2e-3
    )
    assert kale(rbf(1.0), 1e5).value(q, p).item() == pytest.approx(MMDFlow(rbf(1.0)).value(q, p).item(), rel=1e-3)
    values = [KernelGPA(KL, rbf(1.0), penalty).value(*pair()).item() for penalty in (1e-3, 1e-2, 0.1, 1.0, 10.0)]
    assert values == sorted(values, reverse=True)


@each_smooth
def test_no_critic_of_the_space_does_better_and_the_gap_tells_how_far_one_is(divergence):
    (q, p), penalty, kernel = pair(), 0.05, rbf(1.0)
    flow = KernelGPA(divergence, kernel, penalty, tolerance=1e-10)
    field = flow.velocity(q, p)
    value, weights = flow.logs["divergence"], field.weights / penalty
    both = torch.cat([q, p])
    matrix = kernel(both, both)

    def objective(c):
        phi = matrix @ c
        return phi[: len(q)].mean() - cumulant(divergence, phi[len(q) :]) - penalty / 2 * c @ matrix @ c

    torch.testing.assert_close(objective(weights), value, rtol=1e-6, atol=0)
    for seed in range(5):
        other = weights + 0.05 * Noise(seed, dtype=torch.float64).normal(len(both))
        assert objective(other) < value
    rough = KernelGPA(divergence, kernel, penalty, tolerance=0.05)
    rough.velocity(q, p)
    assert rough.logs["divergence"] <= value * (1 + 1e-9)
    assert rough.logs["divergence"] + rough.logs["gap"] >= value * (1 - 1e-9)


def test_kept_and_streamed_matrices_agree(monkeypatch):
    q, p = pair()
    kept = KernelGPA(KL, rbf(1.0), 0.02).velocity(q, p)(q)
    monkeypatch.setattr(dual, "DENSE", 0)
    torch.testing.assert_close(KernelGPA(KL, rbf(1.0), 0.02).velocity(q, p)(q), kept, rtol=1e-5, atol=1e-7)


def test_small_penalties_are_reached_far_from_the_data():
    q, p = pair()
    for flow in (kale(rbf(1.0), 1e-3), KernelGPA(REVERSE_KL, energy(), 1e-2), KernelGPA(JS, energy(), 1e-2)):
        flow.velocity(q + 3, p)
        assert 0 <= flow.logs["gap"] <= 1e-5 * flow.logs["divergence"]


def test_a_lipschitz_name_stands_for_its_divergence_and_the_effective_size_is_told():
    q, p = pair()
    flow, twin = KernelGPA(KL_LIP, rbf(1.0)), KernelGPA(KL, rbf(1.0))
    assert torch.equal(flow.velocity(q, p)(q), twin.velocity(q, p)(q))
    assert 1 <= flow.logs["ess"] <= len(p)
    flow.velocity(p, p)
    assert flow.logs["ess"].item() == pytest.approx(len(p))
    assert flow.logs["divergence"].abs() < 1e-9


def test_what_cannot_be_solved_is_refused():
    q, p = pair()
    for penalty in (0.0, -1.0, math.nan):
        with pytest.raises(UsageError, match="penalty"):
            KernelGPA(KL, rbf(1.0), penalty)
    with pytest.raises(UsageError, match="smooth"):
        KernelGPA(TV, rbf(1.0)).velocity(q, p)
    flow = KernelGPA(KL, rbf(1.0))
    with pytest.raises(TrainingError, match="gap"):
        best(rbf(1.0), q, p, flow._level, 1e-4, steps=2)
    with pytest.raises(DataError, match="finite"):
        flow.velocity(torch.full_like(q, math.nan), p)
    assert KernelGPA(LOGD, rbf(1.0)).value(q, p) > 0
