"""A sampler distilled into one call and refined: what each stage does, and that it is resumed bit for bit anywhere."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.optim import Adam

from pushforward.data import Batches
from pushforward.densities.latents import Gaussian
from pushforward.dynamics.sde.levels import power
from pushforward.errors import UsageError
from pushforward.flows.critic import CriticFlow
from pushforward.methods.adversarial.vgrow import VGrow, clamp
from pushforward.methods.bridges.diffusion import Diffusion, ScoreSampling
from pushforward.methods.bridges.flow_map import FlowMap
from pushforward.methods.latent.distilled import Distilled, DistilledSampling
from pushforward.methods.sources import OnePass
from pushforward.nets import mlp
from pushforward.nets.timed.mlp import perceptron
from pushforward.nets.timed.one_call import OneCall
from pushforward.nets.timed.preconditioned import Preconditioned, centred
from pushforward.parallel.placement import Placement
from pushforward.randomness import Noise, seeded
from pushforward.training.learner import Learner
from pushforward.training.schedule import cosine, linear
from pushforward.training.state import load_state, place, restore, resume_state, weights
from pushforward.types import Denoises, Remarks, TakesSettings, Transports, able

DATA = torch.randn(60, 2, generator=torch.Generator().manual_seed(0)) * torch.tensor([2.0, 0.5]) + 1
LABELS = torch.arange(60) % 3
LESSONS, FITS, LAST = 4, 3, 4
ADAM = partial(Adam, lr=5e-3, betas=(0.5, 0.9))


def inherit(generator: Learner, denoise: Learner) -> None:
    for net in (generator.net, generator.sampler):
        net.denoise.load_state_dict(denoise.sampler.state_dict())


def build(seed: int = 0, *, classes: int = 0, lessons: int = LESSONS, fits: int = FITS, box: float | None = None):
    """A small score model, a generator that begins with its weights, and a critic's flow after that."""
    rng, source = Noise(seed), Gaussian((2,))
    with seeded(seed):
        net = Preconditioned(perceptron(2, width=16, depth=2, classes=classes), *centred(DATA))
        critic = mlp.critic(2, width=8, classes=classes)
    model = Diffusion(Learner(net, ADAM, ema=0.9), rng, sampling=ScoreSampling(steps=4))
    with seeded(seed + 1):
        nets = [OneCall(Preconditioned(perceptron(2, width=16, depth=2, classes=classes), *centred(DATA)), 40.0)
                for _ in range(2)]  # fmt: skip
    generator, after = (Learner(net, ADAM, ema=0.8, schedule=linear(30)) for net in nets)
    starts = source(Noise(5), 50)
    return Distilled(
        generator, starts, starts, source, rng, batch=16, labels=torch.arange(50) % 3 if classes else None,
        teacher=model, lessons=lessons, carry=FlowMap(model, 4),
        ready=partial(inherit, generator, model.denoise), imitations=fits,
        refined=VGrow(after, CriticFlow(Learner(critic, ADAM)), source, rng),
        project=None if box is None else clamp(-box, box),
    )  # fmt: skip


def stream(classes: int = 0) -> Batches:
    return Batches(DATA, 8, seed=4, labels=LABELS) if classes else Batches(DATA, 8, seed=4)


def advance(method: Distilled, steps: int, batches: Any = None, start: int = 0) -> list[dict[str, Tensor]]:
    return [logs for _, logs in zip(range(steps), method.learn(batches or stream(), start))]


