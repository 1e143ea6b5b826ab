"""Methods in code space: encoded on the way in, decoded on the way out, and a codec that learns first."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from functools import partial
from itertools import repeat
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.optim import Adam

from pushforward.codecs import PCA, Autoencoder, reconstruction
from pushforward.data.batches import Batches
from pushforward.divergences import KL_LIP
from pushforward.errors import UsageError
from pushforward.flows.critic import CriticFlow
from pushforward.flows.preconditioned import pullback
from pushforward.methods.adversarial.vgrow import gan
from pushforward.methods.latent.distilled import Distilled
from pushforward.methods.latent.in_code_space import InCodeSpace
from pushforward.methods.particles import tape
from pushforward.methods.particles.driver import Particles
from pushforward.methods.sources import normal
from pushforward.nets import autoencoder, lipschitz, mlp
from pushforward.parallel.placement import Placement
from pushforward.randomness import Noise, seeded
from pushforward.training.learner import Learner
from pushforward.training.state import load_state, parts, place, resume_state, weights
from pushforward.types import Method, Sourced, able

BASIS = torch.linalg.qr(torch.randn(6, 2, generator=torch.Generator().manual_seed(2)))[0]
DATA = torch.randn(50, 2, generator=torch.Generator().manual_seed(0)) @ (BASIS.T * torch.tensor([[2.0], [1.0]])) + 1


@dataclass
class Decay:
    """v = p's mean - x, and what it was asked."""

    asked: list[tuple[Tensor, Tensor]] = field(default_factory=list)

    def velocity(self, q: Tensor, p: Tensor):
        self.asked.append((q, p))
        return lambda x, t=0.0: p.mean(0) - x


def flow(event: int) -> CriticFlow:
    return CriticFlow(Learner(mlp.critic(event, width=8, depth=1), partial(Adam, lr=1e-2)), steps=2)


def run(method: Method, steps: int, batches: Any = None, start: int = 0) -> list[dict[str, Tensor]]:
    return [logs for _, logs in zip(range(steps), method.learn(batches or repeat(DATA), start))]


def test_particles_see_codes_and_show_decoded_points():
    codec, inner, start = PCA.fit(DATA, 2), Decay(), torch.randn(9, 2)
    particles = Particles(inner, start, step=0.5, rng=Noise(0))
    method = InCodeSpace(codec, particles)
    run(method, 3)
    torch.testing.assert_close(inner.asked[0], (start, codec.encode(DATA)))
    torch.testing.assert_close(particles.particles, start / 8)  # the codes' mean is zero
    torch.testing.assert_close(method.particles, codec.decode(start / 8))
    found = method.sample(9, Noise(1))
    assert torch.equal(found, codec.decode(particles.sample(9, Noise(1))))
    assert isinstance(method, Method)


def test_what_is_decoded_is_projected_and_codes_are_not():
    codec = PCA.fit(DATA, 2)
    particles = Particles(flow(2), torch.randn(20, 2), step=0.3, rng=Noise(0), record=True, source=normal(2))
    method = InCodeSpace(codec, particles, project=lambda x: x.clamp(-0.5, 0.5))
    run(method, 2)
    for x in (method.particles, method.sample(20, Noise(0)), method.transport(DATA)):
        assert x.abs().max() == 0.5
    assert particles.particles.abs().max() > 0.5


def test_on_the_plane_of_the_data_a_linear_code_changes_nothing_for_a_flow_that_commutes_with_it():
    x = DATA[:20] + BASIS.T[0]
    coded = InCodeSpace(PCA.fit(DATA, 2), Particles(Decay(), torch.zeros(20, 2), step=0.3, rng=Noise(0)), starts=x)
    plain = Particles(Decay(), x, step=0.3, rng=Noise(0))
    run(coded, 4)
    run(plain, 4)
    torch.testing.assert_close(coded.particles, plain.particles)


def test_transport_takes_points_in_data_space_to_where_the_particles_went():
    codec = PCA.fit(DATA, 2, unit=True)
    particles = Particles(flow(2), torch.zeros(20, 2), step=0.3, rng=Noise(0), record=True)
    method = InCodeSpace(codec, particles, starts=DATA[:20] + 1)
    run(method, 5)
    torch.testing.assert_close(method.transport(DATA[:20] + 1), method.particles)
    with pytest.raises(UsageError, match="carries no new points"):
        InCodeSpace(codec, gan(Learner(mlp.generator(2, 2), Adam), flow(2), normal(2), Noise(0))).transport(DATA)


