"""Laws of grids: what counts as discrete, and that rounding goes to the nearest level of the data."""

import time

import numpy as np
import pytest
from scipy import stats

from pushforward.data.compare.grid import EIGHT_BITS, Grid, grid_of, grids, percent, pixel_grid, snapped

RNG = np.random.default_rng(0)
DISCRETE = {
    "whole": RNG.integers(-5, 90, 2000).astype(float),
    "even": 2.0 * RNG.integers(0, 50, 2000),
    "years": 1990.0 + 10 * RNG.integers(0, 3, 2000),
    "every seventh": 3.0 + 7 * RNG.integers(0, 50, 2000),
    "grades": RNG.choice([0.5, 1.0, 1.7, 3.0], 2000),
    "flag": RNG.integers(0, 2, 2000).astype(float),
    "heavy": np.floor(RNG.pareto(0.7, 2000)),
}
CONTINUOUS = {
    "normal": RNG.normal(size=2000),
    "rounded to three digits": np.round(RNG.normal(size=2000), 3),
    "mostly zero": np.where(RNG.random(2000) < 0.98, 0, RNG.lognormal(size=2000)),
    "constant": np.full(2000, 3.0),
    "one outlier": np.r_[np.zeros(1999), 1.5],
    "few rows": np.array([0.5, 1.5, 0.5, 1.5]),
}


@pytest.mark.parametrize("name", DISCRETE)
def test_rounding_goes_to_the_nearest_level_and_twice_is_once(name):
    data = DISCRETE[name]
    grid = grid_of(data)
    assert grid is not None
    x = RNG.uniform(data.min(), np.quantile(data, 0.9), 500)
    y = grid.to_grid(x)
    nearest = np.abs(x[:, None] - np.unique(data)).min(1)
    assert (np.abs(x - y) <= nearest + 1e-9).all()
    assert np.array_equal(grid.to_grid(y), y)
    assert np.array_equal(grid.to_grid(data), data)
    levels = np.unique(data)
    assert len(levels) > 64 or np.isin(y, levels).mean() > 0.9


@pytest.mark.parametrize("name", CONTINUOUS)
def test_continuous_and_constant_columns_have_no_grid(name):
    assert grid_of(CONTINUOUS[name]) is None


def test_the_step_is_the_greatest_common_divisor_where_enough_rows_prove_it():
    assert (grid_of(DISCRETE["even"]) or EIGHT_BITS).step == 2
    years = grid_of(DISCRETE["years"])
    assert years is not None
    assert (years.step, years.offset) == (10, 0)
    rare = grid_of(np.r_[np.zeros(990), np.full(10, 3.0)])
    assert rare is not None
    assert rare.step == 1
    assert rare.to_grid(np.array([1.2, 1.9])).tolist() == [1, 2]


def test_whole_numbers_are_not_clamped_and_pixels_are():
    counts = grid_of(DISCRETE["flag"])
    assert counts is not None
    assert counts.to_grid(np.array([-3.4, 7.6])).tolist() == [-3, 8]
    assert EIGHT_BITS.to_grid(np.array([-3.4, 254.4, 254.6, 300])).tolist() == [0, 254, 255, 255]


def test_rounding_is_unbiased_where_truncation_is_not():
    x = RNG.uniform(0, 100, 20_000)
    y = Grid().to_grid(x)
    assert abs((y - x).mean()) < 4 * np.sqrt(1 / 12 / len(x))


def test_numbers_beyond_the_exact_range_stay_as_they_are():
    data = RNG.normal(size=500) * 1e20
    grid = grid_of(data)
    assert grid is not None
    assert np.array_equal(grid.to_grid(data * 1.37), data * 1.37)


def test_heavy_tailed_counts_are_cheap():
    x = np.floor(stats.pareto(0.4).rvs(10**6, random_state=0)).clip(max=1e15)
    begun = time.process_time()
    grid = grid_of(x)
    assert grid is not None
    assert grid.step == 1
    assert time.process_time() - begun < 2


