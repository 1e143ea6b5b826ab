"""New rows brought to the columns of a data set: by name where both have names, in their order where one has none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from pushforward.data.dataset import Dataset
from pushforward.data.formats.contents import Cells, Contents, Table
from pushforward.data.formats.table import wanted
from pushforward.errors import DataError, meant

__all__ = ["listed", "matched"]

SHOWN = 6  # names written out in a note or an error


def matched(contents: Contents, data: Dataset, apart: str | None = None) -> Contents:
    """The contents with the columns of a data set, in its order; notes say what was done.

    Columns that the data set does not have are left out. Where one of the two has no names, columns are taken in their
    order, and so are those that were chosen by other names. One row of numbers without a second dimension is one point.

    Args:
        contents: What a file of new rows holds.
        data: What the rows should be like.
        apart: A column that is used for something else, such as labels.

    Raises:
        DataError: If a column of the data set is missing.
    """
    if data.kind != "points":
        return contents
    body, names = contents.body, data.columns
    if isinstance(body, np.ndarray):
        width = data.event[0]
        if body.ndim == 1 and 1 < width == len(body):
            return _noted(contents, f"{width} numbers in one dimension are taken for one point", body=body[None])
        return _noted(contents, _in_order(names)) if _named(names) and body.ndim == 2 else contents
    if isinstance(body, Table):
        given = wanted(body, apart) if body.chosen else tuple(name for name in body.names if name != apart)
        if not _named(names) or not _named(body.names):
            return _noted(contents, _in_order(names, given)) if _named(names) or _named(body.names) else contents
        if body.chosen and not set(given) & set(names) and len(given) == len(names):
            return _noted(contents, f"columns {listed(given)} are taken for {listed(names)}, as they were chosen")
        note = _by_name(contents.place, given, names)
        return _noted(contents, note, body=replace(body, chosen=names))
    if isinstance(body, Cells) and _named(names) and _named(body.names):
        note, take = _by_name(contents.place, body.names, names), body.take
        at = [body.names.index(name) for name in names]

        def some(picked: Sequence[int] | None) -> np.ndarray:
            return take(at if picked is None else [at[j] for j in picked])

        return _noted(contents, note, body=Cells((body.shape[0], len(names)), names, some))
    return contents


def _named(names: tuple[str, ...]) -> bool:
    """Whether columns have names of their own, not the numbers that they get without."""
    return names != tuple(map(str, range(len(names))))


def _noted(contents: Contents, note: str, body: np.ndarray | Table | Cells | None = None) -> Contents:
    kept = contents.body if body is None else body
    return replace(contents, body=kept, notes=(*contents.notes, note) if note else contents.notes)


def _in_order(names: tuple[str, ...], given: tuple[str, ...] = ()) -> str:
    """The note on columns of which one side has no names."""
    if _named(names):
        return f"columns without names are taken in the order of the run: {listed(names)}"
    return f"the run's columns have no names: {listed(given)} are taken in their order"


def _by_name(place: str, given: tuple[str, ...], names: tuple[str, ...]) -> str:
    """What matching by name does, in words; nothing where the columns are the same."""
    missing = [name for name in names if name not in given]
    if missing:
        hint = meant(missing[0], given, repr)
        raise DataError(
            f"{place}: no column named {listed(missing)}, which the run has: {hint}the columns are {listed(given)}; "
            f"name them like the run's, or choose {len(names)} of them in the run's order, PATH:a,b"
        )
    extra = [name for name in given if name not in names]
    said = []
    if extra:
        said.append(f"column{'s' * (len(extra) > 1)} {listed(extra)} left out, which the run does not have")
    if tuple(name for name in given if name in names) != names:
        said.append(f"columns matched by name, in the order of the run: {listed(names)}")
    return "; ".join(said)


def listed(names: Sequence[str]) -> str:
    """Names, the first of many."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
