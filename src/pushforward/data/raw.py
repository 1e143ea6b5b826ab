"""What a reader hands over: rows in data units, checked one by one but not yet split or scaled."""

from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np

from pushforward.data.blocks.scratch import is_mapped, spans
from pushforward.data.dataset import MIN_ROWS, ColumnKind, Kind
from pushforward.errors import DataError, UsageError
from pushforward.randomness import generator

__all__ = ["Raw", "brief", "chosen", "counted", "enough", "finite", "kind_of", "numeric", "refuse"]

EXACT = 2**24  # whole numbers up to here are exact in float32


@dataclass(frozen=True, eq=False)
class Raw:
    """Rows as they were stored.

    Attributes:
        place: The file, and the key in it, for messages.
        kind: 'points' or 'images'.
        x: Points (n, d) float64, or pixels (n, h, w, c) as uint8 or as float32 from 0 to 255. More than fits into
            memory is mapped from a file, see `blocks.scratch`; points are then of any type.
        labels: One value a row, integers or text, or None.
        x_test: The source's own test set, like `x`, or None.
        labels_test: Its labels, or None.
        columns: Names of the columns of points, or empty.
        notes: What was left out, changed or taken for granted in reading, in plain words.
        kinds: What each column of a table holds, or empty.
        label: Name of the column of labels, where they are one.
        files: The files, where each holds one picture.
    """

    place: str
    kind: Kind
    x: np.ndarray
    labels: np.ndarray | None = None
    x_test: np.ndarray | None = None
    labels_test: np.ndarray | None = None
    columns: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    kinds: tuple[ColumnKind, ...] = ()
    label: str | None = None
    files: tuple[Path, ...] = ()


def brief(error: BaseException) -> str:
    """The first 120 characters of an error's text on one line."""
    return " ".join(str(error).split())[:120] or type(error).__name__


def numeric(dtype: np.dtype, place: str) -> None:
    """Refuse every type but whole and real numbers.

    Raises:
        DataError: For objects, text, complex numbers, dates and records.
    """
    if dtype.kind in "biuf":
        return
    what = {"O": "Python objects (pickled)", "U": "text", "S": "text", "c": "complex numbers", "V": "records"}
    raise DataError(
        f"{place}: the type {str(dtype)!r} means {what.get(dtype.kind, 'dates or durations')}: "
        "save an array of plain numbers, for example with x.astype('float32')"
    )


def kind_of(x: np.ndarray, place: str, *, checked: bool = False) -> Kind:
    """What an array is taken for: points if it has one or two dimensions, images if it has three or four.

    Args:
        x: The array.
        place: Where it is from, for messages.
        checked: Whether all numbers are known to be finite.

    Raises:
        DataError: If the type, the shape or a value is unfit for either.
    """
    numeric(x.dtype, place)
    if not 1 <= x.ndim <= 4:
        raise DataError(
            f"{place}: {x.ndim} dimensions: points have (n, d), images (n, h, w) or (n, h, w, c): reshape it"
        )
    if not x.size:
        missing = "add rows" if not len(x) else "add columns" if x.ndim == 2 else "an image needs pixels"
        raise DataError(f"{place}: the shape {x.shape} holds no numbers: {missing}")
    if not checked:
        finite(x, place)
    return "images" if x.ndim > 2 else "points"


def finite(x: np.ndarray, place: str, columns: tuple[str, ...] = ()) -> None:
    """Refuse missing and infinite values, naming the first.

    Raises:
        DataError: With the index of the first value that is not finite.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        if x.dtype.kind != "f" or (not is_mapped(x) and np.isfinite(x.sum(dtype=np.float64))):
            return
    first, bad = None, 0
    for part in spans(x):
        wrong = np.argwhere(~np.isfinite(x[part]))
        bad += len(wrong)
        if first is None and len(wrong):
            first = (part.start + int(wrong[0][0]), *map(int, wrong[0][1:]))
    if first is not None:
        refuse(x, first, bad, place, columns)


def refuse(x: np.ndarray, index: tuple[int, ...], bad: int, place: str, columns: tuple[str, ...] = ()) -> NoReturn:
    """Raise for an array of which `bad` values, the first of them at an index, are not finite."""
    where = f"row {index[0]}, column {columns[index[1]]!r}" if columns else f"index {index}"
    raise DataError(
        f"{place}: {where} is {x[index]} ({bad} of {x.size} values are not finite): "
        "remove these rows or fill the values"
    )


def counted(x: np.ndarray, place: str, columns: tuple[str, ...] = (), first: int = 0) -> None:
    """Refuse points that are not counts, naming the first, and rows that hold none.

    Args:
        x: Finite numbers, (n, d).
        place: Where they are from, for messages.
        columns: Names of the columns, for messages; their numbers are used without.
        first: Number of the first row, for messages.

    Raises:
        DataError: If a number is negative, not whole, or more than float32 holds exactly, or a row is zero throughout.
    """
    for part in spans(x):
        block = np.asarray(x[part], np.float64)
        wrong = np.argwhere((block < 0) | (block != np.floor(block)) | (block > EXACT))
        if len(wrong):
            row, column = map(int, wrong[0])
            name, value = repr(columns[column]) if columns else column, block[row, column]
            raise DataError(
                f"{place}: row {first + part.start + row}, column {name} is {value:.6g}, which is no count from 0 to "
                f"{EXACT:,}: give raw counts, neither scaled nor logged"
            )
        if len(empty := np.flatnonzero(block.sum(1) == 0)):
            raise DataError(
                f"{place}: row {first + part.start + int(empty[0])} has no counts at all: leave out such rows"
            )


def enough(n: int, place: str, least: int = MIN_ROWS, what: str = "row") -> None:
    """Refuse sources with too few rows, or whatever else is counted.

    Raises:
        DataError: If n is below `least`.
    """
    if n < least:
        raise DataError(f"{place}: {n} {what}{'s' * (n != 1)}, at least {least} are needed: add {what}s")


def chosen(n: int, limit: int | None, seed: int) -> np.ndarray:
    """At most `limit` of n row numbers, drawn by the seed and then sorted.

    Raises:
        UsageError: If the limit is below `MIN_ROWS`.
    """
    if limit is None:
        return np.arange(n)
    if limit < MIN_ROWS or seed < 0:
        raise UsageError(f"limit {limit}, seed {seed}: the limit is at least {MIN_ROWS}, the seed at least 0")
    return np.sort(generator(seed, "data", part="limit").permutation(n)[:limit])
