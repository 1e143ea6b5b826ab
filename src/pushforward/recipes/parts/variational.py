"""What recipes of variational autoencoders share: laws by name, and images in black and white."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import torch

from pushforward.data import Dataset
from pushforward.densities.flows import FlowDensity, FlowKind, NormalisingFlow
from pushforward.densities.laws import Law, NormalMixture, StandardNormal, Vamp
from pushforward.densities.likelihoods.discrete import Bernoulli, Categorical, Discretised, Levels
from pushforward.densities.likelihoods.likelihood import Likelihood
from pushforward.densities.likelihoods.normal import Normal
from pushforward.errors import UsageError
from pushforward.methods.adversarial.vgrow import clamp
from pushforward.methods.latent.vae import VAE
from pushforward.nets.variational.model import Encoder, LatentModel
from pushforward.nets.variational.sides import Sides, convolutional, perceptrons
from pushforward.objectives.elbo import Weighting
from pushforward.randomness import seeded, stream
from pushforward.recipes.parts.wiring import adam
from pushforward.settings.groups import Loop
from pushforward.settings.variational import Autoencoding, Codes
from pushforward.training.learner import Learner
from pushforward.training.schedule import cosine
from pushforward.types import Samples

__all__ = ["Binarise", "binarised", "vae_of"]

Binarise = Literal["none", "threshold", "dynamic"]
MIXED = 5  # logistic laws of a pixel
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
    chance = stream(seed, "data", part="binarise").uniform(*data.test.shape)
    test = torch.where(2 * chance - 1 < data.test, 1.0, -1.0)
    said = (
        "pixels are black or white with the chance of their intensity, drawn once where held out, else in every batch"
    )
    return replace(data, test=test, notes=(*data.notes, said))


def _cut(x: Samples) -> Samples:
    return x if not len(x) or bool(x.isnan().any()) else torch.where(x > 0, 1.0, -1.0)


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
    codes, bounding = spec.codes, spec.bounding
    likelihood = _likelihood(data, spec, binarise)
    with seeded(loop.seed):
        sides = _sides(data, spec, likelihood.outputs)
        encoder = Encoder(sides.encoder, codes.code)
        flow = _flow(codes, codes.posterior, codes.context) if codes.posterior != "diagonal" else None
        model = LatentModel(encoder, sides.decoder, likelihood, _prior(codes, encoder, data, loop.seed), flow)
    learner = Learner(
        model, adam(spec.rate, (0.9, 0.99)), ema=spec.average(loop.batch), schedule=cosine(loop.steps, spec.rate_end),
        clip=100.0,
    )  # fmt: skip
    weighting = Weighting(bounding.beta, bounding.free, bounding.warmup)
    return VAE(
        learner, stream(loop.seed, "train"), weighting, bounding.draws, bounding.bound, binarise == "dynamic",
        clamp(-1, 1) if data.kind == "images" else None,
    )  # fmt: skip


def _likelihood(data: Dataset, spec: Autoencoding, binarise: Binarise) -> Likelihood:
    """p(x|z) by its name."""
    name = spec.likelihood
    if name == "normal":
        return Normal(data.event if data.kind == "points" else ())
    if data.kind != "images":
        raise UsageError(f"--likelihood {name}: {data.name} holds points, which have no levels; use normal")
    usual = 17 if data.network == "digits8" else 256
    levels = Levels(2 if binarise != "none" else spec.levels or usual)
    if not data.hollow:
        levels.index(data.test[:LOOK] if binarise == "dynamic" else data.train[:LOOK])
    if name == "bernoulli":
        if levels.count != 2:
            raise UsageError(f"--likelihood bernoulli: pixels of {levels.count} levels; use --binarise, or logistic")
        return Bernoulli(levels)
    if name == "categorical":
        return Categorical(levels)
    return Discretised(levels, "logistic", MIXED if name == "mixture" else 1)


def _sides(data: Dataset, spec: Autoencoding, outputs: int) -> Sides:
    """Encoder and decoder."""
    codes = spec.codes
    code, told = codes.code, 2 * codes.code + (codes.context if codes.posterior != "diagonal" else 0)
    if spec.net == "dense":
        return perceptrons(data.event, code, told, outputs, width=spec.width, depth=spec.depth)
    return convolutional(data.event, code, told, outputs, width=max(1, spec.width // 8), dense=spec.width)


def _flow(codes: Codes, kind: FlowKind, context: int = 0) -> NormalisingFlow:
    """A flow of codes."""
    hidden = (codes.flow_width, codes.flow_width)
    return NormalisingFlow(codes.code, kind, steps=codes.flow_steps, hidden=hidden, context=context)


def _prior(codes: Codes, encoder: Encoder, data: Dataset, seed: int) -> Law:
    """p(z) by its name."""
    if codes.prior == "normal":
        return StandardNormal(codes.code)
    if codes.prior == "mixture":
        return NormalMixture(codes.code, codes.components)
    if codes.prior == "vamp":
        rows = stream(seed, "init", part="vamp").integers(len(data.train), codes.components)
        return Vamp(encoder.base, data.train[rows])
    return FlowDensity(_flow(codes, codes.prior))
