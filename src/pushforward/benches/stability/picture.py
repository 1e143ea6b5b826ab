"""The bench at a glance: who ends with every mode, what was lost on the way, and how it went along the budget."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pushforward.benches.stability.arms import Trial
from pushforward.benches.stability.outcome import Outcome
from pushforward.benches.stability.summary import Row
from pushforward.demos.drawing import BLUE, GREEN, INK, PALE, RED, SOFT, clean, save, sheet

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["drawn"]

PURPLE = "#CC79A7"  # of the same palette
SHADES = (GREEN, BLUE, PURPLE, "#E69F00", "#56B4E9")


def drawn(out: Path, rows: Sequence[Row], found: Sequence[tuple[Trial, Outcome, dict[str, Any]]], modes: int) -> None:
    """Draw the shares with their intervals, the quality that was lost, and the modes along the CPU time.

    Args:
        out: The picture, .png, .svg or .pdf.
        rows: A row an arm.
        found: Every run with its outcome and its line.
        modes: How many modes the data have.
    """
    figure = sheet(11, 1.9 + 0.26 * len(rows) + 3.1)
    axes = figure.subplot_mosaic([["share", "lost"], ["along", "along"]], height_ratios=(1.0 + 0.26 * len(rows), 3.1))
    colours = _colours(found)
    _shares(axes["share"], rows, colours)
    _lost(axes["lost"], rows, found, colours)
    _along(axes["along"], found, modes, colours)
    save(figure, out)


def _colours(found: Sequence[tuple[Trial, Outcome, dict[str, Any]]]) -> dict[str, str]:
    """A colour an arm: red for the GAN, one for each number of moves."""
    moves = list(dict.fromkeys(trial.options["moves"] for trial, _, _ in found if "moves" in trial.options))
    return {
        trial.arm: RED if trial.family == "gan" else SHADES[moves.index(trial.options["moves"]) % len(SHADES)]
        for trial, _, _ in found
    }


def _shares(axes: Axes, rows: Sequence[Row], colours: dict[str, str]) -> None:
    for k, row in enumerate(rows):
        axes.plot(row.whole.interval, (k, k), color=colours[row.name], linewidth=2, solid_capstyle="butt")
        axes.plot(row.whole.value, k, "o", color=colours[row.name], markersize=5)
    axes.set(xlim=(-0.02, 1.02), ylim=(len(rows) - 0.5, -0.5), yticks=range(len(rows)))
    axes.set_yticklabels([row.name for row in rows])
    clean(axes, "Runs that end with every mode, with 95 % intervals", "share")
    axes.grid(axis="x", color=PALE, linewidth=0.6)


def _lost(
    axes: Axes, rows: Sequence[Row], found: Sequence[tuple[Trial, Outcome, dict[str, Any]]], colours: dict[str, str]
) -> None:
    """Every run as a dot, a little apart from its neighbours, and the mean as a line."""
    for k, row in enumerate(rows):
        values = [one.lost_quality for trial, one, _ in found if trial.arm == row.name]
        places = k + 0.5 * (np.arange(len(values)) / max(1, len(values) - 1) - 0.5)
        axes.plot(values, places, "o", color=colours[row.name], markersize=3, alpha=0.7, markeredgewidth=0)
        axes.plot([row.means["lost_quality"].value] * 2, (k - 0.35, k + 0.35), color=INK, linewidth=1.4)
    axes.set(ylim=(len(rows) - 0.5, -0.5), yticks=[], xlim=(0, None))
    clean(axes, "High quality lost after its best: each run, and their mean", "share of samples")
    axes.grid(axis="x", color=PALE, linewidth=0.6)


def _along(
    axes: Axes, found: Sequence[tuple[Trial, Outcome, dict[str, Any]]], modes: int, colours: dict[str, str]
) -> None:
    """Mean modes along the CPU time, of the runs that go so far: dashed where runs go on."""
    seconds, marks = found[0][0].seconds, found[0][0].marks
    known = set[str]()
    for arm, colour in colours.items():
        lines = [run["marks"]["modes"] for trial, _, run in found if trial.arm == arm]
        further = [line for line in lines if len(line) > marks]
        label = _label(next(trial for trial, _, _ in found if trial.arm == arm))
        first = np.mean([line[:marks] for line in lines], axis=0)
        label = None if label in known else label
        known.add(label or "")
        at = seconds / marks * np.arange(1, 3 * marks + 1)
        axes.plot(at[:marks], first, color=colour, linewidth=1.4, alpha=0.8, label=label)
        if further:
            axes.plot(at[marks - 1 :], np.mean(further, axis=0)[marks - 1 :], "--", color=colour, linewidth=1.2)
    axes.axvline(seconds, color=SOFT, linewidth=0.8)
    axes.axhline(modes, color=SOFT, linewidth=0.8, linestyle=":")
    axes.set(ylim=(0, modes * 1.06), xlim=(0, None))
    clean(axes, "Modes along the CPU time, mean of each arm; dashed: of the runs that go on", "CPU seconds", "modes")
    axes.legend(frameon=False, fontsize=8.5, loc="lower right", labelcolor=INK)


def _label(trial: Trial) -> str:
    if trial.family == "gan":
        return "plain GAN"
    moves = trial.options["moves"]
    return f"VGrow, {moves} {'move' if moves == 1 else 'moves'}"
