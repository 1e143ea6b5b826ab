"""What recipes of variational autoencoders share: laws by name, images in black and white, and counts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from pushforward.data import Dataset
from pushforward.data.columns.cells import ROWS, cells, told_of_cells
from pushforward.data.raw import counted
from pushforward.densities.likelihoods.counts import NegativeBinomial
from pushforward.densities.likelihoods.discrete import Levels
from pushforward.densities.likelihoods.likelihood import Likelihood
from pushforward.errors import DataError, UsageError
from pushforward.methods.adversarial.vgrow import clamp
from pushforward.methods.latent.vae import VAE, drawn_levels
from pushforward.nets.variational.counts import Depths, perceptrons_of_counts
from pushforward.nets.variational.model import LatentModel
from pushforward.nets.variational.named import latent_model, likelihood_of, sides_of
from pushforward.objectives.elbo import Weighting
from pushforward.randomness import seeded, stream
from pushforward.recipes.parts.wiring import adam, score_on
from pushforward.settings.groups import Loop
from pushforward.settings.variational import Autoencoding, CodeLaws, Counted
from pushforward.training.learner import Learner
from pushforward.training.schedule import cosine
from pushforward.types import Samples

__all__ = ["Binarise", "binarised", "score_on_shares", "vae_of", "vae_of_counts", "with_note"]

Binarise = Literal["none", "threshold", "dynamic"]
DEPTH = 10_000  # counts of a row, as rows of counts are brought to one size
LOOK = 1000  # images whose pixels are held against the levels before any work


def binarised(data: Dataset, how: Binarise, seed: int) -> Dataset:
    """Images in black and white, or with dynamic those held out alone: rows to learn from are drawn in every batch.

    Args:
        data: Images in [-1, 1].
        how: threshold, white above the middle; dynamic, white with the chance of the intensity; none.
        seed: Of the held-out images, drawn once.
    """
    if how == "none":
        return data
    if how == "threshold":
        said = "every pixel above the middle is white, all others black"
        return replace(data, train=_cut(data.train), test=_cut(data.test), notes=(*data.notes, said))
    test = drawn_levels(data.test, stream(seed, "data", part="binarise"))
    said = (
        "pixels are black or white with the chance of their intensity, drawn once where held out, else in every batch"
    )
    return replace(data, test=test, notes=(*data.notes, said))


def _cut(x: Samples) -> Samples:
    return x if not len(x) or bool(x.isnan().any()) else torch.where(x > 0, 1.0, -1.0)


def with_note(points: Dataset) -> Dataset:
    """Points, and what is to be said of columns that have no density."""
    if points.hollow:
        return points
    rows = np.asarray(points.decode(points.train[:ROWS]), np.float64)
    return replace(points, notes=(*points.notes, *told_of_cells(rows, cells(rows), points.columns, spread=False)))


def vae_of(data: Dataset, spec: Autoencoding, loop: Loop, binarise: Binarise = "none") -> VAE:
    """A variational autoencoder of a data set.

    Args:
        data: What it is for, in black and white where it is to be so.
        spec: Its nets and laws.
        loop: How long it learns, and its seed.
        binarise: How the data were put in black and white.

    Raises:
        UsageError: If laws and data do not suit each other.
    """
    if spec.net == "convolutional" and data.kind != "images":
        raise UsageError(f"--net convolutional: {data.name} holds points; use dense")
    codes, likelihood = spec.codes, _likelihood(data, spec, binarise)
    with seeded(loop.seed):
        sides = sides_of(
            data.event, codes, likelihood.outputs, dense=spec.net == "dense", width=spec.width, depth=spec.depth
        )
        model = latent_model(codes, sides, likelihood, _inputs(codes, data, loop.seed))
    found = _learning(model, spec, loop)
    return replace(found, binarise=binarise == "dynamic", project=clamp(-1, 1) if data.kind == "images" else None)


def vae_of_counts(data: Dataset, spec: Counted) -> VAE:
    """A variational autoencoder of counts, told the classes of rows where the options say so.

    Args:
        data: Counts as they are, (n, columns).
        spec: Its nets and laws, how long it learns, and its seed.

    Raises:
        UsageError: If the prior is one of inputs that are learned, which would be no counts.
        DataError: If the numbers are no counts.
    """
    codes, batches = spec.codes, data.n_classes if spec.classes.conditional else 0
    if codes.prior == "vamp":
        raise UsageError("--prior vamp: its inputs are learned and would be no counts; use mixture or maf")
    if not data.hollow:
        counted(data.train.numpy(), data.name, data.columns)
    depths = Depths(data.train.sum(1), data.train_labels, batches)
    with seeded(spec.loop.seed):
        sides = perceptrons_of_counts(data.train, batches, codes.code, codes.told, width=spec.width, depth=spec.depth)
        model = latent_model(codes, sides, NegativeBinomial(), given=depths)
    return _learning(model, spec, spec.loop)


def score_on_shares(data: Dataset, seed: int) -> Callable[[Tensor], float]:
    """The number for the best checkpoint, of log(1 + 10,000 shares): else the deepest rows alone would be compared."""

    def logged(x: Tensor) -> Tensor:
        return (DEPTH * x / x.sum(1, keepdim=True).clamp_min(1)).log1p()

    score = score_on(replace(data, train=logged(data.train)), None, seed, part="shares")
    return lambda x: score(logged(x.cpu()))


def _learning(model: LatentModel, spec: Autoencoding | Counted, loop: Loop) -> VAE:
    """A model, and how it learns.

    Raises:
        UsageError: If the gradient and the posterior do not suit each other.
    """
    bounding, posterior = spec.bounding, spec.codes.posterior
    if bounding.bound == "doubly" and posterior != "diagonal":
        raise UsageError(
            f"--bound doubly with --posterior {posterior}: use --bound importance, or --posterior diagonal"
        )
    learner = Learner(
        model, adam(spec.rate, (0.9, 0.99)), ema=spec.average(loop.batch), schedule=cosine(loop.steps, spec.rate_end),
        clip=100.0,
    )  # fmt: skip
    weighting = Weighting(bounding.beta, bounding.free, bounding.warmup)
    return VAE(learner, stream(loop.seed, "train"), weighting, bounding.draws, bounding.bound)


def _likelihood(data: Dataset, spec: Autoencoding, binarise: Binarise) -> Likelihood:
    """p(x|z) by its name."""
    name = spec.likelihood
    if name == "normal":
        return likelihood_of(name, data.event, None)
    if data.kind != "images":
        raise UsageError(f"--likelihood {name}: {data.name} holds points, which have no levels; use normal")
    usual = 17 if data.network == "digits8" else 256
    levels = Levels(2 if binarise != "none" else spec.levels or usual)
    if not data.hollow:
        _on_levels(data, levels, data.test[:LOOK] if binarise == "dynamic" else data.train[:LOOK])
    if name == "bernoulli" and levels.count != 2:
        raise UsageError(
            f"--likelihood bernoulli: pixels of {levels.count} levels; use logistic, --levels 2, or vae_mnist, which "
            "puts them in black and white"
        )
    return likelihood_of(name, data.event, levels)


def _on_levels(data: Dataset, levels: Levels, x: Samples) -> None:
    """Look whether pixels have the levels that a likelihood is of.

    Raises:
        DataError: If some have not.
    """
    try:
        levels.index(x)
    except DataError as error:
        raise DataError(
            f"{data.name}: some pixels are on none of {levels.count} levels spread evenly from black to white: give "
            "--levels N that has them, save them as whole numbers, or use --likelihood normal"
        ) from error


def _inputs(codes: CodeLaws, data: Dataset, seed: int) -> Tensor | None:
    """The first inputs of vamp, rows of the data; None for all other priors."""
    if codes.prior != "vamp":
        return None
    return data.train[stream(seed, "init", part="vamp").integers(len(data.train), codes.components)]
