"""Counts: probabilities sum to one, tend to Poisson's, hold in single precision, and samples have them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor, nn

from pushforward.densities.likelihoods.counts import NegativeBinomial, SharedDispersion, log_rates
from pushforward.errors import DataError, UsageError
from pushforward.randomness import Noise

LAW = NegativeBinomial()


def theta(mean: float, inverse: float, dtype: torch.dtype = torch.float64) -> Tensor:
    """(1, 2, 1)."""
    return torch.tensor([[[math.log(mean)], [math.log(inverse)]]], dtype=dtype)


def each(x: Tensor, at: Tensor) -> Tensor:
    return LAW.log_prob(x[:, None], at.expand(len(x), -1, -1))


@pytest.mark.parametrize("mean", [1e-8, 0.3, 20.0])
@pytest.mark.parametrize("inverse", [0.05, 1.0, 99.0, 101.0, 1e6])
def test_probabilities_sum_to_one_and_have_mean_and_variance(mean, inverse):
    x = torch.arange(120_000).double()
    p = each(x, theta(mean, inverse)).exp()
    assert float(p.sum()) == pytest.approx(1, abs=1e-10)
    assert float(p @ x) == pytest.approx(mean, rel=1e-8)
    assert float(p @ (x - mean).square()) == pytest.approx(mean + mean**2 / inverse, rel=1e-7)


def test_as_the_dispersion_goes_the_law_is_that_of_poisson():
    x = torch.cat([torch.arange(60), torch.tensor([999_000, 10**6, 1_001_500])]).double()
    for mean in (1e-8, 3.0, 1e6):
        wanted = torch.from_numpy(stats.poisson.logpmf(x.numpy(), mean))
        for inverse in (1e22, 1e30, 1e60):  # the correction is of size x^2 / r
            torch.testing.assert_close(each(x, theta(mean, inverse)), wanted, rtol=1e-12, atol=1e-6)
    excess = (each(x[:60], theta(3.0, 1e8)) - each(x[:60], theta(3.0, 1e60))) * 1e8
    wanted = ((x[:60] - 3).square() - x[:60]) / 2  # its first order in 1/r, whose sign is that of more spread
    torch.testing.assert_close(excess, wanted, rtol=1e-4, atol=1e-3)


def test_the_series_joins_what_it_continues():
    x = torch.tensor([0.0, 1.0, 50.0, 1e3, 1e6]).double()
    low, high = (each(x, theta(30.0, r)) for r in (100 * (1 - 1e-14), 100 * (1 + 1e-14)))
    torch.testing.assert_close(low, high, rtol=1e-12, atol=1e-10)


@pytest.mark.parametrize("mean", [1e-8, 1e-3, 1.0, 1e3, 1e6])
@pytest.mark.parametrize("inverse", [1e-3, 1.0, 50.0, 1e4, 1e9])
def test_single_precision_is_double_precision_and_has_slopes(mean, inverse):
    deviation = math.sqrt(mean + mean**2 / inverse)
    x = torch.tensor([0.0, 1.0, mean, mean + deviation, mean + 3 * deviation, 1e6]).round()
    single = theta(mean, inverse, torch.float32).expand(6, 2, 1).clone().requires_grad_()
    double = single.detach().double().requires_grad_()  # the same law, not that before rounding
    found, wanted = LAW.log_prob(x[:, None], single), LAW.log_prob(x[:, None].double(), double)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), wanted, rtol=1e-6, atol=1e-12)
    found.sum().backward()
    assert single.grad is not None
    slope = (x - mean) / (1 + mean / inverse)
    torch.testing.assert_close(single.grad[:, 0, 0], slope, rtol=1e-4, atol=2e-6 * (1 + mean))
    assert single.grad.isfinite().all()


def test_slopes_are_those_of_the_law():
    at = torch.randn(4, 2, 3, dtype=torch.float64)
    at[2:, 1] += 6  # on both sides of where the series begins
    at.requires_grad_()
    x = torch.randint(9, (4, 3)).double()
    assert torch.autograd.gradcheck(lambda t: LAW.log_prob(x, t), (at,))


@pytest.mark.parametrize(("mean", "inverse"), [(0.02, 0.1), (3.0, 0.4), (3.0, 1e12), (40.0, 5.0), (1e5, 2.0)])
def test_samples_have_the_law(mean, inverse):
    n, at = 40_000, theta(mean, inverse)
    x = LAW.sample(at.expand(n, 2, 1), Noise(1, dtype=torch.float64))
    assert (x.shape, x.dtype) == ((n, 1), torch.float64)
    variance = mean + mean**2 / inverse
    assert abs(float(x.mean()) - mean) < 4 * math.sqrt(variance / n)
    squares = (x - mean).square()
    assert abs(float(squares.mean()) - variance) < 4 * float(squares.std()) / math.sqrt(n)
    for k in range(4):
        p = float(each(torch.tensor([float(k)]).double(), at).exp())
        assert abs(float((x == k).double().mean()) - p) < 5 * math.sqrt(p * (1 - p) / n) + 1e-9


def test_quantiles_rise_with_the_uniform_number_and_are_those_of_the_law_at_either_end():
    class Uniform:
        def uniform(self, n: int, *event: int) -> Tensor:
            return torch.linspace(0, 1 - 2**-24, n).reshape(n, *event)

        normal = uniform

        def integers(self, high: int, n: int) -> Tensor:
            raise NotImplementedError

        def permutations(self, rows: int, columns: int) -> Tensor:
            raise NotImplementedError

    for mean, inverse in ((2.0, 0.7), (2.0, 1e20), (1e-8, 1e9)):
        x = LAW.sample(theta(mean, inverse).expand(500, 2, 1), Uniform())[:, 0]
        assert (x.diff() >= 0).all()
        assert x[0] == 0
        tail = 1 - np.cumsum(each(torch.arange(200).double(), theta(mean, inverse)).exp().numpy())
        assert int(x[-1]) == int((tail > 2**-24 + 1e-13).sum())


def test_a_row_is_the_product_of_its_counts():
    at, x = torch.randn(3, 2, 2, 2, dtype=torch.float64), torch.randint(5, (3, 2, 2)).double()
    alone = [LAW.log_prob(x[:, i, j, None], at[:, :, i, j, None]) for i in range(2) for j in range(2)]
    torch.testing.assert_close(LAW.log_prob(x, at), torch.stack(alone).sum(0), rtol=0, atol=1e-12)
    torch.testing.assert_close(LAW.mean(at), at[:, 0].exp())


def test_a_rows_size_is_shared_out():
    logits, library = torch.randn(4, 1, 2, 3, dtype=torch.float64), torch.tensor([1.0, 20.0, 3e4, 7.0])
    rates = log_rates(logits, library)
    torch.testing.assert_close(rates.exp().flatten(1).sum(1), library.double(), rtol=1e-12, atol=0)
    torch.testing.assert_close(rates.softmax(2), logits.softmax(2), rtol=0, atol=1e-12)
    torch.testing.assert_close(log_rates(logits + 5, library), rates, rtol=0, atol=1e-12)
    with pytest.raises(DataError, match="row 1 has 0 counts"):
        log_rates(logits, torch.tensor([1.0, 0.0, 3.0, 4.0]))


def test_rates_and_dispersions_of_columns_are_learned():
    """Two genes of shares 1/4 and 3/4 in cells of many sizes, of which one spreads wider than the other."""
    library, inverse = torch.full((3_000,), 40.0).double(), torch.tensor([1.0, 8.0]).double()
    rate = library[:, None] * torch.tensor([0.25, 0.75]).double()
    truth = torch.stack([rate.log(), inverse.log().expand_as(rate)], 1)
    x = LAW.sample(truth, Noise(0, dtype=torch.float64))
    logits, dispersion = nn.Parameter(torch.zeros(1, 1, 2).double()), SharedDispersion(2, inverse=3.0).double()
    torch.testing.assert_close(dispersion.log_inverse.exp(), torch.full((2,), 3.0).double(), rtol=1e-6, atol=0)
    descent = torch.optim.LBFGS([logits, *dispersion.parameters()], max_iter=60, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        descent.zero_grad()
        value = -LAW.log_prob(x, dispersion(log_rates(logits.expand(3_000, 1, 2), library))).mean()
        value.backward()
        return value

    descent.step(loss)
    assert float(logits.detach().softmax(2)[0, 0, 0]) == pytest.approx(0.25, abs=0.01)
    torch.testing.assert_close(dispersion.log_inverse.exp(), inverse, rtol=0.1, atol=0)


def test_a_pace_changes_how_far_an_update_goes_and_not_the_law():
    rate = torch.zeros(1, 1, 2).double()
    slow, fast = (SharedDispersion(2, inverse=3.0, pace=pace).double() for pace in (1.0, 10.0))
    torch.testing.assert_close(fast(rate), slow(rate), rtol=1e-6, atol=0)
    for dispersion in (slow, fast):
        with torch.no_grad():
            dispersion.log_inverse += 0.01
    gone = [dispersion(rate)[0, 1] - math.log(3.0) for dispersion in (slow, fast)]
    torch.testing.assert_close(gone[1], 10 * gone[0], rtol=1e-4, atol=0)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [(-1.0, r"the first -1 at \[1, 2\]"), (0.5, r"1 of 6 numbers are no counts, the first 0.5"), (math.nan, "nan"),
     (math.inf, "inf")],
)  # fmt: skip
def test_numbers_that_are_no_counts_are_named(wrong, said):
    x = torch.tensor([[0.0, 3.0, 1.0], [2.0, 0.0, wrong]])
    with pytest.raises(DataError, match=said):
        LAW.log_prob(x, torch.zeros(2, 2, 3))


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda: LAW.log_prob(torch.zeros(2, 3), torch.zeros(2, 1, 3)), "1 parameters of each count"),
        (lambda: SharedDispersion(3, inverse=0.0), "inverse dispersion 0"),
    ],
)
def test_what_cannot_be_is_refused(made, said):
    with pytest.raises(UsageError, match=said):
        made()
