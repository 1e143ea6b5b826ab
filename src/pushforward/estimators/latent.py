"""`LatentFlow`: a cloud of points moved onto data in the space of a few learned or fitted numbers, and decoded."""

from __future__ import annotations

import os
from functools import partial
from typing import Any, Self, cast

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted
from torch import Tensor
from torch.optim import Adam

from pushforward.codecs import PCA, Autoencoder, Codec, DataProcessing, data_processing, parse
from pushforward.data.batches import Batches
from pushforward.data.units import Array, Unit, pooled
from pushforward.divergences import Divergence, locate
from pushforward.errors import DataError
from pushforward.estimators import store
from pushforward.estimators.checks import check_count, check_number
from pushforward.estimators.columns import Columns, Rows, frame_of, notes_on
from pushforward.estimators.learn import Seed, build, find, follow, in_turn, is_cloud, seed_of, seed_of_draw, validated
from pushforward.estimators.unbalanced.parting import (
    Counterparts,
    Parting,
    Unmatched,
    check_unmatched,
    packed,
    unpack,
)
from pushforward.flows.bounded import bounded_critic, bounded_flow
from pushforward.methods.latent.in_code_space import InCodeSpace
from pushforward.methods.particles.driver import Particles
from pushforward.metrics.quality.sliced import directions, sliced_wasserstein
from pushforward.nets import autoencoder
from pushforward.parallel.ordinary import ordinarily
from pushforward.randomness import Noise, blocks, derive, generator, stream
from pushforward.training.facts import terms_of
from pushforward.training.learner import Learner
from pushforward.training.schedule import cosine
from pushforward.training.state import load_state, place, weights

__all__ = ["LatentFlow"]

MOST = 2_000  # particles, unless more are asked for
LESSON = 128  # rows of a batch that an autoencoder learns from
LAST = 0.1  # what is left of a step and of the critic's learning rate at the end


