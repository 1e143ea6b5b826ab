"""Recipes for a few hundred images with classes: particles, and two GANs with the same critic to compare them with.

The critic is a perceptron on pixels with a score for each class; a penalty holds its slope. With so few images nothing
larger pays within minutes of CPU.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Literal

from pushforward.errors import UsageError
from pushforward.recipes.checks import recipe

if TYPE_CHECKING:
    from torch import Tensor

    from pushforward.data import Dataset
    from pushforward.divergences import Divergence
    from pushforward.methods.adversarial.gan import GAN
    from pushforward.training.experiment import Experiment
    from pushforward.training.learner import Learner
    from pushforward.types import Penalty, Randomness, Samples, Schedule

__all__ = ["few_gan", "few_particles", "few_wgan_gp"]

BETAS = (0.0, 0.9)  # of Adam, in every net here: the memory that WGAN-GP was published with


@recipe
def few_particles(
    *,
    data: str = "digits",
    labels: str | None = None,
    conditional: bool = True,
    side: int | None = None,
    channels: int | None = None,
    limit: int | None = 200,
    test_fraction: float | None = None,
    divergence: str = "KL_LIP",
    steps: int = 150,
    particles: int = 600,
    source: Literal["all", "class"] = "all",
    batch: int = 200,
    width: int = 256,
    depth: int = 2,
    rate: float = 2e-3,
    critic_steps: int = 5,
    slope: float = 0.5,
    penalty: float = 10.0,
    step: float = 1.0,
    warmup: int = 20,
    record: int = 5,
    features: Literal["auto", "raw", "digits8"] = "auto",
    seed: int = 0,
) -> Experiment:
    """Lipschitz-KL particles on a few images. Expect copies of MNIST's after 20 s of CPU, blends of them before.

    Particles keep their class and move at the speed L at most. On 200 images, with 600 samples against held-out ones,
    the Fréchet distance in `mnist_lenet` is 16 after 9 s, 7.5 after 15 s and 6.7 from 30 s on, that of the images
    themselves; by then every particle lies on an image. Nothing but the number of steps keeps them apart: stop early,
    and read the memorisation report.

    Args:
        data: digits, a folder of images, or PATH[:key].
        labels: Name of an array with classes, or their file.
        conditional: One law for each class; particles keep the class they start with.
        side: Height and width, a power of two; chosen by the images if not given.
        channels: 1, 3 or 4; chosen by the images if not given.
        limit: Use at most so many images.
        test_fraction: Share of the images held out; what the source says, or a tenth, if not given.
        divergence: KL_LIP, alpha_lip(A), W1, or another of `pushforward.divergences`.
        steps: Steps of all particles; the step falls from a third of them on.
        particles: Number of particles; their classes are shared out as in the data.
        source: First particles from a normal law with mean and covariance of all images, or of those of their class.
        batch: Images that the critic sees in a step.
        width: Units of a hidden layer of the critic.
        depth: Hidden layers of the critic.
        rate: Learning rate of the critic at the start.
        critic_steps: Critic updates for one step.
        slope: Slope L of the critic that is free, in scores per unit of distance between images in [-1, 1].
        penalty: Weight on slopes beyond it, in units of 1 / L^2.
        step: Time of the first steps; a particle goes L times this far in one.
        warmup: Calls of the critic before anything moves.
        record: Steps between two fields that are kept, so that samples are new points carried along them; 0 keeps none,
            and so does the source "class": then samples are the particles.
        features: Network that judges the samples: digits8 for digits, raw for pixels, auto for digits8 on digits only.
        seed: Seed of the choice of images, the nets, the batches and the first particles.
    """
    from pushforward.data import Noise
    from pushforward.divergences import locate
    from pushforward.flows.critic import CriticFlow
    from pushforward.methods.adversarial.vgrow import clamp
    from pushforward.methods.particles.driver import Particles
    from pushforward.objectives.penalties import lipschitz
    from pushforward.recipes import wiring
    from pushforward.training.schedule import cosine

    if source == "class" and not conditional:
        raise UsageError(
            "--source class: particles without classes start from the law of all images; add --conditional"
        )
    psi, rng = locate(divergence), Noise(seed)
    images = wiring.load(data, labels, conditional, seed, kind="images", side=side, channels=channels, limit=limit,
                         test_fraction=test_fraction)  # fmt: skip
    critic = _critic(images, conditional, width, depth, rate, cosine(steps * critic_steps, last=0.1), seed)
    flow = CriticFlow(critic, psi, penalties=_held(lipschitz, slope, penalty, rng), steps=critic_steps)
    classes = wiring.shares(images.train_labels, particles) if conditional else None
    own = images.train_labels if source == "class" else None

    def law(rng: Randomness, n: int, of: Tensor | None = None, wanted: Tensor | None = None) -> Samples:
        return wiring.spread(images.train, rng, n, of, wanted)  # a function, so that no checkpoint holds the images

    method = Particles(
        flow,
        law(rng, particles, own, classes),
        step,
        rng,
        project=clamp(-1, 1),
        source=law if record and own is None else None,
        record=record if own is None else 0,
        warmup=warmup,
        schedule=cosine(steps, last=0.05, hold=0.3),
        labels=classes,
        diagnose=0,
    )
    return wiring.experiment(method, images, batch=batch, steps=steps, seed=seed, conditional=conditional,
                             features=wiring.judge(features, images), threads=1)  # fmt: skip


@recipe
def few_gan(
    *,
    data: str = "digits",
    labels: str | None = None,
    conditional: bool = True,
    side: int | None = None,
    channels: int | None = None,
    limit: int | None = 200,
    test_fraction: float | None = None,
    divergence: str = "KL_LIP",
    steps: int = 4_000,
    batch: int = 200,
    latent: int = 64,
    width: int = 256,
    depth: int = 2,
    rate: float = 1e-3,
    critic_rate: float = 2e-3,
    rounds: int = 1,
    slope: float = 0.5,
    penalty: float = 10.0,
    ema: float = 0.99,
    features: Literal["auto", "raw", "digits8"] = "auto",
    seed: int = 0,
) -> Experiment:
    """The GAN of the divergence and critic of `few_particles`, with the linear generator loss.

    Expect legible digits of 200 of MNIST's within a minute of CPU, few of each class: a Fréchet distance of 25, in
    `mnist_lenet` with 600 samples, where the particles have 7.

    Args:
        data: digits, a folder of images, or PATH[:key].
        labels: Name of an array with classes, or their file.
        conditional: One law for each class.
        side: Height and width, a power of two; chosen by the images if not given.
        channels: 1, 3 or 4; chosen by the images if not given.
        limit: Use at most so many images.
        test_fraction: Share of the images held out; what the source says, or a tenth, if not given.
        divergence: KL_LIP, alpha_lip(A), W1, or another of `pushforward.divergences`.
        steps: Steps of training.
        batch: Images, and samples, in a step.
        latent: Size of z.
        width: Units of a hidden layer of generator and critic.
        depth: Hidden layers of both.
        rate: Learning rate of the generator at the start.
        critic_rate: The same of the critic.
        rounds: Critic updates, each on fresh samples, for one of the generator.
        slope: Slope L of the critic that is free, in scores per unit of distance between images in [-1, 1].
        penalty: Weight on slopes beyond it, in units of 1 / L^2.
        ema: Decay of the generator's running average.
        features: Network that judges the samples: digits8 for digits, raw for pixels, auto for digits8 on digits only.
        seed: Seed of the choice of images, the nets, the batches and the latents.
    """
    from pushforward.data import Noise
    from pushforward.divergences import locate
    from pushforward.objectives.penalties import lipschitz
    from pushforward.recipes import wiring

    psi, rng = locate(divergence), Noise(seed)
    images = wiring.load(data, labels, conditional, seed, kind="images", side=side, channels=channels, limit=limit,
                         test_fraction=test_fraction)  # fmt: skip
    method = _gan(
        images, conditional, psi, _held(lipschitz, slope, penalty, rng), rng, steps=steps, latent=latent,
        width=width, depth=depth, rate=rate, critic_rate=critic_rate, rounds=rounds, ema=ema, seed=seed,
    )  # fmt: skip
    return wiring.experiment(method, images, batch=batch, steps=steps, seed=seed, conditional=conditional,
                             features=wiring.judge(features, images), threads=1)  # fmt: skip


@recipe
def few_wgan_gp(
    *,
    data: str = "digits",
    labels: str | None = None,
    conditional: bool = True,
    side: int | None = None,
    channels: int | None = None,
    limit: int | None = 200,
    test_fraction: float | None = None,
    steps: int = 1_200,
    batch: int = 200,
    latent: int = 64,
    width: int = 256,
    depth: int = 2,
    rate: float = 1e-3,
    critic_rate: float = 1e-3,
    rounds: int = 5,
    slope: float = 1.0,
    penalty: float = 10.0,
    ema: float = 0.98,
    features: Literal["auto", "raw", "digits8"] = "auto",
    seed: int = 0,
) -> Experiment:
    """WGAN-GP, critic as in `few_particles`: W1's contrast, a two-sided penalty, five critic updates for one step.

    Expect blends of 200 of MNIST's digits after two minutes of CPU: a Fréchet distance of 12, in `mnist_lenet` with 600
    samples, and still falling.

    Args:
        data: digits, a folder of images, or PATH[:key].
        labels: Name of an array with classes, or their file.
        conditional: One law for each class.
        side: Height and width, a power of two; chosen by the images if not given.
        channels: 1, 3 or 4; chosen by the images if not given.
        limit: Use at most so many images.
        test_fraction: Share of the images held out; what the source says, or a tenth, if not given.
        steps: Steps of training.
        batch: Images, and samples, in a step.
        latent: Size of z.
        width: Units of a hidden layer of generator and critic.
        depth: Hidden layers of both.
        rate: Learning rate of the generator at the start.
        critic_rate: The same of the critic.
        rounds: Critic updates, each on fresh samples, for one of the generator.
        slope: Slope L that the penalty asks for, in scores per unit of distance between images in [-1, 1].
        penalty: Weight on slopes other than it, in units of 1 / L^2.
        ema: Decay of the generator's running average.
        features: Network that judges the samples: digits8 for digits, raw for pixels, auto for digits8 on digits only.
        seed: Seed of the choice of images, the nets, the batches and the latents.

    References:
        Improved training of Wasserstein GANs (Gulrajani et al., 2017), arXiv:1704.00028.
    """
    from pushforward.data import Noise
    from pushforward.divergences import W1
    from pushforward.objectives.penalties import gradient_penalty
    from pushforward.recipes import wiring

    rng = Noise(seed)
    images = wiring.load(data, labels, conditional, seed, kind="images", side=side, channels=channels, limit=limit,
                         test_fraction=test_fraction)  # fmt: skip
    method = _gan(
        images, conditional, W1, _held(gradient_penalty, slope, penalty, rng), rng, steps=steps, latent=latent,
        width=width, depth=depth, rate=rate, critic_rate=critic_rate, rounds=rounds, ema=ema, seed=seed,
    )  # fmt: skip
    return wiring.experiment(method, images, batch=batch, steps=steps, seed=seed, conditional=conditional,
                             features=wiring.judge(features, images), threads=1)  # fmt: skip


def _gan(
    images: Dataset,
    conditional: bool,
    psi: Divergence,
    penalties: tuple[Penalty, ...],
    rng: Randomness,
    *,
    steps: int,
    latent: int,
    width: int,
    depth: int,
    rate: float,
    critic_rate: float,
    rounds: int,
    ema: float,
    seed: int,
) -> GAN:
    """A perceptron that generates, against the critic of `few_particles`; both rates fall to a twentieth."""
    from torch import nn

    from pushforward.flows.critic import CriticFlow
    from pushforward.methods.adversarial.gan import GAN
    from pushforward.methods.sources import Normal
    from pushforward.nets import mlp
    from pushforward.nets.blocks import seeded
    from pushforward.recipes import wiring
    from pushforward.training.learner import Learner
    from pushforward.training.schedule import cosine

    classes = images.n_classes if conditional else 0
    with seeded(seed):
        g = mlp.generator(latent, images.event, width=width, depth=depth, classes=classes, output=nn.Tanh)
    generator = Learner(g, wiring.adam(rate, BETAS), ema=ema, schedule=cosine(steps, last=0.05))
    falling = cosine(steps * rounds, last=0.05)
    critic = _critic(images, conditional, width, depth, critic_rate, falling, seed)
    return GAN(generator, CriticFlow(critic, psi, penalties=penalties), Normal(latent), rng, rounds=rounds)


def _critic(
    images: Dataset, conditional: bool, width: int, depth: int, rate: float, schedule: Schedule, seed: int
) -> Learner:
    """A perceptron on pixels with a score for each class, whose slope is left to a penalty."""
    from pushforward.nets import lipschitz
    from pushforward.nets.blocks import seeded
    from pushforward.recipes import wiring
    from pushforward.training.learner import Learner

    classes = images.n_classes if conditional else 0
    with seeded(seed):
        net = lipschitz.critic(
            images.event, width=width, depth=depth, mode="none", activation=wiring.leaky, classes=classes
        )
    return Learner(net, wiring.adam(rate, BETAS), schedule=schedule)


def _held(penalty: Callable[..., Tensor], slope: float, weight: float, rng: Randomness) -> tuple[Penalty, ...]:
    """A penalty that holds slopes at L, its weight in units of 1 / L^2; nothing for weight 0."""
    if slope <= 0:
        raise UsageError(f"--slope {slope:g}: give a positive number, for example 0.5")
    return (partial(penalty, slope=slope, weight=weight / slope**2, rng=rng),) if weight else ()
