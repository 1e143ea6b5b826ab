"""Critics that hold their slope whatever their weights, and certificates that are never below a slope."""

from __future__ import annotations

from copy import deepcopy
from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn.functional import one_hot
from torch.optim import Adam

from pushforward.errors import UsageError
from pushforward.nets import mlp
from pushforward.nets.activations import GroupSort, MollifiedReLU, ScaledSiLU
from pushforward.nets.lipschitz import Convolution, LipschitzNet, certificate, critic, image_critic, observed_slope

HARD = ["bjorck", "spectral", "reference"]
BODIES = {
    "bjorck": partial(critic, 2, mode="bjorck"),
    "bjorck, many inputs": partial(critic, (3, 5, 5), width=16, mode="bjorck"),
    "bjorck, no hidden layer": partial(critic, 4, depth=0, mode="bjorck"),
    "spectral": partial(critic, 2, mode="spectral"),
    "spectral, GroupSort": partial(critic, 40, width=16, mode="spectral", activation=GroupSort),
    "spectral, smooth": partial(critic, 3, mode="spectral", activation=ScaledSiLU),
    "reference": partial(critic, 2, mode="reference"),
    "reference, mollified": partial(critic, 2, mode="reference", activation=MollifiedReLU),
    "images of 28": partial(image_critic, 28, width=8),
    "images of 9, softplus": partial(image_critic, 9, 3, width=8, activation=nn.Softplus),
    "images of 2, GroupSort": partial(image_critic, 2, width=8, activation=GroupSort),
}
EVENTS = {"many": (3, 5, 5), "no hidden": (4,), "spectral, G": (40,), "smooth": (3,)}


def event(name: str) -> tuple[int, ...]:
    if name.startswith("images"):
        side = int(name.split()[2].strip(","))
        return (3 if side == 9 else 1, side, side)
    return next((shape for part, shape in EVENTS.items() if part in name), (2,))


def points(name: str, n: int = 64) -> Tensor:
    return 2 * torch.randn(n, *event(name))


def train(net: nn.Module, x: Tensor, steps: int, lr: float = 1e-2) -> None:
    """Push the scores of one half above the other's: a slope without a bound would go to infinity."""
    optimiser, (low, high) = Adam(net.parameters(), lr=lr), x.chunk(2)
    for _ in range(steps):
        optimiser.zero_grad()
        (net(low).mean() - net(high + 0.5).mean()).backward()
        optimiser.step()


@pytest.mark.parametrize("slope", [0.2, 5.0])
@pytest.mark.parametrize("name", BODIES)
def test_slope_stays_below_its_bound_before_and_after_learning(name, slope):
    net, x = BODIES[name](slope=slope), points(name)
    for steps in (0, 30):
        train(net, x, steps)
        seen, bound = observed_slope(net, x).item(), certificate(net)
        assert seen <= bound * (1 + 1e-5)
        assert bound <= slope * (1 + 1e-5)


@pytest.mark.parametrize("name", [name for name in BODIES if not name.startswith("reference")])
def test_certificate_of_tight_modes_is_their_slope(name):
    net = BODIES[name](slope=2.0)
    train(net, points(name), 20)
    assert certificate(net) >= 2.0 * (0.96 if name.startswith("images") else 0.995)


@pytest.mark.parametrize("mode", HARD)
def test_slope_holds_for_weights_of_any_size_and_rank(mode):
    net, x = critic(3, mode=mode, width=8), torch.randn(50, 3)
    for spread in (1e-4, 1.0, 1e4):
        with torch.no_grad():
            for layer in net.layers():
                layer.weight.copy_(spread * torch.randn(len(layer.weight), 1) * torch.randn(layer.weight.shape[1]))
        assert observed_slope(net, x) <= 1 + 1e-5
        assert certificate(net) <= 1 + 1e-5


def test_layers_of_bjorck_are_orthonormal_after_learning():
    net = critic(5, mode="bjorck", slope=3.0)
    train(net, torch.randn(64, 5), 100)
    c = 3.0 ** (1 / 4)
    for weight in net.weights():
        gram = weight.mT @ weight if weight.shape[0] >= weight.shape[1] else weight @ weight.mT
        torch.testing.assert_close(gram / c**2, torch.eye(len(gram)), rtol=0, atol=1e-5)


