"""The two-stage bridge becomes exact at the rates of theory, and the demo says where it does not."""

from __future__ import annotations

import json
import math
import sys
from dataclasses import replace

import pytest
import torch

from pushforward.demos.consistency import HEAD, consistency, line
from pushforward.demos.propagation import Law, slope, w2
from pushforward.demos.rates import (
    BROAD,
    LADDER,
    NARROW,
    Rate,
    by_draws,
    contraction,
    euler_steps,
    rates,
    stage_one,
    stage_two,
)
from pushforward.densities.mixture import Mixture
from pushforward.dynamics.bridges import MixtureFollmer
from pushforward.dynamics.integrate import heun
from pushforward.dynamics.sde.levels import ancestral, pairs_of, power
from pushforward.faces.learning import demo

BRIDGE = BROAD.bridge


def test_stage_one_is_of_first_order_in_its_steps():
    errors = [stage_one(n) for n in LADDER]
    assert errors == pytest.approx([0.0200, 0.0102, 0.00515, 0.00259, 0.00130, 0.00065], rel=0.01)
    assert slope(LADDER, errors) == pytest.approx(-1, abs=0.02)


def test_stage_two_is_of_first_order_in_its_steps():
    errors = [stage_two(n) for n in LADDER]
    assert errors == pytest.approx([0.1515, 0.0811, 0.0403, 0.0197, 0.0097, 0.0048], rel=0.01)
    assert slope(LADDER, errors) == pytest.approx(-1, abs=0.02)


def test_the_noise_of_the_exponential_integrator_pays_where_data_are_concentrated():
    assert stage_one(64, exponential=True) == pytest.approx(0.0060, rel=0.01)
    assert stage_one(16, setting=NARROW, exponential=True) < 0.7 * stage_one(16, setting=NARROW)
    assert stage_one(16, exponential=True) > 2 * stage_one(16)


def test_ancestral_steps_are_better_on_coarse_grids_and_slower_to_become_exact():
    coarse, fine = stage_two(8, ancestral), stage_two(256, ancestral)
    assert (coarse, fine) == pytest.approx((0.1069, 0.0167), rel=0.01)
    assert coarse < stage_two(8)
    assert fine > 3 * stage_two(256)


def test_the_probability_flow_by_heun_is_of_second_order():
    """The last of its steps, to level 0, is Euler's, which ends at D."""
    begin, end = (BROAD.smoothed(s, cells=40_000) for s in (1.0, 0.0))

    def flow(x, t=0.0):
        return (x - BRIDGE.denoised(x, t)) / t

    def step(s: float, u: float):
        return lambda x, _: heun(flow, x, s, u - s) if u else BRIDGE.denoised(x, s)

    errors = [w2(begin.through(step(s, u) for s, u in pairs_of(power(n, 1.0, 0.002))), end) for n in (8, 16, 32)]
    assert errors == pytest.approx([0.0306, 0.0061, 0.0013], rel=0.2)
    assert slope((8, 16, 32), errors) == pytest.approx(-2.25, abs=0.25)


def test_a_normal_law_has_the_errors_of_its_recursions():
    """V - c = (tau / 2 N) (1 - c^2 / tau^2) at the end of stage 1, with c = 1 and tau = 2."""
    c, tau, steps = 1.0, 2.0, 128
    bridge = MixtureFollmer.of(Mixture.of([[0.0]], sigma=math.sqrt(c - 0.25)), tau=tau, sigma=0.5)
    start = Law.of(lambda x: -0.5 * x[:, 0].square() / c, reach=8.0, cells=800).point()
    law = start.through(euler_steps(bridge, steps))
    variance = 0.0
    for k in range(steps):
        wide, narrow = (tau - at * (tau - c) for at in (k / steps, (k + 1) / steps))
        variance = (narrow / wide) ** 2 * variance + tau / steps
    assert law.variance == pytest.approx(variance, abs=1e-9)
    assert law.variance - c == pytest.approx(tau / (2 * steps) * (1 - c**2 / tau**2), rel=0.02)


def test_the_second_stage_forgets_the_square_of_the_share_of_the_data():
    for steps in (1, 7, 64):
        assert contraction(steps) == pytest.approx(1, abs=1e-6)


def test_stage_one_that_knows_points_alone_ends_at_the_smoothed_points():
    points = torch.tensor([[-1.2], [0.1], [0.9], [1.0], [2.0]]).double()
    bridge = MixtureFollmer.of_points(points, tau=2.0, sigma=1.0)
    end = Law.of(Mixture.of(points.tolist(), sigma=1.0).log_prob, reach=8.0, cells=600)
    errors = [w2(end.point().through(euler_steps(bridge, n)), end) for n in (16, 32, 64)]
    assert slope((16, 32, 64), errors) == pytest.approx(-1, abs=0.05)
    assert errors[-1] < 0.01


def test_more_draws_of_the_ratio_are_nearly_as_much_better():
    few, many = by_draws((4, 16), 4000, seed=0, steps=16)
    assert 2.2 < few / many < 4.4


RATES = [
    Rate("steps of stage 1", (8, 256), (0.02, 0.00065), -0.99, (-1.1, -0.9), 1.0),
    Rate("steps of stage 2", (8, 256), (0.1515, 0.0048), -1.0, (-1.1, -0.9), 1.0),
    Rate("draws of the ratio", (4, 32), (0.0377, 0.0059), -0.91, (-1.25, -0.75), 30.0),
    Rate("data", (64, 4096), (0.119, 0.0162), -0.48, (-0.65, -0.35), 4.0),
    Rate("all of them", (1, 8), (0.264, 0.11), 0.86, (0, 1), 40.0),
    Rate("contraction of stage 2", (), (), 1.0, (0.999, 1.001), 0.1),
]


@pytest.mark.parametrize("value", [-0.99, -0.5])
def test_the_command_prints_the_table_and_draws_and_fails_where_a_rate_does(value, tmp_path, capsys, monkeypatch):
    pytest.importorskip("matplotlib")
    shown = [replace(RATES[0], value=value), *RATES[1:]]
    monkeypatch.setattr(sys.modules["pushforward.demos.consistency"], "rates", lambda *_, **__: iter(shown))
    code = demo("consistency", out=tmp_path / "rates.png")
    printed = capsys.readouterr().out.splitlines()
    assert printed == [HEAD, *map(line, shown), f"picture: {tmp_path / 'rates.png'}"]
    assert (code, "fails" in printed[1], "holds" in printed[2]) == (
        (0, False, True) if value == -0.99 else (1, True, True)
    )
    assert len({len(row) for row in printed[:-1]}) == 1
    assert demo("consistency", out=tmp_path / "rates.png", json=True) == code
    answer = json.loads(capsys.readouterr().out)
    assert [each["value"] for each in answer["rates"]] == [value, -1.0, -0.91, -0.48, 0.86, 1.0]
    assert answer["rates"][0]["holds"] == (value == -0.99)
    assert (tmp_path / "rates.png").stat().st_size > 5000


def test_the_measurements_come_one_by_one():
    first = next(rates())
    assert (first.name, first.holds, first.sizes) == ("steps of stage 1", True, LADDER)


@pytest.mark.slow
def test_every_rate_of_the_consistency_experiment_is_as_theory_has_it(tmp_path):
    pytest.importorskip("matplotlib")
    found = consistency(tmp_path / "rates.png")
    assert [rate.name for rate in found if not rate.holds] == []
    assert len(found) == 6
    assert all(after < before for rate in found for before, after in zip(rate.errors, rate.errors[1:], strict=False))
    assert sum(rate.seconds for rate in found) < 600
