"""The page of a merge: cells before and after and their ways, numbers beside floors, and curves of the flow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pushforward import files
from pushforward.merging.numbers.distances import memorised
from pushforward.metrics.integration.table import ABOUT
from pushforward.plain.lists import counted, listed
from pushforward.randomness import generator
from pushforward.report.figures.flows import LEAST, Cloud, curves, layout
from pushforward.report.figures.hues import hues
from pushforward.report.figures.merged import before_after, drawn, flat, ways
from pushforward.report.figures.sheets import png, unnamed
from pushforward.report.skeleton import cells, command, fill, png_uri
from pushforward.report.values import short, text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Embedding", "write_merge"]

Array = NDArray[Any]

MOST, WAYS = 4000, 300  # cells drawn, and cells of which ways are
OPEN = 12  # clouds whose numbers are not folded away

MOVED = {
    "unconditional": "Each batch moved as one cloud, and proportions of classes with it",
    "per_class": "Each class moved by a critic of its own",
    "conditional": "One critic that knows the classes moved each batch",
}

COLUMNS = {
    "batch": "batch",
    "label": "class",
    "cells": "cells",
    "onto": "onto",
    "moves": "moves",
    "divergence_last": "divergence at the end",
    "kinetic_last": "kinetic energy",
    "settled": "settled as",
}
"""Numbers of a cloud, and their titles in its table."""

NUMBERS = {f"{kind.lower()}_{when}": f"{kind} {words}" for kind in ("W2", "energy") for when, words in
           (("before", "before"), ("after", "after"), ("split", "floor"))}  # fmt: skip
NUMBERS |= {"w2_seen": "W2 to seen", "p_before": "p before", "p_after": "p after", "moved": "moved"}
"""Distances of a batch, likewise."""


@dataclass(frozen=True)
class Embedding:
    """The cells of a merge.

    Attributes:
        before: Representation before, (n, d).
        after: And after, (n, d).
        batch: Batch of each cell, (n,).
        labels: Class of each, (n,), or None.
        target: The batch that stayed.
        matched: Whether each has a counterpart in the target, (n,) truth values, or None where it is not known.
    """

    before: Array
    after: Array
    batch: Array
    labels: Array | None
    target: str
    matched: Array | None = None

    @cached_property
    def moved(self) -> NDArray[np.bool_]:
        """Which cells are elsewhere than they were, (n,)."""
        return ((self.before != self.after) & ~np.isnan(self.before)).any(1)

    @property
    def alone(self) -> NDArray[np.bool_]:
        """Which cells are known to have no counterpart, (n,)."""
        return np.zeros(len(self.batch), bool) if self.matched is None else ~np.asarray(self.matched, bool)


def write_merge(
    found: Mapping[str, Any], shown: Embedding, out: Path, *, title: str = "Merge", again: str = "", seed: int = 0
) -> Path:
    """Write the page of a merge: one HTML file that loads nothing.

    Args:
        found: Distances by the names of the batches, scores, clouds, curves and warnings, as in `uns["gpa"]`; clouds
            and curves are empty where nothing moved.
        shown: What is drawn.
        out: The page; folders are made.
        title: What was merged, in words.
        again: The command that made the page, or "".
        seed: Which cells are drawn of many.
    """
    clouds = _clouds(found)
    warnings = found["warnings"]
    notes = "".join(f"<li>{text(words)}</li>" for words in warnings)
    head = (
        f'<p class="eyebrow">pushforward · merge</p><h1>{text(title)}</h1>'
        + _status(found, shown, clouds, len(warnings))
        + (f'<aside class="notes" aria-label="Notes"><ul>{notes}</ul></aside>' if notes else "")
    )
    body = _pictures(shown, seed) + _distances(found) + _scores(found["scores"]) + _flow(found, clouds, shown)
    tail = f"<section><h2>Command</h2>{command({'command': again})}</section>" if again else ""
    files.write(out, fill(title, head + body + tail).encode("utf-8", "replace"), parents=True)
    return out


def _status(found: Mapping[str, Any], shown: Embedding, clouds: Sequence[Cloud], warnings: int) -> str:
    """How the merge went: what is the matter with it, how cells moved, and which stayed."""
    stayed = f"cells of {text(shown.target)} are unchanged"
    notes = f" Read the {'note' if warnings == 1 else f'{warnings} notes'} below first." if warnings else ""
    if not clouds:
        return f'<p class="status bad"><span><b>Nothing moved:</b> no cell has a counterpart.{notes}</span></p>'
    if not shown.moved.any():
        grade = "fair" if warnings else "good"
        words = "<b>Nothing had to move:</b> held-out cells see no difference"
        return f'<p class="status {grade}"><span>{words}; {stayed}, and so are all others.{notes}</span></p>'
    matters = list[str]()
    if fast := _fast(found):
        who = " and ".join(fast) if len(fast) < 3 else f"{len(fast)} of {len(clouds)} clouds"
        matters.append(f"cells of {who} were still travelling")
    if learned := [name for name, numbers in found["distances"].items() if memorised(numbers)]:
        matters.append(f"cells of {listed(learned, 3)} were learned by heart")
    if alone := int(shown.alone.sum()):
        matters.append(f"{counted(alone, 'cell')} {'has' if alone == 1 else 'have'} no counterpart")
    begun = f"Merged, but {'; '.join(matters)}." if matters else "Merged."
    how = MOVED.get(found["mode"], f"Mode {found['mode']}")
    grade = "fair" if matters or warnings else "good"
    return f'<p class="status {grade}"><span><b>{text(begun)}</b> {text(how)}; {stayed}.{notes}</span></p>'


def _clouds(found: Mapping[str, Any]) -> list[Cloud]:
    """The clouds in their order, with their curves."""
    batches, labels = (_column(found, name) for name in ("batch", "label"))
    told = [found["curves"][key] for key in sorted(found["curves"], key=int)]
    return [Cloud(str(batch), str(label), own) for batch, label, own in zip(batches, labels, told, strict=True)]


def _column(found: Mapping[str, Any], name: str) -> list[Any]:
    return np.asarray(found["clouds"].get(name, ())).tolist()


def _fast(found: Mapping[str, Any]) -> list[str]:
    """Clouds that were still travelling when the flow ended, in words."""
    columns = (_column(found, name) for name in ("batch", "label", "travelling"))
    return [f"{label} of {batch}" if label else str(batch) for batch, label, fast in zip(*columns, strict=True) if fast]


def _pictures(shown: Embedding, seed: int) -> str:
    """Before and after by batch and by class, and the ways of cells, all in one plane."""
    rng, n = generator(seed, "show", part="merge"), len(shown.before)
    plane = flat(shown.before, shown.after, shown.batch == shown.target)
    kinds = [("batch", shown.batch), *([] if shown.labels is None else [("class", shown.labels)])]
    rows = drawn([names for _, names in kinds], MOST, rng)
    some = "" if len(rows) == n else f", some of every {' and '.join(what for what, _ in kinds)}"
    lead = f"{len(rows):,} of {n:,} cells{some}: {plane.words}."
    plates = list[str]()
    for what, names in kinds:
        said = {shown.target: " (target)"} if what == "batch" else {}
        words = f"Before and after, by <b>{what}</b>.{unnamed(np.unique(names).tolist())}"
        plates.append(_plate(before_after(plane, names, rows, said), words, f"Cells before and after, by {what}"))
    moved, alone = (
        np.flatnonzero(part)[drawn([shown.batch[part]], WAYS, rng)]
        for part in (shown.moved & ~shown.alone, shown.alone)
    )
    words = _of_ways(shown, len(moved), len(alone))
    if len(moved) or len(alone):
        seen = rows[shown.batch[rows] == shown.target]
        figure = ways(plane, shown.batch, shown.target, moved, alone, seen)
        plates.append(_plate(figure, words, "Ways of cells from before to after"))
    else:
        plates.append(f"<p>{words}</p>")
    return f'<section><h2>Cells</h2><p class="lead">{lead}</p>{"".join(plates)}</section>'


def _of_ways(shown: Embedding, moved: int, alone: int) -> str:
    """What the picture of ways shows, and how many cells of each batch moved and how many have no counterpart."""
    far, without = shown.moved, shown.alone
    of, lost = (counted(int(part.sum()), "cell") for part in (far & ~without, without))
    said = [f"<b>Ways</b> of {moved:,} of {of} that moved, from where they were to where they are."] if moved else []
    if alone:
        said.append(f"<b>Without a counterpart</b>, {alone:,} of {lost}: a ring where a cell was, a cross where it is.")
    for name in np.unique(shown.batch[shown.batch != shown.target]).tolist():
        mine = shown.batch == name
        words = f"{text(name)}: {int((far & mine).sum()):,} of {counted(int(mine.sum()), 'cell')} moved"
        if shown.matched is not None:
            left, gone = int((without & mine).sum()), int((without & far & mine).sum())
            words += f"; {left:,} have no counterpart" + (f", of which {gone:,} moved" if left else "")
        said.append(f"{words}.")
    if shown.matched is None:
        said.append("Which cells have a counterpart is not known.")
    return " ".join(said)


def _flow(found: Mapping[str, Any], clouds: Sequence[Cloud], shown: Embedding) -> str:
    if not clouds:
        return '<section><h2>The flow</h2><p class="lead">Nothing moved, so there are no curves.</p></section>'
    held = any(len(cloud.curve("held")) for cloud in clouds)
    lead = (
        "What the critic can still tell apart, and how fast cells move. Healthy: both fall together, then level; a "
        f"kinetic energy near 0.5 at the end is full speed. Curves end at {LEAST:g} below."
    )
    if held:
        lead += (
            " Cells that the critic never saw say whether it tells laws apart or single cells: their gap, with its "
            "standard error as a band, is healthy where it falls to 0."
        )
    known = [np.unique(kind).tolist() for kind in (shown.batch, shown.labels) if kind is not None]
    figure = curves(clouds, [dict(zip(kind, hues(len(kind)))) for kind in known])
    rows, words = layout(clouds)
    words += unnamed(list(dict.fromkeys(name for row in rows.values() for name, _ in row)))
    plate = _plate(figure, text(words), "Curves of the flow, by move")
    return f'<section><h2>The flow</h2><p class="lead">{lead}</p>{plate}{_numbers(found, clouds)}</section>'


def _numbers(found: Mapping[str, Any], clouds: Sequence[Cloud]) -> str:
    """The numbers of all clouds, folded away where there are many."""
    columns = {
        title: _column(found, name)
        for name, title in COLUMNS.items()
        if len(_column(found, name)) == len(clouds) and (name != "label" or any(_column(found, name)))
    }
    rows = "".join(f"<tr>{cells('td', map(short, row))}</tr>" for row in zip(*columns.values()))
    few = " open" if len(clouds) <= OPEN else ""
    return (
        f"<details{few}><summary>{counted(len(clouds), 'cloud')} in numbers</summary>"
        f'<div class="scroll"><table class="plain"><thead><tr>{cells("th", columns)}</tr></thead><tbody>{rows}</tbody>'
        "</table></div></details>"
    )


def _distances(found: Mapping[str, Any]) -> str:
    rows = "".join(
        "<tr>"
        + f'<th scope="row">{text(name)}</th>'
        + cells("td", (short(numbers.get(name)) for name in NUMBERS))
        + "</tr>"
        for name, numbers in found["distances"].items()
    )
    left = float(found.get("w2_reconstruction", float("nan")))
    note = f" The representation leaves out {short(left)} of W2." if np.isfinite(left) else ""
    lead = (
        "Of the cells that were to move: distance to cells of the target that no critic saw, in units of the scale, "
        "beside that of other cells of the target to these, the floor, all in the shares that the batch asks for; the "
        "p-value of an energy test against them, which is small where a test still tells the two apart; and how far "
        "cells went, in radii of their batch. Nearer to the cells that were seen than others of the target are, cells "
        f"were learned by heart.{note}"
    )
    head = cells("th", ("batch", *NUMBERS.values()))
    return (
        f'<section><h2>Distances</h2><p class="lead">{lead}</p><div class="scroll">'
        f'<table class="plain"><thead><tr>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div></section>"
    )


def _scores(scores: Mapping[str, Mapping[str, float]]) -> str:
    """Scores as rows, those that are described first, and what they were taken of as columns."""
    if not scores:
        return ""
    held = dict.fromkeys(name for column in scores.values() for name in column)
    rows = "".join(
        f'<tr><th scope="row">{text(name)}</th>'
        + cells("td", (short(column[name]) if name in column else "" for column in scores.values()))
        + f"<td>{text(ABOUT.get(name, ''))}</td></tr>"
        for name in [*(name for name in ABOUT if name in held), *(name for name in held if name not in ABOUT)]
    )
    head = cells("th", ("score", *map(text, scores), "1 where"))
    lead = (
        "Mixing of batches, then conserved biology; 1 is best. Of the target only cells count that no critic saw, "
        "unless a note says otherwise. The floor is what random parts of the target reach."
    )
    return (
        f'<section><h2>Scores</h2><p class="lead">{lead}</p><div class="scroll">'
        f'<table class="plain"><thead><tr>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div></section>"
    )


def _plate(figure: Figure, words: str, alt: str) -> str:
    """A figure as wide as the page, with words below."""
    caption = f"<figcaption>{words}</figcaption>" if words else ""
    return f'<figure class="plate"><img alt="{text(alt)}" src="{png_uri(png(figure))}">{caption}</figure>'
