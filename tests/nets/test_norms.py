"""Bounds of operator norms against singular values of the operators, written out column by column."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn.functional import conv2d

from pushforward.nets.norms import convolution_bound, frequencies, matrix_bound, orthonormal, spectrum, together

DOUBLE = torch.float64


def norm(matrix: Tensor) -> Tensor:
    return torch.linalg.matrix_norm(matrix, 2)


def flat(*shape: int) -> Tensor:
    """Matrices whose singular values are all one: the worst case of a bound by powers."""
    return torch.linalg.qr(torch.randn(*shape, dtype=DOUBLE))[0]


@pytest.mark.parametrize("shape", [(2, 5, 1), (3, 7, 2), (2, 40, 32), (1, 130, 128)])
@pytest.mark.parametrize("make", [flat, lambda *shape: torch.randn(*shape, dtype=DOUBLE)], ids=["flat", "random"])
def test_bound_of_matrices_is_above_their_norms_by_a_thousandth_at_most(make, shape):
    w = make(*shape) * torch.logspace(-6, 3, shape[0], dtype=DOUBLE).view(-1, 1, 1)
    ratio = matrix_bound(w).flatten() / norm(w)
    assert ratio.min() >= 1 - 1e-12
    assert ratio.max() <= 1.001
    single = matrix_bound(w.float()).flatten().double() / norm(w.float().double())
    assert single.min() >= 1
    assert single.max() <= 1.001


def test_few_squarings_are_a_schatten_norm_in_closed_form():
    w = torch.diag(torch.tensor([3.0, 2.0, 1.0], dtype=DOUBLE))[None]
    for squarings, power in [(0, 4), (1, 8), (2, 16)]:
        wanted = (3.0**power + 2.0**power + 1) ** (1 / power)
        assert matrix_bound(w, squarings=squarings).item() == pytest.approx(wanted, rel=1e-12)


def test_bound_of_zeros_is_zero_with_a_finite_gradient():
    w = torch.zeros(1, 3, 2, requires_grad=True)
    bound = matrix_bound(w)
    assert bound.item() < 1e-15
    (slope,) = torch.autograd.grad(matrix_bound(torch.cat([w, torch.ones(1, 3, 2)]))[1], w)
    assert torch.equal(slope, torch.zeros(1, 3, 2))


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 32, 2), (2, 100, 32)])
def test_iteration_makes_columns_orthonormal_and_never_passes_norm_one(shape):
    w = flat(*shape).float() + 0.02 * torch.randn(shape)
    out = orthonormal(w)
    torch.testing.assert_close(out.mT @ out, torch.eye(shape[2]).expand(shape[0], -1, -1), rtol=0, atol=1e-5)
    polar = torch.linalg.svd(w.double(), full_matrices=False)
    torch.testing.assert_close(out.double(), polar.U @ polar.Vh, rtol=0, atol=1e-5)
    for iterations in range(1, 5):  # not converged
        assert norm(orthonormal(torch.randn(shape), iterations=iterations).double()).max() <= 1 + 1e-6


def test_together_is_the_function_of_each_matrix_whatever_its_shape():
    weights = [torch.randn(*shape, dtype=DOUBLE) for shape in [(6, 2), (6, 6), (6, 6), (3, 9), (9, 4)]]
    for order in (weights, weights[::-1], weights[:1], []):
        found = together(orthonormal, order)
        assert len(found) == len(order)
        for weight, out in zip(order, found):
            tall = weight if weight.shape[0] >= weight.shape[1] else weight.mT
            wanted = orthonormal(tall[None])[0]
            torch.testing.assert_close(out, wanted if tall is weight else wanted.mT, rtol=1e-9, atol=1e-9)


def operator(kernel: Tensor, side: int, stride: int, padding: int) -> Tensor:
    """The matrix of a zero-padded convolution, one column for each pixel of its map."""
    inputs = kernel.shape[1]
    pixels = torch.eye(inputs * side * side, dtype=kernel.dtype).view(-1, inputs, side, side)
    return conv2d(pixels, kernel, stride=stride, padding=padding).flatten(1).T


def torus(kernel: Tensor, points: int, stride: int) -> Tensor:
    """The matrix of a circular convolution, one column for each pixel."""
    k, inputs = kernel.shape[3], kernel.shape[1]
    pixels = torch.eye(inputs * points**2, dtype=kernel.dtype).view(-1, inputs, points, points)
    return (
        conv2d(torch.nn.functional.pad(pixels, (0, k - 1, 0, k - 1), mode="circular"), kernel, stride=stride)
        .flatten(1)
        .T
    )


CASES = pytest.mark.parametrize(
    ("side", "kernel", "stride", "padding"),
    [
        (13, 3, 1, 1),
        (12, 5, 1, 2),
        (13, 3, 2, 1),
        (15, 5, 2, 2),
        (14, 4, 2, 1),
        (7, 4, 2, 1),
        (9, 3, 3, 0),
        (5, 1, 2, 0),
    ],
)


@CASES
@pytest.mark.parametrize(("out", "inputs"), [(3, 2), (2, 5)])
def test_spectrum_has_the_singular_values_of_the_circular_convolution(side, kernel, stride, padding, out, inputs):
    w = torch.randn(out, inputs, kernel, kernel, dtype=DOUBLE)
    waves = frequencies(side, kernel, stride, padding)
    points = max(-(-(side + padding) // stride), (side + 2 * padding - kernel) // stride + 1) * stride
    exact = norm(torus(w, points, stride))
    found = norm(torch.complex(*spectrum(w, waves, stride))).max()
    torch.testing.assert_close(found, exact, rtol=1e-9, atol=0)
    bound = convolution_bound(w, waves, stride)
    assert 1 - 1e-12 <= bound / exact <= 1.001


@CASES
def test_bound_of_a_zero_padded_convolution_is_above_its_norm(side, kernel, stride, padding):
    w = torch.randn(4, 3, kernel, kernel, dtype=DOUBLE)
    exact = norm(operator(w, side, stride, padding))
    assert convolution_bound(w, frequencies(side, kernel, stride, padding), stride) >= exact * (1 - 1e-12)


@pytest.mark.parametrize(("side", "kernel", "stride"), [(29, 3, 1), (28, 3, 2), (27, 4, 2), (41, 5, 2), (41, 5, 1)])
def test_bound_of_a_convolution_on_a_large_map_is_within_a_hundredth(side, kernel, stride):
    w, padding = torch.randn(1, 1, kernel, kernel, dtype=DOUBLE), (kernel - 1) // 2
    exact = norm(operator(w, side, stride, padding))
    assert 1 <= convolution_bound(w, frequencies(side, kernel, stride, padding), stride) / exact <= 1.01


@pytest.mark.parametrize("stride", [1, 2])
def test_edges_take_away_from_the_torus_with_the_side_squared(stride):
    """A box of k ones has the norm sum_j cos(j pi / (n + 1)) over its taps on a line of n points: k (1 - c / n^2)."""
    w, excess = torch.ones(1, 1, 5, 5, dtype=DOUBLE), []
    for side in (14, 28):
        exact = norm(operator(w, side, stride, 2))
        assert exact > 2 * w.norm() / stride  # the norm of the reshaped kernel is no bound
        excess.append((convolution_bound(w, frequencies(side, 5, stride, 2), stride) / exact - 1).item())
    assert 0 < excess[1] < 0.03
    assert excess[0] / excess[1] == pytest.approx(4, rel=0.15)


@pytest.mark.parametrize("iterations", [1, 3, 12])
def test_gradient_of_the_orthonormal_matrix_is_that_of_its_iteration(iterations):
    w = torch.randn(2, 5, 3, dtype=DOUBLE, requires_grad=True)
    assert torch.autograd.gradcheck(lambda w: orthonormal(w, iterations=iterations), w)


@pytest.mark.parametrize("squarings", [None, 0, 2])
def test_gradient_of_a_bound_is_exact(squarings):
    w = torch.randn(2, 5, 3, dtype=DOUBLE, requires_grad=True)
    assert torch.autograd.gradcheck(lambda w: matrix_bound(w, squarings=squarings), w)


def test_gradient_of_the_bound_of_a_convolution_is_exact():
    w, waves = torch.randn(3, 2, 4, 4, dtype=DOUBLE, requires_grad=True), frequencies(9, 4, 2, 1)
    assert torch.autograd.gradcheck(lambda w: convolution_bound(w, waves, 2), w)


@pytest.mark.parametrize("scale", [1e-30, 1e-25, 1e-17, 1e-12, 1e-6, 1e6, 1e10, 1e15, 1e17, 1e25, 1e35])
def test_bound_of_a_matrix_grows_with_it_as_far_as_squares_are_numbers(scale):
    stack = torch.randn(2, 9, 6, generator=torch.Generator().manual_seed(0))
    wide = (stack * scale).requires_grad_(True)
    bound = matrix_bound(wide)
    torch.testing.assert_close(bound / scale, matrix_bound(stack), rtol=1e-5, atol=0)
    norm = torch.linalg.matrix_norm(stack.double(), 2)
    assert (bound.flatten().double() / scale >= norm * (1 - 1e-6)).all()
    (slope,) = torch.autograd.grad(bound.sum(), wide)  # of a norm, u v', whatever the scale
    torch.testing.assert_close((slope * stack).sum((1, 2)), matrix_bound(stack).flatten(), rtol=1e-4, atol=0)


@pytest.mark.parametrize("scale", [1e-30, 1e-25, 1e-17, 1e-16, 1.0, 1e19, 1e25, 1e35])
def test_bound_of_wide_orthonormal_columns_lies_above_their_norm_at_any_size_of_float32(scale):
    columns = torch.linalg.qr(torch.randn(512, 200, generator=torch.Generator().manual_seed(0)))[0][None] * scale
    ratio = matrix_bound(columns).double() / norm(columns.double())
    assert 1 <= ratio.item() <= 1.001


@pytest.mark.parametrize("scale", [1e-30, 1e-17, 1e19, 1e35])
def test_bound_of_a_convolution_grows_with_its_kernel_over_all_of_float32(scale):
    kernel, waves = torch.randn(6, 4, 3, 3, generator=torch.Generator().manual_seed(0)), frequencies(8, 3, 1, 1).float()
    wide = (kernel * scale).requires_grad_(True)
    bound = convolution_bound(wide, waves, 1)
    assert bound.item() / scale == pytest.approx(convolution_bound(kernel, waves, 1).item(), rel=1e-5)
    (slope,) = torch.autograd.grad(bound, wide)
    assert (slope * kernel).sum().item() == pytest.approx(bound.item() / scale, rel=1e-4)
