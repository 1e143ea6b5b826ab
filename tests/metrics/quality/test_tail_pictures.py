"""What tail pictures draw: survival functions, straight for Pareto samples, and bands that cover as often as said."""

from math import comb

import numpy as np
import pytest
import torch

from pushforward.errors import UsageError
from pushforward.metrics.quality.tails import quantile_band, survival


@pytest.mark.parametrize("index", [0.5, 1.0, 3.0])
def test_an_exact_pareto_sample_survives_along_a_straight_line_of_slope_minus_its_index(index):
    n = 500
    x = (torch.arange(1, n + 1, dtype=torch.float64) / n).pow(-1 / index)
    values, shares = survival(x[torch.randperm(n, generator=torch.Generator().manual_seed(0))])
    slopes = np.diff(np.log(shares)) / np.diff(np.log(values))
    np.testing.assert_allclose(slopes, -index, rtol=1e-9)
    assert (values[-1], shares[-1]) == pytest.approx((1.0, 1.0))
    assert shares[0] == pytest.approx(1 / n)


def test_survival_counts_equal_values_once_and_all_of_them():
    values, shares = survival(torch.tensor([3.0, 1.0, 3.0, 2.0]))
    assert values.tolist() == [3.0, 2.0, 1.0]
    assert shares.tolist() == [0.5, 0.75, 1.0]


def test_one_sample_against_itself_lies_on_the_diagonal_and_in_its_band():
    x = np.random.default_rng(0).standard_cauchy(300)
    found = quantile_band(x, x)
    assert np.array_equal(found.fake, found.real)
    assert (found.low <= found.fake).all()
    assert (found.fake <= found.high).all()
    assert (np.diff(found.fake) <= 0).all()


@pytest.mark.parametrize(("n", "m", "confidence"), [(40, 40, 0.9), (60, 15, 0.9), (15, 60, 0.5)])
def test_the_band_holds_the_ranks_that_one_law_gives_with_the_chance_asked_for(n, m, confidence):
    levels = np.array([1 / n, 0.1, 0.5, 0.9])
    found = quantile_band(np.zeros(n), np.arange(1, m + 1), levels, confidence)
    for level, low, high in zip(levels, found.low, found.high):
        i = int(np.ceil(level * n - 1e-9))
        # Of data and samples mixed at random: c rows of data beyond the i-th largest sample, and i - 1 samples.
        chance = [comb(i - 1 + c, c) * comb(n - i + m - c, m - c) / comb(n + m, m) for c in range(m + 1)]
        least = 0 if high == np.inf else int(m + 1 - high)
        most = m if low == -np.inf else int(m - low)
        assert sum(chance) == pytest.approx(1)
        assert sum(chance[least : most + 1]) >= confidence
        assert sum(chance[least + 1 : most]) < confidence


def test_a_sample_twice_as_wide_leaves_the_band_and_only_that_way():
    rng = np.random.default_rng(2)
    found = quantile_band(2 * rng.standard_normal(4000), rng.standard_normal(4000), np.array([0.01, 0.1, 0.9, 0.99]))
    assert (found.fake > found.high).tolist() == [True, True, False, False]
    assert (found.fake < found.low).tolist() == [False, False, True, True]


def test_bands_do_not_depend_on_the_unit_or_on_a_monotone_map():
    rng = np.random.default_rng(3)
    q, p = rng.standard_normal((2, 200))
    plain, mapped = quantile_band(q, p), quantile_band(5 * q**3, 5 * p**3)
    np.testing.assert_allclose(mapped.high, 5 * plain.high**3)
    np.testing.assert_allclose(mapped.low, 5 * plain.low**3)


def test_levels_outside_zero_and_one_are_refused():
    with pytest.raises(UsageError, match="between 0 and 1"):
        quantile_band(np.ones(5), np.ones(5), np.array([1.0]))
