"""Bounds by noise against probabilities that are known: logistic laws cut to [0, 8), and pixels without any order."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pushforward.densities.dequantised import (
    Affine,
    CubeNoise,
    Dequantised,
    Logit,
    Preprocessed,
    UniformNoise,
    bits_per_dimension,
)
from pushforward.densities.diagonal import DiagonalNormal
from pushforward.densities.flows import NormalisingFlow
from pushforward.densities.likelihoods.discrete import Levels
from pushforward.errors import DataError, UsageError
from pushforward.randomness import Noise

EIGHT = Levels(8, 0.0, 7.0)
DATA = torch.tensor([0.05, 0.1, 0.2, 0.15, 0.05, 0.1, 0.25, 0.1]).double()
PREPROCESSINGS = [Affine(256, 0.0, 256.0), Affine(256, 0.0, 1.0), Affine(256), Logit(256), Logit(256, 0.05)]


@dataclass(frozen=True)
class Logistics:
    """A mixture of logistic laws on [0, 8), and nothing beyond."""

    means: Tensor
    widths: Tensor
    weights: Tensor

    def below(self, x: Tensor) -> Tensor:
        return (self.weights * ((x[..., None] - self.means) / self.widths).sigmoid()).sum(-1)

    @property
    def mass(self) -> Tensor:
        low, high = self.below(torch.tensor([0.0, 8.0]).double())
        return high - low

    def __call__(self, x: Tensor) -> Tensor:
        a = (x - self.means) / self.widths  # (n, 1) against (k,)
        each = self.weights.log() - self.widths.log() + nn.functional.logsigmoid(a) + nn.functional.logsigmoid(-a)
        return torch.logsumexp(each, 1) - self.mass.log()

    @property
    def exact(self) -> Tensor:
        """log P of the eight levels."""
        edges = self.below(torch.arange(9).double())
        return ((edges[1:] - edges[:-1]) / self.mass).log()


MODEL = Logistics(*torch.tensor([[2.3, 6.1], [0.45, 0.3], [0.6, 0.4]]).double())
LEVELS = torch.arange(8).double()


class Given:
    """A source that gives the same numbers to every row of a grid, so that means over them are integrals."""

    def __init__(self, numbers: Tensor) -> None:
        self.numbers = numbers

    def normal(self, n: int, *event: int) -> Tensor:
        return self.numbers.repeat(n * math.prod(event) // self.numbers.numel()).reshape(n, *event)

    uniform = normal

    def integers(self, high: int, n: int) -> Tensor:
        raise NotImplementedError

    def permutations(self, rows: int, columns: int) -> Tensor:
        raise NotImplementedError


def expected(law: Dequantised, nodes: Tensor, measure: Tensor) -> Tensor:
    """The mean log weight of the eight levels, (8,), by a rule of integration."""
    x = LEVELS.repeat_interleave(len(nodes))[:, None]
    return law.weights(x, Given(nodes)).reshape(8, len(nodes)) @ measure


def legendre(n: int = 80) -> tuple[Tensor, Tensor]:
    nodes, measure = np.polynomial.legendre.leggauss(n)
    return torch.from_numpy((nodes + 1) / 2), torch.from_numpy(measure / 2)


def hermite() -> tuple[Tensor, Tensor]:
    e = torch.linspace(-10, 10, 2001, dtype=torch.float64)
    return e, 0.01 * torch.exp(-0.5 * e.square()) / math.sqrt(2 * math.pi)


def own(x: Tensor) -> DiagonalNormal:
    """A normal law for each level."""
    return DiagonalNormal(0.4 * torch.sin(3 * x), 0.2 * torch.cos(2 * x))


def test_probabilities_of_all_levels_are_integrals_and_sum_to_one():
    u, measure = legendre()
    x = (LEVELS[:, None] + u).reshape(-1, 1)
    found = MODEL(x).exp().reshape(8, -1) @ measure
    torch.testing.assert_close(found.log(), MODEL.exact, rtol=0, atol=1e-12)
    assert float(MODEL.exact.exp().sum()) == pytest.approx(1, abs=1e-12)


def test_with_uniform_noise_the_gap_of_each_level_is_the_divergence_from_the_law_of_the_noise():
    u, measure = legendre()
    gap = MODEL.exact - expected(Dequantised(MODEL, EIGHT), u, measure)
    ends = LEVELS[:, None] + u
    density = MODEL(ends.reshape(-1, 1)).exp().reshape(8, -1)
    posterior = density / (density @ measure)[:, None]
    torch.testing.assert_close(gap, -(posterior.log() @ measure), rtol=0, atol=1e-12)
    assert float(gap.min()) > 0.01


def test_with_normal_noise_the_gap_of_each_level_is_the_divergence_from_the_law_of_the_noise():
    gap = MODEL.exact - expected(Dequantised(MODEL, EIGHT, CubeNoise(own)), *hermite())
    u = torch.linspace(0, 1, 20_001, dtype=torch.float64)[
        1:-1
    ]  # where the integrand and all its slopes vanish at both ends
    base = own(LEVELS[:, None])
    law = DiagonalNormal(base.mean[:, None], base.log_deviation[:, None])
    q = law.log_prob(u.logit()[:, None]) - (u * (1 - u)).log()
    posterior = MODEL((LEVELS[:, None] + u).reshape(-1, 1)).reshape(8, -1) - MODEL.exact[:, None]
    torch.testing.assert_close(gap, (q.exp() * (q - posterior)).sum(1) / 20_000, rtol=0, atol=1e-10)


def test_the_law_of_the_noise_itself_closes_the_gap():
    one = Logistics(*(torch.tensor([value]).double() for value in (2.3, 0.45, 1.0)))

    class Best:
        def draw(self, x, rng):
            low, high = one.below(x), one.below(x + 1)
            v = one.means + one.widths * (low + rng.uniform(*x.shape) * (high - low)).logit()
            return v - x, one(v) - one.exact[x[:, 0].long()]

    weights = Dequantised(one, EIGHT, Best()).weights(LEVELS[:, None], Noise(0, dtype=torch.float64), 20)
    torch.testing.assert_close(weights, one.exact.expand(20, 8), rtol=0, atol=1e-9)


def test_noise_that_learns_lies_between_uniform_noise_and_the_truth():
    """Beta laws, of which the uniform one is a member."""

    class Beta(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.logs = nn.Parameter(torch.zeros(8, 2).double())

        def draw(self, x, rng):
            a, b = self.logs.exp()[x[:, 0].long()].T
            law = torch.distributions.Beta(a, b)
            u = rng.uniform(*x.shape)
            return u, law.log_prob(u[:, 0])

        def law(self, u: Tensor) -> Tensor:
            a, b = self.logs.exp().T[:, :, None]
            return torch.distributions.Beta(a, b).log_prob(u).exp()

    u, measure = legendre(40)
    exact, uniform = DATA @ MODEL.exact, DATA @ expected(Dequantised(MODEL, EIGHT), u, measure)
    beta = Beta()
    descent = torch.optim.Adam(beta.parameters(), 0.05)
    x, bound = LEVELS.repeat_interleave(40)[:, None], torch.tensor(0.0)
    for _ in range(150):
        weights = Dequantised(MODEL, EIGHT, beta).weights(x, Given(u)).reshape(8, -1)
        bound = DATA @ ((beta.law(u) * weights) @ measure)
        descent.zero_grad()
        (-bound).backward()
        descent.step()
    bound = bound.detach()
    assert float(uniform) + 0.05 < float(bound) < float(exact)
    assert float(exact - bound) < 0.2 * float(exact - uniform)


def test_cube_noise_learns_past_uniform_noise():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        base = nn.Embedding(8, 2).double()
        flow = NormalisingFlow(1, "nsf", steps=1, hidden=(8,), context=1).double()
    nn.init.constant_(base.weight, 0.4)

    def of(x: Tensor) -> DiagonalNormal:
        return DiagonalNormal(*base(x[:, 0].long()).chunk(2, 1))

    law = Dequantised(MODEL, EIGHT, CubeNoise(of, flow))
    descent = torch.optim.Adam([*base.parameters(), *flow.parameters()], 0.03)
    e = torch.linspace(-6, 6, 61, dtype=torch.float64)
    measure = 0.2 * torch.exp(-0.5 * e.square()) / math.sqrt(2 * math.pi)
    for _ in range(120):
        loss = -DATA @ expected(law, e, measure)
        descent.zero_grad()
        loss.backward()
        descent.step()
    exact, uniform = DATA @ MODEL.exact, DATA @ expected(Dequantised(MODEL, EIGHT), *legendre())
    found = (DATA @ expected(law, *hermite())).detach()
    assert float(uniform) < float(found) < float(exact)
    assert float(exact - found) < 0.5 * float(exact - uniform)


@pytest.mark.parametrize("kind", [None, "maf", "nsf"])
def test_noise_of_the_plane_has_the_density_that_it_says(kind):
    flow = None if kind is None else NormalisingFlow(2, kind, steps=2, hidden=(8,), context=2).double()
    for parameter in flow.parameters() if flow else ():
        parameter.data = 0.3 * torch.randn(parameter.shape, dtype=torch.float64)
    law, e = CubeNoise(lambda x: own(x.flatten(1)), flow), torch.randn(5, 2).double()
    x = torch.randint(8, (5, 1, 2)).double()

    for k in range(5):

        def drawn(e: Tensor, k: int = k) -> Tensor:
            return law.draw(x[k, None], Given(e))[0].reshape(2)

        u, found = law.draw(x[k, None], Given(e[k]))
        assert u.shape == (1, 1, 2)
        assert ((u > 0) & (u < 1)).all()
        volume = torch.linalg.slogdet(torch.autograd.functional.jacobian(drawn, e[k])).logabsdet
        wanted = torch.distributions.Normal(0.0, 1.0).log_prob(e[k]).sum() - volume
        torch.testing.assert_close(found[0], wanted, rtol=0, atol=1e-10)


def test_more_draws_close_the_gap_of_uniform_noise_like_half_the_variance_over_their_number():
    u, measure = legendre()
    level, rows = torch.tensor([[4.0]]).double(), 100_000
    ratio = (MODEL(level + u[:, None])).exp() / MODEL.exact[4].exp()
    variance = float(ratio.square() @ measure) - 1
    law, gaps = Dequantised(MODEL, EIGHT), []
    for draws in (1, 4, 16):
        found = law.importance_weighted(level.expand(rows, 1), Noise(draws, dtype=torch.float64), draws)
        gaps.append(float(MODEL.exact[4] - found.mean()))
    assert gaps[0] > gaps[1] > gaps[2] > 0
    assert 16 * gaps[2] == pytest.approx(variance / 2, rel=0.15)
    bound = law.bound(level.expand(rows, 1), Noise(5, dtype=torch.float64), 3)
    assert float(MODEL.exact[4] - bound.mean()) == pytest.approx(gaps[0], rel=0.05)


@pytest.mark.parametrize("units", PREPROCESSINGS)
def test_pixels_without_any_order_cost_eight_bits_in_all_units(units):
    """The law that levels at random have in a model's units: flat on an interval, or logistic on the line."""
    data = Levels(256, -1.0, 1.0)
    x = data.value(torch.randint(256, (20, 1, 3, 4)).double())

    def flat(t: Tensor) -> Tensor:
        if isinstance(units, Affine):
            return t.new_full((len(t),), -12 * math.log(units.high - units.low))
        logistic = nn.functional.logsigmoid(t) + nn.functional.logsigmoid(-t) - math.log(1 - 2 * units.lam)
        return logistic.flatten(1).sum(1)

    law = Dequantised(Preprocessed(flat, units), data)
    eight = torch.full((20,), 8.0).double()
    found = bits_per_dimension(law.bound(x, Noise(0, dtype=torch.float64)), 12)
    torch.testing.assert_close(found, eight, rtol=0, atol=1e-9)
    t, volume = units(data.index(x) + 0.3)
    torch.testing.assert_close(bits_per_dimension(flat(t), 12, volume), eight, rtol=0, atol=1e-9)


