"""Recipes in code space end where their docstrings say; thresholds are multiples of what data against data give."""

from __future__ import annotations

import pytest
import torch

from pushforward.errors import UsageError
from pushforward.metrics.quality.sliced import directions, sliced_wasserstein
from pushforward.randomness import Noise
from pushforward.recipes.latent import digit_to_digit, latent_particles, toy_latent
from pushforward.recipes.parts import coding, wiring
from pushforward.settings.groups import Classes, Rows
from pushforward.training.experiment import Experiment
from pushforward.training.loop import train


def ended(experiment: Experiment) -> Experiment:
    for _ in train(experiment):
        pass
    return experiment


def distance(x: torch.Tensor, y: torch.Tensor) -> float:
    return sliced_wasserstein(x.flatten(1), y.flatten(1), directions(x[0].numel(), 64, 0))[0]


@pytest.mark.slow
@pytest.mark.parametrize("options", [{"codec": "pca:2"}, {"compare": "data"}], ids=["codes", "data"])
def test_a_lifted_toy_is_learned_through_two_numbers(options):
    run = ended(toy_latent(**options))
    x, real = run.method.sample(2000, Noise(1)), run.data.test[:2000]
    floor, start = distance(run.data.train[:2000], real), distance(torch.randn_like(real), real)
    assert distance(x, real) < max(3 * floor, 0.2 * start)
    whole = run.data.mixture
    shares = (torch.cdist(torch.from_numpy(run.data.decode(x)), whole.means).argmin(1).bincount(minlength=4)) / 2000
    assert (shares - 0.25).abs().max() < 0.06


@pytest.mark.slow
def test_twos_become_zeros_and_new_twos_follow():
    run = ended(digit_to_digit(steps=200))
    digits = wiring.load(Rows("digits"), Classes(conditional=True), kind="images")
    twos, zeros = coding.of_class(digits, "2"), coding.of_class(digits, "0")
    before, floor = distance(twos.train, zeros.test), distance(zeros.train, zeros.test)
    assert before > 2 * floor
    assert distance(run.method.particles, zeros.test) < 1.5 * floor
    assert distance(run.method.transport(twos.test), zeros.test) < (before + floor) / 2


def test_an_autoencoder_sees_the_flows_rows_unless_it_is_given_more():
    few = latent_particles(limit=100, codec="autoencoder:4", steps=1)
    more = latent_particles(limit=100, codec="autoencoder:4", steps=1, codec_rows=300)
    assert (few.method.codec.rows, more.method.codec.rows) == (len(few.data.train), 300)
    assert len(more.data.train) == 100
    assert len(more.method.lessons.x) == 300
    assert len(more.batches.x) == 100


def test_a_class_that_is_not_there_is_named_with_those_that_are():
    with pytest.raises(UsageError, match="class '11': digits has the classes 0, 1, 2"):
        digit_to_digit(source="11")
    with pytest.raises(UsageError, match="holds points; use dense"):
        latent_particles(data="toy:moons", codec="autoencoder:2", net="convolutional")
