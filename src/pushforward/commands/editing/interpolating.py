"""interpolate: a row of pictures from one to another, each as a run's own, as an animation or side by side."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import torch
from PIL import Image, features
from torch import Tensor

from pushforward import files
from pushforward.commands.editing.images import denoising, files_of, form_of, read
from pushforward.commands.rebuilding import rebuild, standing
from pushforward.commands.sampling import labels_for
from pushforward.data import outputs
from pushforward.dynamics.editing import interpolate
from pushforward.dynamics.sde.levels import linear_variance
from pushforward.errors import DataError, TrainingError, UsageError
from pushforward.parallel.ordinary import ordinarily
from pushforward.parallel.placement import Placement
from pushforward.pictures import grid
from pushforward.randomness import stream
from pushforward.settings.editing import Interpolating
from pushforward.training.experiment import Experiment
from pushforward.types import Labels

__all__ = ["interpolate_pictures"]

LARGE = 256  # side that frames of small pictures are enlarged to, in pixels
LASTS = 120  # of a frame, in milliseconds


@ordinarily
def interpolate_pictures(asked: Interpolating) -> dict[str, Any]:
    """Go from one picture to another through the run's own, and write the row as one file.

    Args:
        asked: Between what, and how.

    Returns:
        `out`, `n` pictures of the row, `path`, `level`, `steps`, `seed`, `shape` of a picture, `ends`, the root mean
        square by which the first and the last differ from the two that were given, in levels of 255, and `notes`.

    Raises:
        UsageError: If an option does not apply to the run, or `out` must not be written.
        DataError: If a picture or the run is missing, damaged or unfit.
        TrainingError: If the denoiser answers with numbers that are not finite.
        OSError: If `out` cannot be written; it names the file.
    """
    asked.check()
    opening, out = asked.opening, asked.out
    outputs.claim("--out", out, (".webp", ".png"), (asked.a, asked.b, *outputs.read_by(asked.run)))
    animated = out.suffix.lower() == ".webp"
    if animated and not features.check("webp"):
        raise UsageError(f"--out {out}: this Pillow writes no WebP; name a file that ends in .png")
    for place in (asked.a, asked.b):
        if place.is_dir():
            raise DataError(f"{place}: a folder, where one picture is wanted; name a file in it")
    ends = [file for place in (asked.a, asked.b) for file in files_of(place)[0]]
    experiment, run = rebuild(asked.run, opening.checkpoint, opening.trust, opening.device)
    form = form_of(experiment.data, asked.run, "interpolate", asked.fit)
    method = denoising(experiment, asked.run, run["recipe"], "interpolate")
    found, notes = read(ends, form, form.pixels.inner)
    levels, device = np.stack(found), Placement.find(opening.device).device
    labels, said = _class(experiment, asked)
    given = form.pixels.encode(levels).to(device)
    denoiser = method.denoiser(None if labels is None else labels.to(device))
    rng = stream(opening.seed, "sample", part="interpolate")
    down = linear_variance(asked.steps, asked.level * method.spread)
    x = interpolate(denoiser, given[0], given[1], asked.n, down, rng, path=asked.path)
    if not bool(torch.isfinite(x).all()):
        raise TrainingError(
            f"{asked.run}: the path has numbers that are not finite; take a lower --level, or more --steps"
        )
    images = form.pixels.decode(x)
    first, last = images[[0, -1]].reshape(2, -1).astype(float) - levels.reshape(2, -1)
    row = images.reshape(*images.shape[:3], -1)
    content = _animation(images) if animated else _row(np.concatenate([levels[:1], row, levels[1:]]))
    files.write(out, content, parents=True)
    return {
        "out": str(out), "n": asked.n, "path": asked.path, "level": asked.level, "steps": asked.steps,
        "seed": opening.seed, "shape": list(images.shape[1:]),
        "ends": [round(float(np.sqrt(np.square(end).mean())), 3) for end in (first, last)],
        "notes": [*standing(run, opening.checkpoint), *notes, *said],
    }  # fmt: skip


def _class(experiment: Experiment, asked: Interpolating) -> tuple[Labels | None, list[str]]:
    """The class of the whole row, (n,), and a note where it was not asked for; None where there are no classes.

    Raises:
        UsageError: If several are asked for, or one that the run does not have.
    """
    wanted = asked.opening.labels
    if wanted is not None and "," in wanted:
        raise UsageError(f"--labels {wanted}: a path stays in one class; name one")
    one: Tensor | None = labels_for(experiment, 1, stream(asked.opening.seed, "sample", part="labels"), wanted)
    if one is None:
        return None, []
    name = (experiment.data.classes or ())[int(one)]
    return one.expand(asked.n), [] if wanted else [f"the class of the path is drawn: {name}; --labels names another"]


def _animation(images: np.ndarray) -> bytes:
    """A lossless WebP that runs through images (n, h, w) or (n, h, w, c), enlarged where they are small."""
    scale = max(1, LARGE // images.shape[1])
    large = images.repeat(scale, axis=1).repeat(scale, axis=2)
    first, *rest = [Image.fromarray(image) for image in large]
    buffer = io.BytesIO()
    first.save(buffer, "WEBP", save_all=True, append_images=rest, duration=LASTS, loop=0, lossless=True)
    return buffer.getvalue()


def _row(images: np.ndarray) -> bytes:
    """A PNG of images (n, h, w, c) side by side."""
    buffer = io.BytesIO()
    grid(images, len(images)).save(buffer, "PNG")
    return buffer.getvalue()
