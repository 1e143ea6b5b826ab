"""A flow with a slope-limited critic and its divergence's contrast: Huber's value, its speed, its decay."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam

from pushforward.divergences import KL_LIP, W1, alpha_lip
from pushforward.flows.critic import CriticFlow
from pushforward.oracles import Translation, dirac
from pushforward.training.learner import Learner


class Linear(nn.Module):
    """a . x with |a| below the slope."""

    def __init__(self, slope: float = 1.0) -> None:
        super().__init__()
        self.direction, self.slope = nn.Parameter(torch.tensor([0.1, 0.1])), slope

    def forward(self, x: Tensor) -> Tensor:
        return x @ (self.slope * self.direction / (1 + self.direction.square().sum()).sqrt())


class Cone(nn.Module):
    """L |x - a| about a learned place, the best critic against a Dirac."""

    def __init__(self) -> None:
        super().__init__()
        self.place = nn.Parameter(torch.tensor([0.5, 0.5]))

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.place).norm(dim=1)


def data(n: int) -> Tensor:
    x = torch.randn(n, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return torch.linalg.solve_triangular(torch.linalg.cholesky(x.T.cov(correction=0)), (x - x.mean(0)).T, upper=False).T


def flow(net: nn.Module, divergence=KL_LIP, optimiser=SGD, lr: float = 1.0, **options) -> CriticFlow:
    return CriticFlow(Learner(net.double(), partial(optimiser, lr=lr)), divergence, **options)


@pytest.mark.parametrize("gap", [0.5, 3.0])
def test_linear_critic_finds_the_huber_value_and_its_velocity_the_speed(gap):
    p, shift = data(1000), torch.tensor([gap, 0.0], dtype=torch.float64)
    critic, pair = flow(Linear(), steps=300), Translation(gap)
    v = critic.velocity(p + shift, p)(p)
    assert critic.logs["divergence"].item() == pytest.approx(pair.divergence, abs=0.02)
    torch.testing.assert_close(v, -pair.speed * (shift / gap).expand_as(p), rtol=0, atol=0.03)


def test_particles_decay_as_the_closed_form_says():
    p, pair = data(400), Translation(1.0, slope=3.0)
    q, critic = p + torch.tensor([1.0, 0.0], dtype=torch.float64), flow(Linear(3.0), lr=0.1, steps=20)
    critic.velocity(q, p)
    for _ in range(25):
        q, pair = q + 0.1 * critic.velocity(q, p)(q), pair.step(0.1)
        assert (q - p).mean(0).norm().item() == pytest.approx(pair.gap, abs=0.05)
    torch.testing.assert_close(q - q.mean(0), p - p.mean(0), rtol=0, atol=1e-9)  # a translation keeps the shape


@pytest.mark.parametrize("divergence", [KL_LIP, alpha_lip(2), alpha_lip(10), W1], ids=str)
def test_cone_finds_the_divergence_of_a_dirac_from_data(divergence):
    p, place = data(50), torch.zeros(2, dtype=torch.float64)
    critic = flow(Cone(), divergence, Adam, lr=0.02, steps=400)
    critic.velocity(place[None], p)
    wanted = dirac(divergence, place, p)
    assert critic.logs["divergence"].item() == pytest.approx(wanted, abs=0.02)
    assert critic.logs["divergence"].item() <= wanted + 1e-12
