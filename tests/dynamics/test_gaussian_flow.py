"""The KL flow between Gaussians with the exact quadratic critic, where every law of motion is known."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from pushforward.divergences import KL
from pushforward.dynamics.integrate import euler, heun, integrate, rk4
from pushforward.dynamics.velocity import Ascent, quadratic_critic
from pushforward.methods.particles.driver import Particles
from pushforward.randomness import Noise

TARGET = (torch.zeros(2, dtype=torch.float64), torch.eye(2, dtype=torch.float64))
MEAN = torch.tensor([1.0, -0.5], dtype=torch.float64)
COVARIANCE = torch.tensor([[0.64, 0.3], [0.3, 1.44]], dtype=torch.float64)


def moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and (biased) covariance of points."""
    centred = x - x.mean(0)
    return x.mean(0), centred.T @ centred / len(x)


def points(n: int = 40) -> Tensor:
    """Points with exactly the mean MEAN and the covariance COVARIANCE."""
    z = torch.randn(n, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    mean, covariance = moments(z)
    z = torch.linalg.solve_triangular(torch.linalg.cholesky(covariance), (z - mean).T, upper=False)
    return MEAN + (torch.linalg.cholesky(COVARIANCE) @ z).T


@dataclass
class GaussianFlow:
    """The KL flow to N(0, I) of samples taken as Gaussian."""

    def velocity(self, q: Tensor, p: Tensor) -> Ascent:
        return Ascent(quadratic_critic(moments(q), TARGET), KL)


def test_euler_steps_of_particles_follow_the_recursion_of_mean_and_covariance():
    s, x = 0.1, points()
    particles = Particles(GaussianFlow(), x, step=s, rng=Noise(0))
    mean, covariance, eye = MEAN, COVARIANCE, torch.eye(2, dtype=torch.float64)
    for _, _ in zip(range(30), particles.learn([x] * 30)):
        push = eye + s * (torch.linalg.inv(covariance) - eye)
        mean, covariance = (1 - s) * mean, push @ covariance @ push.T
        found = moments(particles.particles)
        torch.testing.assert_close(found[0], mean, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(found[1], covariance, rtol=1e-12, atol=1e-12)
    assert mean.norm() < 0.06
    assert (covariance - eye).norm() < 0.06


def test_euler_steps_on_the_line_follow_the_recursion_of_mean_and_deviation():
    s, z = 0.05, torch.linspace(-2, 2, 9, dtype=torch.float64)
    z = (z / z.square().mean().sqrt())[:, None]
    x, mean, std = 1.0 + 0.8 * z, 1.0, 0.8
    target = (torch.zeros(1, dtype=torch.float64), torch.eye(1, dtype=torch.float64))
    for _ in range(50):
        x = euler(Ascent(quadratic_critic(moments(x), target), KL), x, 0.0, s)
        mean, std = (1 - s) * mean, std * (1 + s * (1 / std**2 - 1))
        torch.testing.assert_close(x, mean + std * z, rtol=1e-12, atol=1e-12)


def law(t: float) -> tuple[Tensor, Tensor]:
    """Mean and covariance of the exact flow: m e^-t and I + (S - I) e^-2t."""
    eye = torch.eye(2, dtype=torch.float64)
    return MEAN * math.exp(-t), eye + (COVARIANCE - eye) * math.exp(-2 * t)


def truth(x: Tensor, t: float) -> Tensor:
    """Where the exact flow carries points: covariance and its start commute, so does the map between them."""
    values, vectors = torch.linalg.eigh(COVARIANCE)
    stretch = ((1 + (values - 1) * math.exp(-2 * t)) / values).sqrt()
    return law(t)[0] + (x - MEAN) @ (vectors * stretch) @ vectors.T


def exact(x: Tensor, t: float = 0.0) -> Tensor:
    """The velocity of the exact flow, by the oracle critic of the law at time t."""
    return Ascent(quadratic_critic(law(t), TARGET), KL)(x, t)


@pytest.mark.parametrize(("scheme", "order"), [(euler, 1), (heun, 2), (rk4, 4)], ids=["euler", "heun", "rk4"])
def test_scheme_converges_to_the_exact_flow_at_its_order(scheme, order):
    x = points()
    errors = [
        (integrate(exact, x, until=1.0, steps=n, scheme=scheme) - truth(x, 1.0)).norm().item() for n in (10, 20, 40)
    ]
    assert math.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.25)
    assert math.log2(errors[1] / errors[2]) == pytest.approx(order, abs=0.15)


@pytest.mark.parametrize(("scheme", "order"), [(euler, 1), (heun, 2), (rk4, 4)], ids=["euler", "heun", "rk4"])
def test_flow_that_reads_the_law_off_its_particles_converges_at_the_order_of_the_scheme(scheme, order):
    x, flow = points(), GaussianFlow()

    def velocity(y: Tensor, t: float = 0.0) -> Tensor:
        return flow.velocity(y, y)(y)

    errors = [
        (integrate(velocity, x, until=1.0, steps=n, scheme=scheme) - truth(x, 1.0)).norm().item() for n in (10, 20, 40)
    ]
    assert math.log2(errors[1] / errors[2]) == pytest.approx(order, abs=0.25)
