"""The page of a merge: cells before and after by batch and by class, numbers beside floors, and curves of the flow."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pushforward import files
from pushforward.metrics.integration.table import ABOUT
from pushforward.randomness import generator
from pushforward.report.figures.plots import LINE, WORDS, drawable, legend, logarithmic, plainly
from pushforward.report.skeleton import cells, command, fill, png_uri, still
from pushforward.report.values import HUES, LIGHT, short, text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Embedding", "write_merge"]

Array = NDArray[Any]

MOST = 4000  # cells drawn


@dataclass(frozen=True)
class Embedding:
    """The cells of a merge.

    Attributes:
        before: Representation before, (n, d).
        after: And after, (n, d).
        batch: Batch of each cell, (n,).
        labels: Class of each, (n,), or None.
        target: The batch that stayed.
    """

    before: Array
    after: Array
    batch: Array
    labels: Array | None
    target: str


def write_merge(
    found: Mapping[str, Any], shown: Embedding, out: Path, *, title: str = "Merge", again: str = "", seed: int = 0
) -> Path:
    """Write the page of a merge: one HTML file that loads nothing.

    Args:
        found: Distances by the names of the batches, scores, clouds, curves and warnings, as in `uns["gpa"]`.
        shown: What is drawn.
        out: The page; folders are made.
        title: What was merged, in words.
        again: The command that made the page, or "".
        seed: Which cells are drawn of many.
    """
    warnings = [*found["warnings"], *_travelling(found)]
    notes = "".join(f"<li>{text(words)}</li>" for words in warnings)
    head = (
        f'<p class="eyebrow">pushforward · merge</p><h1>{text(title)}</h1>'
        f'<p class="status {"fair" if warnings else "good"}"><span>Cells of {text(shown.target)} are unchanged; mode '
        f"{text(found['mode'])}.</span></p>"
        + (f'<aside class="notes" aria-label="Notes"><ul>{notes}</ul></aside>' if notes else "")
    )
    body = _pictures(shown, seed) + _distances(found) + _scores(found["scores"]) + _curves(found)
    tail = f"<section><h2>Command</h2>{command({'command': again})}</section>" if again else ""
    files.write(out, fill(title, head + body + tail).encode("utf-8", "replace"), parents=True)
    return out


def _pictures(shown: Embedding, seed: int) -> str:
    """Before and after along the principal axes of the target, which are the same for both."""
    rng, n = generator(seed, "show", part="merge"), len(shown.before)
    rows = rng.permutation(n)[:MOST]
    still = np.asarray(shown.before[shown.batch == shown.target], np.float64)
    mean = still.mean(0)
    axes = np.linalg.svd(still[:20_000] - mean, full_matrices=False)[2][:2].T
    if axes.shape[1] == 1:
        axes = np.pad(axes, ((0, 0), (0, 1)))
    planes = [(np.asarray(x[rows], np.float64) - mean) @ axes for x in (shown.before, shown.after)]
    stages = [_stage(_clouds(planes, shown.batch[rows]), "Before and after, by <b>batch</b>")]
    if shown.labels is not None:
        stages.append(_stage(_clouds(planes, shown.labels[rows]), "Before and after, by <b>class</b>"))
    lead = f"{len(rows):,} of {n:,} cells along the target's first two principal axes; both pictures have one scale."
    return f'<section><h2>Cells</h2><p class="lead">{lead}</p><div class="curves">{"".join(stages)}</div></section>'


def _clouds(planes: Sequence[Array], names: Array) -> bytes:
    def draw(axes: Sequence[Axes]) -> None:
        known = np.unique(names)
        for place, plane in zip(axes, planes):
            for k, name in enumerate(known):
                mine = names == name
                colour = LIGHT[k % HUES]
                place.scatter(*plane[mine].T, s=3, color=colour, alpha=0.5, linewidths=0, label=drawable(str(name)))
            place.set_xticks([])
            place.set_yticks([])
        axes[1].sharex(axes[0])
        axes[1].sharey(axes[0])
        axes[0].set_title("before", color=WORDS)
        axes[1].set_title("after", color=WORDS)
        if len(known) <= HUES:
            legend(axes[1], beside=True, markers=4)

    return _drawn(draw)


def _travelling(found: Mapping[str, Any]) -> list[str]:
    """A warning where cells were still travelling when the flow ended; kinetic energies are in L²."""
    ends = [float(curve["kinetic"][-1]) for curve in found["curves"].values() if len(curve["kinetic"])]
    words = still("Cells", max(ends, default=0.0), 0.5, " L²")
    return [f"{words} Move more."] if words else []


def _curves(found: Mapping[str, Any]) -> str:
    curves = [{name: np.asarray(values) for name, values in curve.items()} for curve in found["curves"].values()]
    batches, labels = found["clouds"]["batch"], found["clouds"]["label"]
    names = [f"{batch}, {label}" if label else str(batch) for batch, label in zip(batches, labels)]

    def draw(axes: Sequence[Axes]) -> None:
        for place, what in zip(axes, ("divergence", "kinetic")):
            for k, curve in enumerate(curves):
                values = np.maximum(curve[what], 1e-4)
                place.plot(values, color=LIGHT[k % HUES], linewidth=1, label=drawable(names[k]))
            place.set_yscale("log")
            logarithmic(place.yaxis)
            place.set_xlabel("moves", color=WORDS)
        axes[0].set_title("divergence to the target", color=WORDS)
        axes[1].set_title("kinetic energy, in L²", color=WORDS)
        if len(curves) <= HUES:
            legend(axes[1], beside=True)

    lead = (
        "What the critic can still tell apart, and how fast cells move. Healthy: both fall together, then level; a "
        "kinetic energy near 0.5 at the end means that cells were still travelling."
    )
    figure = _stage(_drawn(draw), "")
    return f'<section><h2>The flow</h2><p class="lead">{lead}</p><div class="curves">{figure}</div></section>'


def _distances(found: Mapping[str, Any]) -> str:
    rows = "".join(
        "<tr>"
        + f'<th scope="row">{text(name)}</th>'
        + cells("td", (short(numbers[f"{kind}_{when}"]) for kind in ("w2", "energy") for when in WHEN))
        + "</tr>"
        for name, numbers in found["distances"].items()
    )
    left = float(found.get("w2_reconstruction", float("nan")))
    note = f" The representation leaves out {short(left)} of W2." if np.isfinite(left) else ""
    lead = (
        "Distance of each batch to the target, in units of the scale, beside that between halves of the target, the "
        f"floor. Below the floor cells were learned by heart.{note}"
    )
    head = cells("th", ("batch", *(f"{kind} {when}" for kind in ("W2", "energy") for when in WHEN)))
    return (
        f'<section><h2>Distances</h2><p class="lead">{lead}</p><div class="scroll">'
        f'<table class="plain"><thead><tr>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div></section>"
    )


WHEN = ("before", "after", "split")


def _scores(scores: Mapping[str, Mapping[str, float]]) -> str:
    if not scores:
        return ""
    rows = "".join(
        f'<tr><th scope="row">{text(name)}</th>'
        + cells("td", (short(scores[when][name]) if name in scores[when] else "" for when in scores))
        + f"<td>{text(ABOUT[name])}</td></tr>"
        for name in ABOUT
        if name in scores["after"]
    )
    head = cells("th", ("score", *scores, "1 where"))
    lead = "Mixing of batches, then conserved biology; 1 is best. The floor is what random parts of the target reach."
    return (
        f'<section><h2>Scores</h2><p class="lead">{lead}</p><div class="scroll">'
        f'<table class="plain"><thead><tr>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div></section>"
    )


def _stage(png: bytes, words: str) -> str:
    caption = f"<figcaption>{words}</figcaption>" if words else ""
    return f'<figure class="stage"><img alt="" src="{png_uri(png)}">{caption}</figure>'


def _drawn(draw: Any) -> bytes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    buffer = io.BytesIO()
    with plainly():
        figure = Figure((7.6, 3.4), dpi=140, layout="constrained")
        FigureCanvasAgg(figure)
        figure.patch.set_alpha(0)
        axes = figure.subplots(1, 2)
        for place in axes:
            place.patch.set_alpha(0)
            place.tick_params(colors=WORDS, labelsize=7)
            for spine in place.spines.values():
                spine.set_color(LINE)
        draw(axes)
        figure.savefig(buffer, format="png", transparent=True)
    return buffer.getvalue()
