"""Recipes for a few images: classes are kept and shared out, the critics' losses and penalties are what they say."""

import numpy as np
import pytest
import torch

from pushforward.errors import UsageError
from pushforward.randomness import Noise
from pushforward.recipes.few import few_gan, few_particles, few_wgan_gp
from pushforward.recipes.parts.wiring import shares, spread

SMALL = {"width": 16, "batch": 30, "seed": 0}


@pytest.fixture
def halves(tmp_path):
    """Thirty grey images of two classes, ten bright on the left and twenty on the right, as an .npz file."""
    rng = np.random.default_rng(0)
    y = np.array([0] * 10 + [1] * 20)
    x = rng.integers(0, 60, (30, 8, 8)).astype(np.uint8)
    for image, label in zip(x, y):
        image[:, 4 * label : 4 * label + 4] += 180
    path = tmp_path / "halves.npz"
    np.savez(path, x_train=x, y_train=y, x_test=x[::2], y_test=y[::2])
    return {"data": f"{path}:x_train", "labels": "y_train"}


def brighter(x):
    """0 where the left half of an image is brighter, 1 where the right one is."""
    return (x[..., 4:].mean((1, 2, 3)) > x[..., :4].mean((1, 2, 3))).long()


def test_particles_keep_their_class_and_go_where_its_images_are(halves):
    experiment = few_particles(**halves, **SMALL | {"seed": 3}, particles=60, steps=40, step=1.5, record=4)
    method, labels = experiment.method, experiment.method.labels.clone()
    assert (brighter(method.particles) == labels).float().mean() < 0.8  # they start from all classes' common law
    for _ in zip(range(40), method.learn(experiment.batches)):
        pass
    assert torch.equal(method.labels, labels)
    assert labels.bincount().tolist() == [20, 40]
    assert torch.equal(brighter(method.particles), labels)
    asked = torch.tensor([1, 0, 0, 1] * 10)
    fresh = method.sample(40, Noise(1), asked)  # new points, carried along every fourth field
    assert (brighter(fresh) == asked).float().mean() > 0.9
    assert max(method.particles.abs().max(), fresh.abs().max()) <= 1


def test_the_law_of_a_class_is_that_of_its_images_alone():
    x, labels = 0.1 * torch.randn(9, 1, 3, 3), torch.tensor([0, 1, 1, 0, 1, 0, 0, 1, 1])
    wanted = torch.arange(40_000) % 2
    points = spread(x, Noise(0), 40_000, labels, wanted).flatten(1)
    for c in (0, 1):
        mine, flat = points[wanted == c], x[labels == c].flatten(1)
        covariance = torch.cov(flat.T, correction=0)
        assert ((mine.mean(0) - flat.mean(0)).abs() < 5 * (covariance.diagonal() / 20_000).sqrt()).all()
        assert (torch.cov(mine.T) - covariance).norm() < 0.05 * covariance.norm()


@pytest.mark.parametrize("n", [30, 31, 45, 7])
def test_classes_are_shared_out_as_in_the_data(n):
    labels = torch.randint(0, 4, (30,))
    counts, wanted = shares(labels, n).bincount(minlength=4), labels.bincount(minlength=4) * n / 30
    assert (counts - wanted).abs().max() < 1
    assert counts.sum() == n


def test_spread_has_the_mean_and_covariance_of_the_images_and_stays_in_their_span():
    x = 0.1 * torch.randn(6, 1, 4, 4) + 0.2
    points = spread(x, Noise(0), 40_000).flatten(1)
    flat = x.flatten(1)
    covariance = torch.cov(flat.T, correction=0)
    error = (covariance.diagonal() / 40_000).sqrt()
    assert ((points.mean(0) - flat.mean(0)).abs() < 5 * error).all()
    assert (torch.cov(points.T) - covariance).norm() < 0.03 * covariance.norm()
    outside = torch.linalg.svd(flat - flat.mean(0))[2][5:]
    assert ((points - flat.mean(0)) @ outside.T).abs().max() < 1e-5


def test_contrasts_are_those_of_w1_and_of_the_lipschitz_kl(halves):
    q, p = torch.randn(50), torch.randn(40) + 1
    gap, bound = q.mean() - p.mean(), q.mean() + (-p).exp().mean().log()
    torch.testing.assert_close(few_wgan_gp(**halves, **SMALL).method.flow.objective(q, p), gap)
    for recipe in (few_gan, few_particles):
        torch.testing.assert_close(recipe(**halves, **SMALL).method.flow.objective(q, p), bound)


@pytest.mark.parametrize(("recipe", "flat", "steep"), [(few_wgan_gp, 10.0, 90.0), (few_gan, 0.0, 90.0)])
def test_a_flat_critic_is_punished_on_two_sides_only_and_weights_are_relative_to_the_slope(halves, recipe, flat, steep):
    (penalty,) = recipe(**halves, **SMALL, slope=0.5, penalty=10.0).method.flow.penalties
    q, p = torch.randn(2, 20, 1, 8, 8)
    for slope, wanted in ((0.0, flat), (2.0, steep)):  # 10 (2 - 1/2)^2 / (1/2)^2 = 90
        found = penalty(lambda x, slope=slope: slope * x[:, 0, 0, 0], q, p)
        torch.testing.assert_close(found, torch.tensor(wanted), rtol=1e-4, atol=1e-4)


def test_wgan_gp_updates_its_critic_five_times_a_step_and_all_critics_are_of_one_size(halves):
    sizes, updates = set(), []
    for recipe in (few_wgan_gp, few_gan, few_particles):
        experiment = recipe(**halves, **SMALL)
        next(experiment.method.learn(experiment.batches))
        critic = experiment.method.flow.critic
        sizes.add(tuple(tuple(parameter.shape) for parameter in critic.net.parameters()))
        updates.append(critic.updates)
    assert len(sizes) == 1
    assert updates == [5, 1, 5 * (20 + 1)]


def test_a_slope_of_zero_and_a_source_by_class_without_classes_are_refused(halves):
    with pytest.raises(UsageError, match="--source class: particles without classes"):
        few_particles(**halves, conditional=False, source="class")
    with pytest.raises(UsageError, match="--slope 0: give a positive number"):
        few_particles(**halves, slope=0.0)
