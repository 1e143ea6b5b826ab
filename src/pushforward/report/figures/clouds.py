"""Moving clouds: points of any dimension brought into the plane and packed for a canvas that animates them."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pushforward.pictures import Points, scatter
from pushforward.report.skeleton import png_uri
from pushforward.report.values import HUES

__all__ = ["canvas", "pack", "plane"]

REACH = 32767  # int16 levels from the centre of a view to the edge of what is packed, two views away


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
        held = None if real is None else (real - centre) @ axes
    return held, flat, f"the first two principal directions of {columns} standardised columns"


def _axes(points: Points) -> tuple[Points, Points]:
    """Mean (d,) and the two directions (d, 2) of largest variance after standardising, signs fixed."""
    known = points[np.isfinite(points).all(1)]
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


def canvas(
    steps: Sequence[int],
    frames: Sequence[Points],
    real: Points,
    box: Points,
    label: str,
    classes: NDArray[np.int64] | None = None,
) -> str:
    """A canvas, the points it draws, and a picture of the last of them for where no script runs.

    Args:
        steps: Steps done at each frame.
        frames: Samples, (n, 2) each; none for a picture of the data alone.
        real: Data, (m, 2).
        box: Rows low and high of the view, (2, 2).
        label: What the canvas shows.
        classes: Numbers of the classes, for a colour each: of the samples (n,), or of the data (m,) without samples.
    """
    low, high = box.tolist()
    packed = [b64encode(pack(points, box)).decode() for points in (real, *frames)]
    stored = {"steps": list(steps), "low": low, "high": high, "data": packed[0], "frames": packed[1:]}
    if classes is not None:
        stored["classes"] = (classes % HUES).tolist()
    content = json.dumps(stored).replace("<", "\\u003c")
    still = png_uri(scatter(frames[-1] if frames else np.empty((0, 2)), real))
    return (
        f'<div class="pane cloud"><canvas hidden role="img" aria-label="{label}"></canvas>'
        f'<script type="application/json">{content}</script>'
        f'<noscript><img alt="{label}" src="{still}"></noscript></div>'
    )
