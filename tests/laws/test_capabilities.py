"""What a method or a flow can do is what it is asked for by name, and a wrapper has it exactly if what it wraps has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor
from torch.optim import Adam

from pushforward.codecs import PCA
from pushforward.densities.flows import FlowDensity, NormalisingFlow
from pushforward.divergences import KL
from pushforward.dynamics.mobility import box
from pushforward.errors import UsageError
from pushforward.flows.critic import CriticFlow, conditional
from pushforward.flows.drift.flow import DriftFlow
from pushforward.flows.mmd import MMDFlow
from pushforward.flows.preconditioned import Moved, Preconditioned, pullback
from pushforward.flows.sinkhorn import SinkhornFlow
from pushforward.flows.sliced import SlicedFlow
from pushforward.flows.stein import ScoreFlow, SteinFlow
from pushforward.methods.adversarial.gan import GAN
from pushforward.methods.adversarial.vgrow import gan
from pushforward.methods.density import MaximumLikelihood
from pushforward.methods.latent.distilled import Distilled
from pushforward.methods.latent.in_code_space import InCodeSpace
from pushforward.methods.particles.driver import Particles
from pushforward.methods.sources import Gaussian, normal
from pushforward.nets import mlp
from pushforward.randomness import Noise
from pushforward.training.learner import Learner
from pushforward.types import (
    Conditional,
    Examined,
    Flow,
    Given,
    HasCritic,
    HasParticles,
    Likely,
    Logged,
    Method,
    Records,
    Replayable,
    Restores,
    Sourced,
    Stops,
    TakesSettings,
    Transports,
    Valued,
    ValuedByClass,
    Velocity,
    able,
    logged,
)

DATA = torch.randn(60, 2, generator=torch.Generator().manual_seed(0))


@dataclass
class Bare:
    """A flow that has nothing but its velocity."""

    def velocity(self, q: Tensor, p: Tensor) -> Velocity:
        return lambda x, t=0.0: -x


def critic(classes: int = 0) -> CriticFlow:
    return CriticFlow(Learner(mlp.critic(2, width=8, classes=classes), Adam), KL)


def generator() -> Learner:
    return Learner(mlp.generator(2, 2, width=8), Adam)


def particles(record: bool = True) -> Particles:
    return Particles(MMDFlow(), DATA[:10].clone(), 0.1, Noise(0), source=Gaussian((2,)), record=record)


OF_DRIFT = {Logged, Conditional, Replayable}
FLOWS: dict[str, tuple[Callable[[], Flow], set[type]]] = {
    "bare": (Bare, set()),
    "critic": (critic, {Logged, Conditional, Valued, ValuedByClass, Examined, Replayable, HasCritic}),
    "MMD": (MMDFlow, {Logged, Valued, Replayable}),
    "Sinkhorn": (SinkhornFlow, {Logged, Valued, Replayable}),
    "drifting": (DriftFlow, OF_DRIFT),
    "drifting with a value": (lambda: DriftFlow(normalise="split"), OF_DRIFT | {Valued, ValuedByClass}),
    "sliced": (lambda: SlicedFlow(Noise(0)), {Logged, Valued, Replayable}),
    "Stein": (lambda: SteinFlow(lambda x: -x), {Logged, Replayable}),
    "score": (lambda: ScoreFlow(lambda x: -x), set()),
}
OF_FLOWS = (Logged, Conditional, Valued, ValuedByClass, Examined, Replayable, HasCritic)
METHODS: dict[str, tuple[Callable[[], Method], set[type]]] = {
    "particles": (particles, {HasParticles, Transports, Records, Sourced, Stops}),
    "VGrow": (lambda: gan(generator(), critic(), normal(2), Noise(0)), set()),
    "GAN": (lambda: GAN(generator(), critic(), normal(2), Noise(0)), set()),
    "likelihood": (lambda: MaximumLikelihood(Learner(FlowDensity(NormalisingFlow(2)), Adam), Noise(0)), {Likely}),
    "distilled": (lambda: Distilled(generator(), DATA, DATA, normal(2), Noise(0)), {Transports, Sourced, Restores}),
}
OF_METHODS = (HasParticles, Transports, Records, Sourced, Stops, Likely, TakesSettings)
each_flow = pytest.mark.parametrize("name", FLOWS)
each_method = pytest.mark.parametrize("name", METHODS)


def has(thing: object, among: tuple[type, ...]) -> set[type]:
    return {capability for capability in among if able(thing, capability)}


@each_flow
def test_a_flow_has_what_it_should_and_nothing_else(name):
    make, wanted = FLOWS[name]
    assert has(make(), OF_FLOWS) == wanted


@each_method
def test_a_method_has_what_it_should_and_nothing_else(name):
    make, wanted = METHODS[name]
    assert has(make(), OF_METHODS) == wanted - {Restores}
    assert able(make(), Restores) == (Restores in wanted)


@each_flow
@pytest.mark.parametrize(
    "wrap", [lambda flow: Preconditioned(flow, box(-1, 1)), lambda flow: pullback(flow, torch.tanh)]
)
def test_a_wrapper_of_a_flow_passes_on_what_is_there_at_any_depth(name, wrap):
    make, wanted = FLOWS[name]
    passed = wanted - {Examined}
    assert has(wrap(make()), OF_FLOWS) == passed
    assert has(Preconditioned(wrap(make()), box(-1, 1)), OF_FLOWS) == passed


@each_method
def test_a_method_in_code_space_passes_on_what_is_there_at_any_depth(name):
    make, wanted = METHODS[name]
    passed = (HasParticles, Transports, Records, Sourced)
    codec = PCA.fit(DATA, 2)
    inside = InCodeSpace(codec, make())
    assert has(inside, passed) == has(InCodeSpace(codec, inside), passed) == wanted & set(passed)
    assert inside.stopped == ""
    assert len(inside.tape) == 0


@each_flow
def test_what_a_flow_says_it_has_answers_and_what_it_has_not_is_refused_by_name(name):
    flow = FLOWS[name][0]()
    wrapped = Preconditioned(flow, lambda x, v: 2 * v)
    q, p = DATA[:20], DATA[20:]
    v = wrapped.velocity(q, p)
    torch.testing.assert_close(v(q), 2 * v.velocity(q))
    assert wrapped.logs.keys() == logged(flow).keys()
    if able(flow, Valued):
        torch.testing.assert_close(wrapped.value(q, p), flow.value(q, p))
    else:
        with pytest.raises(UsageError, match=f"{type(flow).__name__} has no value"):
            wrapped.value(q, p)
    if able(flow, Replayable):
        torch.testing.assert_close(wrapped.replay(wrapped.snapshot())(q), v(q))
    else:
        with pytest.raises(UsageError, match="has no snapshot"):
            wrapped.snapshot()
        with pytest.raises(UsageError, match="record=True needs a flow with snapshot"):
            Particles(wrapped, q, 0.1, Noise(0), record=True)
    if not able(flow, Conditional):
        with pytest.raises(UsageError, match="takes none"):
            conditional(wrapped)


def test_numbers_of_a_flow_that_leaves_none_are_none():
    assert logged(Bare()) == {}
    assert logged(Preconditioned(Bare(), box(-1, 1))) == {}


def test_a_field_knows_other_classes_exactly_if_the_one_inside_does():
    labels = torch.arange(10) % 2
    classed = critic(2).velocity(DATA[:10], DATA[10:20], (labels, labels))
    bare = Bare().velocity(DATA, DATA)
    for inside, known in ((classed, True), (bare, False)):
        moved = Moved(inside, lambda v, x, t: v(x, t))
        assert able(inside, Given) == able(moved, Given) == able(Moved(moved, moved.turn), Given) == known
    moved = Moved(classed, lambda v, x, t: -v(x, t)).given(1 - labels)
    torch.testing.assert_close(moved(DATA[:10]), -classed.given(1 - labels)(DATA[:10]))
    with pytest.raises(UsageError, match="conditional critic"):
        Moved(bare, lambda v, x, t: v(x, t)).given(labels)


def test_particles_of_a_wrapped_conditional_flow_are_valued_by_class():
    labels = torch.arange(20) % 2
    flow = Preconditioned(critic(2), lambda x, v: v)
    method = Particles(flow, DATA[:20].clone(), 0.1, Noise(0), labels=labels, held=lambda: (DATA[40:], labels))
    logs = next(method.learn(iter([(DATA[20:40], labels)])))
    torch.testing.assert_close(logs["held"], flow.value(DATA[:20], DATA[40:], (labels, labels)))


def test_a_stranger_has_a_capability_by_having_its_attributes():
    class Guest:
        stopped = ""
        sampling = None

        def log_prob(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
            return -x.square().sum(1) / 2

    assert has(Guest(), (*OF_METHODS, *OF_FLOWS)) == {Stops, TakesSettings, Likely}
