r"""What is seen of moving particles: energy, path, dissipation, and when to stop.

Along a gradient flow :math:`\frac{d}{dt} D(q_t\|p) = -\mathbb{E}\,|v|^2 = -2\,\mathrm{KE}`, so that what D lost is what
was dissipated: :math:`D(0) - D(t) = \int_0^t 2\,\mathrm{KE}`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.training import sharing
from pushforward.types import Logs, Samples

__all__ = ["Diary", "Until"]

KEPT = 128  # steps whose energy and divergence are remembered
FIRST, LAST, RATE, STEP, DISSIPATED = range(5)  # places in the ledger


@dataclass
class Diary:
    """Running accounts of a cloud of particles; all of it is tensors, so that a resumed run goes on with them.

    Attributes:
        like: Particles, for size and device; not kept.
        path: Length of each particle's way so far, (n,).
        ledger: First and last divergence, last 2 KE, last dt, energy dissipated so far.
        recent: Kinetic energy and divergence of the last steps, (KEPT, 2), step k in row k modulo KEPT.
    """

    like: Samples | None = field(repr=False)
    path: Tensor = field(init=False)
    ledger: Tensor = field(init=False)
    recent: Tensor = field(init=False)

    def __post_init__(self) -> None:
        like, self.like = self.like, None
        assert like is not None
        self.path = torch.zeros(len(like), dtype=like.dtype, device=like.device)
        self.ledger = torch.zeros(5, dtype=torch.float64, device=like.device)
        self.recent = torch.zeros(KEPT, 2, dtype=torch.float64, device=like.device)

    @torch.no_grad()
    def note(self, k: int, divergence: Tensor | None, v: Samples, before: Samples, after: Samples, dt: float) -> Logs:
        """Enter one step.

        Args:
            k: Steps done before; 0 opens the accounts.
            divergence: The flow's estimate before the move, if it has one.
            v: Velocity before the move, (n, *event).
            before: Particles before the move, (n, *event).
            after: Particles after it.
            dt: Time of the step.

        Returns:
            `speed`, root mean square over the step; `kinetic`, half the mean square of v; `fastest`, the largest |v|;
            `path`, mean length of the ways so far; `residual`, |D(0) - D(t) - dissipated| / D(0), once D is known.
        """
        squares, moved = v.flatten(1).square().sum(1), (after - before).flatten(1).square().sum(1)
        if len(self.path) != len(moved):  # particles of another number were put in place
            self.path = moved.new_zeros(len(moved))
        self.path = self.path + moved.sqrt()
        mean = squares.mean()
        logs = {"speed": moved.mean().sqrt() / dt, "kinetic": mean / 2, "fastest": squares.max().sqrt(),
                "path": self.path.mean()}  # fmt: skip
        row = k % KEPT
        self.recent[row, 0] = mean / 2
        if divergence is not None:
            ledger, now = self.ledger, divergence.detach().double()
            if k == 0:
                ledger[FIRST], ledger[DISSIPATED] = now, 0.0
            else:
                ledger[DISSIPATED] += ledger[STEP] * (ledger[RATE] + mean) / 2
            ledger[LAST], ledger[RATE], ledger[STEP] = now, mean, dt
            self.recent[row, 1] = now
            logs["residual"] = (ledger[FIRST] - now - ledger[DISSIPATED]).abs() / ledger[FIRST].abs().clamp(min=1e-12)
        return logs

    def last(self, count: int, end: int) -> Tensor:
        """Kinetic energy and divergence of the `count` steps before step `end`, (count, 2)."""
        rows = torch.arange(end - count, end, device=self.recent.device) % KEPT
        return self.recent[rows]

    def shard(self) -> None:
        """Keep the ways of this process's particles."""
        self.path = sharing.own_rows(self.path)


@dataclass(frozen=True)
class Until:
    """When particles may stop before the last step.

    Attributes:
        kinetic: Mean kinetic energy, over a window, below which nothing much moves; for a critic of slope L a
            thousandth of L² is a good number.
        plateau: Share of the first divergence by which it must still change from one window to the next.
        horizon: Last time.
        window: Steps in a window, at most 64.

    Raises:
        UsageError: If the window is out of range.
    """

    kinetic: float | None = None
    plateau: float | None = None
    horizon: float | None = None
    window: int = 20

    def __post_init__(self) -> None:
        if not 1 <= self.window <= KEPT // 2:
            raise UsageError(f"window {self.window}: give 1 to {KEPT // 2} steps")

    def reason(self, diary: Diary, step: int, time: float) -> str:
        """Why to stop after so many steps, in words; empty while there is none."""
        if self.horizon is not None and time >= self.horizon * (1 - 1e-9):
            energy = float(diary.last(1, step)[0, 0])
            return f"the horizon t = {self.horizon:g} was reached, with a kinetic energy of {energy:.3g}"
        if (self.kinetic is None and self.plateau is None) or step % self.window:
            return ""
        now = sharing.mean(diary.last(self.window, step).mean(0))
        if self.kinetic is not None and float(now[0]) < self.kinetic:
            return f"the kinetic energy, {float(now[0]):.3g} over {self.window} steps, fell below {self.kinetic:g}"
        if self.plateau is not None and step >= 2 * self.window:
            before = sharing.mean(diary.last(self.window, step - self.window).mean(0))
            change, first = abs(float(before[1] - now[1])), abs(float(diary.ledger[FIRST]))
            if change < self.plateau * first:
                return f"the divergence, {float(now[1]):.4g}, changed by {change:.2g} over {self.window} steps"
        return ""
