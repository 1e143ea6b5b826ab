"""One flow for so many calls, then another: whose turn it is, whose numbers are told, and that a run can be cut."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
import torch

from pushforward.flows.local.density import DensityFlow
from pushforward.flows.local.handover import Handover
from pushforward.recipes import RECIPES
from pushforward.training.loop import train
from pushforward.training.state import load_state, resume_state, weights
from pushforward.types import Conditional, Untrained, able


@dataclass
class Steady:
    """The same velocity everywhere."""

    speed: float
    asked: int = 0
    logs: dict = field(default_factory=dict)

    def velocity(self, q, p):
        self.asked += 1
        self.logs = {"speed": torch.tensor(self.speed)}
        return lambda x, t=0.0: torch.full_like(x, self.speed)


def test_the_second_takes_over_after_so_many_calls():
    first, then, x = Steady(1.0), Steady(2.0), torch.zeros(3, 2)
    flow = Handover(first, then, 2)
    seen, told = [], []
    for _ in range(4):
        seen.append(float(flow.velocity(x, x)(x)[0, 0]))
        told.append(float(flow.logs["speed"]))
    assert seen == told == [1.0, 1.0, 2.0, 2.0]
    assert (first.asked, then.asked) == (2, 2)


def test_it_says_when_nothing_is_learned_any_more():
    flow, x = Handover(Steady(1.0), Steady(2.0), 1), torch.zeros(3, 2)
    told = [flow.untrained]
    for _ in range(2):
        flow.velocity(x, x)
        told.append(flow.untrained)
    assert told == [False, False, True]
    assert able(flow, Untrained)


def test_a_critic_that_rests_is_not_called_stale():
    experiment = RECIPES["toy_vgrow"](data="toy:moons", limit=200, steps=40, batch=16, width=8, moves=2, last=0.5)
    looks = [step for step, logs in train(experiment) if "stale" in logs]
    assert looks == [10, 20]


def test_with_no_calls_of_the_first_it_is_the_second():
    flow, x = Handover(Steady(1.0), Steady(2.0), 0), torch.zeros(3, 2)
    assert float(flow.velocity(x, x)(x)[0, 0]) == 2.0


def test_classes_reach_the_flow_whose_turn_it_is():
    torch.manual_seed(0)
    q, p = torch.randn(30, 2), torch.randn(30, 2) + 1
    labels = (torch.arange(30) % 2, torch.arange(30) % 2)
    flow = Handover(DensityFlow(0.5), DensityFlow(0.2), 1)
    assert able(flow, Conditional)
    for length in (0.5, 0.2):
        v = flow.velocity(q, p, labels)(q)
        torch.testing.assert_close(v, DensityFlow(length).velocity(q, p, labels)(q))


@pytest.mark.parametrize("conditional", [False, True])
@pytest.mark.parametrize("cut", [3, 5, 6, 8])
def test_a_run_cut_before_at_and_after_the_handover_goes_on_bit_for_bit(cut, conditional, tmp_path):
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "rows.npz", x=rng.normal(size=(200, 2)), y=rng.integers(3, size=200))
    options = {"data": f"{tmp_path / 'rows.npz'}:x", "steps": 10, "batch": 16, "width": 8, "moves": 2, "last": 0.5}
    options |= {"conditional": True, "labels": "y"} if conditional else {}
    whole, part, rest = (RECIPES["toy_vgrow"](**options) for _ in range(3))
    for _ in train(whole):
        pass
    part.steps = cut
    for _ in train(part):
        pass
    load_state(rest.method, weights(part.method), resume_state(part.method))
    rest.batches.load_state_dict(part.batches.state_dict())
    for _ in train(rest, cut):
        pass
    ends = weights(whole.method), weights(rest.method)
    assert ends[0].keys() == ends[1].keys()
    assert any("kept" in name for name in ends[0])
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])
