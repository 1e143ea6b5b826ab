"""Sinkhorn flow: shifts, warm starts, agreement with the metric, float32."""

from __future__ import annotations

import math
from itertools import repeat

import pytest
import torch

from pushforward.dynamics.integrate import euler
from pushforward.errors import UsageError
from pushforward.flows.sinkhorn import SinkhornFlow
from pushforward.geometry.sinkhorn import default_epsilon, potentials
from pushforward.methods.particles import Particles
from pushforward.metrics.quality.sinkhorn import sinkhorn_divergence
from pushforward.randomness import Noise
from pushforward.training.state import load_state, resume_state, weights


def draw(n, dim=2, seed=0, dtype=torch.float64):
    return Noise(seed, dtype=dtype).normal(n, dim)


def test_a_shift_decays_by_the_step_exactly_and_the_shape_stays():
    p, shift, dt = draw(80), torch.tensor([2.0, -1.0], dtype=torch.float64), 0.05
    q, flow = p + shift, SinkhornFlow(0.3, tolerance=1e-9, iterations=3000)
    assert flow.value(q, p).item() == pytest.approx(shift.square().sum().item() / 2, rel=1e-7)
    for _ in range(20):
        q = euler(flow.velocity(q, p), q, 0.0, dt)
    torch.testing.assert_close(q, p + shift * (1 - dt) ** 20, rtol=0, atol=1e-6)


def test_between_samples_of_shifted_gaussians_the_gap_falls_as_e_to_the_minus_t():
    p, shift, dt = draw(400), torch.tensor([3.0, 1.0], dtype=torch.float64), 0.1
    q, flow = draw(300, seed=1) + shift, SinkhornFlow(0.5, tolerance=1e-6)
    gap = q.mean(0) - p.mean(0)
    for _ in range(10):
        q = euler(flow.velocity(q, p), q, 0.0, dt)
    torch.testing.assert_close(q.mean(0) - p.mean(0), gap * (1 - dt) ** 10, rtol=0.01, atol=0)


def test_value_is_the_metric_and_a_large_epsilon_sees_the_means_alone():
    q, p = draw(60), draw(70, seed=1) * 0.5 + 1
    wanted = sinkhorn_divergence(q, p, 0.3, tolerance=1e-8).value
    assert SinkhornFlow(0.3, tolerance=1e-8).value(q, p).item() == pytest.approx(wanted, rel=1e-6)
    field = SinkhornFlow(1e4, tolerance=1e-9).velocity(q, p)
    torch.testing.assert_close(field(q), (p.mean(0) - q.mean(0)).expand_as(q), rtol=0, atol=1e-3)


def test_two_gaussians_on_the_line_have_the_field_of_the_entropic_maps():
    """The maps are linear with slope c / variance, c² + eps c = a² b² (for q with itself: b = a)."""
    a, b, epsilon = 1.0, 1.8, 0.4
    levels = (torch.arange(2000, dtype=torch.float64) + 0.5) / 2000
    unit = torch.distributions.Normal(0.0, 1.0).icdf(levels)[:, None]
    field = SinkhornFlow(epsilon, tolerance=1e-8).velocity(a * unit, b * unit)

    def slope(other):
        return (-epsilon + (epsilon**2 + 4 * a**2 * other**2) ** 0.5) / 2 / a**2

    x = torch.tensor([[-1.0], [0.5], [1.5]], dtype=torch.float64)
    torch.testing.assert_close(field(x), x * (slope(b) - slope(a)), rtol=0.01, atol=1e-8)


def test_a_warm_start_finds_the_same_potentials_in_fewer_updates():
    x, y = draw(100), draw(120, seed=1) + 1
    cold = potentials(x, y, 0.05, tolerance=1e-4)
    warm = potentials(x + 1e-4, y, 0.05, tolerance=1e-4, start=cold.f)
    anew = potentials(x + 1e-4, y, 0.05, tolerance=1e-4)
    assert warm.iterations < 0.2 * anew.iterations
    assert warm.value == pytest.approx(anew.value, rel=1e-6)
    torch.testing.assert_close(warm.f - warm.f.mean(), anew.f - anew.f.mean(), rtol=0, atol=1e-3)
    itself = potentials(x, None, 0.05, tolerance=1e-9)
    again = potentials(x, None, 0.05, tolerance=1e-9, start=itself.f)
    assert again.iterations <= 2
    torch.testing.assert_close(again.f, itself.f, rtol=0, atol=1e-9)


def test_steps_start_from_the_potentials_of_the_last_and_fresh_data_do_no_harm():
    q, flow, updates = draw(100) * 0.5, SinkhornFlow(0.05, tolerance=1e-3), []
    for k in range(6):
        field = flow.velocity(q, draw(100, seed=10 + k) + 1)
        updates.append(flow.logs["updates"].item())
        assert flow.logs["error"] < 1e-3
        cold = SinkhornFlow(0.05, tolerance=1e-3).velocity(q, draw(100, seed=10 + k) + 1)
        torch.testing.assert_close(field(q), cold(q), rtol=0, atol=0.02)
        q = q + 0.05 * field(q)
    p = draw(100, seed=20) + 1
    flow.velocity(q, p)
    flow.velocity(q, p)
    assert flow.logs["updates"] < 0.5 * updates[0]
    flow.velocity(q[:50], p)  # another number of particles starts afresh
    assert flow.logs["error"] < 1e-3


def test_single_precision_is_enough_for_the_field():
    q, p = draw(300), draw(200, seed=1) * 2 + 1
    fine = SinkhornFlow(tolerance=1e-8).velocity(q, p)(q)
    flow = SinkhornFlow(tolerance=1e-4)
    torch.testing.assert_close(flow.velocity(q.float(), p.float())(q.float()).double(), fine, rtol=0, atol=2e-3)
    assert flow.regularisation.item() == pytest.approx(default_epsilon(q, p), rel=1e-6)


def test_unusable_settings_are_refused():
    for epsilon in (0.0, -1.0, math.nan):
        with pytest.raises(UsageError, match="epsilon"):
            SinkhornFlow(epsilon)
    with pytest.raises(UsageError, match="snapshot"):
        SinkhornFlow(1.0).snapshot()


@pytest.mark.parametrize("cut", [1, 4])
def test_particles_that_are_saved_at_any_step_go_on_bit_for_bit(cut):
    """Also where each plan is only roughly solved, so that it shows from where its solution began."""
    p = torch.randn(50, 2, generator=torch.Generator().manual_seed(1)) + 3

    def fresh() -> Particles:
        q = torch.randn(40, 2, generator=torch.Generator().manual_seed(0))
        return Particles(SinkhornFlow(tolerance=0.03, iterations=20), q, 0.3, Noise(0), record=2)

    def go(method: Particles, steps: int) -> None:
        for _, _ in zip(range(steps), method.learn(repeat(p), start=int(method.done))):
            pass

    whole, first, second = fresh(), fresh(), fresh()
    go(whole, 8)
    go(first, cut)
    load_state(second, weights(first), resume_state(first))
    go(second, 8 - cut)
    mine, theirs = weights(second), weights(whole)
    assert mine.keys() == theirs.keys()
    assert all(torch.equal(mine[name], theirs[name]) for name in mine)
