"""Which law and which levels data are given: as they are, as they are said to be, or refused in one line."""

from __future__ import annotations

import numpy as np
import pytest

from pushforward.errors import DataError, UsageError
from pushforward.estimators.variational.levels import chosen, levels_of, unit_of

RNG = np.random.default_rng(0)
SIXTEENTHS = RNG.integers(0, 17, (30, 4, 4)).astype(float)
BYTES = RNG.integers(0, 251, (30, 4, 4)).astype(float)


@pytest.mark.parametrize(
    ("x", "count", "low", "high"),
    [
        (SIXTEENTHS, 17, 0, 16),
        (SIXTEENTHS / 16, 17, 0, 1),
        ((SIXTEENTHS / 8 - 1).astype(np.float32).astype(float), 17, -1, 1),
        (BYTES, 256, 0, 255),
        ((BYTES / 255).astype(np.float32).astype(float), 256, 0, 1),
        (SIXTEENTHS > 7, 2, 0, 1),
        (np.where(SIXTEENTHS > 7, 255.0, 0.0), 2, 0, 255),
        (SIXTEENTHS // 6 * 10 - 5, 3, -5, 15),
    ],
)
def test_levels_are_those_that_pixels_take_and_bytes_have_all_of_theirs(x, count, low, high):
    found = levels_of(np.asarray(x, float))
    assert (found.count, found.low, found.high) == (count, pytest.approx(low), pytest.approx(high))


def test_a_number_of_levels_is_looked_for_on_the_usual_ranges_first():
    dark = np.minimum(BYTES, 90.0)
    assert levels_of(dark).count == 91
    assert levels_of(dark, 256).high == 255
    assert levels_of(dark / 255, 256).high == 1
    assert levels_of(dark * 2 / 255 - 1, 256).low == -1
    assert levels_of(SIXTEENTHS * 3, 17).high == 48
    with pytest.raises(DataError, match="levels 16: pixels, 0 to 16, are not on 16 even levels"):
        levels_of(SIXTEENTHS, 16)


def test_a_continuum_is_refused_with_both_remedies():
    with pytest.raises(DataError, match="round them, or use likelihood 'normal'") as caught:
        levels_of(RNG.random((30, 4, 4)))
    assert "\n" not in str(caught.value)
    with pytest.raises(DataError, match="constant"):
        levels_of(np.ones((3, 4, 4)))


def test_levels_become_those_from_minus_one_to_one():
    levels = levels_of(SIXTEENTHS)
    seen = unit_of(levels).encode(SIXTEENTHS).unique()
    np.testing.assert_allclose(seen.numpy(), np.linspace(-1, 1, 17), atol=1e-7)


def test_auto_is_normal_for_tables_and_by_the_levels_for_images_and_says_so():
    table = RNG.normal(size=(30, 4))
    assert chosen("auto", None, table)[::2] == ("normal", "likelihood normal by auto: of a width for each column")
    assert chosen("auto", None, SIXTEENTHS)[::2] == (
        "logistic", "likelihood logistic by auto: 17 levels from 0 to 16"
    )  # fmt: skip
    law, levels, said = chosen("auto", None, (SIXTEENTHS > 7).astype(float))
    assert (law, said) == ("bernoulli", "likelihood bernoulli by auto: 2 levels from 0 to 1")
    assert levels is not None
    assert levels.count == 2
    assert chosen("mixture", 17, SIXTEENTHS)[2] == "likelihood mixture: 17 levels from 0 to 16"


@pytest.mark.parametrize(
    ("given", "x", "message"),
    [
        (("bernoulli", None), RNG.normal(size=(9, 3)), "likelihood 'bernoulli': X is a table.*use likelihood 'normal'"),
        (("auto", 17), RNG.normal(size=(9, 3)), "levels 17: X is a table"),
        (("normal", 17), SIXTEENTHS, "levels 17: a normal law has none; use 'logistic'"),
        (("bernoulli", None), SIXTEENTHS, "likelihood 'bernoulli': pixels have 17 levels; use 'logistic'.*X > 8"),
    ],
)
def test_laws_that_do_not_suit_the_data_are_refused_in_one_line(given, x, message):
    with pytest.raises(UsageError, match=message) as caught:
        chosen(*given, x)
    assert "\n" not in str(caught.value)
