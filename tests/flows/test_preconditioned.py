"""Preconditioned flows: the velocity is M v, codes pulled back obey the decoder's mobility, and both dissipate."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

import pytest
import torch
from torch import Tensor
from torch.optim import Adam

from pushforward.divergences import KL_LIP
from pushforward.dynamics.mobility import box, mobility, through
from pushforward.errors import UsageError
from pushforward.flows.critic import CriticFlow
from pushforward.flows.preconditioned import Preconditioned, pullback
from pushforward.methods.particles.driver import Particles
from pushforward.nets import mlp
from pushforward.randomness import Noise
from pushforward.training.learner import Learner

MATRIX = torch.randn(5, 2, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


def decode(z: Tensor) -> Tensor:
    y = z @ MATRIX.to(z).T
    return y + 0.2 * y.sin()


@dataclass
class Decay:
    """v = p's mean - x, minus the gradient of half the squared distance, which is also its value."""

    logs: dict[str, Tensor] = field(default_factory=dict)

    def velocity(self, q: Tensor, p: Tensor):
        self.logs = {"divergence": self.value(q, p)}
        return lambda x, t=0.0: (1 + t) * (p.mean(0) - x)

    def value(self, q: Tensor, p: Tensor) -> Tensor:
        return (q - p.mean(0)).square().sum(1).mean() / 2


def test_velocity_is_the_mobility_times_that_of_the_flow_at_the_same_time():
    x, p = torch.randn(6, 3), torch.randn(4, 3)
    flow = Preconditioned(Decay(), lambda x, v: x.square() * v)
    velocity = flow.velocity(x, p)
    torch.testing.assert_close(velocity(x), x.square() * (p.mean(0) - x))
    torch.testing.assert_close(velocity(x, 2.0), 3 * velocity(x))
    assert torch.equal(flow.logs["divergence"], flow.value(x, p))


@pytest.mark.parametrize("wrap", [lambda f: Preconditioned(f, box(-9, 9)), lambda f: pullback(f, lambda z: 1 * z)])
def test_a_mobility_that_changes_nothing_leaves_a_flow_with_classes_as_it_is(wrap):
    def moved(wrapped: bool) -> tuple[Particles, Tensor]:
        torch.manual_seed(0)
        critic = Learner(mlp.critic(2, width=8, depth=1, classes=3), partial(Adam, lr=1e-2))
        flow = CriticFlow(critic, KL_LIP)
        labels = torch.arange(12) % 3
        particles = Particles(wrap(flow) if wrapped else flow, Noise(3).normal(12, 2), step=0.3, rng=Noise(0),
                              labels=labels, record=True)  # fmt: skip
        p = Noise(4).normal(30, 2) + labels.repeat(3)[:30, None]
        for _, _ in zip(range(4), particles.learn([(p, torch.arange(30) % 3)] * 4)):
            pass
        return particles, particles.transport(torch.ones(6, 2), torch.arange(6) % 3)

    (plain, carried), (wrapped, same) = moved(False), moved(True)
    torch.testing.assert_close(wrapped.particles, plain.particles)
    torch.testing.assert_close(same, carried)
    assert not torch.allclose(carried[0], carried[1])
    labels = (plain.labels, plain.labels)
    torch.testing.assert_close(
        wrapped.flow.value(plain.particles, plain.particles + 1, labels),
        plain.flow.value(plain.particles, plain.particles + 1, labels),
    )


def test_classes_for_a_flow_that_takes_none_are_refused():
    x, labels = torch.randn(3, 2), torch.tensor([1, 2, 4])
    with pytest.raises(UsageError, match="labels need a CriticFlow"):
        Preconditioned(Decay(), box(0, 1)).velocity(x, x, (labels, labels))


@pytest.mark.parametrize("kind", ["box", "decoder", "scalar"])
def test_divergence_falls_at_the_rate_of_the_mobility(kind):
    inverse = torch.linalg.pinv(MATRIX)
    moves = {
        "box": box(-0.5, 0.5),
        "decoder": through(lambda x: x @ inverse.T, lambda z: z @ MATRIX.T),
        "scalar": lambda x, v: x.square().mean(1, keepdim=True) * v,
    }[kind]
    q, p = torch.randn(50, 5, dtype=torch.float64).clamp(-0.5, 0.5), torch.randn(20, 5, dtype=torch.float64) + 1
    inner = Decay()
    flow = Preconditioned(inner, moves)
    v, moved = inner.velocity(q, p)(q), flow.velocity(q, p)(q)
    rate, h = -(v * moved).sum(1).mean(), 1e-6
    assert rate < 0
    torch.testing.assert_close((flow.value(q + h * moved, p) - flow.value(q, p)) / h, rate, rtol=1e-4, atol=0)


def test_codes_pulled_back_are_decoded_to_points_under_the_decoders_mobility_and_dissipate():
    z, p = torch.randn(8, 2, dtype=torch.float64), torch.randn(5, 5, dtype=torch.float64)
    inner = Decay()
    flow = pullback(inner, decode)
    u, v, h = flow.velocity(z, p)(z), inner.velocity(decode(z), p)(decode(z)), 1e-6
    torch.testing.assert_close((decode(z + h * u) - decode(z)) / h, mobility(decode, z, v), rtol=1e-4, atol=1e-5)
    rate = -u.square().sum(1).mean()
    torch.testing.assert_close((flow.value(z + h * u, p) - flow.value(z, p)) / h, rate, rtol=1e-4, atol=0)
    torch.testing.assert_close(flow.velocity(z, p)(z, 1.0), 2 * u)


@pytest.mark.parametrize("wrap", [lambda flow: Preconditioned(flow, box(-1, 1)), lambda flow: pullback(flow, decode)])
def test_recorded_fields_carry_the_starting_points_to_the_particles(wrap):
    event = 2 if wrap(None).seen is None else 5
    flow = wrap(CriticFlow(Learner(mlp.critic(event, width=8, depth=1), partial(Adam, lr=1e-2))))
    particles = Particles(flow, torch.randn(9, 2), step=0.3, rng=Noise(0), record=True)
    start = particles.particles.clone()
    for _, logs in zip(range(4), particles.learn([torch.randn(7, event) + 1] * 4)):
        assert {"critic", "speed"} <= logs.keys()
    assert torch.equal(particles.transport(start), particles.particles)
    assert not torch.equal(particles.particles, start)


def test_what_the_flow_lacks_is_named():
    with pytest.raises(UsageError, match=r"Decay has no snapshot\(\)"):
        Preconditioned(Decay(), box(0, 1)).snapshot()
