"""Residual nets for images of any power-of-two side and 1 to 4 channels.

Activations are out of place everywhere: an in-place one at the head of a block would rewrite its own shortcut.

References:
    Spectral normalization for generative adversarial networks (Miyato et al., 2018), arXiv:1802.05957, for the shape.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate, relu

from pushforward.nets.blocks import CriticNet, GeneratorNet, Norm, image_shape, normalisation

__all__ = ["Up", "critic", "generator"]


def generator(
    side: int, channels: int = 1, *, latent: int = 128, width: int = 64, classes: int = 0, norm: Norm = "batch"
) -> GeneratorNet:
    """Images (n, channels, side, side) in [-1, 1] from latents (n, latent).

    Args:
        side: Height and width, a power of two.
        channels: 1 to 4.
        latent: Size of z.
        width: Channels of every hidden map.
        classes: Number of classes; 0 for an unconditional net.
        norm: What stands before an activation.

    Raises:
        UsageError: If the shape is not one of these.
    """
    base, doublings = image_shape(side, channels)
    extra = min(classes, 32)
    body = nn.Sequential(
        nn.Linear(latent + extra, width * base * base),
        nn.Unflatten(1, (width, base, base)),
        *[Up(width, norm) for _ in range(doublings)],
        normalisation(norm, width),
        nn.ReLU(),
        nn.Conv2d(width, channels, 3, 1, 1),
        nn.Tanh(),
    )
    _xavier(body)
    return GeneratorNet(body, latent, classes, extra)


def critic(side: int, channels: int = 1, *, width: int = 64, classes: int = 0) -> CriticNet:
    """Scores (n,) of images (n, channels, side, side): residual blocks, then features summed over pixels.

    Args:
        side: Height and width, a power of two.
        channels: 1 to 4.
        width: Channels of every hidden map.
        classes: Number of classes; 0 for an unconditional net.

    Raises:
        UsageError: If the shape is not one of these.
    """
    _, doublings = image_shape(side, channels)
    blocks = [_Down(width, width) for _ in range(doublings - 1)]
    first = _Down(channels, width, first=True, pool=doublings > 0)
    body = nn.Sequential(first, *blocks, _Down(width, width, pool=False), nn.ReLU(), _SumPixels())
    _xavier(body)
    net = CriticNet(body, width, classes)
    nn.init.xavier_uniform_(net.head.weight)
    return net


class Up(nn.Module):
    """Residual block that doubles the side by nearest neighbours.

    Args:
        width: Channels of the maps.
        norm: What stands before an activation.
    """

    def __init__(self, width: int, norm: Norm) -> None:
        super().__init__()
        self.width, self.norm = width, norm
        self.norm1, self.norm2 = normalisation(norm, width), normalisation(norm, width)
        bias = norm != "batch"  # the next batch norm would take it out again
        self.conv1 = nn.Conv2d(width, width, 3, 1, 1, bias=bias)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=bias)
        self.shortcut = nn.Conv2d(width, width, 1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv1(interpolate(relu(self.norm1(x)), scale_factor=2))
        h = self.conv2(relu(self.norm2(h)))
        return h + interpolate(self.shortcut(x), scale_factor=2)


class _Down(nn.Module):
    """Residual block that may halve the side by averaging; the first one of a net starts without an activation."""

    def __init__(self, inputs: int, width: int, *, first: bool = False, pool: bool = True) -> None:
        super().__init__()
        self.first, self.pool = first, pool
        self.conv1, self.conv2 = nn.Conv2d(inputs, width, 3, 1, 1), nn.Conv2d(width, width, 3, 1, 1)
        self.shortcut = nn.Conv2d(inputs, width, 1) if inputs != width or pool else None

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv2(relu(self.conv1(x if self.first else relu(x))))
        if self.pool:
            h, x = (
                avg_pool2d(h, 2),
                avg_pool2d(x, 2),
            )  # the 1x1 shortcut commutes with the average, and is cheaper after it
        return h + (x if self.shortcut is None else self.shortcut(x))


class _SumPixels(nn.Module):
    """(n, c, h, w) -> (n, c)."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.sum(x, (2, 3))


def _xavier(net: nn.Module) -> None:
    """Xavier weights, with the gain of a ReLU in 3x3 convolutions; zero biases."""
    for module in net.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            inner = isinstance(module, nn.Conv2d) and module.kernel_size == (3, 3)
            nn.init.xavier_uniform_(module.weight, math.sqrt(2) if inner else 1.0)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
