"""Recipes for particles under a Lipschitz-regularised divergence: any points, and the experiments of the field."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Literal

from pushforward.recipes.parts.checks import recipe
from pushforward.settings.groups import FIELDS, Bound, Classes, Cloud, Contrast, Critic, Ends, Loop, Pace, Rows, Scheme
from pushforward.settings.options import Between, Count, Seed, Steps, flat

if TYPE_CHECKING:
    from pushforward.data import Dataset
    from pushforward.flows.critic import CriticFlow
    from pushforward.training.experiment import Experiment
    from pushforward.types import Batch, Labels, Randomness

__all__ = ["four_modes", "gaussian_particles", "sierpinski", "swiss_roll", "toy_particles"]


@dataclass(frozen=True)
class Way:
    """How particles go, and what is kept of it.

    Attributes:
        scheme: euler, heun, rk4, or Adams-Bashforth ab2 to ab5.
        refit: Train the critic at every stage of the scheme, where the stage's points are, which is what its order
            needs; without, heun and rk4 are of order 1, ab2 to ab5 of order 2.
        tracers: Further points that ride along without being seen by the critic.
        record: Keep every so many-th field, so that new points can be carried along; 0 keeps none.
        fields: Most fields that are kept; twice as many steps share one where there would be more. 0 keeps all.
        diagnose: Steps between two looks at certificate, slope, effective sample size and held-out divergence; 0 for
            never. If not given, as many as let the looks cost a twentieth of the steps at most.
        compile: Compile critic updates and move into one graph; pays from some thousands of steps on.
    """

    scheme: Scheme = "euler"
    refit: bool = True
    tracers: Annotated[int, Between(0, 10**8)] = 0
    record: Count = 1
    fields: Count = FIELDS
    diagnose: Count | None = None
    compile: bool = False


@dataclass(frozen=True)
class Drive:
    """Particles, the critic that drives them, and how they go.

    Attributes:
        waves: Octaves of sines and cosines that the critic sees beside its input, for fine structure; its slope stays
            bounded. 0 for none.
    """

    critic: Critic = field(default=Critic(slope=0.2))
    bound: Bound = field(default=Bound())
    cloud: Cloud = field(default=Cloud(200))
    pace: Pace = field(default=Pace(0.5, step_end=0.2))
    way: Way = Way()
    waves: Annotated[int, Between(0, 16)] = 0


@recipe
def toy_particles(
    *,
    rows: Rows = Rows("toy:moons"),
    classes: Classes = Classes(),
    drive: Drive = Drive(cloud=Cloud(1000)),
    contrast: Contrast = "logistic",
    loop: Loop = Loop(400, 1000),
    ends: Ends = Ends(),
) -> Experiment:
    """Particles that flow from a normal cloud to the data. Expect the shape of moons within half a minute.

    The critic's slope is bounded, and with it every speed. A gentle slope carries mass from mode to mode; a steep one
    finds it cheaper to reweigh modes that already have some, and leaves them too full. Fields are kept, so that new
    points can be carried along (`pushforward sample`, `pushforward transport`).

    Args:
        divergence: KL_LIP, REVERSE_KL_LIP, JS_LIP, HELLINGER_LIP, PEARSON_LIP, TV_LIP, alpha_lip(A), W1; or one without
            a dual over critics (KL, JS, LOGD, alpha(A), ...), learned by logistic regression; or package.module:NAME.
        contrast: The critic's loss where the divergence has none of its own: logistic regression, or its f-GAN dual.
        step_end: Factor on it at the end, reached over the second half.
    """
    from pushforward.dynamics import integrate
    from pushforward.methods.particles.driver import Particles
    from pushforward.methods.particles.stopping import Until
    from pushforward.methods.sources import Gaussian
    from pushforward.randomness import stream
    from pushforward.recipes.parts import wiring
    from pushforward.training.schedule import linear

    cloud, pace, way = drive.cloud, drive.pace, drive.way
    points = wiring.load(rows, classes, loop.seed, kind="points")
    rng, first = stream(loop.seed, "train"), stream(loop.seed, "init", part="particles")
    source = Gaussian(points.event, cloud.start, cloud.spread)
    flow = _flow(points, drive, contrast, loop, wiring.counted(points, classes), rng)
    known = points.train_labels if classes.conditional else None

    def drawn(n: int) -> Labels | None:
        return None if known is None or not n else known[first.integers(len(known), n)]

    method = Particles(
        flow,
        source(first, cloud.particles),
        pace.step,
        rng,
        scheme=integrate.named(way.scheme),
        source=source,
        record=way.record,
        fields=way.fields,
        compile=way.compile,
        warmup=pace.warmup,
        schedule=linear(loop.steps, pace.step_end, 0.5),
        refit=way.refit,
        labels=drawn(cloud.particles),
        tracers=source(first, way.tracers) if way.tracers else None,
        tracer_labels=drawn(way.tracers),
        batch=loop.batch if loop.batch < cloud.particles else None,
        held=_held(points, classes.conditional),
        diagnose=way.diagnose,
        steps=loop.steps,
        until=Until(ends.tol * drive.critic.slope**2 or None, ends.plateau or None, ends.horizon or None),
    )
    return wiring.experiment(method, points, loop, conditional=classes.conditional, threads=1)


def _flow(points: Dataset, drive: Drive, contrast: Contrast, loop: Loop, classes: int, rng: Randomness) -> CriticFlow:
    """A critic of bounded slope whose learning rate falls to a tenth."""
    from pushforward.divergences import locate
    from pushforward.dynamics.integrate import calls, named
    from pushforward.flows.bounded import bounded_critic, bounded_flow
    from pushforward.randomness import seeded
    from pushforward.recipes.parts import wiring
    from pushforward.training.learner import Learner

    critic, bound = drive.critic, drive.bound
    psi = locate(critic.divergence)
    with seeded(loop.seed):
        net = bounded_critic(
            points.event, critic.slope, critic.width, critic.depth, bound.critic, classes=classes, waves=drive.waves
        )
    falling = wiring.falling(critic, loop, drive.pace, calls(named(drive.way.scheme)) if drive.way.refit else 1)
    learner = Learner(net, wiring.adam(critic.rate, (0.5, 0.999)), schedule=falling)
    return bounded_flow(
        learner, psi, slope=critic.slope, steps=critic.critic_steps, bound=bound, rng=rng,
        contrast=wiring.contrast_of(contrast, psi),
    )  # fmt: skip


def _held(points: Dataset, conditional: bool) -> Callable[[], Batch]:
    """Some held-out points, with classes if the law has them; a function, so that no checkpoint holds any."""
    x, y = points.test[:1000], points.test_labels
    return lambda: x if y is None or not conditional else (x, y[:1000])


def _study(data: str, drive: Drive, loop: Loop, ends: Ends = Ends()) -> Experiment:
    """As many data as particles, and a thousand held out."""
    n = drive.cloud.particles
    return toy_particles(**flat(Rows(data, n + 1000, 1000 / (n + 1000)), loop, drive, ends))


def _all(drive: Drive, steps: int, seed: int) -> Loop:
    """Every particle before the critic at every step."""
    return Loop(steps, drive.cloud.particles, seed)


NORMAL = Drive(Critic(), cloud=Cloud(200, start=10.0, spread=0.5))
MODES = Drive(Critic(slope=0.2, critic_steps=5), cloud=Cloud(200, start=-0.97, spread=0.24))


@recipe
def gaussian_particles(
    *, drive: Drive = NORMAL, steps: Steps = 150, ends: Ends = Ends(tol=0.005), seed: Seed = 0
) -> Experiment:
    """N(10, 0.5²) moved onto N(0, 1) in the plane, 200 points each. Expect D within 0.02 of 0 after a few seconds.

    The straight part of the way, 14 units at speed 1, is seen in the kinetic energy: pinned at 1/2, then gone.
    """
    return _study("toy:normal", drive, _all(drive, steps, seed), ends)


@recipe
def four_modes(*, drive: Drive = MODES, steps: Steps = 300, seed: Seed = 0) -> Experiment:
    """Four Gaussians filled from one of them, 200 points each. Expect the data's shares within a few points.

    With `--slope 2 --step 0.05` the particles stay where they are: it then costs less to give a mode too much weight
    than to carry the surplus over, and the flow comes to rest with a divergence that is not small.
    """
    return _study("toy:four_modes", drive, _all(drive, steps, seed))


ROLL = Drive(
    Critic(slope=0.5, width=64, critic_steps=5),
    cloud=Cloud(200, spread=0.5),
    pace=Pace(0.1, step_end=0.1),
    way=Way("heun", tracers=4800),
)


@recipe
def swiss_roll(*, drive: Drive = ROLL, steps: Steps = 1200, seed: Seed = 0) -> Experiment:
    """A rolled sheet in space from 200 points of it, with thousands of tracers that the critic never sees.

    Expect the tracers on the roll, a little less sharp than the particles: they inherit what 200 points can say.
    """
    return _study("toy:swiss_roll3", drive, _all(drive, steps, seed))


CARPET = Drive(
    Critic(slope=2.0, width=128, critic_steps=5),
    cloud=Cloud(4096),
    pace=Pace(0.05, step_end=0.05),
    way=Way("heun", refit=False),  # where it ends is of interest, not the way there: an order would cost twice as much
    waves=4,
)


@recipe
def sierpinski(*, dimension: Literal[2, 3] = 2, drive: Drive = CARPET, loop: Loop = Loop(1000, 2048)) -> Experiment:
    """The Sierpinski carpet, in the plane or as a sheet in space: structure at four scales. Expect three of them.

    One new point in ten lies in a hole to level 3 or outside (`holes`), of a solid square one in three, which a
    linear classifier does not tell from the data; trees tell both. Without `waves` it is one in six: a net of so few
    layers does not see the third size of holes.

    Args:
        dimension: 2, or 3 for the sheet in space.
    """
    return _study("toy:sierpinski" if dimension == 2 else "toy:sierpinski3", drive, loop)
