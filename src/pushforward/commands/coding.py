"""Codes of the cells of an .h5ad file by a run of an autoencoder of counts, to merge them there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import issparse

from pushforward.commands.rebuilding import rebuild
from pushforward.data import Dataset
from pushforward.data.formats.opening import divided
from pushforward.data.matching import is_named
from pushforward.data.raw import counted
from pushforward.errors import DataError, UsageError, meant
from pushforward.merging.codes import dense, rows_of
from pushforward.merging.embedding import Embedded
from pushforward.methods.latent.vae import VAE
from pushforward.plain.lists import listed

__all__ = ["BY_RUN", "codes_of_run"]

BY_RUN = "vae:"  # before the folder of a run
BLOCK = 1 << 25  # bytes of a dense block


def codes_of_run(cells: Any, batch: NDArray[np.str_], spec: str) -> Embedded:
    """Where a run puts cells in its code space; of a run that is told batches, each cell with its own.

    Args:
        cells: An AnnData object whose X, or whose layer, holds counts.
        batch: Batch of each cell, (n,).
        spec: "vae:RUN", for counts in X, or "vae:RUN:LAYER".

    Raises:
        UsageError: If the run is none of an autoencoder of counts, or was told other batches.
        DataError: If genes of the run are missing, there is no such layer, or it holds no counts.
    """
    folder, layer = divided(spec.removeprefix(BY_RUN))
    experiment, run = rebuild(folder)
    method, data = experiment.method, experiment.data
    if not isinstance(method, VAE) or data.kind != "points":
        raise UsageError(f"--use-rep {spec}: a run of {run['recipe']} has no codes of counts; train vae_counts")
    if layer is not None and layer not in cells.layers:
        known = list(map(str, cells.layers.keys()))
        raise DataError(f"--use-rep {spec}: {meant(layer, known)}the layers are {listed(known) or 'none'}")
    x = rows_of(cells.X if layer is None else cells.layers[layer])
    columns = _columns(data, list(map(str, cells.var_names)), spec)
    told = _numbers(batch, data.classes or (), spec) if experiment.conditional else None
    place = f"--use-rep {spec}: {f'X, for which {spec}:LAYER may stand' if layer is None else layer}"
    parts, step = list[NDArray[np.float64]](), max(1, BLOCK // (8 * x.shape[1]))
    for start in range(0, x.shape[0], step):
        block = x[start : start + step]
        rows = (dense(block) if issparse(block) else np.asarray(block, np.float64))[:, columns]
        counted(rows, place, data.columns, start)
        own = None if told is None else told[start : start + step]
        with torch.no_grad():
            parts.append(method.encode(data.encode(rows), own).double().numpy())
    note = f"{spec}: codes have no affine way back to genes: no layer was written; use pca:50 for one"
    return Embedded(np.concatenate(parts), None, float("nan"), spec, note)


def _columns(data: Dataset, names: Sequence[str], spec: str) -> NDArray[np.int64]:
    """Where the genes of a run stand among those of the cells: by name where the run knows names."""
    if not is_named(data.columns):
        if len(names) != data.event[0]:
            raise DataError(f"--use-rep {spec}: the run learned {data.event[0]:,} genes without names, here are "
                            f"{len(names):,}: give the same ones")  # fmt: skip
        return np.arange(len(names))
    at = {name: k for k, name in enumerate(names)}
    if missing := [name for name in data.columns if name not in at]:
        raise DataError(f"--use-rep {spec}: genes of the run are missing: {listed(missing)}: give the cells with them")
    return np.array([at[name] for name in data.columns])


def _numbers(batch: NDArray[np.str_], classes: Sequence[str], spec: str) -> torch.Tensor:
    """Batches as the run counts them."""
    if unknown := sorted(set(batch.tolist()) - set(classes)):
        raise UsageError(f"--use-rep {spec}: batch {unknown[0]!r} is none of the run's, {listed(classes)}: train with "
                         "it, or without --conditional")  # fmt: skip
    return torch.tensor([classes.index(name) for name in batch.tolist()])
