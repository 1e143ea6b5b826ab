"""Pictures as a run takes them: of its size, its channels and its levels, or refused in one line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pushforward.data.dataset import Dataset
from pushforward.data.formats import pictures
from pushforward.data.formats.contents import Pictures
from pushforward.data.pixels import Pixels
from pushforward.errors import DataError, UsageError
from pushforward.training.experiment import Experiment
from pushforward.types import Denoises, able

__all__ = ["Form", "denoising", "files_of", "form_of", "mask_of", "read"]

KINDS = {1: "grey", 3: "in colour", 4: "in colour with an alpha channel"}


@dataclass(frozen=True)
class Form:
    """What the pictures of a run are like.

    Attributes:
        pixels: Between levels and model units.
        fit: Whether pictures of another size are brought to it.
    """

    pixels: Pixels
    fit: bool

    @property
    def event(self) -> tuple[int, int, int]:
        """Shape of a sample in model units."""
        return self.pixels.channels, self.pixels.side, self.pixels.side

    @property
    def margin(self) -> int:
        """Rows and columns of black before the picture itself, which the model sees and nobody else."""
        return (self.pixels.side - self.pixels.inner) // 2

    def framed(self, seen: Tensor) -> Tensor:
        """What is known of a picture, (inner, inner), as of a sample, (side, side): black around it is known too."""
        whole = torch.ones(self.pixels.side, self.pixels.side, dtype=torch.bool)
        own = slice(self.margin, self.margin + self.pixels.inner)
        whole[own, own] = seen
        return whole


def denoising(experiment: Experiment, folder: Path, recipe: object, command: str) -> Denoises:
    """The method of a run, if it has a denoiser.

    Raises:
        UsageError: If it has none.
    """
    if not able(experiment.method, Denoises):
        raise UsageError(
            f"{folder}: a run of {recipe} has no denoiser; {command} takes runs of score models and of bridges"
        )
    return experiment.method


def form_of(data: Dataset, folder: Path, command: str, fit: bool) -> Form:
    """What the pictures of a run are like.

    Raises:
        UsageError: If it is a run of points.
    """
    if data.kind != "images":
        raise UsageError(f"{folder}: this run's samples are points; {command} takes runs of images")
    unit = data.known_unit
    if not isinstance(unit, Pixels):
        raise UsageError(
            f"{folder}: its images are in units of a {type(unit).__name__}; {command} takes those of Pixels"
        )
    return Form(unit, fit)


def files_of(place: Path) -> tuple[tuple[Path, ...], tuple[str, ...]]:
    """A picture, or those below a folder, and notes on what was left out there.

    Raises:
        DataError: If there is nothing, or a folder holds no pictures.
    """
    if place.is_dir():
        contents = pictures.read(place)
        assert isinstance(contents.body, Pictures)
        return contents.body.files, contents.notes
    if not place.is_file():
        raise DataError(f"{place}: no such file or folder; check the path")
    return (place,), ()


def read(files: Sequence[Path], form: Form, side: int, *, greys: bool = False) -> tuple[list[np.ndarray], list[str]]:
    """Levels of pictures, each (side, side, channels) uint8, and notes of what was made of them.

    Args:
        files: The pictures.
        form: What those of the run are like.
        side: The side that they must have, in pixels.
        greys: Whether pictures without colours may stand for those in colour.

    Raises:
        DataError: If one is damaged, of another size, with other channels, or of more than eight bits.
    """
    heads, channels = [pictures.header(file) for file in files], form.pixels.channels
    notes, found = pictures.remarks(files, heads, clear=channels != 4), list[np.ndarray]()
    for file, head in zip(files, heads, strict=True):
        if head.deep or head.cut:
            raise DataError(f"{file}: 16 bits a channel, and a run's images have 8: save it with 8 bits a channel")
        notes += _fitted(file, head.size, side, form.fit)
        levels = pictures.picture(file, side, 4 if channels == 4 else 3)
        bare = bool((levels[..., :3] == levels[..., :1]).all())
        if channels == 1 and not bare:
            raise DataError(f"{file}: a picture in colour, and the run's are grey: convert it to grey")
        if channels != 1 and head.grey and not greys:
            raise DataError(
                f"{file}: a grey picture, and the run's are {KINDS[channels]}: use restore --colorize to colour it, "
                "or save it in colour"
            )
        found.append(levels[..., :channels].copy())
    return found, notes


def mask_of(file: Path, form: Form) -> tuple[Tensor, list[str]]:
    """Where a picture in black and white is white, (inner, inner) boolean, and notes.

    Raises:
        DataError: If it is damaged, of another size, or has other levels.
        UsageError: If it is all white or all black.
    """
    if not file.is_file():
        raise DataError(f"{file}: no such file; check the path of the mask")
    head, side = pictures.header(file), form.pixels.inner
    if head.clear and bool((pictures.picture(file, side, 4, 8)[..., 3] != 255).any()):
        raise DataError(
            f"{file}: a mask with transparent pixels: save it opaque, white what is known and black the rest"
        )
    notes = _fitted(file, head.size, side, form.fit)
    levels = pictures.picture(file, side, 1, 8)[..., 0]
    between = (levels != 0) & (levels != 255)
    if notes:
        notes.append(f"{file}: a mask that is resized, cut at half between black and white")
    elif between.any():
        raise DataError(
            f"{file}: a mask with levels such as {levels[between][0]}: save it in black (0) and white (255)"
        )
    seen = torch.from_numpy(levels >= 128)
    if bool(seen.all()) or not bool(seen.any()):
        what = "white, and nothing is left to fill in" if bool(seen.all()) else "black, and nothing is known"
        raise UsageError(f"--mask {file}: is all {what}; make white what is known and black what is not")
    return seen, notes


def _fitted(file: Path, size: tuple[int, int], side: int, fit: bool) -> list[str]:
    """What is done to a picture's size, in words; nothing where it is right.

    Raises:
        DataError: If it is not right, and is not to be brought to it.
    """
    w, h = size
    if size == (side, side):
        return []
    if not fit:
        raise DataError(f"{file}: {w} x {h} pixels, and {side} x {side} are wanted here; resize it, or give --fit")
    return [f"{file.name}: {w} x {h} pixels, {'cut to the central square and ' * (w != h)}resized to {side} x {side}"]
