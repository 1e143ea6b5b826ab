"""Sliced Wasserstein flow: shifts, the line, unequal sizes by hand, agreement with the metric."""

from __future__ import annotations

import pytest
import torch

from pushforward.dynamics.integrate import euler
from pushforward.dynamics.langevin import Langevin
from pushforward.errors import UsageError
from pushforward.flows.sliced import SlicedFlow
from pushforward.geometry import directions
from pushforward.metrics.quality.sliced import sliced_wasserstein
from pushforward.metrics.quality.transport import wasserstein_1d
from pushforward.randomness import Noise


def draw(n, dim=2, seed=0):
    return Noise(seed, dtype=torch.float64).normal(n, dim)


@pytest.mark.parametrize("full_speed", [True, False])
def test_a_shift_decays_by_the_step_over_the_dimension(full_speed):
    dim, dt, steps = 3, 0.1, 10
    p, shift = draw(60, dim), torch.tensor([2.0, 0.0, -1.0], dtype=torch.float64)
    q, flow = p + shift, SlicedFlow(Noise(1, dtype=torch.float64), count=20_000, full_speed=full_speed)
    for _ in range(steps):
        q = euler(flow.velocity(q, p), q, 0.0, dt)
    factor = (1 - dt * (1 if full_speed else 1 / dim)) ** steps
    torch.testing.assert_close(q, p + factor * shift, rtol=0, atol=0.02)
    along = (q - p).mean(0) @ shift / shift.square().sum()
    assert along.item() == pytest.approx(factor, rel=0.01)


def test_one_step_on_the_line_lands_on_the_data():
    q, p = draw(50, 1), draw(50, 1, seed=1)
    flow = SlicedFlow(Noise(0, dtype=torch.float64))
    moved = euler(flow.velocity(q, p), q, 0.0, 1.0)
    torch.testing.assert_close(moved.sort(0).values, p.sort(0).values)
    assert torch.equal(moved.argsort(0), q.argsort(0))


def test_unequal_sizes_are_done_by_hand():
    q, p = torch.tensor([[0.0], [10.0]]).double(), torch.tensor([[1.0], [2.0], [5.0]]).double()
    moved = euler(SlicedFlow(Noise(0)).velocity(q, p), q, 0.0, 1.0)
    torch.testing.assert_close(moved, torch.tensor([[4 / 3], [4.0]]).double())  # means over half of the mass each
    spread = euler(SlicedFlow(Noise(0)).velocity(p, q), p, 0.0, 1.0)
    torch.testing.assert_close(spread, torch.tensor([[0.0], [5.0], [10.0]]).double())


@pytest.mark.parametrize(("n", "m"), [(40, 40), (40, 31), (31, 97), (1, 10)])
def test_value_is_half_of_the_squared_metric(n, m):
    q, p, along = draw(n, 3), draw(m, 3, seed=1) + 1, directions(3, 20, Noise(2, dtype=torch.float64))
    wanted = sliced_wasserstein(q, p, along.T)[0] ** 2 / 2
    for full_speed, factor in ((False, 1), (True, 3)):
        flow = SlicedFlow(Noise(0), full_speed=full_speed, along=along)
        assert flow.value(q, p).item() == pytest.approx(factor * wanted, rel=1e-10)
    line = SlicedFlow(Noise(0), along=torch.ones(1, 1).double())
    assert line.value(q[:, :1], p[:, :1]).item() == pytest.approx(wasserstein_1d(q[:, 0], p[:, 0]) ** 2 / 2, rel=1e-10)


def test_new_points_between_samples_move_between_them_and_outliers_with_the_outermost():
    q, p = torch.tensor([[0.0], [1.0]]).double(), torch.tensor([[10.0], [20.0]]).double()
    field = SlicedFlow(Noise(0)).velocity(q, p)
    x = torch.tensor([[-5.0], [0.0], [0.25], [1.0], [7.0]]).double()
    torch.testing.assert_close(field(x), torch.tensor([[10.0], [10.0], [12.25], [19.0], [19.0]]).double())


