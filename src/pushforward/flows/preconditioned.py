r"""A flow under a mobility, :math:`M v`, and a flow of samples pulled back onto codes, :math:`J^\top v`.

Both lower the same divergence as the flow they wrap, :math:`\tfrac{d}{dt} D = -\mathbb{E}\langle v, M v\rangle`, which
for codes is :math:`-\mathbb{E}\|J^\top v\|^2`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from pushforward.dynamics.mobility import Decode, Mobility, pull
from pushforward.errors import UsageError
from pushforward.flows.critic import conditional
from pushforward.types import (
    Blends,
    Conditional,
    External,
    Flow,
    Given,
    HasCritic,
    LabelPair,
    Labels,
    Logs,
    Replayable,
    Samples,
    Scalar,
    Valued,
    ValuedByClass,
    Velocity,
    able,
    logged,
)

__all__ = ["Moved", "Preconditioned", "pullback"]


@dataclass(frozen=True)
class Moved:
    """A velocity that another one is turned into.

    Attributes:
        velocity: The one that the wrapped flow found.
        turn: (velocity, x, t) -> dx/dt.
    """

    velocity: Velocity
    turn: Callable[[Velocity, Samples, float], Samples]

    def __call__(self, x: Samples, t: float = 0.0) -> Samples:
        """Velocity (n, *event) at x."""
        return self.turn(self.velocity, x, t)

    def given(self, labels: Labels | None) -> Moved:
        """The same field for points of other classes.

        Raises:
            UsageError: If the velocity inside knows no classes.
        """
        if not able(self.velocity, Given):
            raise UsageError(f"labels need a flow with a conditional critic; {type(self.velocity).__name__} takes none")
        return replace(self, velocity=self.velocity.given(labels))

    def offers(self, capability: type) -> bool:
        """Whether the velocity inside has what this one passes on."""
        return able(self.velocity, capability)


@dataclass
class Preconditioned:
    r"""Any flow, its velocity v(x) turned into M(x) v(x).

    The `residual` that `Particles` logs counts :math:`\mathbb{E}|M v|^2` as dissipated, which is what the divergence
    loses where M is a projection, as `box` is. Under another mobility it loses :math:`\mathbb{E}\langle v, M v\rangle`
    and the residual says nothing.

    Attributes:
        flow: The flow that finds v.
        mobility: (x, v) -> dx/dt: M(x) v by `box`, `through` or a function of your own; where `seen` is set, v has the
            shape of seen(x) and the answer that of x, as `partial(pull, decode)` has it.
        seen: x -> what the flow compares with p, for example `decode`; x itself if None. v is found and evaluated at
            seen(x).
    """

    flow: Flow
    mobility: Mobility
    seen: Decode | None = None

    def velocity(self, q: Samples, p: Samples, labels: LabelPair | None = None) -> Moved:
        """M v, with v the velocity of the flow at (seen(q), p); labels go to the flow."""
        return Moved(_asked(self.flow, self._seen_at(q), p, labels), self._moved)

    def _moved(self, velocity: Velocity, x: Samples, t: float) -> Samples:
        return self.mobility(x, velocity(self._seen_at(x), t))

    @torch.no_grad()
    def _seen_at(self, x: Samples) -> Samples:
        return x if self.seen is None else self.seen(x)

    @property
    def logs(self) -> Logs:
        """The numbers of the flow."""
        return logged(self.flow)

    @property
    def classes(self) -> int:
        """Number of classes of the flow's critic; 0 where the flow takes none."""
        return self.flow.classes if able(self.flow, Conditional) else 0

    @property
    def logistic(self) -> bool:
        """Whether the flow's critic has the logistic loss."""
        return able(self.flow, HasCritic) and self.flow.logistic

    @property
    def dual(self) -> bool:
        """Whether the flow's critic is the first variation of its divergence."""
        return able(self.flow, HasCritic) and self.flow.dual

    @property
    def fastest(self) -> None:
        """Nothing: a mobility may make samples faster than their critic, and so may a decoder."""
        return

    @property
    def external(self) -> bool:
        """Whether the flow's field does not depend on the samples."""
        return able(self.flow, External) and self.flow.external

    def offers(self, capability: type) -> bool:
        """Whether the flow inside has what this one passes on: `value`, `snapshot` and `replay`, classes, numbers."""
        return able(self.flow, capability)

    def value(self, q: Samples, p: Samples, labels: LabelPair | None = None) -> Scalar:
        """The flow's own estimate of its divergence: a mobility changes the way, not the height."""
        return _value(self.flow, self._seen_at(q), p, labels)

    def snapshot(self) -> dict[str, Tensor]:
        """What the flow's present velocity depends on; mobility and `seen` must not change between steps."""
        return _replayable(self.flow).snapshot()

    def replay(self, state: dict[str, Tensor]) -> Moved:
        """M v, with v as it was at a snapshot."""
        return Moved(_replayable(self.flow).replay(state), self._moved)

    def blend(self, one: dict[str, Tensor], other: dict[str, Tensor], share: float) -> dict[str, Tensor]:
        """The flow's state between two snapshots; M acts on whatever its velocity is."""
        if not able(self.flow, Blends):
            raise UsageError(f"{type(self.flow).__name__} blends no snapshots")
        return self.flow.blend(one, other, share)


def pullback(flow: Flow, decode: Decode) -> Preconditioned:
    r"""A flow of decoded points seen from their codes: q holds codes, p data, and :math:`v_z(z) = J(z)^\top v(D(z))`.

    The decoded points obey the mobility :math:`J J^\top` and are compared with the data themselves, not with data that
    went through the codec. Speed of the codes is at most :math:`a_D L`, of the points :math:`a_D^2 L`, where the critic
    has slope L.

    Args:
        flow: The flow that compares samples.
        decode: Codes (n, *code) -> samples (n, *event); fixed while particles move.
    """
    return Preconditioned(flow, partial(pull, decode), decode)


def _asked(flow: Flow, q: Samples, p: Samples, labels: LabelPair | None) -> Velocity:
    return flow.velocity(q, p) if labels is None else conditional(flow).velocity(q, p, labels)


def _value(flow: Flow, q: Samples, p: Samples, labels: LabelPair | None) -> Scalar:
    if labels is not None and able(flow, ValuedByClass):
        return flow.value(q, p, labels)
    if labels is None and able(flow, Valued):
        return flow.value(q, p)
    raise UsageError(f"{type(flow).__name__} has no value() of these samples: wrap a flow that has, or do without")


def _replayable(flow: Flow) -> Replayable:
    if not able(flow, Replayable):
        raise UsageError(f"{type(flow).__name__} has no snapshot() and replay(): wrap a flow that has, or do without")
    return flow
