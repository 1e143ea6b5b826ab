"""Feature spaces without training: units, isometries, variances, and identities that follow the reference."""

import numpy as np
import pytest
import torch
from torch import nn

from pushforward.errors import DataError
from pushforward.metrics import RAW, Features, digits8, frechet, moments, of_module
from pushforward.metrics.core.features import blocked
from pushforward.metrics.networks.baselines import fit_scale, pca, pixels, random_features, scaled, whitened
from pushforward.metrics.quality.frechet import frechet_floor


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def mixed(n, seed=0):
    """Correlated columns of very different spread, far from zero."""
    return normal(n, 5, seed=seed) @ normal(5, 5, seed=99) * torch.tensor([1e-3, 1, 10, 1e4, 3]) + 50


def blobs(n, seed, shift=0.0):
    """16x16 images in [-1, 1] of a bright disc whose centre and size vary."""
    rng = np.random.default_rng(seed)
    centre, size = rng.uniform(6, 9, (n, 2, 1, 1)) + shift, rng.uniform(2, 4, (n, 1, 1))
    rows, columns = np.mgrid[:16, :16]
    distance = np.hypot(rows - centre[:, 0], columns - centre[:, 1])
    return torch.from_numpy(np.tanh(size - distance)[:, None]).float()


def distance(space, q, p):
    return frechet(moments(space(q)), moments(space(p)))


def test_pixels_are_the_raw_values_under_a_name_of_their_own():
    x = normal(4, 3, 2, 2)
    assert pixels(x).equal(RAW(x))
    assert pixels.id == "pixels"


def test_scaled_columns_have_the_quartiles_of_the_normal_law_on_the_reference():
    x = mixed(201)
    low, high = scaled(x)(x).quantile(torch.tensor([0.25, 0.75], dtype=torch.float64), 0)
    torch.testing.assert_close(high - low, torch.full((5,), 1.3489795, dtype=torch.float64), rtol=1e-6, atol=0)


def test_random_features_of_a_table_do_not_depend_on_the_units_of_its_columns():
    q, p, units = mixed(100, 1), mixed(120, 2), torch.tensor([1e3, 0.2, 7, 1e-4, 60])
    one, other = (random_features((5,), 16, reference=x, features=scaled(x)) for x in (p, p * units))
    torch.testing.assert_close(one(q), other(q * units), rtol=1e-3, atol=1e-3)
    assert one.id != other.id != random_features((5,), 16, reference=p).id


def test_scaled_distances_do_not_depend_on_the_units_of_columns():
    q, p, units = mixed(100, 1), mixed(120, 2), torch.tensor([1e3, 0.2, 7, 1e-4, 60])
    assert distance(scaled(p * units), q * units, p * units) == pytest.approx(distance(scaled(p), q, p), rel=1e-5)
    assert distance(RAW, q * units, p * units) != pytest.approx(distance(RAW, q, p), rel=0.5)


def test_constant_columns_keep_their_units_and_are_named():
    x = mixed(50)
    x[:, 1], x[:, 3] = 0.1, 0.0
    assert fit_scale(x).constant == (1, 3)
    other = x + torch.tensor([0, 2.5, 0, -1, 0])
    torch.testing.assert_close(scaled(x)(other)[:, [1, 3]], other[:, [1, 3]], rtol=0, atol=0)


@pytest.mark.parametrize(("n", "d"), [(60, 8), (12, 30)], ids=["covariance", "singular values"])
def test_principal_components_are_those_of_the_singular_value_decomposition(n, d):
    x = normal(n, d, seed=1) @ normal(d, d, seed=2) + 3
    centred = (x - x.mean(0)).numpy()
    _, roots, rows = np.linalg.svd(centred, full_matrices=False)
    found = pca(x, 5)(x).numpy()
    assert np.abs(found) == pytest.approx(np.abs(centred @ rows[:5].T), rel=1e-4, abs=1e-4)
    assert found.var(0, ddof=1) == pytest.approx(roots[:5] ** 2 / (n - 1), rel=1e-5)
    assert found.mean(0) == pytest.approx(0, abs=1e-5)


def test_all_components_keep_distances_between_samples():
    x, other = normal(40, 6), normal(10, 6, seed=1)
    torch.testing.assert_close(torch.cdist(pca(x, 6)(other), pca(x, 6)(x)), torch.cdist(other, x), rtol=1e-5, atol=1e-6)


def test_whitened_components_have_the_identity_as_covariance():
    x = mixed(300)[:, [1, 2, 4]]
    found = moments(pca(x, 3, whiten=True)(x)).covariance
    torch.testing.assert_close(found, torch.eye(3, dtype=torch.float64), rtol=0, atol=1e-4)


def test_components_of_rotated_data_are_the_same_up_to_sign():
    x, turn = normal(80, 4) * torch.tensor([4.0, 3, 2, 1]), torch.linalg.qr(normal(4, 4, seed=5)).Q
    torch.testing.assert_close(pca(x @ turn, 2)(x @ turn).abs(), pca(x, 2)(x).abs(), rtol=1e-4, atol=1e-5)


def test_components_that_do_not_exist_are_refused():
    with pytest.raises(DataError, match=r"k = 5 on 5 samples.*1 <= k <= 4"):
        pca(normal(5, 9), 5)
    with pytest.raises(DataError, match=r"k <= 3"):
        pca(normal(20, 3), 0)
    flat = normal(20, 2) @ normal(2, 6, seed=1)
    assert pca(flat, 3)(flat).shape == (20, 3)
    with pytest.raises(DataError, match="along 2 directions only; give k <= 2"):
        pca(flat, 3, whiten=True)


