"""Activations: their largest slopes, found on a fine grid, and the smoothness of the rounded corner."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from pushforward.errors import UsageError
from pushforward.nets.activations import GroupSort, MollifiedReLU, ScaledSiLU, slope_of

GRID = torch.linspace(-12, 12, 240_001, dtype=torch.float64)
PLAIN = [
    nn.ReLU(),
    nn.LeakyReLU(0.2),
    nn.LeakyReLU(-1.5),
    nn.Softplus(),
    nn.SiLU(),
    nn.GELU(),
    nn.ELU(2.0),
    nn.Tanh(),
    nn.Sigmoid(),
    MollifiedReLU(),
    MollifiedReLU(0.1),
    ScaledSiLU(),
]


def slopes(module: nn.Module) -> torch.Tensor:
    x = GRID.clone().requires_grad_(True)
    (slope,) = torch.autograd.grad(module(x).sum(), x)
    return slope


@pytest.mark.parametrize("module", PLAIN, ids=str)
def test_slope_is_the_largest_of_the_activation(module):
    steepest = slopes(module).abs().max().item()
    assert steepest <= slope_of(module)
    assert steepest >= 0.995 * slope_of(module)


def test_corner_of_the_mollified_relu_has_its_formula_and_two_derivatives():
    eps, module = 0.5, MollifiedReLU(0.5)
    x = torch.linspace(0, 2 * eps, 11, dtype=torch.float64)
    wanted = x.square() / (4 * eps) + eps * ((math.pi * x / eps).cos() - 1) / (2 * math.pi**2)
    torch.testing.assert_close(module(x), wanted, rtol=1e-12, atol=1e-15)
    ends = torch.tensor([-3.0, 0.0, 2 * eps, 3.0], dtype=torch.float64)
    torch.testing.assert_close(module(ends), torch.tensor([0.0, 0.0, eps, 3 - eps], dtype=torch.float64))
    bend = slopes(module).diff() / GRID.diff()
    assert bend.diff().abs().max() < 1e-3  # the second derivative is continuous: it grows by 2 pi per unit
    assert bend.max().item() == pytest.approx(1 / eps, rel=1e-3)


@pytest.mark.parametrize("shape", [(7, 6), (2, 4, 3, 3)])
def test_group_sort_reorders_features_and_keeps_the_length_of_every_direction(shape):
    x = torch.randn(shape, dtype=torch.float64)
    out = GroupSort()(x)
    torch.testing.assert_close(out.sort(1).values, x.sort(1).values)
    high, low = out.chunk(2, 1)
    assert (high >= low).all()
    turn = torch.autograd.functional.jacobian(GroupSort(), x).view(x.numel(), -1)
    torch.testing.assert_close(turn.T @ turn, torch.eye(x.numel(), dtype=x.dtype))


def test_unknown_module_is_refused_by_name():
    with pytest.raises(UsageError, match="BatchNorm1d is not known"):
        slope_of(nn.BatchNorm1d(3))
