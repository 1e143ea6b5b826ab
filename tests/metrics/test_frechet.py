"""Fréchet distance: closed forms, invariances, exact merging, floor and error against Monte Carlo."""

import math

import numpy as np
import pytest
import torch

from pushforward.errors import DataError
from pushforward.metrics.frechet import Moments, frechet, frechet_distance, frechet_floor, frechet_se, moments


def normal(n, dim, seed, scale=1.0, shift=0.0):
    draw = torch.randn(n, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return draw * scale + shift


def exact(mean, covariance):
    covariance = torch.as_tensor(covariance, dtype=torch.float64)
    return Moments(101, torch.as_tensor(mean, dtype=torch.float64), covariance * 100)


def rotation(dim, seed=0):
    return torch.linalg.qr(normal(dim, dim, seed))[0]


def test_diagonal_gaussians_have_the_closed_form():
    a, b = torch.tensor([1.0, 4.0, 0.25]), torch.tensor([9.0, 1.0, 0.25])
    distance = frechet(exact([0.0, 1.0, 2.0], a.diag()), exact([1.0, 1.0, 0.0], b.diag()))
    assert distance == pytest.approx(5 + (1 - 3) ** 2 + (2 - 1) ** 2 + 0, rel=1e-12)


def test_isotropic_golden_value():
    # |m|^2 = 3 (10 - 1)^2 and 3 (sqrt 5 - sqrt 3)^2.
    distance = frechet(exact([1.0] * 3, 5 * np.eye(3)), exact([10.0] * 3, 3 * np.eye(3)))
    assert distance == pytest.approx(243.7621, abs=5e-5)


def test_gaussians_that_do_not_commute_agree_with_the_eigenvalues_of_the_product():
    a, b = torch.cov(normal(40, 5, 0, torch.arange(1.0, 6)).T), torch.cov((normal(40, 5, 1) @ rotation(5)).T)
    cross = np.sqrt(np.linalg.eigvals((a @ b).numpy()).real).sum()
    wanted = float(a.trace() + b.trace()) - 2 * cross
    assert frechet(exact([0.0] * 5, a), exact([0.0] * 5, b)) == pytest.approx(wanted, rel=1e-9)


def test_distance_to_itself_is_zero_even_where_the_covariance_is_singular():
    for x in (normal(200, 16, 0, 3.0, 100.0), normal(10, 16, 1)):
        assert frechet(moments(x), moments(x)) < 1e-6


def test_distance_is_symmetric_and_invariant_under_rotation_and_shift():
    x, y, turn = normal(80, 6, 0, torch.arange(1.0, 7)), normal(90, 6, 1, 0.5, 1.0), rotation(6)
    distance = frechet(moments(x), moments(y))
    assert frechet(moments(y), moments(x)) == pytest.approx(distance, rel=1e-10)
    assert frechet(moments(x @ turn + 7), moments(y @ turn + 7)) == pytest.approx(distance, rel=1e-10)


def test_merged_moments_are_the_pooled_moments_far_from_the_origin():
    x = normal(700, 8, 0, 0.5, 1e3)
    parts = x.split([1, 13, 286, 400])
    merged, pooled = moments(parts), moments(x)
    assert merged.n == 700
    torch.testing.assert_close(merged.mean, x.mean(0), rtol=1e-12, atol=0)
    torch.testing.assert_close(merged.scatter, pooled.scatter, rtol=1e-12, atol=1e-12 * pooled.scatter.max().item())
    np.testing.assert_allclose(pooled.covariance.numpy(), np.cov(x.numpy().T), rtol=1e-9, atol=1e-12)
    left_first = (moments(parts[0]) + moments(parts[1])) + (moments(parts[2]) + moments(parts[3]))
    torch.testing.assert_close(left_first.scatter, pooled.scatter, rtol=1e-11, atol=1e-10)


def test_floor_of_the_identity_is_the_short_formula():
    assert frechet_floor(torch.eye(16), 500, 500) == pytest.approx((16**2 + 5 * 16) / 1000, rel=1e-12)
    assert frechet_floor(torch.zeros(3, 3), 50, 50) == 0.0


@pytest.mark.parametrize(("n", "m"), [(400, 400), (300, 900)])
def test_floor_is_the_mean_distance_of_two_samples_of_one_law(n, m):
    scale, turn = torch.linspace(0.2, 2.0, 12, dtype=torch.float64), rotation(12)
    values = [
        frechet(moments(normal(n, 12, 2 * i, scale) @ turn), moments(normal(m, 12, 2 * i + 1, scale) @ turn))
        for i in range(60)
    ]
    error = np.std(values, ddof=1) / len(values) ** 0.5
    assert abs(np.mean(values) - frechet_floor(turn.T @ (scale**2).diag() @ turn, n, m)) < 3.5 * error


def test_standard_error_is_the_spread_over_draws():
    draws = [(normal(400, 4, 2 * i, 1.5, 0.6), normal(700, 4, 2 * i + 1)) for i in range(200)]
    spread = np.std([frechet(moments(x), moments(y)) for x, y in draws], ddof=1)
    claimed = np.mean([frechet_se(x, y) for x, y in draws[:20]])
    assert claimed == pytest.approx(spread, rel=0.17)  # three standard deviations of a spread from 200 draws


def test_measured_floor_uses_as_many_train_rows_as_there_are_fakes():
    fake, real, train = normal(300, 4, 0, 1.0, 2.0), normal(400, 4, 1), normal(3000, 4, 2)
    measured = frechet_distance(fake, real, train=train, repeats=20)
    closed = frechet_distance(fake, real)
    assert measured.protocol["floor"] == "train 300 vs real 400, mean of 20"
    assert "closed form" in str(closed.protocol["floor"])
    assert measured.value == closed.value == pytest.approx(16, rel=0.15)
    assert closed.floor == pytest.approx(frechet_floor(torch.eye(4), 300, 400), rel=0.2)
    assert measured.floor == pytest.approx(closed.floor, rel=1.0)
    short = frechet_distance(fake, real, train=train[:200])
    assert "closed form" in str(short.protocol["floor"])


def test_too_few_rows_are_refused_with_the_remedy_or_noted():
    fake, real = normal(15, 8, 0), normal(100, 8, 1)
    with pytest.raises(DataError, match=r"fake has 15 samples for 8 features: give at least 16"):
        frechet_distance(fake, real)
    assert "15 samples for 8 features" in str(frechet_distance(fake, real, small=True).protocol["note"])
    assert "note" not in frechet_distance(normal(16, 8, 0), real).protocol
    with pytest.raises(DataError, match="no rows"):
        moments([])
    assert math.isfinite(frechet_distance(fake, real, small=True).value)


def test_distance_over_several_draws_is_the_mean_over_them():
    generator = torch.Generator().manual_seed(3)
    fake = 1.2 * torch.randn(300, 4, generator=generator)
    real = torch.randn(100, 4, generator=generator)
    single = [frechet_distance(part, real).value for part in fake.split(100)]
    together = frechet_distance(fake, real, draws=3)
    assert together.value == pytest.approx(sum(single) / 3, rel=1e-12)
    assert together.n_fake == 100
    assert max(single) - min(single) > 1e-3
