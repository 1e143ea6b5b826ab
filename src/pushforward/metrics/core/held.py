"""Samples on their way to features: read in blocks, more than once, and in random parts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pushforward.errors import DataError
from pushforward.metrics.core.features import RAW, Features

__all__ = ["HELD_VALUES", "Sample", "held", "split_rows"]

HELD_VALUES = 2**24
"""Numbers of features kept for a second reading, 128 MiB; more are computed again."""

_LARGEST = 1e70
"""Fourth powers of features are summed; beyond this size they leave the range of float64."""


@dataclass(frozen=True)
class Sample:
    """Samples and the feature space that they are still to be mapped to.

    Attributes:
        name: What the caller calls them: "fake", "real", "train".
        x: Samples, (n, *event).
        features: The feature space.
    """

    name: str
    x: Tensor
    features: Features

    def stream(self, rows: Tensor | None = None) -> Iterator[Tensor]:
        """Features block by block, of all rows or of those numbered, in this order.

        Raises:
            DataError: If a value is so large that its powers overflow.
        """
        for block in self.features.stream(self.x, rows=rows):
            if (largest := float(block.abs().max())) > _LARGEST:
                raise DataError(f"{self.name} holds values up to {largest:.3g}, whose powers overflow: rescale them")
            yield block


def held(name: str, x: Tensor, features: Features, dim: int) -> Sample:
    """Samples mapped to features (n, dim) at once where these are few, so that a network runs once."""
    if features.function is RAW.function or len(x) * dim > HELD_VALUES:
        return Sample(name, x, features)
    return Sample(name, features(x), features.computed)


def split_rows(m: int, a: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """The numbers of m rows in two random sets, a and the rest, each ascending as files are read."""
    order = rng.permutation(m)
    return torch.from_numpy(np.sort(order[:a])), torch.from_numpy(np.sort(order[a:]))
