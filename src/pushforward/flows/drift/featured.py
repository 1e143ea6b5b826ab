r"""Any flow in the features of samples, pulled back to them.

.. math:: v(x) = \sum_k \tfrac{1}{S_k C_k} J_k(x)^\top V_k(\phi_k(x) / S_k)

V is the flow's velocity between features, of which there are C, in units S. A generator that follows v for one move
and one fit descends the sum over k of the mean squares of :math:`\phi_k(x)/S_k` from where V sends it: regression in
feature spaces is `VGrow` as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.flows.critic import conditional
from pushforward.terms import TERMS, Term
from pushforward.types import (
    Explains,
    Flow,
    Given,
    LabelPair,
    Labels,
    Logs,
    Replayable,
    Samples,
    Velocity,
    able,
    logged,
)

__all__ = ["Featured", "Space"]


@dataclass(frozen=True)
class Space:
    """Features and the flow that compares them.

    Attributes:
        name: What logs call it.
        encode: Samples (n, *event) -> features (n, *features), row by row and without chance: no dropout.
        flow: Any flow.
        unit: Unit S of the features.
        weight: Factor on its velocity.
    """

    name: str
    encode: Callable[[Samples], Tensor]
    flow: Flow
    unit: float = 1.0
    weight: float = 1.0

    def seen(self, x: Samples) -> Tensor:
        """Features in their unit."""
        return self.encode(x) / self.unit


@dataclass(frozen=True)
class Pulled:
    """The velocity of samples.

    Attributes:
        parts: Spaces, and the velocities of their flows.
        rows: Samples that were seen together; others are seen as many at a time, so that equal ones have equal
            features.
    """

    parts: tuple[tuple[Space, Velocity], ...]
    rows: int

    def __call__(self, x: Samples, t: float = 0.0) -> Samples:
        """Velocity (n, *event) at x; the same at every time."""
        return torch.cat([self._at(x[start : start + self.rows], t) for start in range(0, len(x), self.rows)])

    def given(self, labels: Labels | None) -> Pulled:
        """The same field for points of other classes.

        Raises:
            UsageError: If one of the flows knows no classes.
        """
        parts = list[tuple[Space, Velocity]]()
        for space, velocity in self.parts:
            if not able(velocity, Given):
                raise UsageError(f"labels need flows that take classes; that of {space.name} takes none")
            parts.append((space, velocity.given(labels)))
        whole = max(self.rows, 0 if labels is None else len(labels))
        return replace(self, parts=tuple(parts), rows=whole)

    def _at(self, x: Samples, t: float) -> Samples:
        total = torch.zeros_like(x)
        for space, velocity in self.parts:
            with torch.enable_grad():
                free = x.detach().requires_grad_()
                features = space.seen(free)
            v = velocity(features.detach(), t)
            (back,) = torch.autograd.grad(features, free, v)
            total += back * (space.weight / features[0].numel())
        return total


@dataclass
class Featured:
    """Samples that follow flows between their features.

    Attributes:
        spaces: The feature spaces, whose pulls add up.

    Raises:
        UsageError: If there is none, or two share a name.
    """

    spaces: Sequence[Space]
    logs: Logs = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        names = [space.name for space in self.spaces]
        if not names or len({*names}) < len(names):
            raise UsageError(f"spaces are {names}: give at least one, each of a name of its own")
        self._rows = 0

    @property
    def classes(self) -> int:
        """0: nothing here knows a number of classes."""
        return 0

    @property
    def terms(self) -> Mapping[str, Term]:
        """What the numbers of the flows are called in their spaces."""
        found = dict[str, Term]()
        for space in self.spaces:
            known = TERMS | (dict(space.flow.terms) if able(space.flow, Explains) else {})
            own = {name: replace(term, title=f"{term.title}, {space.name}") for name, term in known.items()}
            found |= {f"{space.name}_{name}": term for name, term in own.items()}
        return found

    def offers(self, capability: type) -> bool:
        """Whether it has a capability: snapshots only where all its flows have them."""
        return capability is not Replayable or all(able(space.flow, Replayable) for space in self.spaces)

    def snapshot(self) -> dict[str, Tensor]:
        """What the present velocities depend on; the encoders must not change between steps."""
        if not self._rows:
            raise UsageError("no field was found yet: call velocity(q, p) before snapshot()")
        state = {"rows": torch.tensor(self._rows)}
        for space, flow in self._replayable():
            state |= {f"{space.name}/{name}": value for name, value in flow.snapshot().items()}
        return state

    def replay(self, state: dict[str, Tensor]) -> Pulled:
        """The velocity at the time of a snapshot."""
        parts = list[tuple[Space, Velocity]]()
        for space, flow in self._replayable():
            start = f"{space.name}/"
            own = {name.removeprefix(start): value for name, value in state.items() if name.startswith(start)}
            parts.append((space, flow.replay(own)))
        return Pulled(tuple(parts), int(state["rows"]))

    def _replayable(self) -> list[tuple[Space, Replayable]]:
        found = list[tuple[Space, Replayable]]()
        for space in self.spaces:
            if not able(space.flow, Replayable):
                raise UsageError(f"the flow of {space.name} has no snapshot() and replay(): take one that has")
            found.append((space, space.flow))
        return found

    def velocity(self, q: Samples, p: Samples, labels: LabelPair | None = None) -> Pulled:
        """The field on all of space, from the velocities of all flows between the features of q and of p.

        Args:
            q: Model samples, (n, *event).
            p: Data samples, (m, *event).
            labels: Classes of q (n,) and of p (m,), for flows that take them.
        """
        parts, self.logs = list[tuple[Space, Velocity]](), {}
        for space in self.spaces:
            with torch.no_grad():
                here, there = space.seen(q.detach()), space.seen(p.detach())
            if labels is None:
                found = space.flow.velocity(here, there)
            else:
                found = conditional(space.flow).velocity(here, there, labels)
            parts.append((space, found))
            self.logs |= {f"{space.name}_{name}": value for name, value in logged(space.flow).items()}
        self._rows = len(q)
        return Pulled(tuple(parts), len(q))
