"""`FlowVAE`: a variational autoencoder for tables and images, which answers for likelihoods and for where they go."""

from __future__ import annotations

import math
import os
from copy import deepcopy
from dataclasses import asdict
from functools import partial
from typing import Literal, Self, get_args

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted
from torch.optim import Adam

from pushforward.data.batches import Batches
from pushforward.data.columns.cells import cells, told_of_cells
from pushforward.data.units import Array, Unit, box, pooled
from pushforward.densities.likelihoods.discrete import Levels
from pushforward.errors import DataError, UsageError
from pushforward.estimators import store
from pushforward.estimators.bridges.shape import Coordinates
from pushforward.estimators.checks import check_count, check_number
from pushforward.estimators.columns import Columns, Rows, frame_of, notes_on
from pushforward.estimators.learn import Seed, build, find, follow, samples_of, seed_of, seed_of_draw, validated
from pushforward.estimators.variational import work
from pushforward.estimators.variational.levels import MOST, chosen, unit_of
from pushforward.estimators.variational.shape import LARGEST, ModelShape, image_inside
from pushforward.estimators.variational.work import Account
from pushforward.methods.latent.bounds import bounds
from pushforward.methods.latent.vae import VAE, Bound
from pushforward.nets.variational.model import LatentModel
from pushforward.objectives.elbo import Weighting
from pushforward.parallel.doubles import finest
from pushforward.parallel.ordinary import ordinarily
from pushforward.randomness import stream
from pushforward.settings.groups import decay
from pushforward.settings.variational import LikelihoodName, PosteriorName, PriorName
from pushforward.training.facts import terms_of
from pushforward.training.learner import Learner
from pushforward.training.schedule import cosine
from pushforward.types import Samples

__all__ = ["FlowVAE"]

CODES = 16  # numbers of a code, unless rows have fewer


