"""Lifted points: the same distances in more numbers, a frame and noise of a seed, and their density."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pushforward.data.source import load
from pushforward.data.toys import plane as toy
from pushforward.data.toys.lift import lift
from pushforward.errors import UsageError


@pytest.fixture(scope="module")
def corners():
    return toy.load("gaussians4", n_train=4000, n_test=500)


def test_without_noise_distances_and_labels_stay_and_rank_too(corners):
    high = lift(corners, 12, noise=0.0, seed=3)
    assert high.event == (12,)
    low, lifted = corners.decode(corners.train[:50]), high.decode(high.train[:50])
    gaps = [np.linalg.norm(x[:, None] - x[None], axis=-1) for x in (low, lifted)]
    np.testing.assert_allclose(gaps[0], gaps[1], atol=1e-5)
    torch.testing.assert_close(torch.cdist(high.train[:50], high.train[:50]),
                               torch.cdist(corners.train[:50], corners.train[:50]), rtol=0, atol=0.02)  # fmt: skip
    assert np.linalg.matrix_rank(lifted - lifted[0], tol=1e-3) == 2
    assert torch.equal(high.train_labels, corners.train_labels)
    np.testing.assert_allclose(high.decode(high.encode(lifted)), lifted, atol=1e-5)


def test_the_density_is_that_of_the_lifted_points(corners):
    high = lift(corners, 5, noise=0.1, seed=3)
    x, drawn = high.decode(high.train), high.mixture.sample(4000, np.random.default_rng(0)).double().numpy()
    scale = drawn.std()
    np.testing.assert_allclose(x.mean(0), drawn.mean(0), atol=0.1 * scale)
    np.testing.assert_allclose(np.cov(x.T), np.cov(drawn.T), atol=0.1 * scale**2)
    own, other = (high.mixture.log_prob(torch.from_numpy(part)).mean() for part in (x, drawn))
    assert abs(float(own - other)) < 0.1


def test_seed_decides_frame_and_noise(corners):
    one, same, other = (lift(corners, 4, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(one.train, same.train)
    assert not torch.allclose(one.train, other.train)


def test_what_cannot_be_lifted_is_named(corners):
    with pytest.raises(UsageError, match="dim 1: toy:gaussians4 holds points of 2 numbers"):
        lift(corners, 1)
    with pytest.raises(UsageError, match="holds images of 64 numbers"):
        lift(load("digits"), 100)
