"""Widths of cells: a grid is found from its numbers, through single precision too, and no continuum is one."""

from __future__ import annotations

import numpy as np
import pytest

from pushforward.data.columns.cells import cells, told_of_cells

RNG = np.random.default_rng(0)
SMOOTH = RNG.normal(10, 30, 2000)
GRIDS = {
    "two decimals": (np.round(SMOOTH, 2), 0.01),
    "whole numbers": (np.rint(SMOOTH), 1.0),
    "multiples of 500": (500 * np.rint(SMOOTH), 500.0),
    "halves and an offset": (np.rint(SMOOTH) / 2 + 0.125, 0.5),
    "eighths": (np.rint(SMOOTH) / 8, 0.125),
    "thirds": (np.rint(SMOOTH) / 3, 1 / 3),
    "two values": (np.where(SMOOTH > 10, 2.5, -1.0), 3.5),
    "small": (np.round(SMOOTH, 1) * 1e-9, 1e-10),
    "large": (np.rint(SMOOTH) * 1e9, 1e9),
    "counts with gaps": (RNG.choice([0, 3, 5, 11], 2000), 1.0),
}


@pytest.mark.parametrize("name", GRIDS)
@pytest.mark.parametrize("single", [False, True])
def test_the_step_of_a_grid_is_found(name, single):
    x, step = GRIDS[name]
    if single:
        mean, scale = x.mean(), x.std()  # stored in single precision, and again in standard units
        x = np.float32((x.astype(np.float32) - mean) / scale).astype(np.float64) * scale + mean
    np.testing.assert_allclose(cells(np.asarray(x, np.float64)[:, None]), [step], rtol=1e-6)


@pytest.mark.parametrize(
    "x",
    [
        SMOOTH, SMOOTH.astype(np.float32).astype(np.float64), np.exp(SMOOTH / 10), RNG.random(50), np.full(100, 3.5),
        np.rint(SMOOTH[:10]), 1e6 + RNG.random(2000).astype(np.float32), np.log1p(RNG.poisson(3, 2000)),
    ],
    ids=["normal", "single", "lognormal", "few", "constant", "ten rows", "far from zero", "log counts"],
)  # fmt: skip
def test_a_continuum_a_constant_and_an_uneven_list_have_none(x):
    assert cells(np.asarray(x, np.float64)[:, None]).tolist() == [0.0]


def test_columns_are_told_by_name_and_so_is_a_value_that_recurs_on_no_grid():
    spiked = np.where(RNG.random(2000) < 0.3, 0.0, SMOOTH)
    x = np.stack([np.round(SMOOTH, 2), SMOOTH, spiked], 1)
    width = cells(x)
    rounded, often = told_of_cells(x, width, ("price", "size", "gap"))
    assert "price by 0.01" in rounded
    assert "size" not in rounded
    share = f"{(spiked == 0).mean():.0%}"
    assert f"column gap: {share} of the rows hold 0, which has no density" in often
    assert told_of_cells(x[:, 1:2], width[1:2]) == ()
