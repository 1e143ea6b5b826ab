"""Remarks on coarse columns: whole numbers in fake count as rounding only where chance cannot make them."""

import numpy as np
import pytest

from pushforward.data.compare.columns import coarse
from pushforward.data.compare.grid import grids


def said(fake, real):
    names = tuple(f"x{j}" for j in range(real.shape[1]))
    return coarse(fake, grids(real), names, "column", np.zeros(real.shape[1], bool), real)


def nearly_whole(n, share, seed):
    rng = np.random.default_rng(seed)
    x = rng.poisson(30, n) + np.where(rng.random(n) < share, 0, rng.random(n))
    x[0] = 0.5
    return x[:, None]


def test_rounded_values_of_a_continuous_column_are_told():
    rng = np.random.default_rng(0)
    real, fake = rng.normal(0, 20, (400, 2)), rng.normal(0, 20, (100, 2))
    fake[:, 1] = fake[:, 1].round()
    (found,) = said(fake, real)
    assert (found.name, found.against) == ("form", False)
    assert found.words.startswith("column x1: fake holds whole numbers only")
    assert said(rng.normal(0, 20, (100, 2)), real) == []


def test_few_rows_prove_nothing():
    real, fake = np.random.default_rng(0).normal(0, 20, (400, 1)), np.random.default_rng(1).poisson(30, (50, 1))
    assert said(fake[:49].astype(float), real) == []
    assert len(said(fake.astype(float), real)) == 1


@pytest.mark.parametrize(("share", "told"), [(0.99, 0), (0.5, 1)])
def test_whole_numbers_are_no_news_where_nearly_all_of_real_is_whole(share, told):
    real, fake = nearly_whole(5000, share, 0), np.random.default_rng(1).poisson(30, (100, 1)).astype(float)
    assert len(said(fake, real)) == told
    assert len(said(np.repeat(fake, 40, 0), real)) == 1  # 0.99 to the power 4000 is nothing
