"""`BridgeSampler`: a two-stage bridge for points, tables and small images, which answers for densities and restores."""

from __future__ import annotations

import os
from copy import deepcopy
from dataclasses import asdict, replace
from functools import partial
from typing import Literal, Self, overload

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted
from torch import nn
from torch.optim import SGD, Adam

from pushforward.data.batches import Batches
from pushforward.data.units import Array, Unit, box, pooled
from pushforward.dynamics.bridges.forms import checked
from pushforward.dynamics.editing import Path, Strategy, interpolate, strategies
from pushforward.dynamics.sde.levels import linear_variance
from pushforward.errors import TrainingError, UsageError
from pushforward.estimators import store
from pushforward.estimators.bridges.given import mask_of, one_sample
from pushforward.estimators.bridges.shape import Coordinates, DenoiserShape
from pushforward.estimators.bridges.work import GUIDED, bridge_of, densities, restorations, samples
from pushforward.estimators.checks import check_count, check_number
from pushforward.estimators.classes import Labelling
from pushforward.estimators.columns import Columns, Rows, frame_of, notes_on, one_row, rounded
from pushforward.estimators.layout import shape_inside
from pushforward.estimators.learn import Seed, build, find, follow, samples_of, seed_of, seed_of_draw, validated
from pushforward.methods.bridges.two_stages import Bridge, BridgeSampling
from pushforward.nets.timed.preconditioned import centred
from pushforward.parallel.doubles import finest
from pushforward.parallel.ordinary import ordinarily
from pushforward.randomness import stream
from pushforward.training.facts import terms_of
from pushforward.training.learner import Learner
from pushforward.training.schedule import cosine
from pushforward.types import Labels, Samples

__all__ = ["BridgeSampler"]