def test_bjorck_with_group_sort_reaches_its_slope_where_a_relu_cannot():
    torch.manual_seed(0)
    x = torch.randn(256, 1)

    def fit(mode: str) -> float:
        net = critic(1, mode=mode)
        optimiser = Adam(net.parameters(), lr=1e-2)
        for _ in range(300):
            optimiser.zero_grad()
            loss = (net(x) - x[:, 0].abs()).square().mean()
            loss.backward()
            optimiser.step()
        return loss.item()

    # |x| has slope one on both sides: half the gradient dies in each ReLU of norm one
    assert fit("bjorck") < 1e-3
    assert fit("spectral") > 3e-3
    assert fit("reference") > 0.05


def test_reference_normalisation_is_loose_by_the_root_of_the_ranks():
    net = critic(32, mode="reference", slope=4.0)
    with torch.no_grad():
        for layer in net.layers():
            nn.init.orthogonal_(layer.weight)
    assert certificate(net) == pytest.approx(4.0 / 32**1.5, rel=1e-5)  # three layers of rank 32, a head of rank 1


def test_reference_normalisation_of_a_convolution_is_no_bound():
    layer = Convolution(1, 1, 28, kernel=5, stride=2, padding=2)
    with torch.no_grad():
        layer.weight.fill_(1 / 5)
    assert layer.weight.norm().item() == pytest.approx(1.0)
    assert certificate(layer) == pytest.approx(13 / 5, rel=1e-3)  # of 5 x 5 taps 3 x 3 fall on one interleaved channel
    x = torch.ones(1, 1, 28, 28)
    assert (layer(x) - layer(0 * x)).norm() > 2.3 * x.norm()


def test_free_weights_have_a_certificate_too():
    net = critic(3, mode="none", depth=1, width=4, activation=nn.LeakyReLU)
    sizes = [torch.linalg.matrix_norm(layer.weight, 2).item() for layer in net.layers()]
    assert certificate(net) == pytest.approx(sizes[0] * sizes[1], rel=1e-5)
    bare = mlp.critic(3, width=4, depth=1, activation=nn.SiLU)
    sizes = [torch.linalg.matrix_norm(layer.weight, 2).item() for layer in (bare.body[0], bare.head)]
    assert certificate(bare) == pytest.approx(1.1 * sizes[0] * sizes[1], rel=1e-5)
    assert observed_slope(bare, torch.randn(50, 3)) <= certificate(bare)


@pytest.mark.parametrize(
    ("net", "name"),
    [
        (nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)), "BatchNorm1d"),
        (nn.Sequential(nn.Conv2d(1, 1, 3)), "Conv2d"),
        (mlp.critic(2, classes=3), "CriticNet"),
    ],
)
def test_net_without_a_known_bound_is_refused_by_name(net, name):
    with pytest.raises(UsageError, match=name):
        certificate(net)


@pytest.mark.parametrize("mode", [*HARD, "none"])
def test_gradient_of_the_scores_is_exact_in_weights_and_points(mode):
    net = critic(3, mode=mode, width=4, depth=2, activation=nn.Softplus, classes=2).double()
    names, parameters = zip(*net.named_parameters())
    x, labels = torch.randn(5, 3, dtype=torch.float64, requires_grad=True), torch.tensor([0, 1, 1, 0, 1])

    def scores(x, *parameters):
        return functional_call(net, dict(zip(names, parameters)), (x, labels))

    assert torch.autograd.gradcheck(scores, (x, *parameters))


def test_gradient_of_an_image_critic_is_exact_in_its_weights():
    net = image_critic(9, width=2, activation=nn.Softplus).double()
    names, parameters = zip(*net.named_parameters())
    x = torch.randn(2, 1, 9, 9, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda *p: functional_call(net, dict(zip(names, p)), (x,)), parameters)


