"""Two sets of samples that nobody prepared, brought to one form so that they can be compared."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pushforward.data import source
from pushforward.data.blocks.scratch import is_mapped
from pushforward.data.columns.missing import filled
from pushforward.data.columns.storage import EXACT, precise
from pushforward.data.compare import album, columns
from pushforward.data.compare.album import Album
from pushforward.data.compare.grid import Grid, decimal_grid, grid_of, grids, snapped
from pushforward.data.compare.inputs import opened, understood
from pushforward.data.compare.joining import joined
from pushforward.data.compare.points import Points
from pushforward.data.compare.support import lacking, support
from pushforward.data.compare.tensors import tensor_pair
from pushforward.data.dataset import Kind
from pushforward.data.formats.arrays import LARGE
from pushforward.data.raw import enough
from pushforward.densities.mixture import Mixture
from pushforward.densities.rows import RowDensities
from pushforward.densities.support import Support
from pushforward.errors import DataError, UsageError
from pushforward.plain.fields import Field
from pushforward.plain.findings import Finding, Said, parted

__all__ = ["LEAST", "Pair", "as_pair", "mixed_pair", "read_pair"]

LEAST = 2  # rows that every set needs
PIXELS = "values that the data never have are looked for in points, not in images"
TENSORS = (
    "tensors are compared as they are, and no values sought in them that the data never have: pass arrays "
    "(fake.numpy(), real.numpy())"
)


@dataclass(frozen=True, eq=False)
class Pair:
    """Samples of a model and of the data in one form.

    Attributes:
        fake: Model samples: points (n, d) in data units, float64, or as stored where that is a large array; or images
            (n, c, s, s), float32 in [-1, 1].
        real: Data samples, likewise.
        train: A second sample of the data, likewise, or None.
        kind: "points" or "images".
        names: Names of the columns or genes, or empty.
        table: Whether the columns are on unlike scales; compare them in widths of their own then.
        notes: What was done and what should be known, in plain words.
        mixture: The density that the real samples were drawn from, where it is known.
        support: Sets that are known to hold all real samples, in their units; or None.
        densities: Computes the model's log densities at rows of the data, where it answers for them.
        sparing: Whether they take so long that they are computed only where somebody names what needs them.
        fields: Of points with columns that have names, what each coordinate is; else ().
        findings: What was found while they were read, beside notes.
        unsought: Findings that were not looked for while they were read, by name, and why.
    """

    fake: Tensor
    real: Tensor
    train: Tensor | None
    kind: Kind
    names: tuple[str, ...]
    table: bool
    notes: tuple[str, ...]
    mixture: Mixture | None = None
    densities: Callable[[], RowDensities] | None = None
    sparing: bool = False
    fields: tuple[Field, ...] = ()
    findings: tuple[Finding, ...] = ()
    support: Support | None = None
    unsought: Mapping[str, str] = field(default_factory=dict[str, str])


def read_pair(
    fake: str, real: str, train: str | None = None, *, seed: int = 0, side: int | None = None, rounded: bool = True
) -> Pair:
    """Read two sets of samples and bring them to one form.

    Tables and cells are matched by the names of their columns, in the order of real; images are brought to the side of
    real. Discrete data are rounded to the levels of real. `Pair.notes` says all that was done.

    Args:
        fake: Model samples, digits | toy:NAME | PATH[:key]: a folder of images, .npy, .npz, .csv, .parquet, .h5ad or
            IDX. The key names an array, columns (a,b,c), or a layer or embedding.
        real: Data, likewise. Of digits and toys it is the held-out part.
        train: A second, independent sample of the data, likewise, or None.
        seed: Seed of toys and of the split of the digits.
        side: Side of images to compare at, in pixels; the shortest side of real where it is left out.
        rounded: Round fake to the levels of real where these are discrete.

    Raises:
        DataError: If a set is missing, damaged or unfit, or the two do not fit together; both shapes are named.
        UsageError: If an option is out of range or does not apply.
    """
    return mixed_pair(fake, real, train, seed=seed, side=side, rounded=rounded)


def mixed_pair(
    fake: Any, real: Any, train: Any = None, *, seed: int = 0, side: int | None = None, rounded: bool | None = None
) -> Pair:
    """Bring sets to one form of which some are named, as for `read_pair`, and some in memory, as for `as_pair`.

    An array has no names of columns: beside a table it is taken in its order, which is said.

    Args:
        fake: Model samples: a path, or a string as for `read_pair`; or an object as for `as_pair`.
        real: Data, likewise.
        train: A second, independent sample of the data, likewise, or None.
        seed: Seed of toys and of the split of the digits.
        side: Side of images to compare at.
        rounded: Round fake to the levels of real where these are discrete; where it is left out, all is but tensors
            beside tensors.

    Raises:
        DataError: If a set is missing, damaged or unfit, or the sets do not fit together.
        UsageError: If an object is not understood, or an option is out of range or does not apply.
    """
    given = {"fake": fake, "real": real} | ({} if train is None else {"train": train})
    specs = {role: str(x).strip() for role, x in given.items() if isinstance(x, str | Path)}
    if not specs:
        return as_pair(fake, real, train, side=side, rounded=rounded)
    sets = {
        role: opened(specs[role], role, seed) if role in specs else understood(x, role) for role, x in given.items()
    }
    law = source.load(specs["real"], seed=seed) if specs.get("real", "").lower().startswith("toy:") else None
    pair = _brought_together(sets, side, rounded is not False)
    pair = replace(pair, findings=(*_named_twice(specs), *pair.findings))
    return pair if law is None else replace(pair, mixture=law.mixture, support=law.support)


def _named_twice(specs: Mapping[str, str]) -> list[Finding]:
    """Files that stand for two sets, by their names; where rows say it too, it is said with their number."""

    def alike(first: str, second: str) -> bool:
        return first in specs and specs[first] == specs.get(second) and not source.made(specs[first])

    found = []
    if alike("fake", "real"):
        found.append(Finding("same", "fake and real are the same file: give two", against=False))
    if alike("fake", "train"):
        found.append(Finding("copies", "fake and train are the same file: give samples that the model made"))
    if alike("real", "train"):
        words = "real and train are the same file: hold out rows that the model did not learn from"
        found.append(Finding("leak", words, against=False))
    return found


def as_pair(fake: Any, real: Any, train: Any = None, *, side: int | None = None, rounded: bool | None = None) -> Pair:
    """Bring two sets of samples in memory to one form.

    Tensors on both sides pass unchanged, apart from checks and from points with NaN, which are filled and marked: whole
    numbers become numbers with a fraction, images of type uint8 come to [-1, 1]. All other combinations are treated as
    `read_pair` treats files.

    Args:
        fake: Model samples: a tensor (n, ...) with images as (n, c, h, w); an array or nested sequence with images as
            (n, h, w), (n, h, w, c) or (n, c, h, w); a data frame of pandas or polars; an AnnData object; or a sparse
            matrix of scipy.
        real: Data, likewise.
        train: A second, independent sample of the data, likewise, or None.
        side: Side of images to compare at, as for `read_pair`; not for tensors.
        rounded: Round fake to the levels of real where these are discrete; where it is left out, all but tensors are.

    Raises:
        DataError: If a set is unfit, or the two do not fit together.
        UsageError: If an object is not understood.
    """
    given = {"fake": fake, "real": real} | ({} if train is None else {"train": train})
    tensors = {role: x for role, x in given.items() if isinstance(x, Tensor)}
    if len(tensors) == len(given) and any(map(_as_arrays, tensors.values())):
        return _brought_together({role: understood(x, role) for role, x in given.items()}, side, bool(rounded))
    if len(tensors) == len(given) and not rounded:
        if side is not None:
            if tensors["real"].ndim < 3:
                raise UsageError(f"side {side}: these tensors hold points, not images: leave out the side")
            remedy = "resize them, or pass arrays (fake.numpy(), real.numpy()), which are"
            raise UsageError(f"side {side}: tensors are not resized, as they are compared as they are: {remedy}")
        x, kind, said = tensor_pair(tensors)
        return _pair(x, kind, said, {"support": PIXELS if kind == "images" else TENSORS})
    return _brought_together({role: understood(x, role) for role, x in given.items()}, side, rounded is not False)


def _as_arrays(x: Tensor) -> bool:
    """Whether points lack numbers, which are NaN there, or hold whole ones that float64 does not."""
    if x.layout != torch.strided or x.ndim not in (1, 2) or not x.numel():
        return False
    if x.is_floating_point():
        return bool(torch.isnan(x.detach()).any())
    return x.dtype in (torch.int64, torch.uint64) and bool((np.abs(x.detach().cpu().numpy() / 1.0) > EXACT).any())


def _pair(x: Mapping[str, Tensor], kind: Kind, said: Sequence[Said], unsought: Mapping[str, str]) -> Pair:
    """Samples without names of columns, and what was said of them."""
    notes, findings = parted(said)
    return Pair(x["fake"], x["real"], x.get("train"), kind, (), False, notes, findings=findings, unsought=unsought)


def _brought_together(sets: Mapping[str, Points | Album], side: int | None, rounded: bool) -> Pair:
    for part in sets.values():
        enough(part.n, part.place, LEAST, "image" if isinstance(part, Album) else "row")
    clouds = {role: part for role, part in sets.items() if isinstance(part, Points)}
    albums = {role: part for role, part in sets.items() if isinstance(part, Album)}
    if clouds and albums:
        first, second = next(iter(clouds.values())), next(iter(albums.values()))
        raise DataError(
            f"{first.place} holds {first.shape} and {second.place} {second.shape}; only like can be compared with "
            "like: reshape the points to (n, height, width), or flatten the images"
        )
    if albums:
        x, said = album.alike(albums, side, rounded=rounded)
        return _pair(x, "images", said, {"support": PIXELS})
    if side is not None:
        raise UsageError(f"side {side}: {clouds['real'].place} holds points, not images: leave out the side")
    return _points(clouds, rounded)


def _points(clouds: Mapping[str, Points], rounded: bool) -> Pair:
    found, real = joined(clouds), clouds["real"]
    x, names = found.x, found.labels
    said: list[Said] = [*(f"{role}: {note}" for role, part in clouds.items() for note in part.notes), *found.notes]
    small = 8 * sum(part.size for part in x.values()) <= LARGE
    data = np.concatenate([part for role, part in x.items() if role != "fake"]) if small else x["real"]
    levels = grids(data, skip=np.flatnonzero(found.categorical).tolist())
    for j in _with_holes(found.holes):
        whole = ~np.concatenate([found.holes[role][:, j] for role in x if role != "fake"])
        levels[j] = grid_of(data[whole, j]) if whole.any() else None
    if small and (real.table or found.fields):
        said += _as_stored(x, data, levels, found.categorical, names)
    below = columns.below_counts(x, levels, names) if real.what == "gene" else []
    mapped = is_mapped(x["fake"])
    x["fake"], more = snapped(x["fake"], levels, names, what=real.what, apply=rounded and not mapped)
    said += more
    if rounded and mapped and more:
        said.append("fake: mapped from its file and too large to be rounded here: save it rounded")
    said += columns.coarse(x["fake"], levels, names, real.what, found.categorical, x["real"], found.holes)
    filled(x, found.holes)
    said += below
    unsought = {} if below else lacking(real.what, len(levels))
    if not (unsought or below):
        said += support(x, found, levels, names, real.what, rounded=rounded and mapped)
    if small:
        said += columns.constant(x["fake"], x["real"], names, real.what, found.categorical)
    if not real.table and not found.names and small:
        said += columns.unlike(x["real"][:, ~found.categorical])
    if real.what == "gene":
        said += columns.units(x["fake"], x["real"])
    q, p, t = (_tensor(x[role]) if role in x else None for role in ("fake", "real", "train"))
    assert q is not None
    assert p is not None
    notes, findings = parted(said)
    return Pair(
        q, p, t, "points", found.names, real.table, notes, fields=found.fields, findings=findings, unsought=unsought
    )


def _as_stored(
    x: dict[str, np.ndarray],
    data: np.ndarray,
    levels: list[Grid | None],
    categorical: np.ndarray,
    names: Sequence[str],
) -> list[str]:
    """Columns with the decimals of real or at one precision, in place, in sets, data and grids; and notes."""
    notes = []
    for j in np.flatnonzero(~categorical).tolist():
        if levels[j] is not None:
            continue
        columns = {role: part[:, j] for role, part in x.items()}
        if (grid := decimal_grid(data[:, j])) is not None:
            levels[j] = grid
            columns = {role: column if role == "fake" else grid.to_grid(column) for role, column in columns.items()}
        else:
            columns, single = precise(columns)
            if not single:
                continue
            notes.append(f"column {names[j]}: {' and '.join(single)} in single precision, compared in it")
        for role, column in columns.items():
            if not np.array_equal(x[role][:, j], column):
                x[role] = np.array(x[role])
                x[role][:, j] = column
        data[:, j] = np.concatenate([x[role][:, j] for role in x if role != "fake"])
    return notes


def _with_holes(holes: Mapping[str, np.ndarray]) -> list[int]:
    """Coordinates of which a cell is missing in any set."""
    return np.flatnonzero(np.any([hole.any(0) for hole in holes.values()], axis=0)).tolist() if holes else []


def _tensor(x: np.ndarray) -> Tensor:
    """The array as a tensor on the same memory, mapped or not; nobody writes to it."""
    if any(stride < 0 for stride in x.strides) or not x.dtype.isnative:
        x = np.ascontiguousarray(x, x.dtype.newbyteorder("="))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*not writable", category=UserWarning)
        return torch.from_numpy(x)
