"""Recipes for a few hundred images with classes: particles, and two GANs with the same critic to compare them with.

The critic is a perceptron on pixels with a score for each class; a penalty holds its slope. With so few images nothing
larger pays within minutes of CPU.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Literal

from pushforward.errors import UsageError
from pushforward.recipes.parts.checks import recipe
from pushforward.settings.groups import FIELDS, Classes, Critic, Examples, Generator, Loop, Pace, Rows
from pushforward.settings.options import Count, Layers, Number, Rate, Rounds, Weight

if TYPE_CHECKING:
    from torch import Tensor

    from pushforward.data import Dataset
    from pushforward.divergences import Divergence
    from pushforward.methods.adversarial.gan import GAN
    from pushforward.training.experiment import Experiment
    from pushforward.training.learner import Learner
    from pushforward.types import Penalty, Randomness, Schedule

__all__ = ["few_gan", "few_particles", "few_wgan_gp"]

FEW = Examples(Rows("digits", 200), Classes(conditional=True))

BETAS = (0.0, 0.9)  # of Adam, in every net here: the memory that WGAN-GP was published with


@dataclass(frozen=True)
class Duel:
    """A critic against a generator of the same size.

    Attributes:
        rate: Learning rate of the generator at the start.
        depth: Hidden layers of both.
        critic_rate: Learning rate of the critic at the start.
        rounds: Critic updates, each on fresh samples, for one of the generator.
        slope: Slope L of the critic, in scores per unit of distance between images in [-1, 1].
        penalty: Weight on slopes that the penalty does not allow, in units of 1 / L^2.
    """

    depth: Layers
    critic_rate: Rate
    rounds: Rounds
    slope: Weight
    net: Generator = field(default=Generator(64, 256, 1e-3, 0.99))
    penalty: Weight = 10.0


@recipe
def few_particles(
    *,
    examples: Examples = FEW,
    critic: Critic = Critic(slope=0.5, width=256, depth=2, rate=2e-3, critic_steps=5),
    penalty: Weight = 10.0,
    loop: Loop = Loop(150, 200),
    particles: Number = 600,
    source: Literal["all", "class"] = "all",
    pace: Pace = Pace(1.0, step_end=0.05, warmup=20),
    record: Count = 5,
    fields: Count = FIELDS,
) -> Experiment:
    """Lipschitz-KL particles on a few images. Expect copies of MNIST's within a minute of CPU, blends of them before.

    Particles keep their class and move at the speed L at most. On 200 images, with 600 samples against held-out ones,
    the Fréchet distance in `mnist_lenet` is 25 after 30 steps, 8 after 80 and 7 from 180 on, that of the images
    themselves; by then every particle lies near an image. Nothing but the number of steps keeps them apart: stop early,
    and read the memorisation report.

    Args:
        particles: Number of particles; their classes are shared out as in the data.
        source: First particles from a normal law with mean and covariance of all images, or of those of their class.
        slope: Slope L of the critic that is free, in scores per unit of distance between images in [-1, 1].
        penalty: Weight on slopes beyond it, in units of 1 / L^2.
        step_end: Factor on it at the end; it falls from a third of the steps on.
        record: Steps between two fields that are kept, so that samples are new points carried along them; 0 keeps none,
            and so does the source "class": then samples are the particles.
        fields: Most fields that are kept; twice as many steps share one where there would be more. 0 keeps all.
    """
    from pushforward.divergences import locate
    from pushforward.flows.critic import CriticFlow
    from pushforward.methods.adversarial.vgrow import clamp
    from pushforward.methods.particles.driver import Particles
    from pushforward.methods.sources import Spread
    from pushforward.objectives.penalties import lipschitz
    from pushforward.randomness import stream
    from pushforward.recipes.parts import wiring
    from pushforward.training.schedule import cosine

    if source == "class" and not examples.classes.conditional:
        raise UsageError(
            "--source class: particles without classes start from the law of all images; add --conditional"
        )
    psi, rng = locate(critic.divergence), stream(loop.seed, "train")
    data = wiring.load_images(examples, loop.seed)
    falling = wiring.falling(critic, loop, pace)
    net = _critic(data, wiring.counted(data, examples.classes), critic, falling, loop.seed)
    flow = CriticFlow(net, psi, penalties=_held(lipschitz, critic.slope, penalty, rng), steps=critic.critic_steps)
    kept = wiring.shares(data.train_labels, particles) if examples.classes.conditional else None
    own = data.train_labels if source == "class" else None

    source_law = Spread.hollow(len(data.train), data.event) if data.hollow else Spread.of(data.train)
    method = Particles(
        flow,
        wiring.spread(data.train, stream(loop.seed, "init", part="particles"), particles, own, kept),
        pace.step,
        rng,
        project=clamp(-1, 1),
        source=source_law if record and own is None else None,
        record=record if own is None else 0,
        fields=fields,
        warmup=pace.warmup,
        schedule=cosine(loop.steps, last=pace.step_end, hold=0.3),
        labels=kept,
        diagnose=0,
    )
    return wiring.of_images(method, data, loop, examples, threads=1)


@recipe
def few_gan(
    *,
    examples: Examples = FEW,
    divergence: str = "KL_LIP",
    loop: Loop = Loop(4_000, 200),
    duel: Duel = Duel(2, 2e-3, 1, 0.5),
) -> Experiment:
    """The GAN of the divergence and critic of `few_particles`, with the linear generator loss.

    Expect legible digits of 200 of MNIST's within a minute of CPU, few of each class: a Fréchet distance of 30, in
    `mnist_lenet` with 600 samples, where the particles have 7.

    Args:
        divergence: KL_LIP, alpha_lip(A), W1, or another of `pushforward.divergences`.
        slope: Slope L of the critic that is free, in scores per unit of distance between images in [-1, 1].
        penalty: Weight on slopes beyond it, in units of 1 / L^2.
    """
    from pushforward.divergences import locate
    from pushforward.objectives.penalties import lipschitz
    from pushforward.recipes.parts import wiring

    psi = locate(divergence)
    data = wiring.load_images(examples, loop.seed)
    method = _gan(data, examples.classes, psi, partial(_held, lipschitz), loop, duel)
    return wiring.of_images(method, data, loop, examples, threads=1)


@recipe
def few_wgan_gp(
    *,
    examples: Examples = FEW,
    loop: Loop = Loop(1_200, 200),
    duel: Duel = Duel(2, 1e-3, 5, 1.0, Generator(64, 256, 1e-3, 0.98)),
) -> Experiment:
    """WGAN-GP, critic as in `few_particles`: W1's contrast, a two-sided penalty, five critic updates for one step.

    Expect blends of 200 of MNIST's digits after two minutes of CPU: a Fréchet distance of 17 after 750 steps, in
    `mnist_lenet` with 600 samples, and still falling.

    Args:
        slope: Slope L that the penalty asks for, in scores per unit of distance between images in [-1, 1].
        penalty: Weight on slopes other than it, in units of 1 / L^2.

    References:
        Improved training of Wasserstein GANs (Gulrajani et al., 2017), arXiv:1704.00028.
    """
    from pushforward.divergences import W1
    from pushforward.objectives.penalties import gradient_penalty
    from pushforward.recipes.parts import wiring

    data = wiring.load_images(examples, loop.seed)
    method = _gan(data, examples.classes, W1, partial(_held, gradient_penalty), loop, duel)
    return wiring.of_images(method, data, loop, examples, threads=1)


def _gan(
    data: Dataset,
    classes: Classes,
    psi: Divergence,
    held: Callable[[float, float, Randomness], tuple[Penalty, ...]],
    loop: Loop,
    duel: Duel,
) -> GAN:
    """A perceptron that generates, against the critic of `few_particles`; both rates fall to a twentieth."""
    from torch import nn

    from pushforward.flows.critic import CriticFlow
    from pushforward.methods.adversarial.gan import GAN
    from pushforward.methods.sources import normal
    from pushforward.nets import mlp
    from pushforward.randomness import seeded, stream
    from pushforward.recipes.parts import wiring
    from pushforward.training.learner import Learner
    from pushforward.training.schedule import cosine

    k, rng, net = wiring.counted(data, classes), stream(loop.seed, "train"), duel.net
    with seeded(loop.seed, "generator"):
        g = mlp.generator(net.latent, data.event, width=net.width, depth=duel.depth, classes=k, output=nn.Tanh)
    generator = Learner(g, wiring.adam(net.rate, BETAS), ema=net.ema, schedule=cosine(loop.steps, last=0.05))
    sizes = Critic(width=net.width, depth=duel.depth, rate=duel.critic_rate)
    critic = _critic(data, k, sizes, cosine(loop.steps * duel.rounds, last=0.05), loop.seed)
    flow = CriticFlow(critic, psi, penalties=held(duel.slope, duel.penalty, rng))
    return GAN(generator, flow, normal(net.latent), rng, rounds=duel.rounds)


def _critic(data: Dataset, classes: int, critic: Critic, schedule: Schedule, seed: int) -> Learner:
    """A perceptron on pixels with a score for each class, whose slope is left to a penalty."""
    from pushforward.nets import lipschitz
    from pushforward.randomness import seeded
    from pushforward.recipes.parts import wiring
    from pushforward.training.learner import Learner

    with seeded(seed, "critic"):
        net = lipschitz.critic(
            data.event, width=critic.width, depth=critic.depth, mode="none", activation=wiring.leaky, classes=classes
        )
    return Learner(net, wiring.adam(critic.rate, BETAS), schedule=schedule)


def _held(penalty: Callable[..., Tensor], slope: float, weight: float, rng: Randomness) -> tuple[Penalty, ...]:
    """A penalty that holds slopes at L, its weight in units of 1 / L^2; nothing for weight 0."""
    if slope <= 0:
        raise UsageError(f"--slope {slope:g}: give a positive number, for example 0.5")
    return (partial(penalty, slope=slope, weight=weight / slope**2, rng=rng),) if weight else ()
