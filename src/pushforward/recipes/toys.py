"""Recipes for points: two-dimensional toys and tables of a few columns."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from pushforward.recipes.parts.checks import recipe
from pushforward.settings.groups import Classes, Generator, LogRatio, Loop, Rows
from pushforward.settings.options import Between, Later, Layers, Length, Rounds, Seed, Steps

if TYPE_CHECKING:
    from pushforward.data import Dataset
    from pushforward.nets.blocks import CriticNet, GeneratorNet
    from pushforward.training.experiment import Experiment

__all__ = ["toy_gan", "toy_vgrow"]


MOVES = 12_000  # of a run that is told no number of steps


@dataclass(frozen=True)
class Outer:
    """What a step of the outer loop does; what is not given suits the number of moves.

    Attributes:
        steps: Steps of training; if not given, as many as make 12,000 moves.
        moves: Moves of the pool for one step.
        pool: Particles in a pool, as a multiple of the batch; if not given, 1 for one move and 5 for several.
        fits: Passes of the regression over the pool for one step; if not given, as many as make one update of the
            generator for one move, and two a move for several.
        step: Length of a move, in standardised data units per unit velocity.
        radius: Furthest that a particle goes in one move at the start, in standardised data units; if not given, as far
            as the flow says for one move; for several, .46 over their number or 5, whichever is more, a column.
        radius_end: What is left of it at the end, as a factor.
    """

    steps: Steps | None = None
    moves: Rounds = 1
    pool: Rounds | None = None
    fits: Rounds | None = None
    step: Length = 1.0
    radius: Length | None = None
    radius_end: Length = 0.05


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
    outer: Outer = Outer(),
    batch: Annotated[int, Between(1, 10**6)] = 192,
    seed: Seed = 0,
    net: Generator = Generator(2, 128, 1e-3),
    depth: Layers = 3,
) -> Experiment:
    """VGrow on points. Expect every mode of ring8 and grid25, with the right weights, in about half a minute.

    Of several moves none goes further than a radius that shrinks along the run: where the critic is steep a particle
    would jump over its mode, and the generator would follow one that is far from its own law.

    The critic carries a zero-centred gradient penalty on data and samples that dies away, and both learning rates fall
    to zero along a cosine: early the penalty finds the modes, late its absence sharpens them.

    Args:
        batch: Rows of data, and particles, that the critic sees in an update.
        seed: Seed of everything: the split, the nets, the batches and latents.
        depth: Hidden layers of both.
    """
    from pushforward.methods.adversarial.vgrow import Balance, VGrow, shrinking
    from pushforward.methods.sources import normal
    from pushforward.randomness import stream
    from pushforward.recipes.parts import wiring
    from pushforward.training.learner import Learner
    from pushforward.training.schedule import cosine, geometric

    points = wiring.load(rows, classes, seed, kind="points")
    loop = Loop(outer.steps or max(1, MOVES // outer.moves), batch, seed)
    pace = Balance.of(outer.moves, math.prod(points.event), outer.pool, outer.fits, outer.radius)
    updates = loop.steps * outer.moves * course.critic_steps
    g, d = _nets(points, net, depth, wiring.counted(points, classes), seed)
    adam = wiring.adam(net.rate)
    generator = Learner(g, adam, ema=net.ema, schedule=cosine(loop.steps * pace.pool * pace.fits, course.rate_end))
    learner = Learner(d, adam, schedule=cosine(updates, course.rate_end))
    flow = wiring.log_ratio(learner, critic, every=4, fading=geometric(updates, course.penalty_end))
    flow.steps = course.critic_steps
    method = VGrow(
        generator, flow, normal(net.latent), stream(seed, "train"), pool=pace.pool, moves=outer.moves, fits=pace.fits,
        step=outer.step, radius=shrinking(pace.radius, geometric(loop.steps, outer.radius_end)),
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
