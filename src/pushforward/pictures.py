"""Pictures: how a run leaves samples in its folder, how they are read back for a page, and curves as SVG.

samples/data.png  step-000100.png ...     images: a grid of 64
samples/data.npz  step-000100.npz ...     points: a float32 array x, (n, d), in data units
"""

from __future__ import annotations

import io
import math
import os
import re
import warnings
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

if TYPE_CHECKING:
    from torch import Tensor

    from pushforward.data.dataset import Dataset

__all__ = ["Curve", "Film", "Points", "Scale", "chart", "digits", "grid", "pack", "plane", "read_clouds", "read_grids",
           "replace_file", "scatter", "view", "write_samples"]  # fmt: skip

Points = NDArray[np.float64]
T = TypeVar("T")
Curve = list[tuple[float, float | None]]
Place = Callable[[float], float]  # from a value to a position in the picture

WIDTH, GAP, LARGEST = 512, 2, 2048  # of a grid, in pixels: usual width, gap, longest side on disk
SHOWN = {"images": 64, "points": 1000}  # samples kept of one look
PALE, STRONG = (150, 156, 160), (15, 118, 110)  # data and samples in a scatter plot
REACH = 32767  # int16 levels from the centre of a view to the edge of what is packed, two views away
FRAMES, PAGE_SIDE, PAGE_BYTES = 60, 1024, 16_000_000  # limits on what goes into one page
WIDE, TALL, LEFT, RIGHT, TOP, BOTTOM = 360, 196, 46, 352, 8, 170  # a chart and the field within its axes
DRAWN, RAGGED = 400, 120  # points kept of a curve (at most twice as many), and from which on it gets a moving mean
MAX_ARRAY, MAX_PIXELS = 2**28, 64_000_000  # larger files are not opened


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
    for points, colour, radius in ((real, PALE, 2.0), (x, STRONG, 3.0)):
        inside = _finite(points)
        for u, v in (inside - low) / (high - low) * 2 * side:
            if -radius < u < 2 * side + radius and -radius < v < 2 * side + radius:
                v = 2 * side - v
                brush.ellipse((u - radius, v - radius, u + radius, v + radius), fill=colour)
    return _png(sheet.resize((side, side), Image.Resampling.LANCZOS))


def write_samples(folder: Path, step: int, x: Tensor, data: Dataset) -> None:
    """Keep a look at samples after a step, and once, beside it, one at held-out data.

    Of many samples an even choice is kept, so that samples sorted by class show every class.

    Args:
        folder: Where pictures are kept, DIR/samples; made if missing.
        step: Steps done.
        x: Samples in model units, (n, *event).
        data: Gives the kind, the way to data units and the held-out part.
    """
    folder.mkdir(parents=True, exist_ok=True)
    suffix, content = (".png", _grid_file) if data.kind == "images" else (".npz", _cloud_file)
    replace_file(folder / f"step-{step:06d}{suffix}", content(x, data))
    held = folder / f"data{suffix}"
    if not held.exists():
        replace_file(held, content(data.test, data))


def _grid_file(x: Tensor, data: Dataset) -> bytes:
    sheet = grid(data.decode(x[_even(len(x), SHOWN["images"])]))
    sheet.thumbnail((LARGEST, LARGEST))
    return _png(sheet)


def _cloud_file(x: Tensor, data: Dataset) -> bytes:
    points = data.decode(x[_even(len(x), SHOWN["points"])])
    buffer = io.BytesIO()
    with np.errstate(over="ignore"):
        np.savez(buffer, x=points.astype(np.float32))
    return buffer.getvalue()


