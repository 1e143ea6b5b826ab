"""Paths of samples through the stages of a bridge, with the drift that carries them, and its energy in two ways."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pushforward.pictures import grid
from pushforward.report.figures.plots import COLOURS, WORDS, figure, svg
from pushforward.report.kept.paths import DriftField, Paths
from pushforward.report.reading import Record
from pushforward.report.skeleton import png_uri
from pushforward.report.values import digits, short, text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_field", "draw_paths", "paths"]

LINES = 40  # paths that are drawn as lines
SIDE = (3.0, 3.0)  # of a figure, in inches
CLOSE, NEAR = 0.05, 0.2  # the two energies' distance, as a share of the second, that is healthy, and that is fair


def paths(run: Record) -> str:
    """The section with paths, where an evaluation kept some; else nothing."""
    kept = run.paths
    if kept is None:
        return ""
    many = "one stage" if kept.stages == 1 else f"{kept.stages} stages, each in a unit of time"
    whose = f", all of class {text(kept.label)}" if kept.label else ""
    lead = f"How samples came to be after step {kept.step:,}, in {many}{whose}."
    return (
        f'<section><h2 id="paths">Paths</h2><p class="lead">{lead}</p>{_energy(kept)}{_facts(kept)}'
        f"{_plane(kept) if kept.x is not None and kept.x.ndim == 3 else _strip(kept)}</section>"
    )


def _facts(kept: Paths) -> str:
    facts = [("Calls of the net a sample", f"{kept.calls:,}")]
    if kept.energies is not None:
        names = ("Energy of stage 1, ∫E|b|²dt", "of the exact bridge, 2τ KL")
        facts += [(name, short(value)) for name, value in zip(names, kept.energies, strict=True)]
    return f'<dl class="facts">{"".join(f"<div><dt>{name}</dt><dd>{fact}</dd></div>" for name, fact in facts)}</dl>'


def _energy(kept: Paths) -> str:
    """How the two energies compare, in words."""
    if kept.energies is None:
        return ""
    spent, exact = kept.energies
    off = abs(spent - exact) / abs(exact) if exact else float("inf")
    grade = "good" if off <= CLOSE else "fair" if off <= NEAR else "bad"
    apart = f"{off:.1%}".replace("%", " %") if np.isfinite(off) else "without a number"
    words = (
        f"<b>Energy of stage 1</b> beside 2τ KL(q‖N(m, τI)), with q the law where it ends: {apart} apart. Healthy: the "
        "two within a few percent; the drift is then that of the bridge to its own samples. Farther apart, what the "
        "net says at one level of noise contradicts what it says at another: train longer, or on wider levels."
    )
    return f'<p class="status {grade}"><span>{words}</span></p>'


def _plane(kept: Paths) -> str:
    """Paths of points through each stage, and what carries them at a few times."""
    figures = list[str]()
    for k in range(kept.stages):
        name = f"Paths of {min(LINES, kept.x.shape[1] if kept.x is not None else 0)} samples through stage {k + 1}"
        figures.append(figure(name, svg(lambda axes, k=k: draw_paths(axes, kept, k), SIDE)))
    for field in kept.fields:
        fastest = digits(float(np.linalg.norm(field.drift, axis=1).max()), 3)
        stage = min(int(field.time), kept.stages - 1)
        name = f"Drift of stage {stage + 1} at t = {digits(field.time - stage, 3)}; the longest arrow is {fastest}"
        figures.append(figure(name, svg(lambda axes, field=field: draw_field(axes, kept, field), SIDE)))
    return (
        '<p class="lead">Lines go from orange to green. Arrows are the drift that was learned, each picture at a scale '
        f'of its own, over samples at that time, in data units.</p><div class="curves">{"".join(figures)}</div>'
    )


def draw_paths(axes: Axes, kept: Paths, stage: int) -> None:
    """Some paths from the beginning of a stage (0 the first) to its end, as lines.

    Args:
        axes: Where to draw.
        kept: Paths of points.
        stage: Which one.
    """
    assert kept.x is not None
    within = (kept.times >= stage) & (kept.times <= stage + 1)
    way = _finite(kept.x[within])
    axes.plot(way[:, :LINES, 0], way[:, :LINES, 1], color=COLOURS[2], linewidth=0.6, alpha=0.7)
    axes.plot(*way[-1].T, ".", color=COLOURS[0], markersize=3)
    axes.plot(*way[0, :LINES].T, "o", color=COLOURS[1], markersize=2.5)
    _square(axes, way.reshape(-1, 2))


def draw_field(axes: Axes, kept: Paths, field: DriftField) -> None:
    """The drift as arrows over the samples at its time.

    Args:
        axes: Where to draw.
        kept: Paths of points.
        field: The drift.
    """
    assert kept.x is not None
    cloud = _finite(kept.x[np.abs(kept.times - field.time).argmin()][None])[0]
    axes.plot(*cloud.T, ".", color=COLOURS[0], markersize=3, alpha=0.5)
    axes.quiver(*field.at.T, *field.drift.T, color=WORDS, angles="xy", width=0.006)
    _square(axes, field.at)


def _square(axes: Axes, points: NDArray[np.float64]) -> None:
    """A field with one scale on both axes around points (n, 2)."""
    low, high = (points.min(0), points.max(0)) if len(points) else (np.zeros(2), np.ones(2))
    middle, half = (low + high) / 2, 0.52 * float((high - low).max()) or 1.0
    axes.set_aspect("equal")
    axes.set_xlim(middle[0] - half, middle[0] + half)
    axes.set_ylim(middle[1] - half, middle[1] + half)


def _finite(x: NDArray[np.float32]) -> NDArray[np.float64]:
    """Paths (k, n, 2) of which every point is a number that can be drawn."""
    return x[:, (np.abs(x) < 1e30).all((0, 2))].astype(np.float64)


def _strip(kept: Paths) -> str:
    """Images along the way, a row for each sample."""
    if kept.x is None:
        return ""
    rows = np.swapaxes(kept.x, 0, 1).reshape(-1, *kept.x.shape[2:])
    buffer = io.BytesIO()
    grid(rows, len(kept.times)).save(buffer, "PNG")
    times = ", ".join(digits(float(t), 3) for t in kept.times)
    return (
        f'<figure class="strip"><div class="pane"><img alt="Images along the way" src="{png_uri(buffer.getvalue())}">'
        f"</div><figcaption>A row for each sample, from left to right at times {times}</figcaption></figure>"
    )
