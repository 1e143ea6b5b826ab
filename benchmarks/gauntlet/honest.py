"""Ways to be honest: samples of the data's own law in another form, number, order or notation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from pandas import DataFrame, Series, to_datetime

from . import stores
from .stores import array, csv, frame, h5ad, idx, npy, npz, parquet, pngs, stored
from .trial import KINDS, Kind, Offer, Rows, Trial, Way, as_frame, as_images, changed

__all__ = ["WAYS"]

COLUMNS: tuple[Kind, ...] = ("points", "table", "cells")
TABLES: tuple[Kind, ...] = ("points", "table")


def _everywhere(form: Callable[[Rows, np.random.Generator], Rows]) -> Callable[[Trial], Trial]:
    """The same done to all three samples, each with random numbers of its own."""
    return lambda trial: replace(
        trial, fake=form(trial.fake, trial.rng), real=form(trial.real, trial.rng), train=form(trial.train, trial.rng)
    )


def _as_it_is(trial: Trial) -> Trial:
    return trial


def _first(share: float) -> Callable[[Rows], Rows]:
    return lambda rows: rows.take(np.arange(max(20, int(share * len(rows)))))


def _sorted(rows: Rows, trial: Trial) -> Rows:
    return rows.take(np.argsort(rows.numbers().mean(1), kind="stable"))


def _no_train(trial: Trial, folder: Path) -> Offer:
    return replace(stores.offered(trial, folder, None), train=None)


# columns


def _other_order(rows: Rows, trial: Trial) -> Rows:
    return replace(rows, values=as_frame(rows)[list(trial.rng.permutation(as_frame(rows).columns))])


def _renamed(names: Callable[[int], list[str]]) -> Callable[[Rows, Any], Rows]:
    def form(rows: Rows, _: Any) -> Rows:
        values = as_frame(rows)
        return replace(rows, values=values.set_axis(names(values.shape[1]), axis=1))

    return form


def _digits(n: int) -> list[str]:
    return [str(k) for k in range(n)]


def _years(n: int) -> list[str]:
    return [str(2019 + k) for k in range(n)]


def _numbered_in_other_order(trial: Trial) -> Trial:
    numbered = _everywhere(_renamed(_digits))(trial)
    return replace(numbered, fake=_other_order(numbered.fake, numbered))


def _keyed(trial: Trial) -> Trial:
    keys = trial.rng.permutation(10**6)

    def with_key(rows: Rows, k: int) -> Rows:
        return rows.with_column("id", keys[k * 10**5 : k * 10**5 + len(rows)])

    return replace(trial, fake=with_key(trial.fake, 0), real=with_key(trial.real, 1), train=with_key(trial.train, 2))


def _with(name: str, draw: Callable[[int, np.random.Generator], Any]) -> Callable[[Trial], Trial]:
    """One more column everywhere, (rows, rng) -> values."""
    return _everywhere(lambda rows, rng: rows.with_column(name, draw(len(rows), rng)))


def _dates(n: int, rng: np.random.Generator) -> Series:
    return Series(to_datetime("2020-01-01") + rng.integers(0, 900, n).astype("timedelta64[D]"))


# notation


def _spelled(rows: Rows, _: Any) -> Rows:
    """Prices with commas between the thousands."""
    return rows.with_column("price", [f"{value:,}" for value in as_frame(rows)["price"]])


def _floats(rows: Rows, _: Any) -> Rows:
    return rows.with_column("price", as_frame(rows)["price"].astype(np.float64))


def _single(values: DataFrame) -> DataFrame:
    return values.astype(dict.fromkeys(values.select_dtypes("float").columns, "float32"))


def _categories(values: DataFrame) -> DataFrame:
    return values.astype(dict.fromkeys(values.select_dtypes("object").columns, "category"))


def _nullable(values: DataFrame) -> DataFrame:
    return values.convert_dtypes()


# laws


def _scaled(rows: Rows, _: Any) -> Rows:
    return rows.with_numbers(1000 * rows.numbers())


def _far(rows: Rows, _: Any) -> Rows:
    return rows.with_numbers(1e6 + rows.numbers())


def _ties(rows: Rows, _: Any) -> Rows:
    return rows.with_numbers(np.rint(2 * rows.numbers()) / 2)


def _repeats(rows: Rows, _: Any) -> Rows:
    """So few different rows that independent samples share most of them."""
    names = rows.numeric()[:2] + [name for name in as_frame(rows).columns if name not in rows.numeric()][:1]
    few = replace(rows, values=as_frame(rows)[names])
    numbers = few.numbers()
    step = np.array([0.5, 2.0]) if "carat" in names else np.array([2.0, 2.0])
    return few.with_numbers(np.rint(numbers / step) * step)


def _outlier(rows: Rows, rng: np.random.Generator) -> Rows:
    numbers = rows.numbers()
    numbers[rng.integers(len(numbers)), 0] = 1e9
    return rows.with_numbers(numbers)


def _train_elsewhere(trial: Trial) -> Trial:
    numbers = trial.train.numbers()
    return replace(trial, train=trial.train.with_numbers(np.round(numbers + np.nanstd(numbers, 0), 2)))


def _jpegs(rows: Rows, _: Any) -> Rows:
    return replace(rows, values=np.stack([stores.jpeg(75, image) for image in as_images(rows)]))


def _larger_train(trial: Trial) -> Trial:
    return replace(trial, train=trial.train.then(trial.more(2 * len(trial.train))))


ROWS = (
    Way("fresh_sample", KINDS, _as_it_is),
    Way("no_training_set", KINDS, _as_it_is, store=_no_train),
    Way("half_as_many_fakes", KINDS, lambda trial: replace(trial, fake=_first(0.5)(trial.fake))),
    Way("half_as_many_held_out", KINDS, lambda trial: replace(trial, real=_first(0.5)(trial.real))),
    Way("a_fifth_held_out", KINDS, lambda trial: replace(trial, real=_first(0.2)(trial.real))),
    Way("three_times_the_training_rows", ("points", "table", "images"), _larger_train),
    Way("training_set_of_another_law", COLUMNS, _train_elsewhere),
    Way("rows_in_order", KINDS, changed(_sorted)),
    Way("heavy_tails", COLUMNS, _with("gain", lambda n, rng: rng.standard_cauchy(n).round(2))),
    Way("an_outlier_everywhere", COLUMNS, _everywhere(_outlier)),
    Way("ties_by_rounding", ("points", "cells"), _everywhere(_ties)),
    Way("rows_that_repeat_by_nature", TABLES, _everywhere(_repeats)),
    Way("one_constant_column", COLUMNS, _with("version", lambda n, _: np.full(n, 0.1))),
    Way("other_units", COLUMNS, _everywhere(_scaled)),
    Way("far_from_zero", ("points", "cells"), _everywhere(_far)),
)

COLUMN_WAYS = (
    Way("columns_in_other_order", COLUMNS, changed(_other_order)),
    Way("index_saved_in_fake", TABLES, _as_it_is, store=stored(csv(index=True))),
    Way("index_saved_everywhere", TABLES, _as_it_is, store=stored(csv(index=True), csv(index=True))),
    Way("keys", TABLES, _keyed),
    Way("numbers_as_headers", ("points",), _everywhere(_renamed(_digits))),
    Way("years_as_headers", ("points",), _everywhere(_renamed(_years))),
    Way("numbered_headers_in_other_order", ("points",), _numbered_in_other_order),
    Way("dates", ("table",), _with("sold", _dates)),
    Way(
        "hundred_and_fifty_levels",
        ("table",),
        _with("shop", lambda n, rng: [f"s{k}" for k in rng.integers(150, size=n)]),
    ),
    Way("truth_values", ("table",), _with("paid", lambda n, rng: rng.random(n) < 0.7)),
)

COMMA = csv(sep=";", decimal=",")

STORES = (
    Way("single_precision", ("points", "table"), _as_it_is, store=stored(parquet(_single), parquet())),
    Way("single_precision_against_text", ("points", "table"), _as_it_is, store=stored(parquet(_single), csv())),
    Way("parquet_against_csv", TABLES, _as_it_is, store=stored(parquet())),
    Way("gzipped_csv", TABLES, _as_it_is, store=stored(csv(".csv.gz"))),
    Way("frames_in_memory", TABLES, _as_it_is, store=stored(frame, frame)),
    Way("arrays_in_memory", ("points", "images"), _as_it_is, store=stored(array, array)),
    Way("npy_against_npz", ("points", "images"), _as_it_is, store=stored(npy, npz())),
    Way("thousands_separated", ("table",), _everywhere(_spelled)),
    Way("thousands_separated_in_fake", ("table",), changed(_spelled)),
    Way("decimal_commas", TABLES, _as_it_is, store=stored(COMMA, COMMA)),
    Way("decimal_commas_in_fake", TABLES, _as_it_is, store=stored(COMMA)),
    Way("whole_numbers_as_floats", ("table",), changed(_floats)),
    Way("trailing_zeros", ("table",), _as_it_is, store=stored(csv(float_format="%.4f"))),
    Way("powers_of_ten", ("points", "table"), _as_it_is, store=stored(csv(float_format="%.16e"))),
    Way("empty_cells_written_otherwise", ("table",), _as_it_is, store=stored(csv(na_rep="NA"))),
    Way("everything_quoted", ("table",), _as_it_is, store=stored(csv(quoting=1))),
    Way(
        "written_by_a_spreadsheet",
        ("table",),
        _as_it_is,
        store=stored(csv(encoding="utf-8-sig", lineterminator="\r\n")),
    ),
    Way("categoricals_in_parquet", ("table",), _as_it_is, store=stored(parquet(_categories), parquet())),
    Way("nullable_integers", ("table",), _as_it_is, store=stored(parquet(_nullable), parquet())),
    Way(
        "dates_in_another_format", ("table",), _with("sold", _dates), store=stored(csv(date_format="%Y-%m-%dT00:00:00"))
    ),
    Way("pictures_in_a_folder", ("images",), _as_it_is, store=stored(pngs)),
    Way("pixels_from_0_to_1", ("images",), _as_it_is, store=stored(npz(lambda x: (x / 255).astype(np.float32)))),
    Way("pixels_as_floats", ("images",), _as_it_is, store=stored(npz(lambda x: x.astype(np.float32)))),
    Way("grey_as_colour", ("images",), _as_it_is, store=stored(npz(lambda x: np.repeat(x[..., None], 3, 3)))),
    Way("with_a_channel", ("images",), _as_it_is, store=stored(npz(lambda x: x[:, None]))),
    Way("idx_against_npz", ("images",), _as_it_is, store=stored(idx)),
    Way("all_compressed_as_jpeg", ("images",), _everywhere(_jpegs)),
    Way("sparse_against_dense", ("cells",), _as_it_is, store=stored(h5ad(sparse=True))),
    Way("single_precision_cells", ("cells",), _as_it_is, store=stored(h5ad(number="float32"))),
)

WAYS = (*ROWS, *COLUMN_WAYS, *STORES)
