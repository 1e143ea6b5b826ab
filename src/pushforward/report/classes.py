"""The classes of the points that a run left, for their colours; whatever does not fit leaves points without."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pushforward.pictures import MAX_ARRAY, UNREADABLE, Film, Points

__all__ = ["Classes", "read_classes"]


@dataclass(frozen=True)
class Classes:
    """Whose point is whose.

    Attributes:
        samples: Number of the class of each sample in the last look, (n,); a row is the same sample in all looks.
        data: The same of held-out data, (m,), if they have classes.
        names: What the classes are called.
    """

    samples: NDArray[np.int64]
    data: NDArray[np.int64] | None
    names: tuple[str, ...]


def read_classes(folder: Path, film: Film[Points]) -> Classes | None:
    """Classes of the points in a film, read from beside them; None if there are none or they do not fit."""
    if not film.frames:
        return None
    mine = _read(folder / f"step-{film.steps[-1]:06d}.npz", len(film.frames[-1]))
    if mine is None:
        return None
    held = None if film.data is None else _read(folder / "data.npz", len(film.data))
    return Classes(mine[0], None if held is None else held[0], mine[1])


def _read(path: Path, rows: int) -> tuple[NDArray[np.int64], tuple[str, ...]] | None:
    try:
        with zipfile.ZipFile(path) as archive:
            if any(archive.getinfo(f"{name}.npy").file_size > MAX_ARRAY for name in ("labels", "names")):
                return None
        with np.load(path, allow_pickle=False) as arrays:
            labels, names = arrays["labels"], arrays["names"]
    except UNREADABLE:
        return None
    if labels.shape != (rows,) or labels.dtype.kind not in "iu" or names.ndim != 1:
        return None
    return labels.astype(np.int64), tuple(map(str, names.tolist()))
