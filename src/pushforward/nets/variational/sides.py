"""The two sides of a variational autoencoder: perceptrons for any samples, convolutions for images."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor, nn

from pushforward.errors import UsageError
from pushforward.nets import mlp
from pushforward.nets.autoencoder import convolutions

__all__ = ["Sides", "convolutional", "perceptrons"]


@dataclass(frozen=True)
class Sides:
    r"""What goes from samples to numbers about codes, and from codes to numbers about samples.

    Attributes:
        encoder: (n, \*event) -> (n, told).
        decoder: (n, code) -> (n, outputs, \*event).
    """

    encoder: nn.Module
    decoder: nn.Module


class Outputs(nn.Module):
    """Channels of a picture as (n, outputs, channels, height, width).

    Args:
        outputs: How many there are for each channel.
    """

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.outputs = outputs

    def forward(self, x: Tensor) -> Tensor:
        """(n, outputs * channels, h, w) -> (n, outputs, channels, h, w)."""
        return x.unflatten(1, (self.outputs, -1))


def perceptrons(
    event: tuple[int, ...], code: int, told: int, outputs: int, *, width: int = 256, depth: int = 2
) -> Sides:
    """Perceptrons with `depth` hidden layers on either side.

    Args:
        event: Shape of one sample.
        code: Numbers of a code.
        told: Numbers that the encoder gives.
        outputs: Numbers that the decoder gives for each number of a sample.
        width: Units of a hidden layer.
        depth: Hidden layers of each.
    """
    encoder = mlp.generator(math.prod(event), told, width=width, depth=depth, activation=nn.SiLU)
    decoder = mlp.generator(code, (outputs, *event), width=width, depth=depth, activation=nn.SiLU)
    return Sides(nn.Sequential(nn.Flatten(), encoder), decoder)


def convolutional(
    event: tuple[int, ...], code: int, told: int, outputs: int, *, width: int = 32, dense: int = 256
) -> Sides:
    """Strided convolutions down to 4 x 4 and their mirror; see `autoencoder.convolutions`.

    Args:
        event: (channels, height, width) of an image.
        code: Numbers of a code.
        told: Numbers that the encoder gives.
        outputs: Numbers that the decoder gives for each number of an image.
        width: Channels of the largest hidden map.
        dense: Units of the dense layers beside the code.

    Raises:
        UsageError: If the event is no image.
    """
    if len(event) != 3:
        raise UsageError(f"event {tuple(event)}: convolutions need (channels, height, width); use perceptrons")
    encoder, decoder = convolutions(event, code, told, outputs * event[0], width=width, dense=dense)
    return Sides(encoder, nn.Sequential(decoder, Outputs(outputs)))