SPACES = {"conv": ((1, 16, 16), blobs(300, 0)), "mlp": ((5,), mixed(300))}


@pytest.mark.parametrize(("event", "reference"), SPACES.values(), ids=list(SPACES))
def test_random_features_are_seeded_and_have_unit_spread_on_the_reference(event, reference):
    state = torch.get_rng_state()
    first, again, other = (random_features(event, 24, seed=seed, reference=reference) for seed in (0, 0, 1))
    assert torch.get_rng_state().equal(state)
    values = first(reference)
    assert values.equal(again(reference))
    assert first.id == again.id != other.id
    assert first.id.startswith(f"random-{'mlp' if len(event) == 1 else 'conv'}-")
    torch.testing.assert_close(values.std(0), torch.ones(24, dtype=torch.float64), rtol=1e-4, atol=0)


@pytest.mark.parametrize("side", [8, 32, 128])
def test_signals_of_random_features_keep_their_size_with_depth_before_they_are_scaled(side):
    x = torch.rand(40, 1, side, side) * 2 - 1
    space = random_features((1, side, side), 64, reference=x)
    size = space.function.features(x).square().mean().sqrt()
    assert 0.2 < float(size) < 2  # that of the input is 0.58


@pytest.mark.parametrize("seed", range(3))
def test_random_features_see_what_an_untrained_network_of_the_usual_start_does_not(seed):
    p, shifted, noise = blobs(400, 0), blobs(400, 1, shift=1.0), torch.rand(400, 1, 16, 16) * 2 - 1
    torch.manual_seed(seed)
    usual = [nn.Conv2d(1, 16, 3, 2, 1), nn.ReLU(), nn.Conv2d(16, 32, 3, 2, 1), nn.ReLU(), nn.Conv2d(32, 64, 3, 2, 1)]
    vanishing = of_module("usual", nn.Sequential(*usual, nn.ReLU(), nn.Flatten(), nn.Linear(256, 24)), 24)
    assert distance(vanishing, shifted, p) < 0.05  # the trap: next to nothing, whatever is compared
    assert distance(vanishing, noise, p) < 0.05
    space = random_features((1, 16, 16), 24, seed=seed, reference=p)
    floor = frechet_floor(moments(space(p)).covariance, 400, 400)
    assert distance(space, blobs(400, 2), p) < 2 * floor
    assert distance(space, shifted, p) > 5 * floor
    assert distance(space, noise, p) > 5 * floor
    repaired = whitened(vanishing, p)
    assert distance(repaired, shifted, p) > 5 * frechet_floor(moments(repaired(p)).covariance, 400, 400)


def test_whitening_divides_each_feature_by_its_spread_and_keeps_the_classifier():
    reference, x = blobs(100, 0), blobs(20, 1)
    space = whitened(digits8(), reference)
    torch.testing.assert_close(space(x), digits8()(x) / digits8()(reference).std(0), rtol=1e-5, atol=1e-8)
    assert space.id.startswith("whitened-digits8-")
    assert blocked(space.classify, x).equal(blocked(digits8().classify, x))


def test_unlike_spaces_have_unlike_identities_and_like_ones_like():
    x, y = blobs(60, 0), blobs(60, 1)
    make = {
        "raw": lambda r: RAW,
        "pixels": lambda r: pixels,
        "scaled": scaled,
        "pca 3": lambda r: pca(r, 3),
        "pca 4": lambda r: pca(r, 4),
        "pca 3 whitened": lambda r: pca(r, 3, whiten=True),
        "pca 3 of digits8": lambda r: pca(r, 3, features=digits8()),
        "whitened digits8": lambda r: whitened(digits8(), r),
        "random 8": lambda r: random_features((1, 16, 16), 8, reference=r),
        "random 9": lambda r: random_features((1, 16, 16), 9, reference=r),
    }
    ids = {name: function(x).id for name, function in make.items()}
    assert len(set(ids.values())) == len(make)
    assert ids == {name: function(x.clone()).id for name, function in make.items()}
    fitted = set(make) - {"raw", "pixels"}
    assert all(make[name](y).id != ids[name] for name in fitted)


def test_order_of_the_reference_does_not_change_the_identity():
    x = blobs(300, 0)
    x[:, :, 0] = 1 / 3  # a constant row: its mean and its part in every axis are nothing but rounding
    flipped = x.flip(0)
    assert scaled(flipped).id == scaled(x).id
    assert pca(flipped, 4).id == pca(x, 4).id
    centred = x - x.double().mean(0)
    assert pca(centred.flip(0), 4, whiten=True).id == pca(centred, 4, whiten=True).id


def test_references_that_cannot_be_fitted_are_refused():
    with pytest.raises(DataError, match=r"event shape \(1, 16, 16\), wanted \(1, 8, 8\)"):
        random_features((1, 8, 8), 4, reference=blobs(5, 0))
    with pytest.raises(DataError, match="at least 2"):
        scaled(normal(1, 3))
    with pytest.raises(DataError, match="NaN"):
        whitened(Features("mine", "", 3, lambda x: x), normal(4, 3) / 0)
