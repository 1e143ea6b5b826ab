"""Bounds of a likelihood that is known: x = W z + b + s e with normal z and e, whose posterior is normal too."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor
from torch.distributions import MultivariateNormal, kl_divergence

from pushforward.errors import UsageError
from pushforward.objectives.elbo import LogMean, Parts, Weighting, doubly_reparametrised, elbo, importance_weighted

EYE, S2 = torch.eye(2).double(), 0.3


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


W, B = normal(5, 2, seed=1), normal(5, seed=2)
COVARIANCE = S2 * torch.linalg.inv(W.T @ W + S2 * EYE)  # of the posterior
EVIDENCE = MultivariateNormal(B, W @ W.T + S2 * torch.eye(5).double())


def posterior(x: Tensor) -> MultivariateNormal:
    return MultivariateNormal((x - B) @ W @ COVARIANCE / S2, COVARIANCE)


def parts(x: Tensor, q: MultivariateNormal, z: Tensor) -> Parts:
    likelihood = MultivariateNormal(z @ W.T + B, S2 * torch.eye(5).double())
    return Parts(likelihood.log_prob(x), MultivariateNormal(torch.zeros(2).double(), EYE).log_prob(z), q.log_prob(z))


def cubature(q: MultivariateNormal) -> Tensor:
    """Four points, (4, n, 2), whose mean is the expectation under q of whatever is quadratic."""
    e = math.sqrt(2) * torch.cat([EYE, -EYE])
    return q.loc + (e @ q.scale_tril.mT).transpose(0, 1) if q.scale_tril.dim() == 3 else q.loc + e


def test_with_the_exact_posterior_every_draw_gives_the_likelihood():
    x = 2 * normal(7, 5, seed=3)
    q = posterior(x)
    found = parts(x, q, q.loc + normal(3, 7, 2) @ q.scale_tril[0].T)
    exact = EVIDENCE.log_prob(x)
    torch.testing.assert_close(found.weights, exact.expand(3, -1), rtol=0, atol=1e-10)
    torch.testing.assert_close(elbo(found), exact, rtol=0, atol=1e-10)
    torch.testing.assert_close(importance_weighted(found), exact, rtol=0, atol=1e-10)


def test_with_independent_numbers_the_gap_is_their_divergence_from_the_posterior():
    x = 2 * normal(7, 5, seed=3)
    exact = posterior(x)
    q = MultivariateNormal(exact.loc + 0.1, torch.diag(1 / torch.linalg.inv(COVARIANCE).diagonal()).expand(7, 2, 2))
    gap = EVIDENCE.log_prob(x) - elbo(parts(x, q, cubature(q)))
    torch.testing.assert_close(gap, kl_divergence(q, exact), rtol=0, atol=1e-10)
    assert float(gap.min()) > 0.01


def test_a_divergence_from_the_prior_is_estimated_without_bias():
    x = normal(4, 5, seed=3)
    q = MultivariateNormal(posterior(x).loc, COVARIANCE.expand(4, 2, 2))
    wanted = kl_divergence(q, MultivariateNormal(torch.zeros(2).double(), EYE))
    torch.testing.assert_close(parts(x, q, cubature(q)).divergence, wanted, rtol=0, atol=1e-10)


def wrong() -> tuple[Tensor, MultivariateNormal, float]:
    """A point, a law that is not its posterior, and the variance of w/p(x) under that."""
    x = B + W @ torch.tensor([0.7, -0.4]).double()
    exact = posterior(x)
    shift, wide = torch.tensor([0.12, -0.08]).double(), 1.5
    precision = torch.linalg.inv(COVARIANCE)
    both = (2 - 1 / wide) * precision  # of p^2/q, which is integrated
    excess = shift @ (2 * precision @ torch.linalg.solve(both, precision) / wide) @ shift
    second = wide / (2 - 1 / wide) * math.exp(float(excess) / 2)
    return x, MultivariateNormal(exact.loc + shift, wide * COVARIANCE), second - 1


def test_the_ladder_rises_towards_the_likelihood_and_its_gap_is_half_the_variance_over_the_draws():
    x, q, variance = wrong()
    exact, found = float(EVIDENCE.log_prob(x)), []
    for k, rows in ((1, 40_000), (2, 40_000), (5, 40_000), (20, 100_000)):
        bound = importance_weighted(parts(x, q, q.loc + normal(k, rows, 2, seed=k) @ q.scale_tril.T))
        found.append((float(bound.mean()), float(bound.std()) / math.sqrt(rows)))
    for (low, a), (high, b) in pairwise(found):
        assert high > low - 3 * math.hypot(a, b)
    assert all(value < exact + 3 * error for value, error in found)
    assert found[-1][0] > found[0][0] + 0.1
    assert 20 * (exact - found[-1][0]) == pytest.approx(variance / 2, rel=0.15)


def test_the_doubly_reparametrised_slope_has_the_mean_of_the_plain_one_and_less_variance():
    x, q, _ = wrong()
    rows, k = 40_000, 8
    slopes = []
    for doubly in (False, True):
        mean = q.loc.expand(rows, 2).clone().requires_grad_()
        spread = q.scale_tril.diagonal().log().expand(rows, 2).clone().requires_grad_()
        z = mean + spread.exp() * normal(k, rows, 2, seed=5)
        m, a = (mean.detach(), spread.detach()) if doubly else (mean, spread)
        own = torch.distributions.Normal(m, a.exp()).log_prob(z).sum(-1)
        made = parts(x, q, z)
        made = Parts(made.likelihood, made.prior, own)
        (doubly_reparametrised if doubly else importance_weighted)(made).sum().backward()
        assert mean.grad is not None
        assert spread.grad is not None
        slopes.append(torch.cat([mean.grad, spread.grad], 1))
    plain, less = slopes
    error = (plain - less).std(0) / math.sqrt(rows)
    assert ((plain - less).mean(0).abs() < 4 * error).all()
    assert (plain.mean(0).abs() > 8 * error).any()  # there is a slope to agree on
    assert (less.var(0) < 0.7 * plain.var(0)).all()


def test_a_mean_in_blocks_is_the_mean_at_once():
    weights = 400 * normal(23, 6) + torch.tensor([0.0, 1e4, -1e4, 5.0, -3.0, 0.1]).double()
    streamed = LogMean()
    for block in weights.split([1, 9, 2, 11]):
        streamed.add(block)
    assert streamed.count == 23
    torch.testing.assert_close(streamed.value, torch.logsumexp(weights, 0) - math.log(23), rtol=0, atol=1e-9)
    share = weights.softmax(0)
    torch.testing.assert_close(streamed.effective, 1 / share.square().sum(0), rtol=1e-9, atol=0)


def test_equal_weights_all_count_and_a_row_without_any_counts_none():
    streamed = LogMean()
    for size in (3, 5):
        streamed.add(torch.tensor([2.0, -math.inf]).double().expand(size, 2))
    torch.testing.assert_close(streamed.effective, torch.tensor([8.0, 0.0]).double(), rtol=1e-12, atol=0)
    torch.testing.assert_close(streamed.value, torch.tensor([2.0, -math.inf]).double(), rtol=0, atol=1e-12)


def test_without_weights_the_loss_is_the_bound_turned_round():
    x = normal(4, 5, seed=3)
    q = MultivariateNormal(posterior(x).loc, COVARIANCE.expand(4, 2, 2))
    made = parts(x, q, q.loc + 0.3 * normal(6, 4, 2))
    torch.testing.assert_close(Weighting().loss(made), -elbo(made).mean(), rtol=0, atol=1e-12)
    cost = made.divergence.mean()
    torch.testing.assert_close(Weighting(2.5).loss(made) - Weighting(0.5).loss(made), 2 * cost, rtol=0, atol=1e-12)


def test_nats_that_cost_nothing_have_no_slope():
    cost = torch.tensor([[0.2, 0.4]], requires_grad=True)
    made = Parts(torch.zeros(1, 2), torch.zeros(1, 2), cost)
    Weighting(free=0.5).loss(made).backward()
    assert cost.grad is not None
    assert not cost.grad.any()
    cost.grad = None
    Weighting(free=0.2).loss(made).backward()
    torch.testing.assert_close(cost.grad, torch.full((1, 2), 0.5))


def test_a_warm_up_rises_in_equal_parts_and_stays():
    weights = [Weighting(2.0, warmup=4).at(step) for step in range(7)]
    assert weights == pytest.approx([0.4, 0.8, 1.2, 1.6, 2.0, 2.0, 2.0])


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda: Weighting(-1.0), "beta -1"),
        (lambda: Weighting(math.nan), "beta nan"),
        (lambda: Weighting(free=-0.5), "free -0.5"),
        (lambda: Weighting(warmup=-1), "warmup -1"),
        (lambda: LogMean().value, "no weights yet"),
    ],
)
def test_what_cannot_be_is_refused(made, said):
    with pytest.raises(UsageError, match=said):
        made()
