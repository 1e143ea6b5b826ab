"""What a likelihood is: a law of samples whose parameters a net gives."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from pushforward.types import Randomness, Samples, Scores

__all__ = ["Likelihood"]


class Likelihood(Protocol):
    r"""Independent numbers, given parameters theta (n, `outputs`, \*event) without bounds."""

    @property
    def outputs(self) -> int:
        """Numbers of theta for each number of a sample."""
        ...

    def log_prob(self, x: Samples, theta: Tensor) -> Scores:
        """Log probability, or log density, of each sample, summed over its numbers, (n,), in nats."""
        ...

    def mean(self, theta: Tensor) -> Samples:
        r"""Mean of x, (n, \*event)."""
        ...

    def sample(self, theta: Tensor, rng: Randomness) -> Samples:
        r"""x, (n, \*event)."""
        ...
