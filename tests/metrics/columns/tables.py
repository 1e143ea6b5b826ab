"""Tables with numbers, ties, categories and empty cells, and the fields that say which is what."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from pushforward.plain.fields import Field

FIELDS = (
    Field("a", (0,)),
    Field("count", (1,)),
    Field("pay", (2,), missing=3),
    Field("kind", (4, 5, 6), "category", ("x", "y", "z")),
    Field("town", (7, 8, 9, 10), "category", ("k", "l", "n", "(missing)")),
)


def normals(n: int, d: int, seed: int) -> Tensor:
    """Standard normal rows, (n, d)."""
    return torch.from_numpy(np.random.default_rng([seed, 7]).normal(size=(n, d)))


def hot(codes: Sequence[int] | np.ndarray, levels: int) -> Tensor:
    """A category as it is compared, (n, levels)."""
    return torch.from_numpy((np.asarray(codes)[:, None] == np.arange(levels)) * 0.5**0.5)


def mixed(n: int, seed: Sequence[int]) -> Tensor:
    """Rows of `FIELDS`, columns of which depend on each other, as empty cells do."""
    rng = np.random.default_rng(seed)
    a, pay = rng.normal(size=(2, n))
    empty = (rng.random(n) < 0.1) | (a > 1.8)
    kind = (rng.random((n, 1)) < np.stack([0.5 / (1 + np.exp(-a)), np.full(n, 0.8), np.ones(n)], 1)).argmax(1)
    town = rng.choice(4, n, p=[0.6, 0.3, 0.08, 0.02])
    numbers = np.column_stack([a, rng.poisson(1.0, n), np.where(empty, 0, np.exp(pay + 0.7 * a)), empty])
    return torch.cat([torch.from_numpy(numbers), hot(kind, 3), hot(town, 4)], 1)
