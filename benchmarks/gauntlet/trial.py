"""What a way is and what it works on: three disjoint samples of one law, spoiled, and offered as a user would."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray
from pandas import DataFrame, concat

__all__ = ["KINDS", "Array", "Kind", "Offer", "Rows", "Trial", "Way", "as_frame", "as_images", "changed"]

Array = NDArray[Any]
Kind = Literal["points", "table", "images", "cells"]

KINDS: tuple[Kind, ...] = ("points", "table", "images", "cells")


@dataclass(frozen=True)
class Rows:
    """Samples with what only the gauntlet knows of them.

    Attributes:
        values: A frame (n rows), or grey images uint8 (n, side, side).
        classes: Class of each row, (n,).
    """

    values: DataFrame | Array
    classes: Array

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.classes)

    def take(self, places: Array) -> Rows:
        """The rows at these places, in this order."""
        if isinstance(self.values, DataFrame):
            return Rows(cast(DataFrame, self.values.iloc[places]).reset_index(drop=True), self.classes[places])
        return Rows(self.values[places], self.classes[places])

    def then(self, other: Rows) -> Rows:
        """These rows and then the other's."""
        classes = np.concatenate([self.classes, other.classes])
        if isinstance(self.values, DataFrame):
            return Rows(concat([self.values, as_frame(other)], ignore_index=True), classes)
        return Rows(np.concatenate([self.values, as_images(other)]), classes)

    def numeric(self) -> list[str]:
        """Names of a frame's columns that hold numbers."""
        return [str(name) for name in as_frame(self).select_dtypes("number").columns]

    def numbers(self) -> Array:
        """The numbers (n, d) in float64: numeric columns of a frame, NaN where a cell is empty; pixels of images."""
        if isinstance(self.values, DataFrame):
            return self.values[self.numeric()].to_numpy(np.float64)
        return self.values.reshape(len(self), -1).astype(np.float64)

    def with_numbers(self, numbers: Array) -> Rows:
        """With other numbers (n, d) in place of `numbers()`; pixels are rounded into 0..255."""
        if isinstance(self.values, DataFrame):
            frame = self.values.copy()
            for k, name in enumerate(self.numeric()):
                whole = frame[name].dtype.kind == "i" and bool((numbers[:, k] % 1 == 0).all())
                frame[name] = numbers[:, k].astype(np.int64) if whole else numbers[:, k]
            return replace(self, values=frame)
        pixels = np.clip(np.rint(numbers), 0, 255).astype(np.uint8)
        return replace(self, values=pixels.reshape(self.values.shape))

    def with_column(self, name: str, values: Any) -> Rows:
        """A frame with one column set."""
        return replace(self, values=as_frame(self).assign(**{name: values}))


def as_frame(rows: Rows) -> DataFrame:
    """The values where they are a frame."""
    assert isinstance(rows.values, DataFrame)
    return rows.values


def as_images(rows: Rows) -> Array:
    """The values where they are images."""
    assert not isinstance(rows.values, DataFrame)
    return rows.values


@dataclass(frozen=True)
class Trial:
    """One repetition: samples of one law, until a way changes them.

    Attributes:
        kind: What the samples are.
        fake: What is judged, (n rows).
        real: Held-out data, (n rows).
        train: What the model learned from, (n rows).
        rng: The way's own random numbers.
        more: Draws further rows, disjoint from these where the data are finite; may be fewer than asked for.
    """

    kind: Kind
    fake: Rows
    real: Rows
    train: Rows
    rng: np.random.Generator
    more: Callable[[int], Rows]


@dataclass(frozen=True)
class Offer:
    """What `evaluate` is given: paths, frames or arrays, all of one sort."""

    fake: Any
    real: Any
    train: Any = None


@dataclass(frozen=True)
class Way:
    """A way to be bad, or to be honest.

    Attributes:
        name: What it is called, words joined by underscores.
        kinds: The kinds of data that it applies to.
        change: The trial with its samples spoiled, or in another form that is as good.
        said: Names of findings, or words of notes and warnings as 'note WORD'; any of them counts as caught.
        store: Puts the samples where a user would, in a folder; in the kind's usual format where None.
    """

    name: str
    kinds: tuple[Kind, ...]
    change: Callable[[Trial], Trial]
    said: tuple[str, ...] = ()
    store: Callable[[Trial, Path], Offer] | None = None


def changed(spoil: Callable[[Rows, Trial], Rows]) -> Callable[[Trial], Trial]:
    """The change of a trial that touches nothing but the fake rows."""
    return lambda trial: replace(trial, fake=spoil(trial.fake, trial))
