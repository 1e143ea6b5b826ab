"""VGrow of several moves, as it comes: every mode of a toy, every digit; thresholds are multiples of data's own."""

from __future__ import annotations

import math

import pytest
import torch

from pushforward.data.toys.plane import grid25, ring8
from pushforward.metrics.known.modes import modes
from pushforward.metrics.networks.digits8 import digits8
from pushforward.metrics.quality.frechet import frechet, moments
from pushforward.randomness import Noise, generator
from pushforward.recipes.images import vgrow_digits
from pushforward.recipes.toys import toy_vgrow
from pushforward.settings.groups import OuterLoop
from pushforward.training.experiment import Experiment
from pushforward.training.loop import train


def ended(experiment: Experiment) -> Experiment:
    for _ in train(experiment):
        pass
    return experiment


@pytest.mark.parametrize(("moves", "steps"), [(1, 6000), (2, 2250), (5, 900), (20, 225), (10_000, 1)])
def test_a_run_of_several_moves_has_fewer_steps_unless_it_is_told_how_many(moves, steps):
    assert OuterLoop(moves=moves).loop(6000, 4500).steps == steps
    assert OuterLoop(steps=7, moves=moves, batch=5, seed=3).loop(6000, 4500).steps == 7


def test_rates_of_digits_reach_zero_with_the_last_update_at_any_number_of_moves():
    for moves, pool, fits in ((1, 1, 1), (5, 5, 1), (7, 5, 2)):
        method = vgrow_digits(moves=moves, steps=50).method
        assert (method.pool, method.moves, method.fits, method.radius) == (pool, moves, fits, math.inf)
        for learner, updates in ((method.generator, 50 * pool * fits), (method.flow.critic, 50 * moves)):
            assert learner.schedule(updates) == 0 < learner.schedule(updates - 1)
    kept = vgrow_digits(moves=5, radius=0.7, radius_end=0.1, steps=50).method.radius
    assert (kept(0), kept(50)) == (0.7, pytest.approx(0.07))


@pytest.mark.slow
@pytest.mark.parametrize(("toy", "name", "moves"), [(ring8, "ring8", 5), (grid25, "grid25", 20)], ids=["ring", "grid"])
def test_points_at_several_moves(toy, name, moves):
    run = ended(toy_vgrow(data=f"toy:{name}", moves=moves))
    x = run.data.decode(run.method.sample(10_000, Noise(1)))
    real = toy(10_000, generator(1, "data"))
    found, floor = (modes(torch.as_tensor(rows).double(), toy.means, toy.sigma) for rows in (x, real))
    fresh = (len(toy.means) - 1) / (2 * len(x))  # mean KL of a perfect sampler; up to five times as much was measured
    assert found["modes_captured_20"].value == len(toy.means)
    assert found["high_quality"].value > 0.96 * floor["high_quality"].value
    assert found["mode_kl"].value < 8 * fresh


@pytest.mark.slow
@pytest.mark.parametrize("moves", [2, 20])
def test_digits_at_several_moves(moves):
    run = ended(vgrow_digits(moves=moves))
    space, n, data = digits8(), len(run.data.test), run.data
    assert space.classify is not None
    assert data.train_labels is not None
    x, test = run.method.sample(n, Noise(1)), moments(space(data.test))
    lacking = [frechet(moments(space(data.train[data.train_labels != digit][:n])), test) for digit in range(10)]
    assert frechet(moments(space(x)), test) < min(lacking)  # 2.6 to 4.7 times the floor
    shares = space.classify(x).argmax(1).bincount(minlength=10) / n
    assert shares.min() > 0.7 * data.train_labels.bincount().min() / len(data.train)
