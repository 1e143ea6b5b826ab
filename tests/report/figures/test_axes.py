"""Axes of pictures have plain numbers, also where they are logarithmic: mathematics is never parsed in words."""

from __future__ import annotations

import re

import numpy as np
import pytest

from pushforward.report.figures.plots import histogram
from pushforward.report.figures.tails import draw_survival


@pytest.mark.parametrize("high", [1.3, 3.0, 40.0, 1e5])
def test_a_logarithmic_axis_has_plain_numbers_however_far_it_reaches(high: float):
    values = np.geomspace(1.0, high, 200)
    picture = histogram({"samples": values, "data": values}, "distance", log=True).decode()
    words = re.findall(r"<!-- (.*?) -->", picture)
    assert not [word for word in words if "$" in word or "math" in word]
    numbers = [float(word) for word in words if re.fullmatch(r"[\d.]+(e[+-]?\d+)?", word)]
    assert len([x for x in numbers if 0.9 <= x <= 1.1 * high]) >= 2


def test_the_tails_axes_have_plain_numbers_too():
    from matplotlib.figure import Figure

    rng = np.random.default_rng(0)
    axes = Figure().add_subplot()
    draw_survival(axes, {"samples": rng.pareto(2, 500) + 1, "data": rng.pareto(2, 500) + 1})
    words = [label.get_text() for axis in (axes.xaxis, axes.yaxis) for label in axis.get_ticklabels()]
    assert any(words)
    assert not [word for word in words if "$" in word]


def test_distances_of_zero_stand_beside_the_smallest_on_an_axis_of_logarithms():
    values = np.geomspace(5.0, 80.0, 50)
    picture = histogram({"samples": np.r_[np.zeros(9), values]}, "distance", log=True).decode()
    assert "distance (0: at the left edge)" in picture
    assert "left edge" not in histogram({"samples": values}, "distance", log=True).decode()
