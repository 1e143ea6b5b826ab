"""Dates are days since 1970: one unit for every resolution, and the way back is exact."""

import numpy as np
import pytest

from pushforward.data.columns.dates import dated, days, of_words, resolution
from pushforward.plain.kinds import DATES, FIRST, LAST

SPAN = np.datetime64("1905-01-01", "us"), np.datetime64("2060-01-01", "us")
CODES = dict(zip(DATES, ("D", "m", "s", "us"), strict=True))


def moments(kind: str, n: int = 2000) -> np.ndarray:
    low, high = (int(end.astype(np.int64)) for end in SPAN)
    fine = np.random.default_rng(0).integers(low, high, n).astype("datetime64[us]")
    return fine.astype(f"datetime64[{CODES[kind]}]")


@pytest.mark.parametrize("kind", DATES)
def test_dates_of_every_resolution_come_back_and_tell_it(kind):
    there = moments(kind)
    x = days(there)
    assert resolution(x) == kind
    np.testing.assert_array_equal(dated(x, kind), there)


@pytest.mark.parametrize("kind", DATES)
def test_dates_as_text_are_the_same_days(kind):
    there = moments(kind, 50)
    words = np.datetime_as_string(there).tolist()
    found = of_words(words)
    assert found is not None
    assert not found[1]
    np.testing.assert_array_equal([found[0][word] for word in words], days(there))
    spaced = of_words([word.replace("T", " ") for word in words])
    assert spaced is not None
    assert list(spaced[0].values()) == list(found[0].values())


def test_a_zone_is_counted_back_to_utc_and_not_mixed_with_none():
    found = of_words(["2024-03-01T01:30+01:30", "2024-03-01T00:00Z"])
    assert found is not None
    assert found[1]
    assert len(set(found[0].values())) == 1
    assert of_words(["2024-03-01T00:00Z", "2024-03-01T00:00"]) is None


@pytest.mark.parametrize("word", ["2024-02-30", "20240131", "2024-1-3", "31.12.2024", "2024-01-31T25:00", "", "2024"])
def test_other_writing_is_no_date(word):
    assert of_words([word]) is None


@pytest.mark.parametrize("kind", DATES)
def test_a_date_that_no_year_of_four_digits_holds_is_the_nearest_that_one_does(kind):
    ends = dated(np.array([-1e30, FIRST, LAST, 1e30]), kind)
    words = np.datetime_as_string(ends).tolist()
    assert words[0] == words[1]
    assert words[0].startswith("0001-01-01")
    assert words[2] == words[3]
    assert words[2].startswith("9999-12-31")
    assert of_words(words) is not None


def test_what_is_missing_is_no_number_and_has_no_resolution():
    x = days(np.array(["2024-01-31", "NaT"], "datetime64[D]"))
    assert np.isnan(x).tolist() == [False, True]
    assert resolution(x) == "day"