def test_lines_are_drawn_anew_and_by_the_seed():
    q, p = draw(30), draw(30, seed=1)
    flow, twin = (SlicedFlow(Noise(3, dtype=torch.float64), count=8) for _ in range(2))
    first, second = flow.velocity(q, p)(q), flow.velocity(q, p)(q)
    assert not torch.equal(first, second)
    assert torch.equal(twin.velocity(q, p)(q), first)
    with pytest.raises(UsageError, match="lines"):
        SlicedFlow(Noise(3)).value(q, p)


def test_diffusion_spreads_the_samples_beyond_the_data():
    """On the line v pulls to the quantiles of p; with T the standard deviation s solves s (s - 1) = T."""
    temperature, n = 0.75, 4000
    levels = (torch.arange(n, dtype=torch.float64) + 0.5) / n
    p = torch.distributions.Normal(0.0, 1.0).icdf(levels)[:, None]
    q, flow, step = (
        p.clone(),
        SlicedFlow(Noise(0, dtype=torch.float64)),
        Langevin(Noise(1, dtype=torch.float64), temperature),
    )
    spreads = []
    for k in range(300):
        q = step(flow.velocity(q, p), q, 0.0, 0.05)
        if k >= 150:
            spreads.append(q.std())
    assert torch.stack(spreads).mean().item() == pytest.approx(1.5, rel=0.02)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("n", "m", "dim"), [(40, 40, 3), (37, 101, 7), (64, 10, 50)])
def test_a_point_mass_moves_to_the_mean_of_the_data_and_stays_one(n, m, dim, dtype):
    # on a line the mean quantile is the mean, so v = c E (theta . (mean p - x)) theta, and 1/d E theta theta' = 1
    p = draw(m, dim, 3).to(dtype) + 2
    q, along = draw(1, dim, 4).to(dtype).expand(n, dim).contiguous(), directions(dim, 30, Noise(5, dtype=dtype))
    v = SlicedFlow(Noise(0), along=along).velocity(q, p)(q)
    assert torch.equal(v, v[:1].expand_as(v))
    wanted = dim / 30 * along.T @ (along @ (p.mean(0) - q[0]))
    torch.testing.assert_close(v[0], wanted, rtol=1e-4 if dtype == torch.float32 else 1e-10, atol=1e-5)


def test_tied_samples_share_the_targets_of_all_of_them_by_hand():
    q = torch.tensor([[1.0], [0.0], [1.0], [0.0], [0.0], [3.0]]).double()
    p = torch.tensor([[0.0], [1.0], [5.0], [10.0], [20.0], [70.0]]).double()
    moved = euler(SlicedFlow(Noise(0)).velocity(q, p), q, 0.0, 1.0)
    torch.testing.assert_close(moved, torch.tensor([[15.0], [2.0], [15.0], [2.0], [2.0], [70.0]]).double())
    turned = torch.tensor([4, 2, 0, 5, 1, 3])  # nor does the order of the rows count
    again = euler(SlicedFlow(Noise(0)).velocity(q[turned], p), q[turned], 0.0, 1.0)
    torch.testing.assert_close(again, moved[turned])


def test_a_mirror_image_of_discrete_samples_moves_as_a_mirror_image():
    rows = Noise(8).integers(3, 60).view(30, 2).double() - 1
    q, p = torch.cat([rows, -rows]), draw(60, seed=2)
    p = torch.cat([p, -p])
    v = SlicedFlow(Noise(0, dtype=torch.float64)).velocity(q, p)(q)
    torch.testing.assert_close(v[:30], -v[30:], rtol=1e-9, atol=1e-9)
    assert v.norm(dim=1).max() > 0.1


def test_the_value_falls_at_the_rate_of_the_flow_from_discrete_samples_on_the_line():
    # the plan of a line is unique, so that a step along its barycentric map lowers F by dt E|v|^2 to first order
    q, p = Noise(3).integers(4, 50)[:, None].double(), draw(50, 1, 6)
    flow, dt = SlicedFlow(Noise(0), full_speed=False), 1e-6
    field = flow.velocity(q, p)
    v, before = field(q), flow.value(q, p)
    assert ((before - flow.value(q + dt * v, p)) / dt).item() == pytest.approx(
        v.square().sum(1).mean().item(), rel=1e-5
    )
