"""The Lipschitz-regularised flow of particles, against closed forms and floors of fresh samples.

Shifted Gaussians under D_KL^{Lip_1} are translated: the gap falls at speed 1 while it exceeds 1, then like e^{-t}.
"""

from __future__ import annotations

import math
from functools import partial
from itertools import repeat

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.optim import Adam

from pushforward.data.toys.plane import moons
from pushforward.divergences import KL_LIP, W1, Divergence, alpha_lip
from pushforward.flows.critic import CriticFlow
from pushforward.methods.particles.driver import Particles
from pushforward.methods.particles.stopping import Until
from pushforward.metrics.quality.transport import wasserstein
from pushforward.nets import lipschitz
from pushforward.randomness import Noise
from pushforward.training.learner import Learner

HARD = ("bjorck", "spectral", "reference")


def normal(n: int, seed: int, mean: float = 0.0, deviation: float = 1.0, dim: int = 2) -> Tensor:
    return mean + deviation * torch.randn(n, dim, generator=torch.Generator().manual_seed(seed))


def lipschitz_flow(mode: str = "bjorck", divergence: Divergence = KL_LIP, steps: int = 5, **net) -> CriticFlow:
    torch.manual_seed(0)
    critic = lipschitz.critic(2, mode=mode, **net)  # type: ignore[arg-type]
    return CriticFlow(Learner(critic, partial(Adam, lr=5e-3, betas=(0.5, 0.999), fused=True)), divergence, steps=steps)


def go(method: Particles, p: object, steps: int) -> list[dict[str, Tensor]]:
    return [logs for _, logs in zip(range(steps), method.learn(repeat(p)))]  # type: ignore[arg-type]


@pytest.mark.slow
def test_a_gaussian_is_translated_at_the_speed_of_the_closed_form():
    p = normal(200, 1)
    q = normal(200, 2) + torch.tensor([6.0, 0.0])
    first = q.mean(0) - p.mean(0)
    method = Particles(lipschitz_flow(), q, 0.1, Noise(0), warmup=100, diagnose=1)
    worst, straight = 0.0, float(first.norm()) - 1
    for k, logs in zip(range(120), method.learn(repeat(p))):
        t = 0.1 * (k + 1)
        gap = float(first.norm()) - t if t < straight else math.exp(straight - t)
        worst = max(worst, float((method.particles.mean(0) - p.mean(0) - first / first.norm() * gap).norm()))
        assert float(logs["slope"]) <= 1.001
        assert float(logs["certificate"]) <= 1.001
        assert float(logs["fastest"]) <= 1.001
    assert worst < 0.15
    assert float(logs["residual"]) < 0.1
    assert bool(((method.particles.std(0) / p.std(0) > 0.85) & (method.particles.std(0) / p.std(0) < 1.15)).all())
    assert float(logs["ess"]) > 190  # the data carry the mass evenly: it has arrived


@pytest.mark.parametrize("mode", HARD)
@pytest.mark.parametrize("slope", [0.5, 4.0])
def test_no_particle_outruns_the_critic_s_slope(mode, slope):
    method = Particles(lipschitz_flow(mode, slope=slope), normal(50, 2, 3.0), 0.1, Noise(0), warmup=20, diagnose=1)
    before = method.particles
    logs = go(method, normal(50, 1), 20)
    assert max(float(each["slope"]) for each in logs) <= 1.001 * slope
    assert max(float(each["certificate"]) for each in logs) <= 1.001 * slope
    assert float((method.particles - before).norm(dim=1).max()) <= 1.001 * slope * 20 * 0.1


@pytest.mark.parametrize("divergence", [KL_LIP, alpha_lip(2), alpha_lip(10), W1], ids=str)
def test_two_far_points_meet_at_full_speed_whatever_the_divergence(divergence):
    """Between Diracs D = L |a - b| for every f, and the path is straight at speed L."""
    method = Particles(lipschitz_flow(divergence=divergence), torch.full((1, 2), 3.0), 0.1, Noise(0), warmup=60)
    logs = go(method, torch.zeros(1, 2), 20)
    assert float(logs[0]["divergence"]) == pytest.approx(3 * 2**0.5, rel=0.02)
    assert float(method.particles.norm()) == pytest.approx(3 * 2**0.5 - 2.0, abs=0.05)
    torch.testing.assert_close(method.particles[0, 0], method.particles[0, 1], rtol=0, atol=0.1)


