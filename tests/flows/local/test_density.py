"""The flow between kernel densities: gradient of their log-ratio, its closed form between normals, and its edges."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from pushforward.errors import UsageError
from pushforward.flows.local.density import DensityFlow, Pair, Shift, nearby

H, HOLE, OWN = 0.3, 0.15, 0.05


def clouds(n: int = 40, m: int = 57, d: int = 2, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(seed)
    return torch.randn(n, d, dtype=torch.float64), 0.8 * torch.randn(m, d, dtype=torch.float64) + 0.5


def fine(length: float | None = H, **other) -> DensityFlow:
    return DensityFlow(length, share=0.0, **other)


def log_ratio(x, q, p, h):
    """log p_h - log q_h without what lies within r h of x, and in q_h x itself, of weight a, where it now is."""
    far = [torch.cdist(x, points).square() / (2 * h * h) for points in (p, q)]
    near = [torch.where(square > HOLE**2 / 2, -square, -torch.inf) for square in far]
    own = math.log(OWN) - (x - x.detach()).square().sum(1, keepdim=True) / (2 * h * h)
    return near[0].logsumexp(1) - torch.cat([near[1], own], 1).logsumexp(1)


@pytest.mark.parametrize("d", [1, 2, 5])
def test_it_is_the_gradient_of_the_log_ratio_of_both_estimates(d):
    q, p = clouds(d=d)
    x = torch.cat([q[:10], p[:10], torch.randn(30, d, dtype=torch.float64)]).requires_grad_(True)
    (slope,) = torch.autograd.grad(log_ratio(x, q, p, H).sum(), x)
    torch.testing.assert_close(fine().velocity(q, p)(x), H**2 * slope, rtol=1e-9, atol=1e-12)


def test_the_wide_field_adds_its_share():
    q, p = clouds()
    both = DensityFlow(H, wide=0.7, share=0.25).velocity(q, p)(q)
    apart = fine().velocity(q, p)(q) + Shift((Pair(q, p, 0.7, HOLE * H, 0.25),))(q)
    torch.testing.assert_close(both, apart)


def test_between_normals_it_follows_the_closed_form():
    torch.manual_seed(1)
    q, p = torch.randn(400_000, 2, dtype=torch.float64) * 1.5, torch.randn(400_000, 2, dtype=torch.float64) * 0.5 + 1
    x = torch.linspace(0.2, 1.8, 9, dtype=torch.float64)[:, None].expand(9, 2)
    exact = H**2 * ((1 - x) / (0.5**2 + H**2) + x / (1.5**2 + H**2))
    faster = math.exp(HOLE**2 / 2)  # 1 / (share of a kernel beyond r h), in the plane
    torch.testing.assert_close(fine().velocity(q, p)(x), faster * exact, rtol=0, atol=4e-3)


def test_samples_of_the_datas_law_stand_still_in_the_mean_though_they_are_in_the_estimate():
    rng, slopes = np.random.default_rng(0), []
    for _ in range(60):
        q, p = (torch.from_numpy(rng.normal(size=(500, 2))) for _ in range(2))
        slopes.append(float((fine(0.6).velocity(q, p)(q) * q).sum() / q.square().sum()))
    assert abs(np.mean(slopes)) < 3 * np.std(slopes) / 60**0.5 < 0.006  # -.011 if a sample counted itself


def test_a_lone_sample_goes_to_the_data_near_it_and_not_away_from_others():
    q = torch.tensor([[0.0, 0.0], [0.1, 0.0], [30.0, 0.0]], dtype=torch.float64)
    p = torch.tensor([[20.0, 0.0], [-20.0, 1.0]], dtype=torch.float64)
    torch.testing.assert_close(fine().velocity(q, p)(q)[2], torch.tensor([-10.0, 0.0], dtype=torch.float64))


def test_points_a_thousand_lengths_off_are_finite():
    q, p = (x.float() for x in clouds())
    v = fine(1e-3).velocity(q, p)(1e3 * q)
    assert v.isfinite().all()


def test_large_coordinates_cost_no_digits():
    q, p = clouds()
    here = fine().velocity(q, p)(q)
    far = fine().velocity((q + 300).float(), (p + 300).float())((q + 300).float())
    torch.testing.assert_close(far.double(), here, rtol=0, atol=2e-3)


def test_blocks_of_rows_are_the_whole(monkeypatch):
    q, p = clouds()
    whole = DensityFlow(H).velocity(q, p)(q)
    monkeypatch.setattr("pushforward.flows.local.density._BLOCK", 100)
    torch.testing.assert_close(DensityFlow(H).velocity(q, p)(q), whole)


def test_it_remembers_so_many_batches_and_no_more():
    flow, batches = fine(memory=2), [clouds(seed=seed) for seed in range(5)]
    for q, p in batches:
        field = flow.velocity(q, p)
    q, p = (torch.cat([pair[k] for pair in batches[-3:]]) for k in (0, 1))
    torch.testing.assert_close(field(q), fine().velocity(q, p)(q))
    assert len(flow.kept) == 3


def test_the_length_is_that_of_neighbours_until_the_memory_is_full():
    flow, batches = fine(None, neighbours=5, memory=1), [clouds(seed=seed) for seed in range(4)]
    found = []
    for q, p in batches:
        flow.velocity(q, p)
        found.append(float(flow.found))
    first, both = batches[0][1], torch.cat([batches[0][1], batches[1][1]])
    assert found[0] == nearby(first, 5)
    assert found[1:] == [nearby(both, 5)] * 3


def test_neighbours_are_counted_by_hand():
    x = torch.tensor([[0.0], [1.0], [3.0], [7.0]])
    assert nearby(x, 1) == 1.0  # 1, 1, 2, 4: the lower median
    assert nearby(x, 3) == 6.0  # 7, 6, 4, 7
    assert nearby(x, 9) == 6.0
    assert nearby(torch.tensor([[0.0], [0.0], [0.0], [2.0]]), 2) == 2.0  # equal rows are passed over
    assert nearby(torch.zeros(5, 2), 3) == 0.0
    assert nearby(torch.zeros(1, 2), 3) == 0.0


def test_data_of_equal_rows_take_the_wide_length():
    flow = DensityFlow()
    v = flow.velocity(torch.randn(8, 2), torch.zeros(8, 2))(torch.ones(3, 2))
    assert float(flow.found) == flow.wide
    assert v.isfinite().all()


def test_of_classes_each_has_a_flow_of_its_own():
    flow, (q, p) = DensityFlow(H), clouds()
    of_q, of_p = torch.arange(len(q)) % 3, torch.arange(len(p)) % 3
    v = flow.velocity(q, p, (of_q, of_p))(q)
    for k in range(3):
        mine = DensityFlow(H).velocity(q[of_q == k], p[of_p == k])(q[of_q == k])
        torch.testing.assert_close(v[of_q == k], mine)


def test_a_class_without_data_stands_still_and_others_are_asked_for():
    flow, (q, p) = DensityFlow(H), clouds()
    field = flow.velocity(q, p, (torch.arange(len(q)) % 3, torch.zeros(len(p), dtype=torch.int64)))
    assert (field(q)[1::3] == 0).all()
    x = torch.randn(4, 2, dtype=torch.float64)
    there = field.given(torch.zeros(4, dtype=torch.int64))(x)
    torch.testing.assert_close(there, DensityFlow(H).velocity(q[::3], p)(x))


@pytest.mark.parametrize("bad", [{"length": 0.0}, {"wide": -1.0}, {"length": float("nan")}])
def test_lengths_that_are_none_are_refused(bad):
    with pytest.raises(UsageError, match="give positive ones"):
        DensityFlow(**bad)


@pytest.mark.parametrize("bad", [{"neighbours": 0}, {"memory": -1}])
def test_counts_below_the_least_are_refused(bad):
    with pytest.raises(UsageError, match="give 1 and 0 at the least"):
        DensityFlow(**bad)


def test_events_of_any_shape_are_flattened():
    q, p = clouds(d=4)
    flat = DensityFlow(H).velocity(q, p)(q)
    shaped = DensityFlow(H).velocity(q.view(-1, 2, 2), p.view(-1, 2, 2))(q.view(-1, 2, 2))
    torch.testing.assert_close(shaped.flatten(1), flat)