def test_remarks_on_a_run_count_the_steps_of_the_method_without_those_of_the_codec(monkeypatch):
    particles = Particles(flow(2), torch.zeros(20, 2), step=0.3, rng=Noise(0), record=True, fields=0)
    method = InCodeSpace(PCA.fit(DATA, 2), particles, starts=DATA[:20] + 1)
    run(method, 1)
    monkeypatch.setattr(tape, "BYTES", 300)
    method.codec_steps = 5
    (words,) = method.remarks(5 + 9)
    assert words == particles.remarks(9)[0] != particles.remarks(5 + 9)[0]


def test_codes_that_obey_a_flow_of_decoded_points_see_the_data_themselves():
    codec, inner = PCA.fit(DATA, 2), Decay()
    particles = Particles(pullback(inner, codec.decode), torch.ones(9, 2), step=0.5, rng=Noise(0))
    method = InCodeSpace(codec, particles, encoded=False)
    run(method, 30)
    assert torch.equal(inner.asked[0][1], DATA)
    torch.testing.assert_close(inner.asked[0][0], codec.decode(torch.ones(9, 2)))
    torch.testing.assert_close(method.particles, DATA.mean(0).expand(9, 6), rtol=0, atol=1e-5)


def test_the_first_step_says_what_the_codec_is_like():
    codec = PCA.fit(DATA, 1, unit=True)
    method = InCodeSpace(codec, Particles(Decay(), torch.randn(9, 1), step=0.5, rng=Noise(0)))
    first, second = run(method, 2)
    assert first["decoder"] == pytest.approx(codec.lipschitz)
    assert first["lost"] == pytest.approx(reconstruction(codec, DATA))
    assert first.keys() - second.keys() == {"decoder", "lost"}


@pytest.mark.parametrize("decoded", [False, True], ids=["codes", "data"])
def test_decoded_particles_are_no_faster_than_the_critic_and_the_decoder_allow(decoded):
    codec, slope, step = PCA.fit(DATA * torch.arange(1, 7), 2, standardise=True, unit=True), 0.7, 0.25
    critic = Learner(lipschitz.critic(6 if decoded else 2, width=8, depth=1, slope=slope), partial(Adam, lr=1e-2))
    found = CriticFlow(critic, KL_LIP, steps=3)
    flow = pullback(found, codec.decode) if decoded else found
    particles = Particles(flow, torch.randn(20, 2), step=step, rng=Noise(0))
    method = InCodeSpace(codec, particles, encoded=not decoded)
    steps = method.learn(repeat(DATA * torch.arange(1, 7)))
    for _ in range(5):
        codes, before = particles.particles, method.particles
        next(steps)
        by_code = (particles.particles - codes).norm(dim=1).max() / step
        by_point = (method.particles - before).norm(dim=1).max() / step
        steep = codec.lipschitz
        assert by_code <= slope * (steep if decoded else 1) * 1.001
        assert by_point <= slope * (steep**2 if decoded else steep) * 1.001
    assert by_point > 0


def test_labels_go_through_beside_the_codes():
    seen = []

    class Watch:
        def learn(self, batches, start=0):
            for batch in batches:
                seen.append(batch)
                yield {}

        def sample(self, n, rng=None, labels=None):
            return torch.zeros(n, 2) + labels[:, None]

    codec, labels = PCA.fit(DATA, 2), torch.arange(50) % 3
    method = InCodeSpace(codec, Watch())
    run(method, 1, repeat((DATA, labels)))
    assert torch.equal(seen[0][0], codec.encode(DATA))
    assert torch.equal(seen[0][1], labels)
    wanted = codec.decode(torch.tensor([[1.0, 1.0], [2.0, 2.0]]))
    assert torch.equal(method.sample(2, labels=torch.tensor([1, 2])), wanted)


