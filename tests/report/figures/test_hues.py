"""Any number of colours that are told apart on light and on dark paper, and names that are told apart when short."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from pushforward.report.figures.hues import LONGEST, hues, mark, shortened
from pushforward.report.values import LIGHT

PAPERS = ("#faf9f6", "#131619")  # of report.html


def linear(colour):
    share = np.array(to_rgb(colour))
    return np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)


def luminance(colour):
    return float(linear(colour) @ [0.2126, 0.7152, 0.0722])


def cielab(colour):
    """CIE L*a*b* under D65: a measure of what is seen other than the one that colours are chosen by."""
    rgb_to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    share = np.array(rgb_to_xyz) @ linear(colour) / [0.9505, 1.0, 1.089]
    x, y, z = np.where(share > 0.008856, np.cbrt(share), 7.787 * share + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("count", [0, 1, 12, 13, 30, 400])
def test_colours_are_as_many_as_asked_all_different_and_the_first_are_those_of_runs(count):
    found = hues(count)
    assert len(set(found)) == len(found) == count
    assert found[:12] == list(LIGHT)[:count]


def test_thirty_colours_are_far_apart_and_read_on_light_and_on_dark_paper():
    found = hues(30)
    lab = np.array([cielab(colour) for colour in found])
    apart = np.linalg.norm(lab[:, None] - lab, axis=2)[~np.eye(30, dtype=bool)]
    assert apart.min() > 10  # 2.3 is just seen
    for colour in found:
        for paper in PAPERS:
            dark, light = sorted((luminance(colour), luminance(paper)))
            assert (light + 0.05) / (dark + 0.05) > 2


def test_fewer_colours_are_the_first_of_more():
    assert hues(40)[:30] == hues(30)


def test_each_dozen_of_names_has_a_shape_of_its_own():
    assert [len({mark(12 * k + j) for j in range(12)}) for k in range(5)] == [1] * 5
    assert len({mark(12 * k) for k in range(5)}) == 5


@pytest.mark.parametrize("seed", range(20))
def test_short_names_are_all_different_and_none_is_long(seed):
    rng = np.random.default_rng(seed)
    letters, lengths = np.array(["a", "_", "\n", "…"]), rng.choice([0, 1, 2, 40, 120, 300], 40)
    names = list({"".join(letters[(rng.random(n) < 2 / (n + 1)) * rng.integers(1, 4, n)]) for n in lengths})
    found = shortened(names)
    assert len(set(found)) == len(found) == len(names)
    assert all(found)
    assert max(map(len, found)) <= LONGEST + len(" (40)")


@pytest.mark.parametrize(
    "names",
    [["a" * 50 + ending for ending in "xy"], ["a" * 20 + middle + "a" * 40 for middle in "xy"],
     ["a" * 100 + middle + "a" * 100 for middle in "xy"], ["a" * 200, "a" * 199, "a" * 198]],
)  # fmt: skip
def test_long_names_are_told_apart_wherever_they_differ(names):
    found = shortened([*names, "b"])
    assert len(set(found)) == len(names) + 1
    assert found[-1] == "b"
    assert max(map(len, found)) <= LONGEST + len(" (3)")
