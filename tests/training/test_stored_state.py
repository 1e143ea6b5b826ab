"""A stored state of training is of the types and shapes that its optimiser keeps, or is refused when it is loaded."""

from __future__ import annotations

import copy
from functools import partial

import pytest
import torch
from torch import nn
from torch.optim import Adam

from pushforward.errors import DataError
from pushforward.training import checkpoint
from pushforward.training.learner import Learner


def learner() -> Learner:
    torch.manual_seed(0)
    mine = Learner(nn.Linear(3, 1), partial(Adam, lr=0.1))
    mine.descend(mine(torch.ones(4, 3)).square().mean())
    return mine


def test_a_state_goes_round():
    mine, other = learner(), learner()
    other.load_resume_state(mine.resume_state())
    assert other.updates == 1


@pytest.mark.parametrize(
    "spoil",
    [
        lambda state: state.update(updates="1"),
        lambda state: state.update(updates=-1),
        lambda state: state.update(updates=2**70),
        lambda state: state["optimiser"]["state"][0].update(exp_avg=torch.zeros(2, 2)),
        lambda state: state["optimiser"]["state"][0].pop("exp_avg_sq"),
        lambda state: state["optimiser"]["param_groups"][0].update(betas=("x", 0.9)),
        lambda state: state["optimiser"]["param_groups"][0].update(betas=[0.9]),
        lambda state: state["optimiser"]["param_groups"][0].update(eps=None),
        lambda state: state["optimiser"]["param_groups"][0].pop("weight_decay"),
    ],
)
def test_a_state_of_other_types_or_shapes_is_refused_at_once(spoil):
    state = copy.deepcopy(learner().resume_state())
    spoil(state)
    with pytest.raises((ValueError, LookupError, TypeError)):
        learner().load_resume_state(state)


@pytest.mark.parametrize("run", [[], 3, "x", None])
def test_a_checkpoint_whose_run_is_no_object_is_damaged_though_its_digest_is_right(run, tmp_path):
    checkpoint.save(tmp_path / "last", {"x": torch.zeros(3)}, {}, run)
    with pytest.raises(DataError, match="not an object"):
        checkpoint.load(tmp_path / "last", resume=False)


@pytest.mark.parametrize("state", [[], 3, "x", None, torch.zeros(3)])
def test_so_is_one_whose_state_is_no_dictionary(state, tmp_path):
    checkpoint.save(tmp_path / "last", {"x": torch.zeros(3)}, state, {"step": 0})
    with pytest.raises(DataError, match="not a dictionary"):
        checkpoint.load(tmp_path / "last")
