"""A recipe for heavy tails: particles under a Lipschitz-regularised divergence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pushforward.recipes.checks import recipe

if TYPE_CHECKING:
    from pushforward.training.experiment import Experiment

__all__ = ["heavy_tails"]


@recipe
def heavy_tails(
    *,
    data: str = "toy:multivariate_t(3)",
    limit: int | None = None,
    test_fraction: float | None = None,
    divergence: str = "KL_LIP",
    mode: Literal["bjorck", "spectral", "reference"] = "bjorck",
    slope: float = 1.0,
    steps: int = 600,
    particles: int = 10_000,
    batch: int = 1000,
    start: float = 0.0,
    width: int = 32,
    depth: int = 3,
    rate: float = 5e-3,
    critic_steps: int = 3,
    warmup: int = 100,
    step: float = 0.5,
    step_end: float = 0.02,
    scheme: Literal["euler", "heun", "rk4"] = "euler",
    record: bool = False,
    compile: bool = False,
    seed: int = 0,
) -> Experiment:
    """Particles from a normal cloud to data without a variance. Expect the tail index of t(3) within half a minute.

    No particle moves faster than the slope L, so after a time T the tail is learned to a radius of about L T and not
    beyond: for t(3) that is enough, for t(0.5) never. The time is that of all steps, `step` times the mean of the
    factors from 1 down to `step_end`; the defaults make T = 75.

    Everything is finite by construction: the slope is bounded in the net, and the dual of KL is a log-sum-exp. Points
    of a file are centred at their medians and scaled by their quartiles; Student's t stays in its own unit.

    Args:
        data: toy:student(NU), toy:multivariate_t(NU), another toy, or PATH[:key] of points.
        limit: Use at most so many rows.
        test_fraction: Share of the rows held out; what the source says, or a tenth, if not given.
        divergence: KL_LIP, alpha_lip(A), or another one with a loss of its own for critics of bounded slope.
        mode: How the critic's slope is bounded: bjorck is tight; reference, as published, leaves most unused.
        slope: Largest slope L of the critic, in scores per model unit, and so the largest speed.
        steps: Steps of all particles.
        particles: Number of particles.
        batch: Rows of data, and particles, that the critic sees at a time.
        start: Where the first particles are: a standard normal cloud around this number in each coordinate.
        width: Units of a hidden layer of the critic.
        depth: Hidden layers of the critic.
        rate: Learning rate of the critic at the start; it falls to a tenth as half a cosine wave.
        critic_steps: Critic updates for one step.
        warmup: Rounds of so many updates before anything moves.
        step: Time of the first step.
        step_end: Factor on it at the end, reached by equal factors; 1 keeps it.
        scheme: euler, heun or rk4.
        record: Keep every step's field, so that new points can be carried along.
        compile: Compile critic updates and move into one graph; pays from some ten thousand steps on.
        seed: Seed of the split, the critic, the batches and the first particles.
    """
    from pushforward.data import Noise
    from pushforward.divergences import locate
    from pushforward.dynamics import integrate
    from pushforward.errors import UsageError
    from pushforward.flows.critic import CriticFlow
    from pushforward.methods.particles.driver import Particles
    from pushforward.nets.blocks import seeded
    from pushforward.nets.lipschitz import critic
    from pushforward.recipes import wiring
    from pushforward.training.learner import Learner
    from pushforward.training.schedule import cosine, geometric
    from pushforward.types import Randomness, Samples

    psi = locate(divergence)
    if psi.contrast is None:
        raise UsageError(f"--divergence {divergence}: no dual for critics of bounded slope; use KL_LIP or alpha_lip(2)")
    points = wiring.load(data, None, False, seed, kind="points", limit=limit, test_fraction=test_fraction, heavy=True)
    rng = Noise(seed)

    def source(rng: Randomness, n: int) -> Samples:
        return start + rng.normal(n, *points.event)

    with seeded(seed):
        net = critic(points.event, width=width, depth=depth, slope=slope, mode=mode)
        learner = Learner(net, wiring.adam(rate, (0.5, 0.9)), schedule=cosine(steps * critic_steps, last=0.1))
    method = Particles(
        CriticFlow(learner, psi, steps=critic_steps),
        source(rng, particles),
        step,
        rng,
        scheme=getattr(integrate, scheme),
        source=source,
        record=record,
        compile=compile,
        warmup=warmup,
        schedule=geometric(steps, step_end),
        batch=batch,
        diagnose=max(1, steps // 100),
    )
    return wiring.experiment(method, points, batch=batch, steps=steps, seed=seed, threads=1)
