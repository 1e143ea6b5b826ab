"""Bytes in words are the units that options and the environment count in."""

from __future__ import annotations

import pytest

from pushforward.methods.particles import tape
from pushforward.plain.sizes import size
from pushforward.settings.asked import Settings


@pytest.mark.parametrize("words", ["64MB", "1GB", "256MB", "1.5GB", "512KB"])
def test_a_size_in_words_is_the_size_that_an_option_of_these_words_means(words):
    assert size(Settings(memory=words).bytes).replace(" ", "").upper() == words


def test_the_bound_of_recorded_fields_is_the_one_that_is_documented():
    assert size(tape.BYTES) == "256 MB"


@pytest.mark.parametrize(("count", "words"), [(0, "0 kB"), (300, "0.3 kB"), (2**20 - 1, "1024 kB"), (2**20, "1 MB")])
def test_a_unit_is_the_largest_that_is_filled(count, words):
    assert size(count) == words
