"""Labels as class numbers 0..k-1 with their names."""

import numpy as np

from pushforward.errors import DataError

__all__ = ["numbered"]


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
    values, codes = np.unique(known, return_inverse=True)
    if len(values) > max(2, n // 2):
        raise DataError(
            f"{place}: {len(values)} different labels in {n} rows look like names or measurements: "
            "choose a column of classes"
        )
    names = tuple(str(v) for v in values.tolist())
    if test is None:
        return codes.astype(np.int64), None, names
    held = _plain(test, place)
    strange = np.setdiff1d(held, values)
    if len(strange):
        raise DataError(f"{place}: the test set has the label {strange[0]!s}, which no training row has: remove it")
    return codes.astype(np.int64), np.searchsorted(values, held).astype(np.int64), names


def named(labels: np.ndarray, classes: tuple[str, ...], place: str) -> np.ndarray:
    """Numbers of labels among known classes, int64 (n,).

    Raises:
        DataError: If the shape or the type is wrong, or a label is none of the classes.
    """
    names = [str(value) for value in _plain(labels, place).tolist()]
    numbers = {name: k for k, name in enumerate(classes)}
    if strange := next((name for name in names if name not in numbers), None):
        raise DataError(f"{place}: the label {strange} is none of the classes: use {', '.join(classes[:20])}")
    return np.array([numbers[name] for name in names], np.int64)


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
