"""Pictures of the documentation, made from run folders.

    python scripts/docs_pictures.py images RUN docs/digits.png
    python scripts/docs_pictures.py points "VGrow, KL"=RUN "GAN, JS"=RUN ... docs/toys.png

The first sets held-out images beside a run's samples; the second draws 2,500 samples of each run over its data, or its
particles themselves where they are fewer than a thousand.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from pushforward.commands.rebuilding import with_rows
from pushforward.pictures import grid, scatter
from pushforward.randomness import stream
from pushforward.types import HasParticles, able

SIDE, GAP, HEAD, COUNT, FEW = 400, 24, 28, 2500, 1000


def images(run: Path, out: Path) -> None:
    """Held-out images on the left, samples on the right, 8 x 8 each."""
    experiment, *_ = with_rows(run)
    fake = experiment.data.decode(experiment.method.sample(64, stream(1, "sample")))
    real = experiment.data.decode(experiment.data.test[:64])
    titled([("data, held out", _white(grid(real))), ("samples", _white(grid(fake)))], 2).save(out, optimize=True)


def points(panels: list[tuple[str, Path]], out: Path) -> None:
    """One panel a run, two in a row: 2,500 samples, or the run's few particles, over as many held-out points."""
    drawn = []
    for title, run in panels:
        experiment, *_ = with_rows(run)
        held = experiment.method.particles if able(experiment.method, HasParticles) else None
        few = held is not None and len(held) < FEW  # then they are what the run is about, not new points beside them
        fresh = held if few and held is not None else experiment.method.sample(COUNT, stream(1, "sample"))
        x = np.asarray(experiment.data.decode(fresh))
        real = np.asarray(experiment.data.decode(experiment.data.test[:COUNT]))
        drawn.append((title, Image.open(io.BytesIO(scatter(x, real, SIDE)))))
    titled(drawn, 2).quantize(48).save(out, optimize=True)  # three colours and their shades


def titled(panels: list[tuple[str, Image.Image]], columns: int) -> Image.Image:
    """Panels in rows on white, each under its title."""
    width, height = (max(size) for size in zip(*(picture.size for _, picture in panels)))
    rows = -(-len(panels) // columns)
    sheet = Image.new("RGB", (columns * (width + GAP) + GAP, rows * (height + HEAD + GAP) + GAP), "white")
    brush, font = ImageDraw.Draw(sheet), ImageFont.load_default(16)
    for k, (title, picture) in enumerate(panels):
        left, top = GAP + k % columns * (width + GAP), GAP + k // columns * (height + HEAD + GAP)
        brush.text((left, top), title, fill=(60, 60, 60), font=font)
        sheet.paste(picture, (left, top + HEAD))
    return sheet


def _white(picture: Image.Image) -> Image.Image:
    """A picture with transparent gaps, on white."""
    layered = picture.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layered.size, "white"), layered).convert("RGB")


if __name__ == "__main__":
    kind, *arguments, last = sys.argv[1:]
    if kind == "images":
        images(Path(arguments[0]), Path(last))
    else:
        points([(title, Path(run)) for title, _, run in (word.rpartition("=") for word in arguments)], Path(last))
