"""Shares and means with their errors."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from scipy.stats import binomtest

__all__ = ["Mean", "Share", "mean"]


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
        """Wilson's interval of 95 %, which is honest at 0 and 1 too; (0, 1) of none."""
        if not self.n:
            return 0.0, 1.0
        low, high = binomtest(self.count, self.n).proportion_ci(method="wilson")
        return float(low), float(high)


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


def mean(values: Iterable[float | None]) -> Mean:
    """Mean and standard error of the numbers that are there."""
    known: Sequence[float] = [value for value in values if value is not None]
    n = len(known)
    if not n:
        return Mean(math.nan, None, 0)
    middle = math.fsum(known) / n
    spread = math.fsum((value - middle) ** 2 for value in known)
    return Mean(middle, math.sqrt(spread / (n - 1) / n) if n > 1 else None, n)
