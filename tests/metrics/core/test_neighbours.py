"""Nearest-neighbour distances against small cases and their laws."""

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist

from pushforward.errors import DataError
from pushforward.metrics.core.neighbours import FLAT, chamfer, nearest


def normal(n, dim, seed, shift=0.0):
    return np.random.default_rng(seed).standard_normal((n, dim)) + shift


@pytest.mark.parametrize("dim", [1, 3, 40])
@pytest.mark.parametrize("k", [1, 4])
def test_nearest_rows_are_those_of_the_whole_matrix_whatever_the_blocks(dim, k):
    x, y = normal(50, dim, 0), normal(70, dim, 1)
    dense = cdist(x, y)
    done = []
    distances, places = nearest(x, y, k, budget=8 * k * dim * 11, tick=done.append)
    np.testing.assert_allclose(distances, np.sort(dense, 1)[:, :k], rtol=1e-12)
    np.testing.assert_array_equal(places, dense.argsort(1)[:, :k])
    assert done == sorted(done)
    assert (done[-1], len(done)) == (1.0, 5)


@pytest.mark.parametrize("dim", [2, 40])
def test_a_row_is_not_its_own_neighbour_but_its_duplicate_is(dim):
    y = np.concatenate([normal(30, dim, 0), normal(30, dim, 0)[:3], normal(1, dim, 5).repeat(6, 0)])
    own = np.array([0, 4, 31, 33, 38])
    distances, places = nearest(y[own], y, 2, own=own)
    dense = cdist(y[own], y)
    dense[np.arange(5), own] = np.inf
    np.testing.assert_allclose(distances, np.sort(dense, 1)[:, :2], rtol=1e-12)
    assert not (places == own[:, None]).any()
    assert (distances[[0, 2], 0] == 0).all()
    assert (distances[3:] == 0).all()


def test_distances_of_close_pairs_keep_their_digits_far_from_the_origin():
    y = normal(100, 30, 0, shift=1000.0)
    distances, places = nearest(y + 2.0**-20, y)
    np.testing.assert_array_equal(places[:, 0], np.arange(100))
    np.testing.assert_allclose(distances, 2.0**-20 * 30**0.5, rtol=1e-6)


def test_more_neighbours_than_rows_are_refused():
    y = normal(3, 2, 0)
    with pytest.raises(DataError, match="4 neighbours wanted, 3 rows"):
        nearest(y, y, 4)
    with pytest.raises(DataError, match="3 neighbours wanted, 2 rows"):
        nearest(y, y, 3, own=np.arange(3))


def test_chamfer_adds_both_directions_on_a_small_case():
    q, p = torch.tensor([[0.0, 0.0], [3.0, 4.0]]), torch.tensor([[0.0, 0.0], [0.0, 1.0], [0.0, 2.0]])
    to_data = (0.0 + (9.0 + 4.0) ** 0.5) / 2
    to_samples = (0.0 + 1.0 + 2.0) / 3
    assert chamfer(q, p) == pytest.approx(to_data + to_samples, rel=1e-12)
    assert chamfer(q, p) == pytest.approx(chamfer(p, q), rel=1e-12)
    assert chamfer(p, p.flip(0)) == 0


def test_chamfer_scales_with_the_unit_and_sees_strays_and_lost_modes():
    generator = torch.Generator().manual_seed(0)
    centres = torch.tensor([[-1.0, 0.0], [1.0, 0.0]])
    draw = lambda: centres.repeat(200, 1) + 0.01 * torch.randn(400, 2, generator=generator)  # noqa: E731
    p, q = draw(), draw()
    floor = chamfer(q, p)
    assert chamfer(5 * q, 5 * p) == pytest.approx(5 * floor, rel=1e-6)
    strays = q.clone()
    strays[:8] = 0.0
    assert chamfer(strays, p) > floor + 0.8 * 8 / 400
    assert chamfer(q[::2], p) > floor + 0.9


@pytest.mark.parametrize("dim", [FLAT - 1, FLAT, 30])
@pytest.mark.parametrize("law", ["normal", "far from the origin", "an outlier", "near copies", "a grid", "equal rows"])
def test_distances_are_those_of_the_whole_matrix_where_products_round(law, dim):
    x, y = normal(60, dim, 0), normal(80, dim, 1)
    if law == "far from the origin":
        x, y = x + 1e9, y + 1e9
    if law == "an outlier":
        x[0], y[0] = 1e9, 1e9 + 1
    if law == "near copies":  # far nearer to each other than the products round
        y[:20] = y[:1] + 1e-10 * y[:20]
        x[:20] = y[:1] + 1e-10 * x[:20]
    if law == "a grid":
        x, y = np.rint(x), np.rint(y)
    if law == "equal rows":
        y[:40], x[:5] = y[:1], y[:1]
    dense = cdist(x, y)
    for k in (1, 5, 79):
        distances, places = nearest(x, y, k, budget=2**12)
        np.testing.assert_allclose(distances, np.sort(dense, 1)[:, :k], rtol=1e-12)
        np.testing.assert_allclose(np.take_along_axis(dense, places, 1), distances, rtol=1e-12)
        assert all(len(set(line)) == k for line in places.tolist())
