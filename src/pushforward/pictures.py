"""Pictures of samples: grids and clouds, how a run leaves them in its folder, and how they are read back for a page.

A folder holds:

    samples/data.png  step-000100.png ...     images: a grid of 64
    samples/data.npz  step-000100.npz ...     points: a float32 array x, (n, d), in data units, and where there are
                                              classes, numbers `labels` (n,) and `names` of them
    samples/paths.npz                         how some came to be: see `pushforward.report.kept.paths`
    samples/codes.npz                         codes of held-out rows: see `pushforward.report.kept.codes`
"""

from __future__ import annotations

import io
import re
import warnings
import zipfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from pushforward import files

if TYPE_CHECKING:
    from torch import Tensor

    from pushforward.data.dataset import Dataset

__all__ = [
    "MAX_ARRAY",
    "UNREADABLE",
    "Film",
    "Points",
    "grid",
    "read_clouds",
    "read_grids",
    "scatter",
    "view",
    "write_samples",
]

Points = NDArray[np.float64]
T = TypeVar("T")

WIDTH, GAP, LARGEST = 512, 2, 2048  # of a grid, in pixels: usual width, gap, longest side on disk
SHOWN = {"images": 64, "points": 1000}  # samples kept of one look
PALE, STRONG = (150, 156, 160), (15, 118, 110)  # data and samples in a scatter plot
FRAMES, PAGE_SIDE, PAGE_BYTES = 60, 1024, 16_000_000  # limits on what goes into one page
MAX_ARRAY, MAX_PIXELS = 2**28, 64_000_000  # larger files are not opened
UNREADABLE = (OSError, ValueError, KeyError, SyntaxError, EOFError, NotImplementedError, MemoryError,
              zipfile.BadZipFile, Image.DecompressionBombError)  # fmt: skip


