"""From what a file holds to checked rows to learn from, with their labels and their test set."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pushforward.data.blocks.limits import budget, peak
from pushforward.data.blocks.scratch import Room, held, is_mapped, mapped, spans, written
from pushforward.data.dataset import MIN_ROWS
from pushforward.data.formats import table
from pushforward.data.formats.arrays import sibling
from pushforward.data.formats.contents import Cells, Contents, Pictures, Table
from pushforward.data.pixels import recognise
from pushforward.data.raw import Raw, chosen, enough, kind_of
from pushforward.errors import DataError

__all__ = ["as_labels", "limited", "rows"]

DIM = 128  # a level of 255 that pictures reach, unless their white is another number


def rows(
    contents: Contents,
    labels: str | None = None,
    given: np.ndarray | None = None,
    *,
    side: int | None = None,
    channels: int | None = None,
    limit: int | None = None,
    seed: int = 0,
    least: int = MIN_ROWS,
    room: Room = held,
) -> Raw:
    """Rows in data units, with the limit applied only where reading all would be slow.

    Args:
        contents: What a file holds.
        labels: Name of the labels in the same file; those that come by convention where it is left out.
        given: Labels from elsewhere, which go before.
        side: Side of pictures.
        channels: Channels of pictures.
        limit: Read at most so many pictures.
        seed: Seed of their choice.
        least: Pictures that a folder needs.
        room: Where they are put; see `blocks.scratch`.

    Raises:
        DataError: If the rows, the labels or the test set are unfit.
    """
    body = contents.body
    labels = labels if given is None else None
    if isinstance(body, Pictures):
        from pushforward.data.formats import pictures

        raw = pictures.decoded(body, side=side, channels=channels, limit=limit, seed=seed, least=least, room=room)
        raw = replace(raw, files=body.files)
    elif isinstance(body, Table):
        raw = table.points(body, labels)
    elif isinstance(body, Cells):
        raw = Raw(contents.place, "points", _float64(body.take(None)), columns=body.names)
        raw = raw if labels is None else replace(_labelled(raw, contents.column(labels)), label=labels)
    else:
        raw = _with_test(contents, labels, given is None, room)
    raw = replace(raw, notes=(*contents.notes, *raw.notes))
    return raw if given is None else _labelled(raw, given)


def as_labels(contents: Contents, ending: str) -> np.ndarray:
    """The one array or column of a file of labels.

    Raises:
        DataError: If there are several, or the file is none of arrays or columns.
    """
    body = contents.body
    if isinstance(body, Table):
        names = body.chosen or body.names
        if len(names) != 1:
            raise DataError(f"{body.path}: {len(names)} columns: choose the one with the labels, {body.path}:NAME")
        return table.labels(body, names[0])
    if isinstance(body, np.ndarray):
        return body
    raise DataError(f"{contents.place}: labels cannot be read from files ending in {ending!r}: give .npy, .npz or .csv")


def limited(raw: Raw, limit: int | None, seed: int) -> Raw:
    """At most `limit` rows, chosen by the seed, and as many of the test set."""
    if limit is None:
        return raw
    keep = chosen(len(raw.x), limit, seed)
    return replace(
        raw,
        x=_picked(raw.x, keep, raw.place),
        labels=None if raw.labels is None else raw.labels[keep],
        x_test=None if raw.x_test is None else _picked(raw.x_test, np.arange(min(limit, len(raw.x_test))), raw.place),
        labels_test=None if raw.labels_test is None else raw.labels_test[:limit],
    )


def _picked(x: np.ndarray, keep: np.ndarray, place: str) -> np.ndarray:
    """Some rows by their ascending numbers; of a mapped array in memory if they fit there, else mapped too."""
    if not is_mapped(x):
        return x[keep]
    shape = (len(keep), *x.shape[1:])
    if peak(shape, x.dtype) <= budget():
        return np.asarray(x[keep], np.float64 if x.ndim < 3 else None)
    out = mapped(shape, x.dtype, place)
    for part in spans(out):
        out[part] = x[keep[part]]
        written(out)
    return out


def _with_test(contents: Contents, labels: str | None, wanted: bool, room: Room) -> Raw:
    """An array with its labels, where these are wanted, and its own test set."""
    raw = _of_array(contents, room)
    name = (labels or contents.labels) if wanted else None
    if name is not None:
        raw = _labelled(raw, contents.column(name))
    if contents.test is None:
        return raw
    theirs = contents.test()
    own = _of_array(theirs, room)
    enough(len(own.x), own.place, 1)
    if own.x.shape[1:] != raw.x.shape[1:] or (raw.kind == "images" and own.x.dtype != raw.x.dtype):
        raise DataError(
            f"{own.place}: rows of shape {own.x.shape[1:]} and type {own.x.dtype}, those of {raw.place} have "
            f"{raw.x.shape[1:]} and {raw.x.dtype}: save both alike"
        )
    beside = theirs.labels if name == contents.labels else sibling(name or "")
    if name is not None and beside in theirs.known:
        own = _labelled(own, theirs.column(beside))
    return replace(raw, x_test=own.x, labels_test=own.labels)


def _of_array(contents: Contents, room: Room) -> Raw:
    x, place = contents.body, contents.place
    assert isinstance(x, np.ndarray)
    if contents.promised and x.ndim not in (3, 4):
        raise DataError(f"{place}: {x.ndim} dimensions, images have 3: give the file of images (idx3)")
    if kind_of(x, place) == "images":
        _pictures(x, place)
        pixels = recognise(x, place, room)
        h, w = pixels.shape[1:3]
        cut = f"images of {w} x {h}: the square in their middle is kept, {1 - min(h, w) / max(h, w):.0%} is cut off"
        return Raw(place, "images", pixels, notes=((cut,) if h != w else ()) + _dark(x))
    return Raw(place, "points", _float64(x[:, None] if x.ndim == 1 else x))


def _dark(x: np.ndarray) -> tuple[str, ...]:
    """That whole numbers are taken for levels of 255, where none is half as bright."""
    high = int(x.max()) if x.dtype.kind in "iu" else DIM
    return (f"whole numbers up to {high} are taken for levels of 255: multiply them if {high} is white",) * (high < DIM)


def _float64(x: np.ndarray) -> np.ndarray:
    """Points as they are worked on: mapped ones stay where they are, in their own type."""
    return x if is_mapped(x) else np.asarray(x, np.float64)


def _pictures(x: np.ndarray, place: str) -> None:
    """Refuse series (n, T, C), which have the dimensions of grey images but not their proportions.

    Raises:
        DataError: If one side is more than twice the other; four dimensions say that images are meant.
    """
    if x.ndim == 3 and max(x.shape[1:]) > 2 * min(x.shape[1:]):
        n, t, c = x.shape
        raise DataError(
            f"{place}: the shape {x.shape} looks like series of {t} steps of {c} numbers; as images most is cut "
            f"off: save x.reshape({n}, {t * c}) to learn them as points, or x[..., None] if these are images"
        )


def _labelled(raw: Raw, labels: np.ndarray) -> Raw:
    count = len(labels) if labels.ndim else 1
    if count != len(raw.x):
        raise DataError(f"{raw.place}: {count} labels for {len(raw.x)} rows: give one label a row")
    return replace(raw, labels=labels)