def test_a_cold_critic_looks_like_convergence_and_a_warm_one_does_not():
    first = [
        float(go(Particles(lipschitz_flow(), normal(100, 2, 5.0), 0.1, Noise(0), warmup=w), normal(100, 1), 1)[0][key])
        for w, key in ((0, "divergence"), (60, "divergence"))
    ]
    assert first[1] > 6.0 > first[0]


def floor(p: Tensor, seeds: range, draw) -> float:
    return sum(wasserstein(draw(seed), p) for seed in seeds) / len(seeds)


@pytest.mark.slow
def test_the_published_gaussian_run_ends_at_the_floor_of_two_fresh_samples():
    """N(10, .5²) -> N(0, 1), 200 points each: D near 0 soon after arrival, W2 within reach of two fresh samples.

    One run ends between .8 and 1.35 of the floor, as the rounding of the processor has it: the mean of four is told.
    """
    ratios = []
    for seed in (1, 21, 41, 61):
        p = normal(200, seed)
        method = Particles(lipschitz_flow("bjorck", steps=3), normal(200, seed + 1, 10.0, 0.5), 0.5, Noise(0),
                           warmup=100, schedule=lambda k: 1.0 if k < 60 else 0.2,
                           until=Until(kinetic=1e-2))  # fmt: skip
        logs = go(method, p, 300)
        ratios.append(wasserstein(method.particles, p) / floor(p, range(5, 8), lambda seed: normal(200, seed)))
        assert float((method.particles.mean(0) - p.mean(0)).norm()) < 0.1
        assert max(float(each["fastest"]) for each in logs) <= 1.001
        assert "kinetic energy" in method.stopped
    assert np.mean(ratios) < 1.2


def corners(n: int, seed: int) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    return 4.0 * torch.randint(2, (n, 2), generator=rng) + 0.5 * torch.randn(n, 2, generator=rng)


CENTRES = torch.tensor([[0.0, 0.0], [0.0, 4.0], [4.0, 0.0], [4.0, 4.0]])


def shares(x: Tensor) -> Tensor:
    return torch.bincount(torch.cdist(x, CENTRES).argmin(1), minlength=4) / len(x)


def from_one_corner(slope: float, p: Tensor) -> tuple[Particles, dict[str, Tensor]]:
    method = Particles(lipschitz_flow(slope=slope), normal(200, 2, 0.0, 0.5), 0.2 / slope, Noise(0), warmup=60,
                       schedule=lambda k: 1.0 if k < 100 else 0.2, diagnose=0)  # fmt: skip
    return method, go(method, p, 140)[-1]


def test_a_gentle_critic_fills_four_modes_in_the_data_s_shares_from_one_of_them():
    p = corners(200, 1)
    method, _ = from_one_corner(0.1, p)
    assert float((shares(method.particles) - shares(p)).abs().max()) < 0.025
    assert wasserstein(method.particles, p) < floor(p, range(5, 8), lambda seed: corners(200, seed))


def test_a_steep_critic_reweighs_instead_and_the_particles_stay():
    """Carrying a share over 4 units costs 4 L, giving it too much weight only a logarithm: with L = 1 that is cheaper.

    So the flow comes to rest with D near sum s log(s / share), s the shares of the particles, and modes too full.
    """
    p = corners(200, 1)
    method, logs = from_one_corner(1.0, p)
    s = shares(method.particles)
    assert float((s - shares(p)).max()) > 0.2
    assert float(logs["kinetic"]) < 0.05 * 0.5
    assert float(logs["divergence"]) == pytest.approx(float((s * (s / shares(p)).log()).sum()), rel=0.25)


@pytest.mark.slow
def test_unseen_points_are_carried_as_close_to_fresh_data_as_the_particles_that_were_trained():
    source = partial(normal, 1000, mean=0.5, deviation=0.7)
    p, fresh, *others = (moons(1000, np.random.default_rng(seed)) for seed in (1, 9, 11, 12, 13))
    method = Particles(lipschitz_flow(slope=0.1, steps=3), source(2), 1.0, Noise(0), warmup=60,
                       record=True, diagnose=0, schedule=lambda k: 1.0 if k < 60 else 0.3)  # fmt: skip
    go(method, p, 90)
    trained, unseen = wasserstein(method.particles, fresh), wasserstein(method.transport(source(7)), fresh)
    assert unseen < 1.3 * trained
    assert trained < 1.6 * sum(wasserstein(x, fresh) for x in others) / 3
    assert wasserstein(source(7), fresh) > 3 * unseen
