"""Laws on the line: normal ones stay what they should be, and what cannot be carried is refused."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from pushforward.demos.propagation import Law, interpolated, slope, w2
from pushforward.errors import UsageError


def normal(mean: float = 0.0, sigma: float = 1.0, cells: int = 800) -> Law:
    return Law.of(lambda x: -0.5 * ((x[:, 0] - mean) / sigma).square(), reach=9.0, cells=cells)


def test_the_distance_of_normal_laws_is_that_of_means_and_widths():
    for mean, sigma in ((0.0, 1.0), (0.3, 1.0), (0.0, 0.7), (-0.4, 1.2)):
        assert w2(normal(), normal(mean, sigma)) == pytest.approx(math.hypot(mean, sigma - 1), abs=1e-5)
    fine, coarse = normal(cells=1600), normal(0.01, cells=800)
    assert w2(fine, coarse) == w2(coarse, fine) == pytest.approx(0.01, abs=1e-4)


def test_the_distance_of_points_is_that_of_their_order():
    points = 1.5 + 2 * torch.special.ndtri((torch.arange(2000).double() + 0.5) / 2000)[torch.randperm(2000)]
    assert w2(points[:, None], normal()) == pytest.approx(math.hypot(1.5, 1), rel=2e-3)


def test_noise_adds_its_variance_and_a_straight_line_scales():
    law = normal(0.5, 0.6).after(lambda x, z: x + 0.8 * z)
    assert w2(law, normal(0.5, 1.0)) < 1e-6
    assert (law.mean, law.variance) == pytest.approx((0.5, 1.0), abs=1e-9)
    law = normal(0.5, 0.6).after(lambda x, z: 1 - 1.5 * (1 - x))
    assert (law.mean, law.variance) == pytest.approx((0.25, 0.81), abs=1e-9)
    assert w2(law, normal(0.25, 0.9)) < 1e-4
    assert w2(normal().point(2.0).after(lambda x, z: x + 1.0 * z), normal(2.0)) < 1e-6


def test_steps_one_after_another_are_the_recursion_of_mean_and_variance():
    law, mean, variance, h, steps = normal(1.0, 0.5), 1.0, 0.25, 0.1, 20
    for _ in range(steps):
        mean, variance = (1 - h) * mean + 0.3 * h, (1 - h) ** 2 * variance + 2 * h
    found = law.through([lambda x, z: x + h * (0.3 - x) + math.sqrt(2 * h) * z] * steps)
    assert (found.mean, found.variance) == pytest.approx((mean, variance), abs=1e-9)


def test_mass_that_goes_to_several_places_goes_to_each_alike(monkeypatch):
    law = normal(0.2, 0.5)
    places = torch.stack([law.at - 1.0, law.at + 0.5, law.at + 0.5])
    found = law.spread(places, 0.3)
    assert (found.mean, found.variance) == pytest.approx((0.2, 0.25 + 0.09 + 0.5), abs=1e-9)
    monkeypatch.setattr("pushforward.demos.propagation.BLOCK", 1000)
    torch.testing.assert_close(law.spread(places, 0.3).mass, found.mass, rtol=0, atol=1e-14)


def test_quantiles_are_those_of_the_law():
    levels = torch.tensor([1e-4, 0.1, 0.5, 0.97], dtype=torch.float64)
    torch.testing.assert_close(
        normal(1.0, 0.7).quantiles(levels), 1.0 + 0.7 * torch.special.ndtri(levels), rtol=0, atol=1e-3
    )


def test_tables_and_slopes_are_exact_where_lines_are_straight():
    at = torch.linspace(-1, 3, 9).double()
    x = torch.tensor([-2.0, -1.0, 0.3, 3.0, 5.0]).double().requires_grad_()
    found = interpolated(x, at, 2 * at - 1)
    torch.testing.assert_close(found, 2 * x - 1)
    assert torch.autograd.grad(found.sum(), x)[0].tolist() == pytest.approx([2.0] * 5)
    assert slope((1, 3, 10), [5 * n**-0.7 for n in (1, 3, 10)]) == pytest.approx(-0.7)


def test_what_no_law_on_a_grid_can_follow_is_refused():
    def grows(x: Tensor, z: Tensor) -> Tensor:
        return x + (1 + x.abs()) * z

    with pytest.raises(UsageError, match="noise is not added alike"):
        normal().after(grows)
    with pytest.raises(UsageError, match="noise is not added alike"):
        normal().after(lambda x, z: x + z.square())
    with pytest.raises(UsageError, match="turns the line back"):
        normal().after(lambda x, z: -x)
    with pytest.raises(UsageError, match=r"noise of width 0.01 in cells of 0.0225: give narrower cells"):
        normal().after(lambda x, z: x + 0.01 * z)
