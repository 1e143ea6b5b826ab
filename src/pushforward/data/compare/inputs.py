"""Sets to compare as they are given, by a spec or as objects: recognised, read and checked, but not yet alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from pushforward.data import source
from pushforward.data.compare import album, points
from pushforward.data.compare.album import Album
from pushforward.data.compare.points import Points
from pushforward.data.formats import arrays, expression, images, tables
from pushforward.data.formats.tables import Column, Table
from pushforward.data.raw import finite, numeric
from pushforward.errors import DataError, UsageError

__all__ = ["frame", "made", "of_numbers", "opened", "understood"]


def made(spec: str) -> bool:
    """Whether a spec names data that come with the library, not a file."""
    return spec == "digits" or spec.lower().startswith("toy:")


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
    if made(spec):
        return _drawn(spec, role, seed)
    path, key = source.parse(spec)
    suffix = path.suffix.lower()
    if path.is_dir() and key is None and suffix not in source.FILES:
        return album.of_folder(path)
    if path.is_file() and suffix in (*source.TEXT, *source.PARQUET):
        table = tables.csv(path) if suffix in source.TEXT else tables.parquet(path)
        return points.of_table(table, None if key is None else tuple(name.strip() for name in key.split(",")))
    if path.is_file() and suffix == ".npy" and key is None:
        x = arrays.mapped(path)
        return of_numbers(x, str(path), checked=isinstance(x, np.memmap))
    if path.is_file() and suffix == ".npz":
        key = arrays.pick(path) if key is None else key
        return of_numbers(arrays.npz(path, key), f"{path}:{key}")
    if path.is_file() and suffix == ".h5ad":
        return expression.read(path, key)
    if images.is_idx(path) and key is None:
        return of_numbers(images.idx_array(path), str(path))
    raw = source.read(path, key)  # says what is wrong with the rest
    return of_numbers(raw.x, raw.place)


def _drawn(spec: str, role: str, seed: int) -> Points | Album:
    """Digits or a toy: the held-out part as real; rows of their own as fake and as train."""
    if spec == "digits":
        data = source.load(spec, seed=seed)
        x = data.test if role == "real" else data.train
        found = album.of_levels(np.moveaxis(((x + 1) * 127.5).numpy(), 1, -1), spec)
        part = "held out" if role == "real" else "to train on"
        return Album(spec, found.n, found.sizes, found.read, {}, (f"the {len(x):,} digits {part}",))
    data = source.load(spec, seed=seed + (role == "fake"))
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
        return expression.of_object(x, place)
    if hasattr(x, "columns") and hasattr(x, "dtypes"):
        return points.of_table(frame(x, place), None)
    if hasattr(x, "tocsr"):
        return expression.of_matrix(x, place)
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
    """Points from an array of one or two dimensions, images from one of three or four.

    Args:
        x: The array.
        place: Where it is from, for messages.
        checked: Whether all numbers are known to be finite.

    Raises:
        DataError: If the type, the shape or a value is unfit.
    """
    numeric(x.dtype, place)
    if not 1 <= x.ndim <= 4:
        raise DataError(
            f"{place}: {x.ndim} dimensions: points have (n, d), images (n, h, w) or (n, h, w, c): reshape it"
        )
    if not x.size:
        raise DataError(f"{place}: the shape {x.shape} holds no numbers: add rows")
    if not checked:
        finite(x, place)
    return album.of_array(x, place) if x.ndim > 2 else points.of_array(x, place)


def frame(data: Any, place: str) -> Table:
    """The table of a data frame; missing cells become empty ones.

    Raises:
        DataError: If there is no row, two columns share a name, or one holds dates.
    """
    names = tuple(map(str, data.columns))
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise DataError(f"{place}: two columns are named {twice!r}: give every column its own name")
    if not names or not len(data):
        raise DataError(f"{place}: a table of {len(data)} rows and {len(names)} columns: add rows")
    columns = tuple(_column(np.asarray(data[name]), place, str(name)) for name in data.columns)
    return Table(Path(place), names, columns, range(len(data)), "row")


def _column(values: np.ndarray, place: str, name: str) -> Column:
    if values.dtype.kind in "biuf":
        return values
    if values.dtype.kind in "OUST":
        return ["" if _missing(value) else str(value).strip() for value in values.tolist()]
    what = "complex numbers" if values.dtype.kind == "c" else "dates or durations"
    raise DataError(f"{place}: column {name!r} holds {what}: turn it into numbers, or leave it out")


def _missing(value: Any) -> bool:
    """Whether a cell is None, NaN or any other value that does not equal itself."""
    try:
        return value is None or bool(value != value)
    except TypeError:  # pandas.NA refuses to be true or false
        return True


def _unwrapped(x: Tensor) -> np.ndarray:
    """A tensor's numbers; images have their channels last afterwards."""
    x = x.detach().cpu()
    values = (x.float() if x.dtype.is_floating_point and x.element_size() < 4 else x).numpy()
    return np.moveaxis(values, 1, -1) if x.ndim == 4 else values
