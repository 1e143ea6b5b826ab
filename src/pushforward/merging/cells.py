"""Merging AnnData objects: representation, labels and batches are read from one, and the merge is written into it.

Objects are known by what they have (`X`, `obs`, `obsm`, `varm`, `layers`, `uns`), so anndata need not be installed. A
sparse X is never made dense but in blocks.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse

from pushforward.errors import DataError, UsageError, meant
from pushforward.merging.arrays import Merged, merge_arrays
from pushforward.merging.cloud import How
from pushforward.merging.codes import Axes, dense, principal_axes, rows_of
from pushforward.merging.plan import LEAST, Mode, Scarce, named
from pushforward.plain.lists import listed

__all__ = ["Embedded", "Encoder", "MergeWarning", "as_objects", "coded", "column_of", "decoded", "fitted_on", "merge"]

Encoder: TypeAlias = Callable[[Any], Any]
"""A block of rows (n, genes) -> codes (n, k)."""

BLOCK = 1 << 25  # bytes of a dense block
MOST = 2000  # columns that may be moved as they are


class MergeWarning(UserWarning):
    """What must be known of a merge before its numbers are used; the command tells it in its answer."""


@dataclass(frozen=True)
class Embedded:
    """A representation and the way back.

    Attributes:
        z: Codes, (n, k).
        axes: The way back, or None where there is none: rows move by `axes.shift` of the codes' displacement.
        residual: Root mean square of what the code leaves out of a row, or nan where it is not known.
        name: What it is called.
        note: What must be known about it.
    """

    z: NDArray[Any]
    axes: Axes | None
    residual: float
    name: str
    note: str = ""


def merge(
    adata: Any,
    batch_key: str,
    source: str | Sequence[str] | None = None,
    target: str | None = None,
    *,
    use_rep: str | Encoder | Embedded = "X_pca",
    label_key: str | None = None,
    mode: Mode | None = None,
    divergence: str = "kl",
    lipschitz: float = 1.0,
    scale: Literal["auto"] | float = "auto",
    fit_on: Literal["pooled", "target"] = "pooled",
    reconstruct: bool = True,
    scarce: Scarce = "error",
    least: int = LEAST,
    how: How | None = None,
    n_boot: int = 0,
    scores: bool = True,
    seed: int = 0,
    copy: bool = False,
    tick: Callable[[str, float], None] | None = None,
) -> Any:
    """Move the cells of other batches onto those of a target batch, which stay as they are.

    Writes `obsm["X_gpa"]` (rows of the target bit for bit those of the representation), `obs["gpa_path_length"]`,
    `obs["gpa_final_speed"]`, `uns["gpa"]` (distances, scores, clouds, parameters), with `n_boot` also
    `obsm["X_gpa_sd"]`, and where a way back is known `layers["gpa"]`: each cell's values plus what its displacement is
    in genes. There a sparse X stays sparse: entries that are not stored stay 0. Labels that only the target has are
    given to the others after the transport, in `obs["gpa_label"]` and `obs["gpa_label_share"]`.

    Args:
        adata: An AnnData object.
        batch_key: Column of obs that names the batch of each cell.
        source: Batches that move; all others if None.
        target: The batch that stays.
        use_rep: An embedding in obsm; "X"; "pca:K", K principal components computed here; a function from blocks of X
            to codes; or what `coded` made of one of these.
        label_key: Column of obs with classes.
        mode: How labels are used; see `merge_arrays`.
        divergence: Which one is lowered; see `How`.
        lipschitz: Largest slope of the critic.
        scale: What the representation is divided by.
        fit_on: Cells that principal components are fitted on: sources and target pooled, or the target alone.
        reconstruct: Whether `layers["gpa"]` is written where it can be; `X_pca` must be `X` along `varm["PCs"]` for it.
        scarce: Classes below `least` cells are an error, or carried along by their neighbours ("carry").
        least: Cells that a class must have.
        how: All settings of the flow, in place of divergence and lipschitz.
        n_boot: Refits for `obsm["X_gpa_sd"]`.
        scores: Whether mixing and biology are scored.
        seed: Seed of everything.
        copy: Write into a copy and return it.
        tick: Told what is being done and the fraction done.

    Returns:
        The copy, or None.

    Raises:
        UsageError: If an option is not to be had; the choices are named.
        DataError: If there is no such column or embedding, values are missing, or there are too few cells.

    Example:
        >>> merge(adata, "batch", target="10x_v3", use_rep="pca:50", label_key="cell_type")  # doctest: +SKIP
        >>> sc.pp.neighbors(adata, use_rep="X_gpa")  # doctest: +SKIP
    """
    batch = column_of(adata, batch_key, "batch_key")
    labels = None if label_key is None else column_of(adata, label_key, "label_key")
    sources = [source] if isinstance(source, str) else source
    code = coded(adata, use_rep, fitted_on(batch, target, sources, fit_on), seed)
    merged = merge_arrays(
        code.z,
        batch,
        reference=target,
        sources=sources,
        labels=labels,
        mode=mode,
        how=how or How(divergence=divergence, lipschitz=lipschitz),
        scale=None if scale == "auto" else scale,
        scarce=scarce,
        least=least,
        n_boot=n_boot,
        scores=scores,
        seed=seed,
        tick=tick,
    )
    if reconstruct and code.note:
        merged = replace(merged, warnings=(*merged.warnings, code.note))
    out = adata.copy() if copy else adata
    out.obsm["X_gpa"] = merged.x
    if merged.sd is not None:
        out.obsm["X_gpa_sd"] = merged.sd
    out.obs["gpa_path_length"], out.obs["gpa_final_speed"] = merged.path_length, merged.final_speed
    if merged.labels is not None:
        out.obs["gpa_label"], out.obs["gpa_label_share"] = merged.labels, merged.label_share
        as_objects(out.obs, "gpa_label")
    layer = decoded(adata.X, code, merged.x) if reconstruct and code.axes is not None else None
    if layer is not None:
        out.layers["gpa"] = layer
    out.uns["gpa"] = _record(merged, code, batch_key, label_key, fit_on)
    for words in merged.warnings:
        warnings.warn(words, MergeWarning, stacklevel=2)
    return out if copy else None


def fitted_on(
    batch: NDArray[np.str_], target: str | None, sources: Sequence[str] | None, fit_on: Literal["pooled", "target"]
) -> NDArray[np.bool_]:
    """Cells that principal components are fitted on, a mask (n,); for the arguments see `merge`.

    Raises:
        UsageError: If there is no such target, or no such way.
    """
    known = ", ".join(sorted(set(batch) - {""}))
    if target is None:
        raise UsageError(f"target: name the batch that stays, one of {known}")
    if fit_on not in ("pooled", "target"):
        raise UsageError(f"fit_on {fit_on!r}: use pooled or target; fitted per batch it would be a correction already")
    staying = batch == target
    if not staying.any():
        raise UsageError(f"target {target!r}: no such batch; there are {known}")
    if fit_on == "target":
        return staying
    return np.ones(len(batch), bool) if sources is None else staying | np.isin(batch, list(sources))


def coded(adata: Any, use_rep: str | Encoder | Embedded, fit: NDArray[np.bool_], seed: int = 0) -> Embedded:
    """The representation of the cells.

    Args:
        adata: An AnnData object.
        use_rep: See `merge`.
        fit: Cells that principal components are fitted on, a mask (n,).
        seed: Seed of principal components.

    Raises:
        UsageError: If X cannot be taken as it is.
        DataError: If there is none of that name, or X is missing or holds what is no number.
    """
    if isinstance(use_rep, Embedded):
        return use_rep
    if callable(use_rep):
        z = np.concatenate([np.asarray(use_rep(block)) for block in _blocks(_matrix(adata))])
        return Embedded(z, None, float("nan"), getattr(use_rep, "__name__", "encoder"))
    if match := re.fullmatch(r"pca:(\d+)", use_rep):
        x = _matrix(adata)
        if int(match[1]) < 1:
            raise UsageError(f"use_rep {use_rep!r}: give at least 1 component")
        axes = principal_axes(x, int(match[1]), fit, seed)
        return Embedded(axes.encode(x), axes, axes.residual, use_rep)
    if use_rep == "X":
        x = _matrix(adata)
        if issparse(x):
            raise UsageError("use_rep 'X': a sparse X would have to be made dense: use pca:50, or an embedding in obsm")
        if (size := x.shape[1]) > MOST:
            raise UsageError(f"use_rep 'X': {size:,} columns are too many for a critic, {MOST:,} at most: use pca:50")
        return Embedded(np.asarray(x), Axes(np.zeros(size), np.eye(size), 0.0, 1.0), 0.0, use_rep)
    if use_rep not in adata.obsm:
        known = list(map(str, adata.obsm.keys()))
        raise DataError(
            f"use_rep {use_rep!r}: {meant(use_rep, known, repr)}the embeddings in obsm are {listed(known) or 'none'}: "
            "choose one, X, or pca:50"
        )
    z = np.asarray(adata.obsm[use_rep])
    loadings = adata.varm["PCs"] if use_rep == "X_pca" and "PCs" in adata.varm else None
    if loadings is None or loadings.shape[1] < z.shape[1]:
        return Embedded(z, None, float("nan"), use_rep)
    a = np.asarray(loadings, np.float64)[:, : z.shape[1]]
    if adata.X is None or not _affine(rows_of(adata.X), a, z):
        note = 'X_pca is not X times varm["PCs"] (X was scaled or replaced since?): no layer was written; use pca:50'
        return Embedded(z, None, float("nan"), use_rep, note)
    return Embedded(z, Axes(np.zeros(len(a)), a, float("nan"), float("nan")), float("nan"), use_rep)


def _affine(x: Any, axes: NDArray[Any], z: NDArray[Any], most: int = 500) -> bool:
    """Whether codes are the rows along the axes, up to one shift and 1 % of their size; some rows are looked at."""
    known = np.flatnonzero(np.isfinite(z).all(1))
    some = known[:: max(1, len(known) // most)]
    gap = np.asarray(x[some] @ axes, np.float64) - z[some]
    return bool(len(some)) and float(gap.std(0).max()) <= 0.01 * float(z[some].std(0).max())


def decoded(x: Any, code: Embedded, z: NDArray[Any]) -> Any:
    """Values of the cells after the merge, like x: each row that moved plus its displacement in genes.

    Args:
        x: Values before, (n, d), dense, or sparse, which then keeps its pattern.
        code: The representation before.
        z: The representation after, (n, k).
    """
    assert code.axes is not None
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


def as_objects(frame: Any, name: str) -> None:
    """Make text of a data frame's column categories of objects, in place: anndata 0.12 cannot write pandas 3's text."""
    column = frame[name]
    if str(getattr(column, "dtype", "")).startswith("str"):
        column = column.astype("category")
    if hasattr(column, "cat"):
        frame[name] = column.cat.rename_categories(column.cat.categories.astype(object))


def _record(merged: Merged, code: Embedded, batch_key: str, label_key: str | None, fit_on: str) -> dict[str, Any]:
    """What goes into uns: text, numbers, arrays and dictionaries of these, as .h5ad files can hold."""
    found = merged.as_dict()
    clouds = found.pop("clouds")
    found["warnings"] = np.array(found["warnings"], dtype=object)
    found["parameters"] = found["parameters"] | {
        "sources": np.array(found["parameters"]["sources"], dtype=object),
        "batch_key": batch_key,
        "label_key": label_key or "",
        "use_rep": code.name,
        "fit_on": fit_on,
    }
    found["clouds"] = {name: np.array([cloud[name] for cloud in clouds]) for name in clouds[0]}
    for name in ("batch", "label", "settled"):
        found["clouds"][name] = found["clouds"][name].astype(object)
    found["curves"] = {
        str(k): {name: np.array(curve) for name, curve in curves.items()} for k, curves in enumerate(merged.curves)
    }
    found["distances"] = {name.replace("/", "|"): numbers for name, numbers in merged.distances.items()}
    found["w2_reconstruction"] = code.residual / merged.scale
    return found


def column_of(adata: Any, key: str, what: str) -> NDArray[np.str_]:
    """A column of obs as text, "" where nothing is known; `what` is the option that names it.

    Raises:
        DataError: If there is none of that name.
    """
    if key not in adata.obs:
        known = list(map(str, adata.obs.keys()))
        raise DataError(f"{what} {key!r}: {meant(key, known, repr)}the columns of obs are {listed(known) or 'none'}")
    return named(adata.obs[key], key)


def _matrix(adata: Any) -> Any:
    x = rows_of(adata.X) if adata.X is not None else None
    if x is None or x.dtype.kind not in "fiu":
        raise DataError(f"X holds {'nothing' if x is None else x.dtype}: give numbers, or an embedding in obsm")
    return x


def _blocks(x: Any) -> Any:
    step = max(1, BLOCK // (8 * x.shape[1]))
    return (dense(x[start : start + step]) for start in range(0, x.shape[0], step))
