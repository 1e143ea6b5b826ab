"""Which denoiser an array of samples calls for, and what it sees of them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor, nn

from pushforward.data.units import Array, Unit
from pushforward.errors import DataError
from pushforward.estimators.learn import build
from pushforward.estimators.store import fill
from pushforward.nets.timed.mlp import perceptron
from pushforward.nets.timed.preconditioned import Preconditioned, empty_centre
from pushforward.nets.timed.unet import unet
from pushforward.settings.bridges import PICTURES, POINTS, STAMPS, Pace
from pushforward.types import Samples

__all__ = ["Coordinates", "DenoiserShape"]

FARTHEST = 100  # standard deviations that a known number may lie from the mean; of n rows none lies beyond sqrt(n)
SMALL = 8  # largest side of images that a perceptron learns as well as convolutions, in a fraction of their time


@dataclass(frozen=True)
class DenoiserShape:
    """Sizes of a denoiser.

    Attributes:
        event: Shape of one sample in the model: (d,) of the columns that vary, or (channels, side, side).
        width: Units of a hidden layer, or channels of the largest map.
        depth: Hidden layers of the perceptron.
        classes: Number of classes; 0 for none.
        waves: Random waves that the perceptron sees beside its input.
    """

    event: tuple[int, ...]
    width: int
    depth: int
    classes: int
    waves: int

    @staticmethod
    def choose(event: tuple[int, ...], *, width: int | None, depth: int, classes: int) -> DenoiserShape:
        """Fill in what is None, and what suits the shape, as `shape_inside` has it."""
        width = _pace(event).net.width if width is None else int(width)
        return DenoiserShape(event, width, int(depth), classes, _pace(event).waves)

    @property
    def images(self) -> bool:
        """Whether the samples are images."""
        return len(self.event) == 3

    @property
    def pace(self) -> Pace:
        """What suits samples of this shape."""
        return _pace(self.event)

    def denoiser(self, mean: Tensor, spread: Tensor) -> Preconditioned:
        """A fresh net for data with that mean and spread."""
        if self.images and self.event[-1] > SMALL:
            channels, side, _ = self.event
            return Preconditioned(unet(side, channels, width=self.width, classes=self.classes), mean, spread)
        net = perceptron(self.event, width=self.width, depth=self.depth, classes=self.classes, waves=self.waves)
        return Preconditioned(net, mean, spread)

    def filled(self, tensors: dict[str, Tensor], path: str | os.PathLike[str]) -> nn.Module:
        """The denoiser with the tensors of a file, without memory for any before they are known to fit.

        Raises:
            DataError: If they do not fit.
            ValueError: If a file says of more layers than it has tensors.
        """
        if self.depth > len(tensors):
            raise ValueError(f"{self.depth} layers, {len(tensors)} tensors")
        with torch.device("meta"):
            fill(self.denoiser(*empty_centre(self.event)), tensors, path)
        net = build(lambda: self.denoiser(*empty_centre(self.event)), 0)
        net.load_state_dict(tensors)  # copied: the order in memory that convolutions have is part of their last bits
        return net.requires_grad_(False).eval()


def _pace(event: tuple[int, ...]) -> Pace:
    if len(event) == 1:
        return POINTS
    return STAMPS if event[-1] <= SMALL else PICTURES


@dataclass(frozen=True, eq=False)
class Coordinates:
    """Between data units and what the model sees: standard units, without the columns that do not vary.

    Attributes:
        unit: Of all columns, or of all pixels.
        outside: Shape of one sample in data units.
        inside: In the model.
    """

    unit: Unit
    outside: tuple[int, ...]
    inside: tuple[int, ...]

    @cached_property
    def moving(self) -> np.ndarray | None:
        """Numbers of the columns that vary; None of images, whose pixels share one scale."""
        return None if len(self.inside) == 3 else np.flatnonzero(self.unit.scale)

    @property
    def log_volume(self) -> float:
        """log |det dy/dx| of model units y by data units x, of what the model sees, in nats."""
        if self.moving is None:
            return self.unit.log_volume(self.outside)
        return Unit(self.unit.shift[self.moving], self.unit.scale[self.moving]).log_volume(self.inside)

    def parts(self, x: np.ndarray) -> np.ndarray:
        """Of anything that samples (n, *outside) have in each number what the model sees, (n, *inside)."""
        return x.reshape(-1, *self.inside) if self.moving is None else x[:, self.moving]

    def encode(self, x: Array) -> Samples:
        """Data units (n, *outside) -> model units (n, *inside), float32; what is too large for it becomes infinite."""
        return torch.from_numpy(self.parts(self.unit.encode(x).numpy()))

    def known(self, x: Array, seen: np.ndarray, name: str) -> Samples:
        """The model units of what is known of samples, (n, *inside); the middle of what fit saw where it is not.

        Args:
            x: Samples, (n, *outside).
            seen: Where they are known, likewise.
            name: What they are called in messages.

        Raises:
            DataError: If a known number lies too far from what fit saw, or differs in a column that did not vary.
        """
        shift, scale = self.unit.columns(self.outside)
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            apart = np.where(seen, np.abs(x - shift) / scale, 0.0)
        for wrong, said in (
            (np.isinf(apart) & (scale == 0), "in a column that did not vary where fit saw it: give its value there"),
            (apart > FARTHEST, f"more than {FARTHEST} deviations from what fit saw, where nothing was learned"),
        ):
            if (at := np.argwhere(wrong)).size:
                raise DataError(f"{name}{at[0].tolist()} is {x[tuple(at[0])]:g}, {said}; or leave it open, as NaN")
        return self.encode(np.where(seen, x, shift))

    def decode(self, x: Samples) -> Array:
        """Model units (n, *inside) -> data units (n, *outside), float64, with the columns that do not vary."""
        if self.moving is None:
            return self.unit.decode(x).reshape(-1, *self.outside)
        whole = torch.zeros(len(x), *self.outside)
        whole[:, self.moving] = x.cpu()
        return self.unit.decode(whole)

    def possible(self, x: Array) -> np.ndarray:
        """Which samples have in columns that do not vary what these always have, boolean (n,)."""
        if self.moving is None:
            return np.ones(len(x), bool)
        still = self.unit.scale == 0
        return (x[:, still] == self.unit.shift[still]).all(1)
