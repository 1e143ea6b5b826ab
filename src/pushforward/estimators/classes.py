"""Classes of rows as whole numbers: 0 for the first in sorted order, and so on."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from pushforward.data.labels import coded, coded_among
from pushforward.errors import DataError, UsageError
from pushforward.plain.lists import listed
from pushforward.randomness import Noise
from pushforward.types import Samples

__all__ = ["coded_like", "codes", "source_codes"]


def codes(labels: ArrayLike, n: int, what: str) -> tuple[np.ndarray, Tensor]:
    """The classes that occur, in sorted order, and each row's number, int64 (n,).

    Args:
        labels: Numbers or text, (n,).
        n: Number of rows.
        what: What the argument is called, for messages.

    Raises:
        DataError: If there is not one for each row.
    """
    classes, rows = coded(_column(labels, n, what))
    return classes, torch.from_numpy(rows)


def coded_like(labels: ArrayLike, classes: np.ndarray, n: int, what: str) -> Tensor:
    """Each row's number among known classes, int64 (n,).

    Args:
        labels: Numbers or text, (n,), or one for all rows.
        classes: The classes, sorted.
        n: Number of rows.
        what: What the argument is called, for messages.

    Raises:
        DataError: If a class is unknown, or there is not one for each row.
    """
    given = np.broadcast_to(np.asarray(labels), n) if np.ndim(labels) == 0 else _column(labels, n, what)
    rows = coded_among(given, classes)
    if strange := np.unique(given[rows < 0]).tolist():
        raise DataError(f"class {strange[0]!r} is unknown: fit saw {listed(list(map(repr, classes.tolist())), 20)}")
    return torch.from_numpy(rows)


def source_codes(
    given: ArrayLike | None, classes: np.ndarray, target: Tensor, first: Samples, has: bool, rng: Noise
) -> Tensor:
    """Each particle's class number, int64 (m,).

    Args:
        given: Classes of the particles, (m,), or None: of noise they are drawn as often as in the target.
        classes: The classes, sorted.
        target: Class numbers of the target, (n,).
        first: Where the particles begin, (m, d).
        has: Whether that is a source, not noise.
        rng: Draws classes of noise.

    Raises:
        UsageError: If a source has none.
    """
    if given is not None:
        return coded_like(given, classes, len(first), "source_labels").to(first.device)
    if has:
        raise UsageError("a source with labelled targets needs source_labels")
    return target[rng.integers(len(target), len(first)).cpu()].to(first.device)


def _column(labels: ArrayLike, n: int, what: str) -> np.ndarray:
    column = np.asarray(labels)
    if column.shape != (n,):
        raise DataError(f"{what} has shape {column.shape}: give one class, or {n} of them, one a sample")
    return column
