"""Kernels: closed forms, positivity, exact blocks, safe gradients."""

import math

import pytest
import torch

from pushforward.errors import DataError
from pushforward.geometry import energy, gram, imq, median_bandwidth, multiscale, rbf, squared_distances

KERNELS = [rbf(0.7), imq(1.3), imq(0.8, 1.5), energy(), energy(1.4), multiscale(rbf, 1.1), multiscale(imq, 0.5, (1, 3))]


def points(n, dim=3, seed=0, dtype=torch.float64):
    return torch.randn(n, dim, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def test_squared_distances_match_the_direct_differences_far_from_the_origin():
    x, y = points(20) + 1e4, points(30, seed=1) + 1e4
    direct = (x[:, None] - y[None]).square().sum(2)
    torch.testing.assert_close(squared_distances(x, y), direct, rtol=1e-10, atol=1e-10)


def test_profiles_at_a_known_distance():
    x, y = torch.zeros(1, 2, dtype=torch.float64), torch.tensor([[3.0, 4.0]], dtype=torch.float64)
    assert rbf(2.0)(x, y).item() == pytest.approx(math.exp(-25 / 8), rel=1e-12)
    assert imq(2.0, 0.5)(x, y).item() == pytest.approx((1 + 25 / 4) ** -0.5, rel=1e-12)
    assert energy()(x, y).item() == pytest.approx(-5.0, rel=1e-12)
    both = multiscale(rbf, 2.0, (1, 2))(x, y).item()
    assert both == pytest.approx((math.exp(-25 / 8) + math.exp(-25 / 32)) / 2, rel=1e-12)


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: kernel.name)
def test_matrix_is_symmetric_and_positive_on_weights_of_sum_zero(kernel):
    x = points(40)
    matrix = kernel(x, x)
    torch.testing.assert_close(matrix, matrix.T)
    centring = torch.eye(40, dtype=torch.float64) - 1 / 40
    assert torch.linalg.eigvalsh(centring @ matrix @ centring).min() > -1e-9


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: kernel.name)
def test_blocks_equal_the_dense_matrix(kernel):
    x, y = points(23), points(17, seed=1)
    torch.testing.assert_close(gram(kernel, x, y, budget=4 * 8 * 23 * 5), kernel(x, y), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: kernel.name)
def test_gradients_agree_with_differences_and_stay_finite_at_coincident_points(kernel):
    x, y = points(4, 2).requires_grad_(), points(5, 2, seed=1)
    assert torch.autograd.gradcheck(lambda z: kernel(z, y).sum(), (x,))
    kernel(x, x.detach()).sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()


def test_gram_computes_in_the_precision_asked_for():
    x, y = points(6, dtype=torch.float32), points(7, seed=1, dtype=torch.float32)
    matrix = gram(rbf(1.0), x, y, dtype=torch.float64)
    assert matrix.dtype == torch.float64
    torch.testing.assert_close(matrix, rbf(1.0)(x.double(), y.double()))


def test_median_bandwidth_is_the_median_pairwise_distance_and_scales_with_the_data():
    x, y = points(31), points(20, seed=1)
    assert median_bandwidth(x, y) == pytest.approx(torch.pdist(torch.cat([x, y])).median().item())
    assert median_bandwidth(3 * x, 3 * y) == pytest.approx(3 * median_bandwidth(x, y))
    large = points(5000)
    assert median_bandwidth(large, max_n=500) == pytest.approx(median_bandwidth(large[:1500], max_n=1500), rel=0.1)
    assert median_bandwidth(large, max_n=100, seed=1) != median_bandwidth(large, max_n=100, seed=2)


def test_unusable_settings_are_refused():
    with pytest.raises(DataError, match="coincide"):
        median_bandwidth(torch.ones(5, 2))
    for build in (lambda: rbf(0.0), lambda: imq(-1.0), lambda: imq(1.0, 0.0), lambda: energy(2.0)):
        with pytest.raises(ValueError, match="is "):
            build()
    with pytest.raises(ValueError, match="factors"):
        multiscale(rbf, 1.0, ())
