"""The curves of runs: each number of the log as a chart, with what it is and what is healthy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from pushforward.report.figures.chart import chart
from pushforward.report.reading import Record
from pushforward.report.skeleton import chip
from pushforward.report.values import digits, mapping, number, short, text
from pushforward.terms import MONITOR, TERMS, Scale, Term

__all__ = ["curves"]


def curves(runs: Sequence[Record]) -> str:
    """The section with all curves, known numbers first; runs are drawn over each other.

    Numbers that belong together share a picture on the page of one run; of several runs, each number has its own.
    """
    terms = TERMS | {name: term for run in reversed(runs) for name, term in run.terms.items()}
    names = [name for name in terms if any(name in run.curves for run in runs)]
    names += sorted({name for run in runs for name in run.curves} - terms.keys())
    if not names:
        return ""
    shared = {other for name in names if len(runs) == 1 and name in terms for other in terms[name].beside}
    legend = "".join(f"<span>{chip(k, run.label)}</span>" for k, run in enumerate(runs)) if len(runs) > 1 else ""
    cards = "".join(_card(name, runs, terms) for name in names if name not in shared)
    return (
        '<section><h2>Curves</h2><p class="lead">Each number is a mean over the steps since the one before; steps run '
        f'to the right. Healthy ranges are shaded; point at a curve to read it.</p><p class="legend">{legend}</p>'
        f'<div class="curves">{cards}</div></section>'
    )


def _card(name: str, runs: Sequence[Record], terms: Mapping[str, Term]) -> str:
    term = _term(name, runs, terms)
    lines = {k: run.curves[name] for k, run in enumerate(runs) if name in run.curves}
    known = [name]
    if len(runs) == 1:
        known += [other for other in term.beside if other in runs[0].curves and other != name]
        lines = {k: runs[0].curves[other] for k, other in enumerate(known)}
    legend = ""
    if len(known) > 1:
        lines_of = [terms.get(other, Term(other, "")) for other in known]
        chips = "".join(f"<span>{chip(k, own.line or own.title)}</span>" for k, own in enumerate(lines_of))
        legend = f'<p class="legend">{chips}</p>'
    values = [value for curve in lines.values() for _, value in curve]
    lost = values.count(None)
    gap = f" {lost:,} value{'s' * (lost > 1)} of it {'were' if lost > 1 else 'was'} not finite." if lost else ""
    readout = _last([value for _, value in lines[0]], term.scale.healthy) if len(runs) == 1 else ""
    rings = {k: ring for k in lines if (ring := _best(runs[k]))} if name == MONITOR else {}
    label = text(f"{term.title} over steps")
    return (
        f'<article class="curve"><header><h3>{text(term.title)}</h3><span class="readout">{readout}</span></header>'
        f"{legend}{chart(lines, label, term.scale, rings)}<p>{text(term.reading)}{gap}</p></article>"
    )


def _term(name: str, runs: Sequence[Record], terms: Mapping[str, Term]) -> Term:
    """A number's term as these runs have it: the scale of a loss, and the speed that nothing exceeds, are theirs."""
    term = terms.get(name, Term(name, "A number that this method reports."))
    if name in ("bound", "critic") and not all(run.logistic or name in run.terms for run in runs):
        known = all(run.logistic is not None for run in runs)
        why = "is not the logistic one here" if known else "may not be the logistic one, as run.json does not say"
        other = f"The critic’s loss {why}, so this has no fixed scale: compare it only with itself."
        return Term(term.title, other, scale=Scale(log=False))
    speeds = {speed for run in runs if (speed := run.fastest)}
    if name == "kinetic" and speeds:
        lines = tuple(speed**2 / 2 for speed in sorted(speeds))
        shown = " or ".join(digits(line, 3) for line in lines)
        words = (
            f"{term.reading} The dotted line is L²/2 = {shown}, all samples at "
            "the critic’s slope L: pinned near it, they are still travelling, and the run was too short."
        )
        return replace(term, reading=words, scale=replace(term.scale, guides=lines))
    return term


def _last(values: Sequence[float | None], healthy: tuple[float, float] | None) -> str:
    """The last finite value and whether it is healthy."""
    last = next((value for value in reversed(values) if value is not None), None)
    if last is None:
        return ""
    if healthy is None:
        return f"last {short(last, 3)}"
    grade, word = ("good", "healthy") if healthy[0] <= last <= healthy[1] else ("fair", "outside")
    return f'last {short(last, 3)} · <span class="mark {grade}">{word}</span>'


def _best(run: Record) -> tuple[float, float] | None:
    """Step and score of the best checkpoint."""
    step, score = (number(mapping(run.info.get("best")).get(key)) for key in ("step", "score"))
    return None if step is None or score is None else (step, score)
