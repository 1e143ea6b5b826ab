"""A variational autoencoder by the names of its laws and the sizes of its nets."""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward.densities.flows import FlowDensity, NormalisingFlow
from pushforward.densities.laws import Law, NormalMixture, StandardNormal, Vamp
from pushforward.densities.likelihoods.discrete import Bernoulli, Categorical, Discretised, Levels
from pushforward.densities.likelihoods.likelihood import Likelihood
from pushforward.densities.likelihoods.normal import Normal
from pushforward.errors import UsageError
from pushforward.nets.variational.model import Encoder, Given, LatentModel
from pushforward.nets.variational.sides import Sides, convolutional, perceptrons
from pushforward.settings.densities import FlowName
from pushforward.settings.variational import CodeLaws, LikelihoodName

__all__ = ["latent_model", "likelihood_of", "sides_of"]

MIXED = 5  # logistic laws of a pixel


def latent_model(
    codes: CodeLaws, sides: Sides, likelihood: Likelihood, inputs: Tensor | None = None, given: Given | None = None
) -> LatentModel:
    """A fresh model around an encoder and a decoder.

    Args:
        codes: The laws of its codes.
        sides: Encoder and decoder.
        likelihood: p(x|z).
        inputs: The first inputs of vamp, (components, *event).
        given: What both sides are told of a row.
    """
    encoder = Encoder(sides.encoder, codes.code)
    flow = _posterior(codes)
    return LatentModel(encoder, sides.decoder, likelihood, _prior(codes, encoder, inputs), flow, given)


def likelihood_of(name: LikelihoodName, event: tuple[int, ...], levels: Levels | None) -> Likelihood:
    """p(x|z) by its name.

    Args:
        name: normal, of one width for all pixels of an image and one a column elsewhere; or a law of levels.
        event: Shape of one sample, (d,) or (channels, height, width).
        levels: Those that numbers have; None for a continuum, which normal alone is for.

    Raises:
        UsageError: If there are no levels for a law of levels.
    """
    if name == "normal":
        return Normal(() if len(event) == 3 else event)
    if levels is None:
        raise UsageError(f"likelihood {name}: is of levels; give them, or use normal")
    if name == "bernoulli":
        return Bernoulli(levels)
    if name == "categorical":
        return Categorical(levels)
    return Discretised(levels, "logistic", MIXED if name == "mixture" else 1)


def sides_of(event: tuple[int, ...], codes: CodeLaws, outputs: int, *, dense: bool, width: int, depth: int) -> Sides:
    """Encoder and decoder: perceptrons, or convolutions with an eighth of the width as channels of the largest map."""
    if dense:
        return perceptrons(event, codes.code, codes.told, outputs, width=width, depth=depth)
    return convolutional(event, codes.code, codes.told, outputs, width=max(1, width // 8), dense=width)


def _posterior(codes: CodeLaws) -> NormalisingFlow | None:
    """What carries the encoder's normal draw; None for a diagonal posterior."""
    return None if codes.posterior == "diagonal" else _flow(codes, codes.posterior, codes.context)


def _prior(codes: CodeLaws, encoder: Encoder, inputs: Tensor | None) -> Law:
    """p(z) by its name."""
    if codes.prior == "normal":
        return StandardNormal(codes.code)
    if codes.prior == "mixture":
        return NormalMixture(codes.code, codes.components)
    if codes.prior == "vamp":
        assert inputs is not None
        return Vamp(encoder.base, inputs)
    return FlowDensity(_flow(codes, codes.prior))


def _flow(codes: CodeLaws, kind: FlowName, context: int = 0) -> NormalisingFlow:
    """A flow of codes; its masks are found by looking at numbers, which there are none of on the meta device."""
    hidden = (codes.flow_width, codes.flow_width)
    with torch.device("cpu"):
        return NormalisingFlow(codes.code, kind, steps=codes.flow_steps, hidden=hidden, context=context)