@pytest.mark.parametrize("units", PREPROCESSINGS)
def test_preprocessing_has_the_volume_of_its_slope_and_an_inverse(units):
    x = (256 * torch.rand(6, 2, 3).double()).requires_grad_()
    t, volume = units(x)
    (slope,) = torch.autograd.grad(t.sum(), x)
    torch.testing.assert_close(volume, slope.log().flatten(1).sum(1), rtol=0, atol=1e-10)
    torch.testing.assert_close(units.inverse(t), x, rtol=0, atol=1e-9)


def test_bits_are_those_of_the_published_formulas():
    """Of a density on [0, K), on [0, 1), and of logits."""
    m, x = 6, 256 * torch.rand(9, 6).double()
    log_prob, one, lam = torch.randn(9).double(), m * math.log(2), 0.05
    torch.testing.assert_close(bits_per_dimension(log_prob, m), -log_prob / one)
    _, volume = Affine(256, 0.0, 1.0)(x)
    wanted = -(log_prob - m * math.log(256)) / one
    torch.testing.assert_close(bits_per_dimension(log_prob, m, volume), wanted, rtol=0, atol=1e-12)
    t, volume = Logit(256, lam)(x)
    slopes = (t.sigmoid().log2() + (1 - t.sigmoid()).log2()).mean(1)
    wanted = -log_prob / one - math.log2(1 - 2 * lam) + math.log2(256) + slopes
    torch.testing.assert_close(bits_per_dimension(log_prob, m, volume), wanted, rtol=0, atol=1e-12)


