"""The curves of runs: each number of the log as a chart, with what it is and what is healthy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from pushforward.report.figures.chart import Scale, chart
from pushforward.report.reading import MONITOR, Record
from pushforward.report.skeleton import chip
from pushforward.report.values import digits, mapping, number, short, text

__all__ = ["TERMS", "Term", "curves"]

LOG2 = math.log(2)


@dataclass(frozen=True)
class Term:
    """A number of the log and how to read it.

    Attributes:
        title: What it is called on the page.
        reading: What it is and what is healthy, a sentence or two.
        scale: How it is drawn.
        beside: Names of further numbers that share its picture, where a page shows one run.
    """

    title: str
    reading: str
    scale: Scale = field(default_factory=Scale)
    beside: tuple[str, ...] = ()


TERMS = {
    "divergence": Term(
        "Divergence",
        "The flow’s present estimate of what it lowers, on the data that it learns from; beside it, where logged, the "
        "same critic’s reading on held-out data. Healthy: falling, then level, the two together. Held out well below: "
        "the critic fits rows, and part of the reading is chance; well above: the samples fit rows and not their law. "
        "A critic that is still learning reads too low, so that the curve may rise at first.",
        beside=("held",)),
    "held": Term(
        "Divergence, held out",
        "The critic’s reading of the divergence from data that it never saw. Healthy: falling with that on training "
        "data. Well below it the critic fits rows; well above it the samples do."),
    "kinetic": Term(
        "Kinetic energy",
        "Half the mean square velocity, E|v|²/2: half the rate at which the divergence falls. Healthy: falling by "
        "orders of magnitude.",
        Scale(decades=0)),
    "fastest": Term(
        "Fastest sample and slope",
        "The largest |v| of a sample; where logged, the largest slope of the critic seen at samples and data, and the "
        "bound of it that its layers certify. Healthy: for a critic of bounded slope both below the certificate, and "
        "falling. A certificate far above the slope wastes what is allowed; under a penalty it bounds nothing of use.",
        beside=("slope", "certificate")),
    "slope": Term(
        "Slope of the critic",
        "The largest |∇d| seen at samples and data. Healthy: at or below what is allowed; far below it while samples "
        "are far from the data, the critic has not learned yet."),
    "certificate": Term(
        "Certified slope",
        "The product of the norms of the critic’s layers, which no slope exceeds. Healthy: level, close above the "
        "slope seen."),
    "ess": Term(
        "Effective number of data",
        "1/Σw² of the weights with which the dual optimum carries mass to the data of a batch: the number of rows "
        "that pull. Healthy: rising towards the size of the batch. A few rows mean that the estimate, "
        "and the field, hang on them: take larger batches."),
    "path": Term(
        "Length of the way",
        "Mean length of the samples’ ways so far, in model units. Healthy: levelling off near the distance to the "
        "data. A way that goes on growing is spent on detours: noise of the critic or steps that are too long.",
        Scale(log=False)),
    "residual": Term(
        "Residual of the dissipation identity",
        "|D(0) − D(t) − ∫2 KE| / D(0): along an exact gradient flow what the divergence lost is what was dissipated. "
        "Healthy: below about 0.1. Large means that the velocity is not the gradient of what is measured: the critic "
        "lags behind or began unlearned (more updates, a warm-up), or steps are too long. Small proves "
        "nothing about the critic’s own optimum.",
        Scale((0.0, 0.1), (0.1,))),
    "decoder": Term(
        "Slope of the decoder",
        "A Lipschitz constant a of the codec’s decoder: laws of samples are at most a times as far apart as laws of "
        "their codes. Healthy: near 1; a large one makes small errors of codes large in samples."),
    "lost": Term(
        "Lost by the codec",
        "Mean distance of data from their reconstructions, in model units, which no flow of codes makes good. Healthy: "
        "well below the distance to the data that the flow is to reach."),
    "bound": Term(
        "2 log 2 − critic’s loss",
        "What a logistic critic can tell apart. Near 0 it cannot tell samples from data; near 2 log 2 ≈ 1.39 it tells "
        "them apart perfectly, and under JS the gradient then vanishes. Healthy: above 0, below about 0.7, level or "
        "falling. Below 0 the critic does worse than a coin.",
        Scale((0.0, LOG2), (0.0, 2 * LOG2), log=False)),
    MONITOR: Term(
        "Score of samples",
        "Compares samples with training data, never with the held-out part; lower is better, and its lowest point, "
        "marked by a ring, is the best checkpoint. Healthy: falling, then level; a lasting rise means that later "
        "steps made samples worse."),
    "speed": Term(
        "Speed ‖v‖",
        "Root mean square velocity of the samples, in model units per unit of time. Healthy: falling as samples "
        "approach the data; a sudden rise means that the critic became too steep."),
    "weight": Term(
        "Mean weight w",
        "How much the divergence lets the average sample move; always 1 for KL. Healthy: about 0.1 to 10, level. "
        "Near 0 the samples stand still, far above 10 a few of them dominate.",
        Scale((0.1, 10.0))),
    "capped": Term(
        "Capped share",
        "Share of the samples whose weight reached the cap. Healthy: near 0, below 0.05; more means that the "
        "divergence asks for larger moves than it gets.",
        Scale((0.0, 0.05), (0.0, 0.05), log=False)),
    "regression": Term(
        "Regression",
        "Half the mean squared distance between the generator’s samples and where the flow wants them. Healthy: small "
        "and falling; a rise means that the generator cannot keep up with the moves."),
    "generator": Term(
        "Generator’s loss",
        "Mean potential ψ(d) of the samples. It has no scale of its own and may rise while samples improve: compare it "
        "only with itself. Healthy: level.",
        Scale(log=False)),
    "penalty": Term(
        "Penalty",
        "What the critic pays for its slope. Healthy: small next to the critic’s loss; a rise means that the critic is "
        "steeper than allowed."),
    "critic": Term(
        "Critic’s loss",
        "The loss the critic descends, without penalty. A logistic critic that cannot tell samples from data pays "
        "2 log 2 ≈ 1.39, a perfect one 0. Healthy: above about 0.7, level or rising.",
        Scale((LOG2, 2 * LOG2), (2 * LOG2,), log=False)),
    "score": Term(
        "Critic’s score of samples",
        "Mean log-ratio d = log p/q at the samples. Healthy: near 0, say −2 to 1; far below 0 the critic rejects "
        "samples easily.",
        Scale((-2.0, 1.0), (0.0,), log=False)),
}  # fmt: skip


NAMES = {
    "divergence": "training",
    "held": "held out",
    "fastest": "fastest",
    "slope": "slope",
    "certificate": "certified",
}


def curves(runs: Sequence[Record]) -> str:
    """The section with all curves, known numbers first; runs are drawn over each other.

    Numbers that belong together share a picture on the page of one run; of several runs, each number has its own.
    """
    names = [name for name in TERMS if any(name in run.curves for run in runs)]
    names += sorted({name for run in runs for name in run.curves} - TERMS.keys())
    if not names:
        return ""
    shared = {other for name in names if len(runs) == 1 and name in TERMS for other in TERMS[name].beside}
    legend = "".join(f"<span>{chip(k, run.label)}</span>" for k, run in enumerate(runs)) if len(runs) > 1 else ""
    cards = "".join(_card(name, runs) for name in names if name not in shared)
    return (
        '<section><h2>Curves</h2><p class="lead">Each number is a mean over the steps since the one before. '
        f'Healthy ranges are shaded; point at a curve to read it.</p><p class="legend">{legend}</p>'
        f'<div class="curves">{cards}</div></section>'
    )


def _card(name: str, runs: Sequence[Record]) -> str:
    term = _term(name, runs)
    lines = {k: run.curves[name] for k, run in enumerate(runs) if name in run.curves}
    known = [name]
    if len(runs) == 1:
        known += [other for other in term.beside if other in runs[0].curves]
        lines = {k: runs[0].curves[other] for k, other in enumerate(known)}
    legend = ""
    if len(known) > 1:
        chips = "".join(f"<span>{chip(k, NAMES[other])}</span>" for k, other in enumerate(known))
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


def _term(name: str, runs: Sequence[Record]) -> Term:
    term = TERMS.get(name, Term(name, "A number that this method reports."))
    if name in ("bound", "critic") and not all(run.logistic for run in runs):
        other = (
            "The critic’s loss is not the logistic one here, so this has no fixed scale: compare it only with itself."
        )
        return Term(term.title, other, Scale(log=False))
    slopes = {slope for run in runs if (slope := run.slope)}
    if name == "kinetic" and slopes:
        lines = tuple(slope**2 / 2 for slope in sorted(slopes))
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
