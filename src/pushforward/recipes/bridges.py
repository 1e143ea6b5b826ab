"""Recipes for bridges and score models: points, digits, any images, and the published sizes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pushforward.recipes.parts.checks import recipe
from pushforward.settings.bridges import Convolved, Denoising, Smoothing
from pushforward.settings.groups import Classes, Examples, Loop, Rows
from pushforward.settings.options import Count, Layers

if TYPE_CHECKING:
    from pushforward.data import Dataset
    from pushforward.methods.bridges.diffusion import Diffusion
    from pushforward.methods.bridges.two_stages import Bridge
    from pushforward.training.experiment import Experiment
    from pushforward.training.learner import Learner

__all__ = ["bridge_cifar", "bridge_digits", "bridge_images", "bridge_portraits", "bridge_toy", "score_images"]


@recipe
def bridge_toy(
    *,
    rows: Rows = Rows("toy:ring8"),
    classes: Classes = Classes(),
    loop: Loop = Loop(8_000, 512),
    net: Denoising = Denoising(128, 4e-3, level_mean=-1.5, level_deviation=2.0),
    depth: Layers = 3,
    waves: Count = 32,
    smoothing: Smoothing = Smoothing(),
) -> Experiment:
    """The two-stage bridge on points. Expect every mode of ring8 and grid25, as wide as it should be, in a minute.

    One denoiser drives both stages: 6 steps from the mean to the smoothed data, 15 from there to the data, in 35 calls
    of the net; `pushforward sample RUN --sampling.second-steps 8` takes fewer.

    Args:
        depth: Hidden layers.
        waves: Of random frequencies, which the net sees of a point beside it; 0 for none.
    """
    from pushforward.nets.timed.mlp import perceptron
    from pushforward.randomness import seeded
    from pushforward.recipes.parts import wiring

    points = wiring.load(rows, classes, loop.seed, kind="points")
    with seeded(loop.seed):
        f = perceptron(points.event, width=net.width, depth=depth, classes=wiring.counted(points, classes), waves=waves)
    method = _bridge(_diffusion(f, points, net, loop), points, smoothing, loop)
    method.sampling = replace(method.sampling, low=0.002)
    return wiring.experiment(method, points, loop, conditional=classes.conditional, threads=1)


@recipe
def bridge_digits(
    *,
    conditional: bool = False,
    loop: Loop = Loop(6_000, 192),
    net: Denoising = Denoising(256, 2e-3),
    depth: Layers = 3,
    smoothing: Smoothing = Smoothing(),
) -> Experiment:
    """The two-stage bridge on scikit-learn's handwritten digits, 8 x 8. Expect readable digits after a minute of CPU.

    Args:
        conditional: Learn one law for each digit.
        depth: Hidden layers.
    """
    from pushforward.metrics.networks.digits8 import digits8
    from pushforward.nets.timed.mlp import perceptron
    from pushforward.randomness import seeded
    from pushforward.recipes.parts import wiring

    law = Classes(conditional=conditional)
    digits = wiring.load(Rows("digits"), law, loop.seed)
    with seeded(loop.seed):
        f = perceptron(digits.event, width=net.width, depth=depth, classes=wiring.counted(digits, law))
    method = _bridge(_diffusion(f, digits, net, loop), digits, smoothing, loop)
    return wiring.experiment(method, digits, loop, conditional=conditional, features=digits8(), threads=1)


@recipe
def bridge_images(
    *,
    examples: Examples = Examples(),
    loop: Loop = Loop(6_000, 64),
    net: Denoising = Denoising(32, 1e-3),
    convolved: Convolved = Convolved(),
    smoothing: Smoothing = Smoothing(),
) -> Experiment:
    """The two-stage bridge on any images, by a U-Net. Expect readable digits of MNIST after ten minutes of two cores.

    Args:
        width: Channels of the largest map.
    """
    from pushforward.recipes.parts import wiring

    data = wiring.load_images(examples, loop.seed)
    method = _bridge(_convolved(data, examples.classes, net, convolved, loop), data, smoothing, loop)
    return wiring.of_images(method, data, loop, examples)


@recipe
def score_images(
    *,
    examples: Examples = Examples(),
    loop: Loop = Loop(6_000, 64),
    net: Denoising = Denoising(32, 1e-3),
    convolved: Convolved = Convolved(),
) -> Experiment:
    """A score model on any images: the denoiser of `bridge_images`, sampled from noise in 35 calls.

    `pushforward sample RUN --sampling.sampler annealed` samples it as score networks were first published.

    Args:
        width: Channels of the largest map.
    """
    from pushforward.recipes.parts import wiring

    data = wiring.load_images(examples, loop.seed)
    return wiring.of_images(_convolved(data, examples.classes, net, convolved, loop), data, loop, examples)


@recipe
def bridge_cifar(
    *,
    examples: Examples = Examples(),
    loop: Loop = Loop(200_000, 128),
    net: Denoising = Denoising(128, 2e-4, rate_end=1.0, half_life=500.0),
    convolved: Convolved = Convolved(2, 0.1),
    smoothing: Smoothing = Smoothing(4.0, 32.0),
) -> Experiment:
    """The two-stage bridge for CIFAR-10 at the published size, on a GPU; small with `--width 32 --steps 2000`.

    sigma and tau are those of the published run, 1 and 2 for pixels in [-1/2, 1/2], whose spread is a quarter.

    Args:
        data: CIFAR-10 as PATH[:key] of an .npz file, or a folder of images; digits are there to try it.
        width: Channels of the largest map.
    """
    from pushforward.recipes.parts import wiring

    data = wiring.load_images(examples, loop.seed)
    method = _bridge(_convolved(data, examples.classes, net, convolved, loop), data, smoothing, loop)
    return wiring.of_images(method, data, loop, examples)


@recipe
def bridge_portraits(
    *,
    examples: Examples = Examples(),
    loop: Loop = Loop(20_000, 32),
    net: Denoising = Denoising(48, 5e-4),
    convolved: Convolved = Convolved(),
    smoothing: Smoothing = Smoothing(),
) -> Experiment:
    """The two-stage bridge on portraits and other pictures of 64 pixels, in narrower nets; for a GPU.

    Args:
        data: A folder of images, or PATH[:key]; digits are there to try it.
        width: Channels of the largest map.
    """
    from pushforward.recipes.parts import wiring

    data = wiring.load_images(examples, loop.seed)
    method = _bridge(_convolved(data, examples.classes, net, convolved, loop), data, smoothing, loop)
    return wiring.of_images(method, data, loop, examples)


def _convolved(data: Dataset, classes: Classes, net: Denoising, shape: Convolved, loop: Loop) -> Diffusion:
    """A score model of images by a U-Net."""
    from pushforward.nets.timed.unet import unet
    from pushforward.randomness import seeded
    from pushforward.recipes.parts import wiring

    channels, side, _ = data.event
    with seeded(loop.seed):
        f = unet(
            side, channels, width=net.width, blocks=shape.blocks, dropout=shape.dropout,
            classes=wiring.counted(data, classes),
        )  # fmt: skip
    return _diffusion(f, data, net, loop)


def _diffusion(f, data: Dataset, net: Denoising, loop: Loop) -> Diffusion:
    """A net as a denoiser about the data's mean, in units of their spread."""
    from pushforward.methods.adversarial.vgrow import clamp
    from pushforward.methods.bridges.diffusion import Diffusion
    from pushforward.nets.timed.preconditioned import Preconditioned, centred, empty_centre
    from pushforward.objectives.matching import LogNormal
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
    levels = LogNormal(net.level_mean, net.level_deviation)
    return Diffusion(
        learner, stream(loop.seed, "train"), levels, drop=net.drop, project=clamp(-1, 1) if pictures else None,
        cell=(2 / 16 if data.network == "digits8" else 2 / 255) if pictures else 0.0,
    )  # fmt: skip


def _bridge(diffusion: Diffusion, data: Dataset, smoothing: Smoothing, loop: Loop) -> Bridge:
    """The two stages around a denoiser."""
    from pushforward.methods.bridges.two_stages import Bridge

    ratio = _ratio(data, smoothing, loop) if smoothing.ratio else None
    return Bridge(diffusion, smoothing.tau, smoothing.sigma, ratio)


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
