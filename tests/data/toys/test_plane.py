"""Laws of the toys and of mixtures with a known density."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from pushforward.data import Mixture
from pushforward.data.toys import plane as toy
from pushforward.errors import UsageError

MIXTURES = [name for name in toy.NAMES if isinstance(getattr(toy, name), Mixture)]


@pytest.mark.parametrize("name", toy.NAMES)
def test_a_toy_is_a_seeded_function_of_n_and_a_generator(name):
    draw = getattr(toy, name)
    x = draw(50, np.random.default_rng(1))
    assert x.shape == (50, 3 if name.endswith("3") else 2)
    assert x.dtype == torch.float32
    assert torch.equal(x, draw(50, np.random.default_rng(1)))
    assert not torch.equal(x, draw(50, np.random.default_rng(2)))
    y = draw(50, torch.Generator().manual_seed(1))
    assert torch.equal(y, draw(50, torch.Generator().manual_seed(1)))


@pytest.mark.parametrize("name", MIXTURES)
def test_log_prob_is_the_logarithm_of_the_weighted_normal_densities(name):
    mixture = getattr(toy, name)
    x = mixture.sample(200, np.random.default_rng(0)).double().numpy()
    parts = zip(mixture.weights.numpy(), mixture.means.numpy(), mixture.covariances.numpy(), strict=True)
    density = sum(w * stats.multivariate_normal(m, c).pdf(x) for w, m, c in parts)
    np.testing.assert_allclose(mixture.log_prob(x).numpy(), np.log(density), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", ["gaussian", "gaussians2", "mixture2", "mixture_skewed"])
def test_a_mixtures_density_integrates_to_one(name):
    axis = torch.linspace(-8, 8, 641, dtype=torch.float64)
    grid = torch.cartesian_prod(axis, axis)
    mass = getattr(toy, name).log_prob(grid).exp().sum() * (axis[1] - axis[0]) ** 2
    assert abs(float(mass) - 1) < 1e-9


@pytest.mark.parametrize("name", MIXTURES)
def test_samples_have_the_mixtures_mean_covariance_and_weights(name):
    mixture, n = getattr(toy, name), 40_000
    x, component = mixture.draw(n, np.random.default_rng(3))
    mean = mixture.weights @ mixture.means
    offset = mixture.means - mean
    covariance = (mixture.weights[:, None, None] * (mixture.covariances + offset[:, :, None] * offset[:, None])).sum(0)
    spread = covariance.diagonal().max().sqrt()
    assert (x.double().mean(0) - mean).abs().max() < 5 * spread / math.sqrt(n)
    assert (x.double().T.cov() - covariance).abs().max() < 10 * spread**2 / math.sqrt(n)
    share = component.bincount(minlength=len(mixture.weights)).double() / n
    assert (share - mixture.weights).abs().max() < 0.02


def test_the_gradient_of_a_gaussians_log_prob_is_its_score():
    x = torch.randn(20, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64, requires_grad=True)
    (score,) = torch.autograd.grad(toy.gaussian.log_prob(x).sum(), x)
    expected = -(x.detach() - toy.gaussian.means) @ torch.linalg.inv(toy.gaussian.covariances[0])
    torch.testing.assert_close(score, expected)


def test_ring_and_grid_have_the_published_modes():
    assert torch.allclose(toy.ring8.means.norm(dim=1), torch.ones(8, dtype=torch.float64))
    assert toy.ring8.sigma == pytest.approx(0.01)
    assert sorted({tuple(m) for m in toy.grid25.means.tolist()}) == [
        (x, y) for x in (-4, -2, 0, 2, 4) for y in (-4, -2, 0, 2, 4)
    ]
    assert toy.grid25.sigma == pytest.approx(0.05)


def test_the_turned_grid_is_the_grid_seen_from_another_side():
    assert toy.grid25_turned.sigma == toy.grid25.sigma
    torch.testing.assert_close(torch.pdist(toy.grid25_turned.means), torch.pdist(toy.grid25.means))
    first, last = toy.grid25_turned.means[0], toy.grid25_turned.means[4]  # along the grid's second axis
    along = (last - first) / 8
    assert along.tolist() == pytest.approx([-math.sin(math.pi / 6), math.cos(math.pi / 6)])


def test_a_perfect_ring_puts_98_9_percent_within_three_standard_deviations():
    x = toy.ring8.sample(100_000, np.random.default_rng(0)).double()
    near = torch.cdist(x, toy.ring8.means).amin(1) < 3 * toy.ring8.sigma
    assert float(near.double().mean()) == pytest.approx(1 - math.exp(-4.5), abs=0.002)


def test_the_checkerboard_fills_its_dark_squares_and_no_other():
    square = ((toy.checkerboard(20_000, np.random.default_rng(0)) + 4) / 2).floor().long()
    assert ((square.sum(1) % 2) == 0).all()
    assert len(square.unique(dim=0)) == 8


@pytest.mark.parametrize("name", toy.NAMES)
def test_a_loaded_toy_is_centred_and_scaled_by_one_number(name):
    data = toy.load(name, n_train=500, n_test=50)
    assert data.event == (3 if name.endswith("3") else 2,)
    assert (len(data.train), len(data.test)) == (data.split.n_train, data.split.n_test) == (500, 50)
    assert data.train.mean(0).abs().max() < 1e-5
    assert float(data.train.var(0, correction=0).mean()) == pytest.approx(1, abs=1e-4)
    back = data.decode(data.train)
    assert back.dtype == np.float64
    torch.testing.assert_close(data.encode(back), data.train)
    ratio = np.linalg.norm(back[1:] - back[:1], axis=1) / (data.train[1:] - data.train[:1]).norm(dim=1).numpy()
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-3)
    assert data.one_unit  # which is what that says of its columns


def test_a_loaded_mixture_keeps_its_density_in_data_units_and_its_components():
    data = toy.load("ring-8", n_train=500, n_test=50)
    assert data.mixture is toy.ring8
    nearest = torch.cdist(torch.from_numpy(data.decode(data.train)), toy.ring8.means).argmin(1)
    assert torch.equal(nearest, data.train_labels)
    assert data.n_classes == 8


@pytest.mark.parametrize("name", ["swiss_roll", "swiss-roll", "Swiss-Roll", "swissroll"])
def test_a_toys_name_may_be_spelled_with_a_hyphen(name):
    assert toy.load(name, n_train=20, n_test=5).name == "toy:swiss_roll"


def test_equal_seeds_give_equal_data_and_different_seeds_do_not():
    one, same, other = (toy.load("moons", seed=s, n_train=100, n_test=10) for s in (1, 1, 2))
    assert torch.equal(one.train, same.train)
    assert one.split == same.split
    assert one.split.sha256 != other.split.sha256


def test_an_unknown_toy_is_refused_with_a_suggestion():
    with pytest.raises(UsageError, match="did you mean toy:checkerboard"):
        toy.load("chequerboard")


@pytest.mark.parametrize("more", [{}, {"sigma": 1.0, "covariances": [[[1.0]]]}])
def test_a_mixture_needs_sigma_or_covariances(more):
    with pytest.raises(ValueError, match="one of the two"):
        Mixture.of([[0.0]], **more)


def test_a_mixture_of_mismatched_shapes_is_refused():
    with pytest.raises(ValueError, match="do not match"):
        Mixture.of([[0.0, 0.0]], covariances=[[[1.0]]])


def test_the_carpet_has_its_holes_at_every_level_and_is_even_elsewhere():
    x = toy.sierpinski(100_000, np.random.default_rng(0)).double() / 10
    for level in range(1, 5):
        cell = (x * 3**level).floor().long()
        assert not bool(((cell % 3) == 1).all(1).any())
        counts = torch.bincount(cell[:, 0] * 3**level + cell[:, 1], minlength=9**level)
        assert int((counts > 0).sum()) == 8**level
    shares = torch.bincount(((x * 3).floor() @ torch.tensor([3.0, 1.0], dtype=torch.float64)).long(), minlength=9)
    assert float((shares[shares > 0] / 12_500 - 1).abs().max()) < 0.06
    flat = toy.sierpinski3(100, np.random.default_rng(1))
    assert torch.equal(flat[:, 2], torch.zeros(100))


def test_the_rolled_sheet_has_a_radius_equal_to_its_angle():
    x, _, z = toy.swiss_roll3(1000, np.random.default_rng(0)).double().T
    radius = (x.square() + z.square()).sqrt()
    assert 1.5 * math.pi - 1e-4 < float(radius.min()) < float(radius.max()) < 4.5 * math.pi + 1e-4
    torch.testing.assert_close(x, radius * radius.cos(), atol=1e-4, rtol=0)
