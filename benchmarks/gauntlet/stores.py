"""Where users keep samples: one function a format, (rows, path without ending) -> path or object."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata
import numpy as np
from pandas import DataFrame
from PIL import Image
from scipy.sparse import csr_matrix

from .trial import Kind, Offer, Rows, Trial, as_frame, as_images

__all__ = [
    "Store", "array", "csv", "frame", "h5ad", "idx", "npy", "npz", "offered", "parquet", "pngs", "stored", "usual",
]  # fmt: skip

Store = Callable[[Rows, Path], Any]


def csv(ending: str = ".csv", **options: Any) -> Store:
    """A text table; options are those of pandas."""

    def write(rows: Rows, path: Path) -> str:
        as_frame(rows).to_csv(path.with_suffix(ending), **{"index": False, **options})
        return str(path.with_suffix(ending))

    return write


def parquet(form: Callable[[DataFrame], DataFrame] = lambda frame: frame) -> Store:
    """A parquet file of the frame in some form."""

    def write(rows: Rows, path: Path) -> str:
        form(as_frame(rows)).to_parquet(path.with_suffix(".parquet"))
        return str(path.with_suffix(".parquet"))

    return write


def _array(rows: Rows) -> Any:
    return as_frame(rows).to_numpy(np.float64) if isinstance(rows.values, DataFrame) else as_images(rows)


def npz(form: Callable[[Any], Any] = lambda x: x) -> Store:
    """An archive of one array x, in some form."""

    def write(rows: Rows, path: Path) -> str:
        np.savez(path.with_suffix(".npz"), x=form(_array(rows)))
        return str(path.with_suffix(".npz"))

    return write


def npy(rows: Rows, path: Path) -> str:
    """One array."""
    np.save(path.with_suffix(".npy"), _array(rows))
    return str(path.with_suffix(".npy"))


def array(rows: Rows, path: Path) -> Any:
    """An array in memory."""
    return _array(rows)


def frame(rows: Rows, path: Path) -> DataFrame:
    """A frame in memory."""
    return as_frame(rows)


def h5ad(sparse: bool = False, number: str = "float64") -> Store:
    """An annotated matrix of cells, dense or sparse."""

    def write(rows: Rows, path: Path) -> str:
        x = as_frame(rows).to_numpy(number)
        cells = anndata.AnnData(csr_matrix(x) if sparse else x)
        cells.var_names = [str(name) for name in as_frame(rows).columns]
        cells.obs_names = [f"{path.stem}{k}" for k in range(len(rows))]
        cells.write_h5ad(path.with_suffix(".h5ad"))
        return str(path.with_suffix(".h5ad"))

    return write


def pngs(rows: Rows, path: Path) -> str:
    """A folder of pictures."""
    path.mkdir()
    for k, image in enumerate(as_images(rows)):
        Image.fromarray(image).save(path / f"{k:05d}.png")
    return str(path)


def idx(rows: Rows, path: Path) -> str:
    """The format of MNIST."""
    images = as_images(rows)
    file = path.parent / f"{path.name}-images-idx3-ubyte"
    file.write_bytes(struct.pack(">IIII", 0x803, *images.shape) + images.tobytes())
    return str(file)


def jpeg(quality: int, image: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """A grey image after compression."""
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "JPEG", quality=quality)
    return np.asarray(Image.open(stream))


def usual(kind: Kind) -> Store:
    """The format of a kind where a way names none."""
    return {"points": csv(), "table": csv(), "images": npz(), "cells": h5ad()}[kind]


def stored(fake: Store, others: Store | None = None) -> Callable[[Trial, Path], Offer]:
    """Fake in one format, the others in another; in the usual one where None."""

    def put(trial: Trial, folder: Path) -> Offer:
        rest = usual(trial.kind) if others is None else others
        return Offer(
            fake(trial.fake, folder / "fake"), rest(trial.real, folder / "real"), rest(trial.train, folder / "train")
        )

    return put


def offered(trial: Trial, folder: Path, put: Callable[[Trial, Path], Offer] | None) -> Offer:
    """What `evaluate` is given: as the way stores it, or in the kind's usual format."""
    return (put or stored(usual(trial.kind)))(trial, folder)