class FlowVAE(BaseEstimator):
    r"""A model :math:`p(x) = \int p(z)\,p(x|z)\,dz` of rows by codes z, which bounds their likelihoods from below.

    An encoder says where the codes of a row lie, a decoder what rows a code stands for; both learn to raise
    :math:`E_{q(z|x)}[\log p(x|z) + \log p(z) - \log q(z|x)] \le \log p(x)` with none of its constants left out, so that
    bounds compare with log likelihoods of any other model in the same units.

    Vectors (n, d) are standardised column by column, and given their code are normal about what the decoder says, of a
    width for each column; a column that does not vary is returned as it is. Arrays (n, side, side) or
    (n, channels, side, side) are taken for images; unless the likelihood is normal their pixels are levels, and bounds
    are of probabilities. Perceptrons learn vectors and images up to 8 x 8, convolutions what is larger.

    All rows are learned from, and few are learned by heart: hold some out, compare `score` of both, and take fewer
    steps, or a smaller net, where they part.

    `likelihood_draws` and `device` are those of answers: `set_params` changes them after a fit.

    Args:
        code: Numbers of a code; None takes 16, or as many as a row has numbers that vary if these are fewer.
        prior: Law of codes: normal, N(0, I); mixture, of normal laws with full covariances; vamp, of the posteriors of
            inputs that are learned; maf, nsf and realnvp are normalising flows.
        components: Laws in a mixture, or inputs of vamp.
        posterior: Law of the codes of a row: diagonal, normal numbers that are independent; maf, nsf and realnvp flows
            of them, the same for all rows.
        likelihood: Law of a row given its code: normal; bernoulli, logistic, mixture (of five logistic laws) and
            categorical for levels of pixels. auto is normal for vectors, and for images bernoulli where they have two
            levels, else logistic.
        levels: That pixels have; None finds them, as `notes_` says.
        steps: Steps of training.
        batch_size: Rows of a batch; None takes 256 for vectors, 128 for images, 192 for those up to 8 x 8.
        width: Units of a hidden layer, an eighth of which are the channels of the largest map; None takes 128 for
            vectors, 256 for images.
        depth: Hidden layers of the perceptrons of either side; not used by convolutions.
        lr: Adam's learning rate at the start, which falls to a hundredth; None takes 2e-3 for vectors, 1e-3 for images.
        beta: Weight of the divergence of q(z|x) from p(z) in what is learned; at anything but 1 that is no bound.
        free: Nats of the divergence, on average over a batch, that cost nothing.
        warmup: Steps in which beta rises from 0, so that codes are used before they cost; None takes a tenth of the
            steps of the elbo, and 0 with other bounds.
        draws: Codes of a row in a step.
        bound: What is raised: elbo; importance, of several codes of a row; doubly, the same with a gradient of the
            encoder that keeps its signal, for a diagonal posterior.
        likelihood_draws: K, codes of a row behind `score_samples`.
        half_life: Thousands of rows in which the running average that answers forgets half; 0 for none.
        device: 'cpu', 'cuda', 'auto', or any name torch knows.
        random_state: Seed of weights, noise, batches and draws: a whole number, a `RandomState`, or None.
        verbose: Whether to show a progress bar.

    Attributes:
        net_: The model, a torch module, in model units.
        layout_: Its sizes and laws.
        unit_: The map between data units and model units.
        event_shape_: Shape of one sample.
        n_features_in_: Number of columns d; of an image, the length of its first axis.
        feature_names_in_: Names of the columns, where X had some.
        columns_: Names and types of the columns, where X was a data frame of pandas; else None.
        notes_: What was assumed of the data, which likelihood was taken, and a posterior that collapsed, in words.

    Example:
        >>> from sklearn.datasets import make_moons
        >>> x, _ = make_moons(500, noise=0.05, random_state=0)
        >>> model = FlowVAE(steps=20, random_state=0).fit(x)
        >>> model.sample(3, random_state=0).shape, model.score_samples(x[:5]).shape, model.encode(x).shape
        ((3, 2), (5,), (500, 2))

    References:
        Auto-encoding variational Bayes (Kingma & Welling, 2014), arXiv:1312.6114;
        Variational lossy autoencoder (Chen et al., 2017), arXiv:1611.02731, for flow priors;
        Importance weighted autoencoders (Burda et al., 2016), arXiv:1509.00519.
    """

    net_: LatentModel
    layout_: ModelShape
    unit_: Unit
    event_shape_: tuple[int, ...]
    n_features_in_: int
    columns_: Columns | None
    notes_: tuple[str, ...]

    def __init__(
        self,
        code: int | None = None,
        *,
        prior: PriorName = "normal",
        components: int = 50,
        posterior: PosteriorName = "diagonal",
        likelihood: Literal["auto"] | LikelihoodName = "auto",
        levels: int | None = None,
        steps: int = 6000,
        batch_size: int | None = None,
        width: int | None = None,
        depth: int = 2,
        lr: float | None = None,
        beta: float = 1.0,
        free: float = 0.0,
        warmup: int | None = None,
        draws: int = 1,
        bound: Bound = "elbo",
        likelihood_draws: int = 128,
        half_life: float = 20.0,
        device: str = "cpu",
        random_state: Seed = None,
        verbose: bool = False,
    ) -> None:
        self.code = code
        self.prior: PriorName = prior
        self.components = components
        self.posterior: PosteriorName = posterior
        self.likelihood: Literal["auto"] | LikelihoodName = likelihood
        self.levels = levels
        self.steps = steps
        self.batch_size = batch_size
        self.width = width
        self.depth = depth
        self.lr = lr
        self.beta = beta
        self.free = free
        self.warmup = warmup
        self.draws = draws
        self.bound: Bound = bound
        self.likelihood_draws = likelihood_draws
        self.half_life = half_life
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
    def fit(self, X: ArrayLike, y: object = None) -> Self:
        """Learn encoder, decoder, prior and posterior together.

        Args:
            X: Data, (n, d), (n, side, side) or (n, channels, side, side), at least two different samples; a data frame
                of pandas has its columns given back.
            y: Ignored.

        Raises:
            ValueError: If the data or a parameter cannot be used.
            TrainingError: If training diverges.
        """
        self._checked()
        data = validated(self, X, reset=True, images=True)
        inside = image_inside(data.shape[1:])
        law, levels, said = chosen(self.likelihood, self.levels, data)
        unit = unit_of(levels) if levels else box(data) if len(inside) == 3 else pooled(data)
        inside = inside if len(inside) == 3 else (int(np.count_nonzero(unit.scale)),)
        layout = ModelShape(
            inside, int(self.code or min(CODES, math.prod(inside))), self.prior, int(self.components),
            self.posterior, law, levels.count if levels else 0, int(self.width or ModelShape.pace(inside).width),
            int(self.depth),
        )  # fmt: skip
        about = () if layout.images else (*notes_on(self.columns_, unit, data), *self._dense(data))
        self.net_, remarks = self._learned(layout, Coordinates(unit, data.shape[1:], inside).encode(data))
        self.layout_, self.unit_, self.event_shape_ = layout, unit, data.shape[1:]
        self.notes_ = (*about, said, *remarks)
        return self

    @ordinarily
    def encode(self, X: ArrayLike) -> Array:
        """Codes of rows, (n, code), float64: where the middle of q(z|x) goes.

        Args:
            X: Data, (n, *event), in data units; pixels need not be on the levels.

        Raises:
            ValueError: If the data cannot be used, or lie so far from what fit saw that the nets overflow.
        """
        check_is_fitted(self)
        z = work.codes(self._placed(), self._coordinates.encode(samples_of(self, X))).double().numpy()
        if not np.isfinite(z).all():
            raise DataError(f"row {int(np.argmin(np.isfinite(z).all(1)))} lies so far from what fit saw that its code "
                            "is no number: leave it out")  # fmt: skip
        return z

    @ordinarily
    def decode(self, Z: ArrayLike) -> Rows:
        """What codes stand for: the means of p(x|z), which lie between levels.

        Args:
            Z: Codes, (n, code).

        Returns:
            Rows (n, *event) in data units, float64; after a fit to a data frame of pandas a frame of numbers with
            fractions.

        Raises:
            ValueError: If the codes have another shape, or hold anything but finite numbers.
        """
        check_is_fitted(self)
        x = self._means(_codes_of(Z, self.layout_.code))
        return x if self.columns_ is None else self.columns_.framed(x, typed=False)

    @ordinarily
    def reconstruct(self, X: ArrayLike) -> Rows:
        """What is left of rows in their codes: `decode(encode(X))`.

        Args:
            X: Data, (n, *event), in data units.

        Returns:
            Rows as of `decode`; of a data frame they keep its index.
        """
        check_is_fitted(self)
        return frame_of(self.columns_, self._means(self.encode(X)), X)

    @ordinarily
    def sample(self, n: int = 1, random_state: Seed = None) -> Rows:
        """Draw new rows: codes of the prior, and rows of p(x|z).

        Args:
            n: Number of samples.
            random_state: Seed of the draw; None for that of the estimator: a whole number there gives the same samples
                at every call. With one seed, few samples are the first of many.

        Returns:
            Samples (n, *event) in data units, float64, pixels on their levels; after a fit to a data frame of pandas a
            frame with its columns and types.

        Raises:
            TrainingError: If samples are not finite.
        """
        check_is_fitted(self)
        check_count(n=n)
        rng = stream(seed_of_draw(random_state, self.random_state), "sample")
        x = work.samples(self._placed(), n, rng)
        rows, levels = self._decoded(x), self._levels
        if levels:  # exactly, as float32 has not every level
            rows = levels.value(levels.index(torch.from_numpy(rows))).numpy()
        return frame_of(self.columns_, rows)

    @ordinarily
    def score_samples(self, X: ArrayLike) -> Array:
        r"""A bound from below of the log likelihood of each row, (n,), in nats: :math:`\log\tfrac1K\sum_k e^{l_k}`.

        It is an estimate by K = `likelihood_draws` codes, :math:`l = \log p(x|z) + \log p(z) - \log q(z|x)`, which
        closes as K grows; `account` says how many of them count. Of vectors, and with a normal likelihood, it is of the
        density with respect to data units, else of the probability of the levels. Columns that do not vary count for
        nothing, and a row that differs there, or lies so far that the nets overflow, has -inf. Whole numbers in tables
        have no density: it grows beyond bounds as the fit gets better; add uniform noise of one step to X before `fit`.

        Args:
            X: Data, (n, *event), in data units.

        Raises:
            ValueError: If the data cannot be used, or pixels are on none of the levels.
        """
        check_is_fitted(self)
        x, rows = self._seen(X)
        found = np.full(len(rows), -np.inf)
        if rows.any():
            found[rows] = bounds(self._placed(x.dtype), x, self.likelihood_draws)[0].numpy() + self._volume
        return found

    def score(self, X: ArrayLike, y: object = None) -> float:
        """Mean of `score_samples`, in nats a sample, as of scikit-learn's `GaussianMixture`; higher is better.

        Args:
            X: Data, (n, *event), in data units.
            y: Ignored.
        """
        return float(self.score_samples(X).mean())

    @ordinarily
    def account(self, X: ArrayLike) -> Account:
        """Where the bound of rows goes, by a code of each: what is reconstructed, and what the codes cost.

        It takes a mixture of n laws at n points, time that grows with the square of the rows.

        Args:
            X: Data, (n, *event), in data units, at least two rows.

        Raises:
            ValueError: If the data cannot be used, or a row has no likelihood.
        """
        check_is_fitted(self)
        x, rows = self._seen(X)
        if not rows.all():
            raise DataError(f"row {int(np.argmin(rows))} has no likelihood: it differs in a column that did not vary, "
                            "or lies beyond float32: leave it out")  # fmt: skip
        numbers = math.prod(self.event_shape_) if self.layout_.levels else None
        return work.account(self._placed(x.dtype), x, self.likelihood_draws, self._volume, numbers)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything to one safetensors file, without pickle; a `RandomState` is stored as None.

        Args:
            path: The file, for example digits.safetensors; replaced if it is there.
        """
        check_is_fitted(self)
        tensors = {f"net.{name}": tensor for name, tensor in self.net_.state_dict().items()}
        learned = {"event": self.event_shape_, "layout": asdict(self.layout_)}
        store.write(path, self, learned, tensors | self.unit_.tensors())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read what `save` wrote; the same seed then samples the same rows.

        Args:
            path: The file.

        Raises:
            DataError: If the file is damaged or of another class.
        """
        with store.legible(path):
            model, learned, tensors = store.load(path, cls)
            store.told(learned, event=list[int], layout=dict)
            model.layout_ = store.made(ModelShape, learned["layout"])
            model.unit_, model.event_shape_ = Unit.of_tensors(tensors), tuple(learned["event"])
            model.net_ = model.layout_.filled(
                {name.removeprefix("net."): tensor for name, tensor in tensors.items()}, path
            )
            return model

    def _dense(self, x: Array) -> tuple[str, ...]:
        """What is said of columns that have no density."""
        names = self.columns_.names if self.columns_ else ()
        return told_of_cells(x, cells(x), names, spread=False)

    def _learned(self, layout: ModelShape, x: Samples) -> tuple[LatentModel, tuple[str, ...]]:
        """Train a model of a layout on samples in model units: its average, and what is to be said of it."""
        seed, placement, pace = seed_of(self.random_state), find(self.device), layout.pace(layout.event)
        size, rate = self.batch_size or pace.batch, self.lr or pace.rate
        first = x[stream(seed, "init", part="vamp").integers(len(x), layout.components)]
        net = build(lambda: layout.model(first), seed)
        average = decay(float(self.half_life), size)
        learner = Learner(net, partial(Adam, lr=rate, betas=(0.9, 0.99), fused=True), ema=average,
                          schedule=cosine(self.steps, pace.rate_end), clip=100.0)  # fmt: skip
        learner.place(placement)
        rising = (self.steps // 10 if self.bound == "elbo" else 0) if self.warmup is None else int(self.warmup)
        weighting = Weighting(float(self.beta), float(self.free), rising)
        rng = stream(seed, "train", device=placement.device)
        method = VAE(learner, rng, weighting, int(self.draws), self.bound)
        batches = Batches(x, size, seed=seed).to(placement.device)
        follow(method.learn(batches), self.steps, self.verbose, terms_of(method))
        answers = learner.sampler.requires_grad_(False).eval()
        assert isinstance(answers, LatentModel)
        return answers, tuple(method.remarks(1))

    def _placed(self, kind: torch.dtype = torch.float32) -> LatentModel:
        """The fitted model on its device, which computes in a floating type."""
        self._checked()
        net = self.net_.to(find(self.device).device)
        return net if kind == torch.float32 else deepcopy(net).to(kind)

    @property
    def _coordinates(self) -> Coordinates:
        return Coordinates(self.unit_, self.event_shape_, self.layout_.event)

    @property
    def _volume(self) -> float:
        """log |det| of model units by data units where there are densities, and 0 of probabilities."""
        return 0.0 if self.layout_.levels else self._coordinates.log_volume

    @property
    def _levels(self) -> Levels | None:
        """In data units, where there are some."""
        if not self.layout_.levels:
            return None
        low, high = (float(self.unit_.shift + sign * self.unit_.scale) for sign in (-1, 1))
        return Levels(self.layout_.levels, low, high)

    def _seen(self, X: ArrayLike) -> tuple[Samples, NDArray[np.bool_]]:
        """Rows that have a likelihood as the model sees them, on its device, and which of all these are, (n,)."""
        self._checked()
        data, place, device = samples_of(self, X), self._coordinates, find(self.device).device
        if levels := self._levels:
            levels.index(torch.from_numpy(data))
        x = place.encode(data)
        rows = torch.from_numpy(place.possible(data)) & x.isfinite().flatten(1).all(1)
        return x[rows].to(device, torch.float32 if self.layout_.images else finest(device)), rows.numpy()

    def _means(self, z: Array) -> Array:
        """Codes (n, code) -> means of rows, (n, *event), in data units."""
        x = work.means(self._placed(), torch.from_numpy(z).float(), math.prod(self.layout_.event))
        if not bool(x.isfinite().all()):
            row = int(np.argmin(x.isfinite().flatten(1).all(1).numpy()))
            raise DataError(f"code {row} stands for no numbers, so far from N(0, I) it lies: give codes as of encode")
        return self._decoded(x)

    def _decoded(self, x: Samples) -> Array:
        """Model units (n, *inside) -> data units (n, *event), float64, images in the range that fit saw."""
        return self._coordinates.decode(x.clamp(-1, 1) if self.layout_.images else x)

    def _checked(self) -> None:
        """Look at all parameters."""
        check_count(
            steps=self.steps, components=self.components, draws=self.draws, likelihood_draws=self.likelihood_draws
        )
        check_count(optional=True, code=self.code, batch_size=self.batch_size, width=self.width)
        check_count(least=0, depth=self.depth)
        check_count(least=0, optional=True, warmup=self.warmup)
        check_count(least=2, optional=True, levels=self.levels)
        check_number(optional=True, lr=self.lr)
        check_number(ends="left", beta=self.beta, free=self.free, half_life=self.half_life)
        for name, value, known in (
            ("prior", self.prior, get_args(PriorName)), ("posterior", self.posterior, get_args(PosteriorName)),
            ("likelihood", self.likelihood, ("auto", *get_args(LikelihoodName))),
            ("bound", self.bound, get_args(Bound)),
        ):  # fmt: skip
            if value not in known:
                raise UsageError(f"{name} {value!r}: use {', '.join(map(repr, known))}")
        for name, value, most in (("code", self.code, LARGEST), ("levels", self.levels, MOST)):
            if value is not None and value > most:
                raise UsageError(f"{name} {value}: give at most {most}")
        if self.bound == "doubly" and self.posterior != "diagonal":
            raise UsageError(f"bound 'doubly' with posterior {self.posterior!r}: use bound 'importance', or 'diagonal'")
        if self.bound != "elbo" and (self.beta, self.free, self.warmup or 0) != (1, 0, 0):
            raise UsageError(f"beta {self.beta:g}, free {self.free:g}, warmup {self.warmup or 0} are of the elbo: use "
                             f"bound 'elbo', or 1, 0 and 0 with {self.bound!r}")  # fmt: skip


def _codes_of(given: ArrayLike, code: int) -> Array:
    """Codes as finite float64, (n, code).

    Raises:
        UsageError: If they are anything else.
    """
    try:
        z = np.asarray(given, np.float64)
    except (TypeError, ValueError) as error:
        raise UsageError(f"Z holds what is no number: give codes (n, {code}), as of encode") from error
    if z.ndim != 2 or z.shape[1] != code or not len(z):
        raise UsageError(f"Z has shape {z.shape}: give codes (n, {code}), as of encode")
    if not np.isfinite(z).all():
        raise UsageError(f"Z[{int(np.argmin(np.isfinite(z).all(1)))}] holds NaN or infinity: give finite numbers")
    return z
