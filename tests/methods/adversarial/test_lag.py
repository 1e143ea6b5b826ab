"""Whether the generator keeps up with its particles: laws of the two numbers, and when a run says so."""

from __future__ import annotations

import math
from functools import partial
from itertools import repeat
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import SGD

from pushforward import recipes
from pushforward.divergences import KL
from pushforward.flows.critic import CriticFlow
from pushforward.methods.adversarial import lag
from pushforward.methods.adversarial.vgrow import VGrow
from pushforward.methods.sources import normal
from pushforward.nets import mlp
from pushforward.nets.blocks import GeneratorNet
from pushforward.objectives.penalties import spectral
from pushforward.randomness import Noise
from pushforward.training.learner import Learner
from pushforward.training.loop import train
from pushforward.training.state import load_state, resume_state, weights

N = 64


def build(lr: float = 0.05, slope: float | None = None, **options: Any) -> VGrow:
    """A generator with batch and spectral norms; a linear critic of a given slope stands still."""
    torch.manual_seed(0)
    body = spectral(nn.Sequential(nn.Linear(2, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 2)))
    critic = mlp.critic(2, width=8, depth=1 if slope is None else 0)
    if slope is not None:
        with torch.no_grad():
            critic.head.weight.fill_(slope)
    flow = CriticFlow(Learner(critic, partial(SGD, lr=0.05 if slope is None else 0.0)), KL)
    return VGrow(Learner(GeneratorNet(body, 2), partial(SGD, lr=lr), ema=0.9), flow, normal(2), Noise(1), **options)


def data() -> repeat[Tensor]:
    return repeat(torch.randn(N, 2, generator=torch.Generator().manual_seed(3)) + 1)


def go(method: VGrow, steps: int, start: int = 0) -> list[dict[str, Tensor]]:
    return [logs for _, logs in zip(range(steps), method.learn(data(), start))]


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lag, "EVERY", 1)
    monkeypatch.setattr(lag, "WINDOW", 4)


