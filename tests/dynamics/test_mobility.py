"""The decoder's mobility and its Lipschitz constant, against Jacobians that are written out."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.func import jacrev, vmap

from pushforward.dynamics.mobility import box, lipschitz_constant, mobility, pull, push, slopes, through
from pushforward.randomness import Noise

MATRIX = torch.randn(6, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def linear(z: Tensor) -> Tensor:
    return z @ MATRIX.T


def curved(z: Tensor) -> Tensor:
    return torch.stack([z[:, 0].sin(), z[:, 0].cos() * z[:, 1], 0.3 * z[:, 2] ** 2, z.prod(1)], 1)


def convolved() -> nn.Module:
    net = nn.Sequential(nn.Linear(3, 16), nn.SiLU(), nn.Unflatten(1, (4, 2, 2)), nn.ConvTranspose2d(4, 1, 3, 2, 1, 1))
    return net.double()


def rows(decode, z: Tensor) -> Tensor:
    """Jacobians (n, event, code), written out."""
    return vmap(jacrev(lambda one: decode(one[None])[0].flatten()))(z)


@pytest.mark.parametrize("decode", [linear, curved, convolved()], ids=["linear", "curved", "convolved"])
def test_products_are_those_of_the_jacobian_written_out(decode):
    z, u = torch.randn(2, 5, 3, dtype=torch.float64)
    y = decode(z)
    v = torch.randn_like(y)
    jacobian = rows(decode, z).detach()
    flat = v.flatten(1)[..., None]
    torch.testing.assert_close(push(decode, z, u).flatten(1), (jacobian @ u[..., None])[..., 0])
    torch.testing.assert_close(pull(decode, z, v), (jacobian.mT @ flat)[..., 0])
    wanted = (jacobian @ (jacobian.mT @ flat)).view_as(y)
    found = mobility(decode, z, v)
    torch.testing.assert_close(found, wanted)
    assert not found.requires_grad
    sharp = torch.linalg.matrix_norm(jacobian, 2)
    torch.testing.assert_close(slopes(decode, z, Noise(0), iterations=400), sharp, rtol=1e-6, atol=0)


def test_mobility_is_symmetric_positive_and_of_the_codes_rank():
    z = torch.randn(1, 3, dtype=torch.float64)
    basis = torch.eye(6, dtype=torch.float64)
    matrix = mobility(linear, z.expand(6, 3), basis)
    torch.testing.assert_close(matrix, matrix.T)
    torch.testing.assert_close(matrix, MATRIX @ MATRIX.T)
    values = torch.linalg.eigvalsh(matrix)
    assert values.min() > -1e-12
    assert int((values > 1e-9).sum()) == 3


def test_codes_that_descend_are_decoded_to_points_that_obey_the_mobility():
    def psi(y: Tensor) -> Tensor:
        return (y.square().sum(1) + y[:, 0] * y[:, 3]).sum()

    z = torch.randn(7, 3, dtype=torch.float64)
    leaf = z.clone().requires_grad_(True)
    (slope,) = torch.autograd.grad(psi(curved(leaf)), leaf)
    y = curved(z).requires_grad_(True)
    (force,) = torch.autograd.grad(psi(y), y)
    torch.testing.assert_close(-slope, pull(curved, z, -force))
    wanted = mobility(curved, z, -force)
    errors = [((curved(z - h * slope) - y) / h - wanted).norm() for h in (1e-3, 1e-4)]
    assert errors[1] < 0.12 * errors[0]


def test_mobility_at_a_point_is_that_at_its_code():
    v = torch.randn(4, 6, dtype=torch.float64)
    z = torch.randn(4, 3, dtype=torch.float64)
    inverse = torch.linalg.pinv(MATRIX)
    found = through(lambda x: x @ inverse.T, linear)(linear(z), v)
    torch.testing.assert_close(found, v @ MATRIX @ MATRIX.T)


def test_lipschitz_constant_of_a_linear_decoder_is_its_spectral_norm_and_scales_with_it():
    z = torch.randn(4, 3, dtype=torch.float64)
    exact = float(torch.linalg.matrix_norm(MATRIX, 2))
    assert lipschitz_constant(linear, z, Noise(0), iterations=200) == pytest.approx(exact, rel=1e-9)
    assert lipschitz_constant(lambda z: 3 * linear(z), z, Noise(0), iterations=200) == pytest.approx(
        3 * exact, rel=1e-9
    )


def test_lipschitz_constant_is_the_steepest_of_the_codes_and_no_chord_is_steeper():
    grid = torch.linspace(-2, 2, 41, dtype=torch.float64)[:, None]

    def decode(z: Tensor) -> Tensor:
        return torch.cat([z.sin(), z.square() / 4], 1)

    exact = (grid.cos().square() + grid.square() / 4).sqrt().max()
    found = lipschitz_constant(decode, grid, Noise(0))
    assert found == pytest.approx(float(exact), rel=1e-12)
    chords = (decode(grid[1:]) - decode(grid[:-1])).norm(dim=1) / (grid[1:] - grid[:-1])[:, 0]
    assert chords.max() <= found


def test_a_constant_decoder_has_slope_zero():
    z = torch.randn(3, 2)
    assert lipschitz_constant(lambda z: 0 * z, z, Noise(0)) == 0.0


def test_walls_drop_what_points_out_of_the_box_and_nothing_else():
    x = torch.tensor([[-1.0, -1.0, 1.0, 1.0, 0.0, 1.5]])
    v = torch.tensor([[-2.0, 2.0, 2.0, -2.0, 3.0, math.pi]])
    assert torch.equal(box(-1, 1)(x, v), torch.tensor([[0.0, 2.0, 0.0, -2.0, 3.0, 0.0]]))
