"""What stands for a missing value in a column: an empty cell, or a word that programs write in place of one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from pushforward.data.columns.text import Quantity, readings

__all__ = ["ALWAYS", "AMONG", "STANDS", "filled", "partly"]

ALWAYS = frozenset({"", "nan", "<na>", "nat", "#n/a"})
"""Words, in small letters, that nobody means as a value."""
STANDS = ALWAYS | {"na", "n/a", "null", "none"}
"""Words that stand for a missing value where some cells are empty too: alone they may be a level, as NA of a pool."""
AMONG = STANDS | {"?", "-", ".", "missing", "unknown"}
"""Words that stand for one among numbers or dates, where no word can be meant."""


def partly(cells: Sequence[str], mark: str = "") -> tuple[tuple[Quantity, ...], frozenset[str]]:
    """The quantities that cells may be of which some are missing, NaN there; and what stands in their place.

    There are no quantities where a cell is neither missing nor fits the others, or where no cell holds a value; and
    nothing stands for a missing cell where the cells are quantities as they are.

    Args:
        cells: Text without spaces around it.
        mark: What stands between two cells of a line, as for `columns.text.quantity`.
    """
    if whole := readings(cells, mark):
        return whole, frozenset()
    words = {word for word in set(cells) if word.lower() in AMONG}
    there = np.array([cell not in words for cell in cells])
    if there.all() or not there.any():
        return (), frozenset()
    found = list[Quantity]()
    for one in readings([cell for cell in cells if cell not in words], mark):
        values = np.full(len(cells), np.nan)
        values[there] = one.values
        found.append(Quantity(values, one.kind, one.how))
    return tuple(found), frozenset(words)


def filled(x: dict[str, np.ndarray], holes: Mapping[str, np.ndarray], of: Sequence[str] = ()) -> None:
    """Put into all missing cells of a column, in place, the lower median of the cells of all sets that are not.

    It is one of the column's numbers, so that a discrete column stays one. Where all cells are missing it is 0.

    Args:
        x: Values by the role of the set, (n, d).
        holes: Which of them are missing, likewise.
        of: The sets whose median it is, where they have one; all where left out.
    """
    for j in np.flatnonzero(np.any([hole.any(0) for hole in holes.values()], axis=0)) if holes else ():
        known = {role: part[~holes[role][:, j], j] for role, part in x.items()}
        some = [known[role] for role in of if len(known[role])] or list(known.values())
        there = np.concatenate(some)
        value = float(np.quantile(there, 0.5, method="lower")) if len(there) else 0.0
        for role, part in x.items():
            part[holes[role][:, j], j] = value
