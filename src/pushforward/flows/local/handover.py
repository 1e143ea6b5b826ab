"""One flow for the first calls, and another from then on."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from pushforward.flows.critic import conditional
from pushforward.types import Conditional, Flow, LabelPair, Logs, Samples, Velocity, able, logged

__all__ = ["Handover"]


@dataclass
class Handover:
    """A flow that is followed until it has found the modes, and one that gives them their shape.

    Attributes:
        first: The flow of the first calls.
        then: The flow from then on, which does not see these calls.
        at: Calls of `first`.
        calls: Calls so far.
    """

    first: Flow
    then: Flow
    at: int
    calls: Tensor = field(default_factory=lambda: torch.zeros((), dtype=torch.int64))

    @property
    def now(self) -> Flow:
        """The flow of the last call."""
        return self.first if int(self.calls) <= self.at else self.then

    @property
    def untrained(self) -> bool:
        """Whether the second flow has taken over; one that is learned should not come second."""
        return int(self.calls) > self.at

    @property
    def logs(self) -> Logs:
        """The numbers of the last call."""
        return logged(self.now)

    @property
    def classes(self) -> int:
        """Number of classes that the first flow knows; 0 where that is not known."""
        return self.first.classes if able(self.first, Conditional) else 0

    def velocity(self, q: Samples, p: Samples, labels: LabelPair | None = None) -> Velocity:
        """The velocity of the flow whose turn it is.

        Args:
            q: Model samples, (n, *event).
            p: Data samples, (m, *event).
            labels: Classes of q (n,) and of p (m,), where both flows take them.
        """
        self.calls += 1
        return self.now.velocity(q, p) if labels is None else conditional(self.now).velocity(q, p, labels)
