"""Sines and cosines in front of a critic stretch nothing, so its slope stays bounded and within reach."""

from __future__ import annotations

import pytest
import torch
from torch.func import jacrev, vmap
from torch.optim import Adam

from pushforward.nets.lipschitz import certificate, critic, observed_slope
from pushforward.nets.waves import Waves


@pytest.mark.parametrize("octaves", [1, 4, 9])
@pytest.mark.parametrize("dim", [1, 2, 5])
def test_every_singular_value_of_the_jacobian_is_one_everywhere(dim, octaves):
    waves = Waves(dim, octaves).double()
    x = 10 * torch.randn(200, dim, dtype=torch.float64)
    jacobian = vmap(jacrev(lambda point: waves(point[None])[0]))(x)
    assert jacobian.shape == (200, waves.out, dim)
    torch.testing.assert_close(torch.linalg.svdvals(jacobian), torch.ones(200, dim, dtype=torch.float64))


@pytest.mark.parametrize("octaves", [1, 4])
def test_no_two_points_come_farther_apart(octaves):
    waves = Waves(3, octaves).double()
    x, y = 5 * torch.randn(2, 500, 3, dtype=torch.float64)
    assert ((waves(x) - waves(y)).norm(dim=1) <= (x - y).norm(dim=1) * (1 + 1e-12)).all()


@pytest.mark.parametrize("mode", ["bjorck", "spectral", "reference"])
def test_a_critic_behind_waves_keeps_its_slope_after_learning(mode):
    torch.manual_seed(0)
    net = critic(2, slope=0.7, mode=mode, waves=4)
    optimiser, x = Adam(net.parameters(), lr=1e-2), torch.randn(256, 2)
    for _ in range(20):
        optimiser.zero_grad()
        (net(x) * torch.sin(9 * x[:, 0])).mean().backward()
        optimiser.step()
    seen = observed_slope(net, 3 * torch.randn(2000, 2)).item()
    assert seen <= certificate(net) * (1 + 1e-4)
    assert certificate(net) <= net.slope * (1 + 1e-4)
