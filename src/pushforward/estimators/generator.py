"""`FlowGenerator`: a generator learned by VGrow, for points, tables and small images, with or without classes."""

from __future__ import annotations

import math
import os
from dataclasses import asdict, dataclass
from functools import partial
from typing import Literal, Self, overload

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted
from torch import nn
from torch.optim import Adam

from pushforward.data.batches import Batches
from pushforward.data.units import Array, Unit, box, pooled
from pushforward.divergences import Divergence, locate
from pushforward.estimators import store
from pushforward.estimators.checks import check_count, check_number
from pushforward.estimators.classes import Labelling
from pushforward.estimators.columns import Columns, Rows, frame_of, notes_on
from pushforward.estimators.layout import NetShape
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
from pushforward.flows.critic import CriticFlow
from pushforward.methods.adversarial.vgrow import Balance, VGrow, shrinking
from pushforward.methods.sources import normal
from pushforward.metrics.quality.sliced import directions, sliced_wasserstein
from pushforward.objectives.penalties import both
from pushforward.parallel.ordinary import ordinarily
from pushforward.randomness import Noise, Purpose, stream
from pushforward.training.facts import terms_of
from pushforward.training.learner import Learner
from pushforward.training.schedule import geometric, linear
from pushforward.types import Labels, Samples

__all__ = ["FlowGenerator"]


@dataclass(frozen=True)
class Pace:
    """What suits one kind of nets: the generator's learning rate, and what the rest hangs on.

    Attributes:
        lr: Adam's learning rate of the generator at the first step.
        critic: That of the critic, as a factor on it.
        memory: Adam's beta for the generator.
        calm: What is left of the penalty's weight after the last step.
    """

    lr: float
    critic: float
    memory: float
    calm: float


PERCEPTRONS, CONVOLUTIONS = Pace(4e-3, 0.25, 0.5, 0.1), Pace(1e-3, 1.0, 0.0, 1e-3)
SHRUNK = 0.05  # what is left of the radius of several moves
EVERY = 4  # updates of the critic from one look at its penalty to the next, which then counts so many times


