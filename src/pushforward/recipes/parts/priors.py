"""Methods of this library that learn a law of codes, by name: score models, bridges, generators and particles."""

from __future__ import annotations

import torch

from pushforward.methods.adversarial.vgrow import VGrow
from pushforward.methods.bridges.diffusion import Diffusion
from pushforward.methods.bridges.two_stages import Bridge
from pushforward.methods.sources import normal
from pushforward.nets import mlp
from pushforward.nets.blocks import started
from pushforward.nets.timed.mlp import perceptron
from pushforward.nets.timed.preconditioned import Preconditioned
from pushforward.randomness import seeded, stream
from pushforward.recipes.parts import coding, wiring
from pushforward.settings.groups import CodeDrive, Critic, LogRatio, Loop, Pace
from pushforward.settings.variational import Learned
from pushforward.training.learner import Learner
from pushforward.training.schedule import cosine, geometric
from pushforward.types import Method

__all__ = ["learned_prior"]

DEPTH, EMA = 3, 0.999


def learned_prior(size: int, how: Learned, loop: Loop) -> Method:
    """A method that learns the law of codes of so many numbers, which are about standard normal.

    Args:
        size: Numbers of a code.
        how: Which method, for how long.
        loop: Batch and seed.
    """
    rng = stream(loop.seed, "train", part="codes")
    if how.learner == "particles":
        return _particles(size, how, loop)
    if how.learner == "vgrow":
        return _vgrow(size, how, loop)
    with seeded(loop.seed, "codes"):
        net = perceptron((size,), width=how.prior_width, depth=DEPTH)
    centre = torch.zeros(size), torch.ones(())
    learner = Learner(
        Preconditioned(net, *centre), wiring.adam(how.prior_rate, (0.9, 0.99)), ema=EMA,
        schedule=cosine(how.prior_steps, 1e-3), clip=1.0,
    )  # fmt: skip
    score = Diffusion(learner, rng, drop=0.0)
    return score if how.learner == "score" else Bridge(score)


def _vgrow(size: int, how: Learned, loop: Loop) -> VGrow:
    """A generator of codes that begins as the identity of normal numbers, with one move a step."""
    critic = LogRatio("KL", penalty=0.1)
    with seeded(loop.seed, "codes"):
        g = started(mlp.generator(size, size, width=how.prior_width, depth=DEPTH), torch.zeros(size), torch.eye(size))
        d = mlp.critic(size, width=how.prior_width, depth=DEPTH, activation=wiring.leaky)
    falling = cosine(how.prior_steps)
    generator = Learner(g, wiring.adam(how.prior_rate, (0.5, 0.99)), ema=EMA, schedule=falling)
    learner = Learner(d, wiring.adam(how.prior_rate / 4), schedule=falling)
    flow = wiring.log_ratio(learner, critic, every=2, fading=geometric(how.prior_steps, 0.3))
    return VGrow(generator, flow, normal(size), stream(loop.seed, "train", part="codes"))


def _particles(size: int, how: Learned, loop: Loop) -> Method:
    """Particles from N(0, I), the prior, under a critic of bounded slope; recorded, so that new ones follow."""
    drive = CodeDrive(
        critic=Critic(width=64, critic_steps=5), loop=Loop(how.prior_steps, loop.batch, loop.seed),
        particles=2_000, pace=Pace(0.5),
    )  # fmt: skip
    with seeded(loop.seed, "codes"):
        net = coding.critic_of(size, drive.critic)
    start = stream(loop.seed, "init", part="particles").normal(drive.particles, size)
    rng = stream(loop.seed, "train", part="codes")
    return coding.particles_of(coding.flow_of(net, drive), start, rng, drive, source=normal(size))
