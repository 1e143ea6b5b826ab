"""Autoencoders z = E(x), x = D(z): perceptrons for any shape, and strided convolutions for images of any size.

Activations are smooth (SiLU), so that the decoder's Jacobian, and a motion of codes seen through it, is smooth too.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from pushforward.errors import UsageError
from pushforward.nets import mlp

__all__ = ["AutoencoderNet", "convolutional", "convolutions", "perceptron"]


class AutoencoderNet(nn.Module):
    r"""An encoder and a decoder whose codes are centred and of unit size: :math:`z = (E(x) - c) / s`.

    c is the running mean of E(x), and s the one scale that gives z mean variance 1, so that a step and a slope mean the
    same in every code. Both follow the passes in training mode and are fixed otherwise.

    Args:
        encoder: Maps (n, *event) to (n, code).
        decoder: Maps (n, code) to (n, *event).
        code: Size of z.
        memory: Largest number of recent passes that c and s remember.
    """

    centre: Tensor
    variance: Tensor
    passes: Tensor

    def __init__(self, encoder: nn.Module, decoder: nn.Module, code: int, memory: int = 100) -> None:
        super().__init__()
        self.encoder, self.decoder, self.code, self.memory = encoder, decoder, code, memory
        self.register_buffer("centre", torch.zeros(code))
        self.register_buffer("variance", torch.ones(()))
        self.register_buffer("passes", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """Reconstructions D(E(x)), (n, *event): the pass that trains both sides."""
        raw = self.encoder(x)
        if self.training:
            self._follow(raw.detach().to(self.centre))
        return self.decoder(raw)

    def encode(self, x: Tensor) -> Tensor:
        """Codes (n, code) of samples (n, *event)."""
        return (self.encoder(x) - self.centre) * self.variance.rsqrt()

    def decode(self, z: Tensor) -> Tensor:
        """Samples (n, *event) of codes (n, code)."""
        return self.decoder(self.centre + z * self.variance.sqrt())

    @torch.no_grad()
    def _follow(self, raw: Tensor) -> None:
        self.passes += 1
        new = self.passes.reciprocal().clamp_min(1 / self.memory)
        step = raw.mean(0) - self.centre
        spread = (raw - self.centre).square().mean(0) - new * step.square()  # about the new centre, as in Welford's sum
        self.variance.lerp_(spread.mean().clamp_min(1e-12), new)
        self.centre += new * step


def perceptron(
    event: int | tuple[int, ...],
    code: int,
    *,
    width: int = 256,
    depth: int = 2,
    activation: Callable[[], nn.Module] = nn.SiLU,
    output: Callable[[], nn.Module] = nn.Identity,
) -> AutoencoderNet:
    """Perceptrons with `depth` hidden layers on either side; with depth 0 and no output, a linear autoencoder.

    Args:
        event: Shape of one sample, or its size if it is a vector.
        code: Size of z.
        width: Units of a hidden layer.
        depth: Hidden layers of the encoder, and of the decoder.
        activation: Between layers.
        output: After the decoder's last layer: `nn.Tanh` for data in [-1, 1], `nn.Sigmoid` for data in [0, 1].

    Raises:
        UsageError: If the code's size is not positive.
    """
    _positive(code)
    shape = (event,) if isinstance(event, int) else tuple(event)
    hidden = partial(mlp.generator, width=width, depth=depth, activation=activation)
    encoder = nn.Sequential(nn.Flatten(), hidden(math.prod(shape), code))
    return AutoencoderNet(encoder, hidden(code, shape, output=output), code)


def convolutional(
    event: tuple[int, ...],
    code: int,
    *,
    width: int = 16,
    dense: int = 256,
    activation: Callable[[], nn.Module] = nn.SiLU,
    output: Callable[[], nn.Module] = nn.Identity,
) -> AutoencoderNet:
    """Strided 3 x 3 convolutions that halve the map, rounding up, while its longer side exceeds 4, and their mirror.

    Widths double as maps shrink, up to eight times the first; a dense layer stands on either side of the code.

    Args:
        event: (channels, height, width) of an image, any numbers: 28 goes 28, 14, 7, 4 and back.
        code: Size of z.
        width: Channels of the largest hidden map.
        dense: Units of the dense layers beside the code.
        activation: Between layers.
        output: After the decoder's last layer: `nn.Tanh` for data in [-1, 1], `nn.Sigmoid` for data in [0, 1].

    Raises:
        UsageError: If the event is no image, or the code's size is not positive.
    """
    _positive(code)
    if len(event) != 3:
        raise UsageError(f"event {tuple(event)}: convolutions need (channels, height, width); use perceptron")
    encoder, decoder = convolutions(event, code, code, event[0], width=width, dense=dense, activation=activation)
    return AutoencoderNet(encoder, decoder.append(output()), code)


def convolutions(
    event: tuple[int, ...],
    code: int,
    told: int,
    channels: int,
    *,
    width: int,
    dense: int,
    activation: Callable[[], nn.Module] = nn.SiLU,
) -> tuple[nn.Sequential, nn.Sequential]:
    """Both sides of `convolutional`, for an encoder that gives `told` numbers and a decoder that gives `channels` maps.

    Args:
        event: (channels, height, width) of an image.
        code: Numbers that the decoder takes.
        told: Numbers that the encoder gives.
        channels: Maps that the decoder gives.
        width: Channels of the largest hidden map.
        dense: Units of the dense layers beside the code.
        activation: Between layers.
    """
    first, height, breadth = event
    sizes = [(height, breadth)]
    while max(sizes[-1]) > 4:
        height, breadth = (height + 1) // 2, (breadth + 1) // 2
        sizes.append((height, breadth))
    widths = [first, *(width * min(2**k, 8) for k in range(len(sizes) - 1))]
    inner = (widths[-1], *sizes[-1])
    down: list[nn.Module] = []
    for k in range(len(sizes) - 1):
        down += [nn.Conv2d(widths[k], widths[k + 1], 3, 2, 1), activation()]
    up: list[nn.Module] = []
    for k in range(len(sizes) - 2, -1, -1):
        more = 1 - sizes[k][0] % 2, 1 - sizes[k][1] % 2  # the transposed map gives 2 s - 1, or 2 s with one row more
        up += [activation(), nn.ConvTranspose2d(widths[k + 1], widths[k] if k else channels, 3, 2, 1, more)]
    encoder = nn.Sequential(
        *down, nn.Flatten(), nn.Linear(math.prod(inner), dense), activation(), nn.Linear(dense, told)
    )
    decoder = nn.Sequential(
        nn.Linear(code, dense), activation(), nn.Linear(dense, math.prod(inner)), nn.Unflatten(1, inner), *up
    )
    return encoder, decoder


def _positive(code: int) -> None:
    if code < 1:
        raise UsageError(f"a code of {code} numbers: give at least 1")
