"""The bridge between normal laws: its ends, its equations, its energy, and how fast fitting comes to it."""

from __future__ import annotations

import math
from itertools import islice

import pytest
import torch
from torch import Tensor

from pushforward.dynamics.bridges import GaussianBridge
from pushforward.errors import UsageError


def positive(seed: int, d: int = 3) -> Tensor:
    root = torch.randn(d, d, generator=torch.Generator().manual_seed(seed)).double()
    return root @ root.mT + 0.2 * torch.eye(d).double()


def bridge(tau: float = 0.7) -> GaussianBridge:
    mean0, mean1 = torch.tensor([[1.0, -0.5, 0.2], [-0.3, 0.8, 0.0]]).double()
    return GaussianBridge(mean0, positive(1), mean1, positive(2), tau)


def joint(one: GaussianBridge) -> Tensor:
    c = one.coupling
    return torch.cat([torch.cat([one.covariance0, c], 1), torch.cat([c.mT, one.covariance1], 1)])


def one(tau: float = 1.0) -> GaussianBridge:
    zero, unit = torch.zeros(1).double(), torch.ones(1, 1).double()
    return GaussianBridge(zero, unit, zero, unit, tau)


def test_the_ends_are_bound_as_the_noise_binds_them():
    made = bridge()
    precision = torch.linalg.inv(joint(made))
    torch.testing.assert_close(precision[:3, 3:], -torch.eye(3).double() / made.tau, rtol=0, atol=1e-10)


def test_between_equal_laws_the_ends_covary_by_the_golden_ratio():
    assert float(one().coupling) == pytest.approx((math.sqrt(5) - 1) / 2, abs=1e-12)


@pytest.mark.parametrize("t", [0.0, 0.3, 1.0])
def test_covariance_and_drift_are_of_one_process(t):
    made, step = bridge(), 1e-5
    k = made.gain(t) @ made.covariance(t)
    slope = (made.covariance(t + step) - made.covariance(t - step)) / (2 * step)
    torch.testing.assert_close(k + k.mT + made.tau * torch.eye(3).double(), slope, rtol=0, atol=1e-8)


def test_it_starts_and_ends_where_it_should():
    made = bridge()
    torch.testing.assert_close(made.covariance(0), made.covariance0)
    torch.testing.assert_close(made.covariance(1), made.covariance1)
    torch.testing.assert_close(made.mean(1), made.mean1)
    x = torch.randn(5, 3, generator=torch.Generator().manual_seed(0)).double()
    at_mean = made.drift(made.mean(0.4)[None], 0.4)[0]
    torch.testing.assert_close(at_mean, made.mean1 - made.mean0)
    assert made.drift(x.float(), 0.4).dtype == torch.float32


def test_energy_is_twice_tau_times_the_divergence_from_the_noise():
    made = bridge()
    start, d = made.covariance0, 3
    across = torch.linalg.solve(start, made.coupling).mT  # E[X1 | X0] = m1 + across (X0 - m0)
    left = made.covariance1 - across @ made.coupling
    drawn = (across - torch.eye(d).double()) @ start @ (across - torch.eye(d).double()).mT
    shift = (made.mean1 - made.mean0).square().sum()
    kl = ((left.trace() + drawn.trace() + shift) / made.tau - d - torch.logdet(left / made.tau)) / 2
    assert made.energy == pytest.approx(2 * made.tau * float(kl), rel=1e-9)
    point = GaussianBridge.from_point(torch.zeros(3).double(), made.mean1, made.covariance1, 0.7)
    to_noise = (made.covariance1.trace() + made.mean1.square().sum()) / 0.7 - d - torch.logdet(made.covariance1 / 0.7)
    assert point.energy == pytest.approx(0.7 * float(to_noise), rel=1e-9)


def test_fitting_comes_to_it_at_its_rate():
    made = bridge()
    target = torch.linalg.inv(joint(made))
    errors = [float((q - target[3:, 3:]).norm()) for _, q in islice(made.ipf(), 16)]
    assert errors[15] / errors[14] == pytest.approx(made.ipf_rate, rel=0.01)
    assert one().ipf_rate == pytest.approx(((math.sqrt(5) - 1) / 2) ** 4, abs=1e-12)
    p, q = next(islice(one().ipf(), 40, None))
    beside = 1 / (p * q - 1)  # the diagonal of the inverse of [[p, -1], [-1, q]]
    assert float(beside) == pytest.approx(float(one().coupling), abs=1e-12)


def test_from_a_point_the_drift_is_finite_at_once():
    made = GaussianBridge.from_point(torch.zeros(3).double(), torch.ones(3).double(), positive(3), 1.3)
    eye = torch.eye(3).double()
    torch.testing.assert_close(made.gain(0.0), (positive(3) - 1.3 * eye) / 1.3)
    near, k = made.gain(1e-7), made.gain(0.5) @ made.covariance(0.5)
    torch.testing.assert_close(near, made.gain(0.0), rtol=0, atol=1e-5)
    torch.testing.assert_close(k, 0.5 * (positive(3) - 1.3 * eye))


def test_what_is_no_law_is_refused():
    zero, eye = torch.zeros(2).double(), torch.eye(2).double()
    for parts, said in (
        ((zero, eye, zero, -eye, 1.0), "covariance1: it must be symmetric"),
        ((zero, torch.diag(torch.tensor([1.0, 0.0])).double(), zero, eye, 1.0), "positive definite or 0"),
        ((zero, eye, zero, eye, 0.0), "tau is 0"),
        ((zero, eye, zero[:1], eye, 1.0), "shapes"),
    ):
        with pytest.raises(UsageError, match=said):
            GaussianBridge(*parts)
    with pytest.raises(UsageError, match="starts at a point"):
        next(GaussianBridge.from_point(zero, zero, eye, 1.0).ipf())
