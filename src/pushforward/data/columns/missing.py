"""What stands for a missing value in a column: an empty cell, or a word that programs write in place of one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pushforward.data.columns.text import Quantity, quantity

__all__ = ["ALWAYS", "AMONG", "STANDS", "partly"]

ALWAYS = frozenset({"", "nan", "<na>", "nat", "#n/a"})
"""Words, in small letters, that nobody means as a value."""
STANDS = ALWAYS | {"na", "n/a", "null", "none"}
"""Words that stand for a missing value where some cells are empty too: alone they may be a level, as NA of a pool."""
AMONG = STANDS | {"?", "-", ".", "missing", "unknown"}
"""Words that stand for one among numbers or dates, where no word can be meant."""


def partly(cells: Sequence[str], mark: str = "") -> tuple[Quantity, frozenset[str]] | None:
    """Cells as a quantity of which some are missing, NaN there; and what stands in their place.

    None where a cell is neither missing nor fits the others, or where no cell holds a value.

    Args:
        cells: Text without spaces around it.
        mark: What stands between two cells of a line, as for `columns.text.quantity`.
    """
    words = {word for word in set(cells) if word.lower() in AMONG}
    there = np.array([cell not in words for cell in cells])
    if there.all() or not there.any():
        return None
    found = quantity([cell for cell in cells if cell not in words], mark)
    if found is None:
        return None
    values = np.full(len(cells), np.nan)
    values[there] = found.values
    return Quantity(values, found.kind, found.how), frozenset(words)
