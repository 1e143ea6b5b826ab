"""Schedules: number of updates done -> factor on a learning rate or a penalty; they can be pickled."""

from __future__ import annotations

import math
from functools import partial

from pushforward.types import Schedule

__all__ = ["constant", "cosine", "geometric", "linear", "step_decay"]


def constant(updates: int) -> float:
    """The factor 1 at every update."""
    return 1.0


def linear(total: int, last: float = 0.0, hold: float = 0.0) -> Schedule:
    """1 for the first `hold` share of `total` updates, then a straight line to `last`, which it keeps."""
    return partial(_linear, total, last, hold)


def _linear(total: int, last: float, hold: float, updates: int) -> float:
    return 1.0 + (last - 1.0) * _progress(total, hold, updates)


def cosine(total: int, last: float = 0.0, hold: float = 0.0, half: float = 1.0) -> Schedule:
    """1 for the first `hold` share of `total` updates, then half a cosine wave down to `last`, which it keeps.

    From the share `half` on, what it is above `last` counts half.
    """
    return partial(_cosine, total, last, hold, half)


def _cosine(total: int, last: float, hold: float, half: float, updates: int) -> float:
    wave = (1.0 + math.cos(math.pi * _progress(total, hold, updates))) / 2
    return last + (1.0 - last) * (wave / 2 if updates >= half * total and half < 1 else wave)


def _progress(total: int, hold: float, updates: int) -> float:
    return min(max(updates / total - hold, 0.0) / (1.0 - hold), 1.0)


def geometric(total: int, last: float = 1e-3) -> Schedule:
    """From 1 down to `last` by equal factors over `total` updates, then `last`."""
    return partial(_geometric, total, last)


def _geometric(total: int, last: float, updates: int) -> float:
    return last ** min(updates / total, 1.0)


def step_decay(milestones: tuple[int, ...], factor: float = 0.5) -> Schedule:
    """Multiplied by `factor` at each milestone passed."""
    return partial(_step_decay, milestones, factor)


def _step_decay(milestones: tuple[int, ...], factor: float, updates: int) -> float:
    return factor ** sum(updates >= milestone for milestone in milestones)
