"""Representations with batches and types: blood cells of three chemistries, of two days, and a bent batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pushforward.merging.codes import principal_axes

__all__ = ["REAL", "Array", "Case", "Rows", "cytof", "pbmc", "warp"]

Array = NDArray[Any]
Rows = NDArray[np.bool_]


@dataclass(frozen=True)
class Case:
    """Cells with batches and types.

    Attributes:
        name: What it is called.
        x: The representation, (n, d).
        batch: Batch of each cell, (n,).
        labels: Type of each cell, (n,).
        reference: The batch that is the target; all others are sources.
        half: Types of which one side has these and no others, where the sides are to have none in common.
        held: Of a known law, cells of the target and their types that nothing sees.
    """

    name: str
    x: Array
    batch: Array
    labels: Array
    reference: str
    half: tuple[str, ...] = ()
    held: tuple[Array, Array] | None = None

    @property
    def staying(self) -> Rows:
        """Which cells are the target's, (n,)."""
        return self.batch == self.reference

    def part(self, rows: Rows) -> Case:
        """The same with these cells only."""
        return replace(self, x=self.x[rows], batch=self.batch[rows], labels=self.labels[rows])


def pbmc(folder: Path, dims: int = 20) -> Case:
    """1,200 blood cells of three chemistries along principal components, onto 5p."""
    from scipy.sparse import csr_matrix

    found = np.load(folder / "pbmc_3batch.npz")
    shape = tuple(map(int, found["shape"]))
    x = csr_matrix((found["data"], found["indices"].astype(np.int64), found["indptr"]), shape=shape)
    labels = found["cell_type_broad_names"][found["cell_type_broad"]]
    names = found["batch_names"][found["batch"]]
    return Case("pbmc", principal_axes(x, dims).encode(x), names, labels, "5p", ("B", "DC", "HSC", "NK"))


def cytof(folder: Path) -> Case:
    """6,784 blood cells by 25 markers of two days, CD8 T cells and others, day 2 onto day 1."""
    found = np.load(folder / "cytof_person1.npz")
    x, labels = np.log1p(found["x"]).astype(np.float64), np.where(found["cd8"] == 1, "CD8", "other")
    return Case("cytof", x, found["batch_names"][found["batch"]], labels, "day1", ("other",))


REAL: dict[str, Callable[[Path], Case]] = {"pbmc": pbmc, "cytof": cytof}
"""Data sets of a folder that holds pbmc_3batch.npz and cytof_person1.npz."""


def warp(seed: int = 0, n: int = 800) -> Case:
    """Three classes in five dimensions, each bent by a map of its own; means and standard deviations stay.

    Within a class u and v are independent normal numbers; the other batch has u and (v + c (u² - 1)) / sqrt(1 + 2c²) of
    the same means and variances, c of a sign of the class, so that matching these per class has nothing to do.
    """
    rng = np.random.default_rng(seed)
    labels, part = rng.integers(0, 3, 3 * n), np.repeat(["old", "new", "held"], n)
    x = rng.standard_normal((3 * n, 5)) * np.array([0.5, 0.5, 0.5, 1, 1])
    c = np.array([2.0, -2.0, 2.0])[labels]
    bent = (x[:, 4] + c * (x[:, 3] ** 2 - 1)) / np.sqrt(1 + 2 * c**2)
    x[:, 4] = np.where(part == "new", bent, x[:, 4]) + 3.0 * labels
    whole = Case("warp", x, part, labels.astype(str), "old")
    held = part == "held"
    return replace(whole.part(~held), held=(x[held], labels[held].astype(str)))
