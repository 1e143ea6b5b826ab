r"""The two sides of a flow, of which the critic sees a part and is judged by the rest.

.. math::
    g = \sum_j w_j d(y_j) - \tfrac1n \sum_i d(x_i), \qquad
    s^2 = \tfrac1n \operatorname{var} d(x) + \frac{\sum_j w_j^2 (d(y_j) - \sum_i w_i d(y_i))^2}{1 - \sum_j w_j^2}

is what the critic d tells apart on held-out cells, x of the cloud and y of the reference with their shares w, of sum 1,
and its standard error: what is said of cells that the cloud does not ask for is no part of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from pushforward.flows.critic import CriticFlow
from pushforward.methods.particles.driver import Particles
from pushforward.randomness import Noise
from pushforward.types import Batch, Labels, Samples

__all__ = ["FEWEST", "Judge", "Side", "ratios"]

FEWEST = 5  # held-out cells of a side without which nothing is said of them
CALLS = 5  # moves over whose mean the gap is judged
BEGIN, END = 2.0, 1.0  # standard errors of the gap above which cells set off, and below which they settle


@dataclass(frozen=True)
class Side:
    """Cells of one side, some of which the critic never sees.

    Attributes:
        x: All cells, (n, d).
        seen: Places of those that it sees.
        held: Places of the others.
        labels: Classes, (n,), or None.
        weights: Share that each has of the law, (n,), or None where all have the same.
    """

    x: Samples
    seen: Tensor
    held: Tensor
    labels: Labels | None = None
    weights: Tensor | None = None

    @classmethod
    def of(cls, x: Samples, held: Tensor, labels: Labels | None, weights: Tensor | None = None) -> Side:
        """Cells with a mask of those that the critic never sees."""
        return cls(x, torch.nonzero(~held)[:, 0], torch.nonzero(held)[:, 0], labels, weights)

    def rows(self, rows: Tensor) -> tuple[Samples, Labels | None]:
        """Some cells and their classes."""
        return self.x[rows], None if self.labels is None else self.labels[rows]

    def shown(self, batch: int, cells: int, noise: Noise) -> Iterator[Batch]:
        """Data for the critic: all that it may see where that is little and weighs the same, else draws by weight."""
        rows, most = self.seen, min(batch, max(len(self.seen), cells))
        edges = None if self.weights is None else self.weights[rows].double().cumsum(0)
        while True:
            if edges is not None:
                places = torch.searchsorted(edges, noise.uniform(most).double() * edges[-1], right=True)
                drawn = rows[places.clamp(max=len(rows) - 1)]
            else:
                drawn = rows if len(rows) <= batch else rows[noise.integers(len(rows), batch)]
            x, labels = self.rows(drawn)
            yield x if labels is None else (x, labels)


@dataclass
class Judge:
    """The critic's gap on held-out cells, move by move, and what it says.

    Attributes:
        goal: The reference.
        able: Whether there are enough held-out cells to say anything.
        gaps: Gaps and their standard errors.
    """

    goal: Side
    able: bool
    gaps: list[tuple[float, float]] = field(default_factory=list)

    @torch.no_grad()
    def look(self, cloud: Particles) -> None:
        """Look at held-out cells of the cloud, its tracers, where they are now."""
        if not self.able or cloud.tracers is None or not isinstance(cloud.flow, CriticFlow):
            return
        y, theirs = self.goal.rows(self.goal.held)
        w = torch.ones(len(y)) if self.goal.weights is None else self.goal.weights[self.goal.held].float()
        w = w / w.sum()
        mine, there = cloud.flow.scores(cloud.tracers, cloud.tracer_labels), cloud.flow.scores(y, theirs)
        goal, squares = (w * there).sum(), w.square()
        spread = (squares * (there - goal).square()).sum() / (1 - squares.sum()).clamp(min=1e-6)
        self.gaps.append((float(goal - mine.mean()), float((mine.var() / len(mine) + spread).sqrt())))

    def reason(self) -> str:
        """Why cells need not move, or not any more; empty where they should."""
        if len(self.gaps) == 1 and self.gaps[0][0] < BEGIN * self.gaps[0][1]:
            return "held-out cells see no difference: nothing moved"
        last = torch.tensor(self.gaps[-CALLS:])
        if len(last) == CALLS and bool(last[:, 0].mean() < END * last[:, 1].mean()):
            return f"held-out cells see no difference, on a mean of {CALLS} looks"
        return ""

    @property
    def curves(self) -> tuple[list[float], list[float]]:
        """The gaps and their standard errors."""
        return [gap for gap, _ in self.gaps], [error for _, error in self.gaps]


def ratios(mine: Labels, theirs: Labels) -> Tensor:
    """Weights (m,) of the reference's cells under which its classes are shared as those of the cloud, (n,), are."""
    count = int(torch.cat([mine, theirs]).max()) + 1
    ours, there = (torch.bincount(labels, minlength=count) for labels in (mine, theirs))
    return (ours.double() / there.clamp(min=1))[theirs]