def equal(one: Any, other: Any) -> bool:
    if isinstance(one, Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(equal(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(equal, one, other))
    return one == other


@cache
def straight(classes: int) -> tuple[Distilled, Any]:
    method, batches = build(classes=classes), stream(classes)
    advance(method, LESSONS + FITS + LAST, batches)
    return method, batches


@pytest.mark.parametrize("classes", [0, 3])
@pytest.mark.parametrize("k", range(1, LESSONS + FITS + LAST))
def test_a_kill_at_any_step_of_three_stages_changes_nothing(k, classes):
    whole, end = straight(classes)
    first, position = build(classes=classes), stream(classes)
    advance(first, k, position)
    buffer = io.BytesIO()
    torch.save({"w": weights(first), "r": resume_state(first), "p": position.state_dict()}, buffer)
    buffer.seek(0)
    kept = torch.load(buffer, weights_only=True)
    again, position = build(9, classes=classes), stream(classes)
    place(again, Placement())
    restore(again, k, kept["w"])
    load_state(again, kept["w"], kept["r"])
    position.load_state_dict(kept["p"])
    assert again.stage == first.stage
    labels = (torch.arange(5) % 3,) if classes else ()
    assert torch.equal(again.sample(5, Noise(4), *labels), first.sample(5, Noise(4), *labels))
    advance(again, LESSONS + FITS + LAST - k, position, k)
    assert equal(weights(again), weights(whole))
    assert equal(resume_state(again), resume_state(whole))
    assert position.state_dict() == end.state_dict()


def test_pairs_are_made_once_by_the_flow_of_what_the_teacher_has_learned():
    method = build()
    advance(method, LESSONS)
    assert torch.equal(method.ends, method.starts)
    wanted = FlowMap(method.teacher, 4)(method.starts)
    advance(method, 1, start=LESSONS)
    assert torch.equal(method.ends, wanted)
    advance(method, 2, start=LESSONS + 1)
    assert torch.equal(method.ends, wanted)


def test_the_generator_begins_with_the_teachers_weights_and_the_refined_one_with_the_generators():
    method = build(fits=0)
    advance(method, LESSONS)
    model, after = method.teacher, method.refined.generator
    logs = advance(method, 1, start=LESSONS)
    assert "critic" in logs[0]
    z = Noise(3).normal(6, 2)
    spread = model.spread
    wanted = model.denoise.sampler(model.mean + (40.0**2 + 1) ** 0.5 * spread * z, 40.0 * spread)
    torch.testing.assert_close(method.generator.sampler(z), wanted)
    torch.testing.assert_close(after.sampler(z), wanted, rtol=0, atol=0.1)  # one small step further
    assert not torch.equal(after.sampler(z), wanted)


def test_regressions_bring_new_points_to_where_the_flow_takes_them():
    torch.manual_seed(0)
    method = build(lessons=150, fits=600)
    method.starts = method.ends = Gaussian((2,))(Noise(5), 2000)
    method.generator.schedule = linear(600)
    z = Noise(8).normal(500, 2)
    advance(method, 150)
    wanted = FlowMap(method.teacher, 4)(z)
    blind = (wanted - wanted.mean(0)).square().sum(1).mean()
    advance(method, 600, start=150)
    missed = (method.generator.sampler(z) - wanted).square().sum(1).mean()
    assert missed < 0.02 * blind


@dataclass
class Exact:
    """Somebody's model that learns nothing: the denoiser of N(m, v I) in closed form."""

    mean: Tensor = field(default_factory=lambda: torch.tensor([3.0, -1.0]))
    spread: float = 0.5

    def learn(self, batches: Any, start: int = 0) -> Any:
        return ({} for _ in batches)

    def denoiser(self, labels: Any = None) -> Any:
        return lambda y, s: self.mean + self.spread**2 / (self.spread**2 + s**2) * (y - self.mean)

    def levels(self, steps: int) -> list[float]:
        return power(steps, 30.0, 1e-3)

    def sample(self, n: int, rng: Any = None, labels: Any = None) -> Tensor:
        return self.mean + self.spread * rng.normal(n, 2)


def test_a_linear_generator_becomes_the_flow_map_of_somebodys_denoiser():
    torch.manual_seed(0)
    model, starts = Exact(), Noise(1).normal(300, 2)
    generator = Learner(mlp.generator(2, 2, depth=0), partial(Adam, lr=3e-2), schedule=cosine(600))
    method = Distilled(
        generator, starts, starts, Gaussian((2,)), Noise(2), 128, teacher=model, lessons=2, carry=FlowMap(model, 300)
    )
    advance(method, 602)
    z = Noise(3).normal(100, 2)
    torch.testing.assert_close(generator.net(z), model.mean + 0.5 * z, rtol=0, atol=5e-3)
    assert able(method, Denoises)


def test_samples_come_from_what_learned_last_and_else_from_what_is_asked_for():
    method, rng = build(), partial(Noise, 6)
    advance(method, LESSONS)
    taught = method.teacher.sample(7, rng())
    assert torch.equal(method.sample(7, rng()), taught)
    advance(method, FITS, start=LESSONS)
    imitated = method.generator.sampler(rng().normal(7, 2))
    torch.testing.assert_close(method.sample(7, rng()), imitated)
    advance(method, LAST, start=LESSONS + FITS)
    refined = method.refined.generator.sampler(rng().normal(7, 2))
    torch.testing.assert_close(method.sample(7, rng()), refined)
    assert not torch.allclose(refined, imitated)
    for model, wanted in (("teacher", taught), ("generator", imitated), ("refined", refined)):
        method.sampling = DistilledSampling(model)
        torch.testing.assert_close(method.sample(7, rng()), wanted)


@pytest.mark.parametrize("steps", [LESSONS, LESSONS + FITS, LESSONS + FITS + LAST])
def test_samples_of_every_stage_are_kept_in_the_box(steps):
    method = build(box=1.0)
    advance(method, steps)
    x = method.sample(200, Noise(0))
    assert float(x.abs().max()) == 1.0
    assert (x.abs() < 1.0).any()


def test_a_pass_is_that_of_the_generator_that_learned_last_and_its_box():
    method = build(box=1.0)
    advance(method, LESSONS + FITS)
    assert method.one_pass().nets == (method.generator.sampler,)
    advance(method, LAST, start=LESSONS + FITS)
    found = method.one_pass()
    assert found.nets == (method.refined.generator.sampler,)
    torch.testing.assert_close(found.box(found.nets[0](found.latent(Noise(1), 9))), method.sample(9, Noise(1)))


def test_what_it_can_do_is_what_its_teacher_can_but_noise_is_no_point_to_carry():
    method = build()
    assert able(method, Denoises)
    assert able(method, TakesSettings)
    assert able(method, OnePass)
    assert able(method, Remarks)
    assert not able(method, Transports)
    y = DATA[:5]
    assert torch.equal(method.denoiser()(y, 0.3), method.teacher.denoiser()(y, 0.3))
    assert method.levels(6) == method.teacher.levels(6)
    alone = Distilled(method.generator, DATA, DATA, Gaussian((2,)), Noise(0))
    assert able(alone, Transports)
    assert not able(alone, Denoises)
    assert not able(alone, TakesSettings)


def test_what_the_pairs_cost_is_told_once_they_are_made():
    method = build()
    advance(method, LESSONS)
    assert method.remarks(LESSONS) == ()
    advance(method, 1, start=LESSONS)
    (said,) = method.remarks(LESSONS + 1)
    assert "50 pairs" in said
    assert "4 calls" in said
    assert "200 in all" in said


def test_what_cannot_be_is_named():
    method = build()
    advance(method, LESSONS + 1)
    method.sampling = DistilledSampling("refined")
    with pytest.raises(UsageError, match="samples of model refined: this run has learned teacher, generator; give one"):
        method.sample(3, Noise(0))
    with pytest.raises(UsageError, match="give imitations"):
        Distilled(method.generator, DATA, DATA, Gaussian((2,)), Noise(0), refined=method.refined)
