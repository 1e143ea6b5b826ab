"""Merging AnnData objects: representation, labels and batches are read from one, and the merge is written into it.

Objects are known by what they have (`X`, `obs`, `obsm`, `varm`, `layers`, `uns`), so anndata need not be installed.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal
from urllib.parse import unquote

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse

from pushforward.errors import DataError, UsageError, meant
from pushforward.merging.arrays import Merged, merge_arrays
from pushforward.merging.codes import rows_of
from pushforward.merging.embedding import Embedded, Encoder, coded, decoded, fitted_on
from pushforward.merging.flow.how import How
from pushforward.merging.merger import Merger, column_names
from pushforward.merging.numbers.values import COUNTS, Keep, checked, compared, counts, kept
from pushforward.merging.plan import LEAST, MergeWarning, Mode, Scarce, Unmatched, named
from pushforward.parallel.threads import within
from pushforward.plain.lists import listed

__all__ = ["MergeWarning", "as_objects", "by_batch", "column_of", "merge"]


def merge(
    adata: Any,
    batch_key: str,
    source: object = None,
    target: object = None,
    *,
    use_rep: str | Encoder | Embedded = "X_pca",
    label_key: str | None = None,
    mode: Mode | None = None,
    divergence: str = "kl",
    lipschitz: float = 1.0,
    scale: Literal["auto"] | float = "auto",
    fit_on: Literal["pooled", "target"] = "pooled",
    reconstruct: bool = True,
    keep: Sequence[Keep] = (),
    scarce: Scarce = "error",
    unmatched: Unmatched | None = None,
    least: int = LEAST,
    how: How | None = None,
    n_boot: int = 0,
    scores: bool = True,
    seed: int = 0,
    threads: int = 1,
    copy: bool = False,
    tick: Callable[[str, float], None] | None = None,
) -> Any:
    """Move the cells of other batches onto those of a target batch, which stay as they are.

    Writes `obsm["X_gpa"]` (rows of the target bit for bit those of the representation), `obs["gpa_path_length"]`,
    `obs["gpa_matched"]` (whether a cell has a counterpart in the target), `obs["gpa_held"]` (whether it was held out:
    no critic saw it, and of the target these are scored), `uns["gpa"]` (distances, scores, clouds, parameters, the map
    that `Merger` carries later cells by; a "/" in the name of a batch stands there as "%2F", which .h5ad files can
    hold), with `n_boot` also `obsm["X_gpa_sd"]`, and where a way back is known `layers["gpa"]`: each cell's values plus
    what its displacement is in genes. There a sparse X stays sparse: entries that are not stored stay 0. Labels that
    only the target has are given to the others after the transport, in `obs["gpa_label"]` and `obs["gpa_label_share"]`.

    Args:
        adata: An AnnData object; of one that is backed by a file X is read into memory, and the file stays as it is.
        batch_key: Column of obs that names the batch of each cell: text, whole numbers or truth values.
        source: A batch that moves, or several; all others if None.
        target: The batch that stays, of the column's type or as text.
        use_rep: An embedding in obsm; "X"; "pca:K", K principal components computed here; "X:LAYER" and "pca:K:LAYER",
            the same of a layer, whose moved values `layers["gpa"]` then holds; a function from blocks of X to codes; or
            what `embedding.coded` made of one of these.
        label_key: Column of obs with classes.
        mode: How labels are used; see `merge_arrays`.
        divergence: Which one is lowered; see `How`.
        lipschitz: Largest slope of the critic.
        scale: What the representation is divided by.
        fit_on: Cells that principal components are fitted on: sources and target pooled, or the target alone.
        reconstruct: Whether `layers["gpa"]` is written where it can be; `X_pca` must be `X` along `varm["PCs"]` for it.
        keep: What moved values keep in `layers["gpa"]`, of "zeros", "signs" and "levels", as `values.kept` says.
        scarce: Classes below `least` cells are an error, carried along by their neighbours ("carry"), or "stay".
        unmatched: What becomes of cells without a counterpart, where there are no classes: "stay", the default,
            "follow" or "move"; see `merge_arrays`.
        least: Cells that a class must have.
        how: All settings of the flow, in place of divergence and lipschitz.
        n_boot: Refits for `obsm["X_gpa_sd"]`.
        scores: Whether mixing and biology are scored.
        seed: Seed of everything.
        threads: Threads that compute; 0 for those of the process.
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
    if copy and getattr(adata, "isbacked", False):
        raise UsageError("copy: the object is backed by a file: merge adata.to_memory(), or without copy")
    keep, batch = checked(keep), column_of(adata, batch_key, "batch_key")
    labels = None if label_key is None else column_of(adata, label_key, "label_key")
    sources = _several(source)
    with within(threads):
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
        unmatched=unmatched,
        least=least,
        n_boot=n_boot,
        scores=scores,
        seed=seed,
        threads=threads,
        tick=tick,
    )
    notes = (*code.said, code.note) if reconstruct and code.note else code.said
    merged = replace(merged, warnings=(*merged.warnings, *notes))
    out = adata.copy() if copy else adata
    out.obsm["X_gpa"] = merged.x
    if merged.sd is not None:
        out.obsm["X_gpa_sd"] = merged.sd
    out.obs["gpa_path_length"] = merged.path_length
    out.obs["gpa_matched"], out.obs["gpa_held"] = merged.matched, merged.held
    if merged.labels is not None:
        out.obs["gpa_label"], out.obs["gpa_label_share"] = merged.labels, merged.label_share
        as_objects(out.obs, "gpa_label")
    if reconstruct and code.axes is not None:
        with within(threads):
            out.layers["gpa"], found, words = _written(code, merged, batch, keep, seed)
        merged = replace(merged, values=found, warnings=(*merged.warnings, *words))
    elif keep:
        words = f"keep {' '.join(keep)}: no values were written, so there was nothing to keep"
        merged = replace(merged, warnings=(*merged.warnings, words))
    out.uns["gpa"] = _record(merged, code, batch_key, label_key, fit_on)
    out.uns["gpa"]["map"] = _merger(merged, code, adata, batch_key, label_key).stored()
    for words in merged.warnings:
        warnings.warn(words, MergeWarning, stacklevel=2)
    return out if copy else None


