"""The samples of runs beside held-out data: grids of images and moving clouds on stages with one slider."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pushforward.pictures import Points, view
from pushforward.report.figures.clouds import canvas, plane
from pushforward.report.reading import Record
from pushforward.report.skeleton import chip, png_uri
from pushforward.report.values import HUES, digits, text

__all__ = ["samples"]

CONTROLS = (
    '<div class="controls" hidden><button type="button" class="play" aria-label="Play">'
    '<svg viewBox="0 0 16 16" aria-hidden="true"><path class="go" d="M4 2l10 6-10 6z"/>'
    '<path class="pause" d="M3 2h3.5v12H3zM9.5 2H13v12H9.5z"/></svg></button>'
    '<input type="range" min="0" value="0" aria-label="Training step"><output></output></div>'
)


def samples(runs: Sequence[Record]) -> str:
    """The section with all samples: runs on the same data stand together, followed by the data."""
    groups: dict[str, list[int]] = {}
    for k, run in enumerate(runs):
        groups.setdefault(run.digest, []).append(k)
    stages = [stage for group in groups.values() for stage in _clouds(runs, group) + _grids(runs, group)]
    if not stages:
        return ""
    moving = any(run.clouds.frames for run in runs)
    lead = "Samples move over held-out data, drawn in grey." if moving else "Samples beside held-out data."
    return (
        f'<section class="player"><h2>Samples and data</h2><p class="lead">{lead} '
        "Drag the slider to see them after other numbers of steps.</p>"
        f'<div class="stages">{"".join(stages)}</div>{CONTROLS}</section>'
    )


def _caption(runs: Sequence[Record], k: int) -> str:
    return "<b>Samples</b>" if len(runs) == 1 else f'<span class="chip"></span><b>{text(runs[k].label)}</b>'


def _grids(runs: Sequence[Record], group: Sequence[int]) -> list[str]:
    """Grids of the runs that have no clouds."""
    shown = [k for k in group if runs[k].grids.frames and not runs[k].clouds.frames]
    stages = [_grid(runs, k) for k in shown]
    data = next((runs[k].grids.data for k in group if runs[k].grids.data and not runs[k].clouds.frames), None)
    if stages and data:
        stages.append(
            f'<figure class="stage"><div class="pane"><img alt="Grid of held-out data" src="{png_uri(data)}"></div>'
            "<figcaption><b>Data</b>, held out from training</figcaption></figure>"
        )
    return stages


def _grid(runs: Sequence[Record], k: int) -> str:
    """All grids of one run, the last one visible."""
    film = runs[k].grids
    last = len(film.frames) - 1
    pictures = "".join(
        f'<img alt="Grid of samples after step {step:,}" src="{png_uri(frame)}"{"" if j == last else " hidden"}>'
        for j, (step, frame) in enumerate(zip(film.steps, film.frames, strict=True))
    )
    return (
        f'<figure class="stage r{k % HUES}"><div class="pane" data-steps="{" ".join(map(str, film.steps))}">{pictures}'
        f"</div><figcaption>{_caption(runs, k)}, up to step {film.steps[-1]:,}</figcaption></figure>"
    )


def _clouds(runs: Sequence[Record], group: Sequence[int]) -> list[str]:
    """Canvases that show the same part of the plane."""
    flat = {k: plane(runs[k].clouds.data, runs[k].clouds.frames) for k in group if runs[k].clouds.frames}
    if not flat:
        return []
    real = next((real for real, _, _ in flat.values() if real is not None), None)
    box = view(real, [frame for _, frames, _ in flat.values() for frame in frames])
    stages = [_cloud(runs, k, own, frames, words, box) for k, (own, frames, words) in flat.items()]
    classes = runs[0].classes if len(runs) == 1 else None
    return stages if real is None else [*stages, _data_cloud(real, box, None if classes is None else classes.data)]


def _legend(names: Sequence[str]) -> str:
    """What the colours of classes mean, as far as there are enough of them."""
    if not names:
        return ""
    if len(names) > HUES:
        return f"; {len(names):,} classes, {HUES} colours in turn"
    return f'<span class="legend">{"".join(f"<span>{chip(k, name)}</span>" for k, name in enumerate(names))}</span>'


def _cloud(runs: Sequence[Record], k: int, real: Points | None, frames: list[Points], words: str, box: Points) -> str:
    steps, held = runs[k].clouds.steps, np.empty((0, 2)) if real is None else real
    classes = runs[k].classes if len(runs) == 1 else None  # of several runs, a colour means the run
    size = f"{len(frames[-1]):,}" + (f" over {len(held):,} held-out points" if len(held) else "")
    drawn = canvas(steps, frames, held, box, "Samples over data", None if classes is None else classes.samples)
    legend = "" if classes is None else _legend(classes.names)
    return (
        f'<figure class="stage r{k % HUES}">{drawn}'
        f"<figcaption>{_caption(runs, k)}: {size}; {words}{legend}</figcaption></figure>"
    )


def _data_cloud(real: Points, box: Points, classes: NDArray[np.int64] | None) -> str:
    (left, bottom), (right, top) = ([digits(end, 3) for end in corner] for corner in box.tolist())
    drawn = canvas([], [], real, box, "Held-out data", classes)
    return (
        f'<figure class="stage">{drawn}<figcaption><b>Data</b>, held out '
        f"from training; x from {left} to {right}, y from {bottom} to {top}</figcaption></figure>"
    )
