"""A data set in model units with its split, its unit and, where known, its density."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor

from pushforward.data.blocks.scratch import blocks, is_mapped
from pushforward.data.pixels import Pixels
from pushforward.data.units import Unit
from pushforward.densities.mixture import Mixture
from pushforward.densities.support import Support
from pushforward.errors import DataError, UsageError
from pushforward.plain.kinds import ColumnKind

if TYPE_CHECKING:
    from pushforward.data.kept.card import Origin

__all__ = [
    "MIN_ROWS",
    "MIN_TRAIN",
    "ColumnKind",
    "Dataset",
    "Kind",
    "Network",
    "Split",
    "every_class",
    "fingerprint",
    "split",
]

Kind = Literal["points", "images"]
Network = Literal["digits8"]
"""Feature networks that come with the library and were made for one data set."""

MIN_ROWS = 10  # rows a source must bring before it is split
MIN_TRAIN = 5  # rows that must be left to train on
FAR = 2.0**20  # model units at which a unit is looked up, so that a large mean costs its slope no digits
MANY = 1 << 20  # rows from which their numbers are int32; the order is the same


@dataclass(frozen=True)
class Split:
    """How the rows were divided, recorded so that a run can be repeated.

    Attributes:
        seed: Seed of the permutation.
        test_fraction: Share of the rows in the test set.
        n_train: Rows to learn from.
        n_test: Rows held out.
        sha256: First 16 hexadecimal digits of the hash of the data, in data units and in the order of the source.
    """

    seed: int
    test_fraction: float
    n_train: int
    n_test: int
    sha256: str


@dataclass(frozen=True, eq=False)
class Dataset:
    """Training and test samples in model units, and the way back to data units.

    Points are standardised with the training rows' statistics: toys by their mean and ONE scalar scale (the shape is
    kept), tables per column, heavy tails on request by quartiles (`robust`). Student's t stays in data units, and so
    do counts where these are asked for. Images lie in [-1, 1], channels first, on a square side that is a power of two.

    Attributes:
        name: Where the data come from: 'digits', 'toy:ring8' or a path.
        kind: 'points' or 'images'.
        train: Samples to learn from, float32 (n, *event), in model units.
        test: Held-out samples, float32 (m, *event), in model units.
        train_labels: Class of each training sample, int64 (n,) in 0..n_classes-1, or None.
        test_labels: The same for the test samples, (m,), or None.
        decode: Model units -> data units. Points: float64 (n, d). Images: uint8 (n, h, w) or (n, h, w, c), rounded.
        encode: Data units -> model units, float32 (n, *event).
        mixture: The density the samples were drawn from, in data units, where it is known.
        split: How the rows were divided.
        columns: Names of the columns of a table, else empty.
        classes: Names of the labels, else None.
        one_unit: Whether all columns of points share one unit, as those of toys do: distances are then told in data
            units, else in standard deviations.
        notes: What was left out, changed or taken for granted in reading, in plain words.
        kinds: What each column of a table holds: numbers, whole ones, truth values, or dates by their resolution; or
            empty.
        label: Name of the column of labels, where they are one.
        unit: What `decode` and `encode` are methods of, where that can be written down.
        origin: What was loaded, and from which files, where that can change.
        hollow: Whether the rows are missing: each is a NaN, in the place of rows that a run did not keep.
        support: Sets that hold all of the law that the samples were drawn from, in data units, where they are known.
        network: The bundled feature network that was made for these images, which judges them unless another is named.
    """

    name: str
    kind: Kind
    train: Tensor
    test: Tensor
    train_labels: Tensor | None
    test_labels: Tensor | None
    decode: Callable[[Tensor], np.ndarray]
    encode: Callable[[np.ndarray], Tensor]
    mixture: Mixture | None
    split: Split
    columns: tuple[str, ...] = ()
    classes: tuple[str, ...] | None = None
    one_unit: bool = False
    network: Network | None = None
    notes: tuple[str, ...] = ()
    kinds: tuple[ColumnKind, ...] = ()
    label: str | None = None
    unit: Unit | Pixels | None = None
    origin: "Origin | None" = None
    hollow: bool = False
    support: Support | None = None

    @property
    def event(self) -> tuple[int, ...]:
        """Shape of one sample."""
        return tuple(self.train.shape[1:])

    @property
    def n_classes(self) -> int:
        """Number of classes, 0 without labels."""
        return len(self.classes) if self.classes else 0

    @property
    def log_volume(self) -> float:
        r"""log |det dy/dx| of model units y by data units x, in nats; levels from 0 to 255 count as a continuum.

        A density of y has log q(x) = log q(y) + `log_volume`. Plus infinity where a column does not vary.
        """
        return self.known_unit.log_volume(self.event)

    @property
    def known_unit(self) -> Unit | Pixels:
        """What `decode` is a method of; where that is not written down, the affine map that its answers show.

        Raises:
            DataError: If images are decoded to anything but levels.
        """
        if self.unit is not None:
            return self.unit
        if self.kind == "images":
            shown = np.asarray(self.decode(torch.zeros(1, *self.event)))
            if shown.dtype != np.uint8 or shown.ndim not in (3, 4):
                raise DataError(
                    f"{self.name}: decodes images to {shown.dtype} of shape {shown.shape[1:]}, not to levels"
                )
            return Pixels(self.event[1], shown.shape[1], self.event[0])
        ends = [torch.full(self.event, end) for end in (-FAR, FAR, 0.0)]
        low, high, middle = np.asarray(self.decode(torch.stack(ends)), np.float64)
        return Unit(middle, (high - low) / (2 * FAR))


def split(n: int, seed: int, test_fraction: float, *, place: str = "data") -> tuple[np.ndarray, np.ndarray]:
    """Divide n rows by a seeded permutation.

    Args:
        n: Number of rows.
        seed: Seed of `numpy.random.default_rng`, not negative.
        test_fraction: Share of the rows to hold out, between 0 and 1; the number is rounded, and at least 1.
        place: The file or source, for messages.

    Returns:
        Row numbers to train on and to test on, each in the order of the permutation; int64, int32 of many.

    Raises:
        UsageError: If the share is not strictly between 0 and 1, or the seed is negative.
        DataError: If fewer than `MIN_TRAIN` rows are left to train on.
    """
    if not 0 < test_fraction < 1:
        raise UsageError(f"test fraction {test_fraction:g}: give a number between 0 and 1, for example 0.1")
    if seed < 0:
        raise UsageError(f"seed {seed}: give a whole number that is not negative")
    n_test = max(1, round(n * test_fraction))
    if n - n_test < MIN_TRAIN:
        raise DataError(
            f"{place}: a test fraction of {test_fraction:g} leaves {max(0, n - n_test)} of {n} rows to train on, "
            f"at least {MIN_TRAIN} are needed: use a smaller test fraction or more rows"
        )
    order = np.random.default_rng(seed).permutation(np.arange(n, dtype=np.int32 if MANY <= n < 2**31 else np.int64))
    return order[n_test:], order[:n_test]


def every_class(rows: np.ndarray, held: np.ndarray, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """A split in which every class has a row to train on.

    Of each class that is held out as a whole, one row changes places with one of the class with most training rows.

    Args:
        rows: Row numbers to train on, (n,).
        held: Row numbers held out, (m,).
        codes: Class number of each row, (n + m,).

    Returns:
        Both, as they were where nothing was missing, and the classes that were missing.
    """
    missing = sorted(set(codes[held].tolist()) - set(codes[rows].tolist()))
    rows, held = rows.copy(), held.copy()
    for code in missing:
        most = np.bincount(codes[rows]).argmax()
        mine, theirs = np.flatnonzero(codes[rows] == most)[0], np.flatnonzero(codes[held] == code)[0]
        rows[mine], held[theirs] = held[theirs], rows[mine]
    return rows, held, missing


def fingerprint(*arrays: np.ndarray, labels: Sequence[np.ndarray | None] = ()) -> str:
    """First 16 hexadecimal digits of the SHA-256 of the arrays' bytes, in C order.

    Mapped points are read in blocks and hashed as the float64 that they would be in memory.

    Args:
        arrays: Rows of numbers.
        labels: Labels, which are hashed as text; None for none.
    """
    digest = hashlib.sha256()
    for array in arrays:
        for block in blocks(array, np.float64 if is_mapped(array) and array.ndim < 3 else None):
            digest.update(np.ascontiguousarray(block).tobytes())
    for known in labels:
        for start in range(0, 0 if known is None else len(known), MANY):
            assert known is not None
            digest.update(np.ascontiguousarray(np.asarray(known[start : start + MANY]).astype(str)).tobytes())
    return digest.hexdigest()[:16]
