"""What the critic told apart and how fast cells were, move by move, a curve for each cloud of a merge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pushforward.report.figures.hues import hues, shortened
from pushforward.report.figures.plots import LINE, WORDS, logarithmic, plainly
from pushforward.report.figures.sheets import legend_below, panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["LEAST", "Cloud", "curves", "layout"]

Array = NDArray[np.float64]

TOGETHER = 20  # clouds that have a colour each in one panel
ROWS = 40  # batches that have a row of panels each, where classes have colours
LEAST = 1e-4
"""Where axes of logarithms end."""


@dataclass(frozen=True)
class Cloud:
    """One cloud and its curves.

    Attributes:
        batch: Its batch.
        label: Its class, or "".
        curves: "divergence", "kinetic" and, where it is known, "held" with "held_error", by move.
    """

    batch: str
    label: str
    curves: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Batch and class."""
        return f"{self.batch}, {self.label}" if self.label else self.batch

    def curve(self, what: str) -> Array:
        """One of its curves, (moves,); empty where there is none."""
        return np.asarray(self.curves.get(what, ()), np.float64)


def layout(clouds: Sequence[Cloud]) -> tuple[dict[str, list[tuple[str, Cloud]]], str]:
    """Rows of panels by their titles, in each of them clouds by the names of their colours; and that in words.

    A few clouds have a colour each. Of many, each batch has a row where there are classes, each of which has a colour;
    else each batch has a colour.
    """
    batches = list(dict.fromkeys(cloud.batch for cloud in clouds))
    if len(clouds) <= TOGETHER or len(batches) == len(clouds):
        return {"": [(cloud.name, cloud) for cloud in clouds]}, ""
    if len(batches) <= ROWS:
        rows = {name: [(cloud.label, cloud) for cloud in clouds if cloud.batch == name] for name in batches}
        return rows, f"{len(clouds)} clouds: a row for each batch, a colour for each class."
    words = f"{len(clouds)} clouds: a colour for each batch, whose classes are told apart in the table only."
    return {"": [(cloud.batch, cloud) for cloud in clouds]}, words


def curves(clouds: Sequence[Cloud], known: Sequence[Mapping[str, str]] = ()) -> Figure:
    """Curves by move: divergence, kinetic energy and, where some cloud has it, what held-out cells say.

    Args:
        clouds: At least one.
        known: Colours by name in other pictures, of one kind of names each; the first that has all names is kept to.
    """
    from matplotlib.lines import Line2D

    rows, _ = layout(clouds)
    names = list(dict.fromkeys(name for row in rows.values() for name, _ in row))
    colours = next((kind for kind in known if all(name in kind for name in names)), dict(zip(names, hues(len(names)))))
    kinds = [("divergence", "divergence to the target"), ("kinetic", "kinetic energy, in L²")]
    if any(len(cloud.curve("held")) for cloud in clouds):
        kinds.append(("held", "critic's gap on held-out cells"))
    with plainly():
        figure, grid = panels(len(rows), len(kinds), 2.9 if len(rows) == 1 else 2.1)
        for at, (row, title, mine) in enumerate(zip(grid, shortened(list(rows)), rows.values())):
            for axes, (what, words) in zip(row, kinds):
                for name, cloud in mine:
                    _draw(axes, cloud, what, colours[name])
                _framed(axes, what, words if at == 0 else "", at == len(rows) - 1)
            if len(rows) > 1:
                row[0].set_ylabel(title)
        legend_below(figure, [Line2D([], [], color=colours[name], linewidth=2) for name in names], names)
    return figure


def _draw(axes: Axes, cloud: Cloud, what: str, colour: str) -> None:
    values = cloud.curve(what)
    error = cloud.curve("held_error")
    if what != "held":
        axes.plot(np.maximum(values, LEAST), color=colour, linewidth=1.2)
        return
    axes.plot(values, color=colour, linewidth=1.2)
    if 0 < len(error) == len(values):
        axes.fill_between(np.arange(len(values)), values - error, values + error, color=colour, alpha=0.18, linewidth=0)


def _framed(axes: Axes, what: str, title: str, last: bool) -> None:
    if what == "held":
        axes.axhline(0, color=LINE, linewidth=0.8, linestyle=":")
    else:
        axes.set_yscale("log")
        logarithmic(axes.yaxis)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title(title)
    if last:
        axes.set_xlabel("moves", color=WORDS)
