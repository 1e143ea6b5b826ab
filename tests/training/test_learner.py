"""The learner: closed forms of its average, schedule and clipping, and what a frozen pass may touch."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam

from pushforward.nets import mlp
from pushforward.parallel.placement import Placement
from pushforward.training.learner import Learner
from pushforward.training.schedule import constant, cosine, geometric, linear, step_decay


class Point(nn.Module):
    """A net that is one point."""

    def __init__(self, *values: float) -> None:
        super().__init__()
        self.at = nn.Parameter(torch.tensor(values, dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.at


def descent(lr: float = 0.1):
    return partial(SGD, lr=lr)


@pytest.mark.parametrize("ema", [0.0, 0.5, 0.9, 0.999])
def test_average_follows_its_closed_form(ema):
    learner = Learner(Point(1.0), descent(), ema=ema)
    average = value = 1.0
    for k in range(1, 31):
        learner.descend(3 * learner.net.at.sum())
        value -= 0.1 * 3
        beta = min(ema, (1 + k) / (10 + k))
        average = beta * average + (1 - beta) * value
        assert learner.net.at.item() == pytest.approx(value, abs=1e-12)
        assert learner.average.at.item() == pytest.approx(average, abs=1e-12)
    assert learner.updates == 30


def test_average_of_a_constant_path_forgets_the_start_by_the_product_of_its_decays():
    learner = Learner(Point(5.0), descent(0.0), ema=0.9)
    with torch.no_grad():
        learner.net.at.zero_()
    left = 5.0
    for k in range(1, 200):
        learner.descend(learner.net.at.sum())
        left *= min(0.9, (1 + k) / (10 + k))
    assert learner.average.at.item() == pytest.approx(left, rel=1e-9)
    assert left < 1e-7


def test_without_an_average_the_net_answers_for_the_model():
    learner = Learner(Point(1.0), descent())
    assert learner.average is None
    assert learner.sampler is learner.net
    averaged = Learner(Point(1.0), descent(), ema=0.9)
    assert averaged.sampler is averaged.average


def test_average_has_no_gradient_and_stays_in_evaluation_mode():
    learner = Learner(nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)), descent(), ema=0.9)
    learner.descend(learner(torch.randn(8, 2)).square().sum())
    assert not learner.average.training
    assert all(not parameter.requires_grad for parameter in learner.average.parameters())
    learned = {id(parameter) for group in learner.optimiser.param_groups for parameter in group["params"]}
    assert learned == {id(parameter) for parameter in learner.net.parameters()}


def test_buffers_are_copied_into_the_average_and_never_averaged():
    learner = Learner(nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)), descent(), ema=0.999)
    for _ in range(5):
        learner.descend(learner(torch.randn(8, 2) + 4).square().mean())
    assert learner.net[1].running_mean.abs().max() > 0.1
    assert torch.equal(learner.average[1].running_mean, learner.net[1].running_mean)
    assert torch.equal(learner.average[1].running_var, learner.net[1].running_var)
    assert learner.average[1].num_batches_tracked.item() == 5
    assert not torch.equal(learner.average[0].weight, learner.net[0].weight)


def test_schedule_is_a_factor_on_the_rate_of_each_update():
    factors = [1.0, 0.5, 0.25, 2.0]
    learner = Learner(Point(0.0), descent(), schedule=factors.__getitem__)
    for factor in factors:
        before = learner.net.at.item()
        learner.descend(learner.net.at.sum())
        assert before - learner.net.at.item() == pytest.approx(0.1 * factor, abs=1e-12)


def test_schedule_scales_each_group_of_parameters_by_its_own_rate():
    net = nn.ModuleList([Point(0.0), Point(0.0)])

    def make(parameters):
        one, other = parameters
        return SGD([{"params": [one], "lr": 1.0}, {"params": [other], "lr": 0.1}])

    learner = Learner(net, make, schedule=lambda k: 0.5)
    learner.descend(net[0].at.sum() + net[1].at.sum())
    assert net[0].at.item() == pytest.approx(-0.5)
    assert net[1].at.item() == pytest.approx(-0.05)


def test_schedule_after_a_resume_is_that_of_the_update_reached():
    def build() -> Learner:
        return Learner(Point(0.0), partial(SGD, lr=0.1, momentum=0.9), schedule=cosine(10), ema=0.9)

    straight, first = build(), build()
    for k in range(8):
        straight.descend(straight.net.at.square().sum() - straight.net.at.sum())
        if k < 3:
            first.descend(first.net.at.square().sum() - first.net.at.sum())
    second = build()
    second.load_state_dict(first.weights())
    second.load_resume_state(first.resume_state())
    for _ in range(5):
        second.descend(second.net.at.square().sum() - second.net.at.sum())
    assert torch.equal(second.net.at, straight.net.at)
    assert torch.equal(second.average.at, straight.average.at)
    assert second.updates == 8


@pytest.mark.parametrize("clip", [0.5, 5.0, 50.0])
def test_clipping_bounds_the_norm_of_the_step_and_keeps_its_direction(clip):
    learner = Learner(Point(0.0, 0.0), descent(1.0), clip=clip)
    learner.descend(learner.net.at @ torch.tensor([6.0, -8.0], dtype=torch.float64))
    wanted = torch.tensor([-0.6, 0.8], dtype=torch.float64) * min(clip, 10.0)
    torch.testing.assert_close(learner.net.at.detach(), wanted, rtol=1e-5, atol=0)


def test_an_update_starts_from_a_fresh_gradient():
    learner = Learner(Point(0.0), descent(1.0))
    for _ in range(3):
        learner.descend(learner.net.at.sum())
    assert learner.net.at.item() == pytest.approx(-3.0)


def test_frozen_pass_reaches_inputs_and_no_parameter():
    learner = Learner(mlp.critic(2, width=4, depth=1), descent())
    x = torch.randn(5, 2, requires_grad=True)
    with learner.frozen():
        out = learner.evaluate(x).sum()
    out.backward()
    assert x.grad.norm() > 0
    assert all(parameter.grad is None for parameter in learner.net.parameters())


def test_frozen_leaves_requirements_and_modes_as_they_were():
    net = nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 1))
    net[0].bias.requires_grad_(False)
    learner = Learner(net, descent())
    for training in (True, False):
        net.train(training)
        with learner.frozen():
            assert not any(parameter.requires_grad for parameter in net.parameters())
            assert not net.training
        assert [parameter.requires_grad for parameter in net.parameters()] == [True, False, True, True, True, True]
        assert all(module.training == training for module in net.modules())


def test_frozen_restores_after_an_error():
    learner = Learner(nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5)), descent())
    with pytest.raises(RuntimeError, match="inside"), learner.frozen():
        raise RuntimeError("inside")
    assert learner.net.training
    assert all(parameter.requires_grad for parameter in learner.net.parameters())


def test_frozen_pass_repeats_itself_under_dropout_and_batch_norm():
    learner = Learner(nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Dropout(0.5)), descent())
    x, statistics = torch.randn(6, 2), learner.net[1].running_mean.clone()
    with learner.frozen():
        assert torch.equal(learner.evaluate(x), learner.evaluate(x))
    assert torch.equal(learner.net[1].running_mean, statistics)


def test_reduced_precision_answers_in_single_and_stays_close():
    learner = Learner(mlp.critic(2, width=32, depth=2), descent())
    x = torch.randn(20, 2)
    exact = learner(x)
    learner.place(Placement(precision="bf16"))
    rough = learner(x)
    assert rough.dtype == torch.float32
    assert not torch.equal(rough, exact)
    torch.testing.assert_close(rough, exact, rtol=0.1, atol=0.02)
    assert learner.evaluate(x).dtype == torch.float32


def test_weights_name_the_net_and_its_average():
    names = set(Learner(Point(1.0), partial(Adam, lr=0.1), ema=0.9).weights())
    assert names == {"net.at", "average.at"}
    assert set(Learner(Point(1.0), descent()).weights()) == {"net.at"}


def test_schedules_have_their_closed_forms():
    assert [constant(k) for k in (0, 9)] == [1.0, 1.0]
    ramp = linear(100, last=0.2, hold=0.5)
    assert [ramp(k) for k in (0, 50, 75, 100, 300)] == pytest.approx([1.0, 1.0, 0.6, 0.2, 0.2])
    wave = cosine(100, last=0.1)
    assert [wave(k) for k in (0, 50, 100, 200)] == pytest.approx([1.0, 0.55, 0.1, 0.1])
    assert [cosine(100, hold=0.5)(k) for k in (0, 50, 75, 100)] == pytest.approx([1.0, 1.0, 0.5, 0.0])
    fall = geometric(100, last=1e-4)
    assert [fall(k) for k in (0, 50, 100, 200)] == pytest.approx([1.0, 1e-2, 1e-4, 1e-4])
    steps = step_decay((10, 20), 0.5)
    assert [steps(k) for k in (0, 9, 10, 19, 20)] == [1.0, 1.0, 0.5, 0.5, 0.25]
