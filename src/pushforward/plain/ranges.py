"""Which numbers lie beyond others, up to what storing them in single precision moves."""

from __future__ import annotations

import numpy as np

__all__ = ["beyond_range", "slack"]

OF_RANGE = 1e-6  # as little of the range is no matter to anybody
SINGLE = 2.0**-23  # of the larger end: as far as a number moves that is stored in single precision


def slack(low: float, high: float) -> float:
    """How far beyond the ends of a range a number still counts as inside."""
    return OF_RANGE * (high - low) + SINGLE * max(abs(low), abs(high))


def beyond_range(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Which values lie below `low` or above `high`, in the shape of values."""
    near = slack(low, high)
    return (values < low - near) | (values > high + near)
