"""Rows brought to the columns of a data set: by name where both have names, in their order where one has none.

Notes name every column; `errors.shortened` shows the first of them to people.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from pushforward.data.dataset import Dataset
from pushforward.data.formats.contents import Cells, Contents, Table
from pushforward.data.formats.opening import columns, divided
from pushforward.data.formats.table import wanted
from pushforward.data.kept.card import Card
from pushforward.errors import DataError, meant
from pushforward.plain.kinds import DATES, ColumnKind
from pushforward.plain.lists import listed

__all__ = ["arranged", "is_named", "matched", "of_kinds", "otherwise", "under_names"]

KINDS: Mapping[ColumnKind, str] = {"number": "numbers", "whole": "whole numbers", "truth": "truth values"}


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
        return _noted(contents, _in_order(names)) if is_named(names) and body.ndim == 2 else contents
    if isinstance(body, Table):
        unasked = tuple(name for name in body.names if name != apart and (name in names or name not in body.aside))
        given = wanted(body, apart) if body.chosen else unasked
        if not is_named(names) or not is_named(body.names):
            return _noted(contents, _in_order(names, given)) if is_named(names) or is_named(body.names) else contents
        if body.chosen and set(names) - set(given) and _in_place(given, names):
            pairs = ", ".join(f"{mine} as {theirs}" for mine, theirs in zip(given, names) if mine != theirs)
            return _noted(contents, f"columns taken for those of the run, as they were chosen: {pairs}")
        note = _by_name(contents.place, given, names)
        return _noted(contents, note, body=replace(body, chosen=names))
    if isinstance(body, Cells) and is_named(names) and is_named(body.names):
        note, take = _by_name(contents.place, body.names, names), body.take
        at = [body.names.index(name) for name in names]

        def some(picked: Sequence[int] | None) -> np.ndarray:
            return take(at if picked is None else [at[j] for j in picked])

        return _noted(contents, note, body=Cells((body.shape[0], len(names)), names, some))
    return contents


def arranged(spec: str, known: tuple[str, ...], apart: str | None = None) -> tuple[str, str]:
    """A spec by which a table gives the columns of a run, in its order, and a note of that.

    Args:
        spec: PATH[:a,b,c].
        known: The columns that the run has.
        apart: A column that is used for something else, such as labels.

    Returns:
        The spec as it was and no note, where nothing is to be done: for whatever is no table with names, one whose
        columns are those of the run, and one that lacks a column of the run. Who reads it says what is wrong then.
    """
    path, key = divided(spec.strip())
    expected = known if is_named(known) else ()
    there, unasked = columns(path, every=True, expected=expected), columns(path, expected=expected)
    if key is not None:
        taken = given = tuple(name.strip() for name in key.split(","))
    else:
        taken = tuple(name for name in unasked if name != apart)
        given = tuple(name for name in there if name != apart and (name in known or name in unasked))
    if (
        not (known and is_named(known) and is_named(there))
        or (taken == known and there == columns(path, every=True))
        or not set(known) <= set(given) <= set(there)
    ):
        return spec, ""
    if any(set(",:") & set(name) or name != name.strip() for name in known):  # such a name cannot stand in a spec
        return spec, ""
    note = _by_name(str(path), given, known) or f"columns chosen as the run has them: {', '.join(known)}"
    return f"{path}:{','.join(known)}", note


def under_names(data: Dataset, own: Card, loaded: Card) -> tuple[Dataset, str]:
    """The same rows without names under the names that a run knows for them, and a note of that.

    Args:
        data: Rows that were read.
        own: What the run keeps of its data.
        loaded: What it keeps of what they were loaded from.
    """
    origin, names = data.origin, loaded.columns
    if origin is None or data.split.sha256 != own.split.sha256 or not (names and is_named(names)):
        return data, ""
    before = origin.card.columns
    if before and is_named(before):
        return data, ""
    parts = replace(origin.parts, columns=dict(zip(names, origin.parts.columns.values())))
    card = replace(origin.card, columns=names, kinds=loaded.kinds)
    fresh = replace(data, columns=own.columns, kinds=own.kinds, origin=replace(origin, card=card, parts=parts))
    return fresh, _in_order(names)


def of_kinds(data: Dataset, own: Card, loaded: Card) -> tuple[Dataset, str]:
    """The same rows in columns of the kinds that a run has, whose outputs stay what they were, and a note of that.

    Args:
        data: Rows that were read.
        own: What the run keeps of its data.
        loaded: What it keeps of what they were loaded from.
    """
    origin = data.origin
    if origin is None or origin.card.columns != loaded.columns or len(own.kinds) != len(data.kinds):
        return data, ""
    note = otherwise(loaded.columns, loaded.kinds, origin.card.kinds, "it stays of the kind of the run", exact=True)
    if not note:
        return data, ""
    return replace(data, kinds=own.kinds, origin=replace(origin, card=replace(origin.card, kinds=loaded.kinds))), note


def otherwise(
    names: tuple[str, ...], of_run: tuple[ColumnKind, ...], given: tuple[ColumnKind, ...], end: str, *, exact: bool
) -> str:
    """In words, which columns hold what those of a run do not hold; "" where that is none.

    Args:
        names: Names of the columns, or none.
        of_run: What each holds in the run.
        given: What it holds in what was read; none where that does not say.
        end: What is made of it.
        exact: Whether whole numbers among numbers, and how fine dates are, count too.
    """
    if not of_run or len(of_run) != len(given):
        return ""
    said = list[str]()
    for name, was, now in zip(names or map(str, range(len(given))), of_run, given, strict=True):
        before, after = (_kind(kind, exact=exact) for kind in (was, now))
        if before != after:
            said.append(f"column {name} held {before}, now {after}")
    return f"{', '.join(said)}: {end}" if said else ""


def _kind(kind: ColumnKind, *, exact: bool) -> str:
    """What a column holds, in words."""
    if kind in DATES:
        return f"dates to the {kind}" if exact and kind != "day" else "dates"
    return "numbers" if kind == "whole" and not exact else KINDS[kind]


def is_named(names: tuple[str, ...]) -> bool:
    """Whether columns have names of their own, not the numbers that they get without."""
    return names != tuple(map(str, range(len(names))))


def _in_place(given: tuple[str, ...], names: tuple[str, ...]) -> bool:
    """Whether as many columns were chosen as there are, and none of the same name in another place."""
    return len(given) == len(names) and all(a == b or a not in names for a, b in zip(given, names))


def _noted(contents: Contents, note: str, body: np.ndarray | Table | Cells | None = None) -> Contents:
    kept = contents.body if body is None else body
    return replace(contents, body=kept, notes=(*contents.notes, note) if note else contents.notes)


def _in_order(names: tuple[str, ...], given: tuple[str, ...] = ()) -> str:
    """The note on columns of which one side has no names."""
    if is_named(names):
        return f"columns without names are taken in the order of the run: {', '.join(names)}"
    return f"columns are taken in their order, as those of the run have no names: {', '.join(given)}"


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
        said.append(f"left out, as the run has no such column: {', '.join(extra)}")
    if tuple(name for name in given if name in names) != names:
        said.append(f"columns matched by name, in the order of the run: {', '.join(names)}")
    return "; ".join(said)
