r"""Denoising: the loss that teaches a net D(y; s) = E[Y | Y + s ε = y], the levels it is asked at, and their weights.

.. math:: E\;\lambda(s)\,\|D(Y + s\varepsilon; s) - Y\|^2 / d, \qquad d \text{ the numbers of a sample}

As :math:`\nabla\log q_s(y) = (D(y; s) - y)/s^2`, this is denoising score matching with weight :math:`s^4\lambda(s)` on
the score's squared error.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import torch
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.types import Labels, Randomness, Samples, Scalar, Scores

__all__ = ["Ladder", "Levels", "LogNormal", "Weight", "balanced", "by_score", "denoising"]

Weight: TypeAlias = Callable[[Tensor], Tensor]
"""Noise levels (n,), in units of the data's spread -> weight of each."""


class Levels(Protocol):
    """A law of noise levels, in units of the data's spread: (rng, n) -> (n,)."""

    def __call__(self, rng: Randomness, n: int) -> Tensor: ...


@dataclass(frozen=True)
class LogNormal:
    r""":math:`\ln s \sim N(\mu, \omega^2)`: most levels where denoising is neither trivial nor hopeless.

    Attributes:
        mean: mu; for images as published -1.2 at a spread of 1/2, which is -0.5 in units of the spread.
        deviation: omega.

    References:
        Elucidating the design space of diffusion-based generative models (Karras et al., 2022), arXiv:2206.00364.
    """

    mean: float = -0.5
    deviation: float = 1.2

    def __call__(self, rng: Randomness, n: int) -> Tensor:
        """Levels, (n,)."""
        return (self.mean + self.deviation * rng.normal(n)).exp()


@dataclass(frozen=True)
class Ladder:
    """Any of some levels, all as likely.

    Attributes:
        levels: From high to low; `levels.linear_variance` and `annealed.geometric_ladder` are the published ones.

    Raises:
        UsageError: If there are none, or one is not positive.
    """

    levels: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.levels or not all(0 < level < math.inf for level in self.levels):
            raise UsageError(f"levels {self.levels[:5]}: give at least one, all positive")

    def __call__(self, rng: Randomness, n: int) -> Tensor:
        """Levels, (n,)."""
        known = torch.tensor(self.levels)
        chosen = rng.integers(len(known), n)
        return known.to(chosen.device)[chosen]


def balanced(s: Tensor) -> Tensor:
    r""":math:`1 + 1/s^2`: the preconditioned net's own error then counts alike at every level."""
    return 1 + s**-2


def by_score(s: Tensor) -> Tensor:
    r""":math:`1/s^2`, which is :math:`s^2` on the score's squared error, as first published."""
    return s**-2


def denoising(
    net: Callable[..., Samples],
    x: Samples,
    s: Scores,
    noise: Samples,
    weights: Scores,
    labels: Labels | None = None,
) -> Scalar:
    r"""Mean of :math:`\lambda\,\|D(x + s\varepsilon; s) - x\|^2 / d`.

    Args:
        net: D, (y, s) or (y, s, labels) -> (n, *event).
        x: Data, (n, *event).
        s: Noise levels, (n,), in the units of x.
        noise: Standard normal numbers, (n, *event).
        weights: lambda at each level, (n,).
        labels: Classes (n,), for a conditional net.
    """
    y = torch.addcmul(x, s.view(-1, *[1] * (x.dim() - 1)), noise)
    found = net(y, s) if labels is None else net(y, s, labels)
    return (weights * (found - x).flatten(1).square().mean(1)).mean()
