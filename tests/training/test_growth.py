"""A learner whose net changes: all of it learns, what was there keeps moments and average, and nothing is silent."""

from __future__ import annotations

import pickle
from copy import deepcopy
from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam

from pushforward.errors import TrainingError, UsageError
from pushforward.nets import mlp
from pushforward.parallel.placement import Placement
from pushforward.training.adam.flat import Memory
from pushforward.training.learner import Learner
from pushforward.training.schedule import linear

ADAM = partial(Adam, lr=1e-2, betas=(0.5, 0.9))


def net(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(2, 6), nn.Tanh(), nn.Linear(6, 2))


def grow(body: nn.Sequential, seed: int = 1) -> None:
    torch.manual_seed(seed)
    body.append(nn.Tanh())
    body.append(nn.Linear(2, 2))


def train(learner: Learner, steps: int, seed: int = 0) -> None:
    rng = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        x = torch.randn(16, 2, generator=rng)
        learner.descend((learner(x) - 3 * x.flip(1)).square().mean())


def copies(tensors) -> list[Tensor]:
    return [tensor.detach().clone() for tensor in tensors]


CHANGES = {
    "a layer more": grow,
    "a layer replaced": lambda body: body.__setitem__(2, nn.Linear(6, 2)),
    "a layer less": lambda body: body.__delitem__(2),
    "a parameter more": lambda body: body[0].register_parameter("scale", nn.Parameter(torch.ones(2))),
    "a parameter replaced": lambda body: setattr(body[2], "bias", nn.Parameter(torch.ones(2))),
    "a layer deep inside": lambda body: body[1].add_module("within", nn.Linear(1, 1)),
}
each = pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)


@each
def test_a_net_that_changed_does_not_learn_until_it_is_adopted(change):
    learner = Learner(net(), ADAM, ema=0.9)
    train(learner, 3)
    before = copies(learner.net.parameters())
    change(learner.net)
    after = copies(learner.net.parameters())
    assert not learner.whole
    with pytest.raises(TrainingError, match=r"the net changed after its optimiser was made.*adopt\(\)"):
        learner.descend(sum(parameter.sum() for parameter in learner.net.parameters()))
    assert all(torch.equal(a, b) for a, b in zip(after, learner.net.parameters()))
    assert learner.updates == 3
    learner.adopt()
    assert learner.whole
    learner.descend(sum(parameter.square().sum() for parameter in learner.net.parameters()))
    assert learner.updates == 4
    assert len(before) == 4


def test_another_net_in_its_place_is_noticed_too():
    learner = Learner(net(), ADAM)
    learner.net = net(5)
    with pytest.raises(TrainingError, match=r"4 parameters \(0.weight, 0.bias, 2.weight, \.\.\.\) would not learn"):
        train(learner, 1)


def test_what_happens_to_a_net_in_passing_is_no_change():
    learner = Learner(mlp.critic(2, width=4, depth=1), ADAM, ema=0.9)
    for happens in (
        lambda: learner.place(Placement()),
        lambda: learner.load_state_dict(learner.weights()),
        lambda: learner.net.eval(),
        lambda: learner.net.requires_grad_(False).requires_grad_(True),
        lambda: torch.func.functional_call(learner.net, dict(learner.net.named_parameters()), (torch.zeros(1, 2),)),
        lambda: learner.double(),
    ):
        happens()
        assert learner.whole
    with learner.frozen():
        assert learner.whole


def test_a_copy_tells_of_its_own_net_and_of_no_other():
    learner = Learner(net(), ADAM, ema=0.9)
    for other in (deepcopy(learner), pickle.loads(pickle.dumps(learner))):
        assert other.whole
        train(other, 1)
        grow(other.net)
        assert not other.whole
        assert learner.whole


@pytest.mark.parametrize("clip", [None, 1.0])
def test_every_parameter_of_a_grown_net_learns(clip):
    learner = Learner(net(), ADAM, ema=0.9, clip=clip)
    train(learner, 3)
    grow(learner.net)
    learner.adopt()
    before = copies(learner.net.parameters())
    train(learner, 1)
    assert len(before) == 6
    assert all(not torch.equal(a, b) for a, b in zip(before, learner.net.parameters()))
    known = [p for group in learner.optimiser.param_groups for p in group["params"]]
    assert [id(p) for p in known] == [id(p) for p in learner.net.parameters()]


def test_growing_by_nothing_changes_nothing():
    one, other = (Learner(net(), ADAM, ema=0.9, schedule=linear(20), clip=1.0) for _ in range(2))
    for learner in (one, other):
        train(learner, 4)
    other.adopt()
    for learner in (one, other):
        train(learner, 4, seed=1)
    assert all(torch.equal(a, b) for a, b in zip(one.weights().values(), other.weights().values(), strict=True))
    kept, mine = one.resume_state(), other.resume_state()
    assert kept["updates"] == mine["updates"] == 8
    for k, entry in kept["optimiser"]["state"].items():
        assert all(torch.equal(value, mine["optimiser"]["state"][k][name]) for name, value in entry.items())


def test_old_parameters_keep_their_moments_and_new_ones_start_without():
    learner = Learner(net(), ADAM)
    train(learner, 5)
    old = {p: {k: v.clone() for k, v in state.items()} for p, state in learner.optimiser.state.items()}
    grow(learner.net)
    learner.adopt()
    state = learner.optimiser.state
    assert all(torch.equal(value, state[p][name]) for p, kept in old.items() for name, value in kept.items())
    train(learner, 1)
    ages = [int(state[p]["step"]) for p in learner.net.parameters()]
    assert ages == [6, 6, 6, 6, 1, 1]


