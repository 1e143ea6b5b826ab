"""A net that starts at a normal law has the mean and covariance of the data, and moves its latents least."""

from __future__ import annotations

import pytest
import torch

from pushforward.nets import mlp
from pushforward.nets.blocks import normal_law, started


def cloud(d: int, n: int = 400) -> torch.Tensor:
    torch.manual_seed(d)
    return torch.randn(n, d, dtype=torch.float64) @ torch.randn(d, d, dtype=torch.float64) + torch.arange(d)


@pytest.mark.parametrize("latent", [3, 5])
def test_mean_and_covariance_are_those_of_the_data(latent):
    x = cloud(3)
    mean, axes = normal_law(x, latent)
    assert axes.shape == (latent, 3)
    torch.testing.assert_close(mean, x.mean(0))
    torch.testing.assert_close(axes.T @ axes, torch.cov(x.T, correction=0))


def test_of_all_such_maps_it_moves_a_latent_least():
    x = cloud(3)
    axes = normal_law(x, 3)[1]

    def moved(a: torch.Tensor) -> float:
        return float((a - torch.eye(3)).square().sum())  # E|zA - z|²

    for seed in range(20):
        torch.manual_seed(seed)
        turned = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64))[0]
        assert moved(axes) < moved(turned @ axes)
    torch.testing.assert_close(axes, axes.T)


def test_fewer_latents_than_numbers_are_the_leading_principal_components():
    x = cloud(6)
    axes = normal_law(x, 2)[1]
    squares, directions = torch.linalg.eigh(torch.cov(x.T, correction=0))
    best = directions[:, -2:] @ squares[-2:].diag() @ directions[:, -2:].T
    torch.testing.assert_close(axes.T @ axes, best)


def test_one_column_has_its_deviation():
    x = cloud(1)
    mean, axes = normal_law(x, 1)
    torch.testing.assert_close(axes, x.std(0, correction=0)[None])
    torch.testing.assert_close(mean, x.mean(0))


@pytest.mark.parametrize("latent", [3, 12])
def test_fewer_rows_than_columns_have_the_same_leading_axes(latent):
    x = cloud(30)[:8]
    mean, axes = normal_law(x, latent)
    torch.testing.assert_close(mean, x.mean(0))
    squares, directions = torch.linalg.eigh(torch.cov(x.T, correction=0))
    best = (directions * squares.clamp_min(0))[:, -latent:] @ directions[:, -latent:].T
    torch.testing.assert_close(axes.T @ axes, best)


@pytest.mark.parametrize("fourier", [0, 3])
@pytest.mark.parametrize("classes", [0, 4])
def test_a_fresh_generator_is_the_affine_map_whatever_the_class(fourier, classes):
    x = cloud(2).float()
    mean, axes = normal_law(x, 5)
    net = started(mlp.generator(5, 2, width=16, classes=classes, beside=mlp.Beside(fourier, fourier)), mean, axes)
    z, labels = torch.randn(64, 5), torch.arange(64) % 4
    torch.testing.assert_close(net(z, labels) if classes else net(z), mean + z @ axes)


def test_every_parameter_of_it_learns():
    net = started(mlp.generator(2, 2, width=16, beside=mlp.Beside(2, 4)), *normal_law(cloud(2).float(), 2))
    optimiser = torch.optim.Adam(net.parameters(), lr=1e-2)
    before = [parameter.clone() for parameter in net.parameters()]
    for _ in range(3):
        optimiser.zero_grad()
        net(torch.randn(64, 2)).square().sum().backward()
        optimiser.step()
    assert all(not torch.equal(old, new) for old, new in zip(before, net.parameters(), strict=True))
    assert {name for name, _ in net.named_buffers()} >= {"body.mean", "body.axes"}
