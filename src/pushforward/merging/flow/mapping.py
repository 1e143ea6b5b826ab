"""The way of cells that were not there when the batches were merged: that of the anchors around them.

An anchor is a cell of a merged batch with where it was and how far it went. A cell goes the mean way of the ten nearest
moved anchors of its batch, and of its class where classes count; it stays where most of the nearest anchors do. Nothing
that was merged changes, and one cell does not change the way of another.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as pack

from pushforward import files
from pushforward.errors import DataError, UsageError
from pushforward.metrics.core.neighbours import nearest
from pushforward.plain.lists import listed
from pushforward.randomness import generator

__all__ = ["Carried", "MergeMap", "anchored", "damaged", "led", "opened_map"]

Array = NDArray[np.float64]
Names = NDArray[np.str_]

CARRIERS = 10  # moved cells whose ways a carried one takes the mean of
MOST = 5000  # anchors of a batch
BLOCK = 1 << 14  # cells whose ways are gathered at a time
REACH = 3  # distances to the tenth anchor, as 99 of 100 anchors have it, from which on a cell is far
FORMAT = 1


@dataclass(frozen=True)
class Carried:
    """New cells in their place.

    Attributes:
        x: Where they are, (n, d), of the type that came in.
        path_length: Mean length of the ways of the anchors that led them, (n,), in their units.
        matched: Whether most anchors around them have a counterpart in the reference, (n,); not of far cells.
        far: Whether they lie far from all anchors, (n,); such cells stay.
    """

    x: NDArray[np.floating]
    path_length: Array
    matched: NDArray[np.bool_]
    far: NDArray[np.bool_]


@dataclass(frozen=True)
class MergeMap:
    """Anchors of the merged batches, in the units of the representation.

    Attributes:
        x: Where they were, (n, d).
        shift: How they went, (n, d).
        length: How long their ways were, (n,).
        moved: Whether they were to move, (n,).
        matched: Whether they have a counterpart in the reference, (n,).
        batch: Batch of each, (n,).
        label: Class of each, (n,), or "" where classes do not count.
        reference: The batch that stays.
    """

    x: NDArray[np.float32]
    shift: NDArray[np.float32]
    length: NDArray[np.float32]
    moved: NDArray[np.bool_]
    matched: NDArray[np.bool_]
    batch: Names
    label: Names
    reference: str

    @property
    def sources(self) -> list[str]:
        """The batches that moved."""
        return np.unique(self.batch).tolist()

    def transport(self, x: NDArray[np.floating], batch: Names, labels: Names | None = None) -> Carried:
        """Carry cells that were not merged.

        Args:
            x: Cells in the representation that was merged, (n, d).
            batch: Batch of each, (n,); those of the reference stay, bit for bit.
            labels: Class of each, (n,), where classes counted.

        Raises:
            UsageError: If a batch was not merged, or classes counted and some is missing or unknown in its batch.
            DataError: If the cells have other columns, or values are missing.
        """
        x = np.asarray(x)
        if x.ndim != 2 or x.shape[1] != self.x.shape[1] or x.dtype.kind not in "fiub":
            raise DataError(f"cells of {x.dtype}, shape {x.shape}: the map is of {self.x.shape[1]} dimensions")
        x = x if x.dtype.kind == "f" else x.astype(np.float64)
        if (bad := np.flatnonzero(~np.isfinite(x).all(1))).size:
            raise DataError(f"row {bad[0]}, counted from 0, holds a number that is not finite: fill or leave out")
        labels = self._checked(batch, labels)
        out, length, matched, far = x.copy(), np.zeros(len(x)), np.ones(len(x), bool), np.zeros(len(x), bool)
        for name, label in sorted({*zip(batch.tolist(), labels.tolist(), strict=True)}):
            if name == self.reference:
                continue
            mine = np.flatnonzero((batch == name) & (labels == label))
            there = np.flatnonzero((self.batch == name) & (self.label == label))
            z, anchors = x[mine].astype(np.float64), self.x[there].astype(np.float64)
            apart, around = nearest(z, anchors, min(CARRIERS, len(there)))
            far[mine] = apart[:, -1] > _reach(anchors)
            matched[mine] = (self.matched[there][around].mean(1) >= 0.5) & ~far[mine]
            go = mine[(self.moved[there][around].mean(1) >= 0.5) & ~far[mine]]
            leads = there[self.moved[there]]
            if len(go):
                way, length[go] = led(x[go].astype(np.float64), self.x[leads], self.shift[leads], self.length[leads])
                out[go] = x[go] + way.astype(x.dtype)
        return Carried(out, length, matched, far)

    def _checked(self, batch: Names, labels: Names | None) -> Names:
        """Classes that count, "" where none do."""
        known = [self.reference, *self.sources]
        if (odd := np.unique(batch[~np.isin(batch, known)])).size:
            raise UsageError(f"batch {str(odd[0])!r}: not merged; the map knows {listed(known)}")
        if not (self.label != "").any():
            return np.full(len(batch), "")
        if labels is None:
            raise UsageError("the batches moved by their classes: give those of the cells too")
        labels = np.where(batch == self.reference, "", labels)
        for name in self.sources:
            classes = np.unique(self.label[self.batch == name])
            if (odd := np.setdiff1d(labels[batch == name], classes)).size:
                raise UsageError(
                    f"class {str(odd[0])!r} of {name!r}: not merged; the map knows {listed(classes.tolist())}"
                )
        return labels

    def save(
        self,
        path: str | os.PathLike[str],
        more: Mapping[str, torch.Tensor] | None = None,
        about: Mapping[str, Any] | None = None,
    ) -> None:
        """Write everything to one safetensors file, without pickle, replacing one that is there in one step.

        Args:
            path: The file, for example merge.safetensors; folders are made.
            more: Further tensors.
            about: Further facts, as JSON holds them.
        """
        arrays, facts = self.parts()
        tensors = {name: torch.from_numpy(np.ascontiguousarray(values)) for name, values in arrays.items()}
        header = {"merge": json.dumps(facts | dict(about or {}) | {"format": FORMAT})}
        files.write(path, pack(tensors | dict(more or {}), header), parents=True)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> MergeMap:
        """Read what `save` wrote.

        Raises:
            DataError: If there is no such file, or it holds something else.
        """
        arrays, about = opened_map(path)
        with damaged(path):
            return cls.made(arrays, about)

    def parts(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Arrays, with batches and classes as numbers, and the rest as JSON holds it."""
        names, codes = np.unique(np.stack([self.batch, self.label]), return_inverse=True)
        batch, label = codes.reshape(2, -1)
        arrays = {"x": self.x, "shift": self.shift, "length": self.length, "moved": self.moved,
                  "matched": self.matched, "batch": batch, "label": label}  # fmt: skip
        return arrays, {"names": names.tolist(), "reference": self.reference}

    @classmethod
    def made(cls, arrays: Mapping[str, NDArray[Any]], about: Mapping[str, Any]) -> MergeMap:
        """The inverse of `parts`.

        Raises:
            ValueError: If they do not fit together.
        """
        names = np.array(about["names"], dtype=np.str_)
        x, shift = (np.asarray(arrays[name], np.float32) for name in ("x", "shift"))
        moved, matched = (np.asarray(arrays[name], bool) for name in ("moved", "matched"))
        batch, label = (names[np.asarray(arrays[name], np.int64)] for name in ("batch", "label"))
        length = np.asarray(arrays["length"], np.float32)
        if (
            x.ndim != 2
            or x.shape != shift.shape
            or any(part.shape != (len(x),) for part in (length, moved, matched, batch, label))
        ):
            raise ValueError("arrays of a map that do not fit together")
        return cls(x, shift, length, moved, matched, batch, label, str(about["reference"]))

    @classmethod
    def of(
        cls,
        before: NDArray[Any],
        after: NDArray[Any],
        length: Array,
        moved: NDArray[np.bool_],
        matched: NDArray[np.bool_],
        batch: Names,
        label: Names | None,
        reference: str,
    ) -> MergeMap:
        """The map of merged cells.

        Args:
            before: The anchors, (n, d), as `anchored` chooses them.
            after: Where they are, (n, d).
            length: How long their ways were, (n,).
            moved: Whether they were to move, (n,).
            matched: Whether they have a counterpart, (n,).
            batch: Batch of each, (n,).
            label: Class of each, (n,), where classes count.
            reference: The batch that stays.
        """
        label = np.full(len(batch), "") if label is None else label
        x, shift = before.astype(np.float32), (after.astype(np.float64) - before).astype(np.float32)
        return cls(x, shift, length.astype(np.float32), moved, matched, batch, label, reference)


