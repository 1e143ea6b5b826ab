"""Independent normal numbers: the law that an encoder gives of a code."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from pushforward.types import Scores

__all__ = ["DiagonalNormal", "log_normal"]


def log_normal(u: Tensor) -> Scores:
    """log N(u; 0, I) over the last axis, (...)."""
    return -0.5 * (u.square().sum(-1) + u.shape[-1] * math.log(2 * math.pi))


@dataclass(frozen=True)
class DiagonalNormal:
    """Independent normal numbers.

    Attributes:
        mean: (..., d).
        log_deviation: Logarithm of their standard deviations, likewise.
    """

    mean: Tensor
    log_deviation: Tensor

    def at(self, e: Tensor) -> Tensor:
        """The points (..., d) that standard normal e stand for."""
        return self.mean + self.log_deviation.exp() * e

    def log_prob(self, z: Tensor) -> Scores:
        """log q(z), (...)."""
        return log_normal((z - self.mean) * (-self.log_deviation).exp()) - self.log_deviation.sum(-1)
