"""Laws of levels: probabilities sum to 1, are those of the functions they are cut from, and samples have them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.stats import logistic, norm

from pushforward.densities.likelihoods.discrete import Bernoulli, Categorical, Discretised, Levels, log_interval
from pushforward.errors import DataError, UsageError
from pushforward.randomness import Noise

EIGHT = Levels(8)
LAWS = [
    Bernoulli(),
    Categorical(EIGHT),
    *(Discretised(EIGHT, shape, k) for shape in ("logistic", "normal") for k in (1, 3)),
]


def parameters(law, n: int = 5, event: tuple[int, ...] = (2, 3), seed: int = 0) -> torch.Tensor:
    return torch.randn(n, law.outputs, *event, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def each(law, theta: torch.Tensor) -> torch.Tensor:
    """Probabilities of all levels of single numbers, (levels, n), for theta (n, parameters, 1)."""
    values = law.levels.value(torch.arange(law.levels.count, dtype=torch.float64))
    return torch.stack([law.log_prob(value.expand(len(theta), 1), theta) for value in values]).exp()


@pytest.mark.parametrize("law", LAWS)
def test_probabilities_of_all_levels_sum_to_one(law):
    theta = 3 * parameters(law, 50, (1,))
    torch.testing.assert_close(each(law, theta).sum(0), torch.ones(50).double(), rtol=0, atol=1e-12)


@pytest.mark.parametrize("law", LAWS)
def test_a_row_is_the_product_of_its_numbers_and_its_mean_that_of_its_levels(law):
    theta = parameters(law)
    x = law.sample(theta, Noise(0, dtype=torch.float64))
    assert x.shape == (5, 2, 3)
    alone = [law.log_prob(x[:, i, j, None], theta[:, :, i, j, None]) for i in range(2) for j in range(3)]
    torch.testing.assert_close(law.log_prob(x, theta), torch.stack(alone).sum(0), rtol=0, atol=1e-12)
    values = law.levels.value(torch.arange(law.levels.count, dtype=torch.float64))
    mean = torch.einsum("kn,k->n", each(law, theta[:, :, 1, 2, None]), values)
    torch.testing.assert_close(law.mean(theta)[:, 1, 2], mean, rtol=0, atol=1e-12)


@pytest.mark.parametrize("law", LAWS)
def test_samples_have_the_law(law):
    n = 40_000
    theta = parameters(law, 1, (1,), seed=3).expand(n, -1, 1)
    found = law.levels.index(law.sample(theta, Noise(1, dtype=torch.float64)))[:, 0].long()
    share, wanted = found.bincount(minlength=law.levels.count) / n, each(law, theta[:1])[:, 0]
    assert ((share - wanted).abs() < 5 * (wanted * (1 - wanted) / n).sqrt() + 1e-9).all()


@pytest.mark.parametrize(("shape", "cdf"), [("logistic", logistic.cdf), ("normal", norm.cdf)])
def test_a_cut_law_is_the_difference_of_its_distribution_function_at_left_edges(shape, cdf):
    law, m, a = Discretised(EIGHT, shape), 0.3, -0.7
    mu, s = 4 * (m + 1), 4 * math.exp(a)
    edges = np.r_[0.0, cdf((np.arange(1, 8) - mu) / s), 1.0]
    found = each(law, torch.tensor([[[m], [a]]], dtype=torch.float64))[:, 0]
    np.testing.assert_allclose(found, np.diff(edges), rtol=0, atol=1e-14)


def test_differences_far_from_the_middle_stay_finite():
    a = torch.tensor([60.0, 120.0, 400.0], dtype=torch.float64)
    wanted = -a + math.log(-math.expm1(-1.0))
    torch.testing.assert_close(log_interval(a, a + 1), wanted, rtol=0, atol=1e-9)
    torch.testing.assert_close(log_interval(-a - 1, -a), wanted, rtol=0, atol=1e-9)
    b = torch.tensor([9.0, 20.0, 38.0], dtype=torch.float64)
    for low, high in ((b, b + 1), (-b - 1, -b)):
        torch.testing.assert_close(
            log_interval(low, high, "normal"),
            torch.tensor(norm.logsf(b.numpy()) + np.log1p(-np.exp(norm.logsf(b.numpy() + 1) - norm.logsf(b.numpy())))),
            rtol=1e-12, atol=0,
        )  # fmt: skip


@pytest.mark.parametrize("shape", ["logistic", "normal"])
def test_slopes_are_finite_in_single_precision_far_from_a_level(shape):
    law = Discretised(Levels(256), shape)
    theta = torch.tensor([[[1.0], [-4.0]], [[-1.0], [-4.0]], [[0.0], [-7.0]]], requires_grad=True)
    x = torch.tensor([[-1.0], [1.0], [Levels(256).value(torch.tensor(200.0))]])
    law.log_prob(x, theta).sum().backward()
    assert theta.grad is not None
    assert theta.grad.isfinite().all()


def test_uniform_levels_cost_eight_bits():
    levels = Levels(256)
    x = levels.value(torch.randint(256, (4, 10), generator=torch.Generator().manual_seed(0)).double())
    bits = -Categorical(levels).log_prob(x, torch.zeros(4, 256, 10).double()) / (10 * math.log(2))
    torch.testing.assert_close(bits, torch.full((4,), 8.0).double(), rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("x", "said"), [(0.3, "such as 0.3"), (1.5, "such as 1.5"), (-1.01, "none of the 2"), (math.nan, "such as nan")]
)
def test_numbers_on_no_level_are_named(x, said):
    with pytest.raises(DataError, match=said):
        Bernoulli().log_prob(torch.tensor([[1.0, x]]), torch.zeros(1, 1, 2))


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda: Levels(1), "1 levels"),
        (lambda: Levels(4, 1.0, 1.0), "from 1 to 1"),
        (lambda: Bernoulli(EIGHT), "8 levels"),
        (lambda: Discretised(EIGHT, components=0), "0 components"),
    ],
)
def test_what_cannot_be_is_refused(made, said):
    with pytest.raises(UsageError, match=said):
        made()
