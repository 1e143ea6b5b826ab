"""Representations of the cells of an AnnData object, and the way back from each to the values of the cells.

A sparse matrix is never made dense but in blocks; one in a file is read once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse

from pushforward.data.blocks.limits import budget
from pushforward.errors import DataError, UsageError, meant
from pushforward.merging.codes import Axes, dense, principal_axes, rows_of
from pushforward.merging.plan import known_batch, shown
from pushforward.plain.lists import listed

__all__ = ["Embedded", "Encoder", "coded", "decoded", "fitted_on", "layer_of", "read_values"]

Encoder: TypeAlias = Callable[[Any], Any]
"""A block of rows (n, genes) -> codes (n, k)."""

BLOCK = 1 << 25  # bytes of a dense block
MOST = 2000  # columns that may be moved as they are


@dataclass(frozen=True)
class Embedded:
    """A representation and the way back.

    Attributes:
        z: Codes, (n, k).
        axes: The way back, or None where there is none: rows move by `axes.shift` of the codes' displacement.
        residual: Root mean square of what the code leaves out of a row, or nan where it is not known.
        name: What it is called.
        note: Why there is no way back, where one was to be expected.
        values: What the way leads back to, (n, d), dense or sparse, or None.
        said: How it was read, in words.
    """

    z: NDArray[Any]
    axes: Axes | None
    residual: float
    name: str
    note: str = ""
    values: Any = None
    said: tuple[str, ...] = ()


def fitted_on(
    batch: NDArray[np.str_], target: object, sources: Sequence[object] | None, fit_on: Literal["pooled", "target"]
) -> NDArray[np.bool_]:
    """Cells that principal components are fitted on, a mask (n,); for the arguments see `merge`.

    Raises:
        UsageError: If there is no such target, or no such way.
    """
    known = sorted(set(batch.tolist()) - {""})
    if target is None:
        raise UsageError(f"target: name the batch that stays, one of {', '.join(known)}")
    if fit_on not in ("pooled", "target"):
        raise UsageError(f"fit_on {fit_on!r}: use pooled or target; fitted per batch it would be a correction already")
    if (name := known_batch(target, known)) is None:
        raise UsageError(f"target {shown(target)}: no such batch; there are {', '.join(known)}")
    staying = batch == name
    if fit_on == "target":
        return staying
    return (
        np.ones(len(batch), bool)
        if sources is None
        else staying | np.isin(batch, [found for one in sources if (found := known_batch(one, known)) is not None])
    )


def coded(adata: Any, use_rep: str | Encoder | Embedded, fit: NDArray[np.bool_], seed: int = 0) -> Embedded:
    """The representation of the cells.

    Args:
        adata: An AnnData object, in memory or backed by a file.
        use_rep: See `merge`.
        fit: Cells that principal components are fitted on, a mask (n,).
        seed: Seed of principal components.

    Raises:
        UsageError: If values cannot be taken as they are.
        DataError: If there is none of that name, or values are missing or no numbers.
    """
    if isinstance(use_rep, Embedded):
        return use_rep
    if callable(use_rep):
        x, said = read_values(adata, None)
        z = np.concatenate([np.asarray(use_rep(block)) for block in _blocks(x)])
        return Embedded(z, None, float("nan"), getattr(use_rep, "__name__", "encoder"), said=said)
    if match := re.fullmatch(r"pca:(\d+)(?::.+)?", use_rep):
        if int(match[1]) < 1:
            raise UsageError(f"use_rep {use_rep!r}: give at least 1 component")
        x, said = read_values(adata, layer_of(use_rep))
        axes = principal_axes(x, int(match[1]), fit, seed)
        if (count := axes.axes.shape[1]) < int(match[1]):
            said = (*said, f"{use_rep}: there are {count} components and no more")
        return Embedded(axes.encode(x), axes, axes.residual, use_rep, values=x, said=said)
    if use_rep == "X" or use_rep.startswith("X:"):
        return _as_they_are(adata, use_rep)
    return _stored(adata, use_rep)


def layer_of(use_rep: str) -> str | None:
    """The layer of "X:LAYER" and "pca:K:LAYER"; None where values are those of X."""
    found = re.fullmatch(r"(?:X|pca:\d+)(?::(.+))?", use_rep)
    return found[1] if found else None


def _as_they_are(adata: Any, use_rep: str) -> Embedded:
    """X, or "X:LAYER", as its own code."""
    x, said = read_values(adata, layer_of(use_rep))
    instead = f"pca:50{use_rep[1:]}"
    if issparse(x):
        raise UsageError(
            f"use_rep {use_rep!r}: a sparse X would have to be made dense: use {instead}, or an embedding in obsm"
        )
    if (size := x.shape[1]) > MOST:
        raise UsageError(f"use_rep {use_rep!r}: {size:,} columns are too many for a critic, {MOST:,} at most: "
                         f"use {instead}")  # fmt: skip
    return Embedded(x, Axes(np.zeros(size), np.eye(size), 0.0, 1.0), 0.0, use_rep, values=x, said=said)


def _stored(adata: Any, use_rep: str) -> Embedded:
    """An embedding in obsm; X_pca has a way back where X is what it was computed from."""
    if use_rep not in adata.obsm:
        known = list(map(str, adata.obsm.keys()))
        raise DataError(
            f"use_rep {use_rep!r}: {meant(use_rep, known, repr)}the embeddings in obsm are {listed(known) or 'none'}: "
            "choose one, X, or pca:50; X:LAYER and pca:50:LAYER are of a layer"
        )
    z, said = _full(adata.obsm[use_rep], f"obsm[{use_rep!r}]")
    loadings = adata.varm["PCs"] if use_rep == "X_pca" and "PCs" in adata.varm else None
    if loadings is None or loadings.shape[1] < z.shape[1]:
        return Embedded(z, None, float("nan"), use_rep, said=said)
    a = np.asarray(loadings, np.float64)[:, : z.shape[1]]
    x, read = (None, ()) if adata.X is None else read_values(adata, None)
    if x is None or not _affine(x, a, z):
        note = 'X_pca is not X times varm["PCs"] (X was scaled or replaced since?): no layer was written; use pca:50'
        return Embedded(z, None, float("nan"), use_rep, note, said=said)
    axes = Axes(np.zeros(len(a)), a, float("nan"), float("nan"))
    return Embedded(z, axes, float("nan"), use_rep, values=x, said=(*said, *read))


def _full(z: Any, place: str) -> tuple[NDArray[Any], tuple[str, ...]]:
    """An embedding as an array of numbers."""
    said = ()
    if hasattr(z, "to_memory"):
        z = z.to_memory()
    if issparse(z):
        if (need := 8 * z.shape[0] * z.shape[1]) > budget() or z.shape[1] > MOST:
            raise DataError(
                f"{place}: {z.shape[0]:,} x {z.shape[1]:,}, sparse, is too large to be made dense "
                f"({need / 2**30:.1f} GiB, {MOST:,} columns at most): use pca:50"
            )
        z, said = z.toarray(), (f"{place} is sparse and was made dense, {z.shape[0]:,} x {z.shape[1]:,}",)
    return np.asarray(z), said


def _affine(x: Any, axes: NDArray[Any], z: NDArray[Any], most: int = 500) -> bool:
    """Whether codes are the rows along the axes, up to one shift and 1 % of their size; some rows are looked at."""
    known = np.flatnonzero(np.isfinite(z).all(1))
    some = known[:: max(1, len(known) // most)]
    gap = np.asarray(x[some] @ axes, np.float64) - z[some]
    return bool(len(some)) and float(gap.std(0).max()) <= 0.01 * float(z[some].std(0).max())


def decoded(code: Embedded, z: NDArray[Any]) -> Any:
    """Values of the cells after the merge, like `code.values`: each row that moved plus its displacement in genes.

    Sparse values keep their pattern.

    Args:
        code: The representation before.
        z: The representation after, (n, k).
    """
    assert code.axes is not None
    x = code.values
    # rows that took no part may have a code that is not a number, and stay what they are all the same
    moved = np.flatnonzero(((z != code.z) & ~(np.isnan(z) & np.isnan(code.z))).any(1))
    sparse = issparse(x)
    out = rows_of(x).astype(x.dtype if x.dtype.kind == "f" else np.float64, copy=True)
    step = max(1, BLOCK // (8 * out.shape[1]))
    for start in range(0, len(moved), step):
        rows = moved[start : start + step]
        shift = code.axes.shift(np.asarray(z[rows], np.float64) - np.asarray(code.z[rows], np.float64))
        if not sparse:
            out[rows] += shift.astype(out.dtype)
            continue
        for row, change in zip(rows, shift, strict=True):
            stored = slice(out.indptr[row], out.indptr[row + 1])
            out.data[stored] += change[out.indices[stored]].astype(out.dtype)
    return out


def read_values(adata: Any, layer: str | None) -> tuple[Any, tuple[str, ...]]:
    """X or a layer as numbers in memory whose rows can be taken, and how it was read.

    Raises:
        DataError: If there is none of that name, or it holds no numbers.
    """
    place, said = "X" if layer is None else f"layer {layer!r}", list[str]()
    if layer is not None and layer not in adata.layers:
        known = list(map(str, adata.layers.keys()))
        raise DataError(f"use_rep: {meant(layer, known, repr)}no layer {layer!r}: the layers are "
                        f"{listed(known) or 'none'}")  # fmt: skip
    x = adata.X if layer is None else adata.layers[layer]
    if hasattr(x, "to_memory"):  # a sparse matrix in a file
        x = x.to_memory()
    if layer is None and getattr(adata, "isbacked", False):
        said.append(
            f"X was read from {adata.filename} into memory; the merge is in the object, not in that file: "
            'adata.write_h5ad("OTHER.h5ad") keeps it'
        )
    x = None if x is None else rows_of(x)
    if x is None or x.dtype.kind not in "fiub":
        raise DataError(f"{place} holds {'nothing' if x is None else x.dtype}: give numbers, or an embedding in obsm")
    if x.dtype.kind == "b":
        said.append(f"{place} holds truth values, which are merged as the numbers 0 and 1")
        x = x.astype(np.float32)
    return x, tuple(said)


def _blocks(x: Any) -> Any:
    step = max(1, BLOCK // (8 * x.shape[1]))
    return (dense(x[start : start + step]) for start in range(0, x.shape[0], step))
