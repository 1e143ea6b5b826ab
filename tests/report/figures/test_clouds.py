"""Points of any dimension come into the plane, and packed points are read back."""

import numpy as np
import pytest

from pushforward.pictures import view
from pushforward.report.figures.clouds import pack, plane


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_packed_points_are_read_back_to_half_a_level(scale):
    x = scale * np.random.default_rng(0).normal(size=(500, 2))
    box = view(x, [x])
    low, high = box
    levels = np.frombuffer(pack(x, box), "<i2").reshape(-1, 2)
    unit = 2 * (high - low) / 32767
    assert (np.abs((low + high) / 2 + levels * unit - x) <= 0.5001 * unit).all()


def test_packing_marks_what_is_not_finite_and_keeps_outliers_outside_the_view():
    box = np.array([[-1.0, -1.0], [1.0, 1.0]])
    levels = np.frombuffer(pack(np.array([[np.nan, 0.0], [0.0, np.inf], [1e30, -1e30]]), box), "<i2").reshape(-1, 2)
    np.testing.assert_array_equal(levels, [[-32768, -32768], [-32768, -32768], [32767, -32767]])


def test_the_plane_of_many_columns_is_that_of_largest_variance():
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=(2000, 2)) * (3.0, 2.0)
    mixing = np.linalg.qr(rng.normal(size=(6, 6)))[0][:2]
    real = hidden @ mixing + 0.01 * rng.normal(size=(2000, 6))
    flat, (moved,), words = plane(real, [real + 1.0])
    assert flat is not None
    standard = (real - real.mean(0)) / real.std(0)
    assert flat.var(0).sum() == pytest.approx(np.linalg.eigvalsh(np.cov(standard.T, bias=True))[-2:].sum())
    assert np.ptp(moved - flat, axis=0) == pytest.approx([0, 0], abs=1e-9)
    assert "6 standardised columns" in words


@pytest.mark.parametrize("columns", [1, 2, 3])
def test_any_number_of_columns_becomes_two(columns):
    flat, frames, _ = plane(None, [np.ones((4, columns))])
    assert flat is None
    assert frames[0].shape == (4, 2)
    assert np.isfinite(frames[0]).all()
