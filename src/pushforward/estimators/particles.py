"""`ParticleFlow`: a cloud of points moved onto data by a learned gradient flow, and the recorded fields replayed."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from numbers import Integral, Real
from typing import Literal, Self

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state, check_scalar
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn
from torch.func import functional_call
from torch.optim import Adam

from pushforward.data.batches import Batches
from pushforward.data.noise import Noise
from pushforward.divergences import Divergence, locate
from pushforward.dynamics.integrate import Integrator, euler, heun, rk4
from pushforward.dynamics.velocity import Ascent
from pushforward.estimators import store
from pushforward.estimators.learn import Seed, build, find, follow, noise, seed_of, validated
from pushforward.estimators.unit import Array, Unit, columns
from pushforward.flows.critic import CriticFlow
from pushforward.methods.particles import Particles
from pushforward.metrics.transport import directions, sliced_wasserstein
from pushforward.nets import mlp
from pushforward.penalties import lipschitz
from pushforward.training.learner import Learner
from pushforward.types import Samples

__all__ = ["Field", "ParticleFlow"]

Scheme = Literal["euler", "heun", "rk4"]
SCHEMES: dict[str, Integrator] = {"euler": euler, "heun": heun, "rk4": rk4}
MOST = 2_000  # particles, unless more are asked for


@dataclass(frozen=True, eq=False)
class Field:
    """The velocities of a fit, in model units, as tensors that can be replayed.

    Attributes:
        net: The critic's architecture; its own weights are not used.
        states: Weights of the critic at each step, by name, each (steps, *shape).
        divergence: What the velocity lowered, or its name.
        cap: Largest weight of a point.
        step: Time of one step.
        scheme: 'euler', 'heun' or 'rk4'.
        layout: Arguments that `net` was built with.
    """

    net: nn.Module
    states: dict[str, Tensor]
    divergence: str | Divergence
    cap: float
    step: float
    scheme: str
    layout: dict[str, int]

    def transport(self, x: Samples, device: torch.device) -> Samples:
        """Points (n, d) carried along all steps."""
        x, scheme, divergence = x.to(device), SCHEMES[self.scheme], locate(self.divergence)
        for k in range(len(next(iter(self.states.values())))):
            state = {name: tensors[k].to(device) for name, tensors in self.states.items()}
            x = scheme(Ascent(self._critic(state), divergence, self.cap), x, k * self.step, self.step)
        return x

    def _critic(self, state: dict[str, Tensor]) -> Callable[[Samples], Tensor]:
        return lambda x: functional_call(self.net, state, (x,))


class ParticleFlow(BaseEstimator):
    r"""Moves a cloud of points onto data along the gradient flow of a divergence, and keeps the way it took.

    Particles x follow :math:`\dot x = w(d(x))\,\nabla d(x)` with a critic d that estimates log p/q, trained a little at
    every step and never steeper than about `slope` between the clouds: this one-sided penalty keeps a flow towards a
    handful of points from bursting. Every step's critic is recorded, so `transport` carries new points the same way.

    The model works in standard units: columns of target and source, counted alike, get mean 0 and deviation 1.

    Args:
        divergence: A constant of `pushforward.divergences` or its name, `'alpha(1.5)'`, or `'package.module:NAME'`.
        steps: Steps of the particles; each records one critic.
        step: Time of one step: points move by at most `step * slope * w` standard units (w = 1 for KL).
        scheme: 'euler', 'heun' or 'rk4'.
        n_particles: Particles when there is no source; None takes as many as the target has rows, but at most 2000.
        batch_size: Rows of the target that the critic sees at a time; fewer if there are fewer.
        width: Units of the critic's hidden layers.
        depth: Hidden layers.
        critic_steps: Updates of the critic before each step.
        lr: Learning rate of its Adam.
        penalty: Weight of the one-sided slope penalty; 0 for none.
        slope: Slope that is free of charge, in score units per standard unit.
        cap: Largest weight w of a particle.
        compile: Compile the whole step; pays from about ten thousand steps on.
        device: 'cpu', 'cuda', 'auto', or any name torch knows.
        random_state: Seed of weights, particles and batches: a whole number, a `RandomState`, or None for numpy's own.
        verbose: Whether to show a progress bar.

    Attributes:
        particles_: Where the particles ended, (n, d), in data units; row i started as row i of the source.
        field_: The recorded velocities.
        unit_: The map between data units and standard units.
        has_source_: Whether a source was given.
        n_features_in_: Number of columns d.
        feature_names_in_: Their names, where the target had some.

    Example:
        >>> from sklearn.datasets import make_moons
        >>> flow = ParticleFlow(steps=20, random_state=0).fit(make_moons(200, random_state=0)[0])
        >>> flow.particles_.shape, flow.sample(3, random_state=0).shape
        ((200, 2), (3, 2))

    References:
        Lipschitz-regularized gradient flows and generative particle algorithms (Gu et al., 2022), arXiv:2210.17230.
    """

    particles_: Array
    field_: Field
    unit_: Unit
    has_source_: bool
    n_features_in_: int

    def __init__(
        self,
        *,
        divergence: str | Divergence = "KL",
        steps: int = 300,
        step: float = 0.1,
        scheme: Scheme = "euler",
        n_particles: int | None = None,
        batch_size: int = 500,
        width: int = 64,
        depth: int = 3,
        critic_steps: int = 3,
        lr: float = 1e-3,
        penalty: float = 10.0,
        slope: float = 1.0,
        cap: float = 100.0,
        compile: bool = False,
        device: str = "cpu",
        random_state: Seed = None,
        verbose: bool = False,
    ) -> None:
        self.divergence = divergence
        self.steps = steps
        self.step = step
        self.scheme: Scheme = scheme
        self.n_particles = n_particles
        self.batch_size = batch_size
        self.width = width
        self.depth = depth
        self.critic_steps = critic_steps
        self.lr = lr
        self.penalty = penalty
        self.slope = slope
        self.cap = cap
        self.compile = compile
        self.device = device
        self.random_state: Seed = random_state
        self.verbose = verbose

    def fit(self, target: ArrayLike, source: ArrayLike | None = None) -> Self:
        """Move the source, or standard normal noise, onto the target.

        Args:
            target: Data, (n, d), at least two different rows.
            source: Where the particles start, (m, d) in the same units; None for normal noise. A one-dimensional array
                is what a scikit-learn pipeline passes along as labels: it is ignored.

        Raises:
            ValueError: If the data or a parameter cannot be used.
            TrainingError: If the flow diverges.
        """
        divergence = self._checked()
        p = validated(self, target, reset=True)
        start = None if source is None or np.ndim(source) == 1 else validated(self, source)
        unit = columns(p) if start is None else columns(p, start)
        state, placement = check_random_state(self.random_state), find(self.device)
        rng = Noise(seed_of(state), device=placement.device)
        layout = {"event": p.shape[1], "width": int(self.width), "depth": int(self.depth)}
        critic = Learner(build(lambda: mlp.critic(**layout), seed_of(state)),
                         partial(Adam, lr=self.lr, betas=(0.0, 0.99), fused=True))  # fmt: skip
        critic.place(placement)
        penalty = partial(lipschitz, slope=self.slope, weight=self.penalty, rng=rng)
        flow = CriticFlow(critic, divergence, penalties=(penalty,) if self.penalty else (), steps=self.critic_steps,
                          cap=self.cap)  # fmt: skip
        count = min(len(p), MOST) if self.n_particles is None else self.n_particles
        first = rng.normal(count, p.shape[1]) if start is None else unit.encode(start).to(placement.device)
        method = Particles(flow, first, self.step, rng, SCHEMES[self.scheme], record=True, compile=self.compile)
        x = unit.encode(p).to(placement.device)
        follow(method.learn(Batches(x, min(self.batch_size, len(x)), seed=seed_of(state))), self.steps, self.verbose)
        tape = {name: torch.stack([fields[name] for fields in method.tape]) for name in method.tape[0]}
        self.unit_, self.has_source_, self.particles_ = unit, start is not None, unit.decode(method.particles)
        net = critic.net.requires_grad_(False)
        self.field_ = Field(net, tape, self.divergence, self.cap, self.step, self.scheme, layout)
        return self

    def transport(self, X: ArrayLike) -> Array:
        """Carry new points along the recorded fields; the source arrives at `particles_`, but for float32 rounding.

        Args:
            X: Points, (n, d), in data units.

        Returns:
            Where they end, (n, d), in data units.
        """
        check_is_fitted(self)
        return self._carried(self.unit_.encode(validated(self, X)))

    def sample(self, n: int = 1, random_state: Seed = None) -> Array:
        """New points: fresh noise carried along, or, after a fit with a source, a random choice of the particles.

        Args:
            n: Number of points. Beyond the number of particles, those chosen repeat if there was a source.
            random_state: Seed of the draw; None for numpy's own.

        Returns:
            Points, (n, d), in data units.
        """
        check_is_fitted(self)
        check_scalar(n, "n", Integral, min_val=1)
        if self.has_source_:
            rows = check_random_state(random_state).choice(len(self.particles_), n, replace=n > len(self.particles_))
            return self.particles_[rows]
        return self._carried(noise(random_state).normal(n, self.n_features_in_))

    def score(self, X: ArrayLike, y: object = None) -> float:
        """Minus the sliced W2 distance between the particles and X, in standard units: higher is better, 0 the best.

        Args:
            X: Data, (n, d), in data units.
            y: Ignored.
        """
        check_is_fitted(self)
        x = self.unit_.encode(validated(self, X))
        return -sliced_wasserstein(self.unit_.encode(self.particles_), x, directions(x.shape[1], 128, seed=0))[0]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything to one safetensors file, without pickle; a `RandomState` is stored as None.

        Args:
            path: The file, for example moons.safetensors; replaced if it is there.
        """
        check_is_fitted(self)
        field = self.field_
        learned = {"layout": field.layout, "divergence": store.name_of(field.divergence), "cap": float(field.cap),
                   "step": float(field.step), "scheme": field.scheme, "has_source": self.has_source_}  # fmt: skip
        tensors = {f"field.{name}": tensor for name, tensor in field.states.items()}
        particles = {"particles": torch.from_numpy(self.particles_)}
        store.write(path, self, learned, tensors | particles | self.unit_.tensors())

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, divergence: str | Divergence | None = None) -> Self:
        """Read what `save` wrote; the same seed then samples the same points.

        Args:
            path: The file.
            divergence: The divergence, where it lives outside this package: no file makes us import code.

        Raises:
            DataError: If the file is damaged, of another class, or names a divergence from outside.
        """
        params, learned, tensors = store.read(path, cls, divergence)
        flow = cls(**params)
        store.restore(flow, learned)
        flow.unit_, flow.has_source_ = Unit.of_tensors(tensors), learned["has_source"]
        flow.particles_ = tensors.pop("particles").numpy()
        states, layout = {name.removeprefix("field."): tensor for name, tensor in tensors.items()}, learned["layout"]
        with torch.device("meta"):
            net = mlp.critic(**layout)
        store.fill(net, {name: tensor[-1] for name, tensor in states.items()}, path)
        found = store.found(path, learned["divergence"], divergence)
        flow.field_ = Field(net, states, found, learned["cap"], learned["step"], learned["scheme"], layout)
        return flow

    def _carried(self, x: Samples) -> Array:
        return self.unit_.decode(self.field_.transport(x, find(self.device).device))

    def _checked(self) -> Divergence:
        """The divergence, after a look at all parameters."""
        for name in ("steps", "batch_size", "width", "depth", "critic_steps"):
            check_scalar(getattr(self, name), name, Integral, min_val=1)
        if self.n_particles is not None:
            check_scalar(self.n_particles, "n_particles", Integral, min_val=2)
        for name in ("step", "lr", "cap"):
            check_scalar(getattr(self, name), name, Real, min_val=0, include_boundaries="neither")
        for name in ("penalty", "slope"):
            check_scalar(getattr(self, name), name, Real, min_val=0)
        if self.scheme not in SCHEMES:
            raise ValueError(f"scheme {self.scheme!r}: use one of {', '.join(SCHEMES)}")
        return locate(self.divergence)
