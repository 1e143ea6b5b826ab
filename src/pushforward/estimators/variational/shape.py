"""Which variational autoencoder an array of samples calls for: its nets, and the laws around them."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from pushforward.densities.flows import FlowDensity, FlowKind, NormalisingFlow
from pushforward.densities.laws import Law, NormalMixture, StandardNormal, Vamp
from pushforward.densities.likelihoods.discrete import Bernoulli, Categorical, Discretised, Levels
from pushforward.densities.likelihoods.likelihood import Likelihood
from pushforward.densities.likelihoods.normal import Normal
from pushforward.estimators.learn import build
from pushforward.estimators.store import fill
from pushforward.estimators.variational.levels import MOST, Named
from pushforward.nets.variational.model import Encoder, LatentModel
from pushforward.nets.variational.sides import convolutional, perceptrons
from pushforward.settings.variational import Autoencoding, CodeLaws

__all__ = ["LARGEST", "ModelShape", "Pace", "Posterior", "Prior", "image_inside"]

Prior = Literal["normal", "mixture", "vamp", "maf", "nsf", "realnvp"]
Posterior = Literal["diagonal", "maf", "nsf", "realnvp"]
LARGEST = 4096  # numbers of a code
MIXED = 5  # logistic laws of a pixel
SMALL = 8  # largest side of images that perceptrons learn as well as convolutions


@dataclass(frozen=True)
class Pace:
    """What suits samples of a kind.

    Attributes:
        batch: Rows of a batch.
        width: Units of a hidden layer.
        rate: Learning rate at the start.
        rate_end: What is left of it at the end, as a factor.
    """

    batch: int
    width: int
    rate: float
    rate_end: float = Autoencoding().rate_end


TABLES, STAMPS, PICTURES = Pace(256, 128, 2e-3), Pace(192, 256, 1e-3), Pace(128, 256, 1e-3)


def image_inside(event: Sequence[int]) -> tuple[int, ...]:
    """Shape of one sample in the model: (d,) of vectors, or (channels, side, side).

    Raises:
        ValueError: If the samples are neither vectors nor square images of 1 to 4 channels.
    """
    inside = (1, *event) if len(event) == 2 else tuple(event)
    if len(inside) == 1 or (len(inside) == 3 and inside[1] == inside[2] and inside[0] <= 4):
        return inside
    raise ValueError(f"samples of shape {tuple(event)}: give vectors (n, d), images (n, side, side) or (n, channels, "
                     "side, side) with 1 to 4 channels, or flatten them to vectors: "
                     f"X.reshape(len(X), {math.prod(event)})")  # fmt: skip


@dataclass(frozen=True)
class ModelShape:
    """Sizes and laws of a variational autoencoder.

    Attributes:
        event: Shape of one sample in the model: (d,) of the columns that vary, or (channels, side, side).
        code: Numbers of a code.
        prior: p(z).
        components: Laws in a mixture, or inputs of vamp.
        posterior: q(z|x).
        likelihood: p(x|z).
        levels: How many there are, from -1 to 1; 0 for a continuum.
        width: Units of a hidden layer; an eighth of them are the channels of the largest map.
        depth: Hidden layers of perceptrons, of either side.
    """

    event: tuple[int, ...]
    code: int
    prior: Prior
    components: int
    posterior: Posterior
    likelihood: Named
    levels: int
    width: int
    depth: int

    @property
    def images(self) -> bool:
        """Whether the samples are images."""
        return len(self.event) == 3

    @property
    def dense(self) -> bool:
        """Whether both sides are perceptrons."""
        return not self.images or self.event[-1] <= SMALL

    @staticmethod
    def pace(event: tuple[int, ...]) -> Pace:
        """What suits samples of a shape."""
        if len(event) == 1:
            return TABLES
        return STAMPS if event[-1] <= SMALL else PICTURES

    def model(self, inputs: Tensor | None = None) -> LatentModel:
        """A fresh model.

        Args:
            inputs: The first inputs of vamp, (components, *event); None to be filled.
        """
        law, told = self._likelihood(), 2 * self.code
        flow = None if self.posterior == "diagonal" else self._flow(self.posterior)
        if self.dense:
            sides = perceptrons(self.event, self.code, told, law.outputs, width=self.width, depth=self.depth)
        else:
            channels = max(1, self.width // 8)
            sides = convolutional(self.event, self.code, told, law.outputs, width=channels, dense=self.width)
        encoder = Encoder(sides.encoder, self.code)
        return LatentModel(encoder, sides.decoder, law, self._prior(encoder, inputs), flow)

    def filled(self, tensors: dict[str, Tensor], path: str | os.PathLike[str]) -> LatentModel:
        """The model with the tensors of a file, without memory for any net before they are known to fit.

        Raises:
            DataError: If they do not fit.
            ValueError: If a file says of more than it has tensors for, or of what no model has.
        """
        if self.depth > len(tensors) or not 0 < self.code <= LARGEST or self.width < 1:
            raise ValueError(f"{self.depth} layers of {self.width} units, codes of {self.code}, {len(tensors)} tensors")
        image_inside(self.event)
        with torch.device("meta"):
            fill(self.model(), tensors, path)
        net = build(self.model, 0)
        net.load_state_dict(tensors)
        return net.requires_grad_(False).eval()

    def _likelihood(self) -> Likelihood:
        """p(x|z) by its name."""
        if self.likelihood == "normal":
            return Normal(() if self.images else self.event)
        levels = Levels(min(self.levels, MOST))
        if self.likelihood == "bernoulli":
            return Bernoulli(levels)
        if self.likelihood == "categorical":
            return Categorical(levels)
        return Discretised(levels, "logistic", MIXED if self.likelihood == "mixture" else 1)

    def _flow(self, kind: FlowKind) -> NormalisingFlow:
        """A flow of codes; its masks are found by looking at numbers, which there are none of on the meta device."""
        usual = CodeLaws()
        with torch.device("cpu"):
            return NormalisingFlow(self.code, kind, steps=usual.flow_steps, hidden=2 * (usual.flow_width,))

    def _prior(self, encoder: Encoder, inputs: Tensor | None) -> Law:
        """p(z) by its name."""
        if self.prior == "normal":
            return StandardNormal(self.code)
        if self.prior == "mixture":
            return NormalMixture(self.code, self.components)
        if self.prior == "vamp":
            return Vamp(encoder.base, torch.zeros(self.components, *self.event) if inputs is None else inputs)
        return FlowDensity(self._flow(self.prior))
