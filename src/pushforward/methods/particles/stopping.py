r"""What is seen of moving particles: energy, path, dissipation, and when to stop.

Along a gradient flow :math:`\frac{d}{dt} D(q_t\|p) = -\mathbb{E}\,|v|^2 = -2\,\mathrm{KE}`, so that what D lost is what
was dissipated: :math:`D(0) - D(t) = \int_0^t 2\,\mathrm{KE}`. Where a projection follows each step, points move by what
it leaves of v, which is u. Their energy is :math:`\mathbb{E}\,|u|^2 / 2`, and D falls at the rate
:math:`\mathbb{E} \langle v, u \rangle`: points that a wall holds have no energy, whatever pulls at them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.parallel import sharing
from pushforward.parallel.doubles import finest
from pushforward.types import Logs, Samples

__all__ = ["Accounts", "Until"]

KEPT = 128  # steps whose energy and divergence are remembered


@dataclass
class Accounts:
    """Running accounts of a cloud of particles; all of it is tensors, so that a resumed run goes on with them.

    Attributes:
        like: Particles, for size and device; not kept.
        path: Length of each particle's way so far, (n,).
        ledger: First and last divergence, last rate of dissipation, last dt, energy dissipated so far.
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
        self.ledger = torch.zeros(5, dtype=finest(like.device), device=like.device)
        self.recent = torch.zeros(KEPT, 2, dtype=finest(like.device), device=like.device)

    @torch.no_grad()
    def note(self, k: int, divergence: Tensor | None, lengths: Tensor, squares: Tensor, dt: float) -> Logs:
        """Enter one step; where several processes share the particles, it is of all of them, and all must enter it.

        Args:
            k: Steps done before; 0 opens the accounts.
            divergence: The flow's estimate before the move, if it has one.
            lengths: How far each particle moved, (n,), of `pushforward.dynamics.velocity.measured`.
            squares: Its mean squares, largest square and rate of dissipation, (4,).
            dt: Time of the step; one of 0 has no speed but that of the field.

        Returns:
            `speed`, root mean square over the step; `kinetic`, half the mean square of what is left of v; `fastest`,
            the largest |v|; `path`, mean length of the ways so far; `residual`, |D(0) - D(t) - dissipated| / D(0),
            once D is known.
        """
        if len(self.path) != len(lengths):  # particles of another number were put in place
            self.path = torch.zeros_like(lengths)
        self.path = self.path + lengths
        path = self.path.mean()
        if sharing.world() > 1:
            means = sharing.mean(torch.stack([squares[0], squares[1], squares[3], path]), len(lengths))
            squares, path = torch.stack([means[0], means[1], sharing.largest(squares[2]), means[2]]), means[3]
        energy, lost, (made, moved, fastest) = squares[0] / 2, squares[3], squares[:3].sqrt().unbind()
        logs = {"speed": moved / abs(dt) if dt else made, "kinetic": energy, "fastest": fastest, "path": path}
        kept_energy, kept_divergence = self.recent[k % KEPT].unbind()
        kept_energy.copy_(energy)
        if divergence is not None:
            first, last, rate, step, dissipated = self.ledger.unbind()
            if k == 0:
                first.copy_(divergence)
                dissipated.zero_()
            else:
                dissipated.addcmul_(step, rate + lost, value=0.5)
            for kept, value in ((last, divergence), (rate, lost), (kept_divergence, divergence)):
                kept.copy_(value)
            step.fill_(dt)
            logs["residual"] = (first - last - dissipated).abs() / first.abs().clamp(min=1e-12)
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

    def reason(self, accounts: Accounts, step: int, time: float) -> str:
        """Why to stop after so many steps, in words; empty while there is none."""
        if self.horizon is not None and time >= self.horizon * (1 - 1e-9):
            energy = float(accounts.last(1, step)[0, 0])
            return f"the horizon t = {self.horizon:g} was reached, with a kinetic energy of {energy:.3g}"
        if (self.kinetic is None and self.plateau is None) or step % self.window:
            return ""
        now = accounts.last(self.window, step).mean(0)
        if self.kinetic is not None and float(now[0]) < self.kinetic:
            return f"the kinetic energy, {float(now[0]):.3g} over {self.window} steps, fell below {self.kinetic:g}"
        if self.plateau is not None and step >= 2 * self.window:
            before = accounts.last(self.window, step - self.window).mean(0)
            change, first = abs(float(before[1] - now[1])), abs(float(accounts.ledger[0]))
            if change < self.plateau * first:
                return f"the divergence, {float(now[1]):.4g}, changed by {change:.2g} over {self.window} steps"
        return ""