def anchored(batch: Names, sources: Sequence[str], seed: int = 0) -> NDArray[np.int64]:
    """Cells that a map holds: of each batch that moved, in their order, at most 5,000 at random.

    Args:
        batch: Batch of all cells, (n,).
        sources: Batches that moved.
        seed: Seed of the choice.
    """
    rng, rows = generator(seed, "data", part="anchors"), list[NDArray[np.int64]]()
    for name in sources:
        mine = np.flatnonzero(batch == name)
        rows.append(mine if len(mine) <= MOST else np.sort(rng.choice(mine, MOST, replace=False)))
    return np.concatenate(rows)


def _reach(anchors: Array) -> float:
    """How far the tenth anchor may be for a cell to be among them: three times as far as of nearly all of them."""
    near = min(CARRIERS, len(anchors) - 1)
    if near < 1:
        return np.inf
    own = nearest(anchors, anchors, near, own=np.arange(len(anchors)))[0][:, -1]
    return REACH * float(np.quantile(own, 0.99))


def led(x: Array, anchors: NDArray, shift: NDArray, length: NDArray) -> tuple[Array, Array]:
    """Mean ways (n, d) and lengths (n,) of the ten anchors nearest to each cell.

    Args:
        x: Cells, (n, d).
        anchors: Where the anchors were, (m, d).
        shift: How they went, (m, d).
        length: How long their ways were, (m,).
    """
    places = nearest(x, anchors.astype(np.float64), min(CARRIERS, len(anchors)))[1]
    ways = np.empty((len(x), shift.shape[1]), shift.dtype)
    for start in range(0, len(x), BLOCK):
        ways[start : start + BLOCK] = shift[places[start : start + BLOCK]].mean(1)
    return ways, length[places].mean(1, dtype=np.float64)


def opened_map(path: str | os.PathLike[str]) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Arrays and facts of a file that `MergeMap.save` wrote.

    Raises:
        DataError: If there is no such file, or it holds something else.
    """
    if not Path(path).is_file():
        raise DataError(f"{path}: no such file: check the path")
    with damaged(path):
        with safe_open(path, "np") as held:
            about = json.loads((held.metadata() or {})["merge"])
            arrays = {name: held.get_tensor(name) for name in held.keys()}  # noqa: SIM118
        if about["format"] != FORMAT:
            raise DataError(f"{path}: a map of format {about['format']}; this version reads {FORMAT}: merge again")
        return arrays, about


@contextmanager
def damaged(path: str | os.PathLike[str]) -> Iterator[None]:
    """Within: what is wrong with a file is said as such.

    Raises:
        DataError: In the place of what reading raised.
    """
    try:
        yield
    except DataError:
        raise
    except (SafetensorError, LookupError, ValueError, TypeError, OSError) as error:
        raise DataError(f"{path}: no map of a merge, or damaged: write it again with save, or --save-map") from error
