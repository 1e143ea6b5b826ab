"""Recipes for bridges and score models: points, digits, any images, and the published sizes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pushforward.recipes.parts.checks import recipe
from pushforward.settings.bridges import (
    POINTS,
    STAMPS,
    Bridging,
    Convolved,
    Denoising,
    Distilling,
    Perceptrons,
    Pictures,
    Smoothing,
)
from pushforward.settings.groups import Classes, LogRatio, Loop, Rows

if TYPE_CHECKING:
    from torch.nn import Module

    from pushforward.data import Dataset
    from pushforward.methods.bridges.diffusion import Diffusion
    from pushforward.methods.bridges.two_stages import Bridge
    from pushforward.training.experiment import Experiment
    from pushforward.training.learner import Learner

__all__ = ["bridge_cifar", "bridge_digits", "bridge_images", "bridge_portraits", "bridge_toy", "score_images"]

OF_POINTS = Bridging(
    distilling=Distilling(0, 4e-3, refine_rate=5e-4, critic_rate=2e-3, critic_width=128, critic=LogRatio(penalty=0.05))
)
OF_IMAGES = Bridging(distilling=Distilling(critic_width=16, critic=LogRatio(penalty=0.5)))


@recipe
def bridge_toy(
    *,
    rows: Rows = Rows("toy:ring8"),
    classes: Classes = Classes(),
    loop: Loop = Loop(8_000, POINTS.batch),
    net: Denoising = POINTS.net,
    hidden: Perceptrons = Perceptrons(waves=POINTS.waves),
    bridging: Bridging = OF_POINTS,
) -> Experiment:
    """The two-stage bridge on points. Expect every mode of ring8 and grid25, as wide as it should be, in a minute.

    One denoiser drives both stages, 12 steps from the mean to the smoothed data and 24 from there to the data, which is
    35 calls of the net; settings of sampling take fewer, or the ways of others.
    """
    from pushforward.recipes.parts import wiring
    from pushforward.recipes.parts.distilling import distilled

    points = wiring.load(rows, classes, loop.seed, kind="points")
    method = _bridge(_by_perceptron(points, classes, net, hidden, loop), points, bridging.smoothing, loop, POINTS.low)
    learner, whole = distilled(method, points, bridging.distilling, loop, classes)
    return wiring.experiment(learner, points, whole, conditional=classes.conditional, threads=1)


@recipe
def bridge_digits(
    *,
    conditional: bool = False,
    loop: Loop = Loop(10_000, STAMPS.batch),
    net: Denoising = STAMPS.net,
    hidden: Perceptrons = Perceptrons(),
    bridging: Bridging = Bridging(),
) -> Experiment:
    """The two-stage bridge on scikit-learn's handwritten digits, 8 x 8. Expect readable digits after a minute of CPU.

    Args:
        conditional: Learn one law for each digit.
    """
    from pushforward.metrics.networks.digits8 import digits8
    from pushforward.recipes.parts import wiring
    from pushforward.recipes.parts.distilling import distilled

    law = Classes(conditional=conditional)
    digits = wiring.load(Rows("digits"), law, loop.seed)
    method = _bridge(_by_perceptron(digits, law, net, hidden, loop), digits, bridging.smoothing, loop)
    learner, whole = distilled(method, digits, bridging.distilling, loop, law)
    return wiring.experiment(learner, digits, whole, conditional=conditional, features=digits8(), threads=1)


def _by_perceptron(data: Dataset, classes: Classes, net: Denoising, hidden: Perceptrons, loop: Loop) -> Diffusion:
    """A score model of points or flat images by a perceptron."""
    from pushforward.nets.timed.mlp import perceptron
    from pushforward.randomness import seeded
    from pushforward.recipes.parts import wiring

    with seeded(loop.seed):
        f = perceptron(
            data.event, width=net.width, depth=hidden.depth, classes=wiring.counted(data, classes), waves=hidden.waves
        )
    return _diffusion(f, data, net, loop)


@recipe
def bridge_images(*, pictures: Pictures = Pictures(), bridging: Bridging = OF_IMAGES) -> Experiment:
    """The two-stage bridge on any images, by a U-Net. Expect readable digits of MNIST in ten minutes of two cores."""
    return _of_images(pictures, bridging)


@recipe
def score_images(*, pictures: Pictures = Pictures()) -> Experiment:
    """A score model on any images: the denoiser of bridge_images, sampled from noise in 36 calls.

    The setting `annealed` of its sampling is the way in which score networks were first published.
    """
    return _of_images(pictures, None)


@recipe
def bridge_cifar(
    *,
    pictures: Pictures = Pictures(
        Loop(200_000, 128), Denoising(128, 2e-4, rate_end=1.0, half_life=500.0), convolved=Convolved(2, 0.1)
    ),
    bridging: Bridging = OF_IMAGES,
) -> Experiment:
    """The two-stage bridge for CIFAR-10 at the published size, on a GPU; small with `--width 16 --steps 2000`.

    sigma and tau, as everywhere, are those of the published run: 1 and 2 for pixels in [-1/2, 1/2], spread a quarter.

    Args:
        data: CIFAR-10 as PATH[:key] of an .npz file, or a folder of images; digits are there to try it.
    """
    return _of_images(pictures, bridging)


@recipe
def bridge_portraits(
    *, pictures: Pictures = Pictures(Loop(20_000, 32), Denoising(32, 5e-4)), bridging: Bridging = OF_IMAGES
) -> Experiment:
    """The two-stage bridge on portraits and other pictures of 64 pixels; a day of two cores, or an hour of a GPU.

    Args:
        data: A folder of images, or PATH[:key]; digits are there to try it.
    """
    return _of_images(pictures, bridging)


def _of_images(pictures: Pictures, bridging: Bridging | None) -> Experiment:
    """A score model of images by a U-Net, or the bridge around it."""
    from pushforward.nets.timed.unet import unet
    from pushforward.randomness import seeded
    from pushforward.recipes.parts import wiring
    from pushforward.recipes.parts.distilling import distilled

    loop, net, shape, classes = pictures.loop, pictures.net, pictures.convolved, pictures.examples.classes
    data = wiring.load_images(pictures.examples, loop.seed)
    channels, side, _ = data.event
    with seeded(loop.seed):
        f = unet(
            side, channels, width=net.width, blocks=shape.blocks, dropout=shape.dropout,
            classes=wiring.counted(data, classes),
        )  # fmt: skip
    score = _diffusion(f, data, net, loop)
    if bridging is None:
        return wiring.of_images(score, data, loop, pictures.examples)
    method = _bridge(score, data, bridging.smoothing, loop)
    learner, whole = distilled(method, data, bridging.distilling, loop, classes)
    return wiring.of_images(learner, data, whole, pictures.examples)


def _diffusion(f: Module, data: Dataset, net: Denoising, loop: Loop) -> Diffusion:
    """A net as a denoiser about the data's mean, in units of their spread."""
    import torch

    from pushforward.data.pixels import cell_of
    from pushforward.dynamics.sde.annealed import geometric_ladder
    from pushforward.dynamics.sde.levels import linear_variance
    from pushforward.methods.adversarial.vgrow import clamp
    from pushforward.methods.bridges.diffusion import Diffusion
    from pushforward.nets.timed.preconditioned import Preconditioned, centred, empty_centre
    from pushforward.objectives.matching import Ladder, Levels, LogNormal, balanced, by_score
    from pushforward.randomness import stream
    from pushforward.recipes.parts import wiring
    from pushforward.training.learner import Learner
    from pushforward.training.schedule import cosine

    pictures = data.kind == "images"
    mean, spread = empty_centre(data.event) if data.hollow else centred(data.train)
    learner = Learner(
        Preconditioned(f, mean, spread), wiring.adam(net.rate, (0.9, 0.99)), ema=net.average(loop.batch),
        schedule=cosine(loop.steps, net.rate_end), clip=1.0,
    )  # fmt: skip
    ladders = {"geometric": geometric_ladder(10, 4.0, 0.04), "linear": linear_variance(1000, 4.0)[:-1]}
    levels: Levels = LogNormal(net.level_mean, net.level_deviation)
    if net.law != "normal":
        levels = Ladder(tuple(ladders[net.law]))
    return Diffusion(
        learner, stream(loop.seed, "train"), levels, balanced if net.law == "normal" else by_score, drop=net.drop,
        project=clamp(-1, 1) if pictures else None,
        cell=torch.tensor(0.0 if data.hollow else cell_of(data.train)) if pictures else None,
    )  # fmt: skip


def _bridge(diffusion: Diffusion, data: Dataset, smoothing: Smoothing, loop: Loop, low: float = 0.004) -> Bridge:
    """The two stages around a denoiser."""
    from pushforward.methods.bridges.two_stages import Bridge, BridgeSampling

    ratio = _ratio(data, smoothing, loop) if smoothing.ratio else None
    return Bridge(diffusion, smoothing.tau, smoothing.sigma, ratio, BridgeSampling(low=low))


def _ratio(data: Dataset, smoothing: Smoothing, loop: Loop) -> Learner:
    """The classifier of smoothed data against noise: a perceptron, of images too."""
    from torch.nn import SiLU

    from pushforward.nets import mlp
    from pushforward.randomness import seeded
    from pushforward.recipes.parts import wiring
    from pushforward.training.learner import Learner
    from pushforward.training.schedule import cosine

    with seeded(loop.seed, "ratio"):
        net = mlp.critic(data.event, width=smoothing.ratio_width, depth=3, activation=SiLU)
    return Learner(net, wiring.adam(smoothing.ratio_rate, (0.9, 0.99)), ema=0.999, schedule=cosine(loop.steps))
