"""`FlowDensityEstimator`: a normalising flow as a density of points and tables, in the place of `KernelDensity`."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Literal, Self, overload

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn
from torch.optim import SGD, Adam

from pushforward.data.batches import Batches
from pushforward.data.columns.cells import cells, told_of_cells
from pushforward.data.units import Array, Unit, pooled
from pushforward.estimators import store
from pushforward.estimators.bridges.shape import Coordinates
from pushforward.estimators.checks import check_count, check_number
from pushforward.estimators.classes import Labelling
from pushforward.estimators.columns import Columns, Rows, frame_of, notes_on
from pushforward.estimators.learn import (
    Seed,
    build,
    find,
    first_of,
    follow,
    samples_of,
    seed_of,
    seed_of_draw,
    validated,
)
from pushforward.methods.density import MaximumLikelihood, flow_law
from pushforward.parallel.doubles import finest
from pushforward.parallel.ordinary import ordinarily
from pushforward.randomness import generator, stream
from pushforward.settings.densities import TABLE, Density, Flow, FlowName
from pushforward.settings.options import examined
from pushforward.training.facts import terms_of
from pushforward.training.learner import Learner
from pushforward.training.schedule import cosine
from pushforward.types import Batch, Labels, Logs, Randomness, Samples

__all__ = ["FlowDensityEstimator"]

ROWS = 8192  # of which densities are asked at once
LOOKS = 40  # at held-out rows in one fit
FEWEST = 5  # held-out rows that say anything


@dataclass
class Best:
    """Steps of a method, and the weights of the average of its law that found held-out rows likeliest.

    Attributes:
        method: What learns.
        held: Rows that it does not see, (m, d); there may be none.
        labels: Their classes, (m,), if there are some.
        rng: Where the noise of rounded numbers comes from, anew at every look: what stays can be learned by heart.
        every: Steps from one look to the next; there is one at the last.
        steps: Of which there will be so many.
        score: Mean log density of the held-out rows where it was best.
        step: Where that was; 0 before the first look.
        weights: Of the law there.
    """

    method: MaximumLikelihood
    held: Samples
    labels: Labels | None
    rng: Randomness
    every: int
    steps: int
    score: float = -math.inf
    step: int = 0
    weights: dict[str, Tensor] = field(default_factory=dict)

    def learn(self, batches: Iterable[Batch]) -> Iterator[Logs]:
        """The steps of the method, with looks at the held-out rows."""
        for step, logs in enumerate(self.method.learn(batches), 1):
            if len(self.held) and (step % self.every == 0 or step == self.steps):
                score = self.method.score(self.held, self.labels, self.rng)
                if score > self.score:
                    law = self.method.law.sampler.state_dict()
                    self.score, self.step = score, step
                    self.weights = {name: tensor.clone() for name, tensor in law.items()}
            yield logs


class FlowDensityEstimator(BaseEstimator):
    r"""The density of vectors by a normalising flow, :math:`\log N(T(x)) + \log|\det \partial T/\partial x|`.

    It learns by maximum likelihood and answers with exact densities in the units of the data: `score_samples` and
    `score` are in nats, as those of scikit-learn's `KernelDensity` and `GaussianMixture`. Rows that are like no others
    have the lowest. Columns are standardised; one that does not vary is returned as it is. With classes the density is
    conditional, and that of a row without a class is the mixture of all.

    Numbers that are rounded have no density. With `dequantise` a column whose numbers all lie on a grid, as of two
    decimals or whole numbers, has uniform noise as wide as a step added, in `fit` and in `score_samples`; there it is a
    function of the row. The mean of `score_samples` is then a bound from below of the log probability of the rounded
    rows, divided by the volume of a cell. `notes_` says of which columns.

    Args:
        flow: 'nsf' (autoregressive splines), 'maf' (autoregressive, affine) or 'realnvp' (affine couplings).
        transforms: Transformations, one after another.
        width: Units of a hidden layer of their nets.
        depth: Hidden layers of each.
        bins: Of a spline.
        steps: Steps of training.
        batch_size: Rows of a batch.
        lr: Adam's learning rate at the first step, which falls to a thousandth along a cosine.
        half_life: Thousands of rows in which the running average that answers forgets half; 0 for none.
        validation_fraction: Share of the rows that nothing is learned from: of forty looks at them the best one
            answers, which is what keeps a fit to few rows honest. With 0, or a share of fewer than five rows, the last
            step answers.
        dequantise: Whether noise is added to rounded columns.
        device: 'cpu', 'cuda', 'auto', or any name torch knows.
        random_state: Seed of weights, noise, batches and draws: a whole number, a `RandomState`, or None.
        verbose: Whether to show a progress bar.

    Attributes:
        net_: The law, a torch module whose call is the log density in standard units of rows, (n, d), and one-hot
            classes, (n, K), if there are some.
        layout_: What it was built from.
        best_step_: The step that answers.
        unit_: The map between data units and standard units.
        cells_: Width of the cells that columns were rounded to, (d,), in data units; 0 for none.
        event_shape_: Shape of one sample, (d,).
        classes_: The classes in sorted order, or None.
        class_prior_: Their frequencies, or None.
        n_features_in_: Number of columns d.
        feature_names_in_: Names of the columns, where X had some.
        columns_: Names and types of the columns, where X was a data frame of pandas; else None.
        notes_: What was assumed of the columns, in plain words.

    Example:
        >>> from sklearn.datasets import make_moons
        >>> x, y = make_moons(500, noise=0.05, random_state=0)
        >>> model = FlowDensityEstimator(steps=20, random_state=0).fit(x)
        >>> model.sample(3, random_state=0).shape, model.score_samples(x[:5]).shape
        ((3, 2), (5,))

    References:
        Neural spline flows (Durkan et al., 2019), arXiv:1906.04032.
        Masked autoregressive flow for density estimation (Papamakarios et al., 2017), arXiv:1705.07057.
    """

    net_: nn.Module
    layout_: Flow
    best_step_: int
    unit_: Unit
    cells_: Array
    event_shape_: tuple[int, ...]
    classes_: NDArray | None
    class_prior_: Array | None
    n_features_in_: int
    columns_: Columns | None
    notes_: tuple[str, ...]

    def __init__(
        self,
        *,
        flow: FlowName = TABLE.net.flow,
        transforms: int = TABLE.net.transforms,
        width: int = TABLE.net.width,
        depth: int = TABLE.net.depth,
        bins: int = TABLE.net.bins,
        steps: int = TABLE.loop.steps,
        batch_size: int = TABLE.loop.batch,
        lr: float = TABLE.learning.rate,
        half_life: float = TABLE.learning.half_life,
        validation_fraction: float = 0.1,
        dequantise: bool = True,
        device: str = "cpu",
        random_state: Seed = None,
        verbose: bool = False,
    ) -> None:
        self.flow: FlowName = flow
        self.transforms = transforms
        self.width = width
        self.depth = depth
        self.bins = bins
        self.steps = steps
        self.batch_size = batch_size
        self.lr = lr
        self.half_life = half_life
        self.validation_fraction = validation_fraction
        self.dequantise = dequantise
        self.device = device
        self.random_state: Seed = random_state
        self.verbose = verbose

    def __sklearn_tags__(self) -> Tags:
        """What scikit-learn may feed this estimator."""
        tags = super().__sklearn_tags__()
        tags.estimator_type = "density_estimator"
        return tags

    @ordinarily
    def fit(self, X: ArrayLike, y: ArrayLike | None = None) -> Self:
        """Learn the density of X, or of X given its classes y.

        Args:
            X: Data, (n, d), at least two different rows; a data frame of pandas has its columns given back.
            y: Classes, (n,), numbers or text; None for a density without classes.

        Raises:
            ValueError: If the data or a parameter cannot be used.
            TrainingError: If training diverges.
        """
        layout = self._checked()
        data = validated(self, X, reset=True)
        labelling, labels = Labelling.of(y, data)
        self.unit_, self.event_shape_ = pooled(data), data.shape[1:]
        self.classes_, self.class_prior_ = labelling.classes, labelling.prior
        self.cells_ = np.where(self.unit_.scale > 0, cells(data) if self.dequantise else 0.0, 0.0)
        names = self.columns_.names if self.columns_ else ()
        told = told_of_cells(data, self.cells_, names) if self.dequantise else ()
        self.notes_ = (*notes_on(self.columns_, self.unit_, data), *told)
        self.layout_ = layout
        self.net_ = self._learned(self._coordinates.encode(data), labels)
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
        """Draw new samples; numbers of columns that were rounded have more digits than theirs.

        Args:
            n: Number of samples.
            random_state: Seed of the draw; None for that of the estimator: a whole number there gives the same samples
                at every call. With one seed, few samples are the first of many.
            y: One class for all samples, or one each, (n,); None draws classes by their frequencies in the data.
            return_labels: Whether to return the classes too.

        Returns:
            Samples (n, d) in data units, float64; after a fit to a data frame of pandas a frame with its columns and
            types; with `return_labels` also their classes (n,).

        Raises:
            ValueError: If y holds an unknown class, or the model was fitted without classes.
            TrainingError: If samples are not finite.
        """
        check_is_fitted(self)
        check_count(n=n)
        classes = self._labelling.known if return_labels else np.empty(0)
        seed, method = seed_of_draw(random_state, self.random_state), self._method()
        codes, rng = self._labelling.drawn(n, y, seed, "sample"), stream(seed, "sample")
        x = first_of(lambda size, labels: method.sample(size, rng, labels), n, codes)
        found = frame_of(self.columns_, self._coordinates.decode(x))
        return (found, classes[codes.numpy()]) if return_labels and codes is not None else found

    @ordinarily
    def score_samples(self, X: ArrayLike, y: ArrayLike | None = None) -> Array:
        """Log density (n,) in nats, with respect to data units.

        Columns that do not vary count for nothing, and a row that differs there has the log density -inf, as has one so
        far out that numbers overflow.

        Args:
            X: Data, (n, d), in data units.
            y: Classes, for densities given the class: one for all rows, or one each, (n,). None for the mixture of all
                classes by their frequencies, which costs a pass for each.

        Raises:
            ValueError: If the data cannot be used, or y holds an unknown class.
        """
        check_is_fitted(self)
        data = samples_of(self, X)
        labels = None if y is None else self._labelling.coded(y, len(data))
        place, device = self._coordinates, find(self.device).device
        x, found = place.encode(data), np.full(len(data), -np.inf)
        rows = torch.from_numpy(place.possible(data)) & x.isfinite().all(1)
        method, kind = self._method(finest(device)), finest(device)
        for part in torch.nonzero(rows)[:, 0].split(ROWS):
            given = None if labels is None else labels[part].to(device)
            with torch.no_grad():
                answer = method.log_prob(x[part].to(device, kind), given)
            found[part.numpy()] = answer.double().cpu().numpy() + place.log_volume
        return found

    def score(self, X: ArrayLike, y: ArrayLike | None = None) -> float:
        """Mean of `score_samples`, in nats a row, as of scikit-learn's `GaussianMixture`; higher is better.

        Args:
            X: Data, (n, d), in data units.
            y: Their classes, (n,), for a model with classes; a model without passes them over, as in a search.
        """
        check_is_fitted(self)
        return float(self.score_samples(X, None if self.classes_ is None else y).mean())

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything to one safetensors file, without pickle; a `RandomState` is stored as None.

        Args:
            path: The file, for example moons.safetensors; replaced if it is there.
        """
        check_is_fitted(self)
        learned = {"event": self.event_shape_, "layout": asdict(self.layout_), "best_step": self.best_step_}
        tensors = {f"net.{name}": tensor for name, tensor in self.net_.state_dict().items()}
        store.write(
            path,
            self,
            learned | self._labelling.packed(),
            tensors | {"cells": torch.from_numpy(self.cells_)} | self.unit_.tensors(),
        )

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
            store.told(
                learned,
                event=list[int],
                layout=dict,
                best_step=int,
                classes=list | None,
                class_prior=list[float] | None,
            )
            model.layout_, model.best_step_ = store.made(Flow, learned["layout"]), learned["best_step"]
            examined(model.layout_)
            model.unit_, model.event_shape_ = Unit.of_tensors(tensors), tuple(learned["event"])
            labelling = Labelling.unpacked(learned)
            model.classes_, model.class_prior_ = labelling.classes, labelling.prior
            model.cells_ = tensors.pop("cells").numpy()
            if model.cells_.shape != model.event_shape_ or model.unit_.scale.shape != model.event_shape_:
                raise ValueError(f"columns of {model.event_shape_}, cells of {model.cells_.shape}")
            model.net_ = model._filled({name.removeprefix("net."): tensor for name, tensor in tensors.items()}, path)
            return model

    def _learned(self, x: Samples, labels: Labels | None) -> nn.Module:
        """Train a law on rows in standard units; its average, where it was best."""
        seed, placement = seed_of(self.random_state), find(self.device)
        count = round(self.validation_fraction * len(x))
        count = count if count >= FEWEST else 0
        order = torch.from_numpy(generator(seed, "data", part="held").permutation(len(x)))
        held, rows = order[:count], order[count:]
        pace = Density(half_life=float(self.half_life))
        learner = Learner(
            build(lambda: flow_law(self.layout_, x.shape[1], self._n_classes, x[rows]), seed),
            partial(Adam, lr=self.lr, betas=(0.9, 0.99), fused=True), ema=pace.average(self.batch_size),
            schedule=cosine(self.steps, pace.rate_end), clip=5.0,
        )  # fmt: skip
        learner.place(placement)
        method = self._of(learner, seed)
        size, of = self.batch_size, None if labels is None else labels[rows]
        batches = Batches(x[rows], size, seed=seed) if of is None else Batches(x[rows], size, seed=seed, labels=of)
        known = None if labels is None else labels[held].to(placement.device)
        noise = stream(seed, "judge", device=placement.device)
        best = Best(method, x[held].to(placement.device), known, noise, max(1, self.steps // LOOKS), self.steps)
        follow(best.learn(batches.to(placement.device)), self.steps, self.verbose, terms_of(method))
        self.best_step_ = best.step or self.steps
        law = learner.sampler
        if best.weights:
            law.load_state_dict(best.weights)
        return law.requires_grad_(False).eval()

    def _of(self, learner: Learner, seed: int) -> MaximumLikelihood:
        """Maximum likelihood of a law of the fitted columns and classes."""
        moving = self.unit_.scale > 0
        device = learner.placement.device
        widths = torch.from_numpy(self.cells_[moving] / self.unit_.scale[moving]).to(device, torch.float32)
        prior = None
        if self.class_prior_ is not None:
            prior = torch.from_numpy(self.class_prior_).to(device, torch.float32)
        return MaximumLikelihood(learner, stream(seed, "train", device=device), widths, prior)

    def _method(self, kind: torch.dtype = torch.float32) -> MaximumLikelihood:
        """The fitted law, which computes in a floating type."""
        placement = find(self.device)
        net = self.net_.to(placement.device)
        learner = Learner(net if kind == torch.float32 else deepcopy(net).to(kind), partial(SGD, lr=0.0))
        learner.place(placement)
        return self._of(learner, 0)

    def _filled(self, tensors: Mapping[str, Tensor], path: str | os.PathLike[str]) -> nn.Module:
        """The law with the tensors of a file, which must hold as many numbers as it has weights.

        Raises:
            DataError: If they do not fit.
            ValueError: If a file says of larger nets than it has tensors.
        """
        shape, dim = self.layout_, int(np.count_nonzero(self.unit_.scale))
        inputs = dim + self._n_classes + (shape.depth - 1) * shape.width
        least, there = shape.transforms * shape.width * inputs, sum(tensor.numel() for tensor in tensors.values())
        if least > there:
            raise ValueError(f"nets of at least {least} numbers, tensors of {there}")
        net = build(lambda: flow_law(shape, dim, self._n_classes), 0)
        return store.fill(net, dict(tensors), path)

    @property
    def _n_classes(self) -> int:
        return 0 if self.classes_ is None else len(self.classes_)

    @property
    def _coordinates(self) -> Coordinates:
        return Coordinates(self.unit_, self.event_shape_, (int(np.count_nonzero(self.unit_.scale)),))

    @property
    def _labelling(self) -> Labelling:
        return Labelling(self.classes_, self.class_prior_)

    def _checked(self) -> Flow:
        """Look at all parameters; those of the flow."""
        check_count(steps=self.steps, batch_size=self.batch_size)
        check_count(transforms=self.transforms, width=self.width, depth=self.depth)
        check_count(least=2, bins=self.bins)
        check_number(lr=self.lr)
        check_number(most=0.9, ends="both", validation_fraction=self.validation_fraction)
        check_number(ends="left", half_life=self.half_life)
        layout = Flow(self.flow, int(self.transforms), int(self.width), int(self.depth), int(self.bins))
        examined(layout)
        return layout
