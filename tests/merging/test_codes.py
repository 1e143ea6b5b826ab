"""Principal axes: both ways agree with a dense decomposition, and sparse matrices stay sparse."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from scipy.sparse import csr_matrix, random_array

from pushforward.errors import DataError
from pushforward.merging.codes import principal_axes


def reference(x, k):
    centred = x - x.mean(0)
    _, values, axes = np.linalg.svd(centred, full_matrices=False)
    return axes[:k].T, values**2 / len(x)


@pytest.mark.parametrize("shape", [(300, 20), (15, 60), (200, 700)], ids=["covariance", "gram", "lanczos"])
@pytest.mark.parametrize("sparse", [False, True])
def test_axes_span_the_leading_singular_vectors_and_account_for_the_rest(shape, sparse):
    x = random_array(shape, density=0.3, rng=np.random.default_rng(0)).toarray() + (not sparse) * 5.0
    x *= 1 + np.arange(shape[1]) % 7
    k = 6
    found, (axes, variance) = principal_axes(csr_matrix(x) if sparse else x, k), reference(x, 6)
    np.testing.assert_allclose(found.axes @ found.axes.T, axes @ axes.T, atol=1e-7)
    np.testing.assert_allclose(found.axes.T @ found.axes, np.eye(k), atol=1e-10)
    z = found.encode(csr_matrix(x) if sparse else x)
    assert found.residual**2 == pytest.approx(variance[k:].sum(), rel=1e-6)
    rebuilt = found.mean + found.shift(z)
    assert np.square(x - rebuilt).sum(1).mean() == pytest.approx(found.residual**2, rel=1e-6)
    assert found.kept == pytest.approx(variance[:k].sum() / variance.sum(), rel=1e-6)


def test_all_axes_of_a_matrix_rebuild_it():
    x = np.random.default_rng(1).normal(size=(50, 8))
    found = principal_axes(x, 99)
    np.testing.assert_allclose(found.mean + found.shift(found.encode(x)), x, atol=1e-10)
    assert found.residual == pytest.approx(0.0, abs=1e-6)


def test_axes_of_some_rows_are_those_of_the_rows_alone_and_the_seed_only_starts_the_search():
    x = np.random.default_rng(2).normal(size=(90, 600))
    rows = np.arange(90) % 2 == 0
    one, other = principal_axes(x, 3, rows, seed=0), principal_axes(x[rows], 3, seed=5)
    np.testing.assert_allclose(one.axes, other.axes, atol=1e-6)


def test_a_large_sparse_matrix_is_never_made_dense():
    n, d = 200_000, 500
    x = random_array((n, d), density=0.01, rng=np.random.default_rng(3), format="csr", dtype=np.float32)
    tracemalloc.start()
    found = principal_axes(x, 10)
    z = found.encode(x)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert z.shape == (n, 10)
    assert peak < 8 * n * d / 8  # an eighth of the dense matrix


def test_numbers_that_are_not_finite_are_named():
    x = np.ones((5, 3))
    x[2, 1] = np.nan
    with pytest.raises(DataError, match="column 1"):
        principal_axes(x, 2)
