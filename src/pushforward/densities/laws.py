r"""Laws of vectors that answer for their density and are drawn from: what a prior of latents, or a density model, is.

A law is a module, so that what it has to learn is learned with whatever it stands in.
"""

from __future__ import annotations

import math
from typing import Protocol, runtime_checkable

from torch import Tensor, nn

from pushforward.errors import UsageError
from pushforward.types import Randomness, Scores

__all__ = ["Law", "StandardNormal"]


@runtime_checkable
class Law(Protocol):
    """A law of vectors (..., d), of contexts (..., c) where it takes some."""

    def log_prob(self, z: Tensor, context: Tensor | None = None) -> Scores:
        """Log density at z (..., d), (...), in nats."""
        ...

    def sample(self, n: int, rng: Randomness, context: Tensor | None = None) -> Tensor:
        """n points, (n, d), of contexts (n, c) where there are any."""
        ...


class StandardNormal(nn.Module):
    """N(0, I).

    Args:
        dim: d.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        if dim < 1:
            raise UsageError(f"a law of {dim} numbers: give at least 1")
        self.dim = dim

    def log_prob(self, z: Tensor, context: Tensor | None = None) -> Scores:
        """Log density at z (..., d), (...)."""
        return -0.5 * (z.square().sum(-1) + self.dim * math.log(2 * math.pi))

    def sample(self, n: int, rng: Randomness, context: Tensor | None = None) -> Tensor:
        """n points, (n, d)."""
        return rng.normal(n, self.dim)
