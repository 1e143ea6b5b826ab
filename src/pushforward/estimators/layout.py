"""Which nets an array of samples calls for, from its shape alone: perceptrons for vectors, convolutions for images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from pushforward.nets import dcgan, mlp
from pushforward.nets.blocks import LAW_ROWS, CriticNet, GeneratorNet, empty_law, normal_law, started
from pushforward.types import Samples

__all__ = ["NetShape", "shape_inside"]


def shape_inside(event: Sequence[int]) -> tuple[int, ...]:
    """Shape of one sample in the model: (d,) or (channels, side, side).

    Raises:
        ValueError: If the samples are neither vectors nor square images of a power-of-two side and 1 to 4 channels.
    """
    inside = (1, *event) if len(event) == 2 else tuple(event)
    if len(inside) not in (1, 3):
        raise ValueError(f"samples of shape {tuple(event)}: give vectors (n, d), images (n, side, side) or "
                         "(n, channels, side, side), or flatten them to vectors")  # fmt: skip
    if len(inside) == 3 and (inside[1] != inside[2] or inside[1] & (inside[1] - 1) or inside[0] > 4):
        raise ValueError(f"images of shape {tuple(event)}: the side must be a power of two, with 1 to 4 channels; "
                         "crop, pad or resize them, or flatten them to vectors, as series: "
                         f"X.reshape(len(X), {math.prod(event)})")  # fmt: skip
    return inside


@dataclass(frozen=True)
class NetShape:
    """Sizes of a generator and its critic.

    Attributes:
        event: Shape of one sample in the model: (d,) or (channels, side, side).
        latent: Size of z.
        width: Units of a hidden layer, or channels of the largest map.
        depth: Hidden layers of the perceptrons.
        classes: Number of classes; 0 for none.
        octaves: Of waves of z that a perceptron sees beside it.
        fourier: Random waves that both perceptrons see beside their inputs.
        normal: Whether the generator starts at the normal law with the data's mean and covariance.
    """

    event: tuple[int, ...]
    latent: int
    width: int
    depth: int
    classes: int
    octaves: int = 0
    fourier: int = 0
    normal: bool = False

    @staticmethod
    def choose(
        event: Sequence[int], *, latent: int | None, width: int | None, depth: int, classes: int, moves: int
    ) -> NetShape:
        """Fill in what is None, and what suits the shape and the moves of VGrow.

        Raises:
            ValueError: If the samples are neither vectors nor square images of a power-of-two side and 1 to 4 channels.
        """
        inside = shape_inside(event)
        return NetShape(
            inside,
            latent=min(max(math.prod(inside), 8), 128) if latent is None else int(latent),
            width=(128 if len(inside) == 1 else 32) if width is None else int(width),
            depth=int(depth),
            classes=classes,
            octaves=3 if len(inside) == 1 else 0,
            fourier=mlp.waves(inside[0], moves, classes) if len(inside) == 1 else 0,
            normal=len(inside) == 1,
        )

    @property
    def images(self) -> bool:
        """Whether the samples are images."""
        return len(self.event) == 3

    def generator(self, x: Samples | None = None) -> GeneratorNet:
        """A fresh net z -> x, for data (n, *event) of which it needs mean and covariance; None to be filled."""
        if self.images:
            channels, side, _ = self.event
            return dcgan.generator(side, channels, latent=self.latent, width=self.width, classes=self.classes)
        net = mlp.generator(self.latent, self.event, width=self.width, depth=self.depth, classes=self.classes,
                            beside=mlp.Beside(self.octaves, self.fourier))  # fmt: skip
        if not self.normal:
            return net
        if x is None:
            return started(net, *empty_law(math.prod(self.event), self.latent))
        return started(net, *normal_law(x[:: math.ceil(len(x) / LAW_ROWS)], self.latent))

    def critic(self) -> CriticNet:
        """A fresh net x -> score."""
        if self.images:
            channels, side, _ = self.event
            return dcgan.critic(side, channels, width=self.width, classes=self.classes)
        return mlp.critic(self.event, width=self.width, depth=self.depth, classes=self.classes, fourier=self.fourier)

    def hollow(self) -> GeneratorNet:
        """The generator without memory for its weights, to be filled from a file."""
        with torch.device("meta"):
            return self.generator()
