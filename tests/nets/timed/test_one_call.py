"""A denoiser at one level as a generator: what it computes, and that what goes into it has the law of that level."""

from __future__ import annotations

import math

import pytest
import torch

from pushforward.errors import UsageError
from pushforward.nets.blocks import classes_of
from pushforward.nets.timed.mlp import perceptron
from pushforward.nets.timed.one_call import OneCall
from pushforward.nets.timed.preconditioned import Preconditioned
from pushforward.randomness import Noise, seeded

MEAN, SPREAD = torch.tensor([1.0, -2.0, 0.5]), 0.7


def denoiser(classes: int = 0, scale: float = 1.0) -> Preconditioned:
    with seeded(0):
        net = perceptron(3, width=16, depth=2, classes=classes)
        torch.nn.init.normal_(net.last.weight)
    return Preconditioned(net, scale * MEAN, torch.tensor(scale * SPREAD))


@pytest.mark.parametrize("classes", [0, 4])
def test_it_is_the_denoiser_of_points_with_the_variance_of_data_and_noise(classes):
    d, z = denoiser(classes), Noise(0).normal(10, 3)
    labels = (torch.arange(10) % 4,) if classes else ()
    level = 5.0
    y = MEAN + math.sqrt(level**2 + 1) * SPREAD * z
    g = OneCall(d, level)
    torch.testing.assert_close(g(z, *labels), d(y, level * SPREAD, *labels))
    assert classes_of(g) == classes


def test_it_scales_with_the_data():
    z = Noise(1).normal(10, 3)
    torch.testing.assert_close(OneCall(denoiser(scale=3.0), 8.0)(z), 3 * OneCall(denoiser(), 8.0)(z))


def test_where_the_net_answers_nothing_it_is_a_small_copy_of_z_about_the_mean():
    d = Preconditioned(perceptron(3, width=4, depth=1), MEAN, torch.tensor(SPREAD))
    z = Noise(2).normal(10, 3)
    torch.testing.assert_close(OneCall(d, 40.0)(z), MEAN + SPREAD / math.hypot(40, 1) * z)


@pytest.mark.parametrize("level", [0.0, -1.0, math.inf])
def test_a_level_that_is_none_is_refused(level):
    with pytest.raises(UsageError, match="give a positive one"):
        OneCall(denoiser(), level)