def test_in_single_precision_a_level_and_its_noise_stay_within_the_level():
    seen = list[Tensor]()

    def density(x: Tensor) -> Tensor:
        seen.append(x)
        return x.sum(1)

    levels, almost = Levels(256, 0.0, 255.0), torch.tensor([1 - 2**-24])
    x = torch.tensor([[0.0], [1.0], [255.0]])
    assert float(x[2] + almost) == 256
    Dequantised(density, levels).weights(x, Given(almost))
    assert torch.equal(seen[0].floor(), x)
    t, volume = Logit(256)(seen[0])
    assert t.isfinite().all()
    assert volume.isfinite().all()


def test_points_are_cut_to_the_levels_that_they_lie_in():
    law = Dequantised(MODEL, Levels(3, -1.0, 1.0), UniformNoise())
    points = torch.tensor([[-0.4, 0.0, 0.99, 1.0, 2.7, 3.2]])
    assert law.cut(points).tolist() == [[-1.0, -1.0, -1.0, 0.0, 1.0, 1.0]]


@pytest.mark.parametrize(
    ("made", "error", "said"),
    [
        (lambda: Dequantised(MODEL, EIGHT).weights(LEVELS[:, None], Noise(0), 0), UsageError, "0 draws"),
        (lambda: Dequantised(MODEL, EIGHT).weights(torch.tensor([[0.5]]), Noise(0)), DataError, "such as 0.5"),
        (lambda: CubeNoise(own).draw(torch.zeros(2, 3, 4), Noise(0)), UsageError, "2 rows of 12 numbers"),
        (lambda: Affine(256, 1.0, 1.0), UsageError, "onto 1 to 1"),
        (lambda: Logit(256, 0.0), UsageError, "lam 0"),
        (lambda: Logit(1), UsageError, "1 levels"),
        (lambda: bits_per_dimension(torch.zeros(2), 0), UsageError, "0 numbers"),
    ],
)
def test_what_cannot_be_is_refused(made, error, said):
    with pytest.raises(error, match=said):
        made()
