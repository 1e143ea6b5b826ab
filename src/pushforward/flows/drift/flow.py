"""Drifting as a flow: no critic, a field from the samples of a call and of some calls before.

With one move and one fit `VGrow` on it is the published method; `Particles` on it need seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import torch
from torch import Tensor

from pushforward.divergences import KL, Divergence
from pushforward.dynamics.witness import Jittered
from pushforward.errors import UsageError
from pushforward.flows.drift.field import Clouds, Drift, Normalise, Window, columns
from pushforward.geometry.kernels import Kernel, row_blocks
from pushforward.geometry.windows import laplace, sharp
from pushforward.parallel.sharing import all_rows
from pushforward.terms import TERMS, Term
from pushforward.types import LabelPair, Labels, Logs, Randomness, Samples, Scalar, Schedule, Valued, ValuedByClass

__all__ = ["DriftFlow"]


@dataclass
class DriftFlow:
    r"""Samples that are drawn to the data near them and repelled by each other.

    Nothing is trained. Time is O(n (n + m)) for each point set that it is asked at, memory O(n + m). A field of short
    windows does not see how heavy modes are, and a lone sample not where to go: begin with windows of about the data's
    standard deviation, `anneal` them, and keep n and m alike. It fails in many dimensions, where every sample is alone,
    unless windows are wide there: take features, or a critic.

    Attributes:
        kernel: A family of windows: `rbf`, `laplace`, `matern32`, `partial(rational, power=2)`, or another.
        scales: Lengths of the windows, whose fields are summed, in `unit`.
        normalise: What fields are divided by; see `flows.drift.field`. "joint" is the published one, "split" the flow
            of a divergence between smoothed laws, "sharp" that of windows other than Gaussian.
        divergence: Its weight w(d) multiplies the field; of split and sharp, which have a d.
        unit: Of the lengths, in data units; "mean" is the mean distance of samples from data and samples.
        rms: Whether every window's field is divided by its root mean square over all numbers of the samples: all then
            count alike, and a generator's rate must fall for it to come to rest.
        anneal: Calls of `velocity` so far -> factor on the lengths; None for 1.
        own: Weight of a sample in its own mean; with a little one, lone samples go to the data, which only helps in a
            few dimensions.
        floor: Least entry of the joint matrix; 1e-3 as published, by which far pairs still act.
        jitter: Whether the field is looked up beside each point, at x + h e, e normal: with a Gaussian, split and own
            = 1 it is then, in the mean, exactly h² times the descent of KL between the smoothed laws. Of one window.
        rng: Where jitter comes from.
        memory: Calls before this one whose data and samples it sees too.
        guidance: Factor g on the weight of unconditional data among what repels, :math:`q = (1 + g)\,p(\cdot|c) - g\,p`
            where it comes to rest; with classes only.
        calls: Calls of `velocity` so far.
        kept: What memory holds, {"q", "p"} and {"classes_q", "classes_p"} for each call.

    Raises:
        UsageError: If a number is out of range, or options exclude each other.

    References:
        Generative modeling via drifting (2026), arXiv:2602.04770.
    """

    kernel: Callable[[float], Kernel] = laplace
    scales: Sequence[float] = (0.02, 0.05, 0.2)
    normalise: Normalise = "joint"
    divergence: Divergence = KL
    unit: float | Literal["mean"] = "mean"
    rms: bool = True
    anneal: Schedule | None = None
    own: float = 0.0
    floor: float = 0.0
    jitter: bool = False
    rng: Randomness | None = None
    memory: int = 0
    guidance: float = 0.0
    calls: Tensor = field(default_factory=lambda: torch.zeros((), dtype=torch.int64))
    kept: list[dict[str, Tensor]] = field(default_factory=list, repr=False)
    logs: Logs = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if not self.scales or not all(scale > 0 for scale in self.scales):
            raise UsageError(f"scales are {tuple(self.scales)}: give at least one, all positive")
        if self.unit != "mean" and not self.unit > 0:
            raise UsageError(f"unit is {self.unit}: give a positive length in data units, or mean")
        if not 0 <= self.own <= 1 or self.floor < 0 or self.memory < 0 or self.guidance < 0:
            raise UsageError(
                f"own is {self.own}, floor {self.floor}, memory {self.memory}, guidance {self.guidance}: own goes from "
                "0 to 1, the others are at least 0"
            )
        if self.normalise not in ("joint", "split", "row", "sharp", "none"):
            raise UsageError(f"normalise is {self.normalise!r}: use joint, split, row, sharp or none")
        if self.normalise not in ("split", "sharp") and not self.divergence.unweighted:
            raise UsageError(f"divergence {self.divergence} weighs by a log-ratio, which {self.normalise} does not "
                             "have: use split or sharp")  # fmt: skip
        if self.floor and self.normalise != "joint":
            raise UsageError(f"floor is {self.floor}: it is of the joint matrix, and normalise is {self.normalise}")
        if self.jitter and (self.rng is None or len(self.scales) > 1):
            raise UsageError("jitter looks a field up beside each point, as far as its window is wide: give one scale, "
                             "and a random source")  # fmt: skip
        if self.normalise == "sharp":
            sharp(self.kernel(1.0))
        self._field: Drift | None = None

    @property
    def classes(self) -> int:
        """0: it has no net that knows classes, and takes any."""
        return 0

    @property
    def terms(self) -> Mapping[str, Term]:
        """What the sizes of the windows' fields are called."""
        if len(self.scales) == 1:
            return {"drift": TERMS["drift"]}
        whole = TERMS["drift"]
        return {f"drift_{k}": replace(whole, title=f"{whole.title}, window {k}") for k in range(len(self.scales))}

    def offers(self, capability: type) -> bool:
        """Whether it has a capability: a value only where its normalisation has a d."""
        return capability not in (Valued, ValuedByClass) or self.normalise in ("split", "sharp")

    def velocity(self, q: Samples, p: Samples, labels: LabelPair | None = None) -> Drift | Jittered:
        """The field on all of space.

        Args:
            q: Model samples, (n, *event).
            p: Data samples, (m, *event).
            labels: Classes of q (n,) and of p (m,), for one law of each class.
        """
        if labels is None and self.guidance:
            raise UsageError(f"guidance is {self.guidance}: it is away from what all classes have, so give classes")
        mine = labels and labels[0]
        clouds, whole, classes = self._clouds(q, p, labels)
        anneal = 1.0 if self.anneal is None else self.anneal(int(self.calls))
        unit = _mean_distance(whole, torch.cat([clouds.p, whole])) if self.unit == "mean" else self.unit
        self.calls += 1
        kernels = [self.kernel(scale * anneal * unit) for scale in self.scales]
        windows = tuple(Window(kernel, q.new_ones(()), self._columns(clouds, kernel, classes)) for kernel in kernels)
        found = Drift(clouds, windows, self.normalise, self.divergence, self.own, self.floor, classes)
        fields = found.parts(whole)
        sizes = [each.square().mean().sqrt() for each in fields]
        if self.rms:
            floor = torch.finfo(q.dtype).tiny
            windows = tuple(
                Window(one.kernel, 1 / size.clamp_min(floor), one.columns)
                for one, size in zip(windows, sizes, strict=True)
            )
        total = torch.stack([one.factor * each for one, each in zip(windows, fields, strict=True)]).sum(0)
        known = None if self.jitter or len(whole) != len(q) else (q.detach().clone(), total.view_as(q))
        self._field = Drift(clouds, windows, self.normalise, self.divergence, self.own, self.floor, mine, known)
        self.logs = dict(zip(self.terms, sizes, strict=True))
        return self._jittered(self._field)

    def value(self, q: Samples, p: Samples, labels: LabelPair | None = None) -> Scalar:
        """Minus the mean of d over q: KL between the smoothed laws, in nats, a sample leaving out itself; first window.

        Raises:
            UsageError: If the normalisation has no d.
        """
        if self.normalise not in ("split", "sharp"):
            raise UsageError(f"normalise is {self.normalise!r}, which has no divergence: use split or sharp")
        rows = torch.cat([p, q]).flatten(1)
        unit = _mean_distance(q.flatten(1), rows) if self.unit == "mean" else self.unit
        kernel = self.kernel(self.scales[0] * unit)
        clouds = _clouds([_entry(q, p, labels)], len(q))
        window = Window(kernel, q.new_ones(()), q.new_empty(0))
        drift = Drift(clouds, (window,), self.normalise, KL, self.own, labels=labels and labels[0])
        return -drift.log_ratio(q, window).mean()

    def snapshot(self) -> dict[str, Tensor]:
        """A copy of what the present velocity depends on, for `replay`."""
        if self._field is None:
            raise UsageError("no field was found yet: call velocity(q, p) before snapshot()")
        clouds, windows = self._field.clouds, self._field.windows
        state = {"p": clouds.p, "q": clouds.q, "log_mass": clouds.log_mass, "n": torch.tensor(clouds.n)}
        state["lengths"] = torch.tensor([window.kernel.bandwidth for window in windows], dtype=torch.float64)
        state["factors"] = torch.stack([window.factor for window in windows])
        state["columns"] = torch.stack([window.columns for window in windows])
        if clouds.labels is not None:
            state["classes_p"], state["classes_q"] = clouds.labels
        return {name: tensor.clone() for name, tensor in state.items()}

    def replay(self, state: dict[str, Tensor]) -> Drift | Jittered:
        """The velocity at the time of a snapshot; its jitter is drawn anew."""
        labels = (state["classes_p"], state["classes_q"]) if "classes_p" in state else None
        clouds = Clouds(state["p"], state["q"], int(state["n"]), state["log_mass"], labels)
        windows = tuple(
            Window(self.kernel(length), factor, sums)
            for length, factor, sums in zip(state["lengths"].tolist(), state["factors"], state["columns"], strict=True)
        )
        return self._jittered(Drift(clouds, windows, self.normalise, self.divergence, self.own, self.floor))

    def _jittered(self, found: Drift) -> Drift | Jittered:
        if not self.jitter or self.rng is None:
            return found
        return Jittered(found, found.windows[0].kernel.bandwidth, self.rng)

    def _clouds(self, q: Samples, p: Samples, labels: LabelPair | None) -> tuple[Clouds, Tensor, Labels | None]:
        """All points that count, the samples of this call (of all processes), and their classes."""
        entry = _entry(
            all_rows(q.detach()), all_rows(p.detach()), labels and (all_rows(labels[0]), all_rows(labels[1]))
        )
        self.kept[:] = [*self.kept, entry][-self.memory - 1 :]
        clouds = _clouds(self.kept, len(entry["q"]), self.guidance)
        return clouds, entry["q"], entry.get("classes_q")

    def _columns(self, clouds: Clouds, kernel: Kernel, classes: Labels | None) -> Tensor:
        if self.normalise != "joint":
            return clouds.p.new_empty(0)
        return columns(clouds, kernel, classes, self.own)


