"""The flow map of a normal law is affine, to the order of its steps; it is a map, and it says what it costs."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from pushforward.densities.mixture import Mixture
from pushforward.dynamics.bridges.follmer import MixtureFollmer
from pushforward.dynamics.sde.levels import power
from pushforward.errors import UsageError
from pushforward.methods.bridges.flow_map import FlowMap
from pushforward.randomness import Noise
from pushforward.types import Denoiser, Labels

MEAN, HIGH = torch.tensor([1.5, -0.5, 3.0], dtype=torch.float64), 20.0


@dataclass(frozen=True)
class Normal:
    """The exact denoiser of N(m, v I); of class k, of N(k m, v I)."""

    mean: Tensor = MEAN
    spread: float = 0.5
    high: float = HIGH

    def denoiser(self, labels: Labels | None = None) -> Denoiser:
        mean = self.mean if labels is None else labels[:, None] * self.mean
        v = self.spread**2

        def denoised(y: Tensor, s: float | Tensor) -> Tensor:
            return mean + v / (v + float(s) ** 2) * (y - mean)

        return denoised

    def levels(self, steps: int) -> list[float]:
        return power(steps, self.high, 1e-3)


def error(sampler: str, steps: int) -> float:
    z = Noise(0, dtype=torch.float64).normal(200, 3)
    wanted = MEAN + 0.5 * z
    return float((FlowMap(Normal(), steps, sampler)(z) - wanted).norm() / (wanted - MEAN).norm())


@pytest.mark.parametrize(("sampler", "order"), [("multistep", 2), ("heun", 2), ("euler", 1)])
def test_of_a_normal_law_it_is_affine_to_the_order_of_its_steps(sampler, order):
    coarse, fine = error(sampler, 64), error(sampler, 128)
    assert coarse < 0.1**order
    assert 0.75 * order < math.log2(coarse / fine) < 1.35 * order


@pytest.mark.parametrize("high", [2.0, 50.0])
def test_what_it_comes_to_does_not_depend_on_where_it_begins(high):
    z = Noise(1, dtype=torch.float64).normal(50, 3)
    found = FlowMap(Normal(high=high), 400, "heun")(z)
    torch.testing.assert_close(found, MEAN + 0.5 * z, rtol=0, atol=2e-3)


def test_a_row_goes_the_same_way_at_every_call_and_whatever_goes_beside_it():
    z = Noise(2, dtype=torch.float64).normal(20, 3)
    carry = FlowMap(Normal(), 12)
    assert torch.equal(carry(z), carry(z))
    torch.testing.assert_close(carry(z[:7]), carry(z)[:7])


def test_each_class_has_a_flow_of_its_own():
    z, k = Noise(3, dtype=torch.float64).normal(40, 3), torch.arange(40) % 3
    found = FlowMap(Normal(), 400, "heun")(z, k)
    left = 0.5 / math.hypot(HIGH, 0.5) * (1 - k[:, None]) * MEAN  # all begin about the mean of all
    torch.testing.assert_close(found, k[:, None] * MEAN + 0.5 * z + left, rtol=0, atol=2e-3)


def test_the_points_of_a_mixture_go_to_its_modes_in_their_shares():
    law = Mixture.of([[-2.0, 0.0], [2.0, 0.0]], sigma=0.1, weights=[0.25, 0.75])
    exact = MixtureFollmer.of(law, tau=8.0, sigma=1.0)

    @dataclass(frozen=True)
    class Model:
        mean: Tensor = exact.mean
        spread: float = 1.3

        def denoiser(self, labels: Labels | None = None) -> Denoiser:
            return exact.denoised

        def levels(self, steps: int) -> list[float]:
            return power(steps, 60.0, 1e-3)

    x = FlowMap(Model(), 60)(Noise(4, dtype=torch.float64).normal(4000, 2))
    right = x[:, 0] > 0
    assert float(right.double().mean()) == pytest.approx(0.75, abs=0.03)
    assert float(x[right].std(0).mean()) == pytest.approx(0.1, rel=0.05)


@pytest.mark.parametrize(("sampler", "cost"), [("multistep", 10), ("heun", 19), ("euler", 10)])
def test_its_calls_are_those_that_it_makes(sampler, cost):
    made = []

    @dataclass(frozen=True)
    class Counting(Normal):
        def denoiser(self, labels: Labels | None = None) -> Denoiser:
            inner = super().denoiser(labels)
            return lambda y, s: made.append(s) or inner(y, s)

    carry = FlowMap(Counting(), 10, sampler)
    assert carry.calls == cost
    assert not made
    carry(torch.zeros(2, 3, dtype=torch.float64))
    assert len(made) == cost


def test_a_flow_without_a_step_is_refused():
    with pytest.raises(UsageError, match="a flow of 0 steps"):
        FlowMap(Normal(), 0)