def _even(n: int, most: int) -> list[int]:
    """At most so many of n row numbers, evenly spaced; always the same ones, so that a row keeps its identity."""
    return [k * n // min(n, most) for k in range(min(n, most))]


def replace_file(path: Path, content: bytes) -> None:
    """Write a file under another name and rename it, so that nobody ever reads half of it."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_bytes(content)
    os.replace(fresh, path)


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

    steps: list[int]
    frames: list[T]
    data: T | None
    damaged: list[str]


def read_grids(folder: Path) -> Film[bytes]:
    """The grids of a run, checked, at most 1024 pixels wide, and thinned to what a page can carry."""
    film = _read(folder, ".png", _read_grid)
    while sum(map(len, film.frames)) > PAGE_BYTES and len(film.frames) > 1:
        film = _thinned(film, max(1, len(film.frames) // 2))
    return film


def read_clouds(folder: Path) -> Film[Points]:
    """The clouds of a run, checked; all of them have as many columns as the last."""
    film = _read(folder, ".npz", _read_cloud)
    if not film.frames:
        return film
    columns = film.frames[-1].shape[1]
    kept = [k for k, frame in enumerate(film.frames) if frame.shape[1] == columns]
    data = film.data if film.data is not None and film.data.shape[1] == columns else None
    return Film([film.steps[k] for k in kept], [film.frames[k] for k in kept], data, film.damaged)


def _read(folder: Path, suffix: str, read: Callable[[Path], T]) -> Film[T]:
    """Every readable look below a folder; a file that cannot be read is named, not fatal."""
    found = []
    for path in folder.iterdir() if folder.is_dir() else ():
        matched = re.fullmatch(rf"step-([0-9]{{1,12}}){re.escape(suffix)}", path.name)
        found += [(int(matched[1]), path)] if matched else []
    found.sort()
    damaged: list[str] = []

    def attempt(path: Path) -> list[T]:
        try:
            return [read(path)]
        except (
            OSError,
            ValueError,
            KeyError,
            SyntaxError,
            EOFError,
            NotImplementedError,
            MemoryError,
            zipfile.BadZipFile,
            Image.DecompressionBombError,
        ):
            damaged.append(path.name)
            return []

    looks = [(found[k][0], frame) for k in _ends(len(found), FRAMES) for frame in attempt(found[k][1])]
    held = folder / f"data{suffix}"
    data = attempt(held) if held.exists() else []
    return Film([step for step, _ in looks], [frame for _, frame in looks], data[0] if data else None, damaged)


def _thinned(film: Film[T], most: int) -> Film[T]:
    kept = _ends(len(film.frames), most)
    return Film([film.steps[k] for k in kept], [film.frames[k] for k in kept], film.data, film.damaged)


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


def plane(real: Points | None, clouds: Sequence[Points]) -> tuple[Points | None, list[Points], str]:
    """Bring points of any dimension into the plane.

    Args:
        real: Data, (m, d), or None.
        clouds: Samples, (n, d) each, at least one.

    Returns:
        Data and samples with two columns, and what the plane shows, in words: two columns as they are; one column
        spread out vertically; of more, the first two principal directions of the standardised data.
    """
    columns = clouds[-1].shape[1]
    if columns == 2:
        return real, list(clouds), "x to the right, y upwards, in data units"
    if columns == 1:
        flat = [_spread(points) for points in clouds]
        return None if real is None else _spread(real), flat, "the only column to the right; heights mean nothing"
    centre, axes = _axes(clouds[-1] if real is None else real)
    with np.errstate(all="ignore"):
        flat = [(points - centre) @ axes for points in clouds]
        return (
            (None if real is None else (real - centre) @ axes),
            flat,
            (f"the first two principal directions of {columns} standardised columns"),
        )


def _axes(points: Points) -> tuple[Points, Points]:
    """Mean (d,) and the two directions (d, 2) of largest variance after standardising, signs fixed."""
    known = _finite(points)
    if len(known) < 2:
        return np.zeros(points.shape[1]), np.eye(points.shape[1], 2)
    centre, scale = known.mean(0), known.std(0)
    scale = np.where(scale > 0, scale, 1.0)
    _, _, directions = np.linalg.svd((known - centre) / scale, full_matrices=False)
    axes = directions[:2].T
    axes = axes * np.where(axes[np.abs(axes).argmax(0), [0, 1]] < 0, -1.0, 1.0)
    return centre, axes / scale[:, None]


def _spread(points: Points) -> Points:
    """Give one column a second that is even in [0, 1] and does not follow the order of the rows."""
    heights = (np.arange(len(points)) * 0.6180339887498949) % 1.0
    return np.stack([points[:, 0], heights.astype(np.float64)], axis=1)


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


def pack(points: Points, box: Points) -> bytes:
    """Points as little-endian int16 pairs: 0 is the centre of the view, 32767 is two views away from it.

    What lies farther is moved to that distance, far outside the picture; -32768 marks what is not finite. A point is
    read back as centre + level * 2 * (high - low) / 32767, to within half a level.

    Args:
        points: (n, 2).
        box: Rows low and high of the view, (2, 2).
    """
    low, high = box
    with np.errstate(all="ignore"):
        levels = np.clip(np.rint((points - (low + high) / 2) * (REACH / 2) / (high - low)), -REACH, REACH)
    levels[~np.isfinite(points).all(1)] = -REACH - 1
    return levels.astype("<i2").tobytes()


def _finite(points: np.ndarray) -> Points:
    known = np.asarray(points, np.float64)
    return known[np.isfinite(known).all(1)]


# Curves


def digits(x: float, most: int = 4) -> str:
    """A finite number to a few significant digits, for people."""
    if x == 0 or 1e-4 <= abs(x) < 1000:
        shown = f"{x:.{most}g}"
    elif 1000 <= abs(x) < 1e7:
        shown = f"{x:,.0f}"
    else:
        mantissa, exponent = f"{x:.{most - 1}e}".split("e")
        mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
        shown = f"{mantissa}e{int(exponent)}"
    return shown.replace("-", "−")


@dataclass(frozen=True)
class Scale:
    """How the values of a curve are drawn.

    Attributes:
        healthy: Range to shade, if there is one.
        guides: Values that the picture shows in any case, as dotted lines.
        log: Whether a logarithmic axis may be used; it is for positive values that span more than two decades.
    """

    healthy: tuple[float, float] | None = None
    guides: tuple[float, ...] = ()
    log: bool = True


def chart(
    lines: Mapping[int, Curve], label: str, scale: Scale, rings: Mapping[int, tuple[float, float]] | None = None
) -> str:
    """Curves over steps as an SVG element; its colours are the style sheet's classes r0 to r7.

    Args:
        lines: Points (step, value) by the number of the run, steps ascending; None where a value is not finite.
        label: What the picture shows, escaped.
        scale: How values are drawn.
        rings: A point to mark, by the number of the run.
    """
    values = [value for curve in lines.values() for _, value in curve if value is not None]
    if not values:
        return '<p class="soft">No finite value.</p>'
    log = scale.log and min(values) > 0 and max(values) > 100 * min(values)
    steps = [step for curve in lines.values() for step, _ in curve]
    ends = _range(min(steps), max(steps), 0.0)
    levels = [math.log10(value) for value in values] if log else [*values, *scale.guides]
    axis = _range(min(levels), max(levels), 0.06)

    def across(step: float) -> float:
        return LEFT + (step - ends[0]) / (ends[1] - ends[0]) * (RIGHT - LEFT)

    def up(level: float) -> float:
        return BOTTOM - (level - axis[0]) / (axis[1] - axis[0]) * (BOTTOM - TOP)

    def height(value: float) -> float:
        return up(math.log10(max(value, 1e-300)) if log else value)

    band = _band(scale.healthy, height)
    marks = "".join(f'<line class="guide" x1="{LEFT}" x2="{RIGHT}" y1="{height(y):.1f}" y2="{height(y):.1f}"/>'
                    for y in scale.guides if not log)  # fmt: skip
    drawn = "".join(
        f'<g class="r{k % 8}">{_polylines(k, curve, across, height)}'
        f"{_ring((rings or {}).get(k), across, height, ends)}</g>"
        for k, curve in lines.items()
    )
    return (
        f'<svg viewBox="0 0 {WIDE} {TALL}" role="img" aria-label="{label}" '
        f'data-box="{LEFT} {TOP} {RIGHT} {BOTTOM}" data-x="{ends[0]!r} {ends[1]!r}" data-y="{axis[0]!r} {axis[1]!r}"'
        f"{' data-log' if log else ''}>{band}{_ruler(ends, axis, log, across, up)}{marks}"
        f'<line class="hair" y1="{TOP}" y2="{BOTTOM}"/>{drawn}</svg>'
    )


def _range(low: float, high: float, margin: float) -> tuple[float, float]:
    """An interval of positive length around some values."""
    low, high = float(low), float(high)
    if high - low <= 1e-9 * max(abs(low), abs(high), 1e-290):
        room = abs(low) * 0.1 or 1.0
        return low - room, high + room
    return low - margin * (high - low), high + margin * (high - low)


def _ticks(low: float, high: float, most: int) -> list[float]:
    """Round numbers in an interval, at most so many and one."""
    raw = (high - low) / most
    unit = 10.0 ** math.floor(math.log10(raw))
    unit *= next(factor for factor in (1, 2, 5, 10, 20) if factor * unit >= raw * (1 - 1e-9))
    first = math.ceil(low / unit - 1e-9)
    return [k * unit for k in range(first, first + most + 2) if k * unit <= high + 1e-9 * unit]


def _ruler(ends: tuple[float, float], axis: tuple[float, float], log: bool, across: Place, up: Place) -> str:
    parts = []
    levels = _ticks(*axis, 4)
    if log:
        whole = [float(k) for k in range(math.ceil(axis[0]), math.floor(axis[1]) + 1)]
        halves = [k + math.log10(3) for k in range(math.floor(axis[0]), math.ceil(axis[1]))] if len(whole) < 3 else []
        levels = whole[:: max(1, -(-len(whole) // 5))] + [level for level in halves if axis[0] <= level <= axis[1]]
    for level in levels:
        y, word = up(level), digits(10.0**level if log else round(level, 12), 3)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
                     f'<text x="{LEFT - 6}" y="{y + 3.8:.1f}" text-anchor="end">{word}</text>')  # fmt: skip
    ticks = _ticks(*ends, 4)
    for step in ticks:
        anchor = "end" if across(step) > RIGHT - 14 else "middle"
        parts.append(f'<text x="{across(step):.1f}" y="{BOTTOM + 16}" text-anchor="{anchor}">{digits(step, 6)}</text>')
    return "".join(parts)


def _band(healthy: tuple[float, float] | None, height: Place) -> str:
    if healthy is None:
        return ""
    top, bottom = (min(max(height(value), TOP), BOTTOM) for value in (healthy[1], healthy[0]))
    return f'<rect class="band" x="{LEFT}" width="{RIGHT - LEFT}" y="{top:.1f}" height="{bottom - top:.1f}"/>'


def _polylines(k: int, curve: Curve, across: Place, height: Place) -> str:
    """A curve, broken where a number is not finite, with a moving mean if it has many points; lone points are dots."""
    pieces: list[list[tuple[float, float]]] = [[]]
    for step, value in _stretches(curve):
        if value is None:
            pieces.append([])
        else:
            pieces[-1].append((across(step), height(value)))
    ragged = len(curve) >= RAGGED
    parts = []
    for piece in filter(None, pieces):
        dot = f'<circle r="2" cx="{piece[0][0]:.2f}" cy="{piece[0][1]:.2f}"/>' if len(piece) == 1 else ""
        parts.append(f'{dot}<polyline{" class=raw" if ragged else ""} data-run="{k}" points="{_points(piece)}"/>')
        parts += [f'<polyline points="{_points(_moving_mean(piece))}"/>'] if ragged else []
    return "".join(parts)


def _points(piece: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.2f},{y:.2f}" for x, y in piece)


def _moving_mean(piece: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Means over a thirtieth of the points, fewer at the ends so that the window stays centred."""
    reach, total = len(piece) // 60, np.concatenate([[0.0], np.cumsum([y for _, y in piece])])
    means = []
    for k, (x, _) in enumerate(piece):
        r = min(reach, k, len(piece) - 1 - k)
        means.append((x, float(total[k + r + 1] - total[k - r]) / (2 * r + 1)))
    return means


def _ring(best: tuple[float, float] | None, across: Place, height: Place, ends: tuple[float, float]) -> str:
    if best is None or not ends[0] <= best[0] <= ends[1]:
        return ""
    y = min(max(height(best[1]), TOP), BOTTOM)
    return f'<circle class="best" r="4" cx="{across(best[0]):.2f}" cy="{y:.2f}"/>'


def _stretches(curve: Curve) -> Curve:
    """A long curve by the lowest and the highest point of each stretch, gaps kept."""
    if len(curve) <= 2 * DRAWN:
        return curve
    size, kept = -(-len(curve) // DRAWN), []
    for k in range(0, len(curve), size):
        stretch = sorted(
            enumerate(curve[k : k + size]), key=lambda item: math.inf if item[1][1] is None else item[1][1]
        )
        kept += [point for _, point in sorted((stretch[0], stretch[-1]))]
    return kept
