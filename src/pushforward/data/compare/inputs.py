"""Sets to compare as they are given, by a spec or as objects: recognised, read and checked, but not yet alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import issparse
from torch import Tensor

from pushforward.data import source
from pushforward.data.blocks.scratch import spans, spilled
from pushforward.data.compare import album, points
from pushforward.data.compare.album import Album
from pushforward.data.compare.frames import frame
from pushforward.data.compare.points import Points
from pushforward.data.formats import cells, opening
from pushforward.data.formats.arrays import is_plain
from pushforward.data.formats.contents import Cells, Contents, Pictures, Table
from pushforward.data.raw import kind_of, refuse
from pushforward.errors import DataError, UsageError
from pushforward.randomness import derive

__all__ = ["of_numbers", "opened", "understood"]


def opened(spec: str, role: str, seed: int) -> Points | Album:
    """The set that a spec names.

    Args:
        spec: digits | toy:NAME | PATH[:key], as for `source.load`.
        role: "fake", "real" or "train"; digits and toys give each of them rows of its own.
        seed: Seed of toys and of the split of the digits.

    Raises:
        DataError: If the data are missing, damaged or unfit.
        UsageError: If the spec is empty, or what it needs is not installed.
    """
    if source.made(spec):
        return _drawn(spec, role, seed)
    contents = opening.opened(*source.parse(spec), mapped=True, room=spilled)
    body = contents.body
    if isinstance(body, Pictures):
        return album.of_folder(body, contents.notes)
    if isinstance(body, Table):
        return points.of_table(body, contents.notes)
    if isinstance(body, Cells):
        return points.of_cells(body, contents.place)
    checked = isinstance(body, np.memmap) and is_plain(body.dtype, body.ndim)
    return of_numbers(body, contents.place, checked=checked)


def _drawn(spec: str, role: str, seed: int) -> Points | Album:
    """Digits or a toy: the held-out part as real; rows of their own as fake and as train."""
    if spec == "digits":
        data = source.load(spec, seed=seed)
        x = data.test if role == "real" else data.train
        found = album.of_levels(np.moveaxis(((x + 1) * 127.5).numpy(), 1, -1), spec)
        part = "held out" if role == "real" else "to train on"
        return Album(spec, found.n, found.sizes, found.read, {}, (f"the {len(x):,} digits {part}",))
    data = source.load(spec, seed=derive(seed, "evaluate", part="fake") if role == "fake" else seed)
    x = np.asarray(data.decode(data.train if role == "train" else data.test), np.float64)
    return Points(spec, len(x), x.shape[1], (), lambda some: x if some is None else x[:, list(some)])


def understood(x: Any, place: str) -> Points | Album:
    """A set of points or of images from an object: recognised by what it has, not by its class.

    Args:
        x: An array or nested sequence (n,), (n, d), or of images, (n, h, w), (n, h, w, c) or (n, c, h, w); a tensor; a
            data frame (of pandas or polars); an AnnData object; or a sparse matrix of scipy.
        place: What the caller calls it, "fake", "real" or "train".

    Raises:
        DataError: If the numbers are unfit.
        UsageError: If it is none of these.
    """
    if isinstance(x, Tensor):
        return of_numbers(_unwrapped(x), place)
    if hasattr(x, "var_names") and hasattr(x, "obs_names"):  # not X: of a file that is not in memory it may fail
        return _of_cells(cells.of_object(x, place))
    if hasattr(x, "columns") and hasattr(x, "dtypes"):
        return points.of_table(frame(x, place))
    if issparse(x):
        return _of_cells(cells.of_matrix(x, place))
    if isinstance(x, np.ma.MaskedArray):
        raise DataError(f"{place}: a masked array: fill the masked values, or leave out their rows")
    if isinstance(x, (str, Path)):
        raise UsageError(f"{place} {str(x)!r}: this takes samples, not the name of a file: read it with read_pair")
    try:
        array = np.asarray(x)
    except Exception as error:
        raise DataError(f"{place}: rows of unequal length cannot be compared: give one array (n, ...)") from error
    if array.dtype == object and not isinstance(x, np.ndarray):
        kind = type(x).__name__
        raise UsageError(f"{place}: an object of type {kind} is not understood: give an array, tensor or data frame")
    return of_numbers(array, place)


def of_numbers(x: np.ndarray, place: str, *, checked: bool = False) -> Points | Album:
    """Points from an array of one or two dimensions, images from one of three or four; NaN is an empty cell of points.

    Args:
        x: The array.
        place: Where it is from, for messages.
        checked: Whether all numbers are known to be finite.

    Raises:
        DataError: If the type, the shape or a value is unfit.
    """
    gaps = not checked and _has_gaps(x, place)
    images = kind_of(x, place, checked=checked or gaps) == "images"
    return album.of_array(x, place) if images else points.of_array(x, place, gaps=gaps)


def _has_gaps(x: np.ndarray, place: str) -> bool:
    """Whether points lack numbers, which are NaN there, as they are in a table; one that is infinite is refused."""
    if x.dtype.kind != "f" or x.ndim not in (1, 2) or not any(np.isnan(x[part]).any() for part in spans(x)):
        return False
    for part in spans(x):
        if len(wrong := np.argwhere(np.isinf(x[part]))):
            first = (part.start + int(wrong[0][0]), *map(int, wrong[0][1:]))
            refuse(x, first, sum(int(np.isinf(x[some]).sum()) for some in spans(x)), place)
    return True


def _of_cells(contents: Contents) -> Points:
    assert isinstance(contents.body, Cells)
    return points.of_cells(contents.body, contents.place)


def _unwrapped(x: Tensor) -> np.ndarray:
    """A tensor's numbers; images have their channels last afterwards."""
    x = x.detach().cpu()
    values = (x.float() if x.dtype.is_floating_point and x.element_size() < 4 else x).numpy()
    return np.moveaxis(values, 1, -1) if x.ndim == 4 else values