def learning(seed: int, distil: bool = False) -> InCodeSpace:
    with seeded(seed):
        codec = Autoencoder(Learner(autoencoder.perceptron(6, 2, width=8, depth=1), partial(Adam, lr=1e-2)), rows=50)
        method: Any = Particles(flow(2), torch.zeros(12, 2), step=0.2, rng=Noise(seed), record=True)
        starts = DATA[:12] + 2
        if distil:
            method.particles = method.particles + torch.randn(12, 2)
            generator = Learner(mlp.generator(2, 2, width=8, depth=1), partial(Adam, lr=1e-2), ema=0.9)
            starts = torch.randn(20, 2)
            method = Distilled(
                generator, starts, starts, normal(2), Noise(seed + 1), batch=8, teacher=method, lessons=3
            )
    return InCodeSpace(
        codec, method, codec_steps=4, lessons=Batches(DATA, 16, seed=5), starts=None if distil else starts
    )


def test_a_codec_learns_first_on_lessons_of_its_own_and_then_stands_still():
    method, batches = learning(0), Batches(DATA, 10, seed=3)
    logs = run(method, 4, batches)
    assert all(line.keys() == {"reconstruction"} for line in logs)
    assert method.lessons.position == 4
    assert batches.position == 0
    before = {name: tensor for name, tensor in weights(method).items() if name.startswith("codec.")}
    logs = run(method, 3, batches, start=4)
    assert all("speed" in line for line in logs)
    assert batches.position == 3
    assert method.lessons.position == 4
    assert all(torch.equal(tensor, weights(method)[name]) for name, tensor in before.items())
    method = learning(0)
    steps = method.learn(batches)
    for _ in range(5):
        next(steps)
    assert not torch.equal(method.codec.encode(DATA[:12] + 2), method.method.particles)
    torch.testing.assert_close(method.method.transport(method.codec.encode(DATA[:12] + 2)), method.method.particles)


@pytest.mark.parametrize("distil", [False, True], ids=["particles", "distilled particles"])
@pytest.mark.parametrize("k", [2, 4, 6, 7, 8])
def test_stopping_and_continuing_is_the_same_as_not_stopping(k, distil):
    straight, stream = learning(1, distil), Batches(DATA, 10, seed=3)
    run(straight, 9, stream)
    first, position = learning(1, distil), Batches(DATA, 10, seed=3)
    run(first, k, position)
    buffer = io.BytesIO()
    torch.save({"w": weights(first), "r": resume_state(first), "p": position.state_dict()}, buffer)
    buffer.seek(0)
    kept = torch.load(buffer, weights_only=True)
    second, position = learning(7, distil), Batches(DATA, 10, seed=3)
    second.starts = first.starts
    load_state(second, kept["w"], kept["r"])
    place(second, Placement())
    position.load_state_dict(kept["p"])
    run(second, 9 - k, position, start=k)
    wanted, found = weights(straight), weights(second)
    assert wanted.keys() == found.keys()
    assert all(torch.equal(wanted[name], found[name]) for name in wanted)
    assert torch.equal(straight.transport(DATA), second.transport(DATA))
    assert position.state_dict() == stream.state_dict()


def test_whether_new_samples_can_be_drawn_is_what_the_method_says():
    method = learning(0)
    assert method.source is None
    method.method.source = normal(2)
    assert method.source == normal(2)
    generator = gan(Learner(mlp.generator(2, 2), Adam), flow(2), normal(2), Noise(0))
    assert not able(InCodeSpace(PCA.fit(DATA, 2), generator), Sourced)


def test_every_part_is_found_under_its_place():
    method = learning(0)
    found = dict(parts(method)).keys()
    assert {name for name in found if method.shared(name)} == {"starts", "method.particles", "method.accounts.path"}
    assert {"codec.learner", "method.flow.critic", "method.particles", "method.rng", "lessons", "starts"} <= found


def test_what_cannot_be_is_named():
    particles = Particles(Decay(), torch.zeros(3, 2), step=0.1, rng=Noise(0))
    with pytest.raises(UsageError, match="codec_steps=5: a PCA does not learn"):
        InCodeSpace(PCA.fit(DATA, 2), particles, codec_steps=5)
    generator = gan(Learner(mlp.generator(2, 2), Adam), flow(2), normal(2), Noise(0))
    with pytest.raises(UsageError, match="starts need a method with particles; VGrow has none"):
        InCodeSpace(PCA.fit(DATA, 2), generator, starts=DATA)
    with pytest.raises(AttributeError, match="VGrow has no particles"):
        InCodeSpace(PCA.fit(DATA, 2), generator).particles  # noqa: B018
