"""A recipe for heavy tails: particles under a Lipschitz-regularised divergence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pushforward.recipes.parts.checks import recipe
from pushforward.settings.groups import FIELDS, Cloud, Critic, Loop, Pace, Rows, Scheme
from pushforward.settings.options import Count

if TYPE_CHECKING:
    from pushforward.training.experiment import Experiment

__all__ = ["heavy_tails"]


@recipe
def heavy_tails(
    *,
    rows: Rows = Rows("toy:multivariate_t(3)"),
    critic: Critic = Critic(),
    mode: Literal["bjorck", "spectral", "reference"] = "bjorck",
    loop: Loop = Loop(600, 1000),
    cloud: Cloud = Cloud(10_000),
    pace: Pace = Pace(0.5, step_end=0.02, warmup=100),
    scheme: Scheme = "euler",
    record: bool = False,
    fields: Count = FIELDS,
    compile: bool = False,
) -> Experiment:
    """Particles from a normal cloud to data without a variance. Expect the tail index of t(3) within half a minute.

    No particle moves faster than the slope L, so after a time T the tail is learned to a radius of about L T and not
    beyond: for t(3) that is enough, for t(0.5) never. The time is that of all steps, `step` times the mean of the
    factors from 1 down to `step_end`; the defaults make T = 75.

    Everything is finite by construction: the slope is bounded in the net, and the dual of KL is a log-sum-exp. Points
    of a file are centred at their medians and scaled by their quartiles; Student's t stays in its own unit.

    Args:
        data: toy:student(NU), toy:multivariate_t(NU), another toy, or PATH[:key] of points.
        divergence: KL_LIP, alpha_lip(A), or another one with a loss of its own for critics of bounded slope.
        mode: How the critic's slope is bounded: bjorck is tight; reference, as published, leaves most unused.
        step_end: Factor on it at the end, reached by equal factors; 1 keeps it.
        scheme: euler, heun, rk4, or Adams-Bashforth ab2 to ab5; the critic is trained at each stage, of which a step
            has 1, 2, 4 and 1.
        record: Keep every step's field, so that new points can be carried along.
        fields: Most fields that are kept; twice as many steps share one where there would be more. 0 keeps all.
        compile: Compile critic updates and move into one graph; pays from some ten thousand steps on.
    """
    from pushforward.divergences import locate
    from pushforward.dynamics import integrate
    from pushforward.errors import UsageError
    from pushforward.flows.bounded import bounded_critic, bounded_flow
    from pushforward.methods.particles.driver import Particles
    from pushforward.methods.sources import Gaussian
    from pushforward.randomness import seeded, stream
    from pushforward.recipes.parts import wiring
    from pushforward.training.learner import Learner
    from pushforward.training.schedule import geometric

    psi, rng = locate(critic.divergence), stream(loop.seed, "train")
    if psi.contrast is None:
        said = f"--divergence {critic.divergence}: no dual for critics of bounded slope"
        raise UsageError(f"{said}; use KL_LIP or alpha_lip(2)")
    points = wiring.load(rows, seed=loop.seed, kind="points", scaling="quartiles")
    source = Gaussian(points.event, cloud.start, cloud.spread)
    with seeded(loop.seed):
        net = bounded_critic(points.event, critic.slope, critic.width, critic.depth, mode)
    falling = wiring.falling(critic, loop, pace, integrate.calls(integrate.named(scheme)))
    learner = Learner(net, wiring.adam(critic.rate, (0.5, 0.9)), schedule=falling)
    method = Particles(
        bounded_flow(learner, psi, slope=critic.slope, steps=critic.critic_steps),
        source(stream(loop.seed, "init", part="particles"), cloud.particles),
        pace.step,
        rng,
        scheme=integrate.named(scheme),
        source=source,
        record=record,
        fields=fields,
        compile=compile,
        warmup=pace.warmup,
        schedule=geometric(loop.steps, pace.step_end),
        batch=loop.batch,
        steps=loop.steps,
    )
    return wiring.experiment(method, points, loop, threads=1)
