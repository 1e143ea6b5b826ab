"""Image nets: every shape, a gradient for every parameter, inputs left alone, and errors that name the remedy."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import pytest
import torch
from torch import Tensor, nn

from pushforward.errors import UsageError
from pushforward.nets import dcgan, mlp, resnet

KINDS = pytest.mark.parametrize("kind", [dcgan, resnet], ids=["dcgan", "resnet"])
SIDES = [1, 2, 4, 8, 16, 32, 64]
LATENT, WIDTH, CLASSES = 6, 8, 3


def every_parameter_gets_a_gradient(net: nn.Module, *inputs: Tensor) -> None:
    out = net(*inputs)
    (out * torch.randn_like(out)).sum().backward()
    dead = [name for name, p in net.named_parameters() if p.grad is None or not p.grad.abs().max() > 0]
    assert not dead


def nothing_rewrites_its_input(net: nn.Module, *inputs: Tensor) -> None:
    before: dict[int, list[tuple[Tensor, Tensor]]] = {}

    def enter(module: nn.Module, given: tuple[Tensor, ...]) -> None:
        before[id(module)] = [(x, x.detach().clone()) for x in given]

    def leave(module: nn.Module, given: tuple[Tensor, ...], out: Tensor) -> None:
        for x, copy in before[id(module)]:
            assert torch.equal(x.detach(), copy), f"{type(module).__name__} rewrites its input"

    for module in net.modules():
        module.register_forward_pre_hook(enter)
        module.register_forward_hook(leave)
    net(*inputs)
    assert len(before) > 3


@KINDS
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("side", SIDES)
def test_generator_and_critic_have_the_asked_shapes(kind: ModuleType, side: int, channels: int):
    x = kind.generator(side, channels, latent=LATENT, width=4)(torch.randn(3, LATENT))
    assert x.shape == (3, channels, side, side)
    assert x.abs().max() <= 1
    assert kind.critic(side, channels, width=4)(x).shape == (3,)


@KINDS
@pytest.mark.parametrize("norm", ["batch", "pixel", "none"])
@pytest.mark.parametrize("classes", [0, CLASSES])
@pytest.mark.parametrize("side", [2, 4, 16])
def test_every_parameter_of_a_generator_gets_a_gradient(kind, side, classes, norm):
    net = kind.generator(side, 2, latent=LATENT, width=WIDTH, classes=classes, norm=norm)
    labels = (torch.arange(9) % CLASSES,) if classes else ()
    every_parameter_gets_a_gradient(net, torch.randn(9, LATENT), *labels)


@KINDS
@pytest.mark.parametrize("classes", [0, CLASSES])
@pytest.mark.parametrize("side", SIDES)
def test_every_parameter_of_a_critic_gets_a_gradient(kind, side, classes):
    net = kind.critic(side, 2, width=WIDTH, classes=classes)
    labels = (torch.arange(9) % CLASSES,) if classes else ()
    every_parameter_gets_a_gradient(net, torch.randn(9, 2, side, side), *labels)


@KINDS
@pytest.mark.parametrize("norm", ["batch", "pixel", "none"])
@pytest.mark.parametrize("side", [1, 4, 16])
def test_no_part_rewrites_its_input(kind, side, norm):
    nothing_rewrites_its_input(kind.generator(side, 2, latent=LATENT, width=4, norm=norm), torch.randn(3, LATENT))
    nothing_rewrites_its_input(kind.critic(side, 2, width=4), torch.randn(3, 2, side, side))


@KINDS
def test_batch_norm_biases_do_not_stand_before_a_norm_that_removes_them(kind):
    # the loss is invariant to a shift of any channel that a batch norm centres: such a bias would be a dead parameter
    net = kind.generator(16, 1, latent=LATENT, width=WIDTH, norm="batch").double()
    x = net(torch.randn(16, LATENT, dtype=torch.float64))
    (x * torch.randn_like(x)).sum().backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad.abs().max() > 1e-12, name


@KINDS
def test_critic_scores_each_sample_by_itself(kind):
    net, x = kind.critic(8, 1, width=4), torch.randn(5, 1, 8, 8)
    torch.testing.assert_close(net(x)[2:4], net(x[2:4]))


@KINDS
@pytest.mark.parametrize("norm", ["pixel", "none"])
def test_generator_without_batch_norm_makes_each_sample_by_itself(kind, norm):
    net, z = kind.generator(8, 1, latent=LATENT, width=4, norm=norm), torch.randn(5, LATENT)
    torch.testing.assert_close(net(z)[2:4], net(z[2:4]))


@KINDS
@pytest.mark.parametrize("build", ["generator", "critic"])
@pytest.mark.parametrize(
    ("side", "remedy"), [(12, "--side 16"), (5, "--side 4"), (48, "--side 64"), (0, "power of two")]
)
def test_side_that_is_no_power_of_two_is_refused_with_the_nearest_one(kind, build, side, remedy):
    with pytest.raises(UsageError, match=f"side {side}: .*{remedy}|side {side}: .*power of two"):
        getattr(kind, build)(side, 1)


@KINDS
@pytest.mark.parametrize("build", ["generator", "critic"])
@pytest.mark.parametrize("channels", [0, 5])
def test_channels_beyond_one_to_four_are_refused(kind, build, channels):
    with pytest.raises(UsageError, match=f"{channels} channels: .*1 to 4"):
        getattr(kind, build)(8, channels)


CONDITIONAL: dict[str, Callable[[], tuple[nn.Module, Tensor]]] = {
    "dcgan generator": lambda: (
        dcgan.generator(8, classes=CLASSES, latent=LATENT, width=4).eval(),
        torch.randn(4, LATENT),
    ),
    "resnet generator": lambda: (
        resnet.generator(8, classes=CLASSES, latent=LATENT, width=4).eval(),
        torch.randn(4, LATENT),
    ),
    "mlp generator": lambda: (mlp.generator(LATENT, 2, classes=CLASSES), torch.randn(4, LATENT)),
    "dcgan critic": lambda: (dcgan.critic(8, classes=CLASSES, width=4), torch.randn(4, 1, 8, 8)),
    "resnet critic": lambda: (resnet.critic(8, classes=CLASSES, width=4), torch.randn(4, 1, 8, 8)),
    "mlp critic": lambda: (mlp.critic(2, classes=CLASSES), torch.randn(4, 2)),
}


@pytest.mark.parametrize("name", CONDITIONAL)
def test_classes_matter_and_are_asked_for(name):
    net, x = CONDITIONAL[name]()
    outs = [net(x, torch.full((4,), k)) for k in range(CLASSES)]
    assert not torch.equal(outs[0], outs[1])
    torch.testing.assert_close(net(x, torch.tensor([0, 1, 2, 0]))[1], outs[1][1])
    with pytest.raises(ValueError, match="conditional: give labels"):
        net(x)


@pytest.mark.parametrize("name", [name for name in CONDITIONAL if name.endswith("critic")])
def test_conditional_critic_is_linear_in_class_weights(name):
    net, x = CONDITIONAL[name]()
    weights = torch.tensor([0.2, 0.5, 0.3])
    mixed = sum(w * net(x, torch.full((4,), k)) for k, w in enumerate(weights))
    torch.testing.assert_close(net(x, weights.expand(4, CLASSES)), mixed)
