"""Laws of latents and of first particles, as data: what a card of a generator tells of them draws the same numbers.

    {"law": "normal", "shape": [16], "mean": 0.0, "deviation": 1.0}
    {"law": "uniform", "shape": [16], "low": -1.0, "high": 1.0}

A law of anybody's whose `as_dict` gives such words (`types.Described`) goes where these go.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from pushforward.plain.words import Words
from pushforward.types import Randomness, Samples

__all__ = ["Gaussian", "Uniform", "law_of", "normal"]


@dataclass(frozen=True)
class Uniform:
    """Latents uniform on an interval, by default [-1, 1], in each coordinate.

    Attributes:
        dim: Coordinates.
        low: Where the interval begins.
        high: Where it ends.
    """

    dim: int
    low: float = -1.0
    high: float = 1.0

    def __call__(self, rng: Randomness, n: int) -> Tensor:
        """z, (n, dim)."""
        return (self.high - self.low) * rng.uniform(n, self.dim) + self.low

    def as_dict(self) -> dict[str, Any]:
        """The law in words."""
        return {"law": "uniform", "shape": [self.dim], "low": float(self.low), "high": float(self.high)}


@dataclass(frozen=True)
class Gaussian:
    """Normal points of a given shape, alike in every coordinate: the usual source of particles.

    Attributes:
        event: Shape of one point.
        mean: Their mean.
        deviation: Their standard deviation.
    """

    event: tuple[int, ...]
    mean: float = 0.0
    deviation: float = 1.0

    def __call__(self, rng: Randomness, n: int) -> Samples:
        """Points, (n, *event)."""
        return self.mean + self.deviation * rng.normal(n, *self.event)

    def as_dict(self) -> dict[str, Any]:
        """The law in words."""
        spread = {"mean": float(self.mean), "deviation": float(self.deviation)}
        return {"law": "normal", "shape": list(self.event)} | spread


def normal(dim: int) -> Gaussian:
    """Standard normal latents of a given size, (rng, n) -> z (n, dim)."""
    return Gaussian((dim,))


def law_of(words: Words) -> Uniform | Gaussian:
    """A law out of its words.

    Raises:
        DataError: If they tell none.
    """
    name, shape = words.one_of("law", ("normal", "uniform")), words.shape("shape")
    if name == "normal":
        return Gaussian(shape, words.number("mean", 0.0), words.number("deviation", 1.0))
    low, high = words.number("low", -1.0), words.number("high", 1.0)
    if len(shape) != 1 or not low < high:
        raise words.unlike("shape" if len(shape) != 1 else "high", "one axis" if len(shape) != 1 else f"above {low}")
    return Uniform(shape[0], low, high)
