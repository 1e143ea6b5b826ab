"""Recipes for images: the digits of the main job, and any images of your own."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Literal

from pushforward.recipes.parts.checks import recipe
from pushforward.settings.groups import Classes, Convolutions, Examples, Generator, LogRatio, Loop, OuterLoop, Rows
from pushforward.settings.options import Layers, Rate, Rounds, Units

if TYPE_CHECKING:
    from pushforward.data import Dataset
    from pushforward.nets.blocks import CriticNet, GeneratorNet
    from pushforward.training.experiment import Experiment

__all__ = ["gan_images", "vgrow_digits", "vgrow_images"]

MOVES, SEVERAL = 6_000, 4_500  # of digits by default: with one move a step, and with several, in the same time


@recipe
def vgrow_digits(
    *,
    critic: LogRatio = LogRatio("KL", penalty=0.1),
    conditional: bool = False,
    outer: OuterLoop = OuterLoop(),
    net: Generator = Generator(32, 512, 2e-3, 0.998),
    critic_width: Units = 256,
    depth: Layers = 2,
    critic_rate: Rate = 1e-3,
) -> Experiment:
    """VGrow on scikit-learn's handwritten digits, 8 x 8. Expect readable digits after 80 s of CPU.

    Args:
        conditional: Learn one law for each digit.
        steps: Steps of training; if not given, 6,000 of one move, or as many as make 4,500, which takes as long.
        step: Length of a move per unit velocity, in grey levels of [-1, 1].
        radius: Furthest that a particle goes in one move at the start, likewise; if not given, as far as the flow
            says.
        width: Units of a hidden layer of the generator.
        critic_width: Units of a hidden layer of the critic.
        depth: Hidden layers of both.
        rate: Learning rate of the generator at the start; it falls to zero in a straight line.
        critic_rate: The same of the critic.
        penalty: Weight of a zero-centred gradient penalty on data and samples, at every other update.
    """
    from torch import nn

    from pushforward.methods.adversarial.vgrow import Balance, VGrow, shrinking
    from pushforward.methods.sources import normal
    from pushforward.metrics.networks.digits8 import digits8
    from pushforward.nets import mlp
    from pushforward.randomness import seeded, stream
    from pushforward.recipes.parts import wiring
    from pushforward.training.learner import Learner
    from pushforward.training.schedule import geometric, linear

    law, loop = Classes(conditional=conditional), outer.loop(MOVES, SEVERAL)
    digits = wiring.load(Rows("digits"), law, loop.seed)
    classes = wiring.counted(digits, law)
    pace = Balance.of(outer.moves, math.prod(digits.event), outer.pool, outer.fits, outer.radius or math.inf)
    with seeded(loop.seed):
        g = mlp.generator(net.latent, digits.event, width=net.width, depth=depth, classes=classes, output=nn.Tanh)
        d = mlp.critic(digits.event, width=critic_width, depth=depth, classes=classes, activation=wiring.leaky)
    falling = linear(loop.steps * pace.pool * pace.fits)
    generator = Learner(g, wiring.adam(net.rate), ema=net.ema, schedule=falling)
    learner = Learner(d, wiring.adam(critic_rate), schedule=linear(loop.steps * outer.moves))
    method = VGrow(
        generator, wiring.log_ratio(learner, critic, every=2), normal(net.latent), stream(loop.seed, "train"),
        pool=pace.pool, moves=outer.moves, fits=pace.fits, step=outer.step,
        radius=shrinking(pace.radius, geometric(loop.steps, outer.radius_end)),
    )  # fmt: skip
    return wiring.experiment(method, digits, loop, conditional=conditional, features=digits8(), threads=2)


@recipe
def vgrow_images(
    *,
    examples: Examples = Examples(),
    preset: Literal["gan", "paper"] = "gan",
    nets: Convolutions = Convolutions(),
    critic: LogRatio = LogRatio("KL", penalty=0.5),
    loop: Loop = Loop(12_000, 64),
    net: Generator = Generator(128, 16, 5e-4),
) -> Experiment:
    """VGrow on any images. Expect readable digits of MNIST after five minutes on two cores, clean ones after twenty.

    The preset `gan` takes one move and one fit a step, with Adam and decaying rates. `paper` is the published code's
    outer loop: a pool of 20 batches, 20 moves of 0.5 kept in [-1, 1], 5 to 20 fits, RMSprop at 1e-4, spectral norm in
    both nets and no penalty; the published run takes 10,000 such steps with `--net resnet --width 128` on a GPU.

    Args:
        preset: gan or paper.
        width: Channels of the largest hidden map (dcgan), or of every one (resnet).
        rate: Learning rate of generator and critic at the start, for the preset gan.
        penalty: Weight of a zero-centred gradient penalty on data and samples, for the preset gan.
        spectral: Spectral norm in the critic; the preset paper has it in both nets anyway.
        ema: Decay of the generator's running average; the preset paper keeps none.
    """
    from torch.optim import RMSprop

    from pushforward.methods.adversarial import vgrow
    from pushforward.methods.sources import normal
    from pushforward.randomness import stream
    from pushforward.recipes.parts import wiring
    from pushforward.training.learner import Learner
    from pushforward.training.schedule import cosine, step_decay

    data = wiring.load_images(examples, loop.seed)
    g, d = _nets(data, nets, net, wiring.counted(data, examples.classes), loop.seed, published=preset == "paper")
    latents, rng = normal(net.latent), stream(loop.seed, "train")
    if preset == "paper":
        fits, slow = vgrow.paper_fits(), partial(RMSprop, lr=1e-4)
        halved = step_decay(tuple(20 * sum(fits(k) for k in range(turn)) for turn in (400, 800)))
        generator = Learner(g, slow, schedule=halved)
        bare = LogRatio(critic.divergence, critic.contrast, cap=critic.cap)
        flow = wiring.log_ratio(Learner(d, slow, schedule=step_decay((20 * 400, 20 * 800))), bare, every=1)
        method = vgrow.paper(generator, flow, latents, rng)
    else:
        adam, falling = wiring.adam(net.rate), cosine(loop.steps)
        generator = Learner(g, adam, ema=net.ema, schedule=falling)
        flow = wiring.log_ratio(Learner(d, adam, schedule=falling), critic, every=4)
        method = vgrow.gan(generator, flow, latents, rng)
    return wiring.of_images(method, data, loop, examples)


@recipe
def gan_images(
    *,
    examples: Examples = Examples(),
    nets: Convolutions = Convolutions(),
    critic: LogRatio = LogRatio("LOGD"),
    loop: Loop = Loop(5_000, 64),
    net: Generator = Generator(128, 32, 2e-4),
    rounds: Rounds = 1,
) -> Experiment:
    """A GAN on any images, as most know it: by default a DCGAN with the log-D trick and no penalty.

    Args:
        divergence: LOGD (log-D trick), JS (saturating), KL (linear), or any other as for vgrow_images.
        width: Channels of the largest hidden map (dcgan), or of every one (resnet).
        rate: Learning rate of generator and critic, constant.
        rounds: Critic updates, each on fresh samples, for one of the generator.
    """
    from pushforward.methods.adversarial.gan import GAN
    from pushforward.methods.sources import normal
    from pushforward.randomness import stream
    from pushforward.recipes.parts import wiring
    from pushforward.training.learner import Learner

    data = wiring.load_images(examples, loop.seed)
    g, d = _nets(data, nets, net, wiring.counted(data, examples.classes), loop.seed)
    adam = wiring.adam(net.rate, (0.5, 0.999))
    flow = wiring.log_ratio(Learner(d, adam), critic, every=4)
    method = GAN(Learner(g, adam, ema=net.ema), flow, normal(net.latent), stream(loop.seed, "train"), rounds=rounds)
    return wiring.of_images(method, data, loop, examples)


def _nets(
    data: Dataset, nets: Convolutions, shape: Generator, classes: int, seed: int, published: bool = False
) -> tuple[GeneratorNet, CriticNet]:
    """A generator of images and its critic; as published, both have spectral norms, found in five iterations."""
    from pushforward.nets import dcgan, resnet
    from pushforward.objectives.penalties import spectral
    from pushforward.randomness import seeded

    channels, side, _ = data.event
    made = {"dcgan": dcgan, "resnet": resnet}[nets.net]
    with seeded(seed):
        g = made.generator(side, channels, latent=shape.latent, width=shape.width, classes=classes, norm=nets.norm)
        d = made.critic(side, channels, width=shape.width, classes=classes)
        if published:
            spectral(g, iterations=5)
        if published or nets.spectral:
            spectral(d, iterations=5 if published else 1)
    return g, d
