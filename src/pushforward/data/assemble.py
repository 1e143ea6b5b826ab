"""From rows as stored to a data set: split, scale, number the classes."""

import math

import numpy as np
import torch
from torch import Tensor

from pushforward.data.blocks import scratch
from pushforward.data.blocks.arranged import arranged
from pushforward.data.blocks.limits import VARIABLE, budget
from pushforward.data.blocks.moments import at_most, moments, sampled, training
from pushforward.data.blocks.order import is_windowed
from pushforward.data.blocks.scratch import is_mapped
from pushforward.data.dataset import Dataset, Split, every_class, fingerprint, split
from pushforward.data.labels import numbered
from pushforward.data.pixels import Pixels, inner_side, model_side
from pushforward.data.raw import Raw, counted, enough
from pushforward.data.units import Scaling, Unit, of_moments, robust, stretched
from pushforward.errors import DataError, UsageError
from pushforward.plain.sizes import size
from pushforward.randomness import generator

__all__ = ["assemble"]


def assemble(
    raw: Raw,
    name: str,
    *,
    seed: int,
    test_fraction: float | None,
    side: int | None = None,
    channels: int | None = None,
    usual_fraction: float = 0.1,
    scaling: Scaling = "deviation",
) -> Dataset:
    """Build the data set of what a reader found.

    Args:
        raw: Checked rows in data units.
        name: Name of the data set.
        seed: Seed of the split.
        test_fraction: Share to hold out. None keeps the source's own test set, or holds out `usual_fraction`.
        side: Side of images, a power of two, or None to choose by their size.
        channels: 1, 3 or 4, or None to keep what the images have.
        usual_fraction: Share to hold out when nothing else is said.
        scaling: How points are scaled: by their standard deviation, by their quartiles, or not at all, as counts.

    Raises:
        DataError: If there are too few rows, nothing varies, or the result would not fit into memory.
        UsageError: If an option is out of range or does not apply.
    """
    enough(len(raw.x), raw.place)
    if raw.x_test is not None and test_fraction is None:
        labels_test = raw.labels_test
        rows, rows_test = np.arange(len(raw.x)), None
        fraction = len(raw.x_test) / (len(raw.x) + len(raw.x_test))
        digest = fingerprint(raw.x, raw.x_test, labels=(raw.labels, raw.labels_test))
    else:
        fraction = usual_fraction if test_fraction is None else test_fraction
        rows, rows_test = split(len(raw.x), seed, fraction, place=raw.place)
        labels_test = None
        digest = fingerprint(raw.x, labels=(raw.labels,))
    codes, codes_test, classes, notes = None, None, None, raw.notes
    if raw.labels is not None:
        codes, codes_test, classes = numbered(raw.labels, labels_test, len(raw.x), raw.place)
        if rows_test is not None:
            rows, rows_test, moved = every_class(rows, rows_test, codes)
            notes += tuple(_moved(classes[code], int((codes == code).sum())) for code in moved)
        codes, codes_test = codes[rows], codes_test if rows_test is None else codes[rows_test]
    unit = _pixels(raw, side, channels) if raw.kind == "images" else _columns(raw, rows, seed, side, channels, scaling)
    if rows_test is None and is_windowed(len(rows), 4 * math.prod(_event(raw, unit))):  # no split has mixed them yet
        rows = generator(seed, "data", part="mixed").permutation(rows)
        codes = None if codes is None else codes[rows]
    x, x_test, more = _encoded(raw, unit, rows, rows_test)
    return Dataset(
        name=name,
        kind=raw.kind,
        train=x,
        test=x_test,
        train_labels=None if codes is None else torch.from_numpy(codes),
        test_labels=None if codes_test is None else torch.from_numpy(codes_test),
        decode=unit.decode,
        encode=unit.encode,
        mixture=None,
        split=Split(seed, fraction, len(x), len(x_test), digest),
        columns=raw.columns,
        classes=classes,
        notes=(*notes, *_size_note(raw, unit), *more, *_far_note(raw, x, scaling), *_heavy_note(raw, rows, scaling)),
        one_unit=raw.kind == "points" and scaling == "counts",
        kinds=raw.kinds,
        label=raw.label,
        unit=unit,
    )


def _moved(name: str, rows: int) -> str:
    """What is said of a class that would have been held out as a whole."""
    if rows == 1:
        return f"class {name}: its only row is trained on, none is held out"
    return f"class {name}: all {rows} rows had been held out; one is trained on instead"


