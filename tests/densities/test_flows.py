"""Normalising flows: they integrate to one, begin as the identity, and prior and posterior are one law by two ways."""

from __future__ import annotations

import math

import pytest
import torch

from pushforward.densities.diagonal import DiagonalNormal
from pushforward.densities.flows import FlowDensity, FlowPosterior, NormalisingFlow, Whitened
from pushforward.errors import UsageError
from pushforward.randomness import Noise

KINDS = ["maf", "nsf", "realnvp"]


def flow(kind: str, dim: int = 4, context: int = 0, seed: int = 0, size: float = 0.3) -> NormalisingFlow:
    """A flow in double precision away from the identity."""
    made = NormalisingFlow(dim, kind, steps=2, hidden=(16,), context=context).double()  # pyright: ignore[reportArgumentType]
    rng = torch.Generator().manual_seed(seed)
    for parameter in made.parameters():
        parameter.data = size * torch.randn(parameter.shape, generator=rng, dtype=torch.float64)
    return made


def normal(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def log_normal(u: torch.Tensor) -> torch.Tensor:
    return torch.distributions.Normal(0.0, 1.0).log_prob(u).sum(-1)


@pytest.mark.parametrize("kind", KINDS)
def test_a_flow_begins_as_the_identity(kind):
    u, volume = NormalisingFlow(5, kind)(normal(7, 5).float())
    torch.testing.assert_close(u, normal(7, 5).float(), rtol=0, atol=1e-5)
    torch.testing.assert_close(volume, torch.zeros(7), rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("context", [0, 3])
def test_the_volume_is_that_of_the_jacobian_and_the_way_back_is_the_inverse(kind, context):
    made, z = flow(kind, context=context), normal(6, 4)
    c = normal(6, context, seed=2) if context else None
    u, volume = made(z, c)
    torch.testing.assert_close(made.inverse(u, c), z, rtol=0, atol=1e-9)
    assert float((u - z).detach().abs().mean()) > 0.05  # it does something
    for k in range(6):
        own = None if c is None else c[k]
        jacobian = torch.func.jacrev(lambda point, own=own: made(point, own)[0])(z[k])
        torch.testing.assert_close(volume[k], torch.linalg.slogdet(jacobian)[1], rtol=0, atol=1e-10)


@pytest.mark.parametrize("kind", KINDS)
def test_prior_and_posterior_are_one_model(kind):
    """With D' = D(T^-1) the bound of a flow prior is that of the flow posterior, for each noise."""
    made = flow(kind, 16, size=0.15)
    base, e = DiagonalNormal(normal(9, 16, seed=3), 0.3 * normal(9, 16, seed=4)), normal(9, 16, seed=5)
    z = base.at(e)
    prior = FlowDensity(made).log_prob(z) - base.log_prob(z)  # log p(x|z) is the same number on both sides
    u, own = FlowPosterior(made).draw(base, e)
    torch.testing.assert_close(prior, log_normal(u) - own, rtol=0, atol=1e-10)


@pytest.mark.parametrize("kind", KINDS)
def test_kl_of_data_is_kl_of_latents(kind):
    """log pi(x) - log p(x) = log p(f(x)) - log N(f(x)), p(z) being what f makes of pi."""
    made, x = flow(kind, 8, size=0.2), normal(50, 8) * 1.5 + 0.3
    data = DiagonalNormal(torch.full((8,), 0.3).double(), torch.full((8,), math.log(1.5)).double())
    z, volume = made(x)
    pushed = data.log_prob(made.inverse(z)) - volume
    torch.testing.assert_close(data.log_prob(x) - FlowDensity(made).log_prob(x), pushed - log_normal(z), rtol=0,
                               atol=1e-10)  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_a_posteriors_density_is_that_of_its_draws(kind):
    law = FlowPosterior(flow(kind, context=3))
    base, c = DiagonalNormal(normal(5, 4, seed=6), 0.2 * normal(5, 4, seed=7)), normal(5, 3, seed=8)
    u, own = law.draw(base, normal(2, 5, 4, seed=9), c.expand(2, 5, 3))
    assert (u.shape, own.shape) == ((2, 5, 4), (2, 5))
    torch.testing.assert_close(law.log_prob(u, base, c.expand(2, 5, 3)), own, rtol=0, atol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_densities_of_the_plane_integrate_to_one(kind):
    law, line = FlowDensity(flow(kind, 2, size=0.5)), torch.linspace(-8, 8, 401).double()
    grid = torch.cartesian_prod(line, line)
    inside = float(law.log_prob(grid).detach().exp().sum()) * 0.04**2
    outside = float((law.sample(20_000, Noise(0, dtype=torch.float64)).abs() > 8).any(1).double().mean())
    assert abs(inside + outside - 1) < 1e-3 + 4 * math.sqrt(max(outside, 1e-5) / 20_000)


@pytest.mark.parametrize("kind", KINDS)
def test_samples_have_the_density(kind):
    law = FlowDensity(flow(kind, 2, size=0.4))
    x = law.sample(20_000, Noise(1, dtype=torch.float64))
    u, _ = law.flow(x)
    assert float(u.mean(0).abs().max()) < 4 / math.sqrt(20_000)
    assert float((torch.cov(u.T) - torch.eye(2)).abs().max()) < 4 * math.sqrt(2 / 20_000)


def test_passes_of_the_nets_are_one_a_step_one_way_and_one_a_coordinate_the_other():
    made, counted = flow("maf", 8), [0]
    for step in made.steps:
        step.hyper.register_forward_hook(lambda *_: counted.__setitem__(0, counted[0] + 1))
    z, prior, posterior = normal(3, 8), FlowDensity(made), FlowPosterior(made)
    base = DiagonalNormal(torch.zeros(3, 8).double(), torch.zeros(3, 8).double())

    def passes(work) -> int:
        counted[0] = 0
        work()
        return counted[0]

    assert passes(lambda: prior.log_prob(z)) == 2
    assert passes(lambda: prior.sample(3, Noise(0))) == 16
    assert passes(lambda: posterior.draw(base, z)) == 2
    assert passes(lambda: posterior.log_prob(z, base)) == 18


def test_a_flow_of_one_number_is_a_flow():
    for kind in KINDS:
        made = flow(kind, 1)
        u, _ = made(normal(5, 1))
        torch.testing.assert_close(made.inverse(u), normal(5, 1), rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda: NormalisingFlow(3, "iaf"), "flow 'iaf'"),  # pyright: ignore[reportArgumentType]
        (lambda: NormalisingFlow(0), "dim 0"),
        (
            lambda: NormalisingFlow(3, context=2)(torch.zeros(4, 3)),
            "a context of 0: this flow takes 3 and 2; give it these",
        ),
        (lambda: NormalisingFlow(3, context=2)(torch.zeros(4, 3), torch.zeros(4, 1)), "a context of 1"),
        (lambda: NormalisingFlow(3)(torch.zeros(4, 2)), "points of 2 numbers"),
    ],
)
def test_what_does_not_fit_is_refused(made, said):
    with pytest.raises(UsageError, match=said):
        made()


def whitened(x: torch.Tensor) -> Whitened:
    return Whitened.of(FlowDensity(flow("nsf", x.shape[1], size=0.2)), x)


def test_whitening_gives_rows_mean_zero_and_covariance_one_in_the_middle():
    x = normal(5000, 3) @ normal(3, 3, seed=2).T * 1e-2 + 7
    law = whitened(x)
    w = (x - law.mean) @ law.white.T
    torch.testing.assert_close(w.mean(0), torch.zeros(3).double(), rtol=0, atol=1e-6)
    torch.testing.assert_close(torch.cov(w.T), torch.eye(3).double(), rtol=0, atol=0.05)
    assert (law.white.triu(1) == 0).all()


def test_a_whitened_density_integrates_to_one_and_its_samples_have_it():
    x = normal(5000, 2) @ torch.tensor([[0.5, 0.0], [0.4, 0.1]]).double().T
    law, line = whitened(x), torch.linspace(-4, 4, 1601).double()
    inside = float(law(torch.cartesian_prod(line, line)).detach().exp().sum()) * 0.005**2
    drawn = law.sample(20_000, Noise(1, dtype=torch.float64))
    outside = float((drawn.abs() > 4).any(1).double().mean())
    assert 0.001 < outside < 0.1  # its tails are long
    assert inside + outside == pytest.approx(1, abs=2e-3 + 4 * math.sqrt(outside / 20_000))
    u, _ = law.law.flow(torch.asinh((drawn - law.mean) @ law.white.T))  # pyright: ignore[reportAttributeAccessIssue]
    assert float(u.mean(0).abs().max()) < 4 / math.sqrt(20_000)
    assert float((torch.cov(u.T) - torch.eye(2)).abs().max()) < 4 * math.sqrt(2 / 20_000)


def test_the_volume_of_a_whitened_law_is_that_of_the_jacobian():
    law, z = whitened(normal(100, 3)), 3 * normal(5, 3, seed=3)
    for row in z:
        jacobian = torch.func.jacrev(lambda point: torch.asinh((point - law.mean) @ law.white.T))(row)
        y = torch.asinh((row - law.mean) @ law.white.T)
        expected = law.law.log_prob(y) + torch.linalg.slogdet(jacobian)[1]
        torch.testing.assert_close(law.log_prob(row), expected, rtol=0, atol=1e-10)


def test_columns_that_depend_on_each_other_are_whitened_too_and_far_rows_cost_little():
    x = normal(1000, 2)
    law = Whitened.of(FlowDensity(NormalisingFlow(3, "nsf")), torch.cat([x, x.sum(1, keepdim=True)], 1).float())
    assert law(x.new_ones(4, 3).float()).isfinite().all()
    plain = Whitened.of(FlowDensity(NormalisingFlow(2, "nsf")), x.float())
    assert float(plain(torch.tensor([[100.0, 0.0]]))) > -30  # a normal law has -5000
