"""Laws of every flow whose field is known without training: it is the gradient of its value, and it can be replayed."""

from __future__ import annotations

from functools import partial

import pytest
import torch

from pushforward.divergences import KL, PEARSON
from pushforward.dynamics.integrate import integrate, rk4
from pushforward.flows.jko import GaussianJKO
from pushforward.flows.kernel_gpa import KernelGPA, kale
from pushforward.flows.mmd import MMDFlow
from pushforward.flows.sinkhorn import SinkhornFlow
from pushforward.flows.sliced import SlicedFlow
from pushforward.flows.stein import KSDFlow, SteinFlow
from pushforward.geometry import Linear, directions, energy, imq, multiscale, random_features, rbf, sliced_energy
from pushforward.randomness import Noise
from pushforward.types import Replayable

DIM = 3
COVARIANCE = torch.tensor([[1.0, 0.4, 0.0], [0.4, 2.0, -0.3], [0.0, -0.3, 0.7]], dtype=torch.float64)
MEAN = torch.tensor([1.0, -0.5, 0.2], dtype=torch.float64)


def noise(seed=0):
    return Noise(seed, dtype=torch.float64)


def score(x):
    return -(x - MEAN) @ torch.linalg.inv(COVARIANCE)


def bent_score(x):
    return score(x) - 0.1 * x**3


FLOWS = {
    "MMD rbf": lambda: MMDFlow(rbf(1.3)),
    "MMD median": lambda: MMDFlow(partial(multiscale, rbf)),
    "MMD imq": lambda: MMDFlow(imq(1.0)),
    "MMD energy": lambda: MMDFlow(energy()),
    "MMD Riesz": lambda: MMDFlow(energy(1.5)),
    "MMD linear": lambda: MMDFlow(Linear()),
    "MMD random features": lambda: MMDFlow(random_features(DIM, 50, 1.3, noise())),
    "MMD sliced energy": lambda: MMDFlow(sliced_energy(DIM, 40, noise())),
    "Sinkhorn": lambda: SinkhornFlow(0.4, tolerance=1e-12, iterations=5000),
    "sliced": lambda: SlicedFlow(noise(), along=directions(DIM, 30, noise())),
    "KALE": lambda: kale(rbf(1.3), 0.05, tolerance=1e-12),
    "GPA KL": lambda: KernelGPA(KL, imq(1.0), 0.05, tolerance=1e-12),
    "GPA Pearson": lambda: KernelGPA(PEARSON, energy(), 0.2, tolerance=1e-12),
    "KSD rbf": lambda: KSDFlow(bent_score, rbf(1.2)),
    "KSD imq": lambda: KSDFlow(bent_score, imq(1.0)),
}
REPLAYED = FLOWS | {
    "sliced, new lines": lambda: SlicedFlow(noise()),
    "Stein": lambda: SteinFlow(score),
    "Stein linear": lambda: SteinFlow(score, Linear()),
    "JKO": lambda: GaussianJKO(MEAN, COVARIANCE, 0.3),
}
each = pytest.mark.parametrize("name", FLOWS)
each_replayed = pytest.mark.parametrize("name", REPLAYED)


def pair(n=40, m=57, seed=1):
    rng = noise(seed)
    return rng.normal(n, DIM), rng.normal(m, DIM) * 0.8 + MEAN


@each
def test_velocity_is_minus_n_times_the_gradient_of_the_value(name):
    flow, (q, p) = FLOWS[name](), pair()
    v = flow.velocity(q, p)(q)
    for seed in range(3):
        # The energy has kinks where two points meet: on lines they are many, in space rounding blurs them.
        u, h = noise(10 + seed).normal(*q.shape), 1e-7 if "sliced" in name else 1e-4
        slope = (flow.value(q + h * u, p) - flow.value(q - h * u, p)) / (2 * h)
        torch.testing.assert_close(slope, -(v * u).sum(1).mean(), rtol=1e-4, atol=0)


@each
def test_the_value_falls_at_the_rate_of_the_mean_square_speed(name):
    flow, (q, p), dt = FLOWS[name](), pair(), 2e-3
    values, rates = [flow.value(*pair())], []
    for _ in range(5):
        v = flow.velocity(q, p)(q)
        rates.append(v.square().sum(1).mean())
        q = q + dt * v
        values.append(flow.value(q, p))
    drops = -torch.stack(values).diff() / dt
    torch.testing.assert_close(drops, torch.stack(rates), rtol=0.03, atol=0)


