"""Wide pictures of a page as PNG files: panels side by side, and below them what is what, over nothing that is drawn.

They have no background and mid-grey words, so that they read on light and on dark pages.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from math import ceil
from typing import TYPE_CHECKING

import numpy as np

from pushforward.report.figures.hues import cuts, shortened
from pushforward.report.figures.plots import LINE, WORDS, plainly

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.legend import Legend

__all__ = ["MOST_NAMED", "WIDE", "legend_below", "panels", "png", "unnamed"]

WIDE = 10.0  # inches of a picture from side to side
SHARP = 150  # dots of an inch
LETTERS, SPACE = 9.0, 1.6  # points of the names in a legend, and room between its columns in these
MOST_NAMED = 300
"""Names that a legend lists."""


def panels(rows: int, columns: int, tall: float) -> tuple[Figure, list[list[Axes]]]:
    """A figure of panels in rows, each so many inches tall; to be called and drawn in within `plainly`."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure((WIDE, rows * tall), dpi=SHARP, layout="constrained")
    FigureCanvasAgg(figure)
    figure.patch.set_alpha(0)
    grid = figure.subplots(rows, columns, squeeze=False).tolist()
    for axes in (axes for row in grid for axes in row):
        axes.patch.set_alpha(0)
        axes.tick_params(which="both", colors=WORDS, labelsize=8)
        axes.title.set_color(WORDS)
        axes.title.set_fontsize(10)
        for label in (axes.xaxis.label, axes.yaxis.label):
            label.set_color(WORDS)
            label.set_fontsize(8)
        for spine in axes.spines.values():
            spine.set_color(LINE)
    return figure, grid


def legend_below(figure: Figure, marks: Sequence[Artist], names: Sequence[str]) -> None:
    """What is what, in as many columns as there is room for; the figure grows by as much as that is tall.

    Args:
        figure: Panels.
        marks: One of a kind, for each name.
        names: As they are called, each once; of more than `MOST_NAMED` the first are listed.
    """
    shown, room = shortened(names)[:MOST_NAMED], 0.98 * figure.get_figwidth() * figure.dpi
    widths = [_width(figure, marks[k : k + 1], [name]) for k, name in enumerate(shown)]
    size = LETTERS * min(1.0, 0.95 * room / max(widths))
    fit = [k for k in range(1, len(shown) + 1) if k == 1 or _across(widths, k) <= room]
    columns = min(fit, key=lambda k: (ceil(len(shown) / k), k))
    legend = _legend(figure, marks, shown, columns, size)
    figure.set_figheight(figure.get_figheight() + legend.get_window_extent().height / figure.dpi)


def _across(widths: Sequence[float], columns: int) -> float:
    """Width of so many columns, into which names go from top to bottom."""
    return sum(max(part) for part in np.array_split(widths, columns))


def _width(figure: Figure, marks: Sequence[Artist], names: Sequence[str]) -> float:
    """Width of a legend, in dots."""
    legend = _legend(figure, marks, names, 1, LETTERS)
    width = legend.get_window_extent().width
    legend.remove()
    return width + SPACE * LETTERS / 72 * figure.dpi


def _legend(figure: Figure, marks: Sequence[Artist], names: Sequence[str], columns: int, size: float) -> Legend:
    return figure.legend(
        list(marks[: len(names)]),
        list(names),
        loc="outside lower left",
        ncols=columns,
        frameon=False,
        labelcolor=WORDS,
        fontsize=size,
        handlelength=1.2,
        columnspacing=SPACE,
        borderaxespad=0.2,
    )


def unnamed(names: Sequence[str]) -> str:
    """What a legend leaves out of such names, in words, or "".

    Args:
        names: Each once.
    """
    more = len(names) > MOST_NAMED
    listed = f" The legend lists the first {MOST_NAMED} of {len(names):,} names." if more else ""
    return listed + (" Long names lose their middle." if cuts(names[:MOST_NAMED]) else "")


def png(figure: Figure) -> bytes:
    """The file of a figure."""
    buffer = io.BytesIO()
    with plainly():
        figure.savefig(buffer, format="png", transparent=True)
    return buffer.getvalue()