def _size_note(raw: Raw, unit: Unit | Pixels) -> tuple[str, ...]:
    """That images have become smaller or larger, where they have."""
    if not isinstance(unit, Pixels) or min(raw.x.shape[1:3]) == unit.inner:
        return ()
    h, w = raw.x.shape[1:3]
    return (f"images of {w} x {h} pixels are resized to {unit.inner} x {unit.inner}, with antialiasing",)


def _event(raw: Raw, unit: Unit | Pixels) -> tuple[int, ...]:
    """Shape of a row in model units."""
    return (unit.channels, unit.side, unit.side) if isinstance(unit, Pixels) else raw.x.shape[1:]


def _encoded(
    raw: Raw, unit: Unit | Pixels, rows: np.ndarray, rows_test: np.ndarray | None
) -> tuple[Tensor, Tensor, tuple[str, ...]]:
    """Rows to train on and held out, in model units; on the disk, and a note of that, where they do not fit.

    Raises:
        DataError: If a row does not fit into float32, or the rows not on the disk.
    """
    event = _event(raw, unit)
    need = 4 * (len(raw.x) + (0 if raw.x_test is None else len(raw.x_test))) * math.prod(event)
    far = f"{raw.place}: some test rows lie too far from the training rows for float32: remove outliers"
    own = raw.x if raw.x_test is None or rows_test is not None else raw.x_test
    if not (is_mapped(raw.x) or is_mapped(own)) and need <= budget():
        held = own if rows_test is None else raw.x[rows_test]
        x, x_test = unit.encode(raw.x[rows]), unit.encode(held)
        if not (x.isfinite().all() and x_test.isfinite().all()):
            raise DataError(far)
        return x, x_test, ()

    def encode(part: np.ndarray) -> Tensor:
        x = unit.encode(part)
        if not x.isfinite().all():
            raise DataError(far)
        return x

    if rows_test is None:
        x = arranged(raw.x, rows, encode, event, raw.place)
        x_test = arranged(own, np.arange(len(own)), encode, event, raw.place)
    else:
        both = arranged(raw.x, np.concatenate([rows, rows_test]), encode, event, raw.place)
        x, x_test = both[: len(rows)], both[len(rows) :]
    limit, folder = size(budget()), scratch.folder()
    note = (
        f"{size(4 * (x.numel() + x_test.numel()))} of rows, more than the {limit} of memory that they may take "
        f"({VARIABLE} sets it), are read from a temporary file in {folder} (TMPDIR sets it)"
    )
    return x, x_test, (note,)


def _columns(raw: Raw, rows: np.ndarray, seed: int, side: int | None, channels: int | None, scaling: Scaling) -> Unit:
    if side is not None or channels is not None:
        raise UsageError(f"{raw.place}: these are points, not images: leave out the side and the channels")
    if scaling == "counts":
        for part in (raw.x, raw.x_test):
            if part is not None:
                counted(part, raw.place, raw.columns)
        return Unit(np.zeros(()), np.ones(()))
    if scaling == "quartiles":
        x = sampled(raw.x, rows, generator(seed, "data", part="quartiles"))
        return robust(x, place=raw.place, columns=raw.columns)
    return of_moments(moments(training(raw.x, rows)), place=raw.place, columns=raw.columns)


def _far_note(raw: Raw, x: Tensor, scaling: Scaling) -> tuple[str, ...]:
    """What is said of columns whose scale a few rows set."""
    return () if raw.kind == "images" or scaling != "deviation" or x.dim() != 2 else stretched(x, raw.columns)


def _heavy_note(raw: Raw, rows: np.ndarray, scaling: Scaling) -> tuple[str, ...]:
    """What is said of quartiles that are those of a sample."""
    most = at_most(raw.x)
    return (
        (f"quartiles are those of {most:,} of {len(rows):,} rows, drawn at random",)
        if scaling == "quartiles" and most < len(rows)
        else ()
    )


def _pixels(raw: Raw, side: int | None, channels: int | None) -> Pixels:
    x = raw.x
    short = min(x.shape[1:3])
    square = model_side(short, side, raw.place)
    unit = Pixels(square, inner_side(short, square), x.shape[3] if channels is None else channels)
    if all(np.array_equal(x[0], image) for image in x[1:]):
        raise DataError(f"{raw.place}: nothing varies, all {len(x)} images are the same: check the file's contents")
    return unit
