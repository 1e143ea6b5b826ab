"""U-Nets that know the noise level: every shape, every parameter, both precisions, and no break in a compiled graph."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from pushforward.errors import UsageError
from pushforward.nets.timed.mlp import perceptron
from pushforward.nets.timed.preconditioned import Preconditioned, empty_centre
from pushforward.nets.timed.unet import _Attention, unet
from pushforward.randomness import seeded


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("side", [1, 2, 4, 8, 16, 32, 64])
def test_answers_have_the_shape_of_an_image_and_begin_at_zero(side, channels):
    net, x = unet(side, channels, width=4), torch.randn(2, channels, side, side)
    assert net(x, torch.zeros(2)).shape == x.shape
    assert not net(x, torch.zeros(1)).any()


def test_large_images_have_maps_down_to_side_four():
    net = unet(128, 3, width=2)
    assert net(torch.randn(1, 3, 128, 128), torch.zeros(1)).shape == (1, 3, 128, 128)
    sides = []
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(lambda _, given, out: sides.append(out.shape[-1]))
    net(torch.randn(1, 3, 128, 128), torch.zeros(1))
    assert set(sides) == {4, 8, 16, 32, 64, 128}


@pytest.mark.parametrize("side", [1, 8, 16])
@pytest.mark.parametrize("classes", [0, 3])
def test_every_parameter_gets_a_gradient(side, classes, awake):
    net = awake(unet(side, 2, width=8, classes=classes, blocks=2, attention=4))
    labels = (torch.arange(9) % 4,) if classes else ()
    out = net(torch.randn(9, 2, side, side), torch.linspace(-1, 1, 9), *labels)
    (out * torch.randn_like(out)).sum().backward()
    assert not [name for name, p in net.named_parameters() if p.grad is None or not p.grad.abs().max() > 0]


def test_images_are_answered_one_by_one(awake):
    net, x, c = awake(unet(8, 1, width=8)), torch.randn(5, 1, 8, 8), torch.linspace(-1, 1, 5)
    torch.testing.assert_close(net(x, c)[2:4], net(x[2:4], c[2:4]))


def test_level_and_class_reach_every_answer(awake):
    net, x = awake(unet(8, 1, width=8, classes=3)), torch.randn(1, 1, 8, 8)
    said = [net(x, torch.tensor([c])) for c in (-1.0, 0.0, 1.0)]
    said += [net(x, torch.zeros(1), torch.tensor([k])) for k in (0, 1, 2)]
    gaps = torch.cdist(*[torch.stack(said).flatten(1)] * 2) + torch.eye(6)
    assert gaps.min() > 1e-2
    torch.testing.assert_close(said[1], net(x, torch.zeros(1), torch.tensor([3])))


def test_attention_goes_with_the_pixels_wherever_they_are(awake):
    net, h = awake(_Attention(16)), torch.randn(2, 16, 4, 4)
    order = torch.randperm(16)
    moved = net(h.flatten(2)[:, :, order].view(h.shape))
    torch.testing.assert_close(moved, net(h).flatten(2)[:, :, order].view(h.shape))
    assert (net(h) - h).abs().max() > 0.1


@pytest.mark.parametrize("side", [8, 32])
def test_half_precision_is_near_and_answers_in_full(side, awake):
    """Weights at random enlarge roundings of 2^-9 more than learned ones do, which come out a hundredth apart."""
    event = (1, side, side)
    net = awake(Preconditioned(unet(side, width=16, classes=2), *empty_centre(event)))
    y, s = torch.randn(6, *event), torch.logspace(-2, 2, 6)
    with torch.autocast("cpu", torch.bfloat16):
        under = net(y, s)
    assert under.dtype == torch.float32
    gap, said = under - net(y, s), net(y, s) - Preconditioned(unet(side), *empty_centre(event))(y, s)
    assert 0 < gap.norm() / said.norm() < 5e-2


def test_a_net_in_double_precision_answers_in_it(awake):
    net = awake(unet(8, width=8, attention=8)).double()
    x, c = torch.randn(3, 1, 8, 8, dtype=torch.float64), torch.linspace(-1, 1, 3, dtype=torch.float64)
    torch.testing.assert_close(net(x, c).float(), net.float()(x.float(), c.float()), rtol=1e-4, atol=1e-4)


def test_the_same_seed_builds_the_same_net():
    def built(seed: int) -> torch.Tensor:
        with seeded(seed):
            return torch.cat([p.flatten() for p in unet(8, width=8, classes=2).state_dict().values()])

    assert torch.equal(built(1), built(1))
    assert not torch.equal(built(1), built(2))


@pytest.mark.parametrize(
    "build", [lambda: unet(8, width=8, classes=2, attention=4), lambda: perceptron((1, 8, 8), classes=2, waves=3)]
)
@pytest.mark.parametrize("autocast", [False, True])
def test_nothing_breaks_the_graph_of_a_compiled_net(autocast, build, awake):
    net = awake(Preconditioned(build(), *empty_centre((1, 8, 8))))
    y, s, labels = torch.randn(4, 1, 8, 8), torch.logspace(-1, 1, 4), torch.tensor([0, 1, 2, 0])
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        said = torch.compile(net, backend="eager", fullgraph=True)(y, s, labels)
        torch.testing.assert_close(said, net(y, s, labels))


def test_dropout_changes_answers_in_training_alone(awake):
    net, x, c = awake(unet(8, width=8, dropout=0.5)), torch.randn(2, 1, 8, 8), torch.zeros(2)
    assert not torch.equal(net(x, c), net(x, c))
    net.eval()
    assert torch.equal(net(x, c), net(x, c))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"side": 12}, "side 12: .*power of two"),
        ({"side": 8, "channels": 5}, "5 channels: .*1 to 4"),
        ({"side": 8, "multipliers": (1, 1, 1, 1, 1)}, "1 to 4 multipliers for side 8"),
        ({"side": 8, "multipliers": ()}, "1 to 4 multipliers for side 8"),
        ({"side": 8, "width": 0}, "width 0, .*: give at least 1"),
        ({"side": 8, "blocks": 0}, "blocks 0: give at least 1"),
        ({"side": 32, "attention": 32}, "up to 32: give 0 for none, or at most 16"),
        ({"side": 8, "dropout": 1.0}, "dropout 1.0, .*below 1"),
        ({"side": 8, "classes": -1}, "classes -1: .*count from 0"),
    ],
)
def test_shapes_and_sizes_out_of_range_are_refused(given, words):
    with pytest.raises(UsageError, match=words):
        unet(**given)
