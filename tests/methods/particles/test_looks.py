"""Looks cost at most a twentieth of the steps by count, see what a look at each step sees, and change nothing."""

from functools import partial
from itertools import repeat

import pytest
import torch
from torch.optim import Adam

from pushforward.divergences import KL_LIP
from pushforward.flows.critic import CriticFlow
from pushforward.methods.particles import looks
from pushforward.methods.particles.driver import Particles
from pushforward.methods.particles.stopping import Until
from pushforward.nets.lipschitz import critic
from pushforward.randomness import Noise
from pushforward.training.learner import Learner

P = torch.randn(40, 2, generator=torch.Generator().manual_seed(1)) + 2
LOOKED = {"slope", "certificate", "ess", "held"}


def gone(diagnose: int | None, steps: int | None = None, until: Until = Until(), n: int = 12):
    torch.manual_seed(0)
    flow = CriticFlow(Learner(critic(2, width=8), partial(Adam, lr=1e-2, fused=True)), KL_LIP, steps=2)
    x = torch.randn(30, 2, generator=torch.Generator().manual_seed(2))
    method = Particles(
        flow, x, 0.1, Noise(3), batch=8, held=lambda: P[:10], diagnose=diagnose, steps=steps, until=until
    )
    return method, [logs for _, logs in zip(range(n), method.learn(repeat(P)))]


@pytest.mark.parametrize("diagnose", [None, 0, 3, 5])
def test_no_look_changes_where_particles_go_and_what_it_sees_is_what_a_look_at_each_step_sees(diagnose):
    every, full = gone(1)
    some, logs = gone(diagnose, steps=12)
    assert torch.equal(some.particles, every.particles)
    assert torch.equal(some.accounts.ledger, every.accounts.ledger)
    assert torch.equal(some.accounts.path, every.accounts.path)
    assert all(torch.equal(a, b) for a, b in zip(some.flow.snapshot().values(), every.flow.snapshot().values()))
    for mine, theirs in zip(logs, full, strict=True):
        assert theirs.keys() - mine.keys() <= LOOKED
        assert all(torch.equal(value, theirs[name]) for name, value in mine.items())
    k = looks.stride(8, 30, 10, compiled=False) if diagnose is None else diagnose
    wanted = [bool(k) and (step % k == 0 or step == 11) for step in range(12)]
    assert [mine.keys() >= LOOKED for mine in logs] == wanted


def test_the_step_at_which_particles_stop_by_themselves_is_looked_at():
    method, logs = gone(100, until=Until(horizon=0.5))
    assert len(logs) == 5
    assert method.stopped
    assert [each.keys() >= LOOKED for each in logs] == [True, False, False, False, True]


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("held", [0, 1000, 10**6])
@pytest.mark.parametrize("shown", [1, 200, 10**5])
def test_the_least_stride_at_which_looks_cost_a_twentieth_of_the_least_that_steps_cost(shown, held, compiled):
    moved = 10 * shown
    k = looks.stride(shown, moved, held, compiled)
    call, both = looks.CALL, 2 * shown
    least = (3 * (call + both) + 2 * (call + moved)) / (looks.FUSED if compiled else 1)
    cost = 2 * (call + both) + call + (call + shown + held) * (held > 0)
    assert cost / k <= least / 20 < cost / max(k - 1, 1e-9)


def test_looks_in_turn_are_shown_every_particle_equally_often():
    seen = torch.cat([looks.rows(30, 8, k) for k in range(15)])
    assert torch.equal(seen.bincount(minlength=30), torch.full((30,), 4))
