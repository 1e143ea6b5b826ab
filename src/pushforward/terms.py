"""What a logged number is called, how to read it, what helps when it is not finite, and whether a step's bar shows it.

One entry of `TERMS` is all that a number needs; a method or flow from elsewhere brings entries of its own, as an
attribute `terms` (`pushforward.types.Explains`), and they are written into run.json when a run is wired.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

__all__ = ["LOOKED", "MONITOR", "TERMS", "Scale", "Term"]

LOG2 = math.log(2)
MONITOR = "monitor: score"  # of the lines {"step", "score", ...} of the log; no step logs this name
LOOKED = {"score": MONITOR, "modes": "monitor: modes", "moved": "monitor: moved"}  # and what else such a line holds


@dataclass(frozen=True)
class Scale:
    """How the values of a curve are drawn.

    Attributes:
        healthy: Range to shade, if there is one.
        guides: Values that the picture shows in any case, as dotted lines.
        log: Whether a logarithmic axis may be used; it is for positive values that span more than so many decades.
        decades: How many.
    """

    healthy: tuple[float, float] | None = None
    guides: tuple[float, ...] = ()
    log: bool = True
    decades: float = 2


@dataclass(frozen=True)
class Term:
    """A number of the log.

    Attributes:
        title: What it is called on a page.
        reading: What it is and what is healthy, a sentence or two.
        remedy: What to do when it is not finite.
        live: Whether it stands beside the bar of a run in progress.
        scale: How it is drawn.
        beside: Names of further numbers that share its picture, where a page shows one run.
        line: What its line is called in a shared picture; its title if empty.
    """

    title: str
    reading: str
    remedy: str = "lower the learning rates"
    live: bool = False
    scale: Scale = field(default_factory=Scale)
    beside: tuple[str, ...] = ()
    line: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        scale = {"healthy": self.scale.healthy, "guides": self.scale.guides, "log": self.scale.log,
                 "decades": self.scale.decades}  # fmt: skip
        return {"title": self.title, "reading": self.reading, "remedy": self.remedy, "live": self.live,
                "scale": scale, "beside": self.beside, "line": self.line}  # fmt: skip


TERMS: dict[str, Term] = {
    "divergence": Term(
        "Divergence",
        "The flow’s present estimate of what it lowers, on the data that it learns from; beside it, where logged, the "
        "same critic’s reading on held-out data. Healthy: falling, then level, the two together. Held out well below: "
        "the critic fits rows, and part of the reading is chance; well above: the samples fit rows and not their law. "
        "A critic that is still learning reads too low, so that the curve may rise at first.",
        beside=("held",),
        live=True, line="training"),
    "held": Term(
        "Divergence, held out",
        "The critic’s reading of the divergence from data that it never saw. Healthy: falling with that on training "
        "data. Well below it the critic fits rows; well above it the samples do.",
        line="held out"),
    "kinetic": Term(
        "Kinetic energy",
        "Half the mean square velocity, E|v|²/2: half the rate at which the divergence falls; of the velocity that "
        "walls leave. Healthy: falling by orders of magnitude.",
        scale=Scale(decades=0),
        live=True),
    "fastest": Term(
        "Fastest sample and slope",
        "The largest |v| of a sample; where logged, the largest slope of the critic seen at samples and data, and the "
        "bound of it that its layers certify. Healthy: for a critic of bounded slope both below the certificate, and "
        "falling. A certificate far above the slope wastes what is allowed; under a penalty it bounds nothing of use.",
        beside=("slope", "certificate"),
        line="fastest"),
    "slope": Term(
        "Slope of the critic",
        "The largest |∇d| seen at samples and data. Healthy: at or below what is allowed; far below it while samples "
        "are far from the data, the critic has not learned yet.",
        line="slope"),
    "certificate": Term(
        "Certified slope",
        "The product of the norms of the critic’s layers, which no slope exceeds. Healthy: level, close above the "
        "slope seen.",
        line="certified"),
    "ess": Term(
        "Effective number of data",
        "1/Σw² of the weights with which the dual optimum carries mass to the data of a batch: the number of rows "
        "that pull. Healthy: rising towards the size of the batch. A few rows mean that the estimate, "
        "and the field, hang on them: take larger batches."),
    "path": Term(
        "Length of the way",
        "Mean length of the samples’ ways so far, in model units. Healthy: levelling off near the distance to the "
        "data. A way that goes on growing is spent on detours: noise of the critic or steps that are too long.",
        scale=Scale(log=False)),
    "serves": Term(
        "Steps a recorded field",
        "Steps that share one recorded field, logged once there are more steps than fields are kept; it doubles "
        "whenever they are full. Healthy: so few that the critic hardly turns over them, since new points go by the "
        "mean of their fields. Otherwise keep more fields.",
        scale=Scale(log=False)),
    "residual": Term(
        "Residual of the dissipation identity",
        "|D(0) − D(t) − ∫2 KE| / D(0): along an exact gradient flow what the divergence lost is what was dissipated. "
        "Healthy: below about 0.1. Large means that the velocity is not the gradient of what is measured: the critic "
        "lags behind or began unlearned (more updates, a warm-up), or steps are too long. Small proves "
        "nothing about the critic’s own optimum.",
        scale=Scale((0.0, 0.1), (0.1,))),
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
        scale=Scale((0.0, LOG2), (0.0, 2 * LOG2), log=False),
        live=True),
    MONITOR: Term(
        "Score of samples",
        "Compares samples with training data, never with the held-out part; lower is better, and its lowest point, "
        "marked by a ring, is the best checkpoint. Healthy: falling, then level; a lasting rise means that later "
        "steps made samples worse."),
    LOOKED["modes"]: Term(
        "Modes in samples",
        "Components of the data’s mixture, or classes, of which the samples of a look hold at least a tenth of what as "
        "many rows of the data hold; those of which that would be fewer than 20 rows are not counted. Healthy: all of "
        "them, and none lost again.",
        scale=Scale(log=False)),
    LOOKED["moved"]: Term(
        "Way of samples from look to look",
        "How far samples of the same latents, or the same particles, went since the look before, in spreads of the "
        "data. Healthy: falling, and near 0 only where the score is near that of held-out rows."),
    "speed": Term(
        "Speed ‖v‖",
        "Root mean square velocity of the samples, in model units per unit of time. Healthy: falling as samples "
        "approach the data; a sudden rise means that the critic became too steep.",
        remedy="lower step, cap the weights lower, or use a bounded divergence (JS, LOGD, KL)", live=True),
    "weight": Term(
        "Mean weight w",
        "How much the divergence lets the average sample move; always 1 for KL. Healthy: about 0.1 to 10, level. "
        "Near 0 the samples stand still, far above 10 a few of them dominate.",
        scale=Scale((0.1, 10.0)),
        remedy="cap the weights lower, or use a bounded divergence (JS, LOGD, KL)"),
    "capped": Term(
        "Capped share",
        "Share of the samples whose weight reached the cap. Healthy: near 0, below 0.05; more means that the "
        "divergence asks for larger moves than it gets.",
        scale=Scale((0.0, 0.05), (0.0, 0.05), log=False)),
    "denoising": Term(
        "Denoising loss",
        "Weighted mean squared error of the denoiser on data with noise, in units in which a net that knows mean and "
        "spread alone pays 1. Healthy: falling fast, then slowly and without end; it never reaches 0, as noise hides "
        "something of every sample. On training data: samples that copy rows have a low one.",
        live=True),
    "ratio": Term(
        "Loss of the ratio",
        "Logistic loss of the classifier of smoothed data against noise. Blind it pays 2 log 2 ≈ 1.39. Healthy: level "
        "soon; far below 1 the two lie so far apart that the weights of its Monte Carlo rest on few draws.",
        scale=Scale(guides=(2 * LOG2,), log=False)),
    "regression": Term(
        "Regression",
        "Half the mean squared distance between the generator’s samples and where the flow wants them. Healthy: small "
        "and falling; a rise means that the generator cannot keep up with the moves.",
        remedy="lower step, or cap the weights lower"),
    "lag": Term(
        "Lag",
        "What the fits left of the particles’ way, E|G(z) − x|² / E|x − x₀|²: 0 is all of it made, 1 none; above 1 the "
        "regression overshoots, as Adam’s steps are set by its rate and not by the way. Of several moves only. "
        "Healthy: below 0.5, or any value while the clouds do not lie apart (stale, beside it).",
        remedy="more fits, or a smaller radius or step",
        scale=Scale((0.0, 0.5), (0.0, 1.0))),
    "stale": Term(
        "Staleness of the critic",
        "Share of samples of the generator, and of the particles that the critic was shown last, whose nearest "
        "neighbour is of the same of these two clouds. Healthy: around 0.5 or below, the critic learns from the "
        "generator’s law. Near 1 the two lie apart: it is asked where it was not taught, and modes get lost.",
        remedy="a smaller radius or step, fewer moves, or more fits",
        scale=Scale((0.0, 0.8), (0.5, 1.0), log=False)),
    "generator": Term(
        "Generator’s loss",
        "Mean potential ψ(d) of the samples. It has no scale of its own and may rise while samples improve: compare it "
        "only with itself. Healthy: level.",
        scale=Scale(log=False),
        remedy="lower the generator's learning rate, or cap the weights lower"),
    "penalty": Term(
        "Penalty",
        "What the critic pays for its slope. Healthy: small next to the critic’s loss; a rise means that the critic is "
        "steeper than allowed.",
        remedy="lower the penalty's weight or the critic's learning rate"),
    "critic": Term(
        "Critic’s loss",
        "The loss the critic descends, without penalty. A logistic critic that cannot tell samples from data pays "
        "2 log 2 ≈ 1.39, a perfect one 0. Healthy: above about 0.7, level or rising.",
        scale=Scale((LOG2, 2 * LOG2), (2 * LOG2,), log=False),
        remedy="lower the critic's learning rate, or add a gradient penalty"),
    "score": Term(
        "Critic’s score of samples",
        "Mean log-ratio d = log p/q at the samples. Healthy: near 0, say −2 to 1; far below 0 the critic rejects "
        "samples easily.",
        scale=Scale((-2.0, 1.0), (0.0,), log=False),
        live=True),
    "limited": Term(
        "Share at the speed limit",
        "Share of the samples whose velocity was longer than the slope that the critic’s penalty asks for, and was cut "
        "to it. Healthy: near 0 once the critic has learned; a lasting share means that the penalty does not hold.",
        scale=Scale((0.0, 0.05), (0.0, 0.05), log=False)),
    "clipped": Term(
        "Share held to the radius",
        "Share of the particles whose move was longer than the radius and was cut to it. Healthy: any value; "
        "at 1 only the directions of the flow count, and the radius is the step.",
        scale=Scale(guides=(0.0, 1.0), log=False)),
    "reconstruction": Term(
        "Reconstruction",
        "Half the mean squared distance of data from what the autoencoder makes of them, on the batches that it learns "
        "from. Healthy: falling, then level; the flow of codes begins where it ends.",
        remedy="lower the autoencoder's learning rate"),
    "gap": Term(
        "Gap of the optimum",
        "How far the critic of the kernel’s space can be from the best one, in units of the divergence: a bound that "
        "the dual problem certifies. Healthy: far below the divergence."),
    "ksd2": Term(
        "Squared Stein discrepancy",
        "KSD² of the samples from the score alone, the rate at which KL(q‖p) falls along Stein’s flow. Healthy: "
        "falling by orders of magnitude, then level at what so few samples leave."),
    "error": Term(
        "Error of the plans",
        "The largest error in the masses of the entropic plans when their solution ended. Healthy: at the tolerance; "
        "far above it the iterations did not suffice."),
    "drift": Term(
        "Size of the drift",
        "Root mean square of the field of a window, before it is divided by anything. Healthy: falling, then level at "
        "what two samples of one law leave; level and large where windows are too short to see the data."),
    "updates": Term(
        "Updates of the potentials",
        "Updates that the entropic problems of a step took. Healthy: level and below what is allowed; at that number "
        "they were cut short.",
        scale=Scale(log=False)),
}  # fmt: skip
"""Numbers that methods, flows and codecs of this package log, in the order of a page."""
