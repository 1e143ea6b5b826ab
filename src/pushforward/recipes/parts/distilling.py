"""A bridge, and where it is wanted the generator that learns to do in one call what the bridge does in many."""

from __future__ import annotations

import math
from copy import deepcopy
from dataclasses import replace
from functools import partial

from torch import nn

from pushforward.data import Dataset
from pushforward.densities.latents import Gaussian
from pushforward.errors import UsageError
from pushforward.flows.critic import CriticFlow
from pushforward.methods.adversarial.vgrow import VGrow, clamp
from pushforward.methods.bridges.diffusion import Diffusion
from pushforward.methods.bridges.flow_map import FlowMap
from pushforward.methods.bridges.two_stages import Bridge
from pushforward.methods.latent.distilled import Distilled
from pushforward.nets import dcgan, mlp
from pushforward.nets.blocks import empty_law, normal_law, started
from pushforward.nets.timed.one_call import OneCall
from pushforward.nets.timed.preconditioned import Preconditioned
from pushforward.randomness import seeded, stream
from pushforward.recipes.parts import wiring
from pushforward.settings.bridges import Distilling
from pushforward.settings.groups import Classes, Loop
from pushforward.training.learner import Learner
from pushforward.training.schedule import cosine, geometric, linear
from pushforward.types import Method

__all__ = ["distilled"]

EMA = 0.999  # decay of the generators' averages
OCTAVES, DEPTH = 3, 3  # waves of each number of z, and hidden layers of the nets for points
LEFT = 0.3  # of the penalty at the end, for points
SMALL = 256  # numbers in an image up to which its critic is a perceptron
PAIRS = 256  # of points and small images that a regression takes at once; of others as many as the denoiser's batch


def distilled(bridge: Bridge, data: Dataset, how: Distilling, loop: Loop, classes: Classes) -> tuple[Method, Loop]:
    """The bridge as it is where nothing is distilled, or its generator; and the loop with the steps of all stages.

    A generator of points is a perceptron with waves, which starts at the normal law of the data. One of images has the
    denoiser's net, and begins with its weights.

    Raises:
        UsageError: If there is a refinement of what is not distilled.
    """
    steps, refining = how.distil_steps, how.refine_steps
    if refining and not steps:
        raise UsageError(f"--refine-steps {refining} without a generator: give --distil-steps, 2000 for example")
    if not steps:
        return bridge, loop
    score, points, known = bridge.diffusion, data.kind == "points", wiring.counted(data, classes)
    net = _of_points(data, how, loop.seed, known) if points else _like(score)
    generator = Learner(net, wiring.adam(how.distil_rate, (0.9, 0.99)), ema=EMA, schedule=cosine(steps, 1e-3))
    source, first = Gaussian(tuple(data.event)), stream(loop.seed, "init", part="pairs")
    starts, labels = source(first, how.pairs), data.train_labels if known else None
    refined: VGrow | None = None
    if refining:
        after = Learner(deepcopy(net), wiring.adam(how.refine_rate, (0.5, 0.99)), ema=EMA, schedule=linear(refining))
        refined = VGrow(after, _flow(data, how, loop.seed, known), source, score.rng)
    method = Distilled(
        generator, starts, starts, source, score.rng,
        labels=None if labels is None else labels[first.integers(len(labels), how.pairs)],
        teacher=bridge, lessons=loop.steps, carry=FlowMap(bridge, how.pair_steps),
        ready=None if points else partial(_inherit, generator, score.denoise), imitations=steps,
        refined=refined, project=None if points else clamp(-1, 1),
        batch=PAIRS if math.prod(data.event) <= SMALL else loop.batch,
    )  # fmt: skip
    return method, replace(loop, steps=loop.steps + steps + refining)


def _of_points(points: Dataset, how: Distilling, seed: int, classes: int) -> nn.Module:
    """A perceptron from as many normal numbers as a point has."""
    size = math.prod(points.event)
    beside = mlp.Beside(OCTAVES, mlp.waves(size, 1, classes))
    with seeded(seed, "generator"):
        net = mlp.generator(size, points.event, width=how.critic_width, depth=DEPTH, classes=classes, beside=beside)
    return started(net, *(empty_law(size, size) if points.hollow else normal_law(points.train, size)))


def _like(score: Diffusion) -> OneCall:
    """The denoiser's net at the level where sampling begins."""
    net = deepcopy(score.denoise.net)
    assert isinstance(net, Preconditioned)
    return OneCall(net, score.sampling.high)


def _inherit(generator: Learner, denoise: Learner) -> None:
    """The weights of a denoiser's average, for the generator and its own average."""
    for net in (generator.net, generator.sampler):
        assert isinstance(net, OneCall)
        net.denoise.load_state_dict(denoise.sampler.state_dict())


def _flow(data: Dataset, how: Distilling, seed: int, classes: int) -> CriticFlow:
    """The flow of a critic from the generator's law to the data."""
    points, updates = data.kind == "points", how.refine_steps * how.critic_steps
    with seeded(seed, "critic"):
        net = _critic(data, how.critic_width, classes)
    learner = Learner(net, wiring.adam(how.critic_rate), schedule=linear(updates))
    flow = wiring.log_ratio(
        learner, how.critic, every=4 if points else 2, fading=geometric(updates, LEFT if points else 1.0)
    )
    flow.steps = how.critic_steps
    return flow


def _critic(data: Dataset, width: int, classes: int) -> nn.Module:
    """What tells data from samples: a perceptron for points and small images, else convolutions."""
    event, size = tuple(data.event), math.prod(data.event)
    if data.kind == "points":
        waves = mlp.waves(size, 1, classes)
        return mlp.critic(event, width=width, depth=DEPTH, classes=classes, activation=wiring.leaky, fourier=waves)
    if size <= SMALL:
        return mlp.critic(event, width=width, depth=2, classes=classes, activation=wiring.leaky)
    return dcgan.critic(event[1], event[0], width=width, classes=classes)
