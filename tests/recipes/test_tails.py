"""The recipe for heavy tails: finite whatever the scores, no faster than its slope, right in a tail within reach."""

import pytest
import torch

from pushforward.data.source import load
from pushforward.errors import UsageError
from pushforward.metrics.quality.tails import hill
from pushforward.recipes.tails import heavy_tails

T05 = {"data": "toy:student(0.5)", "limit": 400, "test_fraction": 0.5, "particles": 200, "batch": 200, "warmup": 2}


@pytest.mark.parametrize("seed", range(1, 6))  # at 0 the critic begins the wrong way round, and turns too late
def test_kl_stays_finite_without_a_mean_and_with_scores_of_a_hundred_thousand(seed):
    experiment = heavy_tails(**T05, steps=5, start=1e5, seed=seed)
    for _, logs in zip(range(5), experiment.method.learn(experiment.batches)):
        assert all(value.isfinite() for value in logs.values())
        assert logs["divergence"] > 1e3
    assert experiment.method.particles.isfinite().all()
    flow = experiment.method.flow
    q, p = (flow.scores(x) for x in (experiment.method.particles, experiment.data.train))
    assert torch.cat([q, p]).abs().max() > 1e5
    # A critic's constant means nothing to the dual, and everything to its formula written down as it stands.
    assert flow.objective(q + 1e5, p + 1e5) == pytest.approx(float(flow.objective(q, p)), rel=1e-3)
    for sign in (1, -1):
        naive = (q + sign * 1e5).mean() + (-p.clamp(-1e3, 1e3) - sign * 1e5).exp().mean().log()
        assert not naive.isfinite()


@pytest.mark.parametrize("mode", ["bjorck", "spectral", "reference"])
@pytest.mark.parametrize("divergence", ["KL_LIP", "alpha_lip(2)", "alpha_lip(10)"])
def test_no_particle_is_faster_than_the_slope(mode, divergence):
    experiment = heavy_tails(**T05, mode=mode, divergence=divergence, steps=3, slope=2.0, start=10.0)
    before = experiment.method.particles
    for _, logs in zip(range(3), experiment.method.learn(experiment.batches)):
        assert logs["fastest"] <= 2.0 * (1 + 1e-5)
        after = experiment.method.particles
        assert not torch.equal(before, after)
        before = after


def test_a_divergence_without_a_dual_for_bounded_slopes_is_refused():
    with pytest.raises(UsageError, match="KL_LIP or alpha_lip"):
        heavy_tails(divergence="JEFFREYS")


def test_the_time_of_the_run_is_what_the_documentation_says():
    method = heavy_tails(**T05).method
    assert sum(method.step * method.schedule(k) for k in range(600)) == pytest.approx(75, abs=1)


def test_particles_start_where_they_are_told():
    experiment = heavy_tails(**T05 | {"particles": 4000}, start=10.0)
    assert (experiment.method.particles.mean(0) - 10).abs().max() < 5 / 4000**0.5


@pytest.mark.slow
def test_ten_thousand_particles_get_the_tail_index_of_t3():
    experiment = heavy_tails(data="toy:multivariate_t(3)", limit=20_000, test_fraction=0.5)
    start = experiment.method.particles
    for _ in zip(range(experiment.steps), experiment.method.learn(experiment.batches)):
        pass
    target = load("toy:multivariate_t(3)", limit=20_000, test_fraction=0.5).train
    found = [hill(x.norm(dim=1), 0.05)[0] for x in (start, experiment.method.particles, target)]
    assert found[0] > 6  # a normal cloud thins out far faster
    assert found[1] == pytest.approx(found[2], rel=0.15)
