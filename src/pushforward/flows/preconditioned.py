r"""A flow under a mobility, :math:`M v`, and a flow of samples pulled back onto codes, :math:`J^\top v`.

Both lower the same divergence as the flow they wrap, :math:`\tfrac{d}{dt} D = -\mathbb{E}\langle v, M v\rangle`, which
for codes is :math:`-\mathbb{E}\|J^\top v\|^2`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import torch
from torch import Tensor

from pushforward.dynamics.mobility import Decode, Mobility, pull
from pushforward.errors import UsageError
from pushforward.flows.critic import conditional
from pushforward.types import Flow, Labels, Logs, Samples, Scalar, Velocity

__all__ = ["Moved", "Preconditioned", "Pullback"]


Pair: TypeAlias = tuple[Labels, Labels]


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
        """The same field for points of other classes."""
        return replace(self, velocity=self.velocity.given(labels))  # pyright: ignore[reportAttributeAccessIssue]


@dataclass
class Preconditioned:
    r"""Any flow, its velocity v(x) turned into M(x) v(x).

    The `residual` that `Particles` logs counts :math:`\mathbb{E}|M v|^2` as dissipated, which is what the divergence
    loses where M is a projection, as `box` is. Under another mobility it loses :math:`\mathbb{E}\langle v, M v\rangle`
    and the residual says nothing.

    Attributes:
        flow: The flow that finds v.
        mobility: (x, v) -> M(x) v: `box(low, high)`, `through(codec.encode, codec.decode)`, or a function of your own,
            as :math:`m(x)\,v` with a learned scalar m.
    """

    flow: Flow
    mobility: Mobility

    def velocity(self, q: Samples, p: Samples, labels: Pair | None = None) -> Moved:
        """M v, with v the velocity of the flow at (q, p); labels go to the flow."""
        return Moved(_asked(self.flow, q, p, labels), self._moved)

    def _moved(self, velocity: Velocity, x: Samples, t: float) -> Samples:
        return self.mobility(x, velocity(x, t))

    @property
    def logs(self) -> Logs:
        """The numbers of the flow."""
        return getattr(self.flow, "logs", {})

    @property
    def classes(self) -> int:
        """Number of classes of the flow's critic; missing where the flow takes none."""
        return self.flow.classes  # pyright: ignore[reportAttributeAccessIssue]

    def value(self, q: Samples, p: Samples, labels: Pair | None = None) -> Scalar:
        """The flow's own estimate of its divergence: a mobility changes the way, not the height."""
        return _part(self.flow, "value")(q, p, *_given(labels))

    def snapshot(self) -> dict[str, Tensor]:
        """What the flow's present velocity depends on; the mobility must not change between steps."""
        return _part(self.flow, "snapshot")()

    def replay(self, state: dict[str, Tensor]) -> Moved:
        """M v, with v as it was at a snapshot."""
        return Moved(_part(self.flow, "replay")(state), self._moved)


@dataclass
class Pullback:
    r"""A flow of decoded points seen from their codes: q holds codes, p data, and :math:`v_z(z) = J(z)^\top v(D(z))`.

    The decoded points obey the mobility :math:`J J^\top` and are compared with the data themselves, not with data that
    went through the codec. Speed of the codes is at most :math:`a_D L`, of the points :math:`a_D^2 L`, where the critic
    has slope L.

    Attributes:
        flow: The flow that compares samples.
        decode: Codes (n, *code) -> samples (n, *event); fixed while particles move.
    """

    flow: Flow
    decode: Decode

    def velocity(self, q: Tensor, p: Samples, labels: Pair | None = None) -> Moved:
        """Codes' velocity, with v the velocity of the flow at (D(q), p); labels go to the flow."""
        return Moved(_asked(self.flow, self._decoded(q), p, labels), self._moved)

    def _moved(self, velocity: Velocity, z: Tensor, t: float) -> Tensor:
        return pull(self.decode, z, velocity(self._decoded(z), t))

    @torch.no_grad()
    def _decoded(self, z: Tensor) -> Samples:
        return self.decode(z)

    @property
    def logs(self) -> Logs:
        """The numbers of the flow."""
        return getattr(self.flow, "logs", {})

    @property
    def classes(self) -> int:
        """Number of classes of the flow's critic; missing where the flow takes none."""
        return self.flow.classes  # pyright: ignore[reportAttributeAccessIssue]

    def value(self, q: Tensor, p: Samples, labels: Pair | None = None) -> Scalar:
        """The flow's estimate of the divergence between decoded points and data."""
        return _part(self.flow, "value")(self._decoded(q), p, *_given(labels))

    def snapshot(self) -> dict[str, Tensor]:
        """What the flow's present velocity depends on; the decoder must not change between steps."""
        return _part(self.flow, "snapshot")()

    def replay(self, state: dict[str, Tensor]) -> Moved:
        """The codes' velocity as it was at a snapshot."""
        return Moved(_part(self.flow, "replay")(state), self._moved)


def _asked(flow: Flow, q: Samples, p: Samples, labels: Pair | None) -> Velocity:
    return flow.velocity(q, p) if labels is None else conditional(flow).velocity(q, p, labels)


def _given(labels: Pair | None) -> tuple[Pair, ...]:
    return () if labels is None else (labels,)


def _part(flow: Flow, name: str) -> Any:
    part = getattr(flow, name, None)
    if part is None:
        raise UsageError(f"{type(flow).__name__} has no {name}(): wrap a flow that has one, or do without")
    return part