class LatentFlow(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    r"""Moves a cloud of points onto data in code space, along the gradient flow of a Lipschitz-regularised divergence.

    Columns are standardised, target and source counted alike; a codec z = E(x), fitted to both clouds together, has
    codes of unit size; codes follow :math:`\dot z = \nabla d(z)` with a critic d whose slope is at most `slope` by
    construction; what arrives is decoded. Every step's critic is recorded, so `transport` carries new points the same
    way. `report` says what the way through codes costs.

    Args:
        codec: 'pca:K' or 'autoencoder:K' with K numbers in a code, or a codec of your own for standardised rows.
        divergence: KL_LIP, JS_LIP, W1, any constant of `pushforward.divergences` or its name, `'alpha_lip(2)'`, or
            `'package.module:NAME'`.
        steps: Steps of the particles; each records one critic.
        step: Time of one step at the start; it falls to a tenth. A code moves by at most `step * slope`.
        n_particles: Particles when there is no source; None takes as many as the target has rows, but at most 2000.
        unmatched: What becomes of rows of a source that have no counterpart in the target, as a cluster that is missing
            there. 'move' takes them along: the flow is balanced, and what is too many for one part of the target goes
            to another. Otherwise `pushforward.metrics.integration.support` looks, at codes and before any moves: what
            codes do not tell apart the flow cannot tell apart either, and in few numbers neighbours mean more. Rows
            without a counterpart 'stay' where they are, bit for bit and without a way through the codec, or 'follow':
            their codes go the mean way of the ten nearest codes that move. The others move onto the target in the
            shares that they ask for. New points fare as the row of the source with the nearest code. A part of a
            cluster that is shifted by more than its width, in few numbers already by its width, may be taken for such.
        batch_size: Rows of the target that the critic sees at a time; fewer if there are fewer.
        width: Units of the critic's hidden layers, an even number.
        depth: Hidden layers.
        warmup: Calls of the critic before the first step.
        critic_steps: Updates of the critic in one call.
        lr: Learning rate of its Adam at the start; it falls to a tenth.
        slope: Largest slope of the critic, in score units per unit of the code.
        codec_steps: Updates of an autoencoder.
        codec_width: Units of its hidden layers.
        codec_lr: Its learning rate at the start; it falls to zero.
        device: 'cpu', 'cuda', 'auto', or any name torch knows.
        random_state: Seed of weights, particles, batches and draws: a whole number, a `RandomState`, or None.
        verbose: Whether to show a progress bar.

    Attributes:
        particles_: Where the particles ended, decoded, (n, d), in data units; row i started as row i of the source.
        codes_: Their codes, (n, K); of rows that stay those that they had.
        method_: The codec, the particles and the recorded fields.
        unit_: The map between data units and standard units.
        has_source_: Whether a source was given.
        matched_: Whether a row of the source has a counterpart in the target, (n,); None with unmatched='move'.
        shares_: How much of each row of the target is asked for, (m,), of mean 1; None with unmatched='move'.
        counterparts_: Codes of the source, 2,000 at most, that tell how new points fare; None with unmatched='move'.
        n_features_in_: Number of columns d.
        feature_names_in_: Their names, where the target had some.
        columns_: Names and types of its columns, where it was a data frame of pandas; else None.
        notes_: What was assumed of the data, and what is to be known of the recorded fields, in plain words.

    Example:
        >>> from sklearn.datasets import load_digits
        >>> flow = LatentFlow("pca:8", steps=10, warmup=0, random_state=0).fit(load_digits().data[:200])
        >>> flow.codes_.shape, flow.sample(3, random_state=0).shape
        ((200, 8), (3, 64))

    References:
        Lipschitz-regularized gradient flows and generative particle algorithms (Gu et al., 2022), arXiv:2210.17230.
    """

    particles_: Array
    codes_: Array
    method_: InCodeSpace
    unit_: Unit
    has_source_: bool
    n_features_in_: int
    columns_: Columns | None
    notes_: tuple[str, ...]
    matched_: np.ndarray | None
    shares_: Array | None
    counterparts_: Counterparts | None

    def __init__(
        self,
        codec: str | Codec = "pca:20",
        *,
        divergence: str | Divergence = "KL_LIP",
        steps: int = 300,
        step: float = 0.3,
        n_particles: int | None = None,
        unmatched: Unmatched = "move",
        batch_size: int = 500,
        width: int = 64,
        depth: int = 3,
        warmup: int = 50,
        critic_steps: int = 5,
        lr: float = 5e-3,
        slope: float = 1.0,
        codec_steps: int = 2000,
        codec_width: int = 128,
        codec_lr: float = 1e-3,
        device: str = "cpu",
        random_state: Seed = None,
        verbose: bool = False,
    ) -> None:
        self.codec = codec
        self.divergence = divergence
        self.steps = steps
        self.step = step
        self.n_particles = n_particles
        self.unmatched: Unmatched = unmatched
        self.batch_size = batch_size
        self.width = width
        self.depth = depth
        self.warmup = warmup
        self.critic_steps = critic_steps
        self.lr = lr
        self.slope = slope
        self.codec_steps = codec_steps
        self.codec_width = codec_width
        self.codec_lr = codec_lr
        self.device = device
        self.random_state: Seed = random_state
        self.verbose = verbose

    def __sklearn_tags__(self) -> Tags:
        """What scikit-learn may feed this estimator."""
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    @ordinarily
    def fit(self, target: ArrayLike, source: ArrayLike | None = None) -> Self:
        """Move the source, or normal codes, onto the target's codes.

        Args:
            target: Data, (n, d), at least two different rows; a data frame of pandas has its columns given back, and
                a sparse matrix of scipy is made dense.
            source: Where the particles start, (m, d) in the same units; None for normal codes. A one-dimensional array
                is what a scikit-learn pipeline passes along as labels: it is ignored.

        Raises:
            ValueError: If the data or a parameter cannot be used.
            TrainingError: If the codec or the flow diverges.
        """
        divergence = self._checked()
        p = validated(self, target, reset=True, sparse=True)
        start = validated(self, source, sparse=True) if is_cloud(source) else None
        check_unmatched(self.unmatched, source=start is not None)
        unit = pooled(p) if start is None else pooled(p, start)
        x = unit.encode(p)
        first = None if start is None else unit.encode(start)
        seed, placement = seed_of(self.random_state), find(self.device)
        codec, codec_steps = self._codec(x if first is None else torch.cat([x, first]), seed)
        code = codec.encode(x[:1]).shape[1]
        begin = stream(seed, "init", part="particles")
        count = min(len(x), MOST) if self.n_particles is None else self.n_particles
        codes = begin.normal(count, code) if first is None else torch.zeros(len(first), code)
        seen = x if first is None else torch.cat([x, first])
        order = derive(seed, "data", part="lessons")
        lessons = Batches(seen, min(LESSON, len(seen)), seed=order) if codec_steps else None
        moved = self._particles(codes, divergence, stream(seed, "train"), seed)
        method = InCodeSpace(codec, moved, codec_steps, lessons, first)
        place(method, placement)
        parting = self._learn(method, moved, x.to(placement.device), codec_steps, seed)
        method.starts = method.lessons = None
        self._learned(method, unit, start is not None)
        self.matched_, self.shares_ = parting.matched, parting.shares
        self.counterparts_ = parting.settled(moved.particles)
        if self.counterparts_ is not None and start is not None:
            self.particles_, ends = self.counterparts_.carried(
                start, parting.z, lambda _: moved.particles, self._decoded
            )
            self.codes_ = ends.double().numpy()
        dense = [f"sparse rows were made dense, {p.shape}"] if issparse(target) else []
        notes = *dense, *parting.notes(), *notes_on(self.columns_, unit, p)
        self.notes_ = (*notes, *moved.remarks(int(self.steps)))
        return self

    def _learn(self, method: InCodeSpace, moved: Particles, x: Tensor, codec_steps: int, seed: int) -> Parting:
        """Take all steps, those of the codec first where codes are to tell who goes."""
        parting, done = Parting(moved.particles, "move"), 0
        if self.unmatched != "move" and method.starts is not None:
            if codec_steps:
                follow(method.learn(()), done := codec_steps, self.verbose, terms_of(method))
            parting = Parting.of(self.unmatched, method.encode(method.starts), method.encode(x), seed)
            method.starts, moved.particles = method.starts[parting.goes], parting.z[parting.goes]
        batches = Batches(x, min(self.batch_size, len(x)), seed=seed, weights=parting.shares)
        if not parting.still:
            follow(method.learn(batches, done), codec_steps + self.steps - done, self.verbose, terms_of(method))
        return parting

    def transform(self, X: ArrayLike) -> Array:
        """`transport` as scikit-learn calls it; `set_output` says what comes back."""
        return np.asarray(self.transport(X))

    @ordinarily
    def transport(self, X: ArrayLike) -> Rows:
        """Carry new points along the recorded fields: encoded, moved, decoded; the source arrives at `particles_`.

        Args:
            X: Points, (n, d), in data units.

        Returns:
            Where they end, (n, d), in data units; of a data frame of pandas a frame with its columns and index.
        """
        check_is_fitted(self)
        if self.counterparts_ is None:
            return frame_of(self.columns_, self.unit_.decode(self.method_.transport(self._encoded(X))), X)
        codes = self.method_.encode(self._encoded(X))
        x = validated(self, X, sparse=True)
        return frame_of(self.columns_, self.counterparts_.carried(x, codes, self._moved.transport, self._decoded)[0], X)

    @ordinarily
    def sample(self, n: int = 1, random_state: Seed = None) -> Rows:
        """New points: normal codes carried along, or, after a fit with a source, a random choice of the particles.

        Args:
            n: Number of points. Beyond the number of particles, those chosen repeat if there was a source.
            random_state: Seed of the draw; None for that of the estimator: a whole number there gives the same points
                at every call. With one seed, few points are the first of many.

        Returns:
            Points, (n, d), in data units; after a fit to a data frame of pandas a frame with its columns and types.
        """
        check_is_fitted(self)
        check_count(n=n)
        seed = seed_of_draw(random_state, self.random_state)
        if self.has_source_:
            rows = in_turn(len(self.particles_), n, generator(seed, "sample", part="rows"))
            return frame_of(self.columns_, self.particles_[rows])
        rng, size = stream(seed, "sample"), self.codes_.shape[1]
        moved = [self.method_.decode(self._moved.transport(rng.normal(rows, size))) for _, rows in blocks(n, size)]
        return frame_of(self.columns_, self.unit_.decode(torch.cat(moved)[:n]))

    @ordinarily
    def score(self, X: ArrayLike, y: object = None) -> float:
        """Minus the sliced W2 distance between the particles and X, in standard units: higher is better, 0 the best.

        Args:
            X: Data, (n, d), in data units.
            y: Ignored.
        """
        check_is_fitted(self)
        x = self.unit_.encode(validated(self, X, sparse=True))
        return -sliced_wasserstein(self.unit_.encode(self.particles_), x, directions(x.shape[1], 128, seed=0))[0]

    def report(self, X: ArrayLike, *, rows: int = 200) -> DataProcessing:
        """What the flow of codes proves about decoded particles, and what reconstruction loses, in standard units.

        Args:
            X: Data, (n, d), in data units, better held out.
            rows: Most particles, and most rows of X, that are compared; some seconds at 200.
        """
        check_is_fitted(self)
        x, codes = self._encoded(X), self._moved.particles
        return data_processing(self.method_.codec, codes[:rows], x[:rows], stream(0, "judge"), slope=float(self.slope))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything to one safetensors file, without pickle; a `RandomState` is stored as None.

        Args:
            path: The file, for example digits.safetensors; replaced if it is there.

        Raises:
            DataError: If the codec is one of your own, which no file can hold.
        """
        check_is_fitted(self)
        codec = self.method_.codec
        if not isinstance(self.codec, str) or not isinstance(codec, PCA | Autoencoder):
            raise DataError(f"codec {self.codec!r}: only 'pca:K' and 'autoencoder:K' can be saved")
        learned = self._sizes() | {"has_source": self.has_source_}
        tensors = weights(self.method_) | self.unit_.tensors()
        if self.counterparts_ is not None:
            tensors |= {"particles": torch.from_numpy(self.particles_), "codes": torch.from_numpy(self.codes_)}
        store.write(path, self, learned, tensors | packed(self))

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
            store.told(learned, has_source=bool, rows=int, particles=int, code=int)
            unit = Unit.of_tensors(tensors)
            unpack(flow, tensors, learned["code"])
            apart = None if flow.counterparts_ is None else (tensors.pop("particles"), tensors.pop("codes"))
            try:
                method = flow._rebuilt(tensors, learned)
            except ValueError as error:
                raise DataError(f"{path}: tensors and parameters disagree ({error})") from error
            flow._learned(method, unit, learned["has_source"])
            if apart is not None:
                flow.particles_, flow.codes_ = apart[0].numpy(), apart[1].numpy()
            return flow

    def __getstate__(self) -> dict[str, Any]:
        """Everything, with tensors in the place of the method: divergences and schedules are functions."""
        state: dict[str, Any] = dict(cast(Any, super()).__getstate__())
        if "method_" in state:
            state["method_"] = (weights(self.method_), self._sizes())
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """The inverse of `__getstate__`."""
        cast(Any, super()).__setstate__(state)
        if isinstance(found := self.__dict__.get("method_"), tuple):
            self.method_ = self._rebuilt(*found)

    def _sizes(self) -> dict[str, int]:
        """What is needed besides parameters and tensors to build the method again."""
        (particles, code), codec = self._moved.particles.shape, self.method_.codec
        return {"rows": codec.rows if isinstance(codec, PCA | Autoencoder) else 0, "particles": particles, "code": code}

    def _rebuilt(self, tensors: dict[str, Tensor], sizes: dict[str, Any]) -> InCodeSpace:
        """The method as it was when it had learned, with fresh optimisers."""
        codec: Any = self.codec
        if isinstance(codec, str) and parse(codec)[0] == "pca":
            codec = PCA.hollow(self.n_features_in_, sizes["code"], sizes["rows"])
        elif isinstance(codec, str):
            codec = self._autoencoder(self.n_features_in_, sizes["code"], sizes["rows"], 0)
        codes = torch.zeros(sizes["particles"], sizes["code"])
        method = InCodeSpace(codec, self._particles(codes, locate(self.divergence), stream(0, "train"), 0))
        load_state(method, tensors)
        return method

    @property
    def _moved(self) -> Particles:
        assert isinstance(self.method_.method, Particles)
        return self.method_.method

    def _decoded(self, codes: Tensor) -> Array:
        """Codes (n, K), wherever they are, as data (n, d)."""
        return self.unit_.decode(self.method_.decode(codes.to(self._moved.particles.device)))

    def _encoded(self, X: ArrayLike) -> Tensor:
        return self.unit_.encode(validated(self, X, sparse=True)).to(self._moved.particles.device)

    def _learned(self, method: InCodeSpace, unit: Unit, has_source: bool) -> None:
        """Keep what a fit, or a file, brought."""
        self.method_, self.unit_, self.has_source_ = method, unit, has_source
        self.particles_ = unit.decode(method.particles)
        self.codes_ = self._moved.particles.cpu().double().numpy()

    def _codec(self, x: Tensor, seed: int) -> tuple[Codec, int]:
        """The codec, and the steps in which it learns."""
        if not isinstance(self.codec, str):
            return self.codec, 0
        kind, size = parse(self.codec)
        if kind == "pca":
            return PCA.fit(x, size, unit=True), 0
        return self._autoencoder(x.shape[1], size, len(x), seed), self.codec_steps

    def _autoencoder(self, numbers: int, size: int, rows: int, seed: int) -> Autoencoder:
        net = build(lambda: autoencoder.perceptron(numbers, size, width=self.codec_width), seed, "codec")
        adam = partial(Adam, lr=self.codec_lr, fused=True)
        return Autoencoder(Learner(net, adam, schedule=cosine(self.codec_steps)), rows)

    def _particles(self, codes: Tensor, divergence: Divergence, rng: Noise, seed: int) -> Particles:
        """Particles in code space under a critic of bounded slope, which has learned nothing yet."""
        net = build(lambda: bounded_critic(codes.shape[1], self.slope, self.width, self.depth), seed)
        calls = (self.steps + self.warmup) * self.critic_steps
        adam = partial(Adam, lr=self.lr, betas=(0.5, 0.9), fused=True)
        critic = Learner(net, adam, schedule=cosine(calls, last=LAST))
        flow = bounded_flow(critic, divergence, slope=self.slope, steps=self.critic_steps)
        return Particles(flow, codes, self.step, rng, record=True, warmup=self.warmup, diagnose=0,
                         schedule=cosine(self.steps, last=LAST))  # fmt: skip

    def _checked(self) -> Divergence:
        """The divergence, after a look at all parameters."""
        check_count(steps=self.steps, batch_size=self.batch_size, width=self.width, depth=self.depth)
        check_count(critic_steps=self.critic_steps, codec_steps=self.codec_steps, codec_width=self.codec_width)
        check_count(least=0, warmup=self.warmup)
        check_count(least=2, optional=True, n_particles=self.n_particles)
        check_number(step=self.step, lr=self.lr, slope=self.slope, codec_lr=self.codec_lr)
        if isinstance(self.codec, str):
            parse(self.codec)
        return locate(self.divergence)
