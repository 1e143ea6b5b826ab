"""`ParticleFlow`: a cloud of points moved onto data by a gradient flow, and the recorded fields replayed."""

from __future__ import annotations

import math
import os
from functools import partial
from typing import Literal, Self, get_args

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted
from torch import Tensor
from torch.optim import Adam

from pushforward.data.batches import Batches
from pushforward.data.units import Array, Unit, pooled
from pushforward.divergences import Divergence, locate
from pushforward.dynamics.integrate import Scheme, named
from pushforward.errors import UsageError
from pushforward.estimators import store
from pushforward.estimators.checks import check_count, check_number
from pushforward.estimators.classes import coded_like, codes, source_codes
from pushforward.estimators.columns import Columns, Rows, frame_of, notes_on
from pushforward.estimators.fields import CriticShape, Field, Pace
from pushforward.estimators.learn import (
    Seed,
    build,
    find,
    follow,
    history,
    in_turn,
    is_cloud,
    kept,
    seed_of,
    seed_of_draw,
    validated,
)
from pushforward.estimators.unbalanced.parting import (
    Counterparts,
    Parting,
    Unmatched,
    check_unmatched,
    packed,
    unpack,
)
from pushforward.flows.bounded import bounded_flow
from pushforward.flows.critic import CriticFlow
from pushforward.methods.particles.driver import Particles
from pushforward.methods.particles.stopping import Until
from pushforward.metrics.quality.sliced import directions, sliced_wasserstein
from pushforward.parallel.ordinary import ordinarily
from pushforward.parallel.placement import Placement
from pushforward.randomness import Noise, blocks, filled, generator, stream
from pushforward.settings.groups import FIELDS, Bound, Constraint
from pushforward.training.facts import terms_of
from pushforward.training.learner import Learner
from pushforward.types import Flow, HasCritic, Logs, Replayable, Samples, able

__all__ = ["ParticleFlow"]

MOST = 2_000  # particles, unless more are asked for
TIGHT = 100  # columns up to which a critic of orthonormal layers is the default


