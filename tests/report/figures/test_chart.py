"""A curve is read back from its picture, whatever its values."""

import re

import numpy as np
import pytest

from pushforward.report.figures.chart import Curve, chart
from pushforward.terms import Scale


def _read_back(svg: str) -> list[tuple[float, float]]:
    """Points of the drawn curve in the units of its axes."""
    left, top, right, bottom = map(float, re.findall(r'data-box="(.*?)"', svg)[0].split())
    (x0, x1), (y0, y1) = (map(float, re.findall(rf'data-{axis}="(.*?)"', svg)[0].split()) for axis in "xy")
    points = [pair.split(",") for pair in re.findall(r'data-run="0" points="(.*?)"', svg)[0].split()]
    return [(x0 + (float(x) - left) / (right - left) * (x1 - x0), y0 + (bottom - float(y)) / (bottom - top) * (y1 - y0))
            for x, y in points]  # fmt: skip


@pytest.mark.parametrize("low", [-1e12, -3.0, 0.0, 1e-9])
def test_a_curve_is_read_back_from_its_picture(low):
    points = [(float(step), low + 1e-3 * abs(low) * step + step) for step in range(0, 100, 5)]
    drawn = _read_back(chart({0: [*points]}, "a curve", Scale(log=False)))
    assert np.abs(np.subtract(drawn, points) / np.ptp(points, axis=0)).max() < 1e-3


def test_many_decades_get_a_logarithmic_axis():
    curve: Curve = [(float(k), 10.0**-k) for k in range(8)]
    svg = chart({0: curve}, "a curve", Scale())
    assert "data-log" in svg
    np.testing.assert_allclose([y for _, y in _read_back(svg)], -np.arange(8.0), atol=0.01)
    assert "data-log" not in chart({0: curve}, "a curve", Scale(log=False))


@pytest.mark.parametrize(
    "values", [[0.0], [5.0, 5.0], [1e300, -1e300], [1e-300, 2e-300], [1.0, None, 2.0], [1e16, 1e16 + 2]], ids=str
)
def test_any_finite_values_can_be_drawn(values):
    svg = chart({0: [(float(k), value) for k, value in enumerate(values)]}, "a curve", Scale((0.0, 1.0), (0.0,)))
    assert not re.search(r"nan|inf", svg)
    assert svg.count("<polyline") == 1 + values.count(None)
    assert "No finite value" in chart({0: [(1.0, None)]}, "a curve", Scale())


def test_a_long_curve_keeps_its_spikes():
    curve: Curve = [(float(k), 0.0) for k in range(20_000)]
    curve[12_345] = (12_345.0, 7.0)
    drawn = _read_back(chart({0: curve}, "a curve", Scale()))
    assert len(drawn) < 1000
    assert max(y for _, y in drawn) == pytest.approx(7.0, abs=0.05)
