"""Labels as class numbers 0..k-1 with their names."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pushforward.errors import DataError
from pushforward.plain.lists import listed

__all__ = ["coded", "coded_among", "is_missing", "named", "numbered"]

Codes = NDArray[np.int64]


def is_missing(value: object) -> bool:
    """Whether a value is None, or one that does not equal itself, as nan and pandas.NA."""
    try:
        return value is None or bool(value != value)
    except TypeError:  # pandas.NA refuses to be true or false
        return True


def coded(labels: NDArray[Any]) -> tuple[NDArray[Any], Codes]:
    """The classes that occur, in sorted order, and the number of each row's class among them, (n,)."""
    classes, codes = np.unique(np.asarray(labels), return_inverse=True)
    return classes, codes.astype(np.int64)


def coded_among(labels: NDArray[Any], classes: NDArray[Any]) -> Codes:
    """The number of each row's class among known ones, which may stand in any order, (n,); -1 for none of them."""
    order, known = np.argsort(classes, kind="stable"), np.isin(labels, classes)
    codes = np.full(len(labels), -1, np.int64)
    codes[known] = order[np.searchsorted(classes[order], labels[known])]
    return codes


def numbered(
    labels: np.ndarray, test: np.ndarray | None, n: int, place: str
) -> tuple[np.ndarray, np.ndarray | None, tuple[str, ...]]:
    """Number the classes in sorted order.

    Args:
        labels: One value a row, whole numbers, booleans or text.
        test: The test set's labels, or None.
        n: Number of rows that are labelled.
        place: The file and key, for messages.

    Returns:
        Class numbers (n,) int64, those of the test set, and the classes' names.

    Raises:
        DataError: If the length, the shape or the type is wrong, nearly all labels differ, or the test set has a
            class of its own.
    """
    known = _plain(labels, place)
    if len(known) != n:
        raise DataError(f"{place}: {len(known)} labels for {n} rows: give one label a row")
    values, codes = coded(known)
    if len(values) > max(2, n // 2):
        raise DataError(
            f"{place}: {len(values)} different labels in {n} rows look like names or measurements: "
            "choose a column of classes"
        )
    names = tuple(str(v) for v in values.tolist())
    if test is None:
        return codes, None, names
    held = _plain(test, place)
    theirs = coded_among(held, values)
    if (theirs < 0).any():
        strange = np.unique(held[theirs < 0])[0]
        raise DataError(f"{place}: the test set has the label {strange!s}, which no training row has: remove it")
    return codes, theirs, names


def named(labels: np.ndarray, classes: tuple[str, ...], place: str) -> np.ndarray:
    """Numbers of labels among known classes, int64 (n,).

    Raises:
        DataError: If the shape or the type is wrong, or a label is none of the classes.
    """
    names = np.array([str(value) for value in _plain(labels, place).tolist()], np.str_)
    codes = coded_among(names, np.array(classes, np.str_))
    if (codes < 0).any():
        strange = names[int(np.argmax(codes < 0))]
        raise DataError(f"{place}: the label {strange} is none of the classes: use {listed(classes, 20)}")
    return codes


def _plain(labels: np.ndarray, place: str) -> np.ndarray:
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1:
        raise DataError(
            f"{place}: labels of shape {labels.shape}: give one number a row, for example argmax(1) of one-hot rows"
        )
    if labels.dtype.kind == "f":
        bad = ~np.isfinite(labels)
        bad |= np.where(bad, 0.0, labels) != np.rint(np.where(bad, 0.0, labels))
        if bad.any():
            row = int(np.argmax(bad))
            raise DataError(
                f"{place}: the label of row {row} is {labels[row]}: labels are whole numbers or names of classes"
            )
        return labels.astype(np.int64)
    if labels.dtype.kind not in "biuU":
        raise DataError(f"{place}: labels of type {str(labels.dtype)!r}: save whole numbers or text")
    return labels