class FlowGenerator(BaseEstimator):
    r"""A generator x = G(z) that follows the gradient flow of a divergence D(q‖p) from its samples q to the data p.

    Each step draws a batch of samples, trains a critic d towards log p/q, moves the samples along
    :math:`w(d)\,\nabla d`, and regresses the generator on where they went (VGrow). With one move and one fit, the
    default, this is a GAN whose generator loss is the divergence's first variation. The critic carries the zero-centred
    penalty :math:`\tfrac{w}{2}(\mathbb{E}_p + \mathbb{E}_q)\|\nabla d\|^2`, whose weight falls geometrically to a
    tenth, for images to a thousandth; learning rates fall linearly to 0, and samples come from a running average of the
    generator.

    Vectors (n, d) are standardised column by column and learned by perceptrons; a column that does not vary is returned
    as it is. The generator starts at the normal law with their mean and covariance and sees waves of z beside it; with
    one move, up to three columns and no classes both nets see random ones too. Arrays (n, side, side) or
    (n, channels, side, side) are taken for images, mapped to [-1, 1], and learned by convolutions; the side must be a
    power of two. With labels the model is conditional.

    Args:
        divergence: A constant of `pushforward.divergences` or its name, `'alpha(1.5)'`, or `'package.module:NAME'`.
        steps: Steps of training.
        batch_size: Rows of a batch.
        latent_dim: Size of z; None takes as many as a sample has numbers, but 8 to 128.
        width: Units of a hidden layer, or channels of the largest map; None takes 128 for vectors, 32 for images.
        depth: Hidden layers of the perceptrons; not used for images, whose side decides.
        lr: Adam's learning rate of the generator at the first step; the critic's is a quarter of it, for images the
            same. None takes 4e-3, and 1e-3 for images.
        penalty: Weight of the critic's penalty at the first step; 0 for none.
        moves: Moves of the samples in one step, with a fresh batch and an update of the critic each.
        pool: Samples that are moved in one step, as a multiple of the batch; None takes as many as moves, up to 5.
        fits: Regressions of the generator on all of them in one step; None makes one update of it for each move.
        step: Length of a move, in standard units per unit velocity.
        radius: Furthest that a sample goes in one move at the first step, in standard units, falling to a twentieth;
            None takes no bound for one move, and what suits their number for several (`Balance`).
        ema: Decay of the generator's running average.
        cap: Largest weight w of a sample.
        device: 'cpu', 'cuda', 'auto', or any name torch knows.
        random_state: Seed of weights, latents, batches and draws: a whole number, a `RandomState`, or None.
        verbose: Whether to show a progress bar.

    Attributes:
        net_: The generator's running average, a torch module that maps z, and classes if any, to standard units.
        layout_: Sizes of the nets.
        unit_: The map between data units and standard units.
        event_shape_: Shape of one sample.
        classes_: The classes in sorted order, or None.
        class_prior_: Their frequencies, or None.
        n_features_in_: Number of columns d; of an image, the length of its first axis.
        feature_names_in_: Names of the columns, where X had some.
        columns_: Names and types of the columns, where X was a data frame of pandas; else None.
        notes_: What was assumed of the columns, and how the generator lagged its particles, in plain words.

    Example:
        >>> from sklearn.datasets import make_moons
        >>> x, y = make_moons(500, noise=0.05, random_state=0)
        >>> model = FlowGenerator(steps=20, random_state=0).fit(x, y)
        >>> model.sample(3, random_state=0).shape, model.sample(3, y=1).shape
        ((3, 2), (3, 2))

    References:
        Deep generative learning via variational gradient flow (Gao et al., 2019), arXiv:1901.08469.
        Which training methods for GANs do actually converge? (Mescheder et al., 2018), arXiv:1801.04406.
    """

    net_: nn.Module
    layout_: NetShape
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
        divergence: str | Divergence = "KL",
        steps: int = 5000,
        batch_size: int = 128,
        latent_dim: int | None = None,
        width: int | None = None,
        depth: int = 3,
        lr: float | None = None,
        penalty: float = 0.1,
        moves: int = 1,
        pool: int | None = None,
        fits: int | None = None,
        step: float = 0.5,
        radius: float | None = None,
        ema: float = 0.999,
        cap: float = 100.0,
        device: str = "cpu",
        random_state: Seed = None,
        verbose: bool = False,
    ) -> None:
        self.divergence = divergence
        self.steps = steps
        self.batch_size = batch_size
        self.latent_dim = latent_dim
        self.width = width
        self.depth = depth
        self.lr = lr
        self.penalty = penalty
        self.moves = moves
        self.pool = pool
        self.fits = fits
        self.step = step
        self.radius = radius
        self.ema = ema
        self.cap = cap
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
        """Learn to generate X, or X given its classes y.

        Args:
            X: Data, (n, d), (n, side, side) or (n, channels, side, side), at least two different samples; a data frame
                of pandas has its columns given back.
            y: Classes, (n,), numbers or text; None for a model without classes.

        Raises:
            ValueError: If the data or a parameter cannot be used.
            TrainingError: If training diverges.
        """
        divergence = self._checked()
        data = validated(self, X, reset=True, images=True)
        labelling, labels = Labelling.of(y, data)
        classes = labelling.classes
        layout = NetShape.choose(data.shape[1:], latent=self.latent_dim, width=self.width, depth=self.depth,
                               classes=0 if classes is None else len(classes), moves=self.moves)  # fmt: skip
        unit = box(data) if layout.images else pooled(data)
        x = unit.encode(data).reshape(-1, *layout.event)
        self.net_, said = self._learned(layout, divergence, x, labels)
        self.layout_, self.unit_, self.event_shape_ = layout, unit, data.shape[1:]
        self.classes_, self.class_prior_ = classes, labelling.prior
        self.notes_ = (*(() if layout.images else notes_on(self.columns_, unit, data)), *said)
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
        x, codes = self._sampled(n, y, seed_of_draw(random_state, self.random_state), "sample")
        found = frame_of(self.columns_, x)
        return (found, classes[codes]) if return_labels else found

    def _sampled(self, n: int, y: ArrayLike | None, seed: int, name: Purpose) -> tuple[Array, NDArray | None]:
        """n samples in data units from the streams of one purpose, and the numbers of their classes, if any."""
        codes = self._labelling.drawn(n, y, seed, name)
        return self._drawn(n, codes, stream(seed, name)), None if codes is None else codes.numpy()

    @ordinarily
    def score(self, X: ArrayLike, y: ArrayLike | None = None) -> float:
        r"""Minus the sliced W2 distance between X and as many samples, in standard units: higher is better, 0 the best.

        With y, and a model with classes, :math:`-(\sum_k \tfrac{n_k}{n} SW_2^2(q_k, p_k))^{1/2}` over the classes.
        Directions and latents are fixed, so the score of a fitted model is a number, not a draw.

        Args:
            X: Data, (n, *event), in data units.
            y: Their classes, (n,), or None.
        """
        check_is_fitted(self)
        data = samples_of(self, X)
        known = None if self.classes_ is None else y
        groups = np.zeros(len(data), int) if known is None else self._labelling.coded(known, len(data)).numpy()
        p = self.unit_.encode(data).flatten(1)
        q = self.unit_.encode(self._sampled(len(data), known, 0, "judge")[0]).flatten(1)
        along, total = directions(p.shape[1], 128, seed=0), 0.0
        for group in np.unique(groups):
            rows = torch.from_numpy(np.flatnonzero(groups == group))
            total += len(rows) * sliced_wasserstein(q[rows], p[rows], along)[0] ** 2
        return -((total / len(data)) ** 0.5)

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
    def load(cls, path: str | os.PathLike[str], *, divergence: str | Divergence | None = None) -> Self:
        """Read what `save` wrote; the same seed then samples the same points.

        Args:
            path: The file.
            divergence: The divergence, where it lives outside this package: no file makes us import code.

        Raises:
            DataError: If the file is damaged, of another class, or names a divergence from outside.
        """
        with store.legible(path):
            model, learned, tensors = store.load(path, cls, divergence)
            store.told(learned, event=list[int], layout=dict, classes=list | None, class_prior=list[float] | None)
            model.layout_ = store.made(NetShape, learned["layout"])
            model.unit_, model.event_shape_ = Unit.of_tensors(tensors), tuple(learned["event"])
            labelling = Labelling.unpacked(learned)
            model.classes_, model.class_prior_ = labelling.classes, labelling.prior
            model.net_ = model.layout_.hollow()
            store.fill(model.net_, {name.removeprefix("net."): tensor for name, tensor in tensors.items()}, path)
            return model

    def _learned(self, layout: NetShape, divergence: Divergence, x: Samples, labels: Labels | None
                 ) -> tuple[nn.Module, tuple[str, ...]]:  # fmt: skip
        """Train nets of a layout on samples in model units; the generator's average, and what is to be known of it."""
        seed, placement = seed_of(self.random_state), find(self.device)
        nets = build(lambda: (layout.generator(x), layout.critic()), seed)
        suits, updates = CONVOLUTIONS if layout.images else PERCEPTRONS, self.steps * self.moves
        lr, adam = self.lr or suits.lr, partial(Adam, fused=True)
        pace = Balance.of(self.moves, math.prod(layout.event), self.pool, self.fits, self.radius)
        falling = linear(self.steps * pace.pool * pace.fits)
        grown = Learner(nets[0], partial(adam, lr=lr, betas=(suits.memory, 0.99)), ema=self.ema, schedule=falling)
        critic = Learner(nets[1], partial(adam, lr=suits.critic * lr, betas=(0.0, 0.99)), schedule=linear(updates))
        grown.place(placement)
        critic.place(placement)
        penalties = (partial(both, weight=self.penalty),) if self.penalty else ()
        flow = CriticFlow(critic, divergence, penalties=penalties, every=EVERY, cap=self.cap,
                          penalty_schedule=geometric(updates, suits.calm))  # fmt: skip
        rng = stream(seed, "train", device=placement.device)
        method = VGrow(grown, flow, normal(layout.latent), rng, pool=pace.pool, moves=self.moves, fits=pace.fits,
                       step=self.step, radius=shrinking(pace.radius, geometric(self.steps, SHRUNK)))  # fmt: skip
        size = self.batch_size
        batches = Batches(x, size, seed=seed) if labels is None else Batches(x, size, seed=seed, labels=labels)
        follow(method.learn(batches.to(placement.device)), self.steps, self.verbose, terms_of(method))
        return grown.sampler.requires_grad_(False).eval(), method.remarks(self.steps)

    @torch.no_grad()
    def _drawn(self, n: int, classes: Labels | None, rng: Noise) -> Array:
        """n samples in data units, with classes given by number; fewer are the first of them."""
        device = find(self.device).device
        net = self.net_.to(device)

        def draw(size: int, labels: Labels | None) -> Samples:
            z = rng.normal(size, self.layout_.latent).to(device)
            return net(z) if labels is None else net(z, labels.to(device))

        return self.unit_.decode(first_of(draw, n, classes).reshape(n, *self.event_shape_))

    @property
    def _labelling(self) -> Labelling:
        return Labelling(self.classes_, self.class_prior_)

    def _checked(self) -> Divergence:
        """The divergence, after a look at all parameters."""
        check_count(steps=self.steps, batch_size=self.batch_size, depth=self.depth, moves=self.moves)
        check_count(optional=True, latent_dim=self.latent_dim, width=self.width, pool=self.pool, fits=self.fits)
        check_number(step=self.step)
        check_number(optional=True, lr=self.lr)
        check_number(ends="right", cap=self.cap)
        check_number(ends="right", optional=True, radius=self.radius)
        check_number(ends="left", penalty=self.penalty)
        check_number(ends="left", most=1, ema=self.ema)
        return locate(self.divergence)
