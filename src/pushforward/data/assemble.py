"""From rows as stored to a data set: split, scale, number the classes."""

import numpy as np
import torch

from pushforward.data.dataset import Dataset, Split, every_class, fingerprint, split
from pushforward.data.labels import numbered
from pushforward.data.pixels import Pixels, inner_side, model_side
from pushforward.data.raw import Raw, budget, enough
from pushforward.data.units import Unit, robust, standardise
from pushforward.errors import DataError, UsageError

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
    heavy: bool = False,
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
        heavy: Scale points by their quartiles, not by their standard deviation.

    Raises:
        DataError: If there are too few rows, nothing varies, or the result would not fit into memory.
        UsageError: If an option is out of range or does not apply.
    """
    enough(len(raw.x), raw.place)
    if raw.x_test is not None and test_fraction is None:
        labels_test = raw.labels_test
        rows, rows_test = np.arange(len(raw.x)), None
        fraction = len(raw.x_test) / (len(raw.x) + len(raw.x_test))
        digest = fingerprint(raw.x, raw.x_test, *_labels(raw.labels, raw.labels_test))
    else:
        fraction = usual_fraction if test_fraction is None else test_fraction
        rows, rows_test = split(len(raw.x), seed, fraction, place=raw.place)
        labels_test = None
        digest = fingerprint(raw.x, *_labels(raw.labels))
    codes, codes_test, classes, notes = None, None, None, raw.notes
    if raw.labels is not None:
        codes, codes_test, classes = numbered(raw.labels, labels_test, len(raw.x), raw.place)
        if rows_test is not None:
            rows, rows_test, moved = every_class(rows, rows_test, codes)
            notes += tuple(_moved(classes[code], int((codes == code).sum())) for code in moved)
        codes, codes_test = codes[rows], codes_test if rows_test is None else codes[rows_test]
    train, held = raw.x[rows], raw.x_test if rows_test is None else raw.x[rows_test]
    assert held is not None
    unit = _pixels(raw, side, channels) if raw.kind == "images" else _columns(raw, train, side, channels, heavy)
    x, x_test = unit.encode(train), unit.encode(held)
    if not (x.isfinite().all() and x_test.isfinite().all()):
        raise DataError(f"{raw.place}: some test rows lie too far from the training rows for float32: remove outliers")
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
        split=Split(seed, fraction, len(train), len(held), digest),
        columns=raw.columns,
        classes=classes,
        notes=notes,
        kinds=raw.kinds,
        label=raw.label,
    )


def _moved(name: str, rows: int) -> str:
    """What is said of a class that would have been held out as a whole."""
    if rows == 1:
        return f"class {name}: its only row is trained on, none is held out"
    return f"class {name}: all {rows} rows had been held out; one is trained on instead"


def _labels(*labels: np.ndarray | None) -> list[np.ndarray]:
    """Labels as arrays whose bytes say what they are."""
    return [np.asarray(one).astype(str) for one in labels if one is not None]


def _columns(raw: Raw, train: np.ndarray, side: int | None, channels: int | None, heavy: bool) -> Unit:
    if side is not None or channels is not None:
        raise UsageError(f"{raw.place}: these are points, not images: leave out the side and the channels")
    return (robust if heavy else standardise)(train, place=raw.place, columns=raw.columns)


def _pixels(raw: Raw, side: int | None, channels: int | None) -> Pixels:
    x = raw.x
    short = min(x.shape[1:3])
    square = model_side(short, side, raw.place)
    unit = Pixels(square, inner_side(short, square), x.shape[3] if channels is None else channels)
    need = 4 * (len(x) + (0 if raw.x_test is None else len(raw.x_test))) * unit.channels * square**2
    if need > budget():
        raise DataError(
            f"{raw.place}: {len(x)} images of side {square} need {need / 2**30:.1f} GiB of memory, "
            f"{budget() / 2**30:.1f} GiB are allowed: give a smaller side or a limit"
        )
    if all(np.array_equal(x[0], image) for image in x[1:]):
        raise DataError(f"{raw.place}: nothing varies, all {len(x)} images are the same: check the file's contents")
    return unit