@each
def test_the_logged_divergence_is_the_value(name):
    flow, (q, p) = FLOWS[name](), pair()
    flow.velocity(q, p)
    torch.testing.assert_close(flow.logs["divergence"], flow.value(q, p), rtol=1e-9, atol=1e-12)
    assert flow.logs["divergence"].dim() == 0


@each_replayed
def test_a_replayed_field_is_the_field_on_new_points_too(name):
    flow, (q, p), (x, _) = REPLAYED[name](), pair(), pair(seed=5)
    v, state = flow.velocity(q, p), flow.snapshot()
    assert isinstance(flow, Replayable)
    assert all(isinstance(tensor, torch.Tensor) for tensor in state.values())
    there, here = v(x), v(q)
    flow.velocity(q + 1, p - 1)
    again = REPLAYED[name]().replay(state)
    assert torch.equal(again(x), there)
    assert torch.equal(again(q), here)


@pytest.mark.parametrize("name", [name for name in REPLAYED if not name.startswith(("KSD", "Stein", "JKO"))])
def test_events_of_any_shape_are_flattened(name):
    q, p = pair()
    flat = REPLAYED[name]().velocity(q, p)(q)
    shaped = REPLAYED[name]().velocity(q.view(-1, 1, DIM), p.view(-1, 1, DIM))(q.view(-1, 1, DIM))
    torch.testing.assert_close(shaped, flat.view(-1, 1, DIM))


@pytest.mark.parametrize("name", [name for name in REPLAYED if not name.startswith("KSD")])
def test_velocity_points_from_q_to_p_between_shifted_gaussians(name):
    draw = noise().normal(600, DIM) @ torch.linalg.cholesky(COVARIANCE).T
    shift = torch.tensor([1.0, -0.5, 0.7], dtype=torch.float64)
    q, p = draw + MEAN - shift, noise(1).normal(600, DIM) @ torch.linalg.cholesky(COVARIANCE).T + MEAN
    mean = REPLAYED[name]().velocity(q, p)(q).mean(0)
    if name.startswith(
        ("Stein", "MMD rbf", "MMD imq", "MMD energy", "MMD Riesz", "MMD median", "MMD random", "KALE", "GPA")
    ):
        assert torch.cosine_similarity(mean, shift, dim=0) > 0.85  # forces depend on shape; only their sign is sure
    else:
        assert torch.cosine_similarity(mean, shift, dim=0) > 0.97


@pytest.mark.parametrize(
    "name", ["MMD rbf", "MMD median", "MMD energy", "MMD linear", "Sinkhorn", "KALE", "GPA Pearson"]
)
def test_rotating_and_moving_everything_rotates_the_velocity(name):
    q, p = pair()
    turn, _ = torch.linalg.qr(noise(3).normal(DIM, DIM))
    still = FLOWS[name]().velocity(q, p)(q)
    turned = FLOWS[name]().velocity(q @ turn + 3, p @ turn + 3)(q @ turn + 3)
    torch.testing.assert_close(turned, still @ turn, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("name", ["MMD rbf", "MMD energy", "Sinkhorn", "sliced", "MMD sliced energy", "KALE", "GPA KL"])
def test_nothing_moves_where_q_is_p(name):
    q, _ = pair()
    assert FLOWS[name]().velocity(q, q.clone())(q).abs().max() < 1e-9


@pytest.mark.parametrize("name", ["MMD energy", "Sinkhorn", "sliced"])
def test_the_flow_arrives(name):
    q, p = pair(40, 40)
    flow = FLOWS[name]()
    start = flow.value(q, p)
    for _ in range(60):
        q = integrate(flow.velocity(q, p), q, until=0.2, steps=1)
    assert flow.value(q, p) < 0.06 * start


def test_a_frozen_field_is_followed_by_any_scheme():
    q, p = pair()
    field = MMDFlow(rbf(1.3)).velocity(q, p)
    fine = integrate(field, q, until=0.5, steps=400)
    torch.testing.assert_close(integrate(field, q, until=0.5, steps=2, scheme=rk4), fine, rtol=0, atol=3e-3)
