"""Files to merge: .h5ad, and plain matrices, .csv with a column of batches or .npz with an array of them.

A plain matrix comes back in the format it came in: columns and rows in their order, rows of the target verbatim.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse

from pushforward import files
from pushforward.data.blocks.limits import budget
from pushforward.data.formats import arrays, compressed
from pushforward.data.formats.cells import whole
from pushforward.data.formats.contents import Table
from pushforward.data.formats.opening import divided, opened
from pushforward.data.raw import brief
from pushforward.errors import DataError, UsageError, meant
from pushforward.merging.cells import as_objects
from pushforward.merging.columns import chosen, picked
from pushforward.merging.plan import named
from pushforward.plain.lists import listed

__all__ = ["ENDINGS", "Matrix", "default_rep", "read", "write"]

CSR = ("data", "indices", "indptr", "shape")
ENDINGS = {".h5ad": (".h5ad",), ".csv": (".csv", ".tsv"), ".tsv": (".csv", ".tsv"), ".npz": (".npz",)}
"""What can be merged, and what each ending is written as."""
WIDE = 100  # columns from which on principal components are merged, not the columns


@dataclass
class Matrix:
    """A plain matrix with what `merge` looks for in an AnnData object.

    Attributes:
        X: Values, (n, d), dense or sparse.
        obs: Columns of the cells by name, (n,) each.
        content: (ending, self) -> what a file of that ending holds.
        names: Names of the columns of X, or ().
        notes: How the file was read: what moves, and what stays as it is.
        parts: The same for machines, names of columns or arrays: `moved`, `left` as it was asked, and `stayed`.
    """

    X: Any
    obs: dict[str, Any]
    content: Callable[[str, Matrix], bytes]
    names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    parts: dict[str, list[str]] = field(default_factory=dict)
    obsm: dict[str, Any] = field(default_factory=dict)
    varm: dict[str, Any] = field(default_factory=dict)
    layers: dict[str, Any] = field(default_factory=dict)
    uns: dict[str, Any] = field(default_factory=dict)


def read(
    spec: str, batch: str, labels: str | None = None, exclude: Sequence[str] = (), columns: Sequence[str] = ()
) -> Any:
    """The cells of FILE.h5ad, FILE.csv or FILE.npz[:key].

    Args:
        spec: The file; for .npz with the name of the matrix after a colon, x where it is left out.
        batch: Column or array with batches.
        labels: Column or array with classes, or None.
        exclude: Columns that stay as they are: by name, or of a matrix without names by number from 0.
        columns: Columns that move, and no others, likewise; all that look measured if empty. Commas may divide them.

    Raises:
        UsageError: If the format is not known, what it needs is not installed, or nothing of it can be left.
        DataError: If the file is missing or damaged, or holds no such column.
    """
    path, key = divided(spec)
    suffix = path.suffix.lower()
    if suffix not in ENDINGS or (key is not None and suffix != ".npz"):
        raise UsageError(f"{spec}: give FILE.h5ad, FILE.csv, FILE.tsv or FILE.npz[:key]")
    if not path.is_file():
        raise DataError(f"{path}: no such file: check the path")
    if suffix == ".h5ad":
        _refused(exclude, columns, "goes with tables; of an .h5ad file obs stays as it is")
        return whole(path)
    if suffix == ".npz":
        return _archive(path, key, (batch, labels), exclude, columns)
    contents = opened(path, verbatim=True)
    assert isinstance(contents.body, Table)
    return _table(contents.body, contents.notes, (batch, labels), exclude, columns)


def write(cells: Any, out: Path, ending: str = "") -> None:
    """Write merged cells to a file, which appears only when it is whole.

    Args:
        cells: What `read` gave, merged.
        out: The file.
        ending: What it will end in where that is another, which says what stands between the cells of a table.
    """
    if isinstance(cells, Matrix):
        files.write(out, cells.content(ending or out.suffix.lower(), cells))
        return
    tables = [cells.obs, cells.var, *cells.obsm.values(), *cells.varm.values(), *cells.uns.values()]
    if cells.raw is not None:
        tables += [cells.raw.var, *cells.raw.varm.values()]
    for table in tables:
        if hasattr(table, "columns"):
            table.index = table.index.astype(object)
            for name in table.columns:
                as_objects(table, name)
    with files.whole_file(out) as fresh:
        cells.write_h5ad(fresh)


def default_rep(cells: Any) -> str:
    """X_pca where there is one; the columns as they are where they are few; else 50 principal components."""
    if "X_pca" in cells.obsm:
        return "X_pca"
    plain = isinstance(cells, Matrix) and not issparse(cells.X) and cells.X.shape[1] <= WIDE
    return "X" if plain else "pca:50"


def _refused(exclude: Sequence[str], columns: Sequence[str], why: str) -> None:
    """Refuse options that choose columns."""
    for option, asked in (("--exclude", exclude), ("--columns", columns)):
        if asked:
            raise UsageError(f"{option} {' '.join(asked)}: {why}")


def _archive(
    path: Path, key: str | None, keys: Sequence[str | None], exclude: Sequence[str], columns: Sequence[str]
) -> Matrix:
    known = arrays.names(path)
    content = arrays.everything(path)
    sparse = key is None and "x" not in content and set(CSR) <= set(known)
    key = key or "x"
    if sparse:
        x: Any = _csr({name: content[name] for name in CSR}, path)
    elif key not in content:
        raise DataError(
            f"{path}: no array {key!r}: {meant(key, known, repr)}the arrays are {', '.join(known)}: choose one, "
            f"{path}:NAME"
        )
    else:
        x = content[key]
    if x.ndim != 2 or x.dtype.kind not in "fiub":
        raise DataError(f"{path}:{key}: {x.dtype} of shape {x.shape}: give numbers, (cells, columns)")
    if sparse:
        _refused(exclude, columns, f"goes with a dense matrix; {path} holds a sparse one")
    left, moving = _numbered(x.shape[1], exclude, columns, path)
    obs = dict[str, Any]()
    for name in keys:
        if name is not None:
            if name not in content or content[name].shape != (x.shape[0],):
                fit = [other for other in known if content[other].shape == (x.shape[0],)]
                raise DataError(
                    f"{path}: no array {name!r} of {x.shape[0]} names: {meant(name, fit, repr)}there are "
                    f"{', '.join(fit) or 'none'}"
                )
            obs[name] = _decoded(content[name], content.get(f"{name}_names"), f"{path}:{name}")

    def content_of(_: str, cells: Matrix) -> bytes:
        moved = cells.layers.get("gpa", cells.obsm["X_gpa"])
        kept = {name: value for name, value in content.items() if not (sparse and name in CSR)}
        if sparse and issparse(moved):
            kept |= {"data": moved.data, "indices": moved.indices, "indptr": moved.indptr, "shape": content["shape"]}
        else:
            kept[key] = _beside(x, moving, moved)
        kept |= {"X_gpa": cells.obsm["X_gpa"]} | {
            name: _plain(value) for name, value in cells.obs.items() if name.startswith("gpa_")
        }
        if "X_gpa_sd" in cells.obsm:
            kept["X_gpa_sd"] = cells.obsm["X_gpa_sd"]
        buffer = io.BytesIO()
        np.savez_compressed(buffer, allow_pickle=False, **kept)
        return buffer.getvalue()

    moved: list[str] = [*CSR] if sparse else [key]
    stayed = [name for name in known if not name.endswith("_names") and name not in (*moved, *obs)]
    notes, parts = _said("array", moved, [], stayed)
    if left:
        notes.append(f"columns of {key} left as they are, counted from 0: {', '.join(left)}")
        parts["left"] = left
    if not sparse:
        parts["columns"] = [str(k) for k in moving]
    return Matrix(x[:, moving] if left else x, obs, content_of, notes=tuple(notes), parts=parts)


def _numbered(
    count: int, exclude: Sequence[str], columns: Sequence[str], path: Path
) -> tuple[list[str], NDArray[np.int64]]:
    """Columns without names that stay, and the numbers from 0 of those that move.

    Raises:
        UsageError: If one is asked to do both.
        DataError: If there is no such column, or none would move.
    """
    numbers = list(map(str, range(count)))
    left, only = picked(numbers, exclude, "--exclude", path), picked(numbers, columns, "--columns", path)
    if both := [name for name in only if name in left]:
        raise UsageError(f"--columns {both[0]}: also named by --exclude: name it once")
    left = [name for name in numbers if name not in only] if only else left
    moving = np.array([k for k, name in enumerate(numbers) if name not in left], np.int64)
    if not moving.size:
        raise DataError(f"{path}: no column is left to move: leave fewer as they are")
    return left, moving


def _beside(x: NDArray[Any], moving: NDArray[np.int64], moved: Any) -> Any:
    """A matrix with some of its columns moved, in a type that holds both."""
    if len(moving) == x.shape[1] or moved.shape[1] != len(moving):
        return moved
    out = x.astype(np.result_type(x, moved))
    out[:, moving] = moved
    return out


def _csr(parts: dict[str, NDArray[Any]], path: Path) -> Any:
    """The matrix of the arrays data, indices, indptr and shape."""
    from scipy.sparse import csr_matrix

    data, indices, indptr, shape = (parts[name] for name in CSR)
    if shape.shape != (2,) or shape.dtype.kind not in "iu" or shape.min() < 1 or data.ndim != 1:
        wrong = f"shape is {str(shape.tolist())[:60]}, data has {data.ndim} dimensions"
        raise DataError(f"{path}: data, indices, indptr, shape are no CSR matrix ({wrong}): save them again")
    lines, across = map(int, shape)
    if 8 * max(lines, across) > budget():
        raise DataError(f"{path}: the shape {lines} x {across} is more than the memory holds: save the matrix again")
    compressed.check_starts(indptr, lines, len(data), str(path))
    compressed.check_places(indices, len(data), across, str(path))
    try:
        return csr_matrix((data, indices.astype(np.int64), indptr), shape=(lines, across))
    except (ValueError, OverflowError) as error:
        raise DataError(
            f"{path}: data, indices, indptr, shape are no CSR matrix ({brief(error)}): save them again"
        ) from error


def _decoded(values: NDArray[Any], names: NDArray[Any] | None, place: str) -> NDArray[np.str_]:
    """Codes by their names where these are beside them; other values as text."""
    if names is None or values.dtype.kind not in "iu":
        return named(values, place)
    if values.size and not 0 <= int(values.min()) <= int(values.max()) < len(names):
        raise DataError(f"{place}: codes up to {int(values.max())} for {len(names)} names: save both again")
    return names.astype(str)[values]


def _table(
    table: Table, notes: tuple[str, ...], keys: Sequence[str | None], exclude: Sequence[str], columns: Sequence[str]
) -> Matrix:
    """The columns of numbers of a text table, and how it is written back."""
    path, names, kept = table.path, table.names, table.verbatim
    assert kept is not None
    for name in keys:
        if name is not None and name not in names:
            raise DataError(f"{path}: no column {name!r}: {meant(name, names, repr)}there are {listed(names)}")
    apart = [name for name in keys if name is not None]
    found = chosen(table, apart, columns, exclude)
    x = found.x
    obs = {name: np.array(table.columns[table.at[name]], dtype=np.str_) for name in apart}
    first = len(kept.columns) - len(names)  # a column without a name stands before the others

    def content(ending: str, cells: Matrix) -> bytes:
        moved = cells.layers["gpa"]
        changed = np.flatnonzero(((moved != x) & ~(np.isnan(moved) & np.isnan(x))).any(1))
        fresh = [list(column) for column in kept.columns]
        for k, name in enumerate(found.names):
            column = fresh[first + names.index(name)]
            for i, value in zip(changed, moved[changed, k].tolist(), strict=True):
                column[i] = repr(value)
        lines = io.StringIO(newline="")
        mark = kept.mark if ending == path.suffix.lower() else "\t" if ending == ".tsv" else ","
        writer = csv.writer(lines, delimiter=mark, lineterminator="\n")
        writer.writerow(kept.names)
        writer.writerows(zip(*fresh, strict=True))
        return lines.getvalue().encode()

    aside = [*apart, *found.left, *found.identifiers, *found.whole]
    said, parts = _said(
        "column", found.names, found.left, [name for name in names if name not in (*found.names, *aside)]
    )
    said += found.notes()
    parts |= {"identifiers": found.identifiers, "whole": found.whole}
    counted = [name for name, values in zip(found.names, x.T, strict=True) if (values == np.rint(values)).all()]
    said += [f"whole numbers in the file, fractions where a row moved: {', '.join(counted)}"] if counted else []
    return Matrix(x, obs, content, tuple(found.names), (*notes, *said), parts)


def _said(kind: str, moved: list[str], left: list[str], stayed: list[str]) -> tuple[list[str], dict[str, list[str]]]:
    """What moves and what does not, in words and by name."""
    words = {f"{kind}s that move, as numbers": moved, f"{kind}s left as they are": left,
             f"{kind}s that stay as in the file": stayed}  # fmt: skip
    said = [f"{what}: {', '.join(names)}" for what, names in words.items() if names]
    return said, {"moved": moved, "left": left, "stayed": stayed}


def _plain(value: Any) -> NDArray[Any]:
    array = np.asarray(value)
    return array.astype(str) if array.dtype.kind == "O" else array
