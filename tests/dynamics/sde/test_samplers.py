"""Samplers on processes whose law is known: exact moments through the real steps, and the order of each."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import pytest
import torch

from pushforward.dynamics.bridges.clocks import Noisy, to_data, to_smoothed, variance_exploding
from pushforward.dynamics.integrate import AdamsBashforth, euler, heun, rk4
from pushforward.dynamics.sde.annealed import Annealed, geometric_ladder
from pushforward.dynamics.sde.levels import linear_variance, power
from pushforward.dynamics.sde.samplers import (
    Churn,
    EulerMaruyama,
    Exponential,
    Multistep,
    PredictorCorrector,
    ProbabilityFlow,
    StochasticHeun,
)
from pushforward.dynamics.sde.simulate import calls, simulate, tent, uniform, walk
from pushforward.errors import UsageError
from pushforward.randomness import Noise
from tests.dynamics.sde.linear import variance

ZERO = torch.zeros(1, dtype=torch.float64)


def denoiser(v: float, mean: float = 0.0):
    """D for the law N(mean, v)."""
    return lambda y, s: mean + v / (v + s**2) * (y - mean)


def first(v: float, tau: float, sigma: float):
    return to_smoothed(denoiser(v), ZERO, tau=tau, sigma=sigma)


def second(v: float, sigma: float):
    return to_data(denoiser(v), Noisy(ZERO, math.sqrt(v + sigma**2)), sigma=sigma)


def exploding(v: float, high: float):
    return variance_exploding(denoiser(v), Noisy(ZERO, math.sqrt(v + high**2)), high=high)


def end(process, sampler, times, start: float = 0.0) -> float:
    """Variance at the end of a chain, exactly."""
    return variance(lambda x, rng: list(walk(process, x, times, sampler, rng))[-1][1], 3 * len(times), start)


@pytest.mark.parametrize("n", [1, 7, 20, 64])
def test_euler_in_stage_one_follows_its_recursion_at_any_number_of_steps(n):
    tau, sigma, v = 2.0, 0.8, 0.36
    c, wanted, h = v + sigma**2, 0.0, 1 / n
    for k in range(n):
        g, then = tau - k * h * (tau - c), tau - (k + 1) * h * (tau - c)
        wanted = (then / g) ** 2 * wanted + tau * h
    assert end(first(v, tau, sigma), EulerMaruyama(), uniform(n)) == pytest.approx(wanted, rel=1e-9)


@pytest.mark.parametrize("n", [1, 7, 20, 64])
def test_euler_in_stage_two_follows_its_recursion_at_any_number_of_steps(n):
    sigma, v = 1.0, 0.0625
    wanted, h = v + sigma**2, 1 / n
    for k in range(n):
        s2 = sigma**2 * (1 - k * h)
        wanted = (1 - sigma**2 * h / (v + s2)) ** 2 * wanted + sigma**2 * h
    assert end(second(v, sigma), EulerMaruyama(), uniform(n), v + sigma**2) == pytest.approx(wanted, rel=1e-9)


def test_the_leading_errors_of_euler_are_the_derived_ones():
    one = end(first(0.36, 2.0, 0.8), EulerMaruyama(), uniform(512))
    assert (math.sqrt(one) - 1) == pytest.approx(7.324e-4, rel=0.02)  # tau / (4 N) (1 - c^2 / tau^2), c = 1
    v, sigma = 0.0625, 1.0
    two = end(second(v, sigma), EulerMaruyama(), uniform(512), v + sigma**2)
    predicted = sigma**2 / (2 * 512) * (1 - (v / (v + sigma**2)) ** 2)
    assert two - v == pytest.approx(predicted, rel=0.02)


def test_one_step_of_euler_is_exact_where_the_smoothed_data_are_as_wide_as_the_noise():
    assert end(first(1.0, 2.0, 1.0), EulerMaruyama(), uniform(1)) == pytest.approx(2.0, rel=1e-12)


SAMPLERS = [
    ("stage one, euler", partial(first, 0.36, 2.0, 0.8), EulerMaruyama(), 0.0, 1.0, 1),
    ("stage one, exponential", partial(first, 0.36, 2.0, 0.8), Exponential(), 0.0, 1.0, 1),
    ("stage one, stochastic heun", partial(first, 0.36, 2.0, 0.8), StochasticHeun(), 0.0, 1.0, 2),
    ("stage two, euler", partial(second, 0.36, 0.8), EulerMaruyama(), 1.0, 0.36, 1),
    ("stage two, stochastic heun", partial(second, 0.36, 0.8), StochasticHeun(), 1.0, 0.36, 2),
    ("stage two, flow by euler", partial(second, 0.36, 0.8), ProbabilityFlow(euler), 1.0, 0.36, 1),
    ("stage two, flow by heun", partial(second, 0.36, 0.8), ProbabilityFlow(heun), 1.0, 0.36, 2),
]


@pytest.mark.parametrize(("process", "sampler", "start", "wanted", "order"), [s[1:] for s in SAMPLERS],
                         ids=[s[0] for s in SAMPLERS])  # fmt: skip
def test_samplers_have_their_order(process, sampler, start, wanted, order):
    errors = [abs(end(process(), sampler, uniform(n), start) - wanted) for n in (64, 128, 256)]
    slopes = [math.log2(a / b) for a, b in pairwise(errors)]
    assert all(order - 0.12 < slope < order + 0.35 for slope in slopes), (errors, slopes)


FLOWS = [(ProbabilityFlow(euler), 1), (ProbabilityFlow(heun), 2), (Multistep(), 2), (ProbabilityFlow(rk4), 4)]


@pytest.mark.parametrize("scheme", [euler, heun])
def test_churn_that_is_shared_out_to_the_steps_loses_no_order(scheme):
    v, high, low = 0.25, 4.0, 0.05
    errors = [
        abs(end(exploding(v, high), Churn(1.7 / n, scheme=scheme), power(n, high, low)[:-1], v + high**2) - v - low**2)
        for n in (33, 65, 129)
    ]
    order = 1 if scheme is euler else 2
    slopes = [math.log2(a / b) for a, b in pairwise(errors)]
    assert all(order - 0.3 < slope < order + 0.6 for slope in slopes), (errors, slopes)


@pytest.mark.parametrize(("sampler", "order"), FLOWS)
def test_the_flow_down_a_power_ladder_has_the_order_of_its_scheme(sampler, order):
    v, high, low = 0.25, 4.0, 0.05
    process = exploding(v, high)
    errors = [abs(end(process, sampler, power(n, high, low)[:-1], v + high**2) - v - low**2) for n in (17, 33, 65)]
    slopes = [math.log2(a / b) for a, b in pairwise(errors)]
    assert all(order - 0.3 < slope < order + 0.6 for slope in slopes), (errors, slopes)


@pytest.mark.parametrize("n", [1, 3, 10])
def test_exponential_steps_are_exact_for_data_that_are_one_point(n):
    tau, sigma, point = 2.0, 1.0, 0.0
    process = first(point, tau, sigma)
    assert end(process, Exponential(), uniform(n)) == pytest.approx(sigma**2, rel=1e-10)
    half = list(uniform(2 * n))[: n + 1]  # X_t = t X_1 + a Brownian bridge: also within the way
    assert end(process, Exponential(), half) == pytest.approx(0.25 * sigma**2 + 0.25 * tau, rel=1e-10)
    two = to_data(lambda y, s: torch.full_like(y, 0.7), Noisy(ZERO + 0.7, sigma), sigma=sigma)
    x = simulate(two, 5, uniform(n), Exponential(), Noise(0, dtype=torch.float64))
    torch.testing.assert_close(x, torch.full_like(x, 0.7), rtol=0, atol=1e-12)


@pytest.mark.parametrize("n", [1, 5, 64])
def test_euler_leaves_the_noise_of_its_last_step_and_a_final_denoising_takes_it_away(n):
    sigma = 0.9
    process = second(0.0, sigma)
    assert end(process, EulerMaruyama(), uniform(n), sigma**2) == pytest.approx(sigma**2 / n, rel=1e-10)
    x = simulate(process, 4, uniform(n), EulerMaruyama(), Noise(0, dtype=torch.float64), denoise=True)
    assert float(x.abs().max()) == 0.0


def test_stage_one_is_the_way_down_the_levels_in_other_coordinates():
    tau, sigma, times = 2.0, 0.7, uniform(6)
    mean = torch.tensor([0.4, -1.0], dtype=torch.float64)
    known = lambda y, s: mean + torch.tanh(y - mean) / (1 + s)  # noqa: E731
    x = simulate(to_smoothed(known, mean, tau=tau, sigma=sigma), 9, times, Exponential(), Noise(3, dtype=torch.float64))
    levels = [math.sqrt(sigma**2 + tau * (1 - t) / t) for t in times[1:]]
    rng = Noise(3, dtype=torch.float64)
    y = mean + levels[0] * rng.normal(9, 2)
    down = variance_exploding(known, Noisy(mean, levels[0]), high=levels[0])
    *_, (_, y) = walk(down, y, levels, Exponential(), rng)
    torch.testing.assert_close(x, y, rtol=1e-12, atol=1e-12)


def test_both_stages_are_exact_in_the_limit_and_stage_two_shrinks_what_stage_one_got_wrong():
    v, sigma = 0.0625, 1.0
    process, times = second(v, sigma), uniform(4096)
    right, wrong = (end(process, EulerMaruyama(), times, v + sigma**2 + error) for error in (0.0, 0.1))
    assert wrong - right == pytest.approx(0.1 * (v / (v + sigma**2)) ** 2, rel=0.02)


@dataclass(frozen=True)
class Still:
    """A predictor that does nothing."""

    def calls(self, process, t, u):
        return 0

    def __call__(self, process, x, t, u, rng):
        return x


def test_a_corrector_leaves_a_law_that_is_right_and_mends_one_that_is_not():
    v, high = 1.0, 0.5
    process, rng = exploding(v, high), Noise(0, dtype=torch.float64)
    still = PredictorCorrector(Still(), rounds=300, ratio=0.1)
    x = 3 * rng.normal(20_000, 1)
    x = still(process, x, high, 0.4, rng)
    assert float(x.var()) == pytest.approx(v + 0.4**2, rel=0.05)
    none = PredictorCorrector(Exponential(), rounds=0)
    pair = [simulate(process, 7, [0.5, 0.2, 0.0], s, Noise(1, dtype=torch.float64)) for s in (none, Exponential())]
    assert torch.equal(*pair)


def test_multistep_is_exact_where_the_prediction_does_not_change_and_begins_each_path_anew():
    process = variance_exploding(lambda y, s: torch.full_like(y, 0.7), Noisy(ZERO + 0.7, 2.0), high=2.0)
    start = torch.tensor([[1.5], [0.0]], dtype=torch.float64)
    *_, (_, x) = walk(process, start, [2.0, 1.0, 0.3, 0.1], Multistep(), Noise(0))
    torch.testing.assert_close(x, 0.7 + (start - 0.7) * 0.05, rtol=1e-13, atol=1e-13)
    bent = exploding(0.25, 2.0)
    for step in (Multistep(), PredictorCorrector(Multistep()), ProbabilityFlow(AdamsBashforth(2))):
        once = list(walk(bent, start, [2.0, 1.0, 0.3, 0.1], step, Noise(0)))[-1][1]
        assert torch.equal(once, list(walk(bent, start, [2.0, 1.0, 0.3, 0.1], step, Noise(0)))[-1][1])


def test_annealed_langevin_settles_at_the_variance_of_its_steps():
    s, low = 1.0, 0.01
    chain = Annealed(step=0.2 * low**2, rounds=60, denoise=False)
    found = variance(lambda x, rng: chain(denoiser(0.0), x, [s, low], rng), 200, 1.0)
    assert found / low**2 == pytest.approx(1 / (1 - 0.1), rel=1e-6)
    v = 0.3
    c = v + s**2
    one = variance(lambda x, rng: chain(denoiser(v), x, [s], rng), 200, 1.0)  # its own lowest level: the step is 2e-5
    kept = (1 - 0.2 * low**2 / c) ** 120
    assert one == pytest.approx(kept + (1 - kept) * c / (1 - 0.1 * low**2 / c), rel=1e-9)
    assert Annealed(rounds=60).calls(geometric_ladder(10, 1.0, 0.01)) == 601


def test_ladders_and_grids():
    levels = power(18, 80.0, 0.002)
    assert levels[0] == 80.0
    assert levels[-2:] == [pytest.approx(0.002), 0.0]
    assert power(5, 2.0, 1.0, rho=1.0)[:-1] == pytest.approx([2.0, 1.75, 1.5, 1.25, 1.0])
    assert [s**2 for s in linear_variance(4, 2.0)] == pytest.approx([4, 3, 2, 1, 0])
    times = tent(8, 1.0, 4.0)
    gaps = [b - a for a, b in pairwise(times)]
    assert gaps == pytest.approx(gaps[::-1])
    assert gaps[3] / gaps[0] == pytest.approx(4.0)
    assert (times[0], times[-1]) == (0.0, 1.0)
    ladder = geometric_ladder(10, 1.0, 0.01)
    assert [a / b for a, b in pairwise(ladder)] == pytest.approx([0.01 ** (-1 / 9)] * 9)


def test_calls_are_counted_as_they_are_made():
    counted = [0]

    def known(y, s):
        counted[0] += 1
        return y / (1 + s**2)

    down = variance_exploding(known, Noisy(ZERO, 4.0), high=4.0)
    for sampler in (
        ProbabilityFlow(heun),
        Multistep(),
        Churn(0.2),
        StochasticHeun(),
        Exponential(),
        PredictorCorrector(),
    ):
        counted[0], levels = 0, power(18, 4.0, 0.01)
        simulate(down, 3, levels, sampler, Noise(0))
        assert counted[0] == calls(down, levels, sampler)
    assert calls(down, power(18, 4.0, 0.01), ProbabilityFlow(heun)) == 35


@pytest.mark.parametrize(
    ("what", "said"),
    [
        (lambda: to_smoothed(denoiser(1.0), ZERO, tau=1.0, sigma=1.0), "tau must be above sigma\\^2 = 1"),
        (lambda: simulate(first(1.0, 2.0, 1.0), 2, uniform(4), ProbabilityFlow(), Noise(0)), "begins at a point"),
        (lambda: simulate(first(1.0, 2.0, 1.0), 2, [0.0, 0.5, 0.4], Exponential(), Noise(0)), "go from 0 to 1"),
        (lambda: simulate(exploding(1.0, 2.0), 2, uniform(4), Exponential(), Noise(0)), "go from 2 to 0"),
        (lambda: simulate(first(1.0, 2.0, 1.0), 2, [0, math.nan, 1], Exponential(), Noise(0)), "go from 0 to 1"),
        (lambda: simulate(first(1.0, 2.0, 1.0), 2, [-1.0, 0.0, 1.0], Exponential(), Noise(0)), "go from 0 to 1"),
        (lambda: simulate(first(1.0, 2.0, 1.0), -1, uniform(4), Exponential(), Noise(0)), "-1 points"),
        (
            lambda: simulate(first(1.0, 2.0, 1.0), 3, uniform(4), Exponential(), Noise(0), start=torch.zeros(5, 1)),
            "3 points from 5",
        ),
        (lambda: simulate(second(1.0, 2.0), 2, uniform(4), Churn(0.1), Noise(0)), "time is its noise level"),
        (lambda: tent(7, 1, 2), "even"),
        (lambda: power(5, 1.0, 2.0), "0 < low <= high"),
        (lambda: Churn(-0.1), "churn -0.1"),
        (lambda: PredictorCorrector(ratio=0.0), "positive ratio"),
        (lambda: Annealed(step=0.0), "positive step"),
    ],
)
def test_what_cannot_be_is_refused_by_the_numbers(what, said):
    with pytest.raises(UsageError, match=said):
        what()
