"""Cells that come after a merge: embedded as those were that were merged, and carried the way of their neighbours."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import issparse

from pushforward.errors import DataError, UsageError
from pushforward.merging.codes import Axes
from pushforward.merging.embedding import Embedded, Encoder, coded, decoded, layer_of, read_values
from pushforward.merging.flow.mapping import MergeMap, damaged, opened_map
from pushforward.merging.plan import MergeWarning, known_batch, labelled, named
from pushforward.plain.lists import counted

__all__ = ["Merger", "column_names"]

Array = NDArray[Any]


@dataclass(frozen=True)
class Merger:
    """How cells are merged that were not there when their batches were.

    Attributes:
        map: The anchors.
        rep: Name of the representation, as `merge` was asked for it.
        batch_key: Column of obs with batches.
        label_key: Column of obs with classes, or "".
        axes: Principal axes, of "pca:K"; else None.
        names: Names of the columns of X that the axes or the cells as they are belong to; or none.

    Example:
        >>> merge(adata, "donor", target="A", use_rep="pca:50")  # doctest: +SKIP
        >>> merger = Merger.of(adata)  # doctest: +SKIP
        >>> merger.transport(later)  # writes obsm["X_gpa"], and layers["gpa"]  # doctest: +SKIP
    """

    map: MergeMap
    rep: str
    batch_key: str
    label_key: str = ""
    axes: Axes | None = None
    names: tuple[str, ...] = ()

    @property
    def by_class(self) -> bool:
        """Whether batches moved by their classes, so that new cells need theirs."""
        return bool(self.label_key) and bool((self.map.label != "").any())

    @classmethod
    def of(cls, adata: Any) -> Merger:
        """That of an object that `merge` wrote into, also of one read from a file.

        Raises:
            DataError: If it holds no merge.
        """
        if "gpa" not in adata.uns or "map" not in adata.uns["gpa"]:
            raise DataError("the object holds no map of a merge in uns['gpa']: merge it first")
        found = dict(adata.uns["gpa"]["map"])
        about = {name: found.pop(name) for name in ("rep", "batch_key", "label_key", "reference")}
        words = {name: [str(word) for word in found.pop(name)] for name in ("names", "columns")}
        return _made({name: np.asarray(value) for name, value in found.items()}, about | words)

    def stored(self) -> dict[str, Any]:
        """What `uns` holds of it: arrays and text."""
        arrays, about = self._parts()
        words = {name: np.array(about.pop(name), dtype=object) for name in ("names", "columns")}
        return arrays | about | words

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything to one safetensors file, without pickle, replacing one that is there in one step."""
        arrays, about = self._parts()
        more = {name: value for name, value in arrays.items() if name in ("axes", "mean")}
        self.map.save(path, {name: torch.from_numpy(value) for name, value in more.items()}, about)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Merger:
        """Read what `save` wrote.

        Raises:
            DataError: If there is no such file, or it holds something else.
        """
        arrays, about = opened_map(path)
        with damaged(path):
            return _made(arrays, about)

    def transport(
        self, adata: Any, *, use_rep: Encoder | Embedded | None = None, reconstruct: bool = True, copy: bool = False
    ) -> Any:
        """Carry new cells of the batches that were merged; no other cell and no number of the merge changes.

        Writes `obsm["X_gpa"]`, `obs["gpa_path_length"]`, `obs["gpa_matched"]` and, where there is a way back,
        `layers["gpa"]`, as `merge` does. Cells of the reference stay bit for bit. Columns of X, X:LAYER and pca:K are
        taken by their names, in whatever order, and those that were not merged stay as they are; an encoder sees them
        as they come.

        Args:
            adata: New cells, with the columns of obs, the genes and the representation that were merged; arrays go to
                `map.transport`.
            use_rep: The encoder, where the representation was one's own function, or an embedding made with it.
            reconstruct: Whether `layers["gpa"]` is written where it can be.
            copy: Write into a copy and return it.

        Returns:
            The copy, or None.

        Raises:
            UsageError: If a batch or a class was not merged, or the encoder is needed and not given.
            DataError: If a column, an embedding or genes are missing.
        """
        if not hasattr(adata, "obs"):
            raise DataError(f"cells of {type(adata).__name__}: give an AnnData object, or codes to map.transport")
        batch = self.batches(adata)
        labels = None
        if self.by_class:
            labels, _ = labelled(_column(adata, self.label_key), batch)
        code = self._coded(adata, use_rep)
        carried = self.map.transport(code.z, batch, labels)
        out = adata.copy() if copy else adata
        out.obsm["X_gpa"] = carried.x
        out.obs["gpa_path_length"], out.obs["gpa_matched"] = carried.path_length, carried.matched
        if reconstruct and code.axes is not None:
            out.layers["gpa"] = decoded(code, carried.x)
        away, said = int(carried.far.sum()), list(code.said)
        if away:
            words = f"{counted(away, 'cell')} far from all that were merged: left in place; are they of this data set?"
            said.append(words)
        for words in said:
            warnings.warn(words, MergeWarning, stacklevel=2)
        return out if copy else None

    def batches(self, adata: Any) -> NDArray[np.str_]:
        """Batches of cells as the map names them, (n,).

        Raises:
            DataError: If there is no such column.
        """
        batch, known = _column(adata, self.batch_key), [self.map.reference, *self.map.sources]
        names, places = np.unique(batch, return_inverse=True)
        return np.array([known_batch(name, known) or name for name in names.tolist()], dtype=np.str_)[places]

    def _coded(self, adata: Any, use_rep: Encoder | Embedded | None) -> Embedded:
        """The representation of new cells."""
        everything = np.ones(adata.n_obs if hasattr(adata, "n_obs") else adata.X.shape[0], bool)
        if use_rep is not None:
            return coded(adata, use_rep, everything)
        if self.axes is not None or self.names:
            return self._of_values(adata)
        if self.rep in ("X", *adata.obsm) or self.rep.startswith("X:") or self.rep.startswith("X_"):
            return coded(adata, self.rep, everything)
        raise UsageError(f"the cells were merged by {self.rep}: give it as use_rep")

    def _of_values(self, adata: Any) -> Embedded:
        """Codes of values by the names of their columns, and the way back to all columns that there are."""
        x, said = read_values(adata, layer_of(self.rep))
        here, count = column_names(adata), len(self.names) if self.axes is None else len(self.axes.mean)
        if not (self.names and here):
            if x.shape[1] != count:
                raise DataError(f"{x.shape[1]} columns, the merge had {count}: give the same ones")
            places = np.arange(count)
        else:
            places, others = _places(self.names, here)
            if others:
                said = (*said, f"{counted(len(others), 'column')} not merged, {others[0]!r} first: left as they are")
        part = x if np.array_equal(places, np.arange(x.shape[1])) else x[:, places]
        if self.axes is None and issparse(part):
            raise UsageError(f"the cells were merged by {self.rep}, which has to be dense, and these are sparse: "
                             "give adata with X.toarray()")  # fmt: skip
        axes = Axes(np.zeros(count), np.eye(count), 0.0, 1.0) if self.axes is None else self.axes
        z = part if self.axes is None else axes.encode(part)
        rows = np.zeros((x.shape[1], axes.axes.shape[1]))
        rows[places] = axes.axes
        nothing = float("nan")
        return Embedded(z, Axes(np.zeros(len(rows)), rows, nothing, nothing), nothing, self.rep, values=x, said=said)

    def _parts(self) -> tuple[dict[str, Array], dict[str, Any]]:
        """Arrays, and the rest as JSON holds it."""
        arrays, about = self.map.parts()
        if self.axes is not None:
            arrays |= {"axes": self.axes.axes, "mean": self.axes.mean}
        more = {"rep": self.rep, "batch_key": self.batch_key, "label_key": self.label_key, "columns": [*self.names]}
        return arrays, about | more


