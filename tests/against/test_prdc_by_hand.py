"""Precision, recall, density and coverage against the plain dense computation with scikit-learn's distances."""

import tracemalloc

import numpy as np
import pytest
import torch
from sklearn.metrics import pairwise_distances

from pushforward.metrics.quality.balls import cover, squared_radii


def dense(q, p, k):
    """Three full matrices; open balls, which on points in general position hold the same points."""
    within_p, within_q, across = pairwise_distances(p), pairwise_distances(q), pairwise_distances(p, q)
    reach_p, reach_q = (
        np.take_along_axis(matrix, np.argpartition(matrix, k, axis=1)[:, : k + 1], axis=1).max(1)
        for matrix in (within_p, within_q)
    )
    inside = across < reach_p[:, None]
    return (
        inside.any(0).mean(),
        (across < reach_q).any(1).mean(),
        inside.sum(0).mean() / k,
        (across.min(1) < reach_p).mean(),
    )


def tiled(q, p, k):
    q, p = torch.from_numpy(q), torch.from_numpy(p)
    found = cover(q, p, squared_radii(q, k), squared_radii(p, k), k)
    return found.precision, found.recall, found.density, found.coverage


def samples(n, m, dim, seed, scale=1.05, shift=0.05):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, dim)) * scale + shift, rng.standard_normal((m, dim))


@pytest.mark.parametrize(("n", "m", "dim", "k"), [(500, 500, 64, 5), (700, 400, 3, 3), (300, 900, 256, 1)])
def test_tiles_give_exactly_the_dense_result(n, m, dim, k):
    for seed in range(3):
        q, p = samples(n, m, dim, seed)
        assert tiled(q, p, k) == pytest.approx(dense(q, p, k), abs=1e-12)
        assert 0 < tiled(q, p, k)[0] < 1


def test_points_of_a_lattice_with_a_random_offset_agree_too():
    rng = np.random.default_rng(0)
    q, p = (
        rng.integers(0, 6, (400, 3)) + 1e-3 * rng.random((400, 3)),
        rng.integers(0, 6, (500, 3)) + 1e-3 * rng.random((500, 3)),
    )
    assert tiled(q, p, 5) == pytest.approx(dense(q, p, 5), abs=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("dim", [64, 2048])
def test_ten_thousand_points_score_as_dense_ones_in_less_than_half_the_memory(dim):
    q, p = samples(10_000, 10_000, dim, 0)
    tracemalloc.start()
    scores = tiled(q, p, 5)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert scores == pytest.approx(dense(q, p, 5), abs=1e-12)
    assert peak < 3 * 8 * 10_000**2 / 2
