"""Likelihood's two paradoxes: bounds, limits and closed forms; the gap between train and held-out data."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from pushforward.errors import DataError, UsageError
from pushforward.metrics.likelihood.density import bits_per_dim, dilution_loss, likelihood_gap, parzen_log_density

DIM, N = 64, 500


def normal(n, dim, seed):
    return torch.randn(n, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def log_normal(x, sigma=1.0):
    return -0.5 * (x / sigma).square().sum(1) - x.shape[1] * math.log(sigma * math.sqrt(2 * math.pi))


def test_parzen_density_equals_its_definition():
    x, centres = normal(7, 3, 0), normal(11, 3, 1)
    each = [stats.multivariate_normal(c.numpy(), 0.3 * np.eye(3)).pdf(x.numpy()) for c in centres]
    torch.testing.assert_close(parzen_log_density(x, centres, 0.3), torch.from_numpy(np.log(np.mean(each, 0))))


def test_parzen_density_integrates_to_one():
    x = torch.linspace(-12, 12, 4801, dtype=torch.float64)[:, None]
    density = parzen_log_density(x, normal(9, 1, 0), 0.05).exp()
    assert float(density.sum()) * 24 / 4800 == pytest.approx(1, abs=1e-10)


def test_parzen_density_in_blocks_equals_the_dense_one_and_says_how_far_it_is():
    x, centres, done = normal(50, 4, 0), normal(30, 4, 1), []
    blocked = parzen_log_density(x, centres, 0.2, budget=4 * 8 * 30 * 7, tick=done.append)
    torch.testing.assert_close(blocked, parzen_log_density(x, centres, 0.2), rtol=1e-12, atol=1e-12)
    assert done == sorted(done)
    assert (len(done), done[-1]) == (8, 1.0)


@pytest.mark.parametrize("variance", [1.0, 0.1, 0.001])
def test_parzen_density_is_set_by_the_nearest_centre_up_to_log_n(variance):
    x, centres = normal(40, 8, 0), normal(60, 8, 1)
    nearest = torch.cdist(x, centres).min(1).values.square()
    top = -nearest / (2 * variance) - 4 * math.log(2 * math.pi * variance)
    value = parzen_log_density(x, centres, variance)
    assert (value <= top + 1e-9).all()
    assert (value >= top - math.log(60) - 1e-9).all()


@pytest.mark.parametrize(
    ("variance", "train", "held_out"), [(1, -65, -102), (0.1, 9, -370), (0.01, 82, -3707), (0.001, 156, -37739)]
)
def test_sharper_copies_gain_on_training_data_and_lose_without_bound_on_new_data(variance, train, held_out):
    seen, new = normal(N, DIM, 0), normal(N, DIM, 1)
    on_seen = float(parzen_log_density(seen, seen, variance).mean())
    # 500 normal points in 64 dimensions lie so far apart that only its own Gaussian reaches each of them.
    assert on_seen == pytest.approx(-32 * math.log(2 * math.pi * variance) - math.log(N), abs=1e-3)
    assert on_seen == pytest.approx(train, abs=0.5)
    assert float(parzen_log_density(new, seen, variance).mean()) == pytest.approx(held_out, rel=0.02)
    truth = log_normal(new)
    assert float(truth.mean()) == pytest.approx(-32 * (1 + math.log(2 * math.pi)), abs=4 * math.sqrt(32 / N))
    assert float(truth.mean()) > float(parzen_log_density(new, seen, variance).mean()) + 10


@pytest.mark.parametrize("share", [0.01, 0.3, 1.0])
@pytest.mark.parametrize("spread", [0.5, 1.0, 3.0])
def test_dilution_costs_at_most_minus_log_of_the_share(share, spread):
    x = normal(400, 3, 0) * 2
    loss = dilution_loss(log_normal(x), log_normal(x, spread), share)
    assert (loss <= -math.log(share) + 1e-12).all()
    mixed = share * log_normal(x).exp() + (1 - share) * log_normal(x, spread).exp()
    torch.testing.assert_close(loss, log_normal(x) - mixed.log(), rtol=1e-9, atol=1e-12)


def test_dilution_by_far_noise_costs_log_100_and_fewer_bits_the_more_dimensions():
    losses = {}
    for dim in (DIM, 3072):
        x = normal(200, dim, 0)
        loss = dilution_loss(log_normal(x), log_normal(x - 100 / dim**0.5))
        torch.testing.assert_close(loss, torch.full_like(loss, 4.605170185988092), rtol=0, atol=1e-12)
        losses[dim] = bits_per_dim(float(loss.mean()), dim)
    assert losses[DIM] == pytest.approx(0.10381, abs=1e-5)
    assert losses[3072] == pytest.approx(math.log2(100) / 3072, rel=1e-9)


def test_dilution_neither_gains_nor_loses_where_noise_and_data_agree():
    x = normal(50, 5, 0)
    assert dilution_loss(log_normal(x), log_normal(x)).abs().max() < 1e-12
    assert dilution_loss(log_normal(x), log_normal(x, 3.0), share=1.0).abs().max() == 0


def test_gap_of_a_model_that_ignores_the_sample_is_zero_within_its_error():
    seen, new = log_normal(normal(400, 8, 0)), log_normal(normal(300, 8, 1))
    measure = likelihood_gap(seen, new)
    assert abs(measure.value) < 4 * measure.se
    assert measure.se == pytest.approx(math.sqrt(4 / 400 + 4 / 300), rel=0.2)  # half a chi-square of 8 has variance 4
    assert measure.value == pytest.approx(measure.protocol["train"] - measure.protocol["held_out"])


def test_gap_rejects_equal_laws_as_often_as_it_says():
    pairs = log_normal(normal(400 * 80, 8, 0)).reshape(400, 2, 40)
    rejected = sum(likelihood_gap(seen, new).p <= 0.05 for seen, new in pairs)
    assert abs(rejected / 400 - 0.05) < 3 * math.sqrt(0.05 * 0.95 / 400)


def test_gap_of_a_copying_model_is_large_and_one_sided():
    seen, new = normal(100, 8, 0), normal(100, 8, 1)
    on_seen, on_new = (parzen_log_density(x, seen, 0.01) for x in (seen, new))
    measure = likelihood_gap(on_seen, on_new)
    assert measure.value > 100
    assert measure.p < 1e-10
    assert likelihood_gap(on_new, on_seen).p > 1 - 1e-10


def test_bad_input_is_refused_with_a_remedy():
    x = normal(5, 2, 0)
    with pytest.raises(UsageError, match="variance is 0"):
        parzen_log_density(x, x, 0.0)
    with pytest.raises(DataError, match="centres"):
        parzen_log_density(x, normal(5, 3, 0), 1.0)
    with pytest.raises(DataError, match="NaN"):
        parzen_log_density(x, x * math.nan, 1.0)
    with pytest.raises(UsageError, match="share is 0"):
        dilution_loss(x[:, 0], x[:, 0], share=0.0)
    with pytest.raises(DataError, match="same points"):
        dilution_loss(x[:, 0], x[:4, 0])
    with pytest.raises(DataError, match="one log-likelihood a sample"):
        likelihood_gap(x, x)
    with pytest.raises(DataError, match="held_out has 1 sample"):
        likelihood_gap(x[:, 0], x[:1, 0])
