"""restore: pictures of which a part is known, filled in by the denoiser of a run, several draws of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from pushforward.commands.editing.images import Form, denoising, files_of, form_of, mask_of, read
from pushforward.commands.rebuilding import rebuild, standing
from pushforward.commands.sampling import labels_for, write_pictures
from pushforward.commands.watching import Watching
from pushforward.data import outputs
from pushforward.dynamics.editing import LinearProjection, Strategy, restore, strategy
from pushforward.errors import TrainingError, UsageError
from pushforward.parallel.ordinary import ordinarily
from pushforward.parallel.placement import Placement
from pushforward.pictures import grid
from pushforward.randomness import filled, stream
from pushforward.settings.editing import Restoring
from pushforward.types import Denoiser, Labels, Samples

__all__ = ["restore_pictures"]

SHOWN, WIDE = 32, 12  # draws that a grid shows, and its columns
LARGEST = 64  # draws that are made together


@dataclass
class Worker:
    """What draws, and how far what is known of the pictures written is from what was given, in levels.

    Attributes:
        asked: What is asked.
        form: What the run's pictures are like.
        projection: What is known.
        how: How it enters.
        denoiser: (classes) -> D.
        levels: The noise levels.
        labels: Classes of the draws, or None.
        mean: Of the data, which what is not known begins about.
        device: Where the denoiser is.
        watch: Who is told of every block of draws.
        total: Draws of all pictures.
        off: The distance so far.
        done: Draws so far.
    """

    asked: Restoring
    form: Form
    projection: LinearProjection
    how: Strategy
    denoiser: Callable[[Labels | None], Denoiser]
    levels: list[float]
    labels: Labels | None
    mean: Tensor
    device: torch.device
    watch: Watching
    total: int
    off: float = 0.0
    done: int = 0

    def draws(self, y: Tensor, name: str) -> Samples:
        """Restorations of a picture (1, *event), (n, *event): the first n of a sequence that the seed and name fix."""
        found, n = list[Samples](), self.asked.n
        for start, size in _blocks(n):
            labels = None if self.labels is None else filled(self.labels, start, size).to(self.device)
            x = restore(
                self.denoiser(labels), self.projection, y.expand(size, *y.shape[1:]).to(self.device), self.levels,
                stream(self.asked.opening.seed, "sample", start, part=f"restore {name}"), strategy=self.how,
                mean=self.mean,
            )  # fmt: skip
            found.append(x.cpu())
            self.done += min(size, n - start)
            self.watch.tick(self.done / self.total)
        x = torch.cat(found)[:n]
        if not bool(torch.isfinite(x).all()):
            raise TrainingError(
                f"{name}: its restorations have numbers that are not finite; take more --steps, or another --strategy"
            )
        return x

    def pictures(self, levels: np.ndarray, name: str) -> Iterator[tuple[str, Image.Image]]:
        """What is written of a picture (side, side, channels): its draws, and a grid of them beside what is known."""
        y = self.form.pixels.encode(levels[None])
        x, decode = self.draws(y, name), self.form.pixels.decode
        images, given = decode(x), self.projection.known(y)
        back = self.projection.known(self.form.pixels.encode(images))
        self.off = max(self.off, 127.5 * float((back - given).abs().max()))
        for k, image in enumerate(images):
            yield f"draws/{name}-{k:03d}.png", Image.fromarray(image)
        before = [] if torch.equal(given, y) or self.asked.upscale else [y]
        spread = 2 * x.std(0, correction=0)[None] - 1
        spread[:, 3:] = 1  # opaque, where there is an alpha channel
        cells = torch.cat([*before, given, x[:SHOWN], x.mean(0)[None], spread])
        yield f"grids/{name}.png", grid(decode(cells), min(len(cells), WIDE))


@ordinarily
def restore_pictures(asked: Restoring) -> dict[str, Any]:
    """Fill in what is not known of pictures, and write draws and grids as PNG files, all of them or none.

    Args:
        asked: What is restored, and how.

    Returns:
        `out`, the names of the `pictures`, `n` draws of each, `task`, `strategy`, `steps`, `seed`, `shape` of a draw,
        `off`, how far what is known of the draws is from what was given, at most, in levels of 255, and `notes`.

    Raises:
        UsageError: If options do not go together or do not apply to the run, or `out` must not be written.
        DataError: If a picture, a mask or the run is missing, damaged or unfit.
        TrainingError: If the denoiser answers with numbers that are not finite.
        OSError: If `out` cannot be written; it names the folder.
    """
    asked.check()
    how, opening, out = strategy(asked.strategy), asked.opening, asked.out
    outputs.claim_folder("--out", out, (asked.image, asked.mask, *outputs.read_by(asked.run)))
    if any(out.rglob("*.png")):
        raise UsageError(f"--out {out}: already holds PNG files; name a new folder, so that two draws do not mix")
    files, notes = files_of(asked.image)
    experiment, run = rebuild(asked.run, opening.checkpoint, opening.trust, opening.device)
    form = form_of(experiment.data, asked.run, "restore", asked.fit)
    method = denoising(experiment, asked.run, run["recipe"], "restore")
    projection, said = _known(asked, form)
    given, more = read(files, form, form.pixels.inner // (asked.upscale or 1), greys=asked.colorize)
    if asked.upscale:
        given = [levels.repeat(asked.upscale, 0).repeat(asked.upscale, 1) for levels in given]
    if asked.colorize and (many := sum(bool((x != x[..., :1]).any()) for x in given)):
        more.append(f"{many} of {len(given)} pictures are in colour: of these the mean of their channels is known")
    labels = labels_for(experiment, asked.n, stream(opening.seed, "sample", part="labels"), opening.labels)
    if labels is not None and opening.labels is None:
        more.append("classes of the draws are drawn by their frequency; --labels names them")
    if asked.n > SHOWN:
        more.append(f"grids show the first {SHOWN} of {asked.n} draws")
    levels, device = [float(level) for level in method.levels(asked.steps)], Placement.find(opening.device).device
    names = _names(files, asked.image)
    with Watching() as watch:
        watch.begin("restoring", 0.0)
        worker = Worker(
            asked, form, projection, how, method.denoiser, levels, labels, method.mean, device, watch,
            asked.n * len(names),
        )  # fmt: skip
        write_pictures(out, (one for name, x in zip(names, given, strict=True) for one in worker.pictures(x, name)))
    return {
        "out": str(out), "pictures": names, "n": asked.n, "task": _task(asked), "strategy": asked.strategy,
        "steps": asked.steps, "seed": opening.seed, "off": worker.off,
        "shape": [form.pixels.inner] * 2 + [form.pixels.channels] * (form.pixels.channels > 1),
        "notes": [*standing(run, opening.checkpoint), *notes, *said, *more],
    }  # fmt: skip


def _known(asked: Restoring, form: Form) -> tuple[LinearProjection, list[str]]:
    """What is known of a sample, by the options, and notes.

    Raises:
        UsageError: If the run's images have no colours or cannot be parted into blocks.
        DataError: If the mask does not fit.
    """
    event, inner, channels = form.event, form.pixels.inner, form.pixels.channels
    if asked.mask is not None:
        seen, notes = mask_of(asked.mask, form)
        return LinearProjection.mask(form.framed(seen), event), notes
    if asked.mask_half is not None:
        half = LinearProjection.half((1, inner, inner), asked.mask_half).seen[0]
        return LinearProjection.mask(form.framed(half), event), []
    if asked.colorize:
        if channels != 3:
            raise UsageError(
                f"--colorize: the run's images have {channels} channels; it takes runs of three, in colour"
            )
        return LinearProjection.grey(event), []
    assert asked.upscale is not None
    fit = [k for k in range(2, inner) if not (inner % k or form.margin % k or form.pixels.side % k)]
    if asked.upscale not in fit:
        remedy = f"use one of {', '.join(map(str, fit))}" if fit else "this run's images have no blocks"
        raise UsageError(f"--upscale {asked.upscale}: does not part {inner} x {inner} pixels of the run; {remedy}")
    return LinearProjection.pooled(event, asked.upscale), []


def _task(asked: Restoring) -> str:
    """The option that says what is known, as it was typed."""
    if asked.mask is not None:
        return f"mask {asked.mask}"
    if asked.mask_half is not None:
        return f"mask-half {asked.mask_half}"
    return "colorize" if asked.colorize else f"upscale {asked.upscale}"


def _blocks(n: int) -> Iterator[tuple[int, int]]:
    """Blocks (first row, size) that reach n rows, 1, 1, 2, 4, ..., 64, 64: where they lie does not depend on n."""
    start = 0
    while start < n:
        size = min(max(start, 1), LARGEST)
        yield start, size
        start += size


def _names(files: tuple[Path, ...], place: Path) -> list[str]:
    """Names of what is written of pictures: theirs without an ending, with folders as dashes; none stands twice."""
    parts = [Path(file.name) if file == place else file.relative_to(place) for file in files]
    bare = ["-".join(part.with_suffix("").parts) for part in parts]
    full = ["-".join(part.parts).replace(".", "_") for part in parts]
    names = [short if bare.count(short) == 1 else long for short, long in zip(bare, full, strict=True)]
    return [name if names.count(name) == 1 else f"{name}-{k}" for k, name in enumerate(names)]
