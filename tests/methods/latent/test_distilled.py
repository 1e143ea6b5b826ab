"""Distillation: the affine map of a linear flow, the points of a toy's flow, and a conditional generator."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import repeat

import pytest
import torch
from torch import Tensor
from torch.optim import Adam

from pushforward.data import Batches, load
from pushforward.errors import UsageError
from pushforward.flows.critic import CriticFlow
from pushforward.methods.adversarial.vgrow import gan
from pushforward.methods.latent.distilled import Distilled, pairs
from pushforward.methods.particles.driver import Particles
from pushforward.methods.sources import Gaussian, normal
from pushforward.metrics.quality.sliced import directions, sliced_wasserstein
from pushforward.nets import mlp
from pushforward.objectives.penalties import lipschitz
from pushforward.randomness import Noise
from pushforward.training.learner import Learner
from pushforward.training.schedule import cosine

MATRIX = torch.tensor([[-1.0, 0.6], [-0.4, -0.5]])


@dataclass
class Linear:
    """v = A x + p's mean."""

    def velocity(self, q: Tensor, p: Tensor):
        return self.replay({"mean": p.mean(0)})

    def snapshot(self) -> dict[str, Tensor]:
        return {"mean": torch.tensor([2.0, -1.0])}

    def replay(self, state: dict[str, Tensor]):
        return lambda x, t=0.0: x @ MATRIX.T + state["mean"]


def learner(depth: int, steps: int, width: int = 64, classes: int = 0, rate: float = 3e-2) -> Learner:
    net = mlp.generator(2, 2, width=width, depth=depth, classes=classes)
    return Learner(net, partial(Adam, lr=rate), schedule=cosine(steps))


def run(method: Distilled | Particles, steps: int, batches=None) -> None:
    for _, _ in zip(range(steps), method.learn(batches or repeat(torch.tensor([[2.0, -1.0]])))):
        pass


def affine() -> tuple[Tensor, Tensor]:
    """Twenty Euler steps of 0.1 in closed form: x -> M x + b."""
    step = torch.eye(2) + 0.1 * MATRIX
    m = torch.linalg.matrix_power(step, 20)
    return m, torch.linalg.solve(MATRIX, (m - torch.eye(2)) @ torch.tensor([2.0, -1.0]))


def found(method: Distilled) -> tuple[Tensor, Tensor]:
    origin, *columns = method.transport(torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]))
    return torch.stack([column - origin for column in columns], 1), origin


@pytest.mark.parametrize("way", ["teacher", "pairs of a run", "pairs by transport"])
def test_a_linear_generator_becomes_the_affine_map_of_a_linear_flow(way):
    rng = Noise(0)
    starts = rng.normal(300, 2)
    particles = Particles(Linear(), starts, step=0.1, rng=rng, record=True)
    options = {"source": normal(2), "rng": rng, "batch": 128}
    if way == "teacher":
        method = Distilled(learner(0, 600), starts, torch.zeros(300, 2), teacher=particles, lessons=20, **options)
        run(method, 620)
        torch.testing.assert_close(method.ends, particles.particles)
    else:
        run(particles, 20)
        known = (starts, particles.particles) if way == "pairs of a run" else pairs(particles, normal(2), rng, 500)
        method = Distilled(learner(0, 600), *known, **options)
        run(method, 600)
    for part, wanted in zip(found(method), affine()):
        torch.testing.assert_close(part, wanted, rtol=0, atol=1e-3)


def test_samples_are_new_source_points_carried_along():
    starts = Noise(0).normal(50, 2)
    method = Distilled(learner(1, 1), starts, starts, normal(2), Noise(1))
    assert torch.equal(method.sample(30, Noise(5)), method.transport(Noise(5).normal(30, 2)))
    assert not torch.equal(method.sample(30, Noise(5)), method.sample(30, Noise(6)))


def test_the_loss_is_half_the_mean_squared_distance_of_all_pairs_in_one_batch():
    starts, ends = torch.randn(2, 40, 2)
    method = Distilled(learner(1, 10), starts, ends, normal(2), Noise(1), batch=40)
    wanted = (method.transport(starts) - ends).square().sum(1).mean() / 2
    logs = next(method.learn(repeat(starts)))
    torch.testing.assert_close(logs["regression"], wanted)


def test_classes_go_to_a_generator_that_wants_them():
    torch.manual_seed(0)
    starts, labels = torch.randn(200, 2), torch.arange(200) % 2
    ends = starts + 4 * labels[:, None]
    method = Distilled(learner(1, 400, 16, classes=2, rate=1e-2), starts, ends, normal(2), Noise(0), labels=labels)
    run(method, 400)
    for k in (0, 1):
        mean = method.sample(500, Noise(3), torch.full((500,), k)).mean(0)
        torch.testing.assert_close(mean, torch.full((2,), 4.0 * k), rtol=0, atol=0.3)


@pytest.mark.slow
def test_a_distilled_toy_is_as_near_to_the_data_as_the_flow_it_learned_from():
    torch.manual_seed(0)
    moons, rng, source = load("toy:moons", seed=0), Noise(0), Gaussian((2,))
    critic = Learner(mlp.critic(2, width=48, depth=2), partial(Adam, lr=2e-3, betas=(0.5, 0.9)))
    flow = CriticFlow(critic, penalties=(partial(lipschitz, slope=5.0, weight=1.0, rng=rng),), steps=3)
    particles = Particles(flow, source(rng, 500), 0.1, rng, source=source, record=True)
    run(particles, 250, Batches(moons.train, 500))
    starts, ends = pairs(particles, source, rng, 2000)
    method = Distilled(learner(3, 1500, 96, rate=3e-3), starts, ends, source, rng)
    run(method, 1500)
    along, fresh = directions(2, 64, 0), moons.test[:2000]

    def distance(x: Tensor) -> float:
        return sliced_wasserstein(x, fresh, along)[0]

    floor = distance(moons.train[:2000])
    carried, imitated = distance(particles.sample(2000, Noise(9))), distance(method.sample(2000, Noise(9)))
    assert carried < 0.25  # the normal cloud is 0.4 away
    assert imitated < 1.25 * carried + floor
    same = Noise(9).normal(2000, 2)
    missed = (method.transport(same) - particles.transport(same)).square().sum(1).mean()
    moved = (particles.transport(same) - same).square().sum(1).mean()
    assert missed < 0.1 * moved


def test_what_cannot_be_is_named():
    starts = torch.zeros(4, 2)
    with pytest.raises(UsageError, match="4 starts and 3 ends"):
        Distilled(learner(1, 1), starts, starts[:3], normal(2), Noise(0))
    critic = CriticFlow(Learner(mlp.critic(2), Adam))
    with pytest.raises(UsageError, match="a VGrow carries no points"):
        Distilled(
            learner(1, 1), starts, starts, normal(2), Noise(0), teacher=gan(learner(1, 1), critic, normal(2), Noise(0))
        )
