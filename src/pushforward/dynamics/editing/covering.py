r"""Whether draws of what is unknown are as spread as they should be: how often the truth lies among the middle ones.

Where the truth is one more draw of the same law, its rank among k draws is each of 0..k with the same chance. Without
the c lowest and the c highest ranks it is within the band of the others with the chance

.. math:: \frac{k + 1 - 2c}{k + 1}, \qquad c = \Bigl\lfloor\tfrac{1 - a}{2}(k + 1) + \tfrac12\Bigr\rfloor,

which is a, up to the rounding of c. Draws that are too narrow, or in the wrong place, cover less.
"""

from __future__ import annotations

import math

from torch import Tensor

from pushforward.errors import UsageError
from pushforward.types import Samples

__all__ = ["coverage", "nominal"]

TINY = 1e-9  # what shares such as 0.8 are off by, in doubles


def coverage(truth: Samples, draws: Tensor, share: float = 0.8) -> Samples:
    """The chance with which each number of the truth lies in the central band of its draws, (n, *event).

    It is 0 or 1, but for numbers that equal some draws: their rank is one of several, all as likely, so that numbers on
    a grid are covered as often as they should be.

    Args:
        truth: What was hidden, (n, *event).
        draws: Draws of it, (k, n, *event).
        share: The band a, between 0 and 1.

    Raises:
        UsageError: If sizes differ, or there are too few draws for such a band.
    """
    k = len(draws)
    if draws.shape[1:] != truth.shape:
        raise UsageError(f"draws {tuple(draws.shape)} of {tuple(truth.shape)}: give (draws, n, *event) of (n, *event)")
    cut, below, equal = _cut(k, share), (draws < truth).sum(0), (draws == truth).sum(0)
    inside = (below + equal).clamp(max=k - cut) - below.clamp(min=cut) + 1
    return inside.clamp(min=0).double() / (equal + 1)


def nominal(draws: int, share: float = 0.8) -> float:
    """What the mean of `coverage` is where draws have the law of the truth.

    Raises:
        UsageError: If there are too few draws for such a band.
    """
    return (draws + 1 - 2 * _cut(draws, share)) / (draws + 1)


def _cut(draws: int, share: float) -> int:
    """Ranks at either end that are not in the band."""
    if not 0 < share < 1:
        raise UsageError(f"a band of {share:g}: give a share between 0 and 1")
    cut = math.floor((1 - share) / 2 * (draws + 1) + 0.5 + TINY)
    if not 0 < 2 * cut < draws + 1:
        least = math.ceil(1 / (1 - share) - TINY) - 1
        raise UsageError(f"{draws} draws have no band of {share:g}: give at least {max(2, least)}")
    return cut
