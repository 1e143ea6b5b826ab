r"""Several moves under an exact log-ratio and an exact regression: VGrow is then the KL flow, in closed form.

From N(m, s²) to N(0, w²) along each axis the flow has m(t) = m e^{-t/w²} and s²(t) = w² + (s² - w²) e^{-2t/w²}; a move
of length h is a step of Euler's, of factor 1 - h/w² for the mean and, near the end, 1 - 2h/w² for the width.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from itertools import pairwise, repeat

import pytest
import torch
from torch import Tensor, nn
from torch.optim import SGD

from pushforward.divergences import KL
from pushforward.dynamics.velocity import Ascent, quadratic_critic
from pushforward.methods.adversarial.vgrow import VGrow
from pushforward.nets import mlp
from pushforward.randomness import Noise
from pushforward.training.learner import Learner
from pushforward.types import Randomness, Samples

N = 40
WIDTH = torch.tensor([0.5, 1.5], dtype=torch.float64)  # of the data, which lie around 0
START = torch.tensor([1.0, -2.0], dtype=torch.float64)
SPREAD = torch.tensor([1.2, 0.7], dtype=torch.float64)


@dataclass
class Exact:
    """The flow of KL between the normal law of the particles' own mean and covariance and N(0, width²)."""

    width: Tensor

    def velocity(self, q: Samples, p: Samples) -> Ascent:
        law = (q.mean(0), torch.cov(q.T, correction=0))
        return Ascent(quadratic_critic(law, (torch.zeros(2).double(), self.width.square().diag())), KL)


@dataclass
class Fixed:
    """The ascent of one log-ratio between two normal laws, whatever it is shown."""

    def velocity(self, q: Samples, p: Samples) -> Ascent:
        one, other = (START, SPREAD.square().diag()), (torch.zeros(2).double(), WIDTH.square().diag())
        return Ascent(quadratic_critic(one, other), KL)


def white() -> Tensor:
    """Points of mean 0 and covariance 1, exactly: of them least squares are one step of rate 1."""
    z = torch.randn(N, 2, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    z = z - z.mean(0)
    return z @ torch.linalg.inv(torch.linalg.cholesky(torch.cov(z.T, correction=0))).T


@dataclass
class Always:
    """A law of latents that always draws the same."""

    z: Tensor

    def __call__(self, rng: Randomness, n: int) -> Tensor:
        return self.z


def affine(width: Tensor = WIDTH, start: Tensor = START, spread: Tensor = SPREAD, **options: float) -> VGrow:
    """x = mean + spread z, which one fit puts exactly where its particles went."""
    net = mlp.generator(2, 2, depth=0).double()
    (layer,) = [module for module in net.modules() if isinstance(module, nn.Linear)]
    with torch.no_grad():
        layer.weight.copy_(spread.diag())
        layer.bias.copy_(start)
    return VGrow(Learner(net, partial(SGD, lr=1.0)), Exact(width), Always(white()), Noise(0), **options)


def go(method: VGrow, steps: int) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation (2,) of the generator's samples after so many steps."""
    for _ in zip(range(steps), method.learn(repeat(torch.zeros(N, 2).double()))):
        pass
    x = method.sample(N)
    return x.mean(0), x.std(0, correction=0)


def closed(time: float) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of the flow at a time."""
    fall = (-time / WIDTH.square()).exp()
    return START * fall, (WIDTH.square() + (SPREAD.square() - WIDTH.square()) * fall.square()).sqrt()


@pytest.mark.parametrize(("pools", "moves"), [(1, 40), (8, 5), (40, 1)])
def test_several_moves_follow_the_flow_of_kl_to_the_order_of_the_step(pools, moves):
    errors = []
    for finer in (1, 2, 4):
        found = go(affine(moves=moves * finer, step=0.01 / finer), pools)
        errors.append([(a - b).abs().max().item() for a, b in zip(found, closed(0.01 * pools * moves))])
    for coarse, fine in pairwise(errors):
        for a, b in zip(coarse, fine):
            assert 0.9 < math.log2(a / b) < 1.1
    assert max(errors[-1]) < 0.004


@pytest.mark.parametrize("moves", [2, 5, 20])
def test_with_exact_regression_a_pool_of_moves_is_as_many_steps_of_one_move(moves):
    several, single = (go(affine(moves=many, step=0.03), 60 // many) for many in (moves, 1))
    for a, b in zip(several, single):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("moves", [2, 5])
def test_with_any_regression_a_pool_of_moves_is_as_many_steps_of_one_move_to_the_order_of_the_step(moves):
    # one fit of a curved generator makes a part of the way only: the moves go on from other points than the steps do
    def learned(step: float, moves: int, pools: int) -> Tensor:
        torch.manual_seed(1)
        net = mlp.generator(2, 2, width=8, depth=1, activation=nn.Tanh).double()
        before = torch.cat([parameter.detach().flatten() for parameter in net.parameters()])
        generator = Learner(net, partial(SGD, lr=0.2))
        go(VGrow(generator, Fixed(), Always(white()), Noise(0), moves=moves, step=step), pools)
        return torch.cat([parameter.detach().flatten() for parameter in net.parameters()]) - before

    apart = []
    for step in (0.02, 0.01, 0.005, 0.0025):
        pool, steps = learned(step, moves, 1), learned(step, 1, moves)
        apart.append(((pool - steps).norm() / steps.norm()).item())
    assert apart[0] > 1e-4
    for coarse, fine in pairwise(apart):
        assert 0.9 < math.log2(coarse / fine) < 1.1


@pytest.mark.parametrize("share", [0.25, 1.0, 1.75, 2.25])
def test_a_move_multiplies_the_distance_of_the_mean_by_the_factor_of_euler(share):
    width = torch.full((2,), 0.3, dtype=torch.float64)
    start = torch.tensor([1e-3, -2e-3], dtype=torch.float64)
    mean, _ = go(affine(width, start, width, moves=6, step=share * 0.3**2), 1)
    torch.testing.assert_close(mean, start * (1 - share) ** 6, rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize(("share", "mean", "spread"), [(0.9, True, True), (1.1, True, False), (2.1, False, False)])
def test_a_step_beyond_the_square_of_a_width_overshoots_the_width_and_beyond_twice_that_the_mean(share, mean, spread):
    width = torch.full((2,), 0.3, dtype=torch.float64)
    off, wide = torch.full((2,), 1e-4, dtype=torch.float64), 1.001 * width
    options = {"moves": 5, "step": share * 0.3**2}
    at, found = go(affine(width, off, wide, **options), 4)
    assert bool((at.abs() < off).all()) == mean
    assert bool(((found - width).abs() < (wide - width).abs()).all()) == spread
