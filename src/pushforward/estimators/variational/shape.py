"""Which variational autoencoder an array of samples calls for: its nets, and the laws around them."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward.densities.likelihoods.discrete import Levels
from pushforward.estimators.learn import build
from pushforward.estimators.store import fill
from pushforward.estimators.variational.levels import MOST
from pushforward.nets.variational.model import LatentModel
from pushforward.nets.variational.named import latent_model, likelihood_of, sides_of
from pushforward.settings.variational import Autoencoding, CodeLaws, LikelihoodName, PosteriorName, PriorName

__all__ = ["LARGEST", "ModelShape", "Pace", "image_inside"]

LARGEST = 4096  # numbers of a code
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
    prior: PriorName
    components: int
    posterior: PosteriorName
    likelihood: LikelihoodName
    levels: int
    width: int
    depth: int

    @property
    def laws(self) -> CodeLaws:
        """The laws of codes; flows are of the usual sizes."""
        return CodeLaws(self.code, self.prior, self.components, self.posterior)

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
        levels = Levels(min(self.levels, MOST)) if self.levels else None
        laws, law = self.laws, likelihood_of(self.likelihood, self.event, levels)
        sides = sides_of(self.event, laws, law.outputs, dense=self.dense, width=self.width, depth=self.depth)
        if self.prior == "vamp" and inputs is None:
            inputs = torch.zeros(self.components, *self.event)
        return latent_model(laws, sides, law, inputs)

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
