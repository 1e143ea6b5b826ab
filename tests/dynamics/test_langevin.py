"""Steps with noise: the exact bias of unadjusted Langevin on a Gaussian, and none after Metropolis."""

from __future__ import annotations

import math

import pytest
import torch

from pushforward.dynamics.integrate import euler, integrate
from pushforward.dynamics.langevin import Langevin, Metropolis
from pushforward.errors import UsageError
from pushforward.flows.preconditioned import Preconditioned
from pushforward.flows.stein import KSDFlow, ScoreFlow, SteinFlow
from pushforward.geometry.kernels import rbf
from pushforward.methods.particles.driver import Particles
from pushforward.randomness import Noise


def noise(seed=0):
    return Noise(seed, dtype=torch.float64)


def score(x, t=0.0):
    return -x


def log_density(x):
    return -x.square().sum(1) / 2


def late(scheme, dt, steps, burn, n=4000):
    """Mean of the second moment over late steps, and the last points."""
    x, seen = noise(9).normal(n, 1), []
    for k in range(steps):
        x = scheme(score, x, 0.0, dt)
        if k >= burn:
            seen.append(x.square().mean())
    return torch.stack(seen).mean().item(), x


@pytest.mark.parametrize("dt", [0.1, 0.5, 1.0])
def test_unadjusted_langevin_overshoots_the_variance_by_the_known_factor(dt):
    found, _ = late(Langevin(noise()), dt, 600, 60)
    assert found == pytest.approx(1 / (1 - dt / 2), rel=0.01)


@pytest.mark.parametrize("dt", [0.5, 1.0])
def test_metropolis_takes_the_bias_out(dt):
    step = Metropolis(log_density, noise())
    found, x = late(step, dt, 600, 60)
    assert found == pytest.approx(1.0, rel=0.01)
    assert x.pow(4).mean().item() == pytest.approx(3.0, rel=0.15)
    assert 0.5 < step.accepted < 1


def test_a_wrong_velocity_costs_acceptance_but_not_the_law():
    step, exact = Metropolis(log_density, noise()), Metropolis(log_density, noise())
    x, seen = noise(9).normal(4000, 1), []
    for k in range(600):
        x = step(lambda x, t=0.0: 1.0 - 2 * x, x, 0.0, 0.4)
        if k > 100:
            seen.append(torch.stack([x.mean(), x.square().mean()]))
    torch.testing.assert_close(torch.stack(seen).mean(0), torch.tensor([0.0, 1.0]).double(), rtol=0, atol=0.015)
    exact(score, x, 0.0, 0.4)
    assert step.accepted < exact.accepted


def test_points_of_density_zero_are_refused():
    step = Metropolis(lambda x: torch.where(x[:, 0] > 0, -x[:, 0], -math.inf), noise())
    x = torch.full((500, 1), 0.1, dtype=torch.float64)
    for _ in range(200):
        x = step(lambda x, t=0.0: -torch.ones_like(x), x, 0.0, 0.5)
        assert (x > 0).all()
    assert x.mean().item() == pytest.approx(1.0, abs=0.15)


def test_temperature_zero_is_euler_and_temperature_scales_the_variance():
    x = noise(1).normal(5, 2)
    assert torch.equal(Langevin(noise(), 0.0)(score, x, 0.0, 0.1), euler(score, x, 0.0, 0.1))
    found, _ = late(Langevin(noise(), 3.0), 0.1, 400, 100)
    assert found == pytest.approx(3 / 0.95, rel=0.015)
    with pytest.raises(UsageError, match="temperature"):
        Langevin(noise(), -1.0)


def test_seeds_decide_and_the_driver_does_not_know_which_step_it_has():
    x = noise(1).normal(50, 2)
    for scheme in (lambda: Langevin(noise(2)), lambda: Metropolis(log_density, noise(2))):
        driver = Particles(ScoreFlow(score), x, 0.1, noise(3), scheme=scheme())
        for _ in zip(range(5), driver.learn(iter(lambda: x, None))):
            pass
        assert torch.equal(driver.particles, integrate(score, x, until=0.5, steps=5, scheme=scheme()))
        assert not torch.equal(driver.particles, x)


def test_metropolis_on_the_score_keeps_the_variance_of_three_particles():
    """Squares of N(0, 1) have the mean 1 and the standard deviation sqrt 2."""
    start, step = noise(4).normal(3, 1), Metropolis(log_density, noise(5))
    method = Particles(ScoreFlow(score), start, 0.5, noise(6), scheme=step)
    seen = [method.particles.square().mean() for _ in zip(range(4000), method.learn(iter(lambda: start, None)))]
    # each point forgets itself by about a half in a step of 0.5, so 4,000 steps of 3 are worth about 4,000 draws
    assert torch.stack(seen[50:]).mean().item() == pytest.approx(1.0, abs=4 * math.sqrt(2 / 4000))


@pytest.mark.parametrize(
    "flow",
    [SteinFlow(score, rbf), KSDFlow(score, rbf), Preconditioned(SteinFlow(score, rbf), lambda x, v: v)],
    ids=lambda flow: type(flow).__name__,
)
def test_metropolis_refuses_fields_of_the_particles(flow):
    with pytest.raises(UsageError, match="ScoreFlow"):
        Particles(flow, noise(1).normal(3, 1), 0.5, noise(2), scheme=Metropolis(log_density, noise(3)))


def test_metropolis_takes_a_turned_score_and_no_projection():
    turned, step = Preconditioned(ScoreFlow(score), lambda x, v: 0.5 * v), Metropolis(log_density, noise(3))
    Particles(turned, noise(1).normal(3, 1), 0.5, noise(2), scheme=step)
    with pytest.raises(UsageError, match="log_density be -inf"):
        Particles(turned, noise(1).normal(3, 1), 0.5, noise(2), scheme=step, project=lambda x: x.clamp(-1, 1))


@pytest.mark.parametrize(
    "scheme", [Langevin(noise()), Metropolis(log_density, noise())], ids=lambda s: type(s).__name__
)
def test_a_step_of_no_time_moves_nothing(scheme):
    x = noise(1).normal(5, 2)
    assert torch.equal(scheme(score, x, 0.0, 0.0), x)
