"""A cloud that goes together: what is kept of any field of velocities, and what is averaged."""

from __future__ import annotations

import pytest
import torch

from pushforward.errors import UsageError
from pushforward.merging.flow.how import How
from pushforward.merging.flow.together import Around, Together
from pushforward.randomness import Noise

SHARES = [0.0, 0.1, 0.5, 1.0]


def step(x, v, share, labels=None):
    """Way of every cell in a step of one."""
    scheme = Together.of(x, labels, share)
    way = scheme(lambda x, t=0.0: v, x, 0.0, 1.0) - x
    torch.testing.assert_close(scheme.length, way.norm(dim=1))
    return way


def line(x, v):
    """Means, and slopes of the lines of least squares, of every column."""
    spread = x - x.mean(0)
    return torch.stack([v.mean(0), (spread * v).mean(0) / spread.square().mean(0)])


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("n", [60, 700])
def test_shift_and_scale_of_any_field_are_kept_whatever_is_averaged(share, n):
    x = Noise(0, dtype=torch.float64).normal(n, 3) * torch.tensor([1.0, 0.01, 5.0], dtype=torch.float64)
    fastest = torch.full((1, 3), 100.0, dtype=torch.float64)  # so that its limit, which comes last, lowers nothing
    plain = torch.tensor([0.3, 0.0, -0.2]) + x * torch.tensor([-0.4, 0.1, 0.0])
    torch.testing.assert_close(step(x, plain, share), plain, rtol=0, atol=1e-12)
    v = Noise(1, dtype=torch.float64).normal(n, 3) + 0.1 * x.sign()
    v = torch.cat([v[:-1], fastest])
    found, wanted = line(x, step(x, v, share)), line(x, v)
    steep = wanted[1] < -0.5  # which a step does not follow
    torch.testing.assert_close(found[0], wanted[0], rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(found[1][~steep], wanted[1][~steep], rtol=1e-8, atol=1e-8)


def test_a_column_shrinks_by_half_at_the_most_and_never_turns_round():
    x = Noise(0, dtype=torch.float64).normal(200, 1)
    torch.testing.assert_close(step(x, -3 * x, 1.0), -0.5 * x - 2.5 * x.mean(0), rtol=0, atol=1e-12)


def test_without_a_share_each_goes_its_own_way():
    noise = Noise(1)
    x, v = noise.normal(700, 2), noise.normal(700, 2)
    torch.testing.assert_close(step(x, v, 0.0), v)


@pytest.mark.parametrize("share", SHARES[1:])
def test_means_are_over_the_nearest(share):
    noise = Noise(2)
    x, v = noise.normal(200, 2), noise.normal(200, 2)
    near = torch.cdist(x, x).topk(round(200 * share), largest=False).indices
    torch.testing.assert_close(Around.of(x, torch.arange(200), share).smooth(v), v[near].mean(1))


def test_many_cells_go_by_anchors_nearly_as_by_their_own_surroundings():
    noise = Noise(3)
    x = noise.normal(2000, 2)
    v = torch.sin(x) + noise.normal(2000, 2)
    near = torch.cdist(x, x).topk(200, largest=False).indices
    exact, found = v[near].mean(1), Around.of(x, torch.arange(2000), 0.1).smooth(v)
    assert float((found - exact).square().mean()) < 0.05 * float(exact.var())


def test_a_class_goes_its_own_way():
    noise = Noise(4)
    labels = torch.arange(200) % 2
    x, v = noise.normal(200, 2), torch.where(labels == 0, 1.0, -1.0)[:, None].expand(-1, 2)
    torch.testing.assert_close(step(x, v, 0.5, labels), v)
    assert float(step(x, v, 0.5).abs().mean()) < 0.3  # without classes they go together, and so nowhere


def test_none_is_faster_than_the_fastest_was():
    x = torch.cat([Noise(5).normal(200, 1), torch.tensor([[100.0]])])
    v = torch.cat([x[:200].clamp(-1, 1), torch.zeros(1, 1)])
    assert float(step(x, v, 0.5).abs().max()) <= 1 + 1e-6
    still = torch.zeros(201, 1)
    torch.testing.assert_close(step(x, still, 0.5), still)


def test_one_cell_and_cells_in_one_place_go_as_they_would():
    for n in (1, 2, 30):
        v = torch.ones(n, 2)
        torch.testing.assert_close(step(torch.zeros(n, 2), v, 0.5), v)


@pytest.mark.parametrize("share", [-0.1, 1.5, float("nan"), 50])
def test_a_share_is_a_share(share):
    with pytest.raises(UsageError, match=f"around {share}: give a share from 0 to 1"):
        How(around=share)