@pytest.mark.parametrize("make", [partial(critic, 2, mode=mode) for mode in HARD] + [partial(image_critic, 9, width=4)])
def test_traced_pass_is_the_pass_with_other_weights_as_well(make):
    net = make(slope=1.5)
    x = torch.randn(6, 2) if net.body[0].weight.dim() == 2 else torch.randn(6, 1, 9, 9)
    names, parameters = zip(*net.named_parameters())

    def slopes(x, *parameters):
        with torch.enable_grad():
            parameters = [parameter.detach().requires_grad_(True) for parameter in parameters]
            scores = functional_call(net, dict(zip(names, parameters)), (x,))
            return scores, *torch.autograd.grad(scores.square().sum(), parameters)

    traced = make_fx(slopes)(x, *[parameter.detach() for parameter in parameters])
    others = [parameter.detach() + 0.1 * torch.randn_like(parameter) for parameter in parameters]
    for found, wanted in zip(traced(x, *others), slopes(x, *others)):
        torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("name", BODIES)
def test_pass_changes_no_state_and_stores_none(name):
    net, x = BODIES[name](), points(name, 4)
    before = deepcopy(net.state_dict())
    first = net(x)
    assert torch.equal(net(x), first)
    assert set(before) == {name for name, _ in net.named_parameters()}
    assert all(torch.equal(before[key], value) for key, value in net.state_dict().items())
    twin = deepcopy(net)
    assert torch.equal(twin(x), first)


@pytest.mark.parametrize("make", [partial(critic, (1, 8, 8), width=16), partial(image_critic, 8, width=8)])
def test_score_of_each_class_has_the_whole_slope_and_labels_may_be_weights(make):
    net, x = make(classes=3, slope=2.0), torch.randn(9, 1, 8, 8)
    labels = torch.arange(9) % 3
    scores = net(x, labels)
    assert scores.shape == (9,)
    torch.testing.assert_close(net(x, one_hot(labels, 3).float()), scores)
    half = (net(x, torch.zeros(9, dtype=torch.long)) + net(x, torch.ones(9, dtype=torch.long))) / 2
    torch.testing.assert_close(net(x, torch.tensor([[0.5, 0.5, 0.0]]).expand(9, 3)), half)
    rows = net.weights()[-1].norm(dim=1)
    torch.testing.assert_close(rows, rows.new_full((3,), 2.0 ** (1 / len(net.weights()))))
    assert observed_slope(net, x, labels) <= certificate(net) <= 2.0 * (1 + 1e-5)
    with pytest.raises(ValueError, match=r"labels \(n,\)"):
        net(x)


def test_weights_are_made_in_full_precision_under_autocast():
    net, x = critic(2), torch.randn(5, 2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = net.weights()
        scores = net(x)
    assert all(torch.equal(one, other) for one, other in zip(inside, net.weights()))
    assert scores.dtype == torch.bfloat16


def test_slope_of_a_known_function_is_observed():
    x = torch.tensor([[1.0, 0.0], [0.0, -3.0]])
    assert observed_slope(lambda x: x.square().sum(1) / 2, x).item() == 3.0
    assert not observed_slope(lambda x: x.square().sum(1) / 2, x).requires_grad


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: critic(2, slope=0.0), "slope 0.0"),
        (lambda: critic(2, width=7), "width 7"),
        (lambda: critic(2, mode="exact"), "mode 'exact'"),
        (lambda: image_critic(8, mode="bjorck"), "bjorck"),
        (lambda: image_critic(1), "side 1"),
    ],
)
def test_wrong_options_are_named(make, message):
    with pytest.raises(UsageError, match=message):
        make()


def test_layers_of_a_net_are_found_in_order():
    net = image_critic(28, 3, width=4)
    assert isinstance(net, LipschitzNet)
    assert [tuple(layer.weight.shape) for layer in net.layers()] == [
        (4, 3, 4, 4),
        (8, 4, 4, 4),
        (16, 8 * 7 * 7),
        (1, 16),
    ]
    assert net.slope == 1.0
    assert net.classes == 0
