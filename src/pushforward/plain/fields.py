"""What the numbers of a table mean: which of them are a column's value, its levels, or that a cell was empty."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["MISSING", "Field"]

MISSING = "(missing)"
"""The level of a category that empty cells are."""


@dataclass(frozen=True)
class Field:
    """A column of a table, and where it stands in the matrix (n, d) that is compared.

    Attributes:
        name: Its name.
        places: Its coordinates: one of a number; of a category one a level, 1/√2 where a row has it and 0 elsewhere.
        kind: Whether it holds numbers or categories.
        levels: Of a category the name of each level, in the order of its places.
        missing: The coordinate that is not 0 where the cell of a number was empty, or None where no cell was; an empty
            cell of a category is a level of its own.
    """

    name: str
    places: tuple[int, ...]
    kind: Literal["number", "category"] = "number"
    levels: tuple[str, ...] = ()
    missing: int | None = None
