"""Bad ways of one kind of data: cells of a table, pixels, counts of cells."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
from scipy.ndimage import gaussian_filter

from .stores import jpeg
from .trial import Array, Rows, Trial, Way, as_frame, as_images, changed

__all__ = ["WAYS"]


# tables


def _unknown_category(rows: Rows, trial: Trial) -> Rows:
    odd = trial.rng.random(len(rows)) < 0.03
    odd[0] = True
    return rows.with_column("cut", np.where(odd, "Superb", as_frame(rows)["cut"].to_numpy()))


def _impossible(rows: Rows, trial: Trial) -> Rows:
    """One row in thirty has a value that no data have: minus 77."""
    name = "price" if trial.kind == "table" else rows.numeric()[0]
    odd = trial.rng.random(len(rows)) < 1 / 30
    odd[0] = True
    return rows.with_column(name, np.where(odd, -77, as_frame(rows)[name].to_numpy()))


def _more_decimals(rows: Rows, trial: Trial) -> Rows:
    x = as_frame(rows)["carat"].to_numpy(np.float64)
    return rows.with_column("carat", x + trial.rng.uniform(-0.004, 0.004, size=len(x)))


def _fewer_decimals(rows: Rows, trial: Trial) -> Rows:
    return rows.with_column("price", (as_frame(rows)["price"].to_numpy() / 100).round() * 100)


def _gaps(rate: float, dear: bool) -> Callable[[Rows, Trial], Rows]:
    """Empty cells at another rate; or at the right rate, but where the price is high."""

    def spoil(rows: Rows, trial: Trial) -> Rows:
        frame = as_frame(rows)
        full = frame["table"].fillna(57.0).to_numpy(np.float64)
        price = frame["price"].to_numpy(np.float64)
        empty = price >= np.quantile(price, 1 - rate) if dear else trial.rng.random(len(rows)) < rate
        return rows.with_column("table", np.where(empty, np.nan, full))

    return spoil


def _filled(rows: Rows, trial: Trial) -> Rows:
    """Empty cells filled with the median, as many a generator's preparation does."""
    column = as_frame(rows)["table"]
    return rows.with_column("table", column.fillna(float(np.nanmedian(column.to_numpy(np.float64)))))


def _levels_swapped(rows: Rows, trial: Trial) -> Rows:
    """Two levels that are about equally common stand for each other: margins hold, associations do not."""
    return rows.with_column("clarity", as_frame(rows)["clarity"].replace({"VS2": "SI1", "SI1": "VS2"}))


def _text_shuffled(rows: Rows, trial: Trial) -> Rows:
    return rows.with_column("clarity", trial.rng.permutation(as_frame(rows)["clarity"].to_numpy()))


def _behind_key(trial: Trial) -> Trial:
    """A shift beside a key that is another in each file and tells nothing."""
    shifted = as_frame(trial.fake)["carat"].to_numpy(np.float64)
    fake = trial.fake.with_column("carat", (shifted + 0.5 * shifted.std()).round(2))
    sides = {"fake": fake, "real": trial.real, "train": trial.train}
    keys = trial.rng.permutation(10**6)
    keyed = {
        side: rows.with_column("id", keys[k * len(rows) : (k + 1) * len(rows)])
        for k, (side, rows) in enumerate(sides.items())
    }
    return replace(trial, fake=keyed["fake"], real=keyed["real"], train=keyed["train"])


# images


def _each(function: Callable[[Array], Array]) -> Callable[[Rows, Trial], Rows]:
    """Spoil each image (side, side)."""

    def spoil(rows: Rows, trial: Trial) -> Rows:
        spoiled = np.stack([function(image) for image in as_images(rows)])
        return replace(rows, values=np.clip(np.rint(spoiled), 0, 255).astype(np.uint8))

    return spoil


# cells


def _dropout(rows: Rows, trial: Trial) -> Rows:
    """One value in ten is lost."""
    numbers = rows.numbers()
    return rows.with_numbers(np.where(trial.rng.random(numbers.shape) < 0.1, 0.0, numbers))


def _library(rows: Rows, trial: Trial) -> Rows:
    """Every cell has its own depth, a factor of about 1.3 up or down before the logarithm."""
    factor = np.exp(0.3 * trial.rng.normal(size=(len(rows), 1)))
    return rows.with_numbers(np.log1p(factor * np.expm1(rows.numbers())))


def _one_day(rows: Rows, trial: Trial) -> Rows:
    """All cells are of the second day, where the data hold both."""
    pool = rows.then(trial.more(len(rows)))
    late = np.flatnonzero(pool.classes >= 2)
    return pool.take(late[: len(rows)])


WAYS = (
    Way("unknown_category", ("table",), changed(_unknown_category), ("support", "form")),
    Way("impossible_value", ("table", "cells"), changed(_impossible), ("support",)),
    Way("more_decimals", ("table",), changed(_more_decimals), ("support", "form", "note rounded")),
    Way("fewer_decimals", ("table",), changed(_fewer_decimals), ("support", "form")),
    Way("more_empty_cells", ("table",), changed(_gaps(0.18, False))),
    Way("empty_where_dear", ("table",), changed(_gaps(1 / 16, True))),
    Way("empty_cells_filled", ("table",), changed(_filled)),
    Way("two_levels_swapped", ("table",), changed(_levels_swapped)),
    Way("text_column_shuffled", ("table",), changed(_text_shuffled)),
    Way("shift_beside_a_key", ("table",), _behind_key),
    Way("blurred", ("images",), changed(_each(lambda image: gaussian_filter(image.astype(np.float64), 0.7)))),
    Way("one_pixel_lower", ("images",), changed(_each(lambda image: np.roll(image, 1, 0)))),
    Way("less_contrast", ("images",), changed(_each(lambda image: 0.85 * image))),
    Way("compressed_as_jpeg", ("images",), changed(_each(partial(jpeg, 50)))),
    Way("mirrored", ("images",), changed(_each(lambda image: image[:, ::-1]))),
    Way("lost_values", ("cells",), changed(_dropout)),
    Way("wrong_depths", ("cells",), changed(_library)),
    Way("one_day_of_two", ("cells",), changed(_one_day)),
)
