"""Multilayer perceptrons for points, tables and small images."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from pushforward.nets.blocks import CriticNet, FourierFeatures, GeneratorNet

__all__ = ["FEW", "Beside", "critic", "generator", "waves"]

FEW = 3  # numbers of a row up to which random waves and kernels show the shape of narrow modes


@dataclass(frozen=True)
class Beside:
    """Damped waves that a generator sees beside its inputs (`FourierFeatures`).

    With them it learns sooner to send neighbouring z to modes far apart.

    Attributes:
        octaves: Of each input by itself; 0 for none.
        fourier: Of all inputs together, at random; 0 for none.
        scale: Of the random frequencies; 1 suits z that is standard normal.
    """

    octaves: int = 0
    fourier: int = 0
    scale: float = 1.0


def waves(size: int, moves: int, classes: int = 0) -> int:
    """Random waves that suit a generator and its critic: 32 for one move on up to three numbers, else none.

    There they show the critic narrow modes. In tables of more columns they make samples worse, at several moves a run
    has too few updates for them, and classes are learned later with them.
    """
    return 32 if size <= FEW and moves == 1 and not classes else 0


def generator(
    latent: int,
    event: int | tuple[int, ...],
    *,
    width: int = 128,
    depth: int = 3,
    classes: int = 0,
    activation: Callable[[], nn.Module] = nn.ReLU,
    output: Callable[[], nn.Module] = nn.Identity,
    beside: Beside = Beside(),
) -> GeneratorNet:
    """A perceptron z -> x with `depth` hidden layers.

    Args:
        latent: Size of z.
        event: Shape of one sample, or its size if it is a vector.
        width: Units of a hidden layer.
        depth: Hidden layers.
        classes: Number of classes; 0 for an unconditional net.
        activation: Between layers.
        output: After the last layer, for example `nn.Tanh` for images in [-1, 1].
        beside: Waves that it sees beside z and classes; none by default.
    """
    shape = (event,) if isinstance(event, int) else tuple(event)
    extra = min(classes, 16)
    size, front = latent + extra, list[nn.Module]()
    if beside.octaves or beside.fourier:
        features = FourierFeatures(size, beside.fourier, beside.scale, octaves=beside.octaves, damped=True)
        front.append(features)
        size = features.out
    layers = _layers(size, width, depth, activation)
    body = nn.Sequential(*front, *layers, nn.Linear(width if depth else size, math.prod(shape)), output())
    if len(shape) > 1:
        body.append(nn.Unflatten(1, shape))
    return GeneratorNet(body, latent, classes, extra)


def critic(
    event: int | tuple[int, ...],
    *,
    width: int = 128,
    depth: int = 3,
    classes: int = 0,
    activation: Callable[[], nn.Module] = nn.ReLU,
    fourier: int = 0,
    scale: float = 2.0,
) -> CriticNet:
    """A perceptron x -> score with `depth` hidden layers.

    Args:
        event: Shape of one sample, or its size if it is a vector.
        width: Units of a hidden layer.
        depth: Hidden layers.
        classes: Number of classes; 0 for an unconditional net.
        activation: Between layers.
        fourier: Random Fourier features set beside the coordinates; 0 for none.
        scale: Of their frequencies, as `FourierFeatures` has it; 2 suits data of unit variance.
    """
    size = event if isinstance(event, int) else math.prod(event)
    front: list[nn.Module] = [] if isinstance(event, int) or len(event) == 1 else [nn.Flatten()]
    if fourier:
        front.append(features := FourierFeatures(size, fourier, scale))
        size = features.out
    return CriticNet(nn.Sequential(*front, *_layers(size, width, depth, activation)), width if depth else size, classes)


def _layers(inputs: int, width: int, depth: int, activation: Callable[[], nn.Module]) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for k in range(depth):
        layers += [nn.Linear(width if k else inputs, width), activation()]
    return layers
