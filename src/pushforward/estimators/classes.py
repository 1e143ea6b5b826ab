"""Classes of rows as whole numbers: 0 for the first in sorted order, and so on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_consistent_length, column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from torch import Tensor

from pushforward.data.labels import coded, coded_among, is_missing
from pushforward.data.units import Array
from pushforward.errors import DataError, UsageError
from pushforward.plain.lists import listed
from pushforward.randomness import Noise, Purpose, generator
from pushforward.types import Samples

__all__ = ["Labelling", "coded_like", "codes", "source_codes"]


@dataclass(frozen=True, eq=False)
class Labelling:
    """The classes that a fit saw, if any.

    Attributes:
        classes: In sorted order; None for a model without classes.
        prior: Their frequencies, or None.
    """

    classes: NDArray | None = None
    prior: Array | None = None

    @staticmethod
    def of(y: ArrayLike | None, data: Array) -> tuple[Labelling, Tensor | None]:
        """The classes of rows (n, *event), and each row's number, int64 (n,), or None.

        Raises:
            ValueError: If y are no classes, one is missing, or there is not one for each row.
        """
        if y is None:
            return Labelling(), None
        check_consistent_length(data, y)
        _complete(y, "y")
        labelled = np.asarray(column_or_1d(y, warn=True))
        check_classification_targets(labelled)
        classes, numbers = coded(labelled)
        return Labelling(classes, np.bincount(numbers) / len(numbers)), torch.from_numpy(numbers)

    @staticmethod
    def unpacked(found: Mapping[str, Any]) -> Labelling:
        """The inverse of `packed`."""
        classes, prior = (None if found[name] is None else np.array(found[name]) for name in ("classes", "class_prior"))
        return Labelling(classes, prior)

    def packed(self) -> dict[str, Any]:
        """As JSON has it."""
        return {"classes": None if self.classes is None else self.classes.tolist(),
                "class_prior": None if self.prior is None else self.prior.tolist()}  # fmt: skip

    @property
    def known(self) -> NDArray:
        """The classes.

        Raises:
            ValueError: If the fit saw none.
        """
        if self.classes is None:
            raise ValueError("this model was fitted without classes: fit(X, y) makes it conditional")
        return self.classes

    def coded(self, y: ArrayLike, n: int) -> Tensor:
        """Each row's number, int64 (n,), of one class for all rows or one each; errors as of `known`, `coded_like`."""
        return coded_like(y, self.known, n, "y")

    def drawn(self, n: int, y: ArrayLike | None, seed: int, name: Purpose) -> Tensor | None:
        """Numbers of the classes that are wanted, int64 (n,), drawn by frequency where y is None; None without classes.

        Raises:
            ValueError: As of `coded`.
        """
        if y is not None:
            return self.coded(y, n)
        if self.classes is None:
            return None
        return torch.from_numpy(generator(seed, name, part="labels").choice(len(self.classes), n, p=self.prior))


def codes(labels: ArrayLike, n: int, what: str) -> tuple[np.ndarray, Tensor]:
    """The classes that occur, in sorted order, and each row's number, int64 (n,).

    Args:
        labels: Numbers or text, (n,).
        n: Number of rows.
        what: What the argument is called, for messages.

    Raises:
        DataError: If there is not one for each row, or one is missing.
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


def _complete(labels: ArrayLike, what: str) -> None:
    """Refuse classes of which one is missing (None, nan, NA), which would else be a class of its own.

    Raises:
        DataError: If one is; its row is named.
    """
    plain = np.asarray(labels)
    if plain.dtype.kind in "iub" or (isinstance(labels, np.ndarray) and plain.dtype.kind in "US"):
        return
    lost = [row for row, value in enumerate(np.asarray(labels, dtype=object).ravel().tolist()) if is_missing(value)]
    if lost:
        raise DataError(
            f"{what}: row {lost[0]}, counted from 0, has no class ({len(lost)} of {plain.size} are None, nan or NA): "
            "give each row a class, as 'unknown', or leave these rows out"
        )


def _column(labels: ArrayLike, n: int, what: str) -> np.ndarray:
    _complete(labels, what)
    column = np.asarray(labels)
    if column.shape != (n,):
        raise DataError(f"{what} has shape {column.shape}: give one class, or {n} of them, one a sample")
    return column
