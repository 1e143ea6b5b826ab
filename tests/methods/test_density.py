"""Maximum likelihood: entropies that are reached, densities that integrate to one, classes, rounded numbers, blocks."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torch.optim import Adam

from pushforward.data import Batches
from pushforward.densities.flows import FlowDensity, NormalisingFlow, Whitened
from pushforward.errors import UsageError
from pushforward.methods import density as module
from pushforward.methods.density import MaximumLikelihood, flow_law
from pushforward.randomness import Noise, seeded
from pushforward.settings.densities import Flow
from pushforward.training.facts import terms_of
from pushforward.training.learner import Learner
from pushforward.training.schedule import cosine
from pushforward.types import Likely, able

ENTROPY = 1 + math.log(2 * math.pi)  # of a standard normal law of the plane
MEAN, ROOT = torch.tensor([0.5, -1.0]), torch.tensor([[1.0, 0.0], [0.8, 0.5]])


def learned(
    law: nn.Module, batches: Iterable[Tensor | tuple[Tensor, Tensor]], steps: int, rate: float = 1e-2, **more: Tensor
) -> MaximumLikelihood:
    learner = Learner(law, partial(Adam, lr=rate, betas=(0.9, 0.99)), ema=0.98, schedule=cosine(steps, 1e-3))
    method = MaximumLikelihood(learner, Noise(0), **more)
    for _ in zip(range(steps), method.learn(batches), strict=False):
        pass
    return method


def affine(context: int = 0) -> FlowDensity:
    with seeded(0):
        return FlowDensity(NormalisingFlow(2, "maf", steps=1, hidden=(16,), context=context))


def gaussian(n: int, seed: int) -> Tensor:
    return MEAN + Noise(seed).normal(n, 2) @ ROOT.T


def test_one_affine_step_on_a_normal_law_reaches_its_entropy():
    x, new = gaussian(20_000, 0), gaussian(20_000, 1)
    method = learned(affine(), Batches(x, 1000, seed=0), 400)
    exact = torch.distributions.MultivariateNormal(MEAN, scale_tril=ROOT).log_prob(new)
    with torch.no_grad():
        found = method.log_prob(new)
    assert float((exact - found).mean()) == pytest.approx(0, abs=0.01)  # KL(p|q), without the noise of the entropy
    entropy = ENTROPY + math.log(0.5)
    assert float(-found.mean()) == pytest.approx(entropy, abs=4 / math.sqrt(len(new)) + 0.01)
    assert float((exact - found).abs().mean()) < 0.1
    drawn = method.sample(20_000, Noise(2))
    torch.testing.assert_close(torch.cov(drawn.T), ROOT @ ROOT.T, rtol=0, atol=0.06)


def test_the_loss_is_the_negative_log_likelihood_of_the_batch_and_has_a_term():
    method, x = MaximumLikelihood(Learner(affine(), partial(Adam, lr=1e-3)), Noise(0)), gaussian(50, 0)
    law = method.law.net
    assert isinstance(law, FlowDensity)
    expected = -law.log_prob(x).mean().detach()
    logs = method.step(x)
    assert set(logs) == {"nll"}
    torch.testing.assert_close(logs["nll"], expected)
    assert "Healthy:" in terms_of(method)["nll"].reading
    assert able(method, Likely)


@pytest.mark.parametrize("flow", ["maf", "nsf", "realnvp"])
def test_a_learned_density_integrates_to_one_and_is_that_of_its_samples(flow):
    angle = 2 * math.pi * Noise(0).uniform(4000, 1)
    ring = torch.cat([angle.cos(), angle.sin()], 1) * 1.2 + 0.1 * Noise(1).normal(4000, 2)
    with seeded(0):
        law = flow_law(Flow(flow, 3, 32, 2), 2, rows=ring)
    method = learned(law, Batches(ring, 256, seed=0), 150, 5e-3)
    line = torch.linspace(-6, 6, 601)
    grid = torch.cartesian_prod(line, line)
    with torch.no_grad():
        q = method.log_prob(grid).double().exp()
    assert float(q.sum()) * 0.02**2 == pytest.approx(1, abs=0.01)
    inside = grid.norm(dim=1) < 0.9
    drawn = method.sample(10_000, Noise(3))
    share = float((drawn.norm(dim=1) < 0.9).double().mean())
    assert share == pytest.approx(float(q[inside].sum()) * 0.02**2, abs=0.02)
    with torch.no_grad():
        assert float(method.log_prob(ring).mean()) > -ENTROPY - math.log(0.9)  # better than the normal law by far


# Classes


def two_sides(n: int, seed: int) -> tuple[Tensor, Tensor]:
    y = (Noise(seed).uniform(n) < 0.3).long()
    return Noise(seed + 1).normal(n, 2) + torch.stack([4.0 * y - 2, 0.0 * y], 1), y


def test_a_conditional_density_is_that_of_the_class_and_its_mixture_that_of_all():
    x, y = two_sides(6000, 0)
    prior = torch.tensor([0.7, 0.3])
    method = learned(affine(context=2), Batches(x, 500, seed=0, labels=y), 300, prior=prior)
    new, of = two_sides(3000, 5)
    normal = torch.distributions.Normal(0.0, 1.0)

    def exact(k: Tensor) -> Tensor:
        return normal.log_prob(new - torch.stack([4.0 * k - 2, 0.0 * k], 1)).sum(1)

    both = [exact(torch.full_like(of, k)) + math.log(share) for k, share in enumerate((0.7, 0.3))]
    with torch.no_grad():
        assert float((exact(of) - method.log_prob(new, of)).mean()) == pytest.approx(0, abs=0.03)
        assert float((torch.stack(both).logsumexp(0) - method.log_prob(new)).mean()) == pytest.approx(0, abs=0.03)
        each = torch.stack([method.log_prob(new, torch.full_like(of, k)) for k in (0, 1)])
        torch.testing.assert_close((each + prior.log()[:, None]).logsumexp(0), method.log_prob(new))
    drawn = method.sample(2000, Noise(7))  # by frequency
    assert float((drawn[:, 0] > 0).double().mean()) == pytest.approx(0.3 * 0.977 + 0.7 * 0.023, abs=0.05)
    assert float((method.sample(500, Noise(8), torch.ones(500).long())[:, 0] > 0).double().mean()) > 0.9


def test_a_conditional_law_asks_for_classes_and_a_module_without_a_density_is_refused():
    method = MaximumLikelihood(Learner(affine(2), partial(Adam, lr=1e-3)), Noise(0), prior=torch.tensor([0.5, 0.5]))
    with pytest.raises(UsageError, match=r"give batches of \(rows, labels\)"):
        method.step(gaussian(5, 0))
    with pytest.raises(UsageError, match=r"Linear has none: give one of pushforward\.densities"):
        MaximumLikelihood(Learner(nn.Linear(2, 2), partial(Adam, lr=1e-3)), Noise(0))


# Rounded numbers


def test_rounded_numbers_are_learned_as_the_cells_they_stand_for():
    """Of a fair coin on {0, 1} in cells of width 1 the best density is 1/2 on [-1/2, 3/2]: the loss is log 2."""
    coins = (Noise(0).uniform(4000, 2) < 0.5).float()
    cells = torch.tensor([1.0, 0.0])
    x = torch.stack([coins[:, 0], Noise(1).normal(4000, 1)[:, 0]], 1)
    with seeded(0):
        law = flow_law(Flow("nsf", 3, 32, 2, 16), 2, rows=x)
    method = learned(law, Batches(x, 500, seed=0), 300, 5e-3, cells=cells)
    with torch.no_grad():
        found = float(-method.log_prob(x).mean())
    assert found == pytest.approx(math.log(2) + ENTROPY / 2, abs=0.06)


def test_a_density_of_rounded_numbers_is_a_mean_over_their_cells():
    """Of a law that is linear in the logarithm it is, on average over rows, that at the middle: noise has mean 0."""

    class Slope(nn.Module):
        def log_prob(self, z, context=None):
            return self.rise * z.sum(-1)

        forward = log_prob

        def sample(self, n, rng, context=None):
            return rng.normal(n, 2)

    slope = Slope()
    slope.rise = nn.Parameter(torch.tensor(3.0))
    x = torch.arange(3000.0)[:, None].expand(-1, 2) % 50 / 7 + torch.linspace(0, 1, 3000)[:, None]
    method = MaximumLikelihood(Learner(slope, partial(Adam, lr=0.0)), Noise(0), torch.tensor([1.0, 0.0]))
    with torch.no_grad():
        error = method.log_prob(x) - 3 * x.sum(1)
    assert abs(float(error.mean())) < 4 * float(error.std()) / math.sqrt(len(x))
    assert float(error.std()) < 0.5 * 3 * math.sqrt(1 / 12 / 8)  # eight even places are better than eight drawn ones
    assert float(error.std()) > 0.01
    assert torch.allclose(method.log_prob(x).flip(0), method.log_prob(x.flip(0)))
    assert method.score(x, None, Noise(1)) != method.score(x, None, Noise(2))


def test_densities_come_in_blocks_and_far_rows_have_none(monkeypatch):
    method = learned(affine(), Batches(gaussian(500, 0), 100, seed=0), 5)
    x = gaussian(100, 3)
    with torch.no_grad():
        whole = method.log_prob(x)
        monkeypatch.setattr(module, "ROWS", 7)
        torch.testing.assert_close(method.log_prob(x), whole)
        assert method.log_prob(x[:0]).shape == (0,)
        far = method.log_prob(torch.tensor([[1e38, -1e38], [1e20, 3.0], [100.0, 100.0]]))
    assert not far.isnan().any()
    assert far[0] == far[1] == -math.inf
    assert math.isfinite(far[2])


def test_the_average_answers_and_not_the_net_that_learns():
    method = learned(affine(), Batches(gaussian(500, 0), 100, seed=0), 5)
    before = method.log_prob(gaussian(20, 3)).detach()
    for parameter in method.law.net.parameters():
        parameter.data += 1
    torch.testing.assert_close(method.log_prob(gaussian(20, 3)).detach(), before)
    for parameter in method.law.sampler.parameters():
        parameter.data += 0.1
    assert not torch.allclose(method.log_prob(gaussian(20, 3)).detach(), before)


def test_a_whitened_law_needs_no_rows_to_be_filled_from_a_file():
    made = flow_law(Flow("maf", 2, 8, 1), 3, rows=Noise(0).normal(50, 3))
    empty = flow_law(Flow("maf", 2, 8, 1), 3)
    assert isinstance(made, Whitened)
    empty.load_state_dict(made.state_dict())
    torch.testing.assert_close(empty(torch.ones(4, 3)), made(torch.ones(4, 3)))
    assert not isinstance(flow_law(Flow(whiten=False), 3), Whitened)
