"""Shares and means with their errors."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

__all__ = ["Mean", "Share", "mean", "wilson"]

Z = 1.959964  # a normal number stays within with probability 95 %


@dataclass(frozen=True)
class Share:
    """How many of n did it.

    Attributes:
        count: Those that did.
        n: All of them.
    """

    count: int
    n: int

    @property
    def value(self) -> float:
        """The share; NaN of none."""
        return self.count / self.n if self.n else math.nan

    @property
    def se(self) -> float | None:
        """Binomial standard error, sqrt(s (1 - s) / n); None where all or none did, as it would be 0 there."""
        return math.sqrt(self.value * (1 - self.value) / self.n) if 0 < self.count < self.n else None

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's interval of 95 %, which is honest at 0 and 1 too."""
        return wilson(self.count, self.n)


@dataclass(frozen=True)
class Mean:
    """A mean.

    Attributes:
        value: The mean; NaN of none.
        se: Its standard error; None of fewer than two.
        n: How many numbers.
    """

    value: float
    se: float | None
    n: int


def wilson(count: int, n: int, z: float = Z) -> tuple[float, float]:
    """Wilson's interval for a share, the s with |count / n - s| <= z sqrt(s (1 - s) / n).

    Args:
        count: Successes, 0 <= count <= n.
        n: Trials; of none it is (0, 1).
        z: Normal quantile.

    References:
        Probable inference, the law of succession, and statistical inference (Wilson, 1927).
    """
    if not n:
        return 0.0, 1.0
    share, shrink = count / n, 1 + z * z / n
    middle = (share + z * z / (2 * n)) / shrink
    half = z / shrink * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return (0.0 if count == 0 else middle - half), (1.0 if count == n else middle + half)


def mean(values: Iterable[float | None]) -> Mean:
    """Mean and standard error of the numbers that are there."""
    known: Sequence[float] = [value for value in values if value is not None]
    n = len(known)
    if not n:
        return Mean(math.nan, None, 0)
    middle = math.fsum(known) / n
    spread = math.fsum((value - middle) ** 2 for value in known)
    return Mean(middle, math.sqrt(spread / (n - 1) / n) if n > 1 else None, n)
