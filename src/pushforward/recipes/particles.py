"""Recipes for particles under a Lipschitz-regularised divergence: any points, and the experiments of the field."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Literal

from pushforward.recipes.checks import recipe

if TYPE_CHECKING:
    from pushforward.training.experiment import Experiment

__all__ = ["four_modes", "gaussian_particles", "sierpinski", "swiss_roll", "toy_particles"]

Constraint = Literal["bjorck", "spectral", "reference", "penalty"]
Scheme = Literal["euler", "heun", "rk4", "ab2", "ab3", "ab4", "ab5"]


@recipe
def toy_particles(
    *,
    data: str = "toy:moons",
    labels: str | None = None,
    conditional: bool = False,
    limit: int | None = None,
    test_fraction: float | None = None,
    divergence: str = "KL_LIP",
    contrast: Literal["logistic", "dual"] = "logistic",
    critic: Constraint = "bjorck",
    slope: float = 0.2,
    penalty: float = 10.0,
    steps: int = 400,
    particles: int = 1000,
    tracers: int = 0,
    batch: int = 1000,
    start: float = 0.0,
    spread: float = 1.0,
    width: int = 32,
    depth: int = 3,
    rate: float = 5e-3,
    critic_steps: int = 3,
    warmup: int = 50,
    step: float = 0.5,
    step_end: float = 0.2,
    scheme: Scheme = "euler",
    refit: bool = False,
    record: int = 1,
    tol: float = 0.0,
    plateau: float = 0.0,
    horizon: float = 0.0,
    diagnose: int = 1,
    cap: float = 100.0,
    compile: bool = False,
    seed: int = 0,
) -> Experiment:
    """Particles that flow from a normal cloud to the data. Expect the shape of moons within half a minute.

    The critic's slope is bounded, and with it every speed. A gentle slope carries mass from mode to mode; a steep one
    finds it cheaper to reweigh modes that already have some, and leaves them too full. Fields are kept, so that new
    points can be carried along (`pushforward sample`, `pushforward transport`).

    Args:
        data: digits, toy:NAME or PATH[:key].
        labels: Name of an array or column with classes.
        conditional: Move each class onto its own data; particles have classes as often as the data do.
        limit: Use at most so many rows.
        test_fraction: Share of the rows held out; what the source says, or a tenth, if not given.
        divergence: KL_LIP, REVERSE_KL_LIP, JS_LIP, HELLINGER_LIP, PEARSON_LIP, TV_LIP, alpha_lip(A), W1; or one without
            a dual over critics (KL, JS, LOGD, alpha(A), ...), learned by logistic regression; or package.module:NAME.
        contrast: The critic's loss where the divergence has none of its own: logistic regression, or its f-GAN dual.
        critic: How its slope is bounded: bjorck is tight, spectral by layers, reference (Frobenius norms) loose,
            penalty soft with a speed limit.
        slope: Largest slope, in scores per standardised data unit.
        penalty: Weight on slopes beyond it, for `--critic penalty`.
        steps: Steps of all particles.
        particles: Number of particles.
        tracers: Further points that ride along without being seen by the critic.
        batch: Rows of data, and particles, that a critic sees in a step.
        start: Mean of the first particles in each coordinate, in standardised data units.
        spread: Their standard deviation.
        width: Units of a hidden layer of the critic.
        depth: Hidden layers of the critic.
        rate: Learning rate of the critic; it falls to a tenth along a cosine.
        critic_steps: Critic updates for one step.
        warmup: Rounds of so many updates before anything moves.
        step: Time of a step, in standardised data units per unit velocity.
        step_end: Factor on it at the end, reached over the second half.
        scheme: euler, heun, rk4, or Adams-Bashforth ab2 to ab5.
        refit: Train the critic at every stage of the scheme, where the stage's points are.
        record: Keep every so many-th field; 0 keeps none.
        tol: Stop when the mean kinetic energy of 20 steps is below this, times slope squared; 0 never stops.
        plateau: Stop when the divergence changes by less than this share of its first value in 20 steps.
        horizon: Stop at this time.
        diagnose: Steps between two looks at certificate, slope, effective sample size and held-out divergence.
        cap: Largest weight of a sample.
        compile: Compile critic updates and move into one graph; pays from some thousands of steps on.
        seed: Seed of the split, the critic, the batches and the first particles.
    """
    import math

    from torch import nn

    from pushforward.data import Noise
    from pushforward.divergences import locate
    from pushforward.dynamics import integrate
    from pushforward.flows.critic import CriticFlow
    from pushforward.methods.particles.driver import Gaussian, Particles
    from pushforward.methods.particles.stopping import Until
    from pushforward.nets import lipschitz
    from pushforward.nets.blocks import seeded
    from pushforward.objectives.penalties import excess
    from pushforward.recipes import wiring
    from pushforward.training.learner import Learner
    from pushforward.training.schedule import cosine, linear

    psi = locate(divergence)
    points = wiring.load(data, labels, conditional, seed, limit=limit, test_fraction=test_fraction)
    rng, source = Noise(seed), Gaussian(points.event, start, spread)
    soft, classes = critic == "penalty", points.n_classes if conditional else 0
    mode: lipschitz.Mode = "none" if critic == "penalty" else critic
    with seeded(seed):
        net = lipschitz.critic(points.event, width=width, depth=depth, slope=slope, classes=classes, mode=mode,
                               activation=nn.Softplus if soft else None)  # fmt: skip
        learner = Learner(net, wiring.adam(rate, (0.5, 0.999)), schedule=cosine(steps * critic_steps, last=0.1))
    flow = CriticFlow(
        learner,
        psi,
        wiring.contrast_of(contrast, psi),
        (partial(excess, slope=slope, weight=penalty, rng=rng),) if soft else (),
        steps=critic_steps,
        cap=cap,
        limit=slope if soft else math.inf,
    )
    held, held_labels = points.test[:1000], None if points.test_labels is None else points.test_labels[:1000]
    known = points.train_labels if conditional else None
    method = Particles(
        flow,
        source(rng, particles),
        step,
        rng,
        scheme=integrate.named(scheme),
        source=source,
        record=record,
        compile=compile,
        warmup=warmup,
        schedule=linear(steps, step_end, 0.5),
        refit=refit,
        labels=None if known is None else known[rng.integers(len(known), particles)],
        tracers=source(rng, tracers) if tracers else None,
        tracer_labels=None if known is None or not tracers else known[rng.integers(len(known), tracers)],
        batch=batch if batch < particles else None,
        held=lambda: held if known is None or held_labels is None else (held, held_labels),
        diagnose=diagnose,
        until=Until(kinetic=tol * slope**2 or None, plateau=plateau or None, horizon=horizon or None),
    )
    return wiring.experiment(method, points, batch=batch, steps=steps, seed=seed, conditional=conditional, threads=1)


@recipe
def gaussian_particles(
    *,
    divergence: str = "KL_LIP",
    critic: Constraint = "bjorck",
    slope: float = 1.0,
    steps: int = 150,
    particles: int = 200,
    step: float = 0.5,
    compile: bool = False,
    seed: int = 0,
) -> Experiment:
    """N(10, 0.5²) moved onto N(0, 1) in the plane, 200 points each. Expect D within 0.02 of 0 after a few seconds.

    The straight part of the way, 14 units at speed 1, is seen in the kinetic energy: pinned at 1/2, then gone.

    Args:
        divergence: As for toy_particles.
        critic: As for toy_particles.
        slope: Largest slope, and speed.
        steps: Steps of all particles.
        particles: Number of particles, and of data.
        step: Time of a step.
        compile: As for toy_particles.
        seed: Seed of everything.
    """
    return toy_particles(
        data="toy:normal", limit=particles + 1000, test_fraction=1000 / (particles + 1000), divergence=divergence,
        critic=critic, slope=slope, steps=steps, particles=particles, batch=particles, start=10.0, spread=0.5,
        step=step, tol=0.005, compile=compile, seed=seed,
    )  # fmt: skip


@recipe
def four_modes(
    *,
    divergence: str = "KL_LIP",
    critic: Constraint = "bjorck",
    slope: float = 0.2,
    steps: int = 300,
    particles: int = 200,
    step: float = 0.5,
    compile: bool = False,
    seed: int = 0,
) -> Experiment:
    """Four Gaussians filled from one of them, 200 points each. Expect the data's shares within a few points.

    With `--slope 2 --step 0.05` the particles stay where they are: it then costs less to give a mode too much weight
    than to carry the surplus over, and the flow comes to rest with a divergence that is not small.

    Args:
        divergence: As for toy_particles.
        critic: As for toy_particles.
        slope: Largest slope, in scores per standardised data unit (about 2 data units).
        steps: Steps of all particles.
        particles: Number of particles, and of data.
        step: Time of a step.
        compile: As for toy_particles.
        seed: Seed of everything.
    """
    return toy_particles(
        data="toy:four_modes", limit=particles + 1000, test_fraction=1000 / (particles + 1000), divergence=divergence,
        critic=critic, slope=slope, steps=steps, particles=particles, batch=particles, start=-0.97, spread=0.24,
        critic_steps=5, step=step, compile=compile, seed=seed,
    )  # fmt: skip


@recipe
def swiss_roll(
    *,
    divergence: str = "KL_LIP",
    critic: Constraint = "bjorck",
    slope: float = 0.5,
    steps: int = 1200,
    particles: int = 200,
    tracers: int = 4800,
    step: float = 0.1,
    scheme: Scheme = "heun",
    compile: bool = False,
    seed: int = 0,
) -> Experiment:
    """A rolled sheet in space from 200 points of it, with thousands of tracers that the critic never sees.

    Expect the tracers on the roll, a little less sharp than the particles: they inherit what 200 points can say.

    Args:
        divergence: As for toy_particles.
        critic: As for toy_particles.
        slope: Largest slope, in scores per standardised data unit.
        steps: Steps of all particles.
        particles: Number of particles, and of data.
        tracers: Tracers.
        step: Time of a step.
        scheme: As for toy_particles.
        compile: As for toy_particles.
        seed: Seed of everything.
    """
    return toy_particles(
        data="toy:swiss_roll3", limit=particles + 1000, test_fraction=1000 / (particles + 1000), divergence=divergence,
        critic=critic, slope=slope, steps=steps, particles=particles, tracers=tracers, batch=particles, spread=0.5,
        width=64, critic_steps=5, step=step, step_end=0.1, scheme=scheme, diagnose=10, compile=compile, seed=seed,
    )  # fmt: skip


@recipe
def sierpinski(
    *,
    dimension: Literal[2, 3] = 2,
    divergence: str = "KL_LIP",
    critic: Constraint = "bjorck",
    slope: float = 0.5,
    steps: int = 1000,
    particles: int = 4096,
    batch: int = 2048,
    step: float = 0.1,
    scheme: Scheme = "heun",
    compile: bool = False,
    seed: int = 0,
) -> Experiment:
    """The Sierpinski carpet, in the plane or as a sheet in space: structure at four scales. Expect the two largest.

    Args:
        dimension: 2, or 3 for the sheet in space.
        divergence: As for toy_particles.
        critic: As for toy_particles.
        slope: Largest slope, in scores per standardised data unit.
        steps: Steps of all particles.
        particles: Number of particles, and of data.
        batch: Rows of data, and particles, that a critic sees in a step.
        step: Time of a step.
        scheme: As for toy_particles.
        compile: As for toy_particles.
        seed: Seed of everything.
    """
    return toy_particles(
        data="toy:sierpinski" if dimension == 2 else "toy:sierpinski3", limit=particles + 1000,
        test_fraction=1000 / (particles + 1000), divergence=divergence, critic=critic, slope=slope, steps=steps,
        particles=particles, batch=batch, width=128, critic_steps=5, step=step, step_end=0.05, scheme=scheme,
        diagnose=20, compile=compile, seed=seed,
    )  # fmt: skip
