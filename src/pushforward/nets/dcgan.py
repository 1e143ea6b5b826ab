"""Plain strided convolutions for images of any power-of-two side and 1 to 4 channels.

Widths double as maps shrink, up to eight times the base width. The critic has no batch norm, because q and p share one
forward pass.

References:
    Unsupervised representation learning with deep convolutional GANs (Radford et al., 2016), arXiv:1511.06434.
"""

from __future__ import annotations

from itertools import pairwise

from torch import nn

from pushforward.nets.blocks import CriticNet, GeneratorNet, Norm, image_shape, initialise, normalisation

__all__ = ["critic", "generator"]


def generator(
    side: int, channels: int = 1, *, latent: int = 128, width: int = 32, classes: int = 0, norm: Norm = "batch"
) -> GeneratorNet:
    """Images (n, channels, side, side) in [-1, 1] from latents (n, latent).

    Args:
        side: Height and width, a power of two.
        channels: 1 to 4.
        latent: Size of z.
        width: Channels of the largest hidden map.
        classes: Number of classes; 0 for an unconditional net.
        norm: What stands before an activation.

    Raises:
        UsageError: If the shape is not one of these.
    """
    base, doublings = image_shape(side, channels)
    extra = min(classes, 32)
    widths = [width * min(2**k, 8) for k in range(doublings, -1, -1)]
    layers: list[nn.Module] = [
        nn.Linear(latent + extra, widths[0] * base * base),
        nn.Unflatten(1, (widths[0], base, base)),
        normalisation(norm, widths[0]),
        nn.ReLU(),
    ]
    for narrow_in, narrow_out in pairwise(widths):
        layers += [
            nn.ConvTranspose2d(narrow_in, narrow_out, 4, 2, 1, bias=norm != "batch"),
            normalisation(norm, narrow_out),
            nn.ReLU(),
        ]
    layers += [nn.Conv2d(widths[-1], channels, 3, 1, 1), nn.Tanh()]
    net = GeneratorNet(nn.Sequential(*layers), latent, classes, extra)
    initialise(net)
    return net


def critic(side: int, channels: int = 1, *, width: int = 32, classes: int = 0) -> CriticNet:
    """Scores (n,) of images (n, channels, side, side).

    Args:
        side: Height and width, a power of two.
        channels: 1 to 4.
        width: Channels of the largest hidden map.
        classes: Number of classes; 0 for an unconditional net.

    Raises:
        UsageError: If the shape is not one of these.
    """
    base, doublings = image_shape(side, channels)
    layers: list[nn.Module] = [nn.Conv2d(channels, width, 3, 1, 1), nn.LeakyReLU(0.2)]
    widths = [width * min(2**k, 8) for k in range(doublings + 1)]
    for narrow_in, narrow_out in pairwise(widths):
        layers += [nn.Conv2d(narrow_in, narrow_out, 4, 2, 1), nn.LeakyReLU(0.2)]
    net = CriticNet(nn.Sequential(*layers, nn.Flatten()), widths[-1] * base * base, classes)
    initialise(net)
    return net
