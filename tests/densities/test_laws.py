"""Laws that learn: they integrate to one, are those of other libraries, and their points have their moments."""

from __future__ import annotations

import math
from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Categorical, Independent, MixtureSameFamily, MultivariateNormal, Normal

from pushforward.densities.diagonal import DiagonalNormal
from pushforward.densities.laws import FullNormal, Law, NormalMixture, StandardNormal, Vamp
from pushforward.errors import UsageError
from pushforward.randomness import Noise, seeded


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


class Encoder(nn.Module):
    """Rows of three numbers to laws of two."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Linear(3, 4)

    def forward(self, x: Tensor) -> DiagonalNormal:
        return DiagonalNormal(*self.net(x).chunk(2, -1))


def made(name: str) -> nn.Module:
    """A law of the plane in double precision, away from where it begins."""
    with seeded(3):
        law = {
            "standard": lambda: StandardNormal(2),
            "full": lambda: FullNormal(2),
            "mixture": lambda: NormalMixture(2, 3),
            "diagonal": lambda: NormalMixture(2, 3, full=False),
            "vamp": lambda: Vamp(Encoder(), torch.randn(5, 3)),
        }[name]().double()
        for parameter in law.parameters():
            parameter.data += 0.4 * torch.randn(parameter.shape, dtype=torch.float64)
    return law


NAMES = ["standard", "full", "mixture", "diagonal", "vamp"]


@pytest.mark.parametrize("name", NAMES)
def test_a_law_integrates_to_one_and_its_points_have_the_moments_of_the_integral(name):
    law, n = made(name), 40_000
    assert isinstance(law, Law)
    line = torch.linspace(-12, 12, 481).double()
    grid = torch.cartesian_prod(line, line)
    with torch.no_grad():
        mass = law(grid).exp() * 0.05**2
    assert float(mass.sum()) == pytest.approx(1, abs=1e-3)
    z = law.sample(n, Noise(0, dtype=torch.float64))
    assert (z.shape, z.dtype, z.requires_grad) == ((n, 2), torch.float64, False)
    statistics = [lambda x: x, lambda x: x.square(), lambda x: x[:, :1] * x[:, 1:], lambda x: x.cos()]
    for statistic in statistics:
        found, wanted = statistic(z), mass @ statistic(grid)
        assert ((found.mean(0) - wanted).abs() < 4 * found.std(0) / math.sqrt(n) + 1e-4).all()


@pytest.mark.parametrize("name", NAMES)
def test_a_density_has_any_leading_axes_and_no_blocks(name, monkeypatch):
    law, z = made(name), normal(3, 4, 2)
    at_once = law(z)
    assert at_once.shape == (3, 4)
    torch.testing.assert_close(at_once[1, 2], law(z[1, 2]), rtol=0, atol=1e-12)
    monkeypatch.setattr("pushforward.densities.aggregate.NUMBERS", 7)
    torch.testing.assert_close(law(z), at_once, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", NAMES[1:])
def test_all_that_a_law_has_learns(name):
    law = made(name)
    law(normal(50, 2)).mean().backward()
    for key, parameter in law.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.isfinite().all(), key
        assert parameter.grad.abs().amax() > 1e-6, key


@pytest.mark.parametrize("full", [True, False])
def test_a_mixture_is_the_mixture(full):
    law, z = made("mixture" if full else "diagonal"), 2 * normal(9, 2)
    assert isinstance(law, NormalMixture)
    assert law.full == full
    if full:
        roots = law.factors.tril(-1) + torch.diag_embed(law.factors.diagonal(dim1=1, dim2=2).exp())
        each = MultivariateNormal(law.means, scale_tril=roots)
    else:
        each = Independent(Normal(law.means, law.factors.exp()), 1)
    wanted = MixtureSameFamily(Categorical(logits=law.logits), each).log_prob(z)
    torch.testing.assert_close(law(z), wanted, rtol=0, atol=1e-12)


def test_a_normal_law_of_moments_has_them_and_begins_as_the_standard_one():
    root = normal(4, 4)
    mean, covariance = normal(4, seed=1), root @ root.T + 0.1 * torch.eye(4).double()
    law, z = FullNormal.of(mean, covariance), 3 * normal(6, 4, seed=2)
    torch.testing.assert_close(law.covariance, covariance, rtol=0, atol=1e-12)
    torch.testing.assert_close(law(z), MultivariateNormal(mean, covariance).log_prob(z), rtol=0, atol=1e-10)
    torch.testing.assert_close(FullNormal(4).double()(z), StandardNormal(4)(z), rtol=0, atol=1e-12)


def test_the_likeliest_normal_law_has_the_moments_of_the_data():
    x = normal(300, 2) @ torch.tensor([[1.0, 0.5], [0.0, 0.4]]).double() + 1.0
    law = FullNormal(2).double()
    descent = torch.optim.LBFGS(law.parameters(), max_iter=100, line_search_fn="strong_wolfe", tolerance_change=1e-14)

    def loss() -> Tensor:
        descent.zero_grad()
        value = -law(x).mean()
        value.backward()
        return value

    descent.step(loss)
    torch.testing.assert_close(law.mean, x.mean(0), rtol=0, atol=1e-5)
    torch.testing.assert_close(law.covariance, torch.cov(x.T, correction=0), rtol=0, atol=1e-5)


def test_first_means_are_those_of_the_seed():
    drawn = []
    for seed in (0, 0, 1):
        with seeded(seed):
            drawn.append(NormalMixture(2, 50, spread=3.0).means.detach())
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
    assert float(drawn[0].std()) == pytest.approx(3, rel=0.25)


def test_a_vamp_of_all_rows_is_the_aggregated_posterior_and_is_copied_with_its_encoder():
    law = made("vamp")
    assert isinstance(law, Vamp)
    z, parts = normal(7, 2), law.encode(law.inputs)
    each = Independent(Normal(parts.mean, parts.log_deviation.exp()), 1)
    wanted = MixtureSameFamily(Categorical(torch.ones(5).double()), each).log_prob(z)
    torch.testing.assert_close(law(z), wanted, rtol=0, atol=1e-12)
    encoder = law.encode
    assert isinstance(encoder, nn.Module)
    copied = deepcopy(nn.ModuleList([encoder, law]))
    assert copied[1].encode is copied[0]
    assert len(list(copied.parameters())) == 3


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda: StandardNormal(0), "0 numbers"),
        (lambda: FullNormal(0), "0 numbers"),
        (lambda: NormalMixture(2, 0), "0 components"),
        (lambda: NormalMixture(2, 2, spread=-1.0), "spread by -1"),
        (lambda: Vamp(Encoder(), torch.zeros(0, 3)), "no inputs"),
        (lambda: FullNormal.of(torch.zeros(2), torch.eye(3)), r"covariance \(3, 3\)"),
        (lambda: FullNormal.of(torch.zeros(2), torch.diag(torch.tensor([1.0, -1.0]))), "not positive definite"),
        *((lambda law=law: law(torch.zeros(4, 1)), "points of 1 numbers: this law has 2")
          for law in (StandardNormal(2), FullNormal(2), NormalMixture(2, 2))),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(made, said):
    with pytest.raises(UsageError, match=said):
        made()
