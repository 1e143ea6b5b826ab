"""The columns of two samples as they are compared: numbers with their empty cells, categories with their levels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pushforward.plain.fields import Field

__all__ = ["Category", "Numbers", "Pool", "pooled"]

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Numbers:
    """Columns of numbers.

    Attributes:
        names: Their names, (k,).
        places: Where they stand among all columns, (k,).
        x: Values, fake rows first, (N, k); infinite where a cell is empty, which sorts these behind all others.
        empty: Where cells are empty, (N, k); None where none is.
    """

    names: tuple[str, ...]
    places: tuple[int, ...]
    x: Array
    empty: Flags | None = None

    def part(self, start: int, stop: int) -> Numbers:
        """Some of the columns."""
        empty = None if self.empty is None else self.empty[:, start:stop]
        some = None if empty is None or not empty.any() else empty
        return Numbers(self.names[start:stop], self.places[start:stop], self.x[:, start:stop], some)

    def filled(self, k: int) -> Flags:
        """The rows in which a column holds a number, (N,)."""
        return np.ones(len(self.x), bool) if self.empty is None else ~self.empty[:, k]


@dataclass(frozen=True, eq=False)
class Category:
    """A column of categories.

    Attributes:
        name: Its name.
        place: Where it stands among all columns.
        hot: 1 where a row holds a level and 0 elsewhere, (N, levels).
        levels: Their names.
    """

    name: str
    place: int
    hot: Array
    levels: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Pool:
    """Rows of fake, then of real.

    Attributes:
        n: Rows of fake.
        m: Rows of real.
        numbers: The columns of numbers.
        categories: The others.
    """

    n: int
    m: int
    numbers: Numbers
    categories: tuple[Category, ...]

    @property
    def names(self) -> dict[int, str]:
        """Names of all columns by their places."""
        known = dict(zip(self.numbers.places, self.numbers.names)) | {one.place: one.name for one in self.categories}
        return dict(sorted(known.items()))


def pooled(fake: Tensor, real: Tensor, fields: Sequence[Field] = ()) -> Pool:
    """Two samples (n, d), (m, d) by their columns.

    Args:
        fake: Model samples.
        real: Data samples.
        fields: What each coordinate is; where empty, each is a column of numbers, called by its position.
    """
    x = np.concatenate([np.asarray(part.detach().cpu(), np.float64) for part in (fake, real)])
    known = fields or [Field(str(j), (j,)) for j in range(x.shape[1])]
    numbers = [(k, one) for k, one in enumerate(known) if one.kind == "number"]
    values = x[:, [one.places[0] for _, one in numbers]]
    empty = None
    if any(one.missing is not None for _, one in numbers):
        none = np.zeros(len(x), bool)
        empty = np.stack([none if one.missing is None else x[:, one.missing] != 0 for _, one in numbers], 1)
        values = np.where(empty, np.inf, values)
    found = tuple(
        Category(one.name, k, (x[:, list(one.places)] > 0).astype(np.float64), one.levels)
        for k, one in enumerate(known)
        if one.kind == "category"
    )
    places = tuple(k for k, _ in numbers)
    return Pool(len(fake), len(real), Numbers(tuple(one.name for _, one in numbers), places, values, empty), found)
