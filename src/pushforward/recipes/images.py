"""Recipes for images: the digits of the main job, and any images of your own."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Literal

from pushforward.recipes.checks import recipe

if TYPE_CHECKING:
    from pushforward.training.experiment import Experiment

__all__ = ["gan_images", "vgrow_digits", "vgrow_images"]


@recipe
def vgrow_digits(
    *,
    divergence: str = "KL",
    conditional: bool = False,
    steps: int = 6_000,
    batch: int = 192,
    latent: int = 32,
    width: int = 512,
    critic_width: int = 256,
    depth: int = 2,
    rate: float = 2e-3,
    critic_rate: float = 1e-3,
    penalty: float = 0.1,
    cap: float = 100.0,
    ema: float = 0.998,
    seed: int = 0,
) -> Experiment:
    """VGrow on scikit-learn's handwritten digits, 8 x 8. Expect readable digits within a minute on two cores.

    Args:
        divergence: KL, REVERSE_KL, JS, LOGD, JEFFREYS, PEARSON, NEYMAN, HELLINGER, alpha(A) or package.module:NAME.
        conditional: Learn one law for each digit.
        steps: Steps of training.
        batch: Images, and samples, in a step.
        latent: Size of z.
        width: Units of a hidden layer of the generator.
        critic_width: Units of a hidden layer of the critic.
        depth: Hidden layers of both.
        rate: Learning rate of the generator at the start; it falls to zero in a straight line.
        critic_rate: The same of the critic.
        penalty: Weight of a zero-centred gradient penalty on data and samples, at every other update.
        cap: Largest weight of a sample.
        ema: Decay of the generator's running average.
        seed: Seed of the split, the nets, the batches and the latents.
    """
    from torch import nn

    from pushforward.data import Noise
    from pushforward.divergences import locate
    from pushforward.flows.critic import CriticFlow
    from pushforward.methods.adversarial.vgrow import gan
    from pushforward.methods.sources import Normal
    from pushforward.metrics.networks.digits8 import digits8
    from pushforward.nets import mlp
    from pushforward.nets.blocks import seeded
    from pushforward.recipes import wiring
    from pushforward.training.learner import Learner
    from pushforward.training.schedule import linear

    psi = locate(divergence)
    digits = wiring.load("digits", None, conditional, seed)
    classes = digits.n_classes if conditional else 0
    with seeded(seed):
        g = mlp.generator(latent, digits.event, width=width, depth=depth, classes=classes, output=nn.Tanh)
        d = mlp.critic(digits.event, width=critic_width, depth=depth, classes=classes, activation=wiring.leaky)
    generator = Learner(g, wiring.adam(rate), ema=ema, schedule=linear(steps))
    critic = Learner(d, wiring.adam(critic_rate), schedule=linear(steps))
    flow = CriticFlow(critic, psi, penalties=wiring.zero_centred(penalty), every=2, cap=cap)
    method = gan(generator, flow, Normal(latent), Noise(seed))
    return wiring.experiment(
        method, digits, batch=batch, steps=steps, seed=seed, conditional=conditional, features=digits8(), threads=2
    )


@recipe
def vgrow_images(
    *,
    data: str = "digits",
    labels: str | None = None,
    conditional: bool = False,
    side: int | None = None,
    channels: int | None = None,
    limit: int | None = None,
    test_fraction: float | None = None,
    preset: Literal["gan", "paper"] = "gan",
    net: Literal["dcgan", "resnet"] = "dcgan",
    divergence: str = "KL",
    steps: int = 12_000,
    batch: int = 64,
    latent: int = 128,
    width: int = 16,
    rate: float = 5e-4,
    penalty: float = 0.5,
    spectral: bool = False,
    norm: Literal["batch", "pixel", "none"] = "batch",
    cap: float = 100.0,
    ema: float = 0.999,
    features: Literal["auto", "raw", "digits8"] = "auto",
    seed: int = 0,
) -> Experiment:
    """VGrow on any images. Expect readable digits of MNIST after five minutes on two cores, clean ones after twenty.

    The preset `gan` takes one move and one fit a step, with Adam and decaying rates. `paper` is the published code's
    outer loop: a pool of 20 batches, 20 moves of 0.5 kept in [-1, 1], 5 to 20 fits, RMSprop at 1e-4, spectral norm in
    both nets and no penalty; the published run takes 10,000 such steps with `--net resnet --width 128` on a GPU.

    Args:
        data: digits, a folder of images, or PATH[:key].
        labels: Name of an array with classes, or their file.
        conditional: Learn one law for each class.
        side: Height and width, a power of two; chosen by the images if not given.
        channels: 1, 3 or 4; chosen by the images if not given.
        limit: Use at most so many images.
        test_fraction: Share of the images held out; what the source says, or a tenth, if not given.
        preset: gan or paper.
        net: dcgan or resnet.
        divergence: KL, REVERSE_KL, JS, LOGD, JEFFREYS, PEARSON, NEYMAN, HELLINGER, alpha(A) or package.module:NAME.
        steps: Steps of training.
        batch: Images, and samples, in a step.
        latent: Size of z.
        width: Channels of the largest hidden map (dcgan), or of every one (resnet).
        rate: Learning rate of generator and critic at the start, for the preset gan.
        penalty: Weight of a zero-centred gradient penalty on data and samples, for the preset gan.
        spectral: Spectral norm in the critic; the preset paper has it in both nets anyway.
        norm: Normalisation in the generator.
        cap: Largest weight of a sample.
        ema: Decay of the generator's running average; the preset paper keeps none.
        features: Network that judges the samples: digits8 for digits, raw for pixels, auto for digits8 on digits only.
        seed: Seed of the split, the nets, the batches and the latents.
    """
    from torch.optim import RMSprop

    from pushforward.data import Noise
    from pushforward.divergences import locate
    from pushforward.flows.critic import CriticFlow
    from pushforward.methods.adversarial import vgrow
    from pushforward.methods.sources import Normal
    from pushforward.nets import dcgan, resnet
    from pushforward.nets.blocks import seeded
    from pushforward.objectives.penalties import spectral as normalised
    from pushforward.recipes import wiring
    from pushforward.training.learner import Learner
    from pushforward.training.schedule import cosine, step_decay

    psi, published = locate(divergence), preset == "paper"
    images = wiring.load(
        data,
        labels,
        conditional,
        seed,
        kind="images",
        side=side,
        channels=channels,
        limit=limit,
        test_fraction=test_fraction,
    )
    classes, (depth, height, _) = images.n_classes if conditional else 0, images.event
    nets = {"dcgan": dcgan, "resnet": resnet}[net]
    with seeded(seed):
        g = nets.generator(height, depth, latent=latent, width=width, classes=classes, norm=norm)
        d = nets.critic(height, depth, width=width, classes=classes)
        if published:
            normalised(g, iterations=5)
        if published or spectral:
            normalised(d, iterations=5 if published else 1)
    if published:
        fits = vgrow.paper_fits()
        halved = step_decay(tuple(20 * sum(fits(k) for k in range(loop)) for loop in (400, 800)))
        generator = Learner(g, partial(RMSprop, lr=1e-4), schedule=halved)
        critic = Learner(d, partial(RMSprop, lr=1e-4), schedule=step_decay((20 * 400, 20 * 800)))
        method = vgrow.paper(generator, CriticFlow(critic, psi, cap=cap), Normal(latent), Noise(seed))
    else:
        generator = Learner(g, wiring.adam(rate), ema=ema, schedule=cosine(steps))
        critic = Learner(d, wiring.adam(rate), schedule=cosine(steps))
        method = vgrow.gan(
            generator,
            CriticFlow(critic, psi, penalties=wiring.zero_centred(penalty), every=4, cap=cap),
            Normal(latent),
            Noise(seed),
        )
    return wiring.experiment(
        method,
        images,
        batch=batch,
        steps=steps,
        seed=seed,
        conditional=conditional,
        features=wiring.judge(features, images),
    )


@recipe
def gan_images(
    *,
    data: str = "digits",
    labels: str | None = None,
    conditional: bool = False,
    side: int | None = None,
    channels: int | None = None,
    limit: int | None = None,
    test_fraction: float | None = None,
    net: Literal["dcgan", "resnet"] = "dcgan",
    divergence: str = "LOGD",
    steps: int = 5_000,
    batch: int = 64,
    latent: int = 128,
    width: int = 32,
    rate: float = 2e-4,
    penalty: float = 0.0,
    spectral: bool = False,
    norm: Literal["batch", "pixel", "none"] = "batch",
    rounds: int = 1,
    cap: float = 100.0,
    ema: float = 0.999,
    features: Literal["auto", "raw", "digits8"] = "auto",
    seed: int = 0,
) -> Experiment:
    """A GAN on any images, as most know it: by default a DCGAN with the log-D trick and no penalty.

    Args:
        data: digits, a folder of images, or PATH[:key].
        labels: Name of an array with classes, or their file.
        conditional: Learn one law for each class.
        side: Height and width, a power of two; chosen by the images if not given.
        channels: 1, 3 or 4; chosen by the images if not given.
        limit: Use at most so many images.
        test_fraction: Share of the images held out; what the source says, or a tenth, if not given.
        net: dcgan or resnet.
        divergence: LOGD (log-D trick), JS (saturating), KL (linear), or any other as for vgrow_images.
        steps: Steps of training.
        batch: Images, and samples, in a step.
        latent: Size of z.
        width: Channels of the largest hidden map (dcgan), or of every one (resnet).
        rate: Learning rate of generator and critic, constant.
        penalty: Weight of a zero-centred gradient penalty on data and samples; 0 for none.
        spectral: Spectral norm in the critic.
        norm: Normalisation in the generator.
        rounds: Critic updates, each on fresh samples, for one of the generator.
        cap: Largest weight of a sample.
        ema: Decay of the generator's running average.
        features: Network that judges the samples: digits8 for digits, raw for pixels, auto for digits8 on digits only.
        seed: Seed of the split, the nets, the batches and the latents.
    """
    from pushforward.data import Noise
    from pushforward.divergences import locate
    from pushforward.flows.critic import CriticFlow
    from pushforward.methods.adversarial.gan import GAN
    from pushforward.methods.sources import Normal
    from pushforward.nets import dcgan, resnet
    from pushforward.nets.blocks import seeded
    from pushforward.objectives.penalties import spectral as normalised
    from pushforward.recipes import wiring
    from pushforward.training.learner import Learner

    psi = locate(divergence)
    images = wiring.load(
        data,
        labels,
        conditional,
        seed,
        kind="images",
        side=side,
        channels=channels,
        limit=limit,
        test_fraction=test_fraction,
    )
    classes, (depth, height, _) = images.n_classes if conditional else 0, images.event
    nets = {"dcgan": dcgan, "resnet": resnet}[net]
    with seeded(seed):
        g = nets.generator(height, depth, latent=latent, width=width, classes=classes, norm=norm)
        d = nets.critic(height, depth, width=width, classes=classes)
        if spectral:
            normalised(d)
    betas = (0.5, 0.999)
    generator = Learner(g, wiring.adam(rate, betas), ema=ema)
    critic = Learner(d, wiring.adam(rate, betas))
    flow = CriticFlow(critic, psi, penalties=wiring.zero_centred(penalty), every=4, cap=cap)
    method = GAN(generator, flow, Normal(latent), Noise(seed), rounds=rounds)
    return wiring.experiment(
        method,
        images,
        batch=batch,
        steps=steps,
        seed=seed,
        conditional=conditional,
        features=wiring.judge(features, images),
    )