def grid(images: np.ndarray, columns: int = 8, scale: int | None = None) -> Image.Image:
    """Lay images out in rows; the gaps and unused cells are transparent.

    Args:
        images: uint8, (n, h, w) grey or (n, h, w, c) with 1, 3 or 4 channels.
        columns: Images in a row.
        scale: Whole-number enlargement; by default, the one that makes a row about 512 pixels wide.

    Raises:
        ValueError: If the array is empty or not of that form, or an option is below 1.
    """
    if images.dtype != np.uint8 or 0 in images.shape or images.ndim not in (3, 4):
        raise ValueError(f"images are {images.dtype} of shape {images.shape}; give uint8 (n, h, w) or (n, h, w, c)")
    if columns < 1 or (scale is not None and scale < 1):
        raise ValueError(f"columns {columns}, scale {scale}: give whole numbers from 1 on")
    cells = _with_alpha(images)
    n, h, w, channels = cells.shape
    columns = min(columns, n)
    scale = scale or max(1, round(WIDTH / (columns * w)))
    cells = cells.repeat(scale, axis=1).repeat(scale, axis=2)
    down, across = h * scale + GAP, w * scale + GAP
    sheet = np.zeros((-(-n // columns) * down - GAP, columns * across - GAP, channels), np.uint8)
    for k, cell in enumerate(cells):
        top, left = k // columns * down, k % columns * across
        sheet[top : top + h * scale, left : left + w * scale] = cell
    return Image.fromarray(sheet)


def _with_alpha(images: np.ndarray) -> np.ndarray:
    """Grey to (n, h, w, 2), colour to (n, h, w, 4), opaque where there was no alpha."""
    cells = images[..., None] if images.ndim == 3 else images
    if cells.shape[-1] not in (1, 3, 4):
        raise ValueError(f"images of shape {images.shape}: {cells.shape[-1]} channels in the last axis; give 1, 3 or 4")
    opaque = np.full_like(cells[..., :1], 255)
    return cells if cells.shape[-1] == 4 else np.concatenate([cells, opaque], axis=-1)


def scatter(x: np.ndarray, real: np.ndarray, side: int = WIDTH) -> bytes:
    """Samples over data in the plane, as a PNG on white; a picture for where no script runs.

    Args:
        x: Model samples, (n, 2).
        real: Data, (m, 2), drawn faintly.
        side: Side of the picture, in pixels.

    Raises:
        ValueError: If the points do not lie in the plane.
    """
    for points in (x, real):
        if points.ndim != 2 or points.shape[1] != 2:
            raise ValueError(f"points of shape {points.shape}; a scatter plot takes (n, 2)")
    low, high = view(real, [x])
    sheet = Image.new("RGB", (2 * side, 2 * side), "white")  # twice as large, then halved: smooth discs
    brush = ImageDraw.Draw(sheet)
    strong = min(8.0, max(3.0, 3.0 * (1000 / max(1, len(x))) ** 0.25))  # a handful must not drown in the data
    for points, colour, radius in ((real, PALE, 2.0), (x, STRONG, strong)):
        inside = _finite(points)
        for u, v in (inside - low) / (high - low) * 2 * side:
            if -radius < u < 2 * side + radius and -radius < v < 2 * side + radius:
                v = 2 * side - v
                brush.ellipse((u - radius, v - radius, u + radius, v + radius), fill=colour)
    return _png(sheet.resize((side, side), Image.Resampling.LANCZOS))


def view(real: Points | None, clouds: Sequence[Points]) -> Points:
    """The part of the plane worth showing, rows low and high, (2, 2).

    All of the data, and of the samples what lies between their 0.5 and 99.5 percentiles, as far as a third of the
    data's width beyond it. Both axes have one scale unless one is more than three times as long as the other.
    """
    known = [points for points in map(_finite, [*([] if real is None else [real]), *clouds]) if len(points)]
    if not known:
        return np.array([[-1.0, -1.0], [1.0, 1.0]])
    anchor = known[0] if real is not None else known[-1]
    low, high = anchor.min(0), anchor.max(0)
    span = np.where(high > low, high - low, 1.0)
    ends = np.array([np.percentile(points, (0.5, 99.5), axis=0) for points in known])
    low = np.minimum(low, np.maximum(ends[:, 0].min(0), low - span / 3)) - 0.05 * span
    high = np.maximum(high, np.minimum(ends[:, 1].max(0), high + span / 3)) + 0.05 * span
    sides = high - low
    if sides.max() <= 3 * sides.min():
        grow = (sides.max() - sides) / 2
        low, high = low - grow, high + grow
    return np.array([low, high], np.float64)


def _finite(points: np.ndarray) -> Points:
    known = np.asarray(points, np.float64)
    return known[np.isfinite(known).all(1)]


def write_samples(folder: Path, step: int, x: Tensor, data: Dataset, labels: Tensor | None = None) -> None:
    """Keep a look at samples after a step, and once, beside it, one at held-out data.

    Of many samples an even choice is kept, so that samples sorted by class show every class.

    Args:
        folder: Where pictures are kept, DIR/samples; made if missing.
        step: Steps done.
        x: Samples in model units, (n, *event).
        data: Gives the kind, the way to data units and the held-out part.
        labels: Classes of the samples (n,), kept with points.
    """
    folder.mkdir(parents=True, exist_ok=True)
    suffix, content = (".png", _grid_file) if data.kind == "images" else (".npz", _cloud_file)
    files.write(folder / f"step-{step:06d}{suffix}", content(x, data, labels))
    held = folder / f"data{suffix}"
    if not held.exists():
        files.write(held, content(data.test, data, None if labels is None else data.test_labels))


def _grid_file(x: Tensor, data: Dataset, labels: Tensor | None) -> bytes:
    sheet = grid(data.decode(x[_even(len(x), SHOWN["images"])]))
    sheet.thumbnail((LARGEST, LARGEST))
    return _png(sheet)


def _cloud_file(x: Tensor, data: Dataset, labels: Tensor | None) -> bytes:
    rows = _even(len(x), SHOWN["points"])
    buffer = io.BytesIO()
    with np.errstate(over="ignore"):
        arrays = {"x": data.decode(x[rows]).astype(np.float32)}
    if labels is not None:
        arrays |= {"labels": labels[rows].cpu().numpy(), "names": np.array(data.classes or ())}
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def _even(n: int, most: int) -> list[int]:
    """At most so many of n row numbers, evenly spaced; always the same ones, so that a row keeps its identity."""
    return [k * n // min(n, most) for k in range(min(n, most))]


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


@dataclass(frozen=True)
class Film(Generic[T]):
    """Looks at samples in the order of training.

    Attributes:
        steps: Steps done at each look.
        frames: PNG files, or clouds (n, d).
        data: The same of held-out data; None if it is missing.
        damaged: Names of files that could not be read.
    """

    steps: list[int] = field(default_factory=list)
    frames: list[T] = field(default_factory=list)
    data: T | None = None
    damaged: list[str] = field(default_factory=list)

    def only(self, rows: Iterable[int]) -> Film[T]:
        """The same with some of the looks."""
        kept = list(rows)
        return replace(self, steps=[self.steps[k] for k in kept], frames=[self.frames[k] for k in kept])


def read_grids(folder: Path) -> Film[bytes]:
    """The grids of a run, checked, at most 1024 pixels wide, and thinned to what a page can carry."""
    film = _read(folder, ".png", _read_grid)
    while sum(map(len, film.frames)) > PAGE_BYTES and len(film.frames) > 1:
        film = film.only(_ends(len(film.frames), len(film.frames) // 2))
    return film


def read_clouds(folder: Path) -> Film[Points]:
    """The clouds of a run, checked; all of them have as many columns as the last."""
    film = _read(folder, ".npz", _read_cloud)
    if not film.frames:
        return film
    columns = film.frames[-1].shape[1]
    alike = film.only(k for k, frame in enumerate(film.frames) if frame.shape[1] == columns)
    return alike if film.data is None or film.data.shape[1] == columns else replace(alike, data=None)


def _read(folder: Path, suffix: str, read: Callable[[Path], T]) -> Film[T]:
    """Every readable look below a folder; a file that cannot be read is named, not fatal."""
    damaged: list[str] = []

    def attempt(path: Path) -> list[T]:
        try:
            return [read(path)]
        except UNREADABLE:
            damaged.append(path.name)
            return []

    found = _steps(folder, suffix)
    looks = [(found[k][0], frame) for k in _ends(len(found), FRAMES) for frame in attempt(found[k][1])]
    held = folder / f"data{suffix}"
    data = attempt(held) if held.exists() else []
    return Film([step for step, _ in looks], [frame for _, frame in looks], data[0] if data else None, damaged)


def _steps(folder: Path, suffix: str) -> list[tuple[int, Path]]:
    """The files of looks by the steps in their names."""
    name = re.compile(rf"step-([0-9]{{1,12}}){re.escape(suffix)}")
    paths = list(folder.iterdir()) if folder.is_dir() else []
    return sorted((int(matched[1]), path) for path in paths if (matched := name.fullmatch(path.name)))


def _ends(n: int, most: int) -> list[int]:
    """At most so many of n row numbers, evenly spaced, the last among them."""
    return list(range(n)) if n <= most else sorted({round((k + 1) * n / most) - 1 for k in range(most)} | {n - 1})


def _read_grid(path: Path) -> bytes:
    content = path.read_bytes()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image = Image.open(io.BytesIO(content), formats=["PNG"])
    if image.width * image.height > MAX_PIXELS:
        raise ValueError(f"{path}: {image.width} x {image.height} pixels")
    image.load()
    if max(image.size) <= PAGE_SIDE and len(content) <= 2**20:
        return content
    image.thumbnail((PAGE_SIDE, PAGE_SIDE))
    return _png(image)


def _read_cloud(path: Path) -> Points:
    with zipfile.ZipFile(path) as archive:
        if archive.getinfo("x.npy").file_size > MAX_ARRAY:
            raise ValueError(f"{path}: too large")
    with np.load(path, allow_pickle=False) as arrays:
        x = arrays["x"]
    if x.ndim != 2 or 0 in x.shape or x.dtype.kind not in "fiu":
        raise ValueError(f"{path}: {x.dtype} of shape {x.shape}, not points")
    return x[_even(len(x), SHOWN["points"])].astype(np.float64)
