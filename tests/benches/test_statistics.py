"""Shares and means: the interval of a share solves its equation, and errors are the textbook's."""

import math

import numpy as np
import pytest
from scipy.stats import norm, sem

from pushforward.benches.statistics import Share, mean

COUNTS = [(0, 1), (0, 7), (1, 1), (7, 7), (3, 7), (1, 40), (39, 40), (20, 40)]


@pytest.mark.parametrize(("count", "n"), COUNTS)
def test_an_interval_ends_where_the_share_is_as_many_errors_away_and_mirrors(count, n):
    low, high = Share(count, n).interval
    for end in (low, high):
        assert abs(count / n - end) == pytest.approx(norm.ppf(0.975) * math.sqrt(end * (1 - end) / n), abs=1e-12)
    assert 0 <= low <= count / n <= high <= 1
    assert high > low
    assert Share(n - count, n).interval == pytest.approx((1 - high, 1 - low))


def test_a_share_of_none_or_all_has_an_interval_and_no_error_of_nought():
    assert Share(0, 9).se is None
    assert Share(9, 9).se is None
    assert Share(3, 9).se == pytest.approx(math.sqrt(1 / 3 * 2 / 3 / 9))
    assert Share(0, 0).interval == (0, 1)


def test_a_mean_and_its_error_are_of_the_numbers_that_are_there():
    values = [0.3, None, -1.2, 4.0, None]
    known = np.array([0.3, -1.2, 4.0])
    found = mean(values)
    assert (found.value, found.se, found.n) == (pytest.approx(known.mean()), pytest.approx(sem(known)), 3)
    assert mean([2.0]).se is None
    assert math.isnan(mean([None]).value)
