"""One cloud onto another: where it arrives, how fast it may go, and what it must not depend on."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import pytest
import torch
from torch.optim import Adam

from pushforward.divergences import JS_LIP, KL, KL_LIP, W1
from pushforward.errors import UsageError
from pushforward.flows.bounded import bounded_critic, bounded_flow
from pushforward.merging.flow import sides
from pushforward.merging.flow.cloud import transport_cloud
from pushforward.merging.flow.how import How
from pushforward.merging.flow.sides import Judge, Side, ratios
from pushforward.randomness import Noise, seeded, stream
from pushforward.settings.groups import Bound
from pushforward.training.learner import Learner

QUICK = How(width=32, steps=40, updates=3, rate=5e-3, warmup=30)


@pytest.mark.parametrize("critic", ["bjorck", "penalty"])
def test_a_shifted_cloud_arrives_and_its_own_shape_is_kept(critic):
    noise = Noise(0)
    p, q = noise.normal(400, 2), noise.normal(400, 2) + torch.tensor([2.0, -1.0])
    way = transport_cloud(q, p, replace(QUICK, critic=critic))
    floor = (2 * 2 / 400) ** 0.5  # root mean square distance of the means of two samples of one law
    assert (way.x.mean(0) - p.mean(0)).norm() < 3 * floor
    torch.testing.assert_close(way.x.std(0), p.std(0), rtol=0.15, atol=0.0)
    assert way.divergence[0] > 5 * abs(way.divergence[-1])


@pytest.mark.parametrize("slope", [0.5, 2.0])
def test_no_cell_is_faster_than_the_slope_nor_goes_further_than_its_moves_allow(slope):
    noise = Noise(1)
    p, q = noise.normal(200, 3), noise.normal(200, 3) + 3.0
    way = transport_cloud(q, p, replace(QUICK, lipschitz=slope, steps=20))
    assert way.certificate <= slope * 1.001
    assert way.certified
    assert max(way.kinetic) <= 0.5 * 1.001
    moved = (way.x - q).norm(dim=1)
    assert bool((moved <= way.length * 1.001).all())
    assert float(way.length.max()) <= QUICK.step * len(way.kinetic) * 1.001


@pytest.mark.parametrize("slope", [0.25, 0.5])
def test_under_a_penalty_too_no_cell_is_ever_faster_than_the_slope(slope):
    noise = Noise(1)
    p, q = noise.normal(200, 3), noise.normal(200, 3) + 3.0
    hasty = replace(QUICK, critic="penalty", lipschitz=slope, steps=3, rate=0.3, warmup=0, settle=0.0)
    way = transport_cloud(q, p, hasty)
    assert way.certificate > slope  # the net itself is steeper: it is the speed that is held
    assert not way.certified
    assert max(way.kinetic) <= 0.5 * (1 + 1e-5)
    assert float(way.length.max()) <= hasty.step * len(way.kinetic) * (1 + 1e-5)


def test_a_penalty_bounds_the_same_in_merges_as_in_flows():
    noise = Noise(1)
    p, q = noise.normal(50, 2), noise.normal(50, 2) + 3.0
    how = replace(QUICK, critic="penalty", lipschitz=0.5, steps=1, updates=1, warmup=0, settle=0.0, around=0.0)
    with seeded(0):
        critic = Learner(bounded_critic(2, 0.5, how.width, 3, "penalty"), partial(Adam, lr=how.rate, betas=(0.5, 0.9)))
    flow = bounded_flow(critic, KL_LIP, slope=0.5, steps=1, bound=Bound("penalty"), rng=stream(0, "train"))
    flow.velocity(q, p)  # the look before the first move
    moved = q + how.step / 0.5 * flow.velocity(q, p)(q)
    torch.testing.assert_close(transport_cloud(q, p, how).x, moved)


def test_far_away_all_cells_travel_at_full_speed():
    noise = Noise(2)
    p, q = noise.normal(200, 2), noise.normal(200, 2) + 30.0
    way = transport_cloud(q, p, replace(QUICK, steps=20, settle=0.0))
    assert way.kinetic[0] == pytest.approx(0.5, abs=0.03)
    assert float(way.length.mean()) == pytest.approx(20 * QUICK.step, rel=0.03)


def test_a_conditional_critic_moves_every_class_onto_its_own():
    noise = Noise(3)
    y = torch.arange(400) % 2
    side = torch.where(y == 0, -1.0, 1.0)[:, None]
    p = noise.normal(400, 2) * 0.3 + torch.cat([0 * side, 2 * side], 1)
    q = noise.normal(400, 2) * 0.3 + torch.cat([3 * side, 0 * side], 1)
    way = transport_cloud(q, p, replace(QUICK, steps=60), labels=(y, y))
    for label in (0, 1):
        assert (way.x[y == label].mean(0) - p[y == label].mean(0)).norm() < 0.25


@pytest.mark.slow
def test_small_batches_arrive_too_and_a_seed_says_all():
    noise = Noise(4)
    p, q = noise.normal(1500, 2), noise.normal(1000, 2) + 2.0
    how = replace(QUICK, batch=150, steps=40)
    way = transport_cloud(q, p, how, seed=7)
    assert (way.x.mean(0) - p.mean(0)).norm() < 0.15
    one, same, other = (transport_cloud(q, p, replace(how, steps=2), seed=seed).x for seed in (7, 7, 8))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_the_global_generator_is_left_alone():
    state = torch.get_rng_state()
    transport_cloud(torch.zeros(20, 1), torch.ones(20, 1), replace(QUICK, steps=2))
    assert torch.equal(state, torch.get_rng_state())


def test_names_of_divergences_are_those_of_the_regularised_kind():
    assert How(divergence="kl").law() is KL_LIP
    assert How(divergence="JS").law() is JS_LIP
    assert How(divergence="w1").law() is W1
    assert How(divergence="KL").law() is not KL
    assert "2" in How(divergence="alpha(2)").law().name


@pytest.mark.parametrize(
    "wrong", [{"steps": 0}, {"lipschitz": -1.0}, {"critic": "deep"}, {"settle": -1.0}, {"divergence": "no"}]
)
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(UsageError):
        How(**wrong)


def three_clouds(seed: int, n: int = 600) -> tuple[torch.Tensor, torch.Tensor]:
    """Two samples of one law of three clusters."""
    noise = Noise(seed)
    middles = torch.tensor([[0.0, 0.0, 0.0], [6.0, 0.0, 0.0], [0.0, 6.0, 0.0]])
    return tuple(noise.normal(n, 3) + middles[noise.integers(3, n)] for _ in range(2))  # pyright: ignore


def fifth(n: int, seed: int) -> torch.Tensor:
    return Noise(seed).uniform(n) < 0.2


@pytest.mark.parametrize("seed", range(3))
def test_nothing_moves_where_held_out_cells_see_no_difference(seed):
    q, p = three_clouds(seed)
    way = transport_cloud(q, p, QUICK, aside=(fifth(600, seed + 10), fifth(600, seed + 20)), seed=seed)
    assert torch.equal(way.x, q)
    assert float(way.length.max()) == 0
    assert way.why.endswith("nothing moved")
    assert way.held[0] < 2 * way.held_error[0]
    shifted = transport_cloud(q + 1, p, QUICK, aside=(fifth(600, seed + 10), fifth(600, seed + 20)), seed=seed)
    assert shifted.held[0] > 5 * shifted.held_error[0]  # a shift of the width of a cluster is seen
    assert (shifted.x.mean(0) - p.mean(0)).norm() < 0.5  # of 1.7


def test_the_error_of_the_gap_is_its_standard_deviation_whatever_the_shares(monkeypatch):
    noise, found = Noise(0), list[tuple[float, float]]()
    cloud = SimpleNamespace(tracer_labels=None, flow=SimpleNamespace(scores=lambda x, _: x[:, 0]))
    monkeypatch.setattr(sides, "CriticFlow", SimpleNamespace)
    for _ in range(400):
        heavy = noise.uniform(80) < 0.5
        y, cloud.tracers = noise.normal(80, 1) + 6 * ~heavy[:, None], noise.normal(80, 1)
        weights = torch.where(heavy, 1.0, 0.0)  # the cloud asks for one of two clusters, and is there
        judge = Judge(Side(y, torch.arange(0), torch.arange(80), None, weights), able=True)
        judge.look(cloud)  # pyright: ignore
        found += judge.gaps
    gaps, errors = torch.tensor(found).T
    assert float(errors.square().mean().sqrt()) == pytest.approx(float(gaps.std()), rel=0.1)
    assert float((gaps > 2 * errors).float().mean()) == pytest.approx(0.023, abs=0.02)


def test_cells_that_the_critic_never_sees_move_with_the_others_and_change_nothing():
    noise = Noise(5)
    p, q = noise.normal(300, 2), noise.normal(300, 2) + 1.5
    away = torch.arange(300) % 5 == 0
    how = replace(QUICK, steps=10, around=0.0)
    way = transport_cloud(q, p, how, aside=(away, away))
    elsewhere, there = q.clone(), p.clone()
    elsewhere[away] += 0.5  # what is held out may be anything
    there[away] -= 0.5
    again = transport_cloud(elsewhere, there, how, aside=(away, away))
    assert len(way.kinetic) == len(again.kinetic)  # in neither have cells settled before
    torch.testing.assert_close(again.x[~away], way.x[~away])
    assert (way.x[away] - q[away]).norm(dim=1).min() > 0.3
    assert (way.x[away].mean(0) - way.x[~away].mean(0)).norm() < 0.5


@pytest.mark.parametrize("around", [0.0, 0.5])
@pytest.mark.parametrize("weight", [3.0, 1 / 3])
def test_the_reference_counts_by_its_weights(weight, around):
    noise = Noise(6)
    side = (torch.arange(600) % 2).float()[:, None]
    p = noise.normal(600, 2) + torch.cat([5 * side, 0 * side], 1)
    share = weight / (1 + weight)
    mine = (torch.arange(400) < 400 * share).float()[:, None]
    q = noise.normal(400, 2) + torch.cat([5 * mine, 0 * mine + 1.5], 1)
    weights = torch.where(side[:, 0] > 0, weight, 1.0)
    how = replace(QUICK, steps=60, around=around)
    way = transport_cloud(q, p, how, weights=weights)
    assert float((way.x[:, 0] > 2.5).float().mean()) == pytest.approx(share, abs=0.02)
    assert float(way.x[:, 1].mean().abs()) < 0.3
    level = transport_cloud(q, p, replace(how, around=0.0))  # all the same: cells must change sides
    assert ((level.x[:, 0] > 2.5) != (q[:, 0] > 2.5)).float().mean() > 0.05


def test_classes_weigh_as_in_the_cloud_unless_told_otherwise():
    mine, theirs = torch.tensor([0, 0, 0, 1]), torch.tensor([0, 1, 1, 1, 2])
    assert ratios(mine, theirs).tolist() == [3.0, pytest.approx(1 / 3), pytest.approx(1 / 3), pytest.approx(1 / 3), 0.0]
