"""Arrays of a file that may be anybody's: no pickle, no more than memory holds, and of the shapes that are asked."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from pushforward.pictures import MAX_ARRAY, UNREADABLE

__all__ = ["Arrays", "content", "images", "numbers", "read"]

Arrays = Mapping[str, NDArray[Any]]
T = TypeVar("T")


def content(arrays: Mapping[str, Any]) -> bytes:
    """The file."""
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def read(path: Path, made: Callable[[Arrays], T]) -> tuple[T | None, list[str]]:
    """What is made of a file's arrays, and the name of the file where it is there and cannot be read.

    Args:
        path: The file.
        made: What makes it; it may raise ValueError or KeyError.
    """
    if not path.exists():
        return None, []
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(member.file_size for member in archive.infolist()) > MAX_ARRAY:
                raise ValueError(f"{path}: too large")
        with np.load(path, allow_pickle=False) as arrays:
            return made({name: arrays[name] for name in arrays.files}), []
    except UNREADABLE:
        return None, [path.name]


def numbers(x: NDArray[Any], axes: int, *, finite: bool = True) -> NDArray[np.float64]:
    """An array of so many axes, as float64.

    Raises:
        ValueError: If it is another, or holds what is no finite number.
    """
    if x.ndim != axes or x.dtype.kind not in "fiu" or (finite and not np.isfinite(x).all()):
        raise ValueError(f"{x.dtype} of shape {x.shape}, not {axes} axes of finite numbers")
    return x.astype(np.float64)


def images(x: NDArray[Any], axes: int = 1) -> NDArray[np.uint8]:
    """Pictures (..., h, w[, c]) under so many axes.

    Raises:
        ValueError: If they are none.
    """
    coloured = x.ndim == axes + 3 and x.shape[-1] in (1, 3, 4)
    if x.dtype != np.uint8 or 0 in x.shape or not (x.ndim == axes + 2 or coloured):
        raise ValueError(f"{x.dtype} of shape {x.shape}, not pictures under {axes} axes")
    return x