class ParticleFlow(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    r"""Moves a cloud of points onto data along the gradient flow of a divergence, and keeps the way it took.

    Particles follow :math:`\dot x = w(d(x))\,\nabla d(x)` with a critic d that is trained a little at every step and
    never steeper than `slope`, so that no particle is faster (w = 1 for the Lipschitz-regularised divergences). Every
    step's critic is recorded, so `transport` carries new points the same way.

    The model works in standard units: columns of target and source, counted alike, get mean 0 and deviation 1. A gentle
    slope carries mass; a steep one reweighs modes that already have some, and leaves them too full: `slope` times the
    distance between modes should be well below 1.

    Args:
        divergence: A constant of `pushforward.divergences` or its name, `'alpha_lip(2)'`, or `'package.module:NAME'`.
        critic: How its slope is bounded: 'bjorck' (orthonormal layers, tight), 'spectral' (layer norms), 'reference'
            (Frobenius norms, loose), 'penalty' (soft, with a speed limit); 'auto' is 'bjorck' up to 100 columns, then
            'spectral'.
        flow: Any other flow, such as `flows.sinkhorn.SinkhornFlow()`, in place of the critic and its settings.
        steps: Steps of the particles.
        step: Time of one step: points move by at most `step * slope * w` standard units.
        decay: Factor that the last step has; over the second half of the steps they shorten to it.
        scheme: 'euler', 'heun', 'rk4', or Adams-Bashforth 'ab2' to 'ab5'.
        refit: Train the critic again at every stage of the scheme, where the stage's points are, which is what its
            order needs; without, Heun and Runge-Kutta are of order 1, Adams-Bashforth of order 2.
        warmup: Calls of the flow, each with all its critic updates, before anything moves; none for a flow that trains
            nothing.
        tol: Stop when the mean kinetic energy over 20 steps is below `tol * slope²`, or `tol` with a flow of your own;
            None goes on to the last step.
        n_particles: Particles when there is no source; None takes as many as the target has rows, but at most 2000.
        unmatched: What becomes of rows of a source that have no counterpart in the target, as a cluster that is missing
            there. 'move' takes them along: the flow is balanced, and what is too many for one part of the target goes
            to another. Otherwise `pushforward.metrics.integration.support` looks, in standard units and before anything
            moves: rows without a counterpart 'stay' where they are, bit for bit, or 'follow' by the mean way of the ten
            nearest rows that move; the others move onto the target in the shares that they ask for. New points fare as
            the nearest row of the source. A part of a cluster that is shifted by more than its width, in few columns
            already by its width, may be taken for such rows. Not with labels, which say themselves who goes where.
        batch_size: Rows of the target, and particles, that the critic sees at a time; fewer if there are fewer.
        width: Units of the critic's hidden layers; None takes 32 up to 10 columns, 64 up to 100, then 128.
        depth: Hidden layers.
        critic_steps: Updates of the critic before each step.
        lr: Learning rate of its Adam.
        penalty: Weight of the one-sided slope penalty of 'penalty'.
        slope: Largest slope, in score units per standard unit.
        cap: Largest weight w of a particle.
        record: Keep every so many-th field for `transport`; 0 keeps none.
        fields: Most fields that are kept; twice as many steps share one where there would be more. 0 keeps all.
        compile: Compile the whole step; pays from some thousands of steps on.
        device: 'cpu', 'cuda', 'auto', or any name torch knows.
        random_state: Seed of weights, particles, batches and draws: a whole number, a `RandomState`, or None.
        verbose: Whether to show a progress bar.

    Attributes:
        particles_: Where the particles ended, (n, d), in data units; row i started as row i of the source.
        labels_: Their classes (n,), or None.
        tracers_: Where the tracers ended, or None.
        history_: Numbers of each step by name, each (steps,): divergence, kinetic, path, slope, certificate, ess, held.
        stopped_: Why it stopped before the last step; empty if it did not.
        n_iter_: Steps done.
        field_: The recorded velocities.
        unit_: The map between data units and standard units.
        classes_: The classes, where labels were given.
        has_source_: Whether a source was given.
        matched_: Whether a row of the source has a counterpart in the target, (n,); None with unmatched='move'.
        shares_: How much of each row of the target is asked for, (m,), of mean 1; None with unmatched='move'.
        counterparts_: Rows of the source, 2,000 at most, that tell how new points fare; None with unmatched='move'.
        n_features_in_: Number of columns d.
        feature_names_in_: Their names, where the target had some.
        columns_: Names and types of its columns, where it was a data frame of pandas; else None.
        notes_: What was assumed of the columns, in plain words.

    Example:
        >>> from sklearn.datasets import make_moons
        >>> flow = ParticleFlow(steps=20, random_state=0).fit(make_moons(200, random_state=0)[0])
        >>> flow.particles_.shape, flow.sample(3, random_state=0).shape
        ((200, 2), (3, 2))

    References:
        Lipschitz-regularized gradient flows and generative particle algorithms (Gu et al., 2022), arXiv:2210.17230.
    """

    particles_: Array
    labels_: np.ndarray | None
    tracers_: Array | None
    history_: dict[str, Array]
    stopped_: str
    n_iter_: int
    field_: Field
    unit_: Unit
    classes_: np.ndarray | None
    has_source_: bool
    n_features_in_: int
    columns_: Columns | None
    notes_: tuple[str, ...]
    matched_: np.ndarray | None
    shares_: Array | None
    counterparts_: Counterparts | None

    def __init__(
        self,
        *,
        divergence: str | Divergence = "KL_LIP",
        critic: Constraint | Literal["auto"] = "auto",
        flow: Flow | None = None,
        steps: int = 300,
        step: float = 0.5,
        decay: float = 0.2,
        scheme: Scheme = "euler",
        refit: bool = True,
        warmup: int = 50,
        tol: float | None = None,
        n_particles: int | None = None,
        unmatched: Unmatched = "move",
        batch_size: int = 500,
        width: int | None = None,
        depth: int = 3,
        critic_steps: int = 3,
        lr: float = 5e-3,
        penalty: float = 10.0,
        slope: float = 0.2,
        cap: float = 100.0,
        record: int = 1,
        fields: int = FIELDS,
        compile: bool = False,
        device: str = "cpu",
        random_state: Seed = None,
        verbose: bool = False,
    ) -> None:
        self.divergence = divergence
        self.critic: Constraint | Literal["auto"] = critic
        self.flow = flow
        self.steps = steps
        self.step = step
        self.decay = decay
        self.scheme: Scheme = scheme
        self.refit = refit
        self.warmup = warmup
        self.tol = tol
        self.n_particles = n_particles
        self.unmatched: Unmatched = unmatched
        self.batch_size = batch_size
        self.width = width
        self.depth = depth
        self.critic_steps = critic_steps
        self.lr = lr
        self.penalty = penalty
        self.slope = slope
        self.cap = cap
        self.record = record
        self.fields = fields
        self.compile = compile
        self.device = device
        self.random_state: Seed = random_state
        self.verbose = verbose

    @ordinarily
    def fit(
        self,
        target: ArrayLike,
        source: ArrayLike | None = None,
        *,
        labels: ArrayLike | None = None,
        source_labels: ArrayLike | None = None,
        tracers: ArrayLike | None = None,
        held: ArrayLike | None = None,
    ) -> Self:
        """Move the source, or standard normal noise, onto the target.

        Args:
            target: Data, (n, d), at least two different rows; a data frame of pandas has its columns given back.
            source: Where the particles start, (m, d) in the same units; None for normal noise. A one-dimensional array
                is what a scikit-learn pipeline passes along as labels: it is ignored.
            labels: Classes (n,) of the target: each is a law of its own, and particles keep theirs.
            source_labels: Classes (m,) of the source; with noise they are drawn as often as in the target.
            tracers: Further points (k, d) that ride along without being seen by the critic; not with labels.
            held: Held-out data (k, d), on which the divergence is followed as well; not with labels.

        Raises:
            ValueError: If the data or a parameter cannot be used.
            TrainingError: If the flow diverges.
        """
        divergence = self._checked()
        p = validated(self, target, reset=True)
        start = validated(self, source) if is_cloud(source) else None
        unit = pooled(p) if start is None else pooled(p, start)
        check_unmatched(self.unmatched, source=start is not None, labels=labels is not None)
        if labels is None and source_labels is not None:
            raise UsageError("source_labels go with labels of the target: give both")
        if labels is not None and (tracers is not None or held is not None or self.flow is not None):
            raise UsageError("labels do not go with tracers, held or a flow of your own; leave one of them out")
        classes, y = codes(labels, len(p), "labels") if labels is not None else (None, None)
        riders = None if tracers is None else validated(self, tracers)
        seed, placement = seed_of(self.random_state), find(self.device)
        rng = stream(seed, "train", device=placement.device)
        begin = stream(seed, "init", part="particles", device=placement.device)
        shape = self._shape(p.shape[1], 0 if classes is None else len(classes))
        flow = self.flow or self._flow(shape, divergence, seed, rng, find(self.device))
        count = min(len(p), MOST) if self.n_particles is None else self.n_particles
        first = begin.normal(count, p.shape[1]) if start is None else unit.encode(start).to(placement.device)
        mine, has = None, start is not None
        if classes is not None and y is not None:
            mine = source_codes(source_labels, classes, y, first, has, begin)
        x, size, pace = unit.encode(p).to(placement.device), self.batch_size, self._pace
        parting = Parting.of(self.unmatched, first, x, seed)
        cloud = first[parting.goes]
        given = None if held is None else parting.asked(unit.encode(validated(self, held)).to(x.device), x, seed)
        method = Particles(
            flow, cloud, self.step, rng, named(self.scheme),
            record=self.record, fields=int(self.fields), compile=self.compile,
            warmup=self.warmup if able(flow, HasCritic) else 0,
            schedule=pace.schedule, refit=self.refit, labels=mine,
            tracers=None if riders is None else unit.encode(riders).to(placement.device),
            batch=size if size < len(cloud) else None, held=None if given is None else lambda: given,
            steps=int(self.steps),
            until=Until(kinetic=None if self.tol is None else self.tol * (self.slope**2 if self.flow is None else 1.0)),
        )  # fmt: skip
        y, seen = None if y is None else y.to(x.device), list[Logs]()
        batches = Batches(x, min(size, len(x)), seed=seed, labels=y, weights=parting.shares)
        if not parting.still:
            follow(kept(method.learn(batches), seen), self.steps, self.verbose, terms_of(method))
        self._finish(method, unit, shape, classes, has, seen)
        self._part(parting, method, start, riders)
        self.notes_ = (*parting.notes(), *notes_on(self.columns_, unit, p), *method.remarks(int(self.steps)))
        return self

    @property
    def _pace(self) -> Pace:
        afresh = bool(self.refit) and self.scheme != "euler"
        return Pace(float(self.step), float(self.decay), int(self.steps), 0, self.scheme, afresh, int(self.record))

    def _shape(self, event: int, classes: int) -> CriticShape:
        constraint = ("bjorck" if event <= TIGHT else "spectral") if self.critic == "auto" else self.critic
        width = self.width or (32 if event <= 10 else 64 if event <= TIGHT else 128)
        return CriticShape(event, int(width), int(self.depth), float(self.slope), constraint, classes)

    def _flow(
        self, shape: CriticShape, divergence: Divergence, seed: int, rng: Noise, placement: Placement
    ) -> CriticFlow:
        adam = partial(Adam, lr=self.lr, betas=(0.5, 0.999), fused=True)
        bound = Bound(shape.constraint, self.penalty, self.cap)
        critic = Learner(build(shape.critic, seed), adam)
        critic.place(placement)
        return bounded_flow(critic, divergence, slope=shape.slope, steps=self.critic_steps, bound=bound, rng=rng)

    def _limit(self, shape: CriticShape) -> float:
        return self.slope if shape.constraint == "penalty" and self.penalty else math.inf

    def _finish(
        self,
        method: Particles,
        unit: Unit,
        shape: CriticShape,
        classes: np.ndarray | None,
        has: bool,
        seen: list[Logs],
    ) -> None:
        """Keep what the particles came to."""
        self.unit_, self.has_source_, self.particles_ = unit, has, unit.decode(method.particles)
        self.classes_ = classes
        self.labels_ = None if classes is None or method.labels is None else classes[method.labels.cpu().numpy()]
        self.tracers_ = None if method.tracers is None else unit.decode(method.tracers)
        self.stopped_, self.n_iter_ = method.stopped, int(method.done)
        self.history_ = history(seen)
        own = self.flow if able(self.flow, Replayable) else None
        self.field_ = Field.recorded(method, own, self.divergence, self.cap, self._limit(shape), self._pace, shape)

    def _part(self, parting: Parting, method: Particles, source: Array | None, riders: Array | None) -> None:
        """Put rows and tracers without a counterpart where they belong."""
        self.matched_, self.shares_ = parting.matched, parting.shares
        self.counterparts_ = here = parting.settled(method.particles)
        if here is None or source is None:
            return
        self.particles_, _ = here.carried(source, parting.z, lambda _: method.particles, self.unit_.decode)
        if riders is not None and (moved := method.tracers) is not None:
            z = self.unit_.encode(riders)
            self.tracers_, _ = here.carried(riders, z, lambda _: moved.cpu()[here.moving(z)], self.unit_.decode)

    def transform(self, X: ArrayLike) -> Array:
        """`transport` as scikit-learn calls it, after a fit without labels; `set_output` says what comes back."""
        return np.asarray(self.transport(X))

    @ordinarily
    def transport(self, X: ArrayLike, labels: ArrayLike | None = None) -> Rows:
        """Carry new points along the recorded fields; the source arrives at `particles_`, but for float32 rounding.

        Args:
            X: Points, (n, d), in data units.
            labels: Their classes (n,), after a fit with labels.

        Returns:
            Where they end, (n, d), in data units; of a data frame of pandas a frame with its columns and index.
        """
        check_is_fitted(self)
        x, y = validated(self, X), None
        z = self.unit_.encode(x)
        if labels is not None:
            if self.classes_ is None:
                raise UsageError("labels given, but the flow was fitted without: leave them out")
            y = coded_like(labels, self.classes_, len(x), "labels")
        elif self.classes_ is not None:
            raise UsageError("the flow was fitted with labels: give the points' labels too")
        if self.counterparts_ is not None:
            return frame_of(self.columns_, self.counterparts_.carried(x, z, self._moved, self.unit_.decode)[0], X)
        return frame_of(self.columns_, self.unit_.decode(self._moved(z, y)), X)

    @ordinarily
    def sample(self, n: int = 1, random_state: Seed = None, labels: ArrayLike | None = None) -> Rows:
        """New points: fresh noise carried along, or, after a fit with a source, a random choice of the particles.

        Args:
            n: Number of points. Beyond the number of particles, those chosen repeat if there was a source.
            random_state: Seed of the draw; None for that of the estimator: a whole number there gives the same points
                at every call. With one seed, few points are the first of many.
            labels: Classes wanted (n,), after a fit with labels; drawn as often as the particles have them if None.

        Returns:
            Points, (n, d), in data units; after a fit to a data frame of pandas a frame with its columns and types.
        """
        check_is_fitted(self)
        check_count(n=n)
        seed = seed_of_draw(random_state, self.random_state)
        wanted = None
        if labels is not None:
            if self.classes_ is None:
                raise UsageError("labels given, but the flow was fitted without: leave them out")
            wanted = self.classes_[coded_like(labels, self.classes_, n, "labels").numpy()]
        elif self.labels_ is not None:
            wanted = self.labels_[generator(seed, "sample", part="labels").choice(len(self.labels_), n)]
        if self.has_source_ or not self.field_.states:
            return frame_of(self.columns_, self.particles_[self._chosen(n, wanted, seed)])
        y = None if wanted is None or self.classes_ is None else coded_like(wanted, self.classes_, n, "labels")
        rng, size = stream(seed, "sample"), self.n_features_in_
        parts = [
            self.unit_.decode(self._moved(rng.normal(rows, size), None if y is None else filled(y, start, rows)))
            for start, rows in blocks(n, size)
        ]
        return frame_of(self.columns_, np.concatenate(parts)[:n])

    def _chosen(self, n: int, wanted: np.ndarray | None, seed: int) -> np.ndarray:
        """Rows of particles, of the classes wanted, none twice while there are enough; each class has its own order."""
        if wanted is None or self.labels_ is None:
            return in_turn(len(self.particles_), n, generator(seed, "sample", part="rows"))
        rows = np.empty(n, np.int64)
        for label in np.unique(wanted):
            places, mine = np.flatnonzero(wanted == label), np.flatnonzero(self.labels_ == label)
            if not len(mine):
                raise UsageError(f"no particle is of class {label!r}: give a source with some")
            draw = generator(seed, "sample", part=f"rows of {label}")
            rows[places] = mine[in_turn(len(mine), len(places), draw)]
        return rows

    @ordinarily
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

        Raises:
            DataError: If the flow or the divergence cannot be written: one of your own.
        """
        check_is_fitted(self)
        learned, tensors = self.field_.packed()
        learned |= {"stopped": self.stopped_, "has_source": self.has_source_,
                    "classes": None if self.classes_ is None else self.classes_.tolist()}  # fmt: skip
        tensors |= {f"history.{name}": torch.from_numpy(values) for name, values in self.history_.items()}
        tensors["particles"] = torch.from_numpy(self.particles_)
        if self.labels_ is not None and self.classes_ is not None:
            tensors["labels"] = coded_like(self.labels_, self.classes_, len(self.labels_), "labels")
        if self.tracers_ is not None:
            tensors["tracers"] = torch.from_numpy(self.tracers_)
        store.write(path, self, learned, tensors | packed(self) | self.unit_.tensors())

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, divergence: str | Divergence | None = None) -> Self:
        """Read what `save` wrote; the same seed then samples the same points.

        Args:
            path: The file.
            divergence: The divergence, where it lives outside this package: no file makes us import code.

        Raises:
            DataError: If the file is damaged, of another class, or names a divergence from outside.
        """
        with store.legible(path):
            flow, learned, tensors = store.load(path, cls, divergence)
            store.told(learned, has_source=bool, classes=list | None, stopped=str)
            if learned["format"] == 1:  # warm-ups were counted in updates, and tracers were called extra
                flow.warmup = math.ceil(flow.warmup / flow.critic_steps)
                tensors |= {"tracers": tensors.pop("extra")} if "extra" in tensors else {}
            flow.unit_, flow.has_source_ = Unit.of_tensors(tensors), learned["has_source"]
            flow.particles_ = tensors.pop("particles").numpy()
            flow.tracers_ = tensors.pop("tracers").numpy() if "tracers" in tensors else None
            flow.classes_ = None if learned["classes"] is None else np.array(learned["classes"])
            coded = tensors.pop("labels", None)
            flow.labels_ = None if coded is None or flow.classes_ is None else flow.classes_[coded.numpy()]
            flow.history_ = {
                name.removeprefix("history."): tensors.pop(name).numpy()
                for name in list(tensors)
                if name.startswith("history.")
            }
            unpack(flow, tensors, flow.n_features_in_)
            flow.field_ = Field.unpacked(learned, tensors, path, divergence)
            flow.stopped_, flow.n_iter_ = learned["stopped"], flow.field_.pace.done
            return flow

    def _moved(self, z: Samples, labels: Tensor | None = None) -> Samples:
        if not self.field_.states:
            raise UsageError("no fields were recorded: fit with record=1 and a flow with snapshot and replay")
        return self.field_.transport(z, find(self.device).device, labels)

    def _checked(self) -> Divergence:
        """The divergence, after a look at all parameters."""
        check_count(steps=self.steps, batch_size=self.batch_size, depth=self.depth, critic_steps=self.critic_steps)
        check_count(optional=True, width=self.width)
        check_count(least=2, optional=True, n_particles=self.n_particles)
        check_count(least=0, warmup=self.warmup, record=self.record, fields=self.fields)
        check_number(step=self.step, lr=self.lr, slope=self.slope)
        check_number(optional=True, tol=self.tol)
        check_number(ends="right", cap=self.cap)
        check_number(ends="left", penalty=self.penalty)
        check_number(ends="both", most=1, decay=self.decay)
        for name, value, choices in (
            ("scheme", self.scheme, get_args(Scheme)),
            ("critic", self.critic, ("auto", *get_args(Constraint))),
        ):
            if value not in choices:
                raise ValueError(f"{name} {value!r}: use one of {', '.join(choices)}")
        if self.flow is not None and self.record and not able(self.flow, Replayable):
            raise UsageError(f"{type(self.flow).__name__} cannot be recorded: fit with record=0")
        return locate(self.divergence)