def test_a_constant_gene_is_a_count_only_among_counts():
    counts = np.c_[RNG.poisson(3, (300, 2)), np.zeros(300)]
    assert all(grid is not None for grid in grids(counts))
    assert [grid is not None for grid in grids(np.c_[RNG.normal(size=300), counts[:, 0], np.zeros(300)])] == [
        False,
        True,
        False,
    ]


def test_what_lies_on_the_grid_is_left_alone_without_a_note():
    data = np.c_[DISCRETE["whole"], DISCRETE["grades"], CONTINUOUS["normal"]]
    fake = data[RNG.permutation(len(data))].copy()
    fake[:, 2] += 0.1
    same, notes = snapped(fake, grids(data), ["a", "b", "c"])
    assert same is fake
    assert notes == []


def test_the_note_tells_the_column_the_levels_and_the_share_that_moved():
    data = np.c_[DISCRETE["whole"], DISCRETE["grades"]]
    fake = data.copy()
    fake[:740, 0] += 0.3
    fake[:, 1] += 0.01
    out, (first, second) = snapped(fake, grids(data), ["age", "grade"])
    assert np.array_equal(out, data)
    assert first == "column age: rounded to whole numbers (real holds only these); 37 % of fake values moved"
    assert second == "column grade: rounded to 4 values (real holds only these); 100 % of fake values moved"
    assert np.array_equal(fake[:740, 0], data[:740, 0] + 0.3)
    same, notes = snapped(fake, grids(data), ["age", "grade"], apply=False)
    assert same is fake
    assert "37 % of fake values are others" in notes[0]


def test_many_columns_share_one_note():
    data = RNG.poisson(5, (200, 30)).astype(float)
    _, notes = snapped(data + 0.2, grids(data), [f"g{j}" for j in range(30)], what="gene")
    assert notes == ["30 of 30 genes: rounded to whole numbers (real holds only these); 100 % of fake values moved"]


def test_levels_that_differ_in_the_last_digit_become_equal_without_a_note():
    data = RNG.choice([0.1, 0.2, 0.3], (500, 1))
    fake = np.float32(data).astype(np.float64)
    out, notes = snapped(fake, grids(data), ["a"])
    assert not np.isin(fake, data).any()
    assert np.isin(out, data).all()
    assert notes == []


def test_large_data_are_judged_by_a_part_of_their_rows():
    x = RNG.integers(0, 9, (50_000, 1)).astype(np.float32)
    view = np.lib.stride_tricks.as_strided(x, (50_000, 3000), (4, 0))  # one column, repeated without memory
    begun = time.process_time()
    assert all(grid is not None for grid in grids(view))
    assert time.process_time() - begun < 5


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (RNG.integers(0, 256, (9, 8, 8, 1), dtype=np.uint8), "256 levels"),
        (RNG.integers(0, 256, (9, 8, 8, 1)).astype(np.float32) + 0.01, "256 levels"),
        (RNG.integers(0, 17, (9, 8, 8, 1)).astype(np.float32) * 15.9375, "17 levels"),
        (RNG.integers(0, 2, (9, 8, 8, 1), dtype=np.uint8) * 255, "2 levels"),
        (RNG.random((9, 8, 8, 1)).astype(np.float32) * 255, None),
        (np.full((9, 8, 8, 1), 7, np.uint8), "256 levels"),
    ],
    ids=["bytes", "nearly bytes", "digits", "black and white", "continuous", "one grey"],
)
def test_pixels_have_the_levels_they_hold(images, words):
    grid = pixel_grid(images)
    assert (grid.words if grid else None) == words


@pytest.mark.parametrize(
    ("share", "said"),
    [(0, "0 %"), (1, "100 %"), (0.37, "37 %"), (0.0123, "1.2 %"), (2e-9, "0.00000020 %"), (0.9996, "99.960 %")],
)
def test_a_share_is_said_with_two_digits_and_never_falsely_as_none_or_all(share, said):
    assert percent(share) == said
