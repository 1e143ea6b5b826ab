"""Autoencoders: shapes of any event, a gradient for every parameter, smooth decoders, bounded outputs."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.func import jvp

from pushforward.errors import UsageError
from pushforward.nets import autoencoder

NETS = [
    *[(autoencoder.perceptron, event) for event in (1, 5, (3,), (2, 3), (1, 4, 4))],
    *[(autoencoder.convolutional, event) for event in ((1, 28, 28), (3, 8, 8), (1, 5, 9), (1, 1, 1), (2, 33, 17))],
]


@pytest.mark.parametrize(("build", "event"), NETS, ids=lambda part: getattr(part, "__name__", str(part)))
def test_reconstructions_have_the_events_shape_and_no_parameter_is_dead(build, event):
    shape = (event,) if isinstance(event, int) else event
    net = build(event, 4, width=8)
    x = torch.randn(6, *shape)
    back = net(x)
    assert net.encode(x).shape == (6, 4)
    assert back.shape == x.shape
    assert net.code == 4
    torch.testing.assert_close(net.decode(net.encode(x)), back)
    (back * torch.randn_like(back)).sum().backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


@pytest.mark.parametrize(("build", "event"), NETS, ids=lambda part: getattr(part, "__name__", str(part)))
def test_rows_do_not_see_each_other_and_decoders_have_forward_derivatives_that_vary_smoothly(build, event):
    net = build(event, 4, width=8).double()
    z, u = torch.randn(2, 3, 4, dtype=torch.float64)
    torch.testing.assert_close(net.decode(z)[1:2], net.decode(z[1:2]))
    net.requires_grad_(False)
    slope = jvp(net.decode, (z,), (u,))[1]
    h = 1e-4
    ahead = jvp(net.decode, (z + h * u,), (u,))[1]
    step = (net.decode(z + h * u) - net.decode(z)) / h
    curvature = (ahead - slope).abs().max()
    assert curvature > 0  # a piecewise linear net has none
    torch.testing.assert_close(step, (slope + ahead) / 2, rtol=0, atol=float(1e-2 * curvature) + 1e-9)


def test_codes_are_centred_and_of_unit_size_over_the_passes_remembered():
    net = autoencoder.perceptron(6, 3, width=8)
    batches = 3 * torch.randn(5, 16, 6) + 2
    for x in batches:
        net(x)
    z = net.encode(batches.flatten(0, 1))
    torch.testing.assert_close(z.mean(0), torch.zeros(3), rtol=0, atol=1e-5)
    torch.testing.assert_close(z.square().mean(), torch.tensor(1.0))
    before = net.encode(batches[0])
    net.eval()(batches[0] + 1)
    assert torch.equal(net.encode(batches[0]), before)
    net.train().memory = 1
    net(batches[0])
    torch.testing.assert_close(net.encode(batches[0]).mean(0), torch.zeros(3), rtol=0, atol=1e-5)
    torch.testing.assert_close(net.encode(batches[0]).square().mean(), torch.tensor(1.0))


def test_depth_zero_is_linear():
    net = autoencoder.perceptron(5, 2, depth=0)
    a, b = torch.randn(2, 4, 5)
    torch.testing.assert_close(net(a + b) + net(0 * a), net(a) + net(b))


@pytest.mark.parametrize(("output", "low", "high"), [(nn.Sigmoid, 0, 1), (nn.Tanh, -1, 1)])
@pytest.mark.parametrize("build", [autoencoder.perceptron, autoencoder.convolutional])
def test_outputs_stay_in_the_box_of_their_last_function(build, output, low, high):
    net = build((1, 6, 6), 3, output=output)
    x = net.decode(100 * torch.randn(50, 3))
    assert low <= x.min()
    assert x.max() <= high
    assert x.max() - x.min() > 0.5 * (high - low)


def test_what_cannot_be_built_is_named():
    with pytest.raises(UsageError, match=r"event \(5,\): convolutions need"):
        autoencoder.convolutional((5,), 2)
    with pytest.raises(UsageError, match="a code of 0 numbers"):
        autoencoder.perceptron(5, 0)
