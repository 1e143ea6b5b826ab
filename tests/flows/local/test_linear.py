"""Lines fitted about each point: right where the log-ratio is a line, and closer than kernel estimates elsewhere."""

from __future__ import annotations

import math
from functools import partial

import pytest
import torch

from pushforward.divergences import KL, REVERSE_KL
from pushforward.errors import UsageError
from pushforward.flows.drift.flow import DriftFlow
from pushforward.flows.local.linear import LocalFlow
from pushforward.geometry.kernels import rbf
from pushforward.methods.particles.driver import Particles
from pushforward.randomness import Noise


def quantiles(n, mean, std):
    """A sample of a normal law that is as even as one can be, (n, 1)."""
    u = (torch.arange(n, dtype=torch.float64) + 0.5) / n
    return mean + std * math.sqrt(2) * torch.erfinv(2 * u - 1)[:, None]


def test_kliep_between_gaussians_is_the_closed_form():
    q, p = quantiles(20_000, 0.0, 0.5), quantiles(20_000, 1.0, 1.0)
    found = LocalFlow("kliep", 0.4, ridge=0.0).velocity(q, p)(torch.tensor([[0.3]], dtype=torch.float64))
    assert float(found) == pytest.approx(2.189655, abs=2e-3)


@pytest.mark.parametrize("fit", ["logistic", "kliep"])
@pytest.mark.parametrize("length", [0.5, 1.0, 3.0])
def test_of_equal_covariances_the_slope_is_right_at_every_length(fit, length):
    q, p = quantiles(4000, 0.0, 1.0), quantiles(4000, 0.7, 1.0)
    x = torch.tensor([[-0.5], [0.2], [1.0]], dtype=torch.float64)
    found = LocalFlow(fit, length, ridge=0.0).velocity(q, p)(x)
    torch.testing.assert_close(found, torch.full_like(found, 0.7), rtol=0.02, atol=0.0)


def test_squares_fit_the_ratio_itself():
    q, p = quantiles(20_000, 0.0, 1.0), quantiles(20_000, 0.3, 1.0)
    x = torch.tensor([[-0.5], [0.2], [0.6]], dtype=torch.float64)
    ratio = torch.exp(0.3 * x - 0.045)
    for divergence, wanted in ((REVERSE_KL, 0.3 * ratio), (KL, torch.full_like(x, 0.3))):
        found = LocalFlow("squares", 0.2, ridge=0.0, divergence=divergence).velocity(q, p)(x)
        torch.testing.assert_close(found, wanted, rtol=0.02, atol=0.0)


@pytest.mark.parametrize("dim", [2, 5])
def test_the_velocity_errs_by_at_most_half_of_what_a_kernel_estimate_does(dim):
    flows = {"logistic": partial(LocalFlow, "logistic"), "kliep": partial(LocalFlow, "kliep")}
    errors = {"drift": [], "logistic": [], "kliep": []}
    for seed in range(3):
        rng = Noise(seed, dtype=torch.float64)
        way = torch.full((dim,), 1 / math.sqrt(dim), dtype=torch.float64)  # the log-ratio's slope, of length 1
        q, p = rng.normal(400, dim), rng.normal(400, dim) + way
        for name, kept in errors.items():
            found = []
            for length in (0.6, 1.2, 2.4):
                if name == "drift":
                    v = DriftFlow(rbf, (length,), "split", unit=1.0, rms=False).velocity(q, p)(q) / length**2
                else:
                    v = flows[name](length).velocity(q, p)(q)
                found.append(float((v - way).square().sum(1).mean().sqrt()))
            kept.append(min(found))
    mean = {name: sum(kept) / len(kept) for name, kept in errors.items()}
    assert mean["logistic"] < 0.5 * mean["drift"]
    assert mean["kliep"] < 0.5 * mean["drift"]


def test_classes_are_fits_of_their_own_and_one_without_data_stands_still():
    rng = Noise(0, dtype=torch.float64)
    q, p = rng.normal(60, 2), rng.normal(60, 2) + 0.5
    mine, theirs = torch.arange(60) % 3, torch.arange(60) % 2
    v = LocalFlow(length=1.0).velocity(q, p, (mine, theirs))(q)
    for label in range(2):
        rows = q[mine == label]
        alone = LocalFlow(length=1.0, ridge=1e-3).velocity(rows, p[theirs == label])(rows)
        torch.testing.assert_close(v[mine == label], alone, rtol=0, atol=1e-5)
    assert not v[mine == 2].any()


def test_blocks_equal_the_whole_and_a_field_is_written_down_and_read_back(monkeypatch):
    rng = Noise(0, dtype=torch.float64)
    q, p = rng.normal(60, 2), rng.normal(50, 2) + 0.5
    flow = LocalFlow()
    velocity = flow.velocity(q, p)
    whole, x = velocity(q), rng.normal(7, 2)
    monkeypatch.setattr("pushforward.flows.local.linear.BLOCK", 2000)
    torch.testing.assert_close(velocity(q), whole, rtol=0, atol=1e-5)
    assert torch.equal(LocalFlow().replay(flow.snapshot())(x), velocity(x))


def test_particles_follow_it_onto_the_data():
    rng = Noise(0)
    p, start = rng.normal(300, 2) * 0.7 + 1.5, rng.normal(300, 2)
    cloud = Particles(LocalFlow(length=1.5), start, 0.1, rng)
    for _, _ in zip(range(60), cloud.learn(iter(lambda: p, None))):
        pass
    assert (cloud.particles.mean(0) - p.mean(0)).norm() < 0.15
    torch.testing.assert_close(cloud.particles.std(0), p.std(0), rtol=0.2, atol=0.0)


def test_far_samples_have_no_line_and_stand_still():
    rng = Noise(0)
    q, p = rng.normal(50, 2), rng.normal(50, 2) + 1000
    assert bool(LocalFlow(length=1.0).velocity(q, p)(q).isfinite().all())


def test_settings_that_do_not_go_are_refused():
    with pytest.raises(UsageError, match="use logistic, kliep or squares"):
        LocalFlow("linear")  # pyright: ignore[reportArgumentType]
    with pytest.raises(UsageError, match="a positive length or None"):
        LocalFlow(length=0.0)
    with pytest.raises(UsageError, match="takes at most 20"):
        LocalFlow().velocity(torch.zeros(3, 21), torch.zeros(3, 21))
