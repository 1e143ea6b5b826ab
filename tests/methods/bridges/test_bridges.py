"""Score models and two-stage bridges whose denoiser is exact: their laws, their settings, and what they refuse."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial

import pytest
import torch
from torch import nn
from torch.optim import Adam

from pushforward.densities.mixture import Mixture
from pushforward.dynamics.bridges import GaussianBridge, MixtureFollmer
from pushforward.errors import UsageError
from pushforward.methods.bridges.diffusion import Diffusion, ScoreSampling, guided
from pushforward.methods.bridges.two_stages import Bridge, BridgeSampling
from pushforward.nets.timed.mlp import perceptron
from pushforward.nets.timed.preconditioned import Preconditioned
from pushforward.randomness import Noise
from pushforward.training.learner import Learner
from pushforward.types import Denoises, HasEnergy, Likely, Method, Pathways, Sparing, TakesSettings, able

MEAN, SPREAD = torch.tensor([0.5, -1.0]), 0.8
MIXTURE = Mixture.of([[-0.3, -1.6], [1.3, -0.4]], sigma=math.sqrt(SPREAD**2 - 0.5))


class Nothing(nn.Module):
    """F = 0: the denoiser is that of N(m, spread^2 I), exactly."""

    def __init__(self, classes: int = 0) -> None:
        super().__init__()
        self.classes = classes
        self.weight = nn.Parameter(torch.zeros(()))

    def forward(self, x, c, labels=None):
        return self.weight * x


class Known(nn.Module):
    """F for which D is the exact denoiser of a mixture, in the units that a preconditioned net gives it."""

    def __init__(self, mixture: Mixture) -> None:
        super().__init__()
        self.classes, self.law = 0, MixtureFollmer.of(mixture, tau=8.0, sigma=2.0)
        self.weight = nn.Parameter(torch.zeros(()))

    def forward(self, x, c):
        s = SPREAD * torch.exp(4 * c)
        r = torch.hypot(s, torch.tensor(SPREAD))[:, None]
        clean = self.law.denoised(MEAN + r * x, s)
        return (clean - MEAN - (SPREAD / r) ** 2 * r * x) * r / (s[:, None] * SPREAD)


def diffusion(net: nn.Module | None = None, **settings) -> Diffusion:
    made = Preconditioned(net or Nothing(), MEAN, torch.tensor(SPREAD))
    return Diffusion(Learner(made, partial(Adam, lr=1e-3)), Noise(0), **settings)


def bridge(net: nn.Module | None = None, ratio: bool = False, **settings) -> Bridge:
    classifier = Learner(nn.Sequential(nn.Linear(2, 1), nn.Flatten(0)), partial(Adam, lr=1e-3)) if ratio else None
    return Bridge(diffusion(net), 8.0, 2.0, classifier, BridgeSampling(**settings))


SAMPLERS = ["multistep", "heun", "churn", "exponential", "stochastic_heun", "euler_maruyama", "predictor_corrector"]


def moments(x: torch.Tensor) -> tuple[float, float]:
    """The largest errors of mean and of covariance, in units of the spread and of its square."""
    mean, cov = (x.mean(0) - MEAN).abs().max() / SPREAD, torch.cov(x.T) - SPREAD**2 * torch.eye(2)
    return float(mean), float(cov.abs().max()) / SPREAD**2


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_of_a_score_model_ends_at_the_normal_law_that_its_denoiser_knows(sampler):
    model = diffusion(sampling=ScoreSampling(sampler, steps=120, low=0.02))
    mean, cov = moments(model.sample(20_000, Noise(1)))
    assert mean < 0.05
    assert cov < (0.12 if sampler in ("predictor_corrector", "euler_maruyama") else 0.06)


@pytest.mark.parametrize("second", SAMPLERS)
@pytest.mark.parametrize("first", ["exponential", "euler_maruyama", "stochastic_heun"])
def test_every_pair_of_stages_ends_at_the_normal_law_that_the_denoiser_knows(first, second):
    model = bridge(first=first, second=second, first_steps=30, second_steps=80, low=0.02)
    mean, cov = moments(model.sample(10_000, Noise(1)))
    assert mean < 0.06
    assert cov < (0.14 if second in ("predictor_corrector", "euler_maruyama") else 0.09)


def test_thirty_five_calls_find_both_modes_as_wide_as_they_are():
    model = bridge(Known(MIXTURE))
    x = model.sample(20_000, Noise(2))
    assert model.calls == 35
    near = torch.cdist(x.double(), MIXTURE.means).argmin(1)
    for k in range(2):
        mode = x[near == k].double()
        assert len(mode) / len(x) == pytest.approx(0.5, abs=0.02)
        fresh = MIXTURE.sample(40_000, torch.Generator().manual_seed(1)).double()
        fresh = fresh[torch.cdist(fresh, MIXTURE.means).argmin(1) == k]
        torch.testing.assert_close(mode.mean(0), fresh.mean(0), rtol=0, atol=0.02)
        torch.testing.assert_close(torch.cov(mode.T), torch.cov(fresh.T), rtol=0.08, atol=0.008)


def test_the_law_between_the_stages_is_the_smoothed_data():
    model = bridge(first_steps=400)
    times, path = model.paths(20_000, Noise(3))
    assert (times[0], times[400], times[-1]) == (0.0, 1.0, 2.0)
    assert torch.equal(path[0], MEAN.expand(20_000, 2))
    middle = torch.cov(path[400].T) / (SPREAD**2 * 5)  # 1 + sigma^2 = 5
    torch.testing.assert_close(middle, torch.eye(2), rtol=0, atol=0.05)


def test_stage_one_of_a_normal_law_is_the_gaussian_bridge_from_a_point():
    model, x = bridge(), torch.randn(50, 2, generator=torch.Generator().manual_seed(0))
    exact = GaussianBridge.from_point(
        MEAN.double(), MEAN.double(), 5 * SPREAD**2 * torch.eye(2, dtype=torch.float64), tau=8 * SPREAD**2
    )
    for t in (0.1, 0.5, 0.9):
        torch.testing.assert_close(model.first().drift(x, t).double(), exact(x.double(), t), rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("second", ["multistep", "churn", "exponential"])
def test_the_drift_at_a_time_of_the_paths_is_that_of_the_law_there(second):
    model = bridge(second=second, second_steps=60, first_steps=60)
    times, path = model.paths(4_000, Noise(3))
    for k in (20, 40, 70, 100):
        t, x = times[k], path[k].double()
        wide = 5 * t**2 + 8 * t * (1 - t) if t < 1 else 1 + 4 * (2 - t)  # of N(m, wide I) in units of the spread
        assert float((x - MEAN).square().mean()) / SPREAD**2 == pytest.approx(wide, rel=0.1)
        pull = (5 - 8) / (8 + t * (5 - 8)) if t < 1 else -4 / wide
        torch.testing.assert_close(model.drift(path[k], t, Noise(0)).double(), pull * (x - MEAN), rtol=1e-3, atol=1e-4)
    with pytest.raises(UsageError, match="below 2"):
        model.drift(path[-1], 2.0, Noise(0))


def test_the_energy_of_stage_one_is_twice_tau_times_the_divergence_from_noise():
    spent, wanted = bridge().energies(4_000, Noise(1), steps=200)
    exact = 2 * 8 * 2 * 0.5 * (5 / 8 - 1 - math.log(5 / 8))  # 2 tau KL(N(0, 5 I) || N(0, 8 I)) in the plane
    assert wanted == pytest.approx(exact, rel=0.04)  # both are means over samples
    assert spent == pytest.approx(exact, rel=0.04)
    assert wanted == pytest.approx(spent, rel=0.01)  # and over the same ones
    spent, wanted = bridge(Known(MIXTURE)).energies(4_000, Noise(1), steps=200)
    assert spent == pytest.approx(wanted, rel=0.01)
    assert abs(wanted - exact) > 0.02 * exact  # and it is no longer that of the normal law


def test_log_densities_are_those_of_the_exact_law():
    x = MIXTURE.sample(200, torch.Generator().manual_seed(0))
    found = diffusion(Known(MIXTURE)).log_prob(x)
    torch.testing.assert_close(found.double(), MIXTURE.log_prob(x), rtol=0, atol=2e-3)
    assert torch.equal(found, bridge(Known(MIXTURE)).log_prob(x))


def test_rounded_data_have_the_density_of_what_is_spread_over_their_cells():
    law = torch.distributions.Normal(MEAN, SPREAD)
    x, cell = MEAN + 0.25 * torch.arange(-3.0, 4)[:, None].expand(7, 2), 0.25
    model = diffusion(cell=torch.tensor(cell))
    drawn = torch.stack([model.log_prob(x)])[0]
    around = torch.stack([law.log_prob(x + shift).sum(1) for shift in (-cell / 2, cell / 2)])
    slack = (around[0] - around[1]).abs() + 0.15
    assert bool(((drawn - law.log_prob(x).sum(1)).abs() <= slack).all())
    assert torch.equal(drawn, model.log_prob(x))  # the same points of the cells at every call


def test_a_net_that_knows_the_levels_pays_about_their_entropy():
    """Two numbers on 17 levels, by the exact denoiser of the levels: the bound is within a tenth of a bit."""
    k = torch.arange(17.0)
    log_share = torch.distributions.Binomial(16, torch.tensor(0.4)).log_prob(k)
    cell, levels = 0.125, k / 8 - 1
    places, weights = torch.cartesian_prod(levels, levels), torch.cartesian_prod(log_share, log_share).sum(1)
    mean = (weights.exp()[:, None] * places).sum(0)
    spread = float((weights.exp() @ (places - mean).square()).mean().sqrt())

    def denoiser(y, s):
        s = torch.as_tensor(s).reshape(-1, 1)
        share = (weights - 0.5 * torch.cdist(y, places).square() / s.square()).softmax(1)
        return share @ places

    class Combed(nn.Module):
        classes, drop = 0, 0.0

        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(()))

        def forward(self, x, c):
            s = spread * torch.exp(4 * c)
            r = torch.hypot(s, torch.tensor(spread))[:, None]
            clean = denoiser(mean + r * x, s)
            return (clean - mean - (spread / r) ** 2 * r * x) * r / (s[:, None] * spread)

    net = Preconditioned(Combed(), mean, torch.tensor(spread))
    model = Diffusion(Learner(net, partial(Adam, lr=1e-3)), Noise(0), cell=torch.tensor(cell))
    found = model.log_prob(places).double()
    bits = -float((weights.exp().double() * (found + 2 * math.log(cell))).sum()) / (2 * math.log(2))
    entropy = -float((log_share.exp() * log_share).sum()) / math.log(2)
    assert entropy < bits < entropy + 0.1


def test_what_the_methods_can_do_is_declared():
    for model in (diffusion(), bridge()):
        for capability in (Method, Denoises, Likely, Sparing, TakesSettings):
            assert able(model, capability)
        for capability in (Pathways, HasEnergy):
            assert able(model, capability) == isinstance(model, Bridge)
    levels = diffusion().levels(10)
    assert (len(levels), levels[0], levels[-1]) == (11, pytest.approx(40 * SPREAD), 0.0)


def test_guidance_leads_beyond_the_class_and_zero_leaves_it():
    net = Preconditioned(perceptron(2, width=8, classes=3), MEAN, torch.tensor(SPREAD))
    nn.init.normal_(net.net.last.weight, generator=torch.Generator().manual_seed(0))
    learner, y = Learner(net, partial(Adam, lr=1e-3)), torch.randn(6, 2, generator=torch.Generator().manual_seed(1))
    k = torch.tensor([0, 1, 2, 0, 1, 2])
    with torch.no_grad():
        own, common = net(y, torch.full((6,), 0.7), k), net(y, torch.full((6,), 0.7), torch.full_like(k, 3))
    assert not torch.allclose(own, common)
    torch.testing.assert_close(guided(learner, k)(y, 0.7), own)
    torch.testing.assert_close(guided(learner, k, 1.5)(y, 0.7), own + 1.5 * (own - common))
    torch.testing.assert_close(guided(learner)(y, 0.7), common)


def test_classes_are_withheld_from_their_share_of_the_rows():
    seen = []

    class Listening(Nothing):
        def forward(self, x, c, labels=None):
            seen.append(labels)
            return super().forward(x, c)

    model = diffusion(Listening(4), drop=0.25)
    model.step(torch.randn(20_000, 2), torch.zeros(20_000, dtype=torch.int64))
    assert float((seen[0] == 4).double().mean()) == pytest.approx(0.25, abs=0.015)
    assert set(seen[0].tolist()) == {0, 4}


def test_monte_carlo_says_when_its_draws_do_not_count():
    model = bridge(first="euler_maruyama", form="stein", first_steps=3, draws=32)
    with pytest.raises(UsageError, match="has no ratio"):
        model.sample(4, Noise(0))
    assert model.remarks(1) == ()
    model.ratio = Learner(_steep(), partial(Adam, lr=1e-3))
    model.sample(4, Noise(0))
    assert "of 32 draws" in model.remarks(1)[0]
    assert "use the form denoiser" in model.remarks(1)[0]


def _steep() -> nn.Module:
    net = nn.Sequential(nn.Linear(2, 1), nn.Flatten(0))
    nn.init.constant_(net[0].weight, 40.0)
    return net


@pytest.mark.parametrize("form", ["autodiff", "score", "stein", "auto"])
def test_a_ratio_that_is_learned_gives_the_law_that_the_denoiser_gives(form):
    model = bridge(first="euler_maruyama", form=form, first_steps=40, second_steps=60, draws=64)

    class Exact(nn.Module):
        """log q_sigma / N(0, tau) of points about the mean in units of the spread: both laws are normal."""

        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(()))

        def forward(self, y):
            return -y.square().sum(1) / 2 * (1 / 5 - 1 / 8) + self.weight

    model.ratio = Learner(Exact(), partial(Adam, lr=1e-3))
    mean, cov = moments(model.sample(4_000, Noise(1)))
    assert mean < 0.1
    assert cov < 0.15


def test_the_ratio_is_learned_by_logistic_regression_beside_the_denoiser():
    model = bridge(ratio=True)
    data = MEAN + SPREAD * torch.randn(64, 2, generator=torch.Generator().manual_seed(0))
    logs = next(model.learn(iter([data])))
    assert set(logs) == {"denoising", "ratio"}
    assert 0.5 < float(logs["ratio"]) < 3.0


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda: Bridge(diffusion(), 4.0, 2.0), "tau must be above sigma\\^2 = 4"),
        (lambda: ScoreSampling(low=2.0, high=1.0), "below the high one"),
        (lambda: BridgeSampling(form="stein", first="euler_maruyama", draws=1), "2 or more"),
        (lambda: BridgeSampling(form="stein"), "first=euler_maruyama"),
        (lambda: guided(Learner(nn.Linear(2, 2), partial(Adam, lr=1.0))), "wrap yours in one"),
        (lambda: BridgeSampling(first_grid=(0.0, 0.6, 0.4)), "first_grid 0.0,0.6,0.4: give times that go from 0 to 1"),
        (lambda: BridgeSampling(second_grid=(0.0, 0.9)), "go from 0 to 1"),
        (lambda: BridgeSampling(first_grid=()), "go from 0 to 1"),
        (lambda: BridgeSampling(churn=50.0), "churn 50: does nothing here, give second=churn"),
        (lambda: BridgeSampling(draws=50), "draws 50"),
        (lambda: BridgeSampling(first_grid=(0.0, 1.0), first_steps=7), "first_steps 7"),
        (lambda: BridgeSampling(second_grid=(0.0, 1.0), second_steps=7), "second_steps 7"),
        (lambda: bridge(low=2.0), "low 2: stage 2 begins at sigma 2"),
        (lambda: Bridge(diffusion(), 8.0, 1e-3), "low 0.004: stage 2 begins at sigma 0.001"),
        (lambda: BridgeSampling(denoise=True), "leave it out"),
        (lambda: bridge(guidance=1.0).sample(2, Noise(0)), "guidance 1 without classes"),
        (lambda: diffusion(Nothing(3), drop=0.0).guided(torch.zeros(2).long(), 1.0), "drop 0"),
        (
            lambda: bridge(ratio=True, form="stein", first="euler_maruyama").sample(2, Noise(0), torch.zeros(2).long()),
            "knows no classes",
        ),
    ],
)
def test_what_cannot_be_is_refused_by_the_numbers(made, said):
    with pytest.raises(UsageError, match=said):
        made()


def test_calls_are_counted_as_they_are_made():
    counted = [0]

    class Counting(Nothing):
        def forward(self, x, c, labels=None):
            counted[0] += 1
            return super().forward(x, c)

    for first in ("exponential", "euler_maruyama", "stochastic_heun"):
        model, counted[0] = bridge(Counting(), first=first, first_steps=4, second="heun", second_steps=5), 0
        model.sample(3, Noise(0))
        assert counted[0] == model.calls
    for sampler in (*SAMPLERS, "annealed"):
        model, counted[0] = diffusion(Counting(), sampling=ScoreSampling(sampler, steps=5, churn=0.0)), 0
        model.sample(3, Noise(0))
        assert counted[0] == model.calls


def test_levels_for_restoring_end_where_the_second_stage_does():
    model = bridge(low=0.07)
    levels = model.levels(6)
    assert len(levels) == 7
    assert levels[0] == pytest.approx(SPREAD * model.diffusion.sampling.high)
    assert levels[-2:] == [pytest.approx(SPREAD * 0.07), 0.0]


def test_calls_count_those_of_every_form():
    assert bridge(second_steps=5, first_steps=4).calls == 8
    assert bridge(ratio=True, second_steps=5, first_steps=4, form="score", first="euler_maruyama", draws=8).calls == 37
    assert bridge(ratio=True, second_steps=5, first_steps=4, form="stein", first="euler_maruyama", draws=8).calls == 5
    assert bridge(second="euler_maruyama", second_steps=5, first_steps=4, denoise=True).calls == 9


def test_grids_of_the_users_own_are_followed():
    own = (0.0, 0.3, 0.7, 1.0)
    model = bridge(first_grid=own, second_grid=own)
    times, _ = model.paths(3, Noise(0))
    assert times == pytest.approx([*own, *(1 + t for t in own[1:])])
    model.sampling = replace(model.sampling, first_grid="tent", first_steps=6, second_grid="uniform", second_steps=5)
    times, _ = model.paths(3, Noise(0))
    assert len(times) == 12
    assert times[1] < 1 / 6