class BridgeSampler(BaseEstimator):
    r"""Samples by a Schrödinger bridge in two stages, and with it densities, missing numbers and paths between samples.

    A net learns the denoiser :math:`D(y; s) = E[Y \,|\, Y + s\varepsilon = y]` of the data Y at all noise levels s.
    Samples go from the data's mean to the smoothed data :math:`q_\sigma = p * N(0, \sigma^2 I)` by
    :math:`dX = b\,dt + \sqrt\tau\,dW`, and from there to the data along the probability flow; both drifts are functions
    of D. The flow from the data to noise gives densities, and runs that agree with what is known of a sample give
    the rest of it.

    Vectors (n, d) are standardised column by column and learned by a perceptron; a column that does not vary is
    returned as it is. Arrays (n, side, side) or (n, channels, side, side) are taken for images, mapped to [-1, 1], and
    learned by a perceptron up to 8 x 8 pixels and by a U-Net above; the side must be a power of two. With labels the
    model is conditional.

    `sigma`, `tau`, `first_steps`, `second_steps` and `guidance` are those of sampling: `set_params` changes them
    after a fit.

    Args:
        steps: Steps of training.
        batch_size: Rows of a batch; None takes 512 for vectors, 64 for images, 192 for those up to 8 x 8.
        width: Units of a hidden layer, or channels of the largest map; None takes 128 for vectors, 32 for images, 256
            for those up to 8 x 8.
        depth: Hidden layers of the perceptron; not used by the U-Net, whose side decides.
        lr: Adam's learning rate at the first step, which falls to a thousandth; None takes 4e-3 for vectors, 1e-3 for
            images, 2e-3 for those up to 8 x 8.
        sigma: Width of the smoothing, in units of the data's spread: their root mean square about the mean in standard
            units.
        tau: Variance of the noise of the first stage, in units of the spread squared; above the square of sigma.
        half_life: Thousands of rows in which the running average that samples come from forgets half; 0 for none.
        first_steps: Steps from the mean to the smoothed data.
        second_steps: Steps from there to the data.
        guidance: How far samples of a class are led away from what the net says of all classes; 0 for not at all.
        device: 'cpu', 'cuda', 'auto', or any name torch knows.
        random_state: Seed of weights, noise, batches and draws: a whole number, a `RandomState`, or None.
        verbose: Whether to show a progress bar.

    Attributes:
        net_: The denoiser, a torch module (y, s) or (y, s, classes) -> D in standard units.
        layout_: Sizes of the net.
        unit_: The map between data units and standard units.
        event_shape_: Shape of one sample.
        classes_: The classes in sorted order, or None.
        class_prior_: Their frequencies, or None.
        n_features_in_: Number of columns d; of an image, the length of its first axis.
        feature_names_in_: Names of the columns, where X had some.
        columns_: Names and types of the columns, where X was a data frame of pandas; else None.
        notes_: What was assumed of the columns, in plain words.

    Example:
        >>> from sklearn.datasets import make_moons
        >>> x, y = make_moons(500, noise=0.05, random_state=0)
        >>> model = BridgeSampler(steps=20, random_state=0).fit(x)
        >>> model.sample(3, random_state=0).shape, model.score_samples(x[:5]).shape
        ((3, 2), (5,))
        >>> model.restore([[0.5, float("nan")]], n=4, steps=5).shape
        (4, 1, 2)

    References:
        Deep generative learning via Schrödinger bridge (Wang et al., 2021), arXiv:2106.10410.
        Elucidating the design space of diffusion-based generative models (Karras et al., 2022), arXiv:2206.00364.
    """

    net_: nn.Module
    layout_: DenoiserShape
    unit_: Unit
    event_shape_: tuple[int, ...]
    classes_: NDArray | None
    class_prior_: Array | None
    n_features_in_: int
    columns_: Columns | None
    notes_: tuple[str, ...]

    def __init__(
        self,
        *,
        steps: int = 6000,
        batch_size: int | None = None,
        width: int | None = None,
        depth: int = 3,
        lr: float | None = None,
        sigma: float = 4.0,
        tau: float = 32.0,
        half_life: float = 20.0,
        first_steps: int = 12,
        second_steps: int = 24,
        guidance: float = 0.0,
        device: str = "cpu",
        random_state: Seed = None,
        verbose: bool = False,
    ) -> None:
        self.steps = steps
        self.batch_size = batch_size
        self.width = width
        self.depth = depth
        self.lr = lr
        self.sigma = sigma
        self.tau = tau
        self.half_life = half_life
        self.first_steps = first_steps
        self.second_steps = second_steps
        self.guidance = guidance
        self.device = device
        self.random_state: Seed = random_state
        self.verbose = verbose

    def __sklearn_tags__(self) -> Tags:
        """What scikit-learn may feed this estimator."""
        tags = super().__sklearn_tags__()
        tags.estimator_type = "density_estimator"
        tags.input_tags.three_d_array = True
        return tags

    @ordinarily
    def fit(self, X: ArrayLike, y: ArrayLike | None = None) -> Self:
        """Learn the denoiser of X, or of X given its classes y.

        Args:
            X: Data, (n, d), (n, side, side) or (n, channels, side, side), at least two different samples; a data frame
                of pandas has its columns given back.
            y: Classes, (n,), numbers or text; None for a model without classes.

        Raises:
            ValueError: If the data or a parameter cannot be used.
            TrainingError: If training diverges.
        """
        self._checked()
        data = validated(self, X, reset=True, images=True)
        labelling, labels = Labelling.of(y, data)
        classes = 0 if labelling.classes is None else len(labelling.classes)
        self._guided(bool(classes))
        inside = shape_inside(data.shape[1:])
        unit = box(data) if len(inside) == 3 else pooled(data)
        inside = inside if len(inside) == 3 else (int(np.count_nonzero(unit.scale)),)
        layout = DenoiserShape.choose(inside, width=self.width, depth=self.depth, classes=classes)
        x = Coordinates(unit, data.shape[1:], inside).encode(data)
        self.net_ = self._learned(layout, x, labels)
        self.layout_, self.unit_, self.event_shape_ = layout, unit, data.shape[1:]
        self.classes_, self.class_prior_ = labelling.classes, labelling.prior
        self.notes_ = () if layout.images else notes_on(self.columns_, unit, data)
        return self

    @overload
    def sample(self, n: int = 1, random_state: Seed = None, *, y: ArrayLike | None = None,
               return_labels: Literal[False] = False) -> Rows: ...  # fmt: skip

    @overload
    def sample(self, n: int = 1, random_state: Seed = None, *, y: ArrayLike | None = None,
               return_labels: Literal[True]) -> tuple[Rows, NDArray]: ...  # fmt: skip

    @ordinarily
    def sample(self, n: int = 1, random_state: Seed = None, *, y: ArrayLike | None = None,
               return_labels: bool = False) -> Rows | tuple[Rows, NDArray]:  # fmt: skip
        """Draw new samples.

        Args:
            n: Number of samples.
            random_state: Seed of the draw; None for that of the estimator: a whole number there gives the same samples
                at every call. With one seed, few samples are the first of many.
            y: One class for all samples, or one each, (n,); None draws classes by their frequencies in the data.
            return_labels: Whether to return the classes too.

        Returns:
            Samples (n, *event) in data units, float64; after a fit to a data frame of pandas a frame with its columns
            and types; with `return_labels` also their classes (n,).

        Raises:
            ValueError: If y holds an unknown class, or the model was fitted without classes.
            TrainingError: If samples are not finite.
        """
        check_is_fitted(self)
        check_count(n=n)
        classes = self._labelling.known if return_labels else np.empty(0)
        seed = seed_of_draw(random_state, self.random_state)
        codes = self._labelling.drawn(n, y, seed, "sample")
        found = frame_of(self.columns_, self._decoded(samples(self._method(), n, codes, stream(seed, "sample"))))
        return (found, classes[codes.numpy()]) if return_labels and codes is not None else found

    @ordinarily
    def score_samples(self, X: ArrayLike, y: ArrayLike | None = None) -> Array:
        r"""Log density (n,) of the law that the probability flow has, in nats, with respect to data units.

        It is that of data with noise of 0.002 spreads, exact but for 32 steps of Runge and Kutta, for up to three
        columns; for more, and for images, it is an unbiased estimate by one random direction a row, the same at every
        call. Columns that do not vary count for nothing, and a row that differs there has the log density -inf. Whole
        numbers and pixels of few levels have no density: where they were learned as they are, it grows beyond bounds
        as the fit gets better; add uniform noise of one step to X before `fit` and before this.

        Args:
            X: Data, (n, *event), in data units.
            y: Classes, for densities given the class: one for all rows, or one each, (n,). None for the mixture of all
                classes by their frequencies, which costs a pass for each. `guidance` plays no part.

        Raises:
            ValueError: If the data cannot be used, or y holds an unknown class.
        """
        check_is_fitted(self)
        data = samples_of(self, X)
        labels, place, device = self._coded(y, len(data)), self._coordinates, find(self.device).device
        x, found = place.encode(data), np.full(len(data), -np.inf)
        rows = torch.from_numpy(place.possible(data)) & x.isfinite().flatten(1).all(1)
        x = x[rows].to(device, torch.float32 if self.layout_.images else finest(device))
        labels = None if labels is None else labels[rows]
        found[rows.numpy()] = densities(self._method(x.dtype), x, labels, self.class_prior_).numpy() + place.log_volume
        return found

    def score(self, X: ArrayLike, y: ArrayLike | None = None) -> float:
        """Mean of `score_samples`, in nats a sample, as of scikit-learn's `GaussianMixture`; higher is better.

        Args:
            X: Data, (n, *event), in data units.
            y: Their classes, (n,), for a model with classes; a model without passes them over, as in a search.
        """
        check_is_fitted(self)
        return float(self.score_samples(X, None if self.classes_ is None else y).mean())

    @ordinarily
    def restore(
        self,
        X: ArrayLike,
        known: ArrayLike | None = None,
        n: int = 1,
        random_state: Seed = None,
        *,
        y: ArrayLike | None = None,
        strategy: str | Strategy = "resample",
        steps: int = 50,
    ) -> Array:
        """Draw what is not known of samples, given what is.

        The law of the one given the other is met in the limit of many cycles and steps; see
        `pushforward.dynamics.editing`.

        Args:
            X: Samples, (m, *event), in data units; what is not known may be NaN.
            known: True where a number is known: of each sample, (m, *event), or of all alike, (*event) or its last
                axes. None for all that is not NaN. Samples of which all is known come back as they are.
            n: Draws of each sample; with one seed and the same samples, few draws are the first of many.
            random_state: Seed of the draws; None for that of the estimator.
            y: Classes: one for all samples, or one each, (m,); None leaves the class open too, without `guidance`.
            strategy: How what is known enters: 'fixed', 'fresh', 'resample:CYCLES', 'guidance:SCALE', or one of
                `pushforward.dynamics.editing`.
            steps: Noise levels; 'resample' goes through each as often as its cycles say, 10 by default.

        Returns:
            Draws, (n, m, *event), float64, in which what is known is as it was given, to the last bit; whole numbers
            and truth values of a data frame are rounded in the rest.

        Raises:
            ValueError: If the samples, the mask or the strategy cannot be used, or y holds an unknown class.
            TrainingError: If draws are not finite.
        """
        check_is_fitted(self)
        check_count(n=n, steps=steps)
        how = strategies.strategy(strategy) if isinstance(strategy, str) else strategy
        if not callable(how):
            raise UsageError(f"strategy {how!r}: give its name, as 'resample', or one of pushforward.dynamics.editing")
        self._led(y)
        place = self._coordinates
        data = samples_of(self, X, missing=True)
        seen = mask_of(known, data)
        given = place.known(data, seen, "X")
        labels, masks = self._coded(y, len(data)), torch.from_numpy(place.parts(seen).copy())
        rng = stream(seed_of_draw(random_state, self.random_state), "sample", part="restore")
        x = restorations(self._method(), given, masks, n, how, steps, labels, rng)
        drawn = rounded(self.columns_, self._decoded(x))
        return np.where(seen, data, drawn.reshape(n, *data.shape))

    @ordinarily
    def interpolate(
        self,
        a: ArrayLike,
        b: ArrayLike,
        n: int = 10,
        random_state: Seed = None,
        *,
        y: ArrayLike | None = None,
        level: float = 1.0,
        path: Path = "linear",
        steps: int = 100,
    ) -> Rows:
        """A row of samples from one like a to one like b: the mixtures of both are given noise, and freed of it again.

        Args:
            a: A sample, (*event), in data units, or a row of a data frame.
            b: Another.
            n: Samples of the row, at least 2.
            random_state: Seed of the noise; None for that of the estimator.
            y: Class of the row; None leaves it open.
            level: Level of the noise, in units of the data's spread: near 0 the row is a mere mixture, and the higher
                it is the more they are the model's own and the less like the two.
            path: 'linear', one noise for the whole row, or 'spherical', the noise turns from one to another.
            steps: Steps from there to no noise.

        Returns:
            The row, (n, *event), float64, or a frame as of `sample`.

        Raises:
            ValueError: If the samples or an argument cannot be used, or y is an unknown class.
            TrainingError: If the row is not finite.
        """
        check_is_fitted(self)
        check_count(least=2, n=n)
        check_count(steps=steps)
        check_number(level=level, most=1e3, ends="right")
        ends = [one_sample(self._row(given), name, self.event_shape_) for given, name in ((a, "a"), (b, "b"))]
        self._led(y)
        labels = self._coded(y, n)
        method = self._method()
        denoiser, levels = method.denoiser(labels), linear_variance(steps, level * method.diffusion.spread)
        rng = stream(seed_of_draw(random_state, self.random_state), "sample", part="interpolate")
        first, last = (
            self._coordinates.known(end[None], np.ones_like(end[None], bool), name)[0].to(method.mean.device)
            for end, name in zip(ends, "ab", strict=True)
        )
        return frame_of(self.columns_, self._decoded(interpolate(denoiser, first, last, n, levels, rng, path=path)))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything to one safetensors file, without pickle; a `RandomState` is stored as None.

        Args:
            path: The file, for example moons.safetensors; replaced if it is there.
        """
        check_is_fitted(self)
        learned = {"event": self.event_shape_, "layout": asdict(self.layout_)} | self._labelling.packed()
        tensors = {f"net.{name}": tensor for name, tensor in self.net_.state_dict().items()}
        store.write(path, self, learned, tensors | self.unit_.tensors())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read what `save` wrote; the same seed then samples the same points.

        Args:
            path: The file.

        Raises:
            DataError: If the file is damaged or of another class.
        """
        with store.legible(path):
            model, learned, tensors = store.load(path, cls)
            store.told(learned, event=list[int], layout=dict, classes=list | None, class_prior=list[float] | None)
            model.layout_ = store.made(DenoiserShape, learned["layout"])
            model.unit_, model.event_shape_ = Unit.of_tensors(tensors), tuple(learned["event"])
            labelling = Labelling.unpacked(learned)
            model.classes_, model.class_prior_ = labelling.classes, labelling.prior
            model.net_ = model.layout_.filled(
                {name.removeprefix("net."): tensor for name, tensor in tensors.items()}, path
            )
            return model

    def _learned(self, layout: DenoiserShape, x: Samples, labels: Labels | None) -> nn.Module:
        """Train a denoiser of a layout on samples in model units; its average."""
        seed, placement, pace = seed_of(self.random_state), find(self.device), layout.pace
        size = self.batch_size or pace.batch
        average = replace(pace.net, half_life=float(self.half_life)).average(size)
        adam = partial(Adam, lr=self.lr or pace.net.rate, betas=(0.9, 0.99), fused=True)
        net = build(lambda: layout.denoiser(*centred(x)), seed)
        learner = Learner(net, adam, ema=average, schedule=cosine(self.steps, pace.net.rate_end), clip=1.0)
        learner.place(placement)
        method = self._bridge(learner, layout, seed)
        batches = Batches(x, size, seed=seed) if labels is None else Batches(x, size, seed=seed, labels=labels)
        follow(method.learn(batches.to(placement.device)), self.steps, self.verbose, terms_of(method))
        return learner.sampler.requires_grad_(False).eval()

    def _bridge(self, learner: Learner, layout: DenoiserShape, seed: int) -> Bridge:
        """The two stages around a denoiser, sampled as the parameters say."""
        stages = BridgeSampling(first_steps=self.first_steps, second_steps=self.second_steps, low=layout.pace.low,
                        guidance=self.guidance)  # fmt: skip
        rng = stream(seed, "train", device=learner.placement.device)
        return bridge_of(learner, layout, stages, self.tau, self.sigma, rng)

    def _method(self, kind: torch.dtype = torch.float32) -> Bridge:
        """The fitted bridge, which computes in a floating type; it draws nothing from a stream of its own."""
        self._checked()
        self._guided(self.classes_ is not None)
        placement = find(self.device)
        net = self.net_.to(placement.device)
        learner = Learner(net if kind == torch.float32 else deepcopy(net).to(kind), partial(SGD, lr=0.0))
        learner.place(placement)
        return self._bridge(learner, self.layout_, 0)

    def _row(self, given: ArrayLike) -> ArrayLike:
        """A row of a data frame with its columns looked at, and anything else as it is."""
        row = one_row(given)
        return given if row is None else samples_of(self, row, missing=True)

    def _coded(self, y: ArrayLike | None, n: int) -> Labels | None:
        return None if y is None else self._labelling.coded(y, n)

    @property
    def _coordinates(self) -> Coordinates:
        return Coordinates(self.unit_, self.event_shape_, self.layout_.event)

    @property
    def _labelling(self) -> Labelling:
        return Labelling(self.classes_, self.class_prior_)

    def _decoded(self, x: Samples) -> Array:
        """Model units (n, *event) -> data units (n, *event), float64.

        Raises:
            TrainingError: If a number is not finite.
        """
        if not bool(x.isfinite().all()):
            raise TrainingError(f"samples have numbers that are not finite: {GUIDED}")
        return self._coordinates.decode(x)

    def _checked(self) -> None:
        """Look at all parameters."""
        check_count(steps=self.steps, depth=self.depth, first_steps=self.first_steps, second_steps=self.second_steps)
        check_count(optional=True, batch_size=self.batch_size, width=self.width)
        check_number(sigma=self.sigma, tau=self.tau)
        check_number(optional=True, lr=self.lr)
        check_number(ends="left", half_life=self.half_life, guidance=self.guidance)
        checked(self.tau, self.sigma)

    def _led(self, y: ArrayLike | None) -> None:
        """Refuse guidance that is told no class."""
        if self.guidance and y is None:
            raise UsageError(f"guidance {self.guidance:g} leads to a class: give y, or set_params(guidance=0)")

    def _guided(self, classed: bool) -> None:
        """Refuse guidance where there are no classes."""
        if self.guidance and not classed:
            raise UsageError(f"guidance {self.guidance}: leads samples of a class: give classes, fit(X, y), or use 0")
