"""Small pictures of an evaluation as SVG files: histograms, quantiles against quantiles, shares of classes.

They have no background and mid-grey words, so that they read on light and on dark pages.
"""

from __future__ import annotations

import io
import warnings
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pushforward.errors import printable
from pushforward.report.values import text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

__all__ = [
    "COLOURS",
    "LINE",
    "WORDS",
    "bars",
    "drawable",
    "figure",
    "histogram",
    "legend",
    "logarithmic",
    "plainly",
    "quantiles",
    "svg",
]

Array = NDArray[np.float64]

WORDS, LINE, COLOURS = "#7b848a", "#9aa3a9", ("#12807a", "#c2510c", "#7b848a")


def histogram(groups: Mapping[str, Array], words: str, mark: float | None = None, log: bool = False) -> bytes:
    """Histograms on shared bins, one outline a group, and a line at one value.

    Args:
        groups: Name -> values; those that are not finite are left out.
        words: What the values are.
        mark: Value to mark, or None.
        log: Whether bins are even in the logarithm, with one at the left edge for all zeros; for values from 0 on.
    """
    known = {name: x[np.isfinite(x) & ((x >= 0) | (not log))] for name, x in groups.items()}
    pool = np.concatenate([*known.values(), [] if mark is None else [mark]])
    if log and (pool == 0).any():  # zeros are what copies have: they stand beside the smallest of the others
        least = float(pool[pool > 0].min()) / 2 if pool.any() else 1.0
        known = {name: np.maximum(x, least) for name, x in known.items()}
        pool, words = np.maximum(pool, least), f"{words} (0: at the left edge)"
    if not len(pool):
        pool = np.array([1.0])
    low, high = float(pool.min()), float(pool.max())
    high = high if high > low else low + (abs(low) or 1.0)
    edges = np.geomspace(low, high, 41) if log else np.linspace(low, high, 41)

    def draw(axes: Axes) -> None:
        for (name, values), colour in zip(known.items(), COLOURS):
            heights = np.histogram(values, edges)[0] / max(1, len(values))
            axes.stairs(heights, edges, fill=True, color=colour, alpha=0.35, label=drawable(name))
            axes.stairs(heights, edges, color=colour, linewidth=1.2)
        if mark is not None:
            axes.axvline(mark, color=COLOURS[1], linewidth=2, label="samples")
        if log:
            axes.set_xscale("log")
            logarithmic(axes.xaxis)
        axes.set_yticks([])
        axes.set_xlabel(drawable(words))
        legend(axes)

    return svg(draw)


def quantiles(fake: Array, real: Array, names: Sequence[str]) -> bytes:
    """Quantiles of samples against those of data, one colour a column; on the diagonal they agree.

    Args:
        fake: Quantiles, (levels, d).
        real: The data's at the same levels, (levels, d).
        names: Names of the columns, (d,).
    """

    def draw(axes: Axes) -> None:
        for k in range(min(3, fake.shape[1])):
            axes.plot(
                real[:, k], fake[:, k], ".-", color=COLOURS[k], markersize=4, linewidth=1, label=drawable(names[k])
            )
        low, high = float(real.min()), float(real.max())
        axes.plot([low, high], [low, high], color=LINE, linewidth=1, linestyle=":")
        axes.set_xlabel("quantiles of data")
        axes.set_ylabel("of samples")
        if len(names) > 1:
            legend(axes)

    return svg(draw)


def bars(fake: Array, real: Array, names: Sequence[str], words: str) -> bytes:
    """Shares of samples as bars, shares of data as marks.

    Args:
        fake: Shares, (k,).
        real: Shares, (k,).
        names: What they are shares of, (k,).
        words: A name for all of them.
    """

    def draw(axes: Axes) -> None:
        at = np.arange(len(fake))
        axes.bar(at, fake, color=COLOURS[0], alpha=0.6, label="samples")
        axes.plot(at, real, "_", color=COLOURS[1], markersize=max(4, 200 / len(at)), markeredgewidth=2, label="data")
        if len(at) <= 30:
            axes.set_xticks(at, list(map(drawable, names)))
        axes.set_xlabel(drawable(words))
        axes.set_ylabel("share")
        legend(axes)

    return svg(draw)


def legend(axes: Axes, *, beside: bool = False, markers: float = 1.0) -> None:
    """What is what, above the field or, for many names, beside it, so that no point lies under it.

    Args:
        axes: Where to draw.
        beside: Whether it stands beside the field.
        markers: Size of its markers, in those of the field.
    """
    if beside:
        axes.legend(
            frameon=False, labelcolor=WORDS, markerscale=markers, fontsize=7, loc="upper left", bbox_to_anchor=(1, 1)
        )
        return
    axes.legend(
        frameon=False, labelcolor=WORDS, markerscale=markers, loc="lower left", bbox_to_anchor=(0, 1), ncols=2,
        borderaxespad=0.2, handlelength=1.4, columnspacing=1.2,
    )  # fmt: skip


def logarithmic(axis: Axis) -> None:
    """Plain numbers along a logarithmic axis: powers as matplotlib sets them are mathematics, which is never parsed.

    Over less than three decades twice and five times the powers have numbers too; over less than one, even steps.
    """
    from matplotlib.ticker import AutoLocator, LogLocator, NullFormatter

    low, high = sorted(axis.get_view_interval())
    few = LogLocator(subs=(1.0, 2.0, 5.0) if high < 1000 * low else (1.0,))
    axis.set_major_locator(AutoLocator() if low > 0 and high < 5 * low else few)
    axis.set_major_formatter(lambda value, _: f"{value:g}")
    axis.set_minor_formatter(NullFormatter())


def drawable(name: str) -> str:
    """A name as a figure shows it: control characters written out; an underscore in front would hide it in legends."""
    shown = printable(name)
    return f" {shown}" if shown.startswith("_") else shown


@contextmanager
def plainly(own: Mapping[str, Any] | None = None) -> Iterator[None]:
    """Within: no mathematics is looked for in words, as a column may be called $x^$, and no font is complained of."""
    import matplotlib as mpl

    settings: dict[Any, Any] = {"text.parse_math": False, **(own or {})}
    with mpl.rc_context(settings), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph", UserWarning)
        yield


def figure(name: str, picture: bytes) -> str:
    """An SVG file as a figure of a page, with its name below."""
    uri = f"data:image/svg+xml;base64,{b64encode(picture).decode()}"
    return f'<figure class="stage"><img alt="{text(name)}" src="{uri}"><figcaption>{text(name)}</figcaption></figure>'


def svg(draw: Callable[[Axes], None], size: tuple[float, float] = (4.2, 2.6)) -> bytes:
    """A figure of so many inches on an Agg-free canvas: no window, no global state."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    own = {"svg.hashsalt": "pushforward", "font.size": 9, "font.family": "sans-serif"}
    with plainly(own):
        sheet = Figure(figsize=size, layout="constrained")
        FigureCanvasSVG(sheet)
        axes = sheet.add_subplot()
        draw(axes)
        axes.patch.set_alpha(0)
        axes.spines[["top", "right"]].set_visible(False)
        for spine in axes.spines.values():
            spine.set_color(LINE)
        axes.tick_params(colors=WORDS)
        axes.xaxis.label.set_color(WORDS)
        axes.yaxis.label.set_color(WORDS)
        buffer = io.BytesIO()
        sheet.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    return buffer.getvalue()
