"""MMD flow: closed forms of the linear kernel, the kernel's length, noise, memory."""

from __future__ import annotations

import math
from functools import partial

import pytest
import torch

from pushforward.dynamics.integrate import euler
from pushforward.errors import UsageError
from pushforward.flows.mmd import MMDFlow
from pushforward.geometry import Linear, energy, gram, kernels, median_bandwidth, multiscale, random_features, rbf
from pushforward.methods.particles.driver import Particles
from pushforward.metrics.two_sample.kernel import mmd_squared
from pushforward.randomness import Noise
from pushforward.training.state import load_state, resume_state, weights


def noise(seed=0):
    return Noise(seed, dtype=torch.float64)


def pair(n=60, m=80, dim=2):
    return noise(1).normal(n, dim), noise(2).normal(m, dim) + 1.0


def test_value_is_half_of_the_biased_mmd_squared():
    q, p = pair()
    for kernel in (rbf(0.8), energy()):
        wanted = mmd_squared(q, p, kernel, biased=True) / 2
        assert MMDFlow(kernel).value(q, p).item() == pytest.approx(wanted, rel=1e-9)


def test_a_linear_kernel_closes_the_gap_of_the_means_exponentially_and_keeps_the_shape():
    q, p = pair()
    flow, shape, gap, dt = MMDFlow(Linear()), q - q.mean(0), q.mean(0) - p.mean(0), 0.01
    assert flow.value(q, p).item() == pytest.approx(gap.square().sum().item() / 2, rel=1e-12)
    for _ in range(100):
        q = euler(flow.velocity(q, p), q, 0.0, dt)
    torch.testing.assert_close(q.mean(0) - p.mean(0), gap * 0.99**100, rtol=1e-9, atol=0)
    torch.testing.assert_close(q.mean(0) - p.mean(0), gap / math.e, rtol=0.01, atol=0)
    torch.testing.assert_close(q - q.mean(0), shape, rtol=1e-12, atol=1e-12)


def test_two_points_under_the_energy_kernel_close_in_at_unit_speed():
    x, y = torch.tensor([[3.0, 4.0]], dtype=torch.float64), torch.zeros(1, 2, dtype=torch.float64)
    flow = MMDFlow(energy())
    torch.testing.assert_close(flow.velocity(x, y)(x), -x / 5)
    assert flow.value(x, y).item() == pytest.approx(5.0)


def test_a_family_takes_the_median_of_the_first_sample_and_keeps_it():
    q, p = pair()
    flow = MMDFlow(partial(multiscale, rbf))
    assert flow.value(q, p) > 0
    assert flow.bandwidth == 0
    flow.velocity(q, p)
    assert flow.bandwidth.item() == median_bandwidth(q, p)
    flow.velocity(5 * q, p)
    assert flow.bandwidth.item() == median_bandwidth(q, p)


def test_blocks_are_walked_so_that_no_matrix_of_pairs_exists(monkeypatch):
    seen = []
    monkeypatch.setattr(kernels, "_CACHE", 8 * 700 * 10)
    q, p = pair(300, 400)
    kernel = rbf(1.0)
    watched = kernels.Kernel("watched", 1.0, lambda s: seen.append(s.numel()) or kernel.profile(s), kernel.derivative)
    v = MMDFlow(watched).velocity(q, p)(q)
    assert max(seen) <= 700 * 10
    both, signs = torch.cat([q, p]), torch.cat([q.new_full((300,), 1 / 300), q.new_full((400,), -1 / 400)])
    force = gram(kernel, q, both) * signs
    torch.testing.assert_close(v, (q[:, None] - both).mul(force[:, :, None]).sum(1), rtol=1e-9, atol=1e-12)


def test_noise_is_looked_up_beside_the_points_on_schedule():
    q, p = pair(200, 50)
    kernel, beta = rbf(1.0), 0.7
    flow = MMDFlow(kernel, noise=lambda calls: beta if calls else 0.0, rng=noise(), watch=False)
    still = flow.velocity(q, p)(q)
    assert torch.equal(still, MMDFlow(kernel).velocity(q, p)(q))
    jittered = flow.velocity(q, p)
    point = q[:1].expand(20_000, 2)
    draws = jittered(point)
    # E exp(-|x + beta u - z|²/2) = (1 + beta²)^(-d/2) exp(-|x - z|² / 2(1 + beta²)); its slope is the draws' mean.
    wide = rbf((1 + beta**2) ** 0.5)
    wanted = MMDFlow(wide).velocity(q, p)(q[:1])[0] / (1 + beta**2)
    torch.testing.assert_close(draws.mean(0), wanted, rtol=0, atol=5 * float(draws.std(0).max()) / 20_000**0.5)
    again = flow.replay(flow.snapshot())(point)
    assert not torch.equal(again, draws)
    assert again.std().item() == pytest.approx(draws.std().item(), rel=0.05)
    with pytest.raises(UsageError, match="rng"):
        MMDFlow(kernel, noise=lambda calls: 1.0)


def test_noise_lets_a_narrow_kernel_find_the_data():
    q, p = pair(100, 100)
    q = q * 0.2 - 2
    reached = {}
    for beta in (0.0, 4.0):
        flow = MMDFlow(rbf(1.0), noise=lambda calls, beta=beta: beta * max(0.0, 1 - calls / 300), rng=noise())
        x = q
        for _ in range(400):
            x = euler(flow.velocity(x, p), x, 0.0, 1.0)
        reached[beta] = MMDFlow(energy()).value(x, p).item()
    assert reached[4.0] < 0.4 * reached[0.0]


@pytest.mark.parametrize("kernel", [lambda seed: rbf, lambda seed: random_features(2, 30, 1.0, noise(seed))])
def test_a_resumed_run_goes_on_bit_for_bit(kernel):
    _, p = pair()

    def method(seed=6):
        flow = MMDFlow(kernel(seed), noise=lambda calls: 0.1 / (1 + calls), rng=noise(4))
        return Particles(flow, pair()[0], 0.5, noise(5), record=True)

    whole, parts = method(), method()
    for _ in zip(range(6), whole.learn(iter(lambda: p, None))):
        pass
    for _ in zip(range(3), parts.learn(iter(lambda: p, None))):
        pass
    resumed = method(seed=7)  # what was drawn at the start comes from the checkpoint
    load_state(resumed, weights(parts), resume_state(parts))
    for _ in zip(range(3), resumed.learn(iter(lambda: p, None), start=3)):
        pass
    assert torch.equal(resumed.particles, whole.particles)


def test_new_points_are_carried_along_the_recorded_fields():
    _, p = pair()
    q = pair()[0]
    driver = Particles(MMDFlow(rbf(1.0)), q, 0.5, noise(5), record=True)
    for _ in zip(range(5), driver.learn(iter(lambda: p, None))):
        pass
    assert torch.equal(driver.transport(q), driver.particles)
    assert (driver.transport(q[:7] + 1e-6) - driver.particles[:7]).norm(dim=1).max() < 1e-3
