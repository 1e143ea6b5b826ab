"""Recorded velocities of a fit as tensors: what carries new points, and what goes into a file."""

from __future__ import annotations

import math
import os
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD

from pushforward.divergences import Divergence, locate
from pushforward.dynamics.integrate import named
from pushforward.estimators import store
from pushforward.flows.bounded import bounded_critic
from pushforward.flows.critic import CriticFlow
from pushforward.methods.particles.driver import Particles
from pushforward.randomness import stream
from pushforward.settings.groups import Constraint
from pushforward.training.learner import Learner
from pushforward.training.schedule import linear
from pushforward.types import Labels, Replayable, Samples, Schedule

__all__ = ["CriticShape", "Field", "Pace"]

HOLD = 0.5  # share of the steps before they shorten


@dataclass(frozen=True)
class CriticShape:
    """What a critic is built from.

    Attributes:
        event: Columns.
        width: Units of a hidden layer.
        depth: Hidden layers.
        slope: Its bound, in score units per standard unit.
        constraint: How the bound is kept; never "auto".
        classes: Number of classes; 0 for none.
    """

    event: int
    width: int
    depth: int
    slope: float
    constraint: Constraint
    classes: int = 0

    def critic(self) -> nn.Module:
        """A critic with fresh weights."""
        return bounded_critic(self.event, self.slope, self.width, self.depth, self.constraint, classes=self.classes)


@dataclass(frozen=True)
class Pace:
    """How particles went: length and number of steps, scheme, and which fields were kept.

    Attributes:
        step: Time of the first steps.
        decay: Factor that the last one has; the second half of the steps planned falls to it.
        planned: Steps planned.
        done: Steps done.
        scheme: Name of the scheme.
        refit: Whether every stage of it has a field of its own.
        record: Steps that a field serves.
    """

    step: float
    decay: float
    planned: int
    done: int
    scheme: str
    refit: bool
    record: int

    @property
    def schedule(self) -> Schedule:
        """Steps done -> factor on the step."""
        return linear(self.planned, self.decay, HOLD)


@dataclass(frozen=True, eq=False)
class Field:
    """The velocities of a fit, in model units, as tensors that can be replayed.

    Attributes:
        flow: A flow of the caller's that reads the tensors; None for a critic.
        net: The critic's architecture, where it is one; its own weights are not used.
        states: Tensors of the field at each recorded step, by name, each (steps, *shape); those of further stages,
            which only the first steps of a scheme may have, are shorter.
        divergence: What the velocity lowered, or its name.
        cap: Largest weight of a point.
        limit: Largest speed of a point.
        pace: How the particles went.
        layout: What `net` was built from.
    """

    flow: Replayable | None
    net: nn.Module | None
    states: dict[str, Tensor]
    divergence: str | Divergence
    cap: float
    limit: float
    pace: Pace
    layout: CriticShape

    @staticmethod
    def recorded(
        method: Particles,
        flow: Replayable | None,
        divergence: str | Divergence,
        cap: float,
        limit: float,
        pace: Pace,
        layout: CriticShape,
    ) -> Field:
        """What particles recorded on their way; arguments as of the attributes, the pace as it was planned."""
        tape = method.tape
        states = {
            name: torch.stack([entry[name].cpu() for entry in tape if name in entry])
            for name in (tape[0] if tape else {})
        }
        went = replace(pace, done=int(method.done), record=method.serves if tape else pace.record)
        net = None if not isinstance(method.flow, CriticFlow) else method.flow.critic.net.requires_grad_(False)
        return Field(flow, net, states, divergence, cap, limit, went, layout)

    def packed(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """What a file holds of it: JSON-able facts, and tensors under `field.`."""
        facts = {"layout": asdict(self.layout), "pace": asdict(self.pace), "limit": store.number(self.limit),
                 "divergence": store.name_of(self.divergence), "cap": float(self.cap)}  # fmt: skip
        return facts, {f"field.{name}": tensor for name, tensor in self.states.items()}

    @staticmethod
    def unpacked(
        facts: dict[str, Any],
        tensors: dict[str, Tensor],
        path: str | os.PathLike[str],
        divergence: str | Divergence | None,
    ) -> Field:
        """The inverse of `packed`, with the divergence that the caller gives, if any.

        Raises:
            DataError: If tensors and facts disagree, or the divergence lives outside this package.
            ValueError: If a fact is of another kind.
        """
        states = {name.removeprefix("field."): tensor for name, tensor in tensors.items() if name.startswith("field.")}
        store.told(facts, layout=dict, pace=dict, limit=float | None, divergence=str, cap=float)
        layout, pace = store.made(CriticShape, facts["layout"]), store.made(Pace, facts["pace"])
        with torch.device("meta"):
            net = layout.critic()
        if states:
            stage = "0." if pace.refit else ""
            last = {name.removeprefix(stage): value[-1] for name, value in states.items() if name.startswith(stage)}
            store.fill(net, last, path)
        limit = math.inf if facts["limit"] is None else facts["limit"]
        found = store.found(path, facts["divergence"], divergence)
        return Field(None, net, states, found, facts["cap"], limit, pace, layout)

    def transport(self, x: Samples, device: torch.device, labels: Labels | None = None) -> Samples:
        """Points (n, d), with classes (n,) if the critic has some, carried along all steps."""
        pace, flow = self.pace, self.flow
        if flow is None:
            assert self.net is not None
            critic = Learner(self.net.to(device), partial(SGD, lr=0.0))
            flow = CriticFlow(critic, locate(self.divergence), cap=self.cap, limit=self.limit)
        x = x.to(device)
        method = Particles(flow, x[:1], pace.step, stream(0, "train"), named(pace.scheme), record=pace.record,
                           refit=pace.refit, schedule=pace.schedule,
                           labels=None if labels is None else labels[:1].to(device))  # fmt: skip
        count = max(map(len, self.states.values()), default=0)
        method.tape += [
            {name: value[k].to(device) for name, value in self.states.items() if k < len(value)} for k in range(count)
        ]
        method.done.fill_(pace.done)
        return method.transport(x, labels)