def _entry(q: Samples, p: Samples, labels: LabelPair | None) -> dict[str, Tensor]:
    """What memory holds of a call."""
    entry = {"q": q.detach().flatten(1), "p": p.detach().flatten(1)}
    return entry if labels is None else entry | {"classes_q": labels[0], "classes_p": labels[1]}


def _clouds(kept: Sequence[dict[str, Tensor]], n: int, guidance: float = 0.0) -> Clouds:
    """The points of some calls, the last one's samples in the end."""
    p, q = (torch.cat([entry[name] for entry in kept]) for name in ("p", "q"))
    labels = None
    if "classes_p" in kept[-1]:
        labels = torch.cat([entry["classes_p"] for entry in kept]), torch.cat([entry["classes_q"] for entry in kept])
    mass = q.new_zeros(len(q))
    if guidance and labels is not None:
        each = guidance * (n - 1) / len(p)
        q, mass = torch.cat([p, q]), torch.cat([q.new_full((len(p),), each).log(), mass])
        labels = labels[0], torch.cat([torch.full_like(labels[0], -1), labels[1]])
    return Clouds(p, q, n, mass, labels)


def _mean_distance(x: Tensor, y: Tensor) -> float:
    """Mean distance of the rows of x from those of y."""
    total = sum(
        (squared.sqrt().double().sum() for _, squared in row_blocks(x, y)), x.new_zeros((), dtype=torch.float64)
    )
    return float(total) / (len(x) * len(y))
