"""Remarks on coarse columns: round numbers in fake count only where neither chance nor storage makes them."""

import io
import math

import numpy as np
import pytest

from pushforward.data import as_pair
from pushforward.data.columns.rounding import fewer_digits
from pushforward.data.compare.columns import coarse
from pushforward.data.compare.grid import grids
from pushforward.data.compare.points import of_array


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


def cents(rng, n, digits, gaps=0.0):
    x = rng.lognormal(10, 1, n).round(digits)
    return np.where(rng.random(n) < gaps, np.nan, x)


def latitudes(rng, n, digits, gaps=0.0):
    x = rng.uniform(40, 50, n).round(digits)
    return np.where(rng.random(n) < gaps, np.nan, x)


@pytest.mark.parametrize("gaps", [0.0, 0.1])
@pytest.mark.parametrize(
    ("law", "fake", "real", "words"),
    [
        (cents, 0, 2, "whole numbers"),
        (cents, 1, 2, "one decimal"),
        (latitudes, 1, 2, "one decimal"),
        (latitudes, 3, 4, "3 decimals"),
        (latitudes, 4, 6, "4 decimals"),
        (latitudes, 4, 15, "4 decimals"),
        (latitudes, 6, 15, "6 decimals"),
    ],
)
def test_fewer_decimals_in_fake_alone_are_told_with_empty_cells_or_without(law, fake, real, words, gaps):
    rng = np.random.default_rng(0)
    tables = [{"v": law(rng, 400, digits, gaps), "x": rng.normal(size=400)} for digits in (fake, real, real)]
    pandas = pytest.importorskip("pandas")
    frames = [pandas.DataFrame(table) for table in tables]
    (found,) = [one.words for one in as_pair(*frames).findings if one.name == "form"]
    assert found.startswith(f"column v: fake holds {words} only, real ")
    assert not any(one.name == "form" for one in as_pair(frames[2], frames[1]).findings)


def test_cells_that_were_filled_in_do_not_count():
    """Neither hides a filled cell round ones, nor do filled cells make a column round."""
    pandas = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    fake, real = (pandas.DataFrame({"v": cents(rng, 400, 2), "x": rng.normal(size=400)}) for _ in range(2))
    fake.loc[40:, "v"] = np.nan
    fake.loc[:39, "v"] = fake.v[:40].round()
    assert not any(one.name == "form" for one in as_pair(fake, real).findings)  # 40 cells prove nothing


@pytest.mark.parametrize(("form", "words"), [("%.4g", "4 digits"), ("%.6g", "6 digits"), ("%.12g", ""), ("%.15g", "")])
def test_few_significant_digits_in_fake_alone_are_told(form, words):
    rng = np.random.default_rng(0)
    fake, real = rng.normal(size=400), rng.normal(size=400)
    assert fewer_digits(np.array([float(form % x) for x in fake]), real) == words
    assert fewer_digits(fake, real) == ""
    assert fewer_digits(fake, np.array([float(form % x) for x in real])) == ""


HONEST = {
    "normal": lambda rng, n: rng.normal(size=n),
    "heavy": lambda rng, n: rng.standard_t(1.5, n),
    "cents": lambda rng, n: rng.lognormal(14, 1, n).round(2),
    "large": lambda rng, n: rng.lognormal(16, 1, n),
    "six": lambda rng, n: latitudes(rng, n, 6),
    "nearly": lambda rng, n: nearly_whole(n, 0.97, rng)[:, 0],
    "heaped": lambda rng, n: np.where(rng.random(n) < 0.9, rng.integers(40, 100, n), rng.normal(70, 10, n).round(1)),
    "zeros": lambda rng, n: np.where(rng.random(n) < 0.9, 0, rng.lognormal(3, 1, n)),
    "quarters": lambda rng, n: rng.integers(0, 400, n) / 4,
    "sums": lambda rng, n: (rng.integers(0, 100, (n, 5)) * 0.1).sum(1),
    "small": lambda rng, n: 1e-7 * rng.normal(size=n),
    "times": lambda rng, n: 1.7e9 + rng.uniform(0, 1e6, n),
}  # fmt: skip


def as_text(x, form):
    file = io.StringIO()
    np.savetxt(file, x, form)
    file.seek(0)
    return np.loadtxt(file)


STORED = {
    "double": lambda x: x,
    "single": lambda x: x.astype(np.float32),
    "single as text": lambda x: x.astype(np.float32).astype(str).astype(float),
    "15 digits": lambda x: as_text(x, "%.15g"),
    "shortest": lambda x: x.astype(str).astype(float),
}


@pytest.mark.parametrize("storage", STORED)
@pytest.mark.parametrize("law", HONEST)
def test_honest_columns_are_never_rounded_in_fake_alone(law, storage):
    for seed in range(10):
        rng = np.random.default_rng(seed)
        for n, m in ((200, 200), (60, 600), (600, 60)):
            fake, real = HONEST[law](rng, n), HONEST[law](rng, m)
            assert fewer_digits(STORED[storage](fake).astype(float), real) == ""
            assert fewer_digits(fake, STORED[storage](real).astype(float)) == ""


def test_the_chance_is_that_of_a_split():
    """All c numbers with a fraction are among the m of the data: told from just below 1e-6 on."""
    n, m = 100, 100
    told = []
    for c in range(1, 40):
        fake, real = np.arange(n) + 0.0, np.arange(m) + np.where(np.arange(m) < c, 0.5, 0)
        chance = math.comb(m, c) / math.comb(n + m, c)
        assert (fewer_digits(fake, real) == "whole numbers") == (chance < 1e-6)
        assert (fewer_digits(fake, real, looks=1000) == "whole numbers") == (1000 * chance < 1e-6)
        told.append(chance < 1e-6)
    assert set(told) == {True, False}


@pytest.mark.parametrize("more", [0, 1, 2])
def test_no_way_of_rounding_is_passed_over_in_silence(more):
    rng = np.random.default_rng(0)
    real, fake = rng.uniform(1, 2, (400, 6 + more)), rng.uniform(1, 2, (400, 6 + more))
    fake = np.column_stack([fake[:, j].round(j + 1) for j in range(6 + more)])
    found = [one.words for one in said(fake, real)]
    assert len(found) == 6 + bool(more)
    if more:
        assert found[-1].startswith(f"{more} more column{'s' * (more > 1)}: fake holds fewer decimals or digits")


def test_columns_without_names_are_numbered_once_however_many_there_are():
    points = of_array(np.zeros((2, 30_000)), "x")
    assert points.labels is points.labels  # who asks in a loop over the columns would else build all again each time
    assert points.labels[:2] == ("0", "1")
    assert len(points.labels) == 30_000
