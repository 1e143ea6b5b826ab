"""Names of a stranger's data on pages and in figures: escaped, drawn as they are, and told to nobody's terminal."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from pushforward.report.figures.plots import bars, histogram, quantiles
from pushforward.report.values import text

NAMES = ["\x1b[31mred", "細胞", "$x^$", "_hidden", "<b>", "\u202egnp", "\\frac{"]


@pytest.mark.parametrize("name", NAMES)
def test_a_figure_draws_any_name_and_says_nothing_of_it(name):
    x = np.random.default_rng(0).normal(size=(50, 1))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        drawn = [
            histogram({name: x[:, 0], "other": x[:, 0]}, name),
            quantiles(np.sort(x, 0), np.sort(x, 0), [name]),
            bars(np.array([0.5, 0.5]), np.array([0.5, 0.5]), [name, "other"], name),
        ]
    assert all(b"\x1b" not in svg for svg in drawn)


@pytest.mark.parametrize("name", NAMES)
def test_a_page_shows_any_name_and_obeys_none_of_it(name):
    shown = text(name)
    assert not {"\x1b", "\u202e", "<", ">"} & set(shown)
    assert text("two\nlines\tand “words” – of 細胞\u00a0") == "two\nlines\tand “words” – of 細胞\u00a0"
