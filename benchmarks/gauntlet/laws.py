"""The data: one law a kind, drawn as disjoint samples; finite data sets without replacement."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import cast

import numpy as np
from pandas import DataFrame, Index
from sklearn.datasets import load_digits

from .trial import Array, Kind, Rows, Trial

__all__ = ["SHARES", "law", "points", "trial"]

Draw = Callable[[int, np.random.Generator], Rows]

SHARES = (0.25, 0.2, 0.2, 0.15, 0.12, 0.05, 0.03)
"""Shares of the components of the points."""


def points(n: int, rng: np.random.Generator) -> Rows:
    """A mixture of seven correlated normal laws in five dimensions; a sixth column has the tails of t(3)."""
    fixed = np.random.default_rng(7)
    means = fixed.normal(scale=3, size=(len(SHARES), 5))
    roots = fixed.normal(scale=0.6, size=(len(SHARES), 5, 5)) + 0.5 * np.eye(5)
    classes = rng.choice(len(SHARES), size=n, p=SHARES)
    x = means[classes] + np.einsum("nij,nj->ni", roots[classes], rng.normal(size=(n, 5)))
    heavy = 0.3 * x[:, 0] + rng.standard_t(3, size=n)
    return Rows(DataFrame(np.column_stack([x, heavy]), columns=Index(list("abcdef"))), classes)


def _diamonds(folder: Path) -> Rows:
    """Prices of diamonds: seven numbers, three texts, and one cell in sixteen of `table` empty at random."""
    with np.load(folder / "tab_diamonds.npz") as z:
        frame = DataFrame(z["num"].astype(np.float64), columns=Index(z["num_names"].astype(object)))
        frame = frame.round({name: 0 if name == "price" else 2 for name in frame.columns})
        for name in ("cut", "color", "clarity"):
            frame[name] = z[f"{name}_names"][z[name]].astype(object)
        classes = z["color"].astype(np.int64)
    frame["price"] = frame["price"].astype(np.int64)
    frame.loc[np.random.default_rng(3).random(len(frame)) < 1 / 16, "table"] = np.nan
    return Rows(frame, classes)


def _cytof(folder: Path) -> Rows:
    """Blood cells by 25 markers, log(1 + x); classes are two days by two kinds of T cell."""
    with np.load(folder / "cytof_person1.npz") as z:
        x = np.log1p(z["x"].astype(np.float64))
        classes = 2 * z["batch"].astype(np.int64) + z["cd8"]
    return Rows(DataFrame(x, columns=Index([f"marker{k}" for k in range(x.shape[1])])), classes)


def _images(folder: Path) -> Rows:
    """MNIST's training images; the 1,797 bundled digits of scikit-learn where the folder lacks them."""
    if (folder / "mnist.npz").exists():
        with np.load(folder / "mnist.npz") as z:
            return Rows(z["x_train"], z["y_train"].astype(np.int64))
    pixels, classes = cast(tuple[Array, Array], load_digits(return_X_y=True))
    return Rows(np.minimum(16 * pixels, 255).astype(np.uint8).reshape(-1, 8, 8), classes)


def law(kind: Kind, folder: Path) -> Rows | None:
    """All rows of a kind's data; None for points, which have as many as are asked for.

    Raises:
        OSError: If its file is not in the folder.
    """
    readers = {"table": _diamonds, "cells": _cytof, "images": _images}
    return readers[kind](folder) if kind in readers else None


def trial(kind: Kind, data: Rows | None, n: int, rng: np.random.Generator) -> Trial:
    """Three disjoint samples of n rows, and whatever the data have besides.

    Raises:
        ValueError: If the data have fewer than 3 n rows.
    """
    if data is None:
        fake, real, train = (points(n, rng) for _ in range(3))
        return Trial(kind, fake, real, train, rng, lambda m: points(m, rng))
    if 3 * n > len(data):
        raise ValueError(f"{kind} has {len(data)} rows, fewer than 3 x {n}")
    order = rng.permutation(len(data))
    fake, real, train = (data.take(order[k * n : (k + 1) * n]) for k in range(3))
    return Trial(kind, fake, real, train, rng, lambda m: data.take(order[3 * n : 3 * n + m]))
