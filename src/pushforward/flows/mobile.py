r"""A flow under a mobility, :math:`M v`, and a flow of samples pulled back onto codes, :math:`J^\top v`.

Both lower the same divergence as the flow they wrap, :math:`\tfrac{d}{dt} D = -\mathbb{E}\langle v, M v\rangle`, which
for codes is :math:`-\mathbb{E}\|J^\top v\|^2`. They know of a learned flow only that it is one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pushforward.dynamics.mobility import Decode, Mobility, pull
from pushforward.errors import UsageError
from pushforward.types import Flow, Logs, Samples, Scalar, Velocity

__all__ = ["Mobile", "Pullback"]


@dataclass
class Mobile:
    r"""Any flow, its velocity v(x) turned into M(x) v(x).

    Attributes:
        flow: The flow that finds v.
        mobility: (x, v) -> M(x) v: `box(low, high)`, `through(codec.encode, codec.decode)`, or a function of your own,
            as :math:`m(x)\,v` with a learned scalar m.
    """

    flow: Flow
    mobility: Mobility

    def velocity(self, q: Samples, p: Samples, **labels: Any) -> Velocity:
        """M v, with v the velocity of the flow at (q, p); labels go to the flow."""
        return self._moved(self.flow.velocity(q, p, **labels))

    def _moved(self, velocity: Velocity) -> Velocity:
        return lambda x, t=0.0: self.mobility(x, velocity(x, t))

    @property
    def logs(self) -> Logs:
        """The numbers of the flow."""
        return getattr(self.flow, "logs", {})

    def value(self, q: Samples, p: Samples) -> Scalar:
        """The flow's own estimate of its divergence: a mobility changes the way, not the height."""
        return _part(self.flow, "value")(q, p)

    def snapshot(self) -> dict[str, Tensor]:
        """What the flow's present velocity depends on; the mobility must not change between steps."""
        return _part(self.flow, "snapshot")()

    def replay(self, state: dict[str, Tensor]) -> Velocity:
        """M v, with v as it was at a snapshot."""
        return self._moved(_part(self.flow, "replay")(state))


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

    def velocity(self, q: Tensor, p: Samples, **labels: Any) -> Velocity:
        """Codes' velocity, with v the velocity of the flow at (D(q), p); labels go to the flow."""
        return self._pulled(self.flow.velocity(self._decoded(q), p, **labels))

    def _pulled(self, velocity: Velocity) -> Velocity:
        return lambda x, t=0.0: pull(self.decode, x, velocity(self._decoded(x), t))

    @torch.no_grad()
    def _decoded(self, z: Tensor) -> Samples:
        return self.decode(z)

    @property
    def logs(self) -> Logs:
        """The numbers of the flow."""
        return getattr(self.flow, "logs", {})

    def value(self, q: Tensor, p: Samples) -> Scalar:
        """The flow's estimate of the divergence between decoded points and data."""
        return _part(self.flow, "value")(self._decoded(q), p)

    def snapshot(self) -> dict[str, Tensor]:
        """What the flow's present velocity depends on; the decoder must not change between steps."""
        return _part(self.flow, "snapshot")()

    def replay(self, state: dict[str, Tensor]) -> Velocity:
        """The codes' velocity as it was at a snapshot."""
        return self._pulled(_part(self.flow, "replay")(state))


def _part(flow: Flow, name: str) -> Any:
    part = getattr(flow, name, None)
    if part is None:
        raise UsageError(f"{type(flow).__name__} has no {name}(): wrap a flow that has one, or do without")
    return part
