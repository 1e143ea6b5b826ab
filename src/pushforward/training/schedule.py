"""Schedules: number of updates done -> factor on a learning rate or a penalty."""

from __future__ import annotations

import math

from pushforward.types import Schedule

__all__ = ["constant", "cosine", "geometric", "linear", "step_decay"]


def constant(updates: int) -> float:
    """The factor 1 at every update."""
    return 1.0


def linear(total: int, last: float = 0.0, hold: float = 0.0) -> Schedule:
    """1 for the first `hold` share of `total` updates, then a straight line to `last`, which it keeps."""

    def factor(updates: int) -> float:
        progress = min(max(updates / total - hold, 0.0) / (1.0 - hold), 1.0)
        return 1.0 + (last - 1.0) * progress

    return factor


def cosine(total: int, last: float = 0.0, hold: float = 0.0) -> Schedule:
    """1 for the first `hold` share of `total` updates, then half a cosine wave down to `last`, which it keeps."""

    def factor(updates: int) -> float:
        progress = min(max(updates / total - hold, 0.0) / (1.0 - hold), 1.0)
        return last + (1.0 - last) * (1.0 + math.cos(math.pi * progress)) / 2

    return factor


def geometric(total: int, last: float = 1e-3) -> Schedule:
    """From 1 down to `last` by equal factors over `total` updates, then `last`."""
    return lambda updates: last ** min(updates / total, 1.0)


def step_decay(milestones: tuple[int, ...], factor: float = 0.5) -> Schedule:
    """Multiplied by `factor` at each milestone passed."""
    return lambda updates: factor ** sum(updates >= milestone for milestone in milestones)