def _merger(merged: Merged, code: Embedded, adata: Any, batch_key: str, label_key: str | None) -> Merger:
    """How later cells are merged; columns have names where values were coded, and there are some."""
    fitted = code.axes if code.name.startswith("pca:") else None
    of_values = fitted is not None or code.name == "X" or code.name.startswith("X:")
    names = tuple(column_names(adata)) if of_values else ()
    return Merger(merged.map, code.name, batch_key, label_key or "", fitted, names)


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
    found["clouds"] = {name: np.array([cloud[name] for cloud in clouds]) for name in (clouds[0] if clouds else ())}
    for name in found["clouds"].keys() & {"batch", "label", "settled"}:
        found["clouds"][name] = found["clouds"][name].astype(object)
    found["curves"] = {
        str(k): {name: np.array(curve) for name, curve in curves.items()} for k, curves in enumerate(merged.curves)
    }
    found["distances"] = {_key(name): numbers for name, numbers in merged.distances.items()}
    found["w2_reconstruction"] = code.residual / merged.scale
    return found


def _written(
    code: Embedded, merged: Merged, batch: NDArray[np.str_], keep: Sequence[Keep], seed: int
) -> tuple[Any, dict[str, Any], list[str]]:
    """The values after the merge with what is kept of them, the shares of zeros and the like, and what to say."""
    layer, x = decoded(code, merged.x), rows_of(code.values)
    moved = np.flatnonzero(np.isin(batch, merged.parameters["sources"]) & (merged.path_length > 0))
    if not len(moved):
        return layer, {}, []
    target = x[np.flatnonzero(batch == merged.parameters["reference"])]
    if keep:
        layer = _with_rows(layer, moved, kept(x[moved], layer[moved], target, keep))
    found = compared(x[moved], layer[moved], target, keep, seed)
    said = [words] if (words := found.words()) else []
    raw = counts(target) and counts(x[moved]) and not {"signs", "levels"} <= set(keep)
    if raw and COUNTS not in merged.warnings:
        said.insert(0, COUNTS)
    return layer, found.as_dict(), said


def _with_rows(x: Any, rows: NDArray[np.int64], new: Any) -> Any:
    """A matrix with rows replaced, in place; sparse ones have the pattern of the old."""
    if not issparse(x):
        x[rows] = new
        return x
    for row, start, end in zip(rows, new.indptr[:-1], new.indptr[1:], strict=True):
        x.data[x.indptr[row] : x.indptr[row + 1]] = new.data[start:end]
    return x


def _several(source: object) -> Sequence[object] | None:
    """The batches that move, of one or several."""
    if source is None:
        return None
    return [source] if isinstance(source, str) or not isinstance(source, Iterable) else list(source)


def _key(batch: str) -> str:
    """A batch as a key of an .h5ad file, which holds no "/" and takes "." for the place it stands at; none collide."""
    return "%2E" if batch == "." else batch.replace("%", "%25").replace("/", "%2F")


def by_batch(found: Mapping[str, Any]) -> dict[str, Any]:
    """Distances of `uns["gpa"]` by the names of the batches, with "/" and "%" as they are."""
    return {unquote(name): numbers for name, numbers in found["distances"].items()}


def column_of(adata: Any, key: str, what: str) -> NDArray[np.str_]:
    """A column of obs as text, "" where nothing is known; `what` is the option that names it.

    Raises:
        DataError: If there is none of that name.
    """
    if key not in adata.obs:
        known = list(map(str, adata.obs.keys()))
        raise DataError(f"{what} {key!r}: {meant(key, known, repr)}the columns of obs are {listed(known) or 'none'}")
    return named(adata.obs[key], key)