def _made(arrays: dict[str, Array], about: dict[str, Any]) -> Merger:
    """A merger of what it was taken apart into."""
    axes = None
    if "axes" in arrays:
        axes = Axes(arrays.pop("mean"), arrays.pop("axes"), float("nan"), float("nan"))
    rep, batch_key, label_key = (str(about[name]) for name in ("rep", "batch_key", "label_key"))
    return Merger(MergeMap.made(arrays, about), rep, batch_key, label_key, axes, tuple(map(str, about["columns"])))


def _column(adata: Any, key: str) -> NDArray[np.str_]:
    if key not in adata.obs:
        raise DataError(f"no column {key!r} in obs, by which the cells were merged: give it")
    return named(adata.obs[key], key)


def column_names(adata: Any) -> list[str]:
    """Names of the columns of X, of an AnnData object or a plain matrix."""
    return [str(name) for name in (adata.var_names if hasattr(adata, "var_names") else adata.names)]


def _places(names: tuple[str, ...], here: list[str]) -> tuple[NDArray[np.int64], list[str]]:
    """Where the columns that were merged are among those here, and the names of those that were not."""
    if list(names) == here:
        return np.arange(len(names)), []
    count, merged = Counter(here), set(names)
    if missing := [name for name in names if name not in count]:
        raise DataError(
            f"{len(missing)} of {len(names)} columns that were merged are missing, {missing[0]!r} first: give them"
        )
    if len(merged) < len(names):
        twice = next(name for name, times in Counter(names).items() if times > 1)
        raise DataError(f"columns that were merged share the name {twice!r}: give them all, in the order that they had")
    if twice := [name for name in names if count[name] > 1]:
        raise DataError(f"column {twice[0]!r} stands there more than once: keep the one that was merged")
    found = {name: k for k, name in enumerate(here)}
    return np.array([found[name] for name in names], np.int64), [name for name in here if name not in merged]
