"""What comes in to be merged, looked at before any work, and which of it is held out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pushforward.errors import DataError, UsageError
from pushforward.merging.plan import Plan, labelled, named
from pushforward.plain.lists import counted
from pushforward.randomness import generator

__all__ = ["Given", "checked_rows", "held_out", "in_units"]

Array = NDArray[Any]

FAR, SOME = 10, 20_000  # median radii beyond which rows are far, and rows whose median they are of
BLOCK = 1 << 15  # rows at a time, so that no copy of all is made in double precision


@dataclass(frozen=True)
class Given:
    """What came in, checked.

    Attributes:
        x: Rows of floating numbers, (n, d).
        batches: Batch of each, (n,).
        classes: Class of each, (n,), or None.
        plan: Who moves onto whom.
        used: Rows that take part, a mask (n,).
        unit: What rows are divided by.
        z: Rows about their mean in that unit, (n, d), float32.
        far: Rows that lie so far from all others that nothing is fitted to them, (n,).
        said: What has to be said of all this.
    """

    x: Array
    batches: NDArray[np.str_]
    classes: NDArray[np.str_] | None
    plan: Plan
    used: NDArray[np.bool_]
    unit: float
    z: Array
    far: NDArray[np.bool_]
    said: tuple[str, ...]


def checked_rows(
    x: Array, batch: object, labels: object
) -> tuple[Array, NDArray[np.str_], NDArray[np.str_] | None, list[str]]:
    """Rows of floating numbers, their batches and classes as text, and what has to be said of these.

    Args:
        x: Rows of numbers, (n, d).
        batch: Batch of each, (n,).
        labels: Class of each, (n,), or None.

    Raises:
        DataError: If they are no numbers, or batches or labels are not one a row.
    """
    x = np.asarray(x)
    if x.ndim != 2 or x.dtype.kind not in "fiub" or not x.size:
        raise DataError(f"representation of {x.dtype}, shape {x.shape}: give numbers, (cells, dimensions)")
    batches, classes = named(batch, "batch"), None if labels is None else named(labels, "labels")
    for what, values in (("batches", batches), ("labels", classes)):
        if values is not None and len(values) != len(x):
            raise DataError(f"{len(values)} {what} for {len(x)} cells: give one for each cell")
    said = ["truth values are merged as the numbers 0 and 1"] if x.dtype.kind == "b" else []
    x = x if x.dtype.kind == "f" else x.astype(np.float64)
    if classes is not None:
        classes, words = labelled(classes, batches)
        said += words
    return x, batches, classes, said


def in_units(
    x: Array,
    batches: NDArray[np.str_],
    classes: NDArray[np.str_] | None,
    wanted: Plan,
    scale: float | None,
    said: Sequence[str],
) -> Given:
    """Checked rows about their mean in units of the scale.

    Args:
        x: Rows of floating numbers, (n, d).
        batches: Batch of each, (n,).
        classes: Class of each, (n,), or None.
        wanted: Who moves onto whom.
        scale: What rows are divided by; the root mean square of the columns' standard deviations, far rows aside, if
            None.
        said: What has to be said.

    Raises:
        UsageError: If the scale is not positive.
        DataError: If a number is not finite.
    """
    used = np.isin(batches, (wanted.reference, *wanted.sources))
    _finite(x, np.flatnonzero(used))
    far = _far(x, np.flatnonzero(used))
    if (away := np.flatnonzero(far)).size:
        words = (
            f"{counted(away.size, 'row')} beyond {FAR} median radii, the first row {away[0]}, counted from 0: nothing "
            "is fitted to them, and they stay where they are"
        )
        said = [*said, words]
    centre, spread = _moments(x, np.flatnonzero(used & ~far))
    unit = spread if scale is None else float(scale)
    if not 0 < unit < np.inf:
        raise UsageError(f"scale {unit}: give a positive number, and cells that differ")
    z = np.empty(x.shape, np.float32)
    for start in range(0, len(x), BLOCK):
        z[start : start + BLOCK] = (x[start : start + BLOCK] - centre) / unit
    return Given(x, batches, classes, wanted, used, unit, z, far, tuple(said))


def _blocks(rows: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    return [rows[start : start + BLOCK] for start in range(0, len(rows), BLOCK)]


def _finite(x: Array, rows: NDArray[np.int64]) -> None:
    """Refuse numbers that are not finite."""
    bad = np.concatenate([block[~np.isfinite(x[block]).all(1)] for block in _blocks(rows)])
    if bad.size:
        more = f" and {bad.size - 1} more hold" if bad.size > 1 else " holds"
        raise DataError(
            f"row {bad[0]} of the matrix, counted from 0,{more} a number that is not finite: fill or leave out"
        )


def _far(x: Array, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Rows beyond ten median radii about the median of some 20,000 of them, (n,); none where half lie at one place."""
    some = np.asarray(x[rows[:: max(1, len(rows) // SOME)]], np.float64)
    middle = np.median(some, 0)
    reach, far = FAR * float(np.median(np.linalg.norm(some - middle, axis=1))), np.zeros(len(x), bool)
    for block in _blocks(rows) if reach > 0 else []:
        far[block] = np.linalg.norm(x[block] - middle, axis=1) > reach
    return far


def _moments(x: Array, rows: NDArray[np.int64]) -> tuple[Array, float]:
    """Mean of rows, (d,), and the root mean square of the columns' standard deviations, block by block."""
    blocks = _blocks(rows)
    centre = sum(x[block].sum(0, dtype=np.float64) for block in blocks) / len(rows)
    squares = sum(float(np.square(x[block] - centre).sum()) for block in blocks)
    return np.asarray(centre), float(np.sqrt(squares / (len(rows) * x.shape[1])))


def held_out(given: Given, share: float, seed: int) -> NDArray[np.bool_]:
    """Rows that no critic sees, (n,): a share of every class of every batch that takes part, rounded down.

    Args:
        given: What came in.
        share: The share, in [0, 1].
        seed: Seed of the choice.
    """
    rng, aside = generator(seed, "data", part="held out"), np.zeros(len(given.x), bool)
    classes = np.full(len(given.x), "") if given.classes is None else given.classes
    for name in (given.plan.reference, *given.plan.sources):
        for label in np.unique(classes[given.batches == name]):
            rows = np.flatnonzero((given.batches == name) & (classes == label))
            aside[rng.permutation(rows)[: int(share * len(rows))]] = True
    return aside
