"""State: each part is found once, weights go there and back, and k + (N - k) steps are N steps, bit for bit."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import Adam, RMSprop

from pushforward.data.batches import Batches
from pushforward.divergences import JS
from pushforward.flows.critic import CriticFlow
from pushforward.methods.adversarial.gan import GAN
from pushforward.methods.adversarial.vgrow import VGrow
from pushforward.methods.particles.driver import Particles
from pushforward.methods.sources import normal
from pushforward.nets import mlp
from pushforward.nets.blocks import GeneratorNet
from pushforward.objectives.penalties import lipschitz, spectral
from pushforward.parallel.placement import Placement
from pushforward.randomness import Noise
from pushforward.training.learner import Learner
from pushforward.training.schedule import cosine, linear
from pushforward.training.state import load_state, parts, place, resume_state, weights

DATA = torch.randn(37, 2, generator=torch.Generator().manual_seed(0)) + 1
LABELS = torch.arange(37) % 3


def stream(classes: int = 0) -> Batches:
    return Batches(DATA, 8, seed=4, labels=LABELS if classes else None)


def flow(seed: int, classes: int = 0) -> CriticFlow:
    critic = Learner(
        spectral(mlp.critic(2, width=8, depth=1, classes=classes)), partial(Adam, lr=1e-2), schedule=linear(20)
    )
    penalties = (partial(lipschitz, slope=0.1, rng=Noise(seed + 2)),)
    return CriticFlow(critic, JS, penalties=penalties, penalty_schedule=cosine(30), every=2, steps=2)


def vgrow(seed: int, classes: int = 0) -> VGrow:
    torch.manual_seed(seed)
    body = nn.Sequential(nn.Linear(3 + min(classes, 16), 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 2))
    net = GeneratorNet(body, 3, classes, min(classes, 16))
    generator = Learner(net, partial(RMSprop, lr=1e-2), ema=0.9, schedule=cosine(60), clip=1.0)
    return VGrow(generator, flow(seed, classes), normal(3), Noise(seed), pool=3, moves=2, fits=lambda k: 1 + k % 2)


def gan(seed: int) -> GAN:
    parts = vgrow(seed)
    return GAN(parts.generator, parts.flow, parts.latent, parts.rng, rounds=2)


def particles(seed: int) -> Particles:
    torch.manual_seed(seed)
    return Particles(flow(seed), torch.randn(12, 2), step=0.1, rng=Noise(seed), record=True)


METHODS: dict[str, tuple[Callable[[int], Any], int]] = {
    "vgrow": (vgrow, 0),
    "conditional vgrow": (partial(vgrow, classes=3), 3),
    "gan": (gan, 0),
    "particles": (particles, 0),
}
each = pytest.mark.parametrize("name", METHODS)


def advance(method: Any, batches: Batches, steps: int, start: int = 0) -> None:
    for _, _ in zip(range(steps), method.learn(batches, start)):
        pass


def equal(one: Any, other: Any) -> bool:
    if isinstance(one, Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(equal(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(equal(a, b) for a, b in zip(one, other))
    return one == other


def through_a_file(state: dict[str, Any]) -> dict[str, Any]:
    buffer = io.BytesIO()
    torch.save(state, buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=True)


@pytest.mark.parametrize("k", [1, 3])
@each
def test_stopping_and_continuing_is_the_same_as_not_stopping(name, k):
    build, classes = METHODS[name]
    straight, batches = build(1), stream(classes)
    advance(straight, batches, 6)

    first, position = build(1), stream(classes)
    advance(first, position, k)
    kept = through_a_file({"w": weights(first), "r": resume_state(first), "p": position.state_dict()})

    second, position = build(99), stream(classes)
    load_state(second, kept["w"], kept["r"])
    position.load_state_dict(kept["p"])
    advance(second, position, 6 - k, start=k)
    assert equal(weights(second), weights(straight))
    assert equal(resume_state(second), resume_state(straight))
    assert equal(position.state_dict(), batches.state_dict())


@each
def test_weights_go_there_and_back(name):
    build, classes = METHODS[name]
    one, other = build(1), build(2)
    advance(one, stream(classes), 2)
    assert not equal(weights(one), weights(other))
    load_state(other, weights(one))
    assert equal(weights(one), weights(other))
    labels = (torch.arange(5) % 3,) if classes else ()
    assert torch.equal(one.sample(5, Noise(0), *labels), other.sample(5, Noise(0), *labels))


@each
def test_weights_are_copies(name):
    build, classes = METHODS[name]
    method = build(1)
    kept = weights(method)
    before = {key: tensor.clone() for key, tensor in kept.items()}
    advance(method, stream(classes), 1)
    assert equal(kept, before)


def test_parts_are_named_by_their_place():
    assert dict(parts(vgrow(0))).keys() == {"generator", "flow.critic", "flow.penalties.0.rng", "rng"}
    method = particles(0)
    assert dict(parts(method)).keys() == {
        "flow.critic", "flow.penalties.0.rng", "particles", "rng", "done",
        "accounts.path", "accounts.ledger", "accounts.recent",
    }  # fmt: skip
    advance(method, stream(), 2)
    taped = {key for key in dict(parts(method)) if key.startswith("tape.")}
    assert {key.split(".")[1] for key in taped} == {"0", "1"}
    assert len(taped) == 2 * len(method.flow.snapshot())


def test_a_shared_part_is_found_once():
    shared = Noise(0)
    method = vgrow(0)
    method.rng, method.flow.penalties = shared, (partial(lipschitz, rng=shared), partial(lipschitz, rng=shared))
    found = [part for _, part in parts(method)]
    assert sum(part is shared for part in found) == 1
    assert len(found) == len({id(part) for part in found}) == 3


def test_logs_are_no_part():
    method = gan(0)
    advance(method, stream(), 1)
    assert method.flow.logs
    assert not any("logs" in name for name, _ in parts(method))


@each
def test_missing_tensor_is_named(name):
    build, _ = METHODS[name]
    tensors = weights(build(1))
    gone = next(iter(tensors))
    del tensors[gone]
    with pytest.raises(ValueError, match=gone.replace(".", r"\.")):
        load_state(build(2), tensors)


@each
def test_tensor_too_many_is_named(name):
    build, _ = METHODS[name]
    with pytest.raises(ValueError, match=r"flow\.critic\.net\.extra belongs to no part"):
        load_state(build(2), weights(build(1)) | {"flow.critic.net.extra": torch.zeros(1)})


@each
def test_tensor_of_another_shape_is_named_with_its_shape(name):
    build, _ = METHODS[name]
    tensors = weights(build(1))
    wrong = next(key for key in tensors if key == "particles" or key.endswith("3.weight"))
    tensors[wrong] = torch.zeros(13, 2)
    with pytest.raises(ValueError, match=rf"{wrong.split('.')[0]}.*13, 2"):
        load_state(build(2), tensors)


def test_placing_a_method_keeps_its_tensors_and_its_place():
    method = particles(0)
    before = weights(method)
    place(method, Placement())
    assert equal(weights(method), before)


def test_placing_and_loading_work_on_particles_that_have_a_tape():
    one = particles(1)
    advance(one, stream(), 2)
    place(one, Placement())
    load_state(one, weights(one))
    other = particles(2)
    load_state(other, weights(one))
    place(other, Placement())
    assert equal(weights(other), weights(one))
