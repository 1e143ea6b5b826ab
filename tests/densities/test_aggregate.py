"""Surgery of codes that are known, and the mixture of all posteriors, block by block."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal, kl_divergence
from torch.utils._python_dispatch import TorchDispatchMode

from pushforward.densities import aggregate
from pushforward.densities.aggregate import (
    Aggregate,
    active_units,
    divergence,
    divergence_of_dimensions,
    information_of_dimensions,
    surgery,
)
from pushforward.densities.diagonal import DiagonalNormal
from pushforward.errors import UsageError
from pushforward.randomness import Noise


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def laws(n: int, d: int, spread: float = 1.0) -> DiagonalNormal:
    return DiagonalNormal(spread * normal(n, d, seed=1), 0.3 * normal(n, d, seed=2) - 0.5)


def standard(z: Tensor) -> Tensor:
    return Normal(0.0, 1.0).log_prob(z).sum(-1)


def by_torch(parts: DiagonalNormal) -> MixtureSameFamily:
    each = Independent(Normal(parts.mean, parts.log_deviation.exp()), 1)
    return MixtureSameFamily(Categorical(torch.ones(len(parts.mean)).double()), each)


@pytest.mark.parametrize("numbers", [1, 40, 10_000])
def test_the_mixture_in_blocks_is_the_mixture(numbers, monkeypatch):
    monkeypatch.setattr(aggregate, "NUMBERS", numbers)
    parts, z = laws(13, 3), 2 * normal(4, 5, 3)
    torch.testing.assert_close(Aggregate(parts).log_prob(z), by_torch(parts).log_prob(z), rtol=0, atol=1e-12)
    assert Aggregate(parts).log_prob(z[:0]).shape == (0, 5)


class Largest(TorchDispatchMode):
    """Numbers in the largest tensor that is made within."""

    numbers = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        if isinstance(out, Tensor):
            self.numbers = max(self.numbers, out.numel())
        return out


def test_memory_does_not_grow_with_the_number_of_pairs():
    n, d = 2_000, 8
    parts, z = laws(n, d), normal(n, d)
    with Largest() as seen:
        surgery(parts, standard(z), z, parts.log_prob(z))
    assert seen.numbers <= aggregate.NUMBERS < n * n * d / 100


def test_surgery_keeps_nothing_for_slopes():
    kept, parts = list[Tensor](), laws(9, 2)
    parts.mean.requires_grad_()
    z = parts.mean.detach()
    with torch.autograd.graph.saved_tensors_hooks(lambda x: kept.append(x) or x, lambda x: x):
        surgery(parts, standard(z), z, standard(z))
        assert not kept
        Aggregate(parts).log_prob(z)
        assert kept


def test_points_of_the_mixture_have_its_moments():
    parts, n = laws(7, 2, spread=2.0), 40_000
    z, deviation = Aggregate(parts).sample(n, Noise(0, dtype=torch.float64)), parts.log_deviation.exp()
    mean = parts.mean.mean(0)
    wanted = torch.diag(deviation.square().mean(0)) + torch.cov(parts.mean.T, correction=0)
    assert ((z.mean(0) - mean).abs() < 4 * (wanted.diagonal() / n).sqrt()).all()
    products = torch.einsum("ni,nj->nij", z - mean, z - mean)
    assert ((products.mean(0) - wanted).abs() < 4 * products.std(0) / math.sqrt(n)).all()


def test_the_two_parts_are_the_whole_and_information_is_at_most_that_of_the_row():
    parts, n = laws(50, 3, spread=3.0), 50
    z = parts.at(normal(n, 3, seed=4))
    found = surgery(parts, standard(z), z, parts.log_prob(z))
    assert found.divergence == pytest.approx(found.information + found.marginal, abs=1e-12)
    assert found.divergence == pytest.approx(float((parts.log_prob(z) - standard(z)).mean()), abs=1e-12)
    assert 0 < found.information <= found.most == pytest.approx(math.log(50))


def test_codes_that_lie_apart_tell_the_row_and_equal_ones_nothing():
    z = 1e3 * torch.arange(20).double()[:, None] + torch.zeros(20, 2).double()
    apart = DiagonalNormal(z, torch.zeros_like(z))
    assert surgery(apart, standard(z), z, apart.log_prob(z)).information == pytest.approx(math.log(20), abs=1e-12)
    alike, z = DiagonalNormal(torch.zeros_like(z), torch.zeros_like(z)), normal(20, 2)
    found = surgery(alike, standard(z), z, alike.log_prob(z))
    assert found.information == pytest.approx(0, abs=1e-12)
    assert found.marginal == pytest.approx(0, abs=1e-12)


def test_surgery_of_a_linear_model_is_that_of_its_populations():
    r"""Means N(0, diag a^2), deviations s: the mixture tends to N(0, diag(a^2 + s^2)), all in closed form."""
    n, a, s = 4_000, torch.tensor([1.5, 0.2]).double(), torch.tensor([0.5, 0.9]).double()
    parts = DiagonalNormal(a * normal(n, 2, seed=5), s.log().expand(n, 2))
    z = parts.at(normal(n, 2, seed=6))
    found, total = surgery(parts, standard(z), z, parts.log_prob(z)), a.square() + s.square()
    information = float(0.5 * (total / s.square()).log().sum())
    marginal = float(0.5 * (total - 1 - total.log()).sum())
    assert abs(found.marginal - marginal) < 4 * found.error + 0.01  # n laws stand for all
    assert abs(found.information - information) < 0.05
    mean = math.sqrt(2) * torch.cat([torch.diag(a), -torch.diag(a)])  # what is quadratic has its mean at four points
    exact = DiagonalNormal(mean, s.log().expand(4, 2))
    prior = DiagonalNormal(torch.zeros(2).double(), torch.zeros(2).double())
    assert float(divergence(exact, prior).mean()) == pytest.approx(information + marginal, abs=1e-10)


@pytest.mark.parametrize(
    ("m", "a", "wanted", "digits"), [(0.0, 0.0, 200.21440, 5), (4.0, 5.0, 1.509249, 6)], ids=["standard", "wide"]
)
def test_divergences_of_numbers_that_are_known(m, a, wanted, digits):
    """KL(N(2, e^6) ‖ N(0, 1)) and KL(N(2, e^6) ‖ N(4, e^10)), variances second."""
    q, p = (DiagonalNormal(torch.tensor([x]).double(), torch.tensor([y]).double()) for x, y in ((2.0, 3.0), (m, a)))
    assert float(divergence(q, p)) == pytest.approx(wanted, abs=0.6 * 10**-digits)


def test_divergences_are_those_of_normal_laws_and_sum_over_dimensions():
    q, p = laws(6, 4), DiagonalNormal(normal(4, seed=7), 0.2 * normal(4, seed=8))
    each = kl_divergence(Normal(q.mean, q.log_deviation.exp()), Normal(p.mean, p.log_deviation.exp()))
    torch.testing.assert_close(divergence(q, p), each.sum(1), rtol=0, atol=1e-12)
    zero = DiagonalNormal(torch.zeros(4).double(), torch.zeros(4).double())
    torch.testing.assert_close(divergence_of_dimensions(q).sum(1), divergence(q, zero), rtol=0, atol=1e-12)


def test_a_divergence_near_zero_keeps_its_digits_in_single_precision():
    a = torch.tensor([[1e-3, -1e-3]])  # a difference of exp(2 a) and 1 would be 3 % off
    found = divergence_of_dimensions(DiagonalNormal(torch.zeros(1, 2), a))
    torch.testing.assert_close(found, a.square(), rtol=2e-3, atol=0)


def test_units_are_active_where_means_move():
    means = torch.stack([torch.zeros(1000), 0.05 * normal(1000), 5 + 0.3 * normal(1000)], 1)
    assert active_units(means).tolist() == [False, False, True]
    assert active_units(means, least=0.001).tolist() == [False, True, True]


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda: surgery(laws(3, 2), torch.zeros(3), torch.zeros(2, 2), torch.zeros(3)), "2 draws, 3 and 3"),
        (lambda: active_units(torch.zeros(1, 2)), "1 rows"),
    ],
)
def test_what_does_not_fit_is_refused(made, said):
    with pytest.raises(UsageError, match=said):
        made()


def test_what_each_number_tells_is_its_mutual_information_whatever_else_a_code_holds():
    n, rng = 4000, Noise(3)
    deviation = torch.tensor([0.1, 0.5, 1.0]).double()
    means = (1 - deviation.square()).sqrt() * rng.normal(n, 3).double()
    parts = DiagonalNormal(means, deviation.log().expand(n, 3))
    found = information_of_dimensions(parts, parts.at(rng.normal(n, 3).double()))
    torch.testing.assert_close(found, -deviation.log(), atol=0.05, rtol=0)
    assert abs(float(found[2])) < 1e-12
    own = divergence_of_dimensions(parts).mean(0)  # the law of all rows is N(0, 1), so that nothing else is lost
    torch.testing.assert_close(found, own, atol=0.03, rtol=0)


def test_what_a_number_tells_is_at_most_the_logarithm_of_the_rows():
    parts = DiagonalNormal(torch.arange(50.0).double()[:, None], torch.full((50, 1), -9.0).double())
    torch.testing.assert_close(information_of_dimensions(parts, parts.mean), torch.tensor([math.log(50)]).double())
