"""Recorded fields: how many are kept, whom they serve, and how far off they lead when many steps share one."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from itertools import repeat

import pytest
import torch
from torch import Tensor
from torch.optim import Adam

from pushforward.divergences import KL_LIP
from pushforward.dynamics.integrate import AdamsBashforth, Integrator, euler, heun
from pushforward.flows.critic import CriticFlow
from pushforward.flows.sinkhorn import SinkhornFlow
from pushforward.methods.particles import Particles, tape
from pushforward.nets import lipschitz
from pushforward.randomness import Noise
from pushforward.training.learner import Learner
from pushforward.training.state import load_state, resume_state, weights
from pushforward.types import Blends, Logs, Velocity


@dataclass
class Turning:
    """A field that is the same everywhere and turns with the steps: v = (cos, sin)(0.01 k)."""

    k: Tensor = field(default_factory=lambda: torch.zeros((), dtype=torch.float64))
    logs: Logs = field(default_factory=dict)
    blends: bool = False

    def velocity(self, q: Tensor, p: Tensor) -> Velocity:
        self.k = self.k + 1
        return self.replay(self.snapshot())

    def snapshot(self) -> dict[str, Tensor]:
        return {"angle": 0.01 * (self.k - 1)}

    def blend(self, one: dict[str, Tensor], other: dict[str, Tensor], share: float) -> dict[str, Tensor]:
        return {"angle": torch.lerp(one["angle"], other["angle"], share)}

    def offers(self, capability: type) -> bool:
        return self.blends or capability is not Blends

    def replay(self, state: dict[str, Tensor]) -> Velocity:
        v = torch.stack([state["angle"].cos(), state["angle"].sin()])
        return lambda x, t=0.0: v.expand_as(x)


def go(method: Particles, steps: int) -> Particles:
    for _, _ in zip(range(steps), method.learn(repeat(torch.zeros(3, 2)), start=int(method.done))):
        pass
    return method


def turning(blends: bool = False, **options) -> Particles:
    return Particles(Turning(blends=blends), torch.zeros(4, 2, dtype=torch.float64), 0.1, Noise(0), **options)


@pytest.mark.parametrize("record", [1, 3])
@pytest.mark.parametrize("fields", [2, 5, 8])
def test_never_more_than_allowed_never_less_than_half_and_evenly_spaced(record, fields):
    method = turning(record=record, fields=fields)
    for done in range(1, 150):
        go(method, 1)
        serves = method.serves
        assert len(method.tape) == -(-done // serves) <= fields
        assert serves == record or len(method.tape) >= fields // 2
        angles = [float(entry["angle"]) for entry in method.tape]
        torch.testing.assert_close(angles, [0.01 * serves * i for i in range(len(angles))])


def test_all_are_kept_where_that_is_asked_for_and_bytes_bound_large_ones(monkeypatch):
    assert len(go(turning(record=1, fields=0), 90).tape) == 90
    monkeypatch.setattr(tape, "BYTES", 10 * 8)
    assert len(go(turning(record=1), 90).tape) <= 10
    assert len(go(turning(record=1, fields=0), 90).tape) == 90


@pytest.mark.parametrize("record", [1, 3])
def test_a_thinned_tape_is_said_once_with_step_and_stride_and_logged_from_there(record):
    method, said, logged = turning(record=record, fields=8), list[str](), list[float]()
    for k, (step, logs) in enumerate(zip(range(90), method.learn(repeat(torch.zeros(3, 2)))), 1):
        if method.serves > record:
            if not said:
                assert step == 8 * record
                (words,) = method.remarks(90)
                assert words.startswith(f"step {k}: 8 recorded fields")
                assert f"{2 * record} steps share one" in words
            said += method.remarks(90)
            if step % record == 0:
                assert float(logs["serves"]) == method.serves
        else:
            assert "serves" not in logs
            assert method.remarks(90) == ()
        logged.append(method.serves)
    assert len(set(said)) == 1
    assert max(logged) > 2 * record


def test_a_tape_that_will_be_larger_than_the_bound_is_said_from_the_first_step_on(monkeypatch):
    assert go(turning(record=1, fields=0), 1).remarks(10**6) == ()
    monkeypatch.setattr(tape, "BYTES", 10 * 8)
    assert go(turning(record=1, fields=0), 1).remarks(10) == ()
    (words,) = go(turning(record=1, fields=0), 1).remarks(11)
    assert "11 of" in words
    assert "fields 10" in words
    assert go(turning(record=11, fields=0), 1).remarks(110) == ()
    assert go(turning(record=1, fields=5), 1).remarks(11) == ()
    monkeypatch.setattr(tape, "BYTES", 15)
    (words,) = go(turning(record=1), 1).remarks(11)
    assert words.startswith("two recorded fields are kept in any case")
    assert len(go(turning(record=1), 90).tape) == 2


@pytest.mark.parametrize("scheme", [euler, heun, AdamsBashforth(3)])
def test_the_way_along_a_thinned_tape_takes_the_time_of_all_steps(scheme: Integrator):
    """In a field that is the same at all times, the steps' lengths are all that counts."""
    method = turning(record=1, fields=4, scheme=scheme, schedule=lambda k: 1 / (1 + k))
    method.flow.k -= 10**9  # so that it turns no more to speak of
    method.flow.snapshot = lambda: {"angle": torch.zeros((), dtype=torch.float64)}  # type: ignore[method-assign]
    go(method, 37)
    total = 0.1 * sum(1 / (1 + k) for k in range(37))
    moved = method.transport(torch.zeros(1, 2))
    torch.testing.assert_close(moved, torch.tensor([[total, 0.0]], dtype=torch.float64))


