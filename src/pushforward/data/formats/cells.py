"""Gene expression: AnnData files (.h5ad) and objects, sparse or dense, read in blocks of cells."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from pushforward import files
from pushforward.data.blocks.limits import budget
from pushforward.data.blocks.scratch import Room, held, written
from pushforward.data.formats import compressed
from pushforward.data.formats.arrays import LARGE
from pushforward.data.formats.contents import Cells, Contents
from pushforward.data.formats.hdf5 import walked
from pushforward.data.formats.hdf5.elements import as_dataset, as_group, attribute, is_dataset, is_group
from pushforward.data.raw import brief, finite, numeric
from pushforward.errors import DataError, UsageError, meant, needs, of_memory
from pushforward.plain.lists import listed

__all__ = ["of_matrix", "of_object", "read", "whole"]

BLOCK = 1 << 26  # bytes of a dense block
MANY = 1 << 20  # categories that are read though there are fewer cells or genes: those of a part are those of all
FRESH = "write it again with anndata.AnnData.write_h5ad"
DAMAGE = (OSError, LookupError, ValueError, RuntimeError, ArithmeticError)
"""What h5py raises over files that are not as they say; things of another kind are told apart by `hdf5.elements`."""

Blocks = Callable[[int, int], Any]
"""(first, last) -> rows of a matrix, dense or sparse."""


def read(path: Path, key: str | None = None, room: Room = held) -> Contents:
    """Cells of an .h5ad file; only the part asked for is read, in blocks, when the genes to keep are known.

    Args:
        path: The file.
        key: The name of a layer, of an embedding in obsm such as X_pca, or raw; X where it is left out.
        room: Where the part asked for is put.

    Raises:
        UsageError: If h5py is not installed.
        DataError: If the file is damaged, the key unknown, or the cells would not fit into memory.
    """
    with needs("h5py", f"{path}: reading .h5ad"):
        import h5py
    place = str(path) if key is None else f"{path}:{key}"
    with _damage(str(path), "not a readable .h5ad file"), h5py.File(walked(path)) as file:
        where, var = _find(file, key, path)
        shape, dtype = _shape(file[where], place)
        names = () if var is None else tuple(_index(file[var], shape[1], place))
        known = _columns(file)
    numeric(dtype, place)

    def take(some: Sequence[int] | None) -> np.ndarray:
        with _damage(place, "the file is damaged"), h5py.File(path) as file:
            return _dense(lambda: _blocks(file[where], shape, place), shape, some, place, names, room)

    def column(name: str) -> np.ndarray:
        if name not in known:
            raise DataError(f"{path}: no column of obs named {name!r}: {meant(name, known, repr)}"
                            f"the columns are {listed(known, 20) or 'none'}")  # fmt: skip
        with _damage(f"{path}:{name}", "the column cannot be read"), h5py.File(path) as file:
            return _column(file[f"obs/{name}"], shape[0], f"{path}:{name}")

    return replace(_checked(place, shape, names, take), known=known, column=column)


def _columns(file: Any) -> tuple[str, ...]:
    """Names of the columns of obs, its index aside."""
    obs = file.get("obs")
    if not is_group(obs):
        return ()
    index = str(attribute(obs, "_index", "obs") or "_index")
    return tuple(name for name in obs if name not in (index, "__categories"))


def _column(element: Any, count: int, place: str) -> np.ndarray:
    """One column of obs, (n,): categories by their names, all else as it is stored."""
    if is_group(element) and {"codes", "categories"} <= set(element):
        names = np.array(_text(element["categories"], max(count, MANY), "categories at most", place))
        codes = as_dataset(element["codes"], place)
        if codes.shape != (count,):
            raise DataError(f"{place}: codes of shape {codes.shape} for {count:,} cells: {FRESH}")
        rows = codes[:]
        if (unknown := np.flatnonzero((rows < 0) | (rows >= len(names)))).size:
            raise DataError(f"{place}: cell {unknown[0]} has no category: fill it, or leave out the cell")
        return names[rows]
    if is_group(element):
        kind = attribute(element, "encoding-type", place) or "a group"
        raise DataError(f"{place}: stored as {str(kind)!r:.60}: make it categories")
    element = as_dataset(element, place)
    if element.shape != (count,):
        raise DataError(f"{place}: values of shape {element.shape} for {count:,} cells: {FRESH}")
    return element[:] if element.dtype.kind in "biuf" else np.array(_text(element, count, "cells", place))


@contextmanager
def _damage(place: str, what: str, *kinds: type[Exception]) -> Iterator[None]:
    """Within, a file is read that may be damaged, or hold more than the memory does.

    Raises:
        DataError: In place of what h5py raises then, or of further kinds of errors.
        OSError: If there was no room for what was read, on the disk where rows are put.
    """
    try:
        yield
    except (DataError, UsageError):
        raise
    except (*DAMAGE, MemoryError, *kinds) as error:
        if files.is_full(error):
            raise
        if of_memory(error):
            said = f"{place}: the memory does not hold it ({brief(error)})"
            raise DataError(f"{said}: free some, or keep fewer cells or genes") from error
        raise DataError(f"{place}: {what} ({brief(error)}): {FRESH}") from error


def whole(path: Path) -> Any:
    """All of an .h5ad file as an AnnData object, to change it and to write it back.

    Raises:
        UsageError: If anndata is not installed.
        DataError: If the file is damaged, or a sparse matrix in it points out of its bounds.
    """
    with needs("anndata", f"{path}: merging .h5ad"):
        import anndata
    with _damage(str(path), "not a readable .h5ad file", Exception):  # whatever anndata makes of a damaged file
        cells = anndata.read_h5ad(walked(path))
    raw = {} if cells.raw is None else {"raw/X": cells.raw.X}
    groups = {"layers": cells.layers, "obsm": cells.obsm, "varm": cells.varm, "obsp": cells.obsp, "varp": cells.varp}
    stored = {f"{group}/{name}": matrix for group, found in groups.items() for name, matrix in found.items()}
    for name, matrix in ({"X": cells.X} | raw | stored).items():
        compressed.check(matrix, f"{path}:{name}")
    return cells


def of_object(cells: Any, place: str) -> Contents:
    """Cells of an AnnData object: its X with the names of its variables.

    Raises:
        DataError: If there is no X, it is not numeric, or a part of a file that is not in memory.
    """
    if getattr(cells, "isbacked", False):
        if getattr(cells, "is_view", False):
            raise DataError(f"{place}: a part of a file that is not in memory: pass {place}.to_memory()")
        return read(Path(cells.filename))
    if cells.X is None:
        raise DataError(f"{place}: the AnnData object has no X: pass AnnData(X=layers[...], var=...)")
    return of_matrix(cells.X, place, tuple(map(str, cells.var_names)))


def of_matrix(x: Any, place: str, names: tuple[str, ...] = ()) -> Contents:
    """Rows of a matrix in memory, sparse (of scipy) or dense, (n, d)."""
    compressed.check(x, place)
    matrix = x.tocsr() if sparse.issparse(x) else np.asarray(x)
    numeric(matrix.dtype, place)
    shape = tuple(map(int, matrix.shape))
    if len(shape) != 2:
        raise DataError(f"{place}: X has shape {shape}: give (cells, genes)")

    def blocks() -> Iterator[tuple[slice, slice, Any]]:
        for rows in _rows(shape):
            yield rows, slice(None), matrix[rows]

    return _checked(place, shape, names, lambda some: _dense(blocks, shape, some, place, names))


def _checked(
    place: str, shape: tuple[int, int], names: tuple[str, ...], take: Callable[[Sequence[int] | None], np.ndarray]
) -> Contents:
    if names and len(names) != shape[1]:
        raise DataError(f"{place}: {len(names):,} names for {shape[1]:,} genes: {FRESH}")
    if len(set(names)) < len(names):
        seen: set[str] = set()
        twice = next(name for name in names if name in seen or seen.add(name))
        raise DataError(f"{place}: two genes are named {twice!r}: call var_names_make_unique() and save again")
    return Contents(place, Cells(shape, names, take))


def _rows(shape: tuple[int, int]) -> Iterator[slice]:
    step = max(1, BLOCK // (8 * max(1, shape[1])))
    return (slice(start, min(start + step, shape[0])) for start in range(0, shape[0], step))


def _dense(
    blocks: Callable[[], Iterator[tuple[slice, slice, Any]]],
    shape: tuple[int, int],
    some: Sequence[int] | None,
    place: str,
    names: tuple[str, ...],
    room: Room = held,
) -> np.ndarray:
    """The chosen columns of a matrix that comes in blocks, float64, or float32 where that would be large."""
    chosen = np.arange(shape[1]) if some is None else np.asarray(some, np.int64)
    many = shape[0] * len(chosen)
    dtype = np.dtype(np.float64 if 8 * many <= LARGE else np.float32)
    need = many * dtype.itemsize
    if room is held and need > budget():
        raise DataError(
            f"{place}: {shape[0]:,} cells of {len(chosen):,} genes need {need / 2**30:.1f} GiB when dense, "
            f"{budget() / 2**30:.1f} GiB are allowed: keep fewer genes or cells, or compare an embedding, PATH:X_pca"
        )
    out = room((shape[0], len(chosen)), dtype, place)
    for rows, columns, block in blocks():
        where = np.arange(shape[1])[columns]
        mine = np.flatnonzero((chosen >= where[0]) & (chosen <= where[-1]))
        if not len(mine):
            continue
        part = block[:, chosen[mine] - where[0]]
        dense = part.toarray() if sparse.issparse(part) else np.asarray(part)
        if dense.dtype.kind == "f" and not np.isfinite(dense).all():
            row, column = np.argwhere(~np.isfinite(dense))[0]
            name = repr(names[chosen[mine[column]]]) if names else int(chosen[mine[column]])
            raise DataError(
                f"{place}: row {rows.start + int(row)}, column {name} is {dense[row, column]}: "
                "remove these cells or fill the values"
            )
        out[rows, mine] = dense
        written(out)
    finite(out, place)  # float32 may have overflowed
    return out


def _find(file: Any, key: str | None, path: Path) -> tuple[str, str | None]:
    """Where the matrix lies in a file, and the names of its columns: None where they have none."""
    layers, embeddings = (
        list(as_group(file[name], f"{path}:{name}")) if name in file else [] for name in ("layers", "obsm")
    )
    if key is None or key == "X":
        if "X" in file:
            return "X", "var"
        key, known = "X", [*layers, *embeddings]
        raise DataError(f"{path}: the file has no X: choose {path}:{known[0] if known else 'LAYER'}")
    for name in (key, key.partition("/")[2]):
        if name in layers and key in (name, f"layers/{name}"):
            return f"layers/{name}", "var"
        if name in embeddings and key in (name, f"obsm/{name}"):
            return f"obsm/{name}", None
    if key == "raw" and "raw" in file:
        return "raw/X", "raw/var"
    known = ["X", *layers, *embeddings, *(["raw"] if "raw" in file else [])]
    hint = meant(key, known, lambda name: f"{path}:{name}")
    raise DataError(f"{path}: no layer or embedding named {key!r}: {hint}the choices are {listed(known, 20)}")


def _shape(element: Any, place: str) -> tuple[tuple[int, int], np.dtype]:
    if is_dataset(element):
        stored = as_dataset(element, place)
        shape, dtype = stored.shape, stored.dtype
    else:
        group, kind = as_group(element, place), _compressed(element, place)
        if not kind.startswith(("csr", "csc")):
            raise DataError(
                f"{place}: stored as {kind or 'a group'!r}, not as a matrix: choose a layer or an embedding"
            )
        told = attribute(group, "shape", place)
        shape = np.atleast_1d(np.asarray(attribute(group, "h5sparse_shape", place) if told is None else told))
        if shape.ndim > 1 or shape.dtype.kind not in "iu":
            raise DataError(f"{place}: its shape is {str(shape)!r:.60}, no numbers of cells and genes: {FRESH}")
        dtype = as_dataset(group["data"], place).dtype
    if len(shape) != 2 or min(shape) < 1:
        raise DataError(f"{place}: the shape {tuple(map(int, shape))} is no matrix of cells and genes: {FRESH}")
    return (int(shape[0]), int(shape[1])), dtype


def _compressed(element: Any, place: str) -> str:
    """How a matrix that is no array says that it is stored, or nothing."""
    kinds = (attribute(element, name, place) for name in ("encoding-type", "h5sparse_format"))
    return next((str(kind) for kind in kinds if kind is not None), "")


def _index(frame: Any, count: int, place: str) -> list[str]:
    """Names of the rows of a stored data frame, of which there should be so many.

    Raises:
        DataError: If they are of another number, or no names.
    """
    group = as_group(frame, place)
    element: Any = group[str(attribute(group, "_index", place) or "_index")]
    if is_group(element) and "categories" in element:  # of an array, `in` would walk through what it claims
        names = _text(element["categories"], max(count, MANY), "categories at most", place)
        codes = as_dataset(element["codes"], place)
        if codes.shape != (count,) or not 0 <= codes[:].min() <= codes[:].max() < len(names):
            raise DataError(f"{place}: the codes of its names lead to none of {len(names):,} names: {FRESH}")
        return [names[code] for code in codes[:]]
    return _text(element["values"] if is_group(element) else element, count, "genes", place)


def _text(element: Any, most: int, what: str, place: str) -> list[str]:
    """Names of so many things at the most; fewer are for others to refuse."""
    dataset = as_dataset(element, place)
    if dataset.ndim != 1 or len(dataset) > most:  # a header may claim any number of them
        raise DataError(f"{place}: names of shape {dataset.shape} for {most:,} {what}: {FRESH}")
    return [value.decode() if isinstance(value, bytes) else str(value) for value in dataset[:]]


def _blocks(element: Any, shape: tuple[int, int], place: str) -> Iterator[tuple[slice, slice, Any]]:
    """Blocks (rows, columns, values) of a stored matrix, dense or sparse."""
    if is_dataset(element):
        for rows in _rows(shape):
            yield rows, slice(None), element[rows]
        return
    by_rows = _compressed(element, place).startswith("csr")
    lines, across = shape if by_rows else shape[::-1]
    values, places, starts = (as_dataset(element[part], place) for part in ("data", "indices", "indptr"))
    if len(starts) == lines + 1:  # else its claim is refused before it is read
        starts = starts[:]
    compressed.check_starts(starts, lines, len(values), place)
    starts = starts.astype(np.int64)
    for part in _rows((lines, across)):
        low, high = starts[part.start], starts[part.stop]
        stored = values[low:high], places[low:high], starts[part.start : part.stop + 1] - low
        compressed.check_places(stored[1], high - low, across, place)
        if by_rows:
            yield part, slice(None), sparse.csr_matrix(stored, shape=(part.stop - part.start, across))
        else:
            yield slice(0, across), part, sparse.csc_matrix(stored, shape=(across, part.stop - part.start))