def test_the_average_of_a_grown_net_goes_on_and_begins_at_what_is_new():
    learner = Learner(net(), partial(SGD, lr=0.1), ema=0.9)
    train(learner, 5)
    old = copies(learner.average.parameters())
    assert not torch.equal(old[0], learner.net[0].weight)
    grow(learner.net)
    learner.adopt()
    averaged = list(learner.average.parameters())
    assert all(torch.equal(a, b) for a, b in zip(old, averaged))
    assert torch.equal(averaged[4], learner.net[4].weight)
    assert not any(parameter.requires_grad for parameter in averaged)
    assert not learner.average.training
    before = copies(averaged)
    train(learner, 1)
    beta = learner.decay
    for a, b, theta in zip(before, learner.average.parameters(), learner.net.parameters(), strict=True):
        torch.testing.assert_close(b.detach(), beta * a + (1 - beta) * theta.detach())
    x = torch.randn(3, 2)
    assert learner.sampler(x).shape == (3, 2)


def test_schedule_and_rates_of_groups_go_on():
    def groups(parameters):
        parameters = list(parameters)
        return SGD([{"params": parameters[:2], "lr": 1.0}, {"params": parameters[2:], "lr": 0.1}])

    learner = Learner(net(), groups, schedule=lambda k: 1 / (1 + k))
    train(learner, 3)
    grow(learner.net)
    learner.adopt()
    assert [len(group["params"]) for group in learner.optimiser.param_groups] == [2, 4]
    before = copies(learner.net.parameters())
    learner.descend(sum(parameter.sum() for parameter in learner.net.parameters()))
    steps = [float((a - b).mean().detach()) for a, b in zip(before, learner.net.parameters())]
    assert steps == pytest.approx([0.25, 0.25, 0.025, 0.025, 0.025, 0.025], abs=1e-6)


def test_a_parameter_that_grew_in_place_keeps_what_belongs_to_its_old_corner():
    learner = Learner(net(), ADAM, ema=0.9)
    train(learner, 4)
    first, moments = learner.net[0], {k: v.clone() for k, v in learner.optimiser.state[learner.net[0].weight].items()}
    average = learner.average[0].weight.clone()
    with torch.no_grad():
        first.weight.data = torch.cat([first.weight.data, torch.ones(2, 2)])
        first.bias.data = torch.cat([first.bias.data, torch.zeros(2)])
        learner.net[2].weight.data = torch.cat([learner.net[2].weight.data, torch.zeros(2, 2)], 1)
    learner.adopt()
    state = learner.optimiser.state[first.weight]
    for name in ("exp_avg", "exp_avg_sq"):
        assert torch.equal(state[name][:6], moments[name])
        assert torch.equal(state[name][6:], torch.zeros(2, 2))
    assert int(state["step"]) == 4
    assert torch.equal(learner.average[0].weight[:6], average)
    assert torch.equal(learner.average[0].weight[6:], torch.ones(2, 2))
    before = copies(learner.net.parameters())
    train(learner, 2)
    assert all(not torch.equal(a, b) for a, b in zip(before, learner.net.parameters()))


def test_another_net_may_share_layers_with_the_old_one():
    learner = Learner(net(), ADAM, ema=0.9)
    train(learner, 3)
    kept, moment = learner.net[0], learner.optimiser.state[learner.net[0].weight]["exp_avg"].clone()
    learner.adopt(nn.Sequential(kept, nn.Tanh(), nn.Linear(6, 2)))
    assert torch.equal(learner.optimiser.state[kept.weight]["exp_avg"], moment)
    assert learner.net[2].weight not in learner.optimiser.state
    before = copies(learner.net.parameters())
    train(learner, 1)
    assert all(not torch.equal(a, b) for a, b in zip(before, learner.net.parameters()))


def test_a_net_in_evaluation_or_with_modes_is_looked_at_again():
    learner = Learner(net(), ADAM)
    assert not learner.has_modes
    learner.net.append(nn.Dropout(0.5))
    learner.adopt()
    assert learner.has_modes


def test_weights_and_state_of_a_grown_learner_go_there_and_back():
    def build(grown: bool) -> Learner:
        learner = Learner(net(), ADAM, ema=0.9, schedule=linear(30))
        if grown:
            grow(learner.net, seed=9)
            learner.adopt()
        return learner

    straight = build(False)
    train(straight, 4)
    grow(straight.net)
    straight.adopt()
    train(straight, 2, seed=1)
    again = build(True)
    again.load_state_dict(straight.weights())
    again.load_resume_state(deepcopy(straight.resume_state()))
    for learner in (straight, again):
        train(learner, 4, seed=2)
    assert all(torch.equal(a, b) for a, b in zip(straight.weights().values(), again.weights().values(), strict=True))


def test_a_flat_layout_ends_with_the_net_that_it_was_of():
    learner = Learner(net(), ADAM, ema=0.9)
    train(learner, 2)
    memory = Memory.of(learner)
    assert memory.serves(learner)
    grow(learner.net)
    assert not memory.serves(learner)
    with pytest.raises(TrainingError, match="would not learn"):
        Memory.of(learner)
    learner.adopt()
    assert not memory.serves(learner)
    with pytest.raises(UsageError, match="learned equally long, not 0 and 2 updates"):
        Memory.of(learner)
    train(learner, 1)
    fresh = Learner(net(), ADAM)
    memory = Memory.of(fresh)
    grow(fresh.net)
    fresh.adopt()
    assert not memory.serves(fresh)
    assert Memory.of(fresh).theta.numel() == sum(parameter.numel() for parameter in fresh.net.parameters())
