"""Whatever the noise level, F sees and answers with numbers of unit size, and D is exact where F has nothing to say."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from pushforward.densities.mixture import Mixture
from pushforward.dynamics.bridges.follmer import MixtureFollmer
from pushforward.errors import DataError, UsageError
from pushforward.nets.blocks import classes_of
from pushforward.nets.timed import preconditioned
from pushforward.nets.timed.mlp import perceptron
from pushforward.nets.timed.preconditioned import Preconditioned, centred, empty_centre

LEVELS = [1e-4, 1e-2, 0.3, 2.0, 50.0, 1e4, 1e6]
MEAN, SPREAD = torch.tensor([3.0, -1.0]), torch.tensor(2.0)


class Says(nn.Module):
    """An F that keeps what it saw, and answers with what it is given."""

    def __init__(self, answer: Tensor | float = 0.0) -> None:
        super().__init__()
        self.answer = answer

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        self.x, self.c = x, c
        return torch.zeros_like(x) + self.answer


class Bent(nn.Module):
    """An F that depends on all it sees."""

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        return torch.tanh(2 * x.roll(1, 1) + c[:, None])


@pytest.fixture
def normal() -> Tensor:
    x = torch.randn(20_000, 2, dtype=torch.float64)
    x = (x - x.mean(0)) / (x - x.mean(0)).square().mean().sqrt()
    return MEAN + SPREAD * x


@pytest.mark.parametrize("s", LEVELS)
def test_inputs_and_targets_of_the_net_have_unit_size_at_every_level(normal, s):
    net, noise = Says(), torch.randn(20_000, 2, dtype=torch.float64)
    denoiser = Preconditioned(net, *centred(normal))
    linear = denoiser(normal + s * noise, s)
    assert float(net.x.square().mean()) == pytest.approx(1, abs=0.03)
    assert float(net.x.mean()) == pytest.approx(0, abs=0.02)
    scale = s * 2 / (s**2 + 4) ** 0.5  # c_out: what a unit of F is worth
    assert float(((normal - linear) / scale).square().mean()) == pytest.approx(1, abs=0.03)
    assert float(net.c) == pytest.approx(0.25 * torch.tensor(s / 2.0).log().item(), abs=1e-6)


@pytest.mark.parametrize("s", LEVELS)
def test_a_net_that_says_one_moves_the_answer_by_c_out(normal, s):
    still, moved = (Preconditioned(Says(a), *centred(normal)) for a in (0.0, 1.0))
    y = normal[:100] + s
    gap = (moved(y, s) - still(y, s)) / (s * 2 / (s**2 + 4) ** 0.5)
    torch.testing.assert_close(gap, torch.ones_like(gap), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("s", LEVELS)
def test_a_fresh_net_is_the_best_linear_denoiser(s):
    law = MixtureFollmer.of(Mixture.of([MEAN.tolist()], sigma=2.0), tau=2.0, sigma=1.0)
    net = Preconditioned(perceptron(2), MEAN, SPREAD)
    y = MEAN + (4 + s**2) ** 0.5 * torch.randn(50, 2)
    torch.testing.assert_close(net(y, s), law.denoised(y, s), rtol=2e-6, atol=2e-6)


def test_no_level_costs_precision():
    s = torch.logspace(-4, 6, 300, dtype=torch.float64)
    y = MEAN + (4 + s.square()).sqrt()[:, None] * torch.randn(300, 2, dtype=torch.float64)
    double = Preconditioned(Bent(), MEAN, SPREAD).double()(y.float().double(), s.float().double())
    single = Preconditioned(Bent(), MEAN, SPREAD)(y.float(), s.float())
    assert single.dtype == torch.float32
    assert (single - double).abs().max() < 5e-6  # of answers that reach 10


def test_without_noise_nothing_changes_and_with_much_of_it_the_mean_is_left():
    y = MEAN + 2 * torch.randn(50, 2)
    assert torch.equal(Preconditioned(Bent(), MEAN, SPREAD)(y, 0.0), y)
    torch.testing.assert_close(
        Preconditioned(Says(), MEAN, SPREAD)(1e6 * y, 1e6), MEAN.expand(50, 2), atol=1e-4, rtol=0
    )


def test_a_level_for_all_is_that_level_for_each():
    net, y = Preconditioned(Bent(), MEAN, SPREAD), torch.randn(7, 2)
    torch.testing.assert_close(net(y, 0.7), net(y, torch.tensor(0.7)), rtol=0, atol=0)
    torch.testing.assert_close(net(y, 0.7), net(y, torch.full((7,), 0.7)))
    s = torch.linspace(0.1, 3, 7)
    torch.testing.assert_close(net(y, s)[3:4], net(y[3:4], 1.55))


def test_denoising_scales_with_the_data(awake):
    net, y, s = awake(perceptron(2)), 3 * torch.randn(40, 2), torch.logspace(-2, 2, 40)
    one, other = Preconditioned(net, MEAN, SPREAD), Preconditioned(net, 64 * MEAN, 64 * SPREAD)
    torch.testing.assert_close(other(64 * y, 64 * s), 64 * one(y, s))


def test_half_precision_is_left_to_the_net(awake):
    net, y, s = Preconditioned(perceptron(2), MEAN, SPREAD), 9 * torch.randn(40, 2), torch.logspace(-3, 3, 40)
    with torch.autocast("cpu", torch.bfloat16):
        fresh = net(y, s)
    assert fresh.dtype == torch.float32
    assert torch.equal(fresh, net(y, s))
    awake(net)
    with torch.autocast("cpu", torch.bfloat16):
        under = net(y, s)
    gap = (under - net(y, s)) / (s * 2 / (s.square() + 4).sqrt())[:, None]
    assert 0 < gap.abs().max() < 5e-2


def test_labels_reach_a_net_that_takes_them_and_no_other(awake):
    y, labels = torch.randn(6, 2), torch.tensor([0, 1, 2, 0, 1, 2])
    net = awake(Preconditioned(perceptron(2, classes=3), MEAN, SPREAD))
    assert classes_of(net) == 3
    torch.testing.assert_close(net(y, 0.5), net(y, 0.5, torch.full((6,), 3)))
    assert ((net(y, 0.5) - net(y, 0.5, labels)).abs().amax(1) > 1e-4).all()
    torch.testing.assert_close(net(y, 0.5, labels)[2:3], net(y[2:3], 0.5, labels[2:3]))
    with pytest.raises(UsageError, match="takes no classes: leave out the labels"):
        Preconditioned(perceptron(2), MEAN, SPREAD)(y, 0.5, labels)


def test_samples_of_another_shape_are_refused_and_not_spread_out():
    with pytest.raises(UsageError, match=r"samples of shape \(5, 1\): give \(n, 2\)"):
        Preconditioned(Says(), MEAN, SPREAD)(torch.zeros(5, 1), 0.5)


def test_a_spread_for_each_number_is_refused():
    with pytest.raises(UsageError, match=r"spread of shape \(2,\): give one number"):
        Preconditioned(Says(), MEAN, torch.ones(2))


@pytest.mark.parametrize("event", [(3,), (2, 4, 4)])
def test_centre_is_the_mean_of_each_number_and_one_spread_for_all_whatever_the_blocks(event, monkeypatch):
    x = 1e4 + torch.randn(1000, *event)
    rows = x.double()
    monkeypatch.setattr(preconditioned, "BLOCK", 700)
    mean, spread = centred(x)
    torch.testing.assert_close(mean, rows.mean(0).float(), rtol=1e-7, atol=0)
    torch.testing.assert_close(spread, rows.var(0, correction=0).mean().sqrt().float(), rtol=1e-6, atol=0)


@pytest.mark.parametrize("event", [(3,), (1, 8, 8)])
def test_an_empty_centre_is_filled_by_that_of_another_net(event):
    full = Preconditioned(perceptron(event), *centred(5 + torch.randn(30, *event)))
    hollow = Preconditioned(perceptron(event), *empty_centre(event))
    hollow.load_state_dict(full.state_dict())
    y = torch.randn(4, *event)
    assert torch.equal(hollow(y, 0.3), full(y, 0.3))


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (torch.ones(0, 2), r"\(0, 2\): give at least one number"),
        (torch.ones(5, 2), "5 samples without spread: give samples that differ"),
        (torch.tensor([[1.0], [float("nan")]]), "spread is nan: leave out rows"),
        (torch.tensor([[1.0], [float("inf")]]), "leave out rows"),
    ],
)
def test_samples_that_have_no_centre_are_refused(x, words):
    with pytest.raises(DataError, match=words):
        centred(x)
