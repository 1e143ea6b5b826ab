"""Recipes for points: two-dimensional toys and tables of a few columns."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from pushforward.recipes.parts.checks import recipe
from pushforward.settings.groups import Classes, Generator, LogRatio, Loop, OuterLoop, Rows
from pushforward.settings.options import Between, Later, Layers, Length, Rounds

if TYPE_CHECKING:
    from pushforward.data import Dataset
    from pushforward.nets.blocks import CriticNet, GeneratorNet
    from pushforward.training.experiment import Experiment

__all__ = ["toy_gan", "toy_vgrow"]

MOVES, SEVERAL = 10_500, 8_500  # of a run that is told no number of steps: of one move a step, or more; as long


@dataclass(frozen=True)
class Course:
    """How the critic keeps up, what is left of penalty and rates at the end, and when kernels take over.

    A critic that kernels relieve ends earlier, where its schedules then stand.

    Attributes:
        critic_steps: Updates of the critic before each move.
        critic_pace: Learning rate of the critic, as a factor on that of the generator.
        penalty_end: What is left of the penalty's weight at the end, as a factor; if not given, .3 with random
            waves, else .02.
        rate_end: What is left of both learning rates at the end, as a factor.
        last: Share of the run, its last one, in which kernel estimates of both densities take the critic's place; if
            not given, 0 for one move, and for several .4 where there are up to three columns.
    """

    critic_steps: Rounds = 1
    critic_pace: Length = 0.25
    penalty_end: Length | None = None
    rate_end: Annotated[float, Between(0, 1), Later()] = 0.0
    last: Annotated[float, Between(0, 1)] | None = None


@dataclass(frozen=True)
class Start:
    """What the nets see, and what the generator is like at first.

    Attributes:
        begin: normal for the normal law with the data's mean and covariance, net for what fresh weights give.
        octaves: Of sines and cosines of each number of z, which the generator sees beside z; 0 for none.
        fourier: Waves of random frequencies and directions, which the generator sees of z beside it, and the critic of
            x; if not given, 32 for one move on up to three columns without classes, else none.
    """

    begin: Literal["normal", "net"] = "normal"
    octaves: Annotated[int, Between(0, 16)] = 3
    fourier: Annotated[int, Between(0, 10_000)] | None = None


@recipe
def toy_vgrow(
    *,
    rows: Rows = Rows("toy:ring8"),
    classes: Classes = Classes(),
    critic: LogRatio = LogRatio("KL", penalty=0.05),
    course: Course = Course(),
    outer: OuterLoop = OuterLoop(),
    net: Generator = Generator(2, 128, 4e-3),
    first: Start = Start(),
    depth: Layers = 3,
) -> Experiment:
    """VGrow on points. Expect every mode of ring8 and grid25, nine tenths as wide as it should be, in a minute.

    The generator starts at the normal law with the data's mean and covariance, so that every mode is near, and a critic
    with a zero-centred gradient penalty that fades leads it to them. One move is a GAN, in which both nets see random
    waves beside their input: without, a critic does not see the shape of narrow modes and shrinks them. Of several
    moves none goes further than a radius that shrinks along the run, and in its last part kernel estimates of both
    densities give the modes their shape; the generator's rate is halved there. Rates fall along a cosine.

    Args:
        steps: Steps of training; if not given, 10,500 of one move, or as many as make 8,500, which takes as long.
        rate: Learning rate of the generator at the start.
        depth: Hidden layers of both.
    """
    from pushforward.flows.local.density import DensityFlow
    from pushforward.flows.local.handover import Handover
    from pushforward.methods.adversarial.vgrow import Balance, VGrow, shrinking
    from pushforward.methods.sources import normal
    from pushforward.nets import mlp
    from pushforward.randomness import stream
    from pushforward.recipes.parts import wiring
    from pushforward.training.learner import Learner
    from pushforward.training.schedule import cosine, geometric

    loop = outer.loop(MOVES, SEVERAL)
    points = wiring.load(rows, classes, loop.seed, kind="points")
    size = math.prod(points.event)
    pace = Balance.of(outer.moves, size, outer.pool, outer.fits, outer.radius)
    updates, fits = loop.steps * outer.moves * course.critic_steps, pace.pool * pace.fits
    known = wiring.counted(points, classes)
    waves = mlp.waves(size, outer.moves, known) if first.fourier is None else first.fourier
    last = (0.4 if outer.moves > 1 and size <= mlp.FEW else 0.0) if course.last is None else course.last
    g, d = _nets(points, net, depth, known, loop.seed, first, waves)
    turn = loop.steps - round(last * loop.steps)
    falling = cosine(loop.steps * fits, course.rate_end, half=turn / loop.steps)
    generator = Learner(g, wiring.adam(net.rate, (0.5, 0.99)), ema=net.ema, schedule=falling)
    learner = Learner(d, wiring.adam(course.critic_pace * net.rate), schedule=cosine(updates, course.rate_end))
    left = geometric(updates, course.penalty_end or (0.3 if waves else 0.02))
    flow = wiring.log_ratio(learner, critic, every=4, fading=left)
    flow.steps = course.critic_steps
    method = VGrow(
        generator, Handover(flow, DensityFlow(), turn * outer.moves) if last else flow, normal(net.latent),
        stream(loop.seed, "train"), pool=pace.pool, moves=outer.moves, fits=pace.fits,
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
    first: Start = Start("net", 0, 0),
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
        fourier: Waves of random frequencies that the nets see beside z and x; 0 for none.
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
    g, d = _nets(points, net, depth, wiring.counted(points, classes), loop.seed, first, first.fourier or 0)
    generator = Learner(g, wiring.adam(net.rate), ema=net.ema)
    flow = wiring.log_ratio(Learner(d, wiring.adam(net.rate)), critic, every=4)
    method = GAN(generator, flow, normal(net.latent), stream(loop.seed, "train"), rounds=rounds)
    return wiring.experiment(method, points, loop, conditional=classes.conditional, threads=1)


def _nets(
    points: Dataset, shape: Generator, depth: int, classes: int, seed: int, first: Start, waves: int
) -> tuple[GeneratorNet, CriticNet]:
    """Perceptrons z -> x and x -> score of one width and depth."""
    from pushforward.nets import mlp
    from pushforward.nets.blocks import empty_law, normal_law, started
    from pushforward.randomness import seeded
    from pushforward.recipes.parts.wiring import leaky

    event, size, latent, width = points.event, math.prod(points.event), shape.latent, shape.width
    with seeded(seed):
        beside = mlp.Beside(first.octaves, waves)
        g = mlp.generator(latent, event, width=width, depth=depth, classes=classes, beside=beside)
        if first.begin == "normal":  # a checkpoint has the law of the rows
            started(g, *(empty_law(size, latent) if points.hollow else normal_law(points.train, latent)))
        return g, mlp.critic(event, width=width, depth=depth, classes=classes, activation=leaky, fourier=waves)
