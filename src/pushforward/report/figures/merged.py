"""Cells of a merge in one plane: before and after by name, their ways, and those without a counterpart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pushforward.report.figures.hues import hues, mark
from pushforward.report.figures.plots import LINE, WORDS, plainly
from pushforward.report.figures.sheets import legend_below, panels

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Plane", "before_after", "drawn", "flat", "ways"]

Array = NDArray[Any]
Rows = NDArray[np.int64]

TALL, ALONE = 4.4, 6.4  # inches of a panel with its title, beside another one and by itself
BOX = 0.8  # height of a panel by its width
EACH = 10  # cells drawn of every name before others are
GOLDEN = 0.6180339887498949  # heights of cells of one column: even, and out of order


@dataclass(frozen=True)
class Plane:
    """Cells in a plane that is the same before and after.

    Attributes:
        before: Where they were, (n, 2).
        after: Where they are, (n, 2).
        words: What the plane shows.
    """

    before: Array
    after: Array
    words: str

    @property
    def box(self) -> Array:
        """Lowest and highest corner of what holds all cells before and after, (2, 2), as high as panels are."""
        points = np.concatenate([self.before, self.after])
        points = points[np.isfinite(points).all(1)]
        low, high = points.min(0), points.max(0)
        half = 0.53 * float(max((high - low) / (1.0, BOX))) or 1.0
        return (low + high) / 2 + np.array([[-half], [half]]) * (1.0, BOX)


def flat(before: Array, after: Array, staying: Array) -> Plane:
    """Cells along the first two principal axes of those that stay; of one column, spread out vertically.

    Args:
        before: Representation before, (n, d).
        after: And after, (n, d).
        staying: Cells of the target, (n,) truth values.
    """
    if before.shape[1] == 1:
        high = np.arange(len(before)) * GOLDEN % 1.0 * float(np.ptp(before[staying]) or 1.0)
        start, end = (np.stack([x[:, 0].astype(np.float64), high], 1) for x in (before, after))
        return Plane(start, end, "the only column to the right; heights mean nothing")
    target = np.asarray(before[np.flatnonzero(staying)[:: 1 + int(staying.sum()) // 20_000]], np.float64)
    mean = target.mean(0)
    axes = np.linalg.svd(target - mean, full_matrices=False)[2][:2].T
    start, end = (_along(x, mean, axes) for x in (before, after))
    return Plane(start, end, "along the target's first two principal axes, in one scale")


def _along(x: Array, mean: Array, axes: Array, block: int = 2**16) -> Array:
    blocks = range(0, len(x), block)
    return np.concatenate([(np.asarray(x[k : k + block], np.float64) - mean) @ axes for k in blocks])


def drawn(names: Sequence[Array], most: int, rng: np.random.Generator) -> Rows:
    """A random choice of cells in which every name has some, the same number each while there is no room for more.

    Args:
        names: Names of all cells, (n,), of one kind or several.
        most: Cells chosen, of more.
        rng: What chooses.
    """
    order = rng.permutation(len(names[0]))
    rank = np.full(len(order), EACH)
    for of in names:
        rank = np.minimum(rank, _turn(of[order]))
    return rng.permutation(order[np.argsort(rank, kind="stable")[:most]])


def _turn(names: Array) -> Rows:
    """How many of its name stand before each."""
    _, kinds, sizes = np.unique(names, return_inverse=True, return_counts=True)
    out = np.empty(len(names), np.int64)
    out[np.argsort(kinds, kind="stable")] = np.arange(len(names)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return out


def before_after(plane: Plane, names: Array, rows: Rows, said: dict[str, str] | None = None) -> Figure:
    """Cells before and after, a colour for each name, and a shape for each dozen of names.

    Args:
        plane: All cells.
        names: What each is coloured by, (n,).
        rows: Those that are drawn, in their order.
        said: What the legend adds to a name.
    """
    known, kinds = np.unique(names, return_inverse=True)
    colours = np.array(hues(len(known)))
    marks = [mark(k) for k in range(len(known))]
    with plainly():
        figure, ((left, right),) = panels(1, 2, TALL)
        size = float(np.clip(24_000 / max(1, len(rows)), 5, 16))
        for axes, points, when in ((left, plane.before, "before"), (right, plane.after, "after")):
            for shape in dict.fromkeys(marks):
                mine = rows[np.array([one == shape for one in marks])[kinds[rows]]]
                axes.scatter(
                    *points[mine].T, s=size, c=colours[kinds[mine]].tolist(), marker=shape, alpha=0.7, linewidths=0
                )
            _framed(axes, plane, when)
        shown = [f"{name}{(said or {}).get(name, '')}" for name in known.tolist()]
        legend_below(figure, [_dot(hue, shape) for hue, shape in zip(colours.tolist(), marks)], shown)
    return figure


def ways(plane: Plane, batch: Array, target: str, moved: Rows, alone: Rows, seen: Rows) -> Figure:
    """The ways of cells as arrows, coloured by batch, over the target; and cells without a counterpart by themselves.

    Args:
        plane: All cells.
        batch: Batch of each, (n,).
        target: The batch that stayed.
        moved: Cells whose ways are drawn.
        alone: Cells without a counterpart that are drawn, where they were and where they are; of both together at
            least one.
        seen: Cells of the target that are drawn.
    """
    known, kinds = np.unique(batch, return_inverse=True)
    colours = np.array(hues(len(known)))
    there = np.unique(kinds[np.concatenate([moved, alone])])
    names = [*known[there].tolist(), f"{target}, the target"]
    marks = [_dot(colour, "o") for colour in [*colours[there].tolist(), LINE]]
    if len(alone):
        names += ["without a counterpart, before", "without a counterpart, after"]
        marks += [_dot(WORDS, "o", hollow=True), _dot(WORDS, "X")]
    parts = (("cells that moved", moved, False), ("cells without a counterpart", alone, True))
    titles = [part for part in parts if len(part[1])]
    with plainly():
        figure, (row,) = panels(1, len(titles), TALL if len(titles) > 1 else ALONE)
        for axes, (title, rows, marked) in zip(row, titles, strict=True):
            axes.scatter(*plane.after[seen].T, s=5, color=LINE, alpha=0.45, linewidths=0)
            _arrows(axes, plane, rows, colours[kinds[rows]], marked)
            _framed(axes, plane, title)
        legend_below(figure, marks, names)
    return figure


def _arrows(axes: Axes, plane: Plane, rows: Rows, colours: Array, marked: bool) -> None:
    """Arrows from before to after; where cells are marked, with a ring at the start and a cross at the end."""
    start, end = plane.before[rows], plane.after[rows]
    far = (start != end).any(1)
    axes.quiver(
        *start[far].T, *(end - start)[far].T, color=colours[far].tolist(), angles="xy", scale_units="xy", scale=1,
        alpha=0.4 if marked else 0.9, width=0.0022, headwidth=4.5, headlength=5.5, headaxislength=5, minlength=0,
    )  # fmt: skip
    if marked:
        axes.scatter(*start.T, s=16, facecolors="none", edgecolors=colours.tolist(), linewidths=0.7)
        axes.scatter(*end.T, s=16, c=colours.tolist(), marker="X", linewidths=0)


def _framed(axes: Axes, plane: Plane, title: str) -> None:
    (left, bottom), (right, top) = plane.box
    axes.set_box_aspect(BOX)
    axes.set_xlim(left, right)
    axes.set_ylim(bottom, top)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_title(title)


def _dot(colour: str, shape: str, hollow: bool = False) -> Artist:
    from matplotlib.lines import Line2D

    return Line2D(
        [], [], color=colour, marker=shape, linestyle="", markersize=6, markerfacecolor="none" if hollow else colour
    )
