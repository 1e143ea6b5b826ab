"""Sums over kernels: blocks equal the dense matrix, slopes equal autograd's, every order of every profile."""

from __future__ import annotations

import pytest
import torch

from pushforward.errors import UsageError
from pushforward.geometry import (
    Kernel,
    Linear,
    energy,
    imq,
    kernels,
    multiscale,
    random_features,
    rbf,
    row_blocks,
    sliced_energy,
    squared_distances,
)
from pushforward.randomness import Noise

RADIAL = [rbf(0.7), imq(1.3), imq(0.8, 1.5), energy(), energy(1.4), multiscale(rbf, 1.1), multiscale(imq, 0.5, (1, 3))]
RNG = Noise(3, dtype=torch.float64)
KERNELS = [*RADIAL, Linear(0.5), random_features(3, 40, 0.9, RNG), sliced_energy(3, 25, RNG)]


def name(kernel):
    return getattr(kernel, "name", type(kernel).__name__)


def points(n, dim=3, seed=0):
    return torch.randn(n, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("kernel", KERNELS, ids=name)
def test_sums_and_slopes_in_blocks_equal_the_dense_matrix_and_its_gradient(kernel, monkeypatch):
    monkeypatch.setattr(kernels, "_CACHE", 8 * 31 * 4)  # four rows a block
    x, z, weights = points(23), points(31, seed=1), points(31, seed=2)[:, 0]
    free = x.clone().requires_grad_(True)
    sums = kernel(free, z) @ weights
    (slope,) = torch.autograd.grad(sums.sum(), free)
    torch.testing.assert_close(kernel.combine(x, z, weights), sums.detach(), rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(kernel.slope(x, z, weights), slope, rtol=1e-9, atol=1e-10)
    for k in (0, 22):
        other = z.clone().requires_grad_(True)
        (each,) = torch.autograd.grad(kernel(x[k : k + 1], other).sum(), other)
        torch.testing.assert_close(kernel.repulsion(x, z, weights)[k], weights @ each, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("kernel", [*RADIAL, Linear(0.5)], ids=name)
def test_sums_take_several_columns_of_weights_and_events_of_any_shape(kernel):
    x, z, weights = points(7, 6).view(7, 2, 3), points(9, 6, seed=1).view(9, 2, 3), points(9, seed=2)
    one_by_one = torch.stack([kernel.combine(x, z, column) for column in weights.T], 1)
    torch.testing.assert_close(kernel.combine(x, z, weights), one_by_one)
    assert kernel.slope(x, z, weights[:, 0]).shape == x.shape


@pytest.mark.parametrize("kernel", RADIAL, ids=name)
def test_each_derivative_is_the_slope_of_the_one_before(kernel):
    squared = torch.linspace(0.1, 4, 50, dtype=torch.float64, requires_grad=True)
    lower = kernel.profile(squared)
    for order in (1, 2, 3):
        (slope,) = torch.autograd.grad(lower.sum(), squared)
        lower = kernel.derivative(squared, order)
        torch.testing.assert_close(lower.detach(), slope, rtol=1e-12, atol=1e-14)


def test_a_points_own_term_adds_no_slope():
    for kernel in RADIAL:
        x = points(1)
        assert kernel.slope(x, x, torch.ones(1, dtype=torch.float64)).abs().max() < 1e-12


def test_blocks_of_distances_cover_all_rows_far_from_the_origin(monkeypatch):
    monkeypatch.setattr(kernels, "_CACHE", 8 * 5 * 3)
    x, y = points(10) + 1e4, points(5, seed=1) + 1e4
    found = torch.cat([block.clone() for _, block in row_blocks(x, y)])
    torch.testing.assert_close(found, squared_distances(x, y), rtol=1e-9, atol=1e-9)


def test_random_features_have_the_error_of_a_mean():
    x = points(40)
    features = random_features(3, 4000, 1.1, Noise(0, dtype=torch.float64))
    error = (features(x, x) - rbf(1.1)(x, x)).abs()
    assert error.max() < 5 / 8000**0.5
    assert error.diagonal().max() < 1e-12


def test_lines_average_to_the_energy_kernel():
    x, y = points(10), points(12, seed=1)
    sliced = sliced_energy(3, 20_000, Noise(0, dtype=torch.float64))
    torch.testing.assert_close(sliced(x, y), energy()(x, y), rtol=0.03, atol=0)


def test_a_kernel_without_derivative_says_so():
    bare = Kernel("mine", 1.0, torch.exp)
    with pytest.raises(UsageError, match="mine"):
        bare.slope(points(2), points(2), torch.ones(2, dtype=torch.float64))
    for build in (lambda: random_features(2, 0, 1.0, RNG), lambda: sliced_energy(2, 0, RNG)):
        with pytest.raises(UsageError, match="count"):
            build()