@pytest.mark.parametrize(("made", "wanted"), [(0.0, 1.0), (0.5, 0.25), (1.0, 0.0), (3.0, 4.0), (-1.0, 4.0)])
def test_lag_is_the_square_of_the_share_of_the_way_that_is_left(made, wanted):
    start, moved = torch.randn(2, N, 3, 2).double()
    left, way = lag.kept_up(start + made * (moved - start), moved, start)
    torch.testing.assert_close(left / way, torch.tensor(wanted).double(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dim", [2, 50])
def test_own_neighbours_are_half_of_one_law_all_of_two_and_none_of_pairs(dim):
    one, other = torch.randn(2, 256, dim, generator=torch.Generator().manual_seed(1))
    assert abs(lag.apart(one, other).item() - 0.5) < 4 * 512**-0.5
    assert lag.apart(one, other + 100).item() == 1
    assert lag.apart(one, one + 1e-4 * other).item() == 0


def test_own_neighbours_know_no_units_and_no_order_of_the_clouds():
    one, other = torch.randn(2, 50, 3, generator=torch.Generator().manual_seed(1)).double()
    turn, _ = torch.linalg.qr(torch.randn(3, 3).double())
    wanted = lag.apart(one, other + 1)
    assert lag.apart(other + 1, one) == wanted
    assert lag.apart(7 * one @ turn - 5, 7 * (other + 1) @ turn - 5) == wanted


def test_a_frozen_generator_makes_none_of_the_way(often):
    (logs,) = go(build(lr=0.0, moves=3, slope=0.2), 1)
    torch.testing.assert_close(logs["lag"], torch.tensor(1.0), rtol=1e-4, atol=0)


def test_fits_that_reach_their_particles_leave_no_lag_and_more_fits_leave_less(often):
    lags = [go(build(lr=0.2, moves=2, slope=0.2, fits=fits), 1)[0]["lag"].item() for fits in (1, 10, 300)]
    assert lags[0] > lags[1] > lags[2]
    assert lags[2] < 0.05


def test_a_pool_that_stands_still_has_no_lag_that_is_not_finite(often):
    method = build(lr=0.0, moves=2, slope=0.0)
    method.generator = Learner(mlp.generator(2, 2, width=8, depth=1), partial(SGD, lr=0.0))
    (logs,) = go(method, 1)
    assert logs["lag"].item() == 0
    left, way = lag.kept_up(torch.ones(4, 2), torch.zeros(4, 2), torch.zeros(4, 2))
    assert (left.item(), way.item()) == (2, 0)
    assert lag.note([], 1, *(torch.ones(4, 2), *[torch.zeros(4, 2)] * 3))["lag"].item() == lag.MOST


@pytest.mark.parametrize("options", [{}, {"pool": 3}, {"eval_moves": True}])
def test_a_look_changes_nothing_that_is_learned(monkeypatch, options):
    def learned(every: int) -> dict[str, Tensor]:
        monkeypatch.setattr(lag, "EVERY", every)
        method = build(moves=2, fits=2, **options)
        go(method, 5)
        assert bool(method.kept_up) == (every == 1)
        return {name: tensor for name, tensor in weights(method).items() if "kept_up" not in name}

    looked, unseen = learned(1), learned(1000)
    assert looked.keys() == unseen.keys()
    for name, tensor in looked.items():
        assert torch.equal(tensor, unseen[name]), name


def test_with_one_move_there_is_nothing_to_keep_up_with(often):
    method = build(fits=3, pool=2, slope=50.0)
    assert not any(logs.keys() & {"lag", "stale"} for logs in go(method, 10))
    assert method.remarks(10) == ()
    assert not any("kept_up" in name for name in weights(method))


def test_clouds_apart_are_told_once_by_name_with_the_value_and_the_step(often):
    method = build(lr=0.0, moves=2, slope=50.0)
    go(method, 3)
    assert method.remarks(100) == ()
    go(method, 1, 3)
    said = method.remarks(100)
    assert [words.split(":")[1].strip() for words in said] == [
        "the generator lags its particles", "the critic is stale",
    ]  # fmt: skip
    assert all(words.startswith("step 4: ") for words in said)
    assert "lag 1 " in said[0]
    assert "stale 1.00 " in said[1]
    go(method, 20, 4)
    assert method.remarks(100) == said


def test_moves_shorter_than_the_way_to_the_next_particle_are_no_alarm(often):
    method = build(lr=0.0, moves=3, slope=1e-4)
    assert go(method, 20)[-1]["lag"].item() > 0.9
    assert method.remarks(20) == ()


def test_a_run_that_goes_on_says_what_it_would_have_said(often):
    whole, one, other = (build(lr=0.0, moves=2, slope=50.0) for _ in range(3))
    go(whole, 10)
    go(one, 3)
    load_state(other, weights(one), resume_state(one))
    go(other, 7, 3)
    assert other.remarks(10) == whole.remarks(10) != ()
    assert torch.equal(other.kept_up[0]["sums"], whole.kept_up[0]["sums"])


@pytest.mark.slow
@pytest.mark.parametrize(("moves", "step", "alarm"), [(3, 0.5, True), (3, 0.01, False), (1, 1.0, False)])
def test_the_collapse_of_several_long_moves_is_told_while_it_happens(moves, step, alarm):
    free = {"pool": 1, "fits": 1, "radius": math.inf, "last": 0.0}  # what several moves are not by themselves
    free |= {"begin": "net", "octaves": 0, "fourier": 0, "rate": 1e-3, "critic_pace": 1.0, "penalty_end": 1e-3}
    experiment = recipes.locate("toy_vgrow")(data="toy:grid25", steps=1500, moves=moves, step=step, seed=0, **free)
    stale = [logs["stale"] for _, (_, logs) in zip(range(810), train(experiment)) if "stale" in logs]
    assert bool(experiment.method.remarks(1500)) == alarm
    late = sum(stale[-20:]) / 20
    assert late > 0.95 if alarm else late < 0.7
