"""Recipes for points: two-dimensional toys and tables of a few columns."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated

from pushforward.recipes.parts.checks import recipe
from pushforward.settings.groups import Classes, Generator, LogRatio, Loop, Rows
from pushforward.settings.options import Between, Later, Layers, Length, Rounds

if TYPE_CHECKING:
    from pushforward.data import Dataset
    from pushforward.nets.blocks import CriticNet, GeneratorNet
    from pushforward.training.experiment import Experiment

__all__ = ["toy_gan", "toy_vgrow"]


@dataclass(frozen=True)
class Outer:
    """What a step of the outer loop does.

    Attributes:
        pool: Particles in a pool, as a multiple of the batch.
        moves: Moves of the pool for one step.
        fits: Passes of the regression over the pool for one step.
        step: Length of a move, in standardised data units per unit velocity.
    """

    pool: Rounds = 1
    moves: Rounds = 1
    fits: Rounds = 1
    step: Length = 1.0


@dataclass(frozen=True)
class Course:
    """How the critic keeps up, and what is left of penalty and rates at the end.

    Attributes:
        critic_steps: Updates of the critic before each move.
        penalty_end: What is left of the penalty's weight at the end, as a factor.
        rate_end: What is left of both learning rates at the end, as a factor.
    """

    critic_steps: Rounds = 1
    penalty_end: Length = 1e-3
    rate_end: Annotated[float, Between(0, 1), Later()] = 0.0


@recipe
def toy_vgrow(
    *,
    rows: Rows = Rows("toy:ring8"),
    classes: Classes = Classes(),
    critic: LogRatio = LogRatio("KL", penalty=0.05),
    course: Course = Course(),
    loop: Loop = Loop(12_000, 192),
    net: Generator = Generator(2, 128, 1e-3),
    depth: Layers = 3,
    outer: Outer = Outer(),
) -> Experiment:
    """VGrow on points. Expect every mode of ring8 and grid25, with the right weights, in about half a minute.

    The critic carries a zero-centred gradient penalty on data and samples that dies away, and both learning rates fall
    to zero along a cosine: early the penalty finds the modes, late its absence sharpens them.

    Args:
        depth: Hidden layers of both.
    """
    from pushforward.methods.adversarial.vgrow import VGrow
    from pushforward.methods.sources import normal
    from pushforward.randomness import stream
    from pushforward.recipes.parts import wiring
    from pushforward.training.learner import Learner
    from pushforward.training.schedule import cosine, geometric

    points = wiring.load(rows, classes, loop.seed, kind="points")
    updates = loop.steps * outer.moves * course.critic_steps
    g, d = _nets(points, net, depth, wiring.counted(points, classes), loop.seed)
    adam = wiring.adam(net.rate)
    generator = Learner(g, adam, ema=net.ema, schedule=cosine(loop.steps * outer.pool * outer.fits, course.rate_end))
    learner = Learner(d, adam, schedule=cosine(updates, course.rate_end))
    flow = wiring.log_ratio(learner, critic, every=4, fading=geometric(updates, course.penalty_end))
    flow.steps = course.critic_steps
    method = VGrow(
        generator, flow, normal(net.latent), stream(loop.seed, "train"), **asdict(outer)
    )  # fmt: skip
    return wiring.experiment(method, points, loop, conditional=classes.conditional, threads=1)


@recipe
def toy_gan(
    *,
    rows: Rows = Rows("toy:ring8"),
    classes: Classes = Classes(),
    critic: LogRatio = LogRatio("JS"),
    loop: Loop = Loop(4_000, 192),
    net: Generator = Generator(2, 128, 1e-3),
    depth: Layers = 3,
    rounds: Rounds = 5,
) -> Experiment:
    """A plain GAN on points, for comparison. With JS, the saturating loss, expect vanishing gradients on ring8.

    The critic, five updates ahead of the generator, soon tells samples from data; then the weight w = D of the
    saturating loss is near zero just where samples are wrong, and they stand still. `--divergence LOGD` is the log-D
    trick, KL the linear loss: the same line of code. `--rounds 1 --steps 12000` keeps the critic weak enough for JS.

    Args:
        divergence: JS (saturating), LOGD (log-D trick), KL (linear), or any other as for toy_vgrow.
        depth: Hidden layers of both.
        rate: Learning rate of generator and critic, constant.
        penalty: Weight of a zero-centred gradient penalty on data and samples; 0 for none.
        rounds: Critic updates, each on fresh samples, for one of the generator.
    """
    from pushforward.methods.adversarial.gan import GAN
    from pushforward.methods.sources import normal
    from pushforward.randomness import stream
    from pushforward.recipes.parts import wiring
    from pushforward.training.learner import Learner

    points = wiring.load(rows, classes, loop.seed, kind="points")
    g, d = _nets(points, net, depth, wiring.counted(points, classes), loop.seed)
    generator = Learner(g, wiring.adam(net.rate), ema=net.ema)
    flow = wiring.log_ratio(Learner(d, wiring.adam(net.rate)), critic, every=4)
    method = GAN(generator, flow, normal(net.latent), stream(loop.seed, "train"), rounds=rounds)
    return wiring.experiment(method, points, loop, conditional=classes.conditional, threads=1)


def _nets(points: Dataset, shape: Generator, depth: int, classes: int, seed: int) -> tuple[GeneratorNet, CriticNet]:
    """Perceptrons z -> x and x -> score of one width and depth."""
    from pushforward.nets import mlp
    from pushforward.randomness import seeded
    from pushforward.recipes.parts.wiring import leaky

    event, width = points.event, shape.width
    with seeded(seed):
        g = mlp.generator(shape.latent, event, width=width, depth=depth, classes=classes)
        return g, mlp.critic(event, width=width, depth=depth, classes=classes, activation=leaky)
