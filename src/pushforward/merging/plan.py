"""Who moves onto whom: one cloud for each batch, or for each class of it, all checked before any work."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pushforward.data.labels import is_missing
from pushforward.errors import DataError, UsageError
from pushforward.plain.lists import counted, listed

__all__ = [
    "LEAST",
    "MIXED",
    "Leg",
    "MergeWarning",
    "Mode",
    "Plan",
    "Scarce",
    "Unmatched",
    "known_batch",
    "labelled",
    "name_of",
    "named",
    "nearby",
    "plan",
    "shown",
    "what_becomes",
    "without",
]

Mode: TypeAlias = Literal["unconditional", "per_class", "conditional"]
Scarce: TypeAlias = Literal["error", "carry", "stay"]
Unmatched: TypeAlias = Literal["move", "stay", "follow"]
Rows: TypeAlias = NDArray[np.int64]

SHOWN = 8  # batches that a message names
LEAST = 10
"""Cells that a class needs in a batch and in the reference to be moved by a critic of its own."""

ALWAYS = frozenset({"", "nan", "<na>"})
"""Labels, in small letters, that nobody means as a class: what is missing, made text."""
UNKNOWN = ALWAYS | {"na", "n/a", "none", "null", "unknown", "unassigned", "unlabeled", "unlabelled", "undefined"}
"""Labels that count as none where a batch has no other ones; among others they are a class."""

WHOLE = re.compile(r"([+-]?(?:0|[1-9]\d*))(?:\.0+)?")
"""A whole number, also as columns of fractions hold it."""

MIXED = "without labels class proportions move too: cells may change class; give labels to move within classes"


class MergeWarning(UserWarning):
    """What must be known of a merge before its numbers are used; the command tells it in its answer."""


@dataclass(frozen=True)
class Leg:
    """One cloud and where it goes.

    Attributes:
        batch: Name of the batch.
        label: Name of the class, or "" for all.
        rows: Cells that move.
        onto: Cells of the reference.
    """

    batch: str
    label: str
    rows: Rows
    onto: Rows


@dataclass(frozen=True)
class Plan:
    """What is to be done.

    Attributes:
        reference: Name of the reference.
        sources: Names of the batches that move.
        mode: How labels are used.
        legs: The clouds.
        carried: Cells that follow their neighbours, by batch: of classes too small for a cloud, or without counterpart.
        still: Cells of moving batches that stay where they are.
        warnings: What must be known.
    """

    reference: str
    sources: tuple[str, ...]
    mode: Mode
    legs: tuple[Leg, ...]
    carried: dict[str, Rows]
    still: Rows
    warnings: tuple[str, ...]


def named(values: object, what: str) -> NDArray[np.str_]:
    """Names as text, (n,), each by `name_of`; missing ones are empty.

    Raises:
        DataError: If they are not one a cell.
    """
    array = np.asarray(values, dtype=object)
    if array.ndim != 1:
        raise DataError(f"{what}: shape {array.shape}: give one name for each cell")
    return np.array([name_of(value) for value in array.tolist()], dtype=np.str_)


def name_of(value: object) -> str:
    """A name as text: of 0, of 0.0, which pandas makes of it beside missing cells, and of "0" it is "0"; of None ""."""
    if is_missing(value):
        return ""
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        return str(int(value))
    return str(value)


def known_batch(name: object, known: Sequence[str]) -> str | None:
    """Which of the batches is meant: the one of that text, else that whole number, 1 for 1.0; or None."""
    text = name_of(name)
    if text in known or not (whole := WHOLE.fullmatch(text)):
        return text if text in known else None
    same = [other for other in known if (found := WHOLE.fullmatch(other)) and found[1] == whole[1]]
    return same[0] if len(same) == 1 else None


def labelled(labels: NDArray[np.str_], batch: NDArray[np.str_]) -> tuple[NDArray[np.str_] | None, list[str]]:
    """Labels without those that are none, or None where no cell has one; and what has to be said of them.

    Args:
        labels: Class of each cell that takes part, (n,), empty where it is missing.
        batch: Its batch, (n,).
    """
    out, said, small = labels.copy(), list[str](), np.char.lower(np.char.strip(labels))
    odd = np.isin(small, sorted(ALWAYS)) & (labels != "")
    if odd.any():
        out[odd] = ""
        said.append(f"labels {_quoted(labels[odd])} of {counted(int(odd.sum()), 'cell')} count as missing")
    for name in np.unique(batch):
        mine = batch == name
        if np.isin(small[mine], sorted(UNKNOWN)).all() and (out[mine] != "").any():
            said.append(f"all labels of {name} are {_quoted(labels[mine])}: they count as none")
            out[mine] = ""
    if (out == "").all():
        return None, [*said, "no cell has a label: the labels count as none"]
    return out, said


def _quoted(words: NDArray[np.str_]) -> str:
    return listed([repr(word) for word in np.unique(words).tolist() if word])


def plan(
    batch: NDArray[np.str_],
    *,
    reference: object,
    sources: Sequence[object] | None = None,
    labels: NDArray[np.str_] | None = None,
    mode: Mode | None = None,
    scarce: Scarce = "error",
    least: int = LEAST,
) -> Plan:
    """Divide the cells into clouds.

    Args:
        batch: Batch of each cell, (n,).
        reference: The batch that stays, as text, number or truth value; so are the sources.
        sources: Batches that move; all others if None.
        labels: Class of each cell, (n,), empty where it is not known.
        mode: How labels are used; per_class where all moving cells have one, else unconditional, if None.
        scarce: What becomes of classes with fewer than `least` cells on either side.
        least: Cells that a class must have.

    Raises:
        UsageError: If a batch is unknown, or the mode is or lacks labels.
        DataError: If there are too few cells.
    """
    reference, moving = _moving(batch, reference, sources)
    if scarce not in ("error", "carry", "stay"):
        raise UsageError(f"scarce {scarce!r}: use error, carry or stay")
    if mode not in (None, "unconditional", "per_class", "conditional"):
        raise UsageError(f"mode {mode!r}: use unconditional, per_class or conditional")
    for name in (reference, *moving):
        if (count := int((batch == name).sum())) < max(least, 2):
            raise DataError(f"batch {name!r} has {count} cells: at least {max(least, 2)} are needed to move or be met")
    anywhere = np.isin(batch, moving)
    chosen, warnings = _mode(labels, anywhere, batch == reference, mode)
    legs, carried, still = list[Leg](), dict[str, Rows](), [np.empty(0, np.int64)]
    for name in moving:
        rows, onto = np.flatnonzero(batch == name), np.flatnonzero(batch == reference)
        if chosen == "unconditional" or labels is None:
            legs.append(Leg(name, "", rows, onto))
            continue
        mine = _by_class(name, rows, onto, labels, scarce, least)
        left = np.setdiff1d(rows, np.concatenate([np.empty(0, np.int64), *(leg.rows for leg in mine)]))
        if len(left):
            classes, few = sorted(set(labels[left].tolist())), "being too few here or in the target"
            follows = scarce == "carry" and bool(mine)
            if follows:
                carried[name] = left
            else:
                still.append(left)
            does = "follow their neighbours" if follows else "stay where they are"
            warnings.append(f"{name}: {len(left)} cells {does}, {few}: {', '.join(classes)}")
        if chosen == "conditional" and mine:
            both = (np.sort(np.concatenate(part)) for part in zip(*((leg.rows, leg.onto) for leg in mine)))
            mine = [Leg(name, "", *both)]
        legs += mine
    return Plan(reference, tuple(moving), chosen, tuple(legs), carried, np.concatenate(still), tuple(warnings))


def without(wanted: Plan, matched: NDArray[np.bool_], unmatched: Unmatched) -> Plan:
    """The plan for cells with a counterpart; others stay, or follow those around them that move.

    Args:
        wanted: A plan; where classes say who goes where, it is done as it is.
        matched: Whether a cell has a counterpart, (n,).
        unmatched: What becomes of those that have none.
    """
    if unmatched == "move" or wanted.mode != "unconditional":
        return wanted
    legs, carried, still = list[Leg](), dict[str, Rows](), [wanted.still]
    for leg in wanted.legs:
        rows, left = leg.rows[matched[leg.rows]], leg.rows[~matched[leg.rows]]
        if len(rows) < 2:
            still.append(leg.rows)
            continue
        legs.append(replace(leg, rows=rows))
        if unmatched == "follow" and len(left):
            carried[leg.batch] = left
        else:
            still.append(left)
    return replace(wanted, legs=tuple(legs), carried=carried, still=np.concatenate(still))


def nearby(wanted: Plan, far: NDArray[np.bool_]) -> Plan:
    """The plan without rows that lie so far from all others that nothing is fitted to them; of batches these stay."""
    if not far.any():
        return wanted
    legs = tuple(replace(leg, rows=leg.rows[~far[leg.rows]], onto=leg.onto[~far[leg.onto]]) for leg in wanted.legs)
    gone = [leg.rows[far[leg.rows]] for leg in wanted.legs]
    return replace(wanted, legs=legs, still=np.unique(np.concatenate([wanted.still, *gone])))


def what_becomes(unmatched: Unmatched | None, mode: Mode) -> Unmatched:
    """What becomes of cells without a counterpart: unless asked otherwise they stay where batches move as one cloud.

    Raises:
        UsageError: If it is none of the choices, or asked for where classes say who goes where.
    """
    if unmatched not in (None, "move", "stay", "follow"):
        raise UsageError(f"unmatched {unmatched!r}: use stay, follow or move")
    if mode == "unconditional":
        return unmatched or "stay"
    if unmatched is not None:
        raise UsageError(
            f"unmatched {unmatched}: for batches that move as one cloud; here classes say who goes where, and those "
            "that the target lacks follow or stay by scarce (--scarce)"
        )
    return "move"


def _moving(batch: NDArray[np.str_], asked: object, sources: Sequence[object] | None) -> tuple[str, list[str]]:
    """Name of the reference and of the batches that move onto it; all must be there."""
    known = sorted(set(batch.tolist()) - {""})
    if (reference := known_batch(asked, known)) is None:
        raise UsageError(f"target {shown(asked)}: no such batch; there are {listed(known, SHOWN) or 'none'}")
    moving = [name for name in known if name != reference]
    if sources is not None:
        moving = list[str]()
        for one in sources:
            if (name := known_batch(one, known)) is None or name == reference:
                others = listed([other for other in known if other != reference], SHOWN) or "none"
                raise UsageError(f"source {shown(one)}: not one of the batches that can move, {others}")
            moving += [] if name in moving else [name]
    if not moving:
        raise DataError(f"all cells belong to {reference!r}: there is no batch to merge onto it")
    missing = int((batch == "").sum())
    if missing and sources is None:
        raise DataError(f"{missing} cells have no batch: name it, or leave them out by naming the sources")
    return reference, moving


def shown(name: object) -> str:
    """A name as the user gave it: text in quotes, numbers and truth values bare."""
    return repr(name) if isinstance(name, str) else str(name)


def _mode(
    labels: NDArray[np.str_] | None, moving: NDArray[np.bool_], staying: NDArray[np.bool_], mode: Mode | None
) -> tuple[Mode, list[str]]:
    if labels is None:
        if mode in ("per_class", "conditional"):
            raise UsageError(f"mode {mode}: needs labels: name the column that holds them")
        return "unconditional", []
    without, of = int((labels[moving] == "").sum()), int(moving.sum())
    if mode is None and without == of and (labels[staying] == "").all():
        return "unconditional", []
    if mode is None and without == of:
        return "unconditional", ["labels on the target only: cells move without them and are labelled then"]
    if mode == "unconditional":
        return mode, []
    if without or (labels[staying] == "").any():
        where = f"{without} of {of} cells to move" if without else f"{int((labels[staying] == '').sum())} target cells"
        raise DataError(
            f"{where} have no label: label them, leave them out, or give no labels: cells without a counterpart then "
            "stay where they are"
        )
    return mode or "per_class", []


def _by_class(name: str, rows: Rows, onto: Rows, labels: NDArray[np.str_], scarce: Scarce, least: int) -> list[Leg]:
    legs, short = list[Leg](), list[str]()
    for label in sorted(set(labels[rows].tolist())):
        leg = Leg(name, label, rows[labels[rows] == label], onto[labels[onto] == label])
        if min(len(leg.rows), len(leg.onto)) >= least:
            legs.append(leg)
        else:
            short.append(f"{label!r} has {len(leg.rows)} and {len(leg.onto)}")
    if short and scarce == "error":
        words = "; ".join(short[:3]) + (f" and {len(short) - 3} classes more" if len(short) > 3 else "")
        raise DataError(
            f"class {words} cells in {name!r} and the target, below {least}: "
            "let scarce='stay' (--scarce stay) leave such cells in place, or 'carry' move them with their neighbours"
        )
    return legs
