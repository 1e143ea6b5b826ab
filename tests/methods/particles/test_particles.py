"""Particles obey any flow, write down its fields, and carry new points along them."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from itertools import repeat
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import Adam

from pushforward.divergences import REVERSE_KL
from pushforward.dynamics.integrate import euler, heun, rk4
from pushforward.errors import UsageError
from pushforward.flows.critic import CriticFlow
from pushforward.methods.particles.driver import Particles
from pushforward.nets import mlp
from pushforward.objectives.penalties import lipschitz, spectral
from pushforward.randomness import Noise
from pushforward.training.learner import Learner


@dataclass
class Decay:
    """v = p's mean - x."""

    asked: list[tuple[Tensor, Tensor]] = field(default_factory=list)

    def velocity(self, q: Tensor, p: Tensor):
        self.asked.append((q, p))
        return lambda x, t=0.0: p.mean(0) - x


def build(net: nn.Module | None = None, **options: Any) -> Particles:
    torch.manual_seed(0)
    net = mlp.critic(2, width=16, depth=2) if net is None else net
    penalties = (partial(lipschitz, rng=Noise(2)),)
    flow = CriticFlow(Learner(net, partial(Adam, lr=5e-3)), REVERSE_KL, penalties=penalties, steps=2)
    return Particles(flow, Noise(7).normal(50, 2), step=0.2, rng=Noise(1), **options)


def run(particles: Particles, steps: int = 6) -> None:
    p = Noise(5).normal(40, 2) + 2
    for _, _ in zip(range(steps), particles.learn(repeat(p))):
        pass


def test_a_step_of_a_known_flow_is_the_step_of_the_scheme():
    start, p = torch.randn(8, 2), torch.ones(4, 2)
    for scheme, factor in [(euler, 0.7), (heun, 1 - 0.3 + 0.045), (rk4, 1 - 0.3 + 0.045 - 0.0045 + 0.0003375)]:
        particles = Particles(Decay(), start, step=0.3, rng=Noise(0), scheme=scheme)
        logs = next(particles.learn([p]))
        torch.testing.assert_close(particles.particles, 1 + factor * (start - 1))
        speed = (1 - factor) / 0.3 * (start - 1).square().sum(1).mean().sqrt()
        torch.testing.assert_close(logs["speed"], speed)


def test_each_step_shows_the_flow_the_present_particles_and_a_new_batch():
    flow = Decay()
    particles = Particles(flow, torch.randn(8, 2), step=0.5, rng=Noise(0))
    batches = [torch.full((4, 2), float(k)) for k in range(3)]
    seen = [particles.particles]
    for _ in particles.learn([(batch, torch.zeros(4)) for batch in batches]):
        seen.append(particles.particles)
    assert all(torch.equal(q, wanted) for (q, _), wanted in zip(flow.asked, seen))
    assert all(torch.equal(p, wanted) for (_, p), wanted in zip(flow.asked, batches))
    assert len(flow.asked) == 3


@pytest.mark.parametrize("start", [0, 5])
def test_time_goes_on_from_the_step_it_starts_at(start):
    class Clock:
        times: list[float] = []  # noqa: RUF012

        def velocity(self, q: Tensor, p: Tensor):
            return lambda x, t=0.0: self.times.append(t) or torch.zeros_like(x)

    Clock.times = []
    particles = Particles(Clock(), torch.zeros(2, 1), step=0.25, rng=Noise(0))
    for _ in particles.learn([torch.zeros(1, 1)] * 3, start=start):
        pass
    assert Clock.times == pytest.approx([0.25 * (start + k) for k in range(3)])


@pytest.mark.parametrize("scheme", [euler, heun, rk4])
@pytest.mark.parametrize("project", [None, lambda x: x.clamp(-1, 1)], ids=["free", "in a box"])
def test_transport_of_the_starting_points_gives_the_particles_exactly(scheme, project):
    particles = build(record=True, scheme=scheme, project=project)
    start = particles.particles.clone()
    run(particles)
    assert torch.equal(particles.transport(start), particles.particles)
    assert not torch.equal(start, particles.particles)
    assert len(particles.tape) == 6


def test_transport_is_exact_for_a_spectral_critic():
    particles = build(spectral(mlp.critic(2, width=16, depth=2)), record=True)
    start = particles.particles.clone()
    run(particles)
    assert torch.equal(particles.transport(start), particles.particles)


def test_transport_acts_on_each_point_by_itself_and_trains_nothing():
    particles = build(record=True)
    run(particles)
    before = {name: tensor.clone() for name, tensor in particles.flow.critic.weights().items()}
    x = torch.randn(9, 2)
    torch.testing.assert_close(particles.transport(x)[3:5], particles.transport(x[3:5]))
    assert all(torch.equal(before[name], tensor) for name, tensor in particles.flow.critic.weights().items())
    assert len(particles.tape) == 6


def test_recording_does_not_change_the_run():
    plain, recorded = build(), build(record=True)
    run(plain)
    run(recorded)
    assert torch.equal(plain.particles, recorded.particles)
    assert plain.tape == []


def test_sampling_without_a_source_draws_particles_without_repetition():
    particles = build()
    found = particles.sample(30)
    assert len(found.unique(dim=0)) == 30
    assert all((row == particles.particles).all(1).any() for row in found)
    assert torch.equal(particles.sample(50, Noise(3)), particles.sample(50, Noise(3)))
    assert not torch.equal(particles.sample(50, Noise(3)), particles.sample(50, Noise(4)))


def test_sampling_with_a_source_carries_fresh_points_along():
    particles = build(record=True, source=lambda rng, n: rng.normal(n, 2) - 3)
    run(particles)
    found = particles.sample(200, Noise(8))
    assert torch.equal(found, particles.transport(Noise(8).normal(200, 2) - 3))


def test_errors_say_what_to_do():
    with pytest.raises(UsageError, match="51 samples wanted but there are 50 particles: record the fields"):
        build().sample(51)
    with pytest.raises(UsageError, match="no fields were recorded: build Particles with record=True"):
        build().transport(torch.zeros(1, 2))
    with pytest.raises(UsageError, match="record=True needs a flow with snapshot and replay; Decay has none"):
        Particles(Decay(), torch.zeros(1, 1), step=0.1, rng=Noise(0), record=True)