@pytest.mark.parametrize("fields", [8, 16, 32, 64])
def test_a_thinned_tape_leads_astray_by_the_age_of_its_fields(fields):
    """The field turns by w a step, and is (s - 1) / 2 steps old on average: an error of w T (s - 1) / 2 and no more."""
    method = go(turning(record=1, fields=fields), 300)
    found = method.transport(torch.zeros(1, 2)) - method.particles[:1]
    age = (method.serves - 1) / 2
    bound = 0.01 * 300 * 0.1 * age
    assert float(found.norm()) <= bound * 1.01
    assert method.serves == 1 or float(found.norm()) > bound / 4


@pytest.mark.parametrize("fields", [16, 32, 64])
def test_fields_that_can_be_blended_are_and_lead_astray_by_the_square_of_their_age_alone(fields):
    """The mean of angles is that of the middle of an entry, so that the error of first order is gone."""
    method = go(turning(blends=True, record=1, fields=fields, schedule=lambda k: 1 - k / 600), 300)
    found = method.transport(torch.zeros(1, 2)) - method.particles[:1]
    assert method.serves > 1
    assert float(found.norm()) <= 300 * 0.1 * (0.01 * method.serves) ** 2 / 24 * 1.1
    held = go(turning(record=1, fields=fields, schedule=lambda k: 1 - k / 600), 300)
    assert float(found.norm()) < float((held.transport(torch.zeros(1, 2)) - held.particles[:1]).norm()) / 10


def test_an_entry_is_the_mean_of_its_steps_by_their_lengths_however_often_it_was_joined():
    method = go(turning(blends=True, record=1, fields=4, schedule=lambda k: 1 / (1 + k)), 13)
    assert method.serves == 4
    for i, entry in enumerate(method.tape):
        steps = range(4 * i, min(13, 4 * i + 4))
        lengths = [1 / (1 + k) for k in steps]
        mean = sum(0.01 * k * length for k, length in zip(steps, lengths)) / sum(lengths)
        assert float(entry["angle"]) == pytest.approx(mean, rel=1e-12)


@pytest.mark.parametrize("refit", [False, True])
@pytest.mark.parametrize("scheme", ["heun", "ab3"])
def test_stages_are_blended_each_with_its_own(refit, scheme):
    from pushforward.dynamics.integrate import named

    def carried(fields: int) -> Tensor:
        torch.manual_seed(0)
        flow = CriticFlow(Learner(lipschitz.critic(2, width=8), partial(Adam, lr=1e-3)), KL_LIP, steps=2)
        q = torch.randn(30, 2, generator=torch.Generator().manual_seed(0)) + 3
        method = Particles(flow, q, 0.05, Noise(0), scheme=named(scheme), record=1, fields=fields, refit=refit)
        go(method, 24)
        assert len(method.tape) == (24 if not fields else 6)
        return method.transport(q) - q

    whole, thinned = carried(0), carried(10)
    assert float((whole - thinned).norm()) < 0.05 * float(whole.norm())


def fresh(sinkhorn: bool) -> Particles:
    torch.manual_seed(0)
    q = torch.randn(20, 2, generator=torch.Generator().manual_seed(0))
    flow = CriticFlow(Learner(lipschitz.critic(2, width=8), partial(Adam, lr=1e-2)), KL_LIP, steps=2)
    return Particles(SinkhornFlow(tolerance=0.1) if sinkhorn else flow, q, 0.1, Noise(0), record=1, fields=8)


@pytest.fixture(scope="module", params=[False, True], ids=["critic", "sinkhorn"])
def whole(request) -> tuple[bool, dict[str, Tensor]]:
    """What forty steps in one go end with, the same for every cut."""
    return request.param, weights(go(fresh(request.param), 40))


@pytest.mark.parametrize("cut", [1, 7, 8, 9, 16, 23])
def test_a_run_goes_on_with_the_same_tape_wherever_it_was_cut(cut, whole):
    sinkhorn, theirs = whole
    first, second = go(fresh(sinkhorn), cut), fresh(sinkhorn)
    load_state(second, weights(first), resume_state(first))
    go(second, 40 - cut)
    mine = weights(second)
    assert mine.keys() == theirs.keys()
    assert all(torch.equal(mine[name], theirs[name]) for name in mine)


def test_a_tape_that_kept_everything_is_read_as_such_and_thinned_as_it_goes_on():
    old, new = go(turning(record=1, fields=0), 30), turning(record=1, fields=8)
    load_state(new, weights(old), resume_state(old))
    assert new.serves == 1
    torch.testing.assert_close(new.transport(torch.zeros(1, 2)), old.transport(torch.zeros(1, 2)))
    go(new, 3)
    assert len(new.tape) <= 8
    assert new.serves == 8
