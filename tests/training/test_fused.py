"""Fused Adam without torch's ceremony: the same numbers bit for bit, and out of the way where a step is watched."""

from functools import partial

import pytest
import torch
from torch import nn
from torch.optim import SGD, Adam, AdamW
from torch.optim.lr_scheduler import ExponentialLR

from pushforward.training.adam.fused import Fused
from pushforward.training.learner import Learner

MAKES = [
    partial(Adam, lr=1e-2, betas=(0.0, 0.9), weight_decay=0.1, fused=True),
    partial(AdamW, lr=1e-2, eps=1e-6, fused=True),
    partial(Adam, lr=1e-2),
    partial(Adam, lr=1e-2, amsgrad=True, fused=True),
    partial(SGD, lr=1e-2, momentum=0.5),
]


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1))


@pytest.mark.parametrize("make", MAKES, ids=lambda make: f"{make.func.__name__}{make.keywords}")
def test_a_learner_takes_the_steps_of_its_optimiser_bit_for_bit_also_after_its_state_is_loaded(make):
    ours, theirs = Learner(net(), make), net()
    optimiser, rng = make(theirs.parameters()), torch.Generator().manual_seed(1)
    for k in range(12):
        x = torch.randn(5, 3, generator=rng)
        ours.descend(ours(x).square().mean())
        optimiser.zero_grad()
        theirs(x).square().mean().backward()
        optimiser.step()
        if k == 5:
            ours.load_resume_state(ours.resume_state())
    for mine, other in zip(ours.net.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(mine, other)
    for mine, other in zip(ours.optimiser.state.values(), optimiser.state.values(), strict=True):
        assert all(torch.equal(mine[name], other[name]) for name in other)


def test_whoever_watches_the_steps_of_an_optimiser_sees_them_all():
    learner, seen = Learner(net(), MAKES[0]), []
    learner.descend(learner(torch.ones(2, 3)).mean())
    assert Fused.of(learner.optimiser) is not None
    learner.optimiser.register_step_post_hook(lambda *_: seen.append(1))
    for _ in range(3):
        learner.descend(learner(torch.ones(2, 3)).mean())
    assert len(seen) == 3
    scheduled = Learner(net(), MAKES[0])
    ExponentialLR(scheduled.optimiser, 0.5)
    scheduled.descend(scheduled(torch.ones(2, 3)).mean())
    assert Fused.of(scheduled.optimiser) is None


def test_a_parameter_without_a_gradient_stays_where_it_is():
    learner = Learner(net(), MAKES[0])
    learner.descend(learner(torch.ones(2, 3)).mean())
    first, last = learner.net[0].weight.clone(), learner.net[2].weight.clone()
    learner.descend(learner.net[2](torch.ones(2, 8)).mean())
    assert torch.equal(learner.net[0].weight, first)
    assert not torch.equal(learner.net[2].weight, last)
