"""VGrow as it comes reaches every mode at any number of moves; thresholds are shares of what fresh data score."""

from __future__ import annotations

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


def test_digits_at_several_moves_are_the_same_method_in_other_paces():
    one, several = vgrow_digits(moves=1), vgrow_digits(moves=5)
    assert (one.method.pool, one.method.moves, one.method.fits, one.method.radius) == (1, 1, 1, float("inf"))
    assert (several.method.pool, several.method.moves, several.method.fits, several.method.radius) == (
        5,
        5,
        1,
        float("inf"),
    )
    kept = vgrow_digits(moves=5, radius=0.7, radius_end=0.1, steps=50).method.radius
    assert (kept(0), kept(50)) == (0.7, pytest.approx(0.07))


@pytest.mark.slow
@pytest.mark.parametrize(("toy", "name", "moves"), [(ring8, "ring8", 5), (grid25, "grid25", 20)], ids=["ring", "grid"])
def test_points_at_several_moves(toy, name, moves):
    run = ended(toy_vgrow(data=f"toy:{name}", moves=moves))
    x = run.data.decode(run.method.sample(10_000, Noise(1)))
    real = toy(10_000, generator(1, "data"))
    found, floor = (modes(torch.as_tensor(rows).double(), toy.means, toy.sigma) for rows in (x, real))
    assert found["modes_captured_20"].value == len(toy.means)
    assert found["high_quality"].value > 0.96 * floor["high_quality"].value
    assert found["mode_kl"].value < 0.01


@pytest.mark.slow
@pytest.mark.parametrize("moves", [2, 20])
def test_digits_at_several_moves(moves):
    run = ended(vgrow_digits(moves=moves))
    space, rows = digits8(), run.data.train
    x, test = run.method.sample(len(rows), Noise(1)), moments(space(run.data.test))
    assert space.classify is not None
    assert frechet(moments(space(x)), test) < 2 * frechet(moments(space(rows)), test)
    shares = space.classify(x).bincount(minlength=10) / len(x)
    assert shares.min() > 0.7 * (run.data.train_labels.bincount() / len(rows)).min()
