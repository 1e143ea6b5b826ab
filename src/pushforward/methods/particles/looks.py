r"""When a closer look is taken at a flow between its particles and its data, and what it finds.

A look costs passes through a critic that move nothing: the slope at all points, a bound of it, the weights' effective
size, the value on held-out data. Looks are taken every k-th step, with k from the sizes alone, so that

.. math:: \mathrm{cost}(\text{look}) / k \le \tfrac{1}{20}\,\mathrm{cost}(\text{step})

on any machine, and draw nothing: particles go the same way bit for bit, however often they are looked at. Energy,
speed, path and dissipation belong to every step and are no part of this.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch

from pushforward.types import Batch, Examined, Flow, Labels, Logs, Samples, Scalar, Valued, ValuedByClass, able, unpack

__all__ = ["look", "rows", "stride"]

SHARE = 20
"""Steps that all looks together may cost one of."""

CALL = 500
"""Rows whose arithmetic, in a small net, takes as long as calling a pass' operations."""

FUSED = 8
"""How many times as fast a compiled step is at most, while a look is not compiled."""


def stride(shown: int, moved: int, held: int, compiled: bool) -> int:
    """Steps from one look to the next, counted in rows that pass through a critic.

    A step is counted as one update (forward and twice back, particles and data) and one move (forward and back), though
    most make more; a look as a slope (forward and back), a certificate and, if there are held-out data, a value.

    Args:
        shown: Particles, and data, that the critic is shown at a time.
        moved: Particles.
        held: Held-out rows; 0 for none.
        compiled: Whether steps are compiled.
    """
    step = 3 * (CALL + 2 * shown) + 2 * (CALL + moved)
    once = 2 * (CALL + 2 * shown) + CALL + (CALL + shown + held if held else 0)
    return math.ceil(SHARE * once * (FUSED if compiled else 1) / step)


def rows(n: int, size: int, k: int) -> torch.Tensor:
    """Which `size` of n particles a look at step k is shown: a block, each time the next, and no draw."""
    return (k * size + torch.arange(size)) % n


def look(
    flow: Flow, q: Samples, batch: Batch, labels_q: Labels | None = None, held: Callable[[], Batch] | None = None
) -> Logs:
    """What a flow that can be examined says of its present state, and its value on held-out data, as `held`.

    Args:
        flow: The flow, as it is.
        q: Particles, (n, *event).
        batch: Data, (m, *event), with labels if the particles have some.
        labels_q: Classes (n,) of the particles.
        held: Gives held-out data.
    """
    (p, labels_p), logs = unpack(batch), Logs()
    if able(flow, Examined):
        pair = (labels_q, labels_p) if labels_q is not None and labels_p is not None else None
        logs |= flow.diagnose(q, p) if pair is None else flow.diagnose(q, p, pair)
    if held is not None and (value := _value(flow, q, labels_q, *unpack(held()))) is not None:
        logs["held"] = value
    return logs


def _value(flow: Flow, q: Samples, labels_q: Labels | None, held: Samples, labels_held: Labels | None) -> Scalar | None:
    """The flow's value between particles and held-out data, by class where both have some."""
    held = held.to(q)
    if labels_q is not None and labels_held is not None:
        return flow.value(q, held, (labels_q, labels_held)) if able(flow, ValuedByClass) else None
    return flow.value(q, held) if able(flow, Valued) else None
