"""How much of fake lies where no row of real or train does, beside what one row of these shows among the others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from pushforward.metrics.columns.read import Numbers, pooled
from pushforward.plain.fields import Field
from pushforward.plain.ranges import beyond_range, slack

__all__ = ["outside"]


def outside(fake: Tensor, known: Tensor, fields: Sequence[Field] = ()) -> dict[int, tuple[float, float]]:
    """Of each column the share of fake outside the range or the levels of known rows, and the share expected.

    The share expected is exact for rows of one law: how many known rows are outside those of the others, the smallest
    and the largest of a column or the only one of its level.

    Args:
        fake: Model samples, (n, d).
        known: Real rows, those of train with them, (k, d).
        fields: What each coordinate is.

    Returns:
        Both shares by the place of the column.
    """
    pool = pooled(fake, known, fields)
    n = pool.n
    found = {place: _beyond(pool.numbers, k, n) for k, place in enumerate(pool.numbers.places)}
    for one in pool.categories:
        total = one.hot[n:].sum(0)
        found[one.place] = float(one.hot[:n, total == 0].sum() / n), float((total == 1).sum() / pool.m)
    return found


def _beyond(numbers: Numbers, k: int, n: int) -> tuple[float, float]:
    filled = numbers.filled(k)
    own, other = numbers.x[:n, k][filled[:n]], numbers.x[n:, k][filled[n:]]
    if not len(other):
        return float(len(own) / n), 0.0
    low, high = other.min(), other.max()
    near = slack(float(low), float(high))
    beyond = beyond_range(own, float(low), float(high)).sum() / n
    alone = sum(int((np.abs(other - end) <= near).sum() == 1) for end in ((low, high) if high > low else ()))
    return float(beyond), float(alone / (len(numbers.x) - n))
