"""Perceptrons: shapes of any event, a gradient for every parameter, and Fourier features in closed form."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.func import jacrev, vmap

from pushforward.nets import mlp
from pushforward.nets.blocks import FourierFeatures, PixelNorm


@pytest.mark.parametrize("classes", [0, 3])
@pytest.mark.parametrize("depth", [0, 1, 3])
@pytest.mark.parametrize("event", [1, 5, (5,), (2, 3), (1, 4, 4)])
def test_generator_and_critic_have_the_asked_shapes_and_no_dead_parameter(event, depth, classes):
    shape = (event,) if isinstance(event, int) else event
    labels = (torch.arange(32) % classes,) if classes else ()
    generator = mlp.generator(4, event, width=16, depth=depth, classes=classes, activation=nn.SiLU)
    critic = mlp.critic(event, width=16, depth=depth, classes=classes, activation=nn.SiLU, fourier=4)
    x = generator(torch.randn(32, 4), *labels)
    assert x.shape == (32, *shape)
    scores = critic(x, *labels)
    assert scores.shape == (32,)
    (scores * torch.randn(32)).sum().backward()
    for name, parameter in [*generator.named_parameters(), *critic.named_parameters()]:
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


def test_depth_counts_hidden_layers():
    assert [sum(isinstance(m, nn.Linear) for m in mlp.generator(2, 2, depth=k).modules()) for k in range(4)] == [
        1,
        2,
        3,
        4,
    ]
    assert [sum(isinstance(m, nn.Linear) for m in mlp.critic(2, depth=k).modules()) for k in range(4)] == [1, 2, 3, 4]


def test_features_of_a_generator_stand_beside_its_inputs_and_are_no_steeper_than_they():
    plain, waved = (mlp.generator(2, 3, width=8, depth=1, beside=mlp.Beside(fourier=k)) for k in (0, 5))
    assert plain.body[0].in_features == 2
    assert waved.body[1].in_features == 2 + 2 * 5
    front, z = waved.body[0].double(), torch.randn(50, 2).double()
    assert torch.equal(front(z)[:, :2], z)
    slopes = vmap(jacrev(lambda point: front(point[None])[0]))(z).norm(dim=2)[:, 2:]
    assert slopes.max() <= 1 + 1e-12
    lengths = front.frequencies.norm(dim=0)
    both = slopes[:, :5].square() + slopes[:, 5:].square()
    torch.testing.assert_close(both, lengths.clamp(max=1).square().expand(50, 5))


def test_octaves_are_waves_along_each_axis_with_slope_one():
    front = mlp.generator(2, 3, width=8, beside=mlp.Beside(3, 1)).body[0]
    assert front.out == 2 + 2 * (2 * 3 + 1)
    x = torch.randn(4, 2)
    assert torch.equal(front.frequencies[:, :6], torch.tensor([[2.0, 0, 4, 0, 8, 0], [0, 2, 0, 4, 0, 8]]))
    torch.testing.assert_close(front(x)[:, 2 + 7 + 5], (8 * x[:, 1]).sin() / 8)


def test_output_of_a_generator_is_bounded_by_its_last_function():
    x = mlp.generator(2, 3, output=nn.Tanh)(100 * torch.randn(50, 2))
    assert x.abs().max() <= 1
    assert x.abs().max() > 0.5


def test_fourier_features_are_the_point_and_its_waves():
    front = FourierFeatures(2, 5, 0.7)
    x = torch.randn(6, 2)
    out = front(x)
    assert out.shape == (6, 12)
    assert torch.equal(out[:, :2], x)
    torch.testing.assert_close(out[:, 2:7].square() + out[:, 7:].square(), torch.ones(6, 5))
    torch.testing.assert_close(front(torch.zeros(1, 2)), torch.tensor([[0.0] * 2 + [1.0] * 5 + [0.0] * 5]))


def test_fourier_frequencies_have_the_asked_scale_in_cycles():
    for dim in (2, 10):  # phases of standard normal data vary by as many cycles in any dimension
        phases = torch.randn(4000, dim) @ FourierFeatures(dim, 4000, 0.7).frequencies / (2 * math.pi)
        assert phases.std().item() == pytest.approx(0.7 * math.sqrt(2), rel=0.03)
    assert not list(FourierFeatures(2, 3, 1.0).parameters())


def test_pixel_norm_gives_every_pixel_unit_mean_square():
    x = 5 * torch.randn(4, 8, 3, 3)
    out = PixelNorm()(x)
    torch.testing.assert_close(out.square().mean(1), torch.ones(4, 3, 3))
    torch.testing.assert_close(PixelNorm()(3 * x), out)
