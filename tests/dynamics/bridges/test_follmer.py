"""The two-stage bridge to a mixture: its drift against quadrature, its laws, and the denoiser that is all of it."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from pushforward.densities.mixture import Mixture
from pushforward.dynamics.bridges import GaussianBridge, MixtureFollmer
from pushforward.errors import UsageError

LINE = Mixture.of([[-1.0], [0.8]], covariances=[[[0.04]], [[0.09]]], weights=[0.3, 0.7])
PLANE = Mixture.of(
    [[-1.0, 0.5], [0.6, -0.2], [0.0, 1.0]],
    covariances=[[[0.3, 0.1], [0.1, 0.2]], [[0.05, 0.0], [0.0, 0.4]], [[0.2, -0.15], [-0.15, 0.3]]],
    weights=[0.2, 0.5, 0.3],
)
ROUND = Mixture.of([[-1.0, 0.5], [0.6, -0.2]], sigma=0.3, weights=[0.4, 0.6])
POINTS = torch.randn(7, 2, generator=torch.Generator().manual_seed(1)).double()


def bridges(tau: float = 2.0, sigma: float = 1.0) -> dict[str, MixtureFollmer]:
    made = {name: MixtureFollmer.of(law, tau=tau, sigma=sigma) for name, law in (("line", LINE), ("plane", PLANE))}
    return made | {"round": MixtureFollmer.of(ROUND, tau=tau, sigma=sigma),
                   "points": MixtureFollmer.of_points(POINTS, tau=tau, sigma=sigma)}  # fmt: skip


def somewhere(bridge: MixtureFollmer, n: int = 9, seed: int = 0) -> torch.Tensor:
    rng = torch.Generator().manual_seed(seed)
    return 1.5 * torch.randn(n, bridge.means.shape[1], generator=rng, dtype=torch.float64)


def rise(function, x: torch.Tensor) -> torch.Tensor:
    x = x.clone().requires_grad_(True)
    return torch.autograd.grad(function(x).sum(), x)[0]


@pytest.mark.parametrize("name", bridges())
@pytest.mark.parametrize("t", [0.0, 0.3, 0.9, 1.0])
def test_the_drift_is_tau_times_the_gradient_of_log_h(name, t):
    bridge = bridges()[name]
    x = somewhere(bridge)
    torch.testing.assert_close(
        bridge.drift(x, t), bridge.tau * rise(lambda y: bridge.log_h(y, t), x), rtol=0, atol=1e-11
    )


@pytest.mark.parametrize("t", [0.0, 0.4, 0.8])
def test_h_is_the_mean_of_the_ratio_over_what_noise_is_left(t):
    bridge, x = bridges()["plane"], somewhere(bridges()["plane"])
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    grid = torch.cartesian_prod(*2 * [torch.from_numpy(nodes)])
    mass = torch.cartesian_prod(*2 * [torch.from_numpy(weights)]).prod(1) / (2 * math.pi)
    smooth = Mixture(PLANE.means, PLANE.covariances + torch.eye(2), PLANE.weights)

    def log_ratio(y: torch.Tensor) -> torch.Tensor:
        return smooth.log_prob(y) + y.square().sum(1) / (2 * bridge.tau) + math.log(2 * math.pi * bridge.tau)

    def log_h(y: torch.Tensor) -> torch.Tensor:
        far = (y[:, None] + math.sqrt(bridge.tau * (1 - t)) * grid).flatten(0, 1)
        return torch.logsumexp(log_ratio(far).view(len(y), -1) + mass.log(), 1)

    torch.testing.assert_close(bridge.log_h(x, t), log_h(x), rtol=0, atol=1e-5)
    torch.testing.assert_close(bridge.drift(x, t), bridge.tau * rise(log_h, x), rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", bridges())
def test_the_denoiser_alone_gives_the_drift(name):
    bridge = bridges()[name]
    tau, left = bridge.tau, bridge.tau - bridge.sigma**2
    for t in (1e-3, 0.2, 0.7, 1.0):
        x, s = somewhere(bridge), math.sqrt(bridge.sigma**2 + tau * (1 - t) / t)
        by_denoiser = (tau * bridge.denoised(x / t, s) - left * x) / (tau - t * left)
        torch.testing.assert_close(bridge.drift(x, t), by_denoiser, rtol=0, atol=1e-10)
    torch.testing.assert_close(bridge.drift(0 * somewhere(bridge), 0.0)[0], bridge.mean, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["line", "plane", "round"])
def test_the_score_is_that_of_the_smoothed_mixture(name):
    bridge, law = bridges()[name], {"line": LINE, "plane": PLANE, "round": ROUND}[name]
    x = somewhere(bridge)
    for s in (0.05, 0.7, 30.0):
        eye = torch.eye(x.shape[1]).double()
        smooth = Mixture(law.means, law.covariances + s**2 * eye, law.weights)
        torch.testing.assert_close(bridge.score(x, s), rise(smooth.log_prob, x), rtol=1e-9, atol=1e-10)


def test_its_law_obeys_the_equation_of_fokker_and_planck():
    bridge = bridges()["line"]

    def density(t: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        wide = (t**2 * (bridge.variances[:, 0] + bridge.sigma**2) + bridge.tau * t * (1 - t)).sqrt()
        return (bridge.weights * torch.distributions.Normal(t * bridge.means[:, 0], wide).log_prob(x).exp()).sum()

    for at in torch.tensor([[0.2, 0.3], [0.5, -0.9], [0.9, 1.4]]).double():

        def flux(y: torch.Tensor, t: torch.Tensor = at[0]) -> torch.Tensor:
            return bridge.tau * rise_of(bridge, y, t) * density(t, y)

        first = torch.autograd.functional.jacobian(lambda v: density(v[0], v[1]), at)
        second = torch.autograd.functional.hessian(lambda v: density(v[0], v[1]), at)
        carried = torch.autograd.functional.jacobian(flux, at[1])
        assert float(first[0] + carried - bridge.tau / 2 * second[1, 1]) == pytest.approx(0, abs=1e-10)


def rise_of(bridge: MixtureFollmer, y: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    """grad log h on the line, still differentiable."""
    return torch.autograd.grad(bridge.log_h(y.view(1, 1), t).sum(), y, create_graph=True)[0]


def test_one_normal_law_is_the_bridge_from_a_point():
    covariance = torch.tensor([[0.5, 0.2], [0.2, 0.3]]).double()
    mean, sigma, tau = torch.tensor([0.4, -1.0]).double(), 0.8, 1.5
    law = Mixture(mean[None], covariance[None], torch.ones(1).double())
    mine = MixtureFollmer.of(law, tau=tau, sigma=sigma)
    other = GaussianBridge.from_point(torch.zeros(2).double(), mean, covariance + sigma**2 * torch.eye(2).double(), tau)
    x = somewhere(mine)
    for t in (0.0, 0.5, 1.0):
        torch.testing.assert_close(mine.drift(x, t), other.drift(x, t), rtol=0, atol=1e-12)


def test_blocks_times_of_their_own_and_images_change_nothing(monkeypatch):
    x, times = somewhere(bridges()["plane"], 12), torch.linspace(0, 1, 12).double()
    for name in ("plane", "points"):
        bridge = bridges()[name]
        whole = bridge.drift(x, times)
        each = torch.cat([bridge.drift(row[None], float(t)) for row, t in zip(x, times, strict=True)])
        torch.testing.assert_close(whole, each, rtol=0, atol=1e-12)
        monkeypatch.setattr("pushforward.dynamics.bridges.follmer.BLOCK", 40)
        torch.testing.assert_close(bridge.drift(x, times), whole, rtol=0, atol=1e-12)
        monkeypatch.undo()
    images = torch.randn(5, 1, 2, 3)
    made = MixtureFollmer.of_points(images, tau=2.0, sigma=1.0)
    assert made.denoised(images, 1e-3).shape == images.shape
    torch.testing.assert_close(made.denoised(images, 1e-3), images)
    assert made.denoised(images, 1e-3).dtype == torch.float32


def test_what_has_no_bounded_ratio_is_refused_with_its_numbers():
    with pytest.raises(UsageError, match=r"sigma 1.5 and tau 2: tau must be above sigma\^2 = 2.25"):
        MixtureFollmer.of(LINE, tau=2.0, sigma=1.5)
    with pytest.raises(UsageError, match="variances down to -1"):
        MixtureFollmer(torch.zeros(1, 2), -torch.ones(1, 1), None, torch.ones(1), 2.0, 1.0)


@pytest.mark.parametrize(
    ("what", "said"),
    [
        (lambda made, x: made.denoised(x, 0.0), "noise 0.0: give one above 0"),
        (lambda made, x: made.denoised(x, torch.tensor([1.0, -1.0])), "give one above 0"),
        (lambda made, x: made.drift(x, 2.0), "time 2.0: give one from 0 to 1"),
        (lambda made, x: made.drift(x, math.nan), "from 0 to 1"),
        (lambda made, x: made.denoised(x.long(), 1.0), "of torch.int64: give floating-point numbers"),
        (lambda made, x: made.drift(x[:, :1], 0.5), r"points \(2, 1\).*2 in a row"),
        (lambda made, x: MixtureFollmer.of_points(x[:0], tau=2.0, sigma=1.0), r"\(0, 2\): give"),
        (lambda made, x: MixtureFollmer.of_points(x[0], tau=2.0, sigma=1.0), r"shape \(2,\): give"),
    ],
)
def test_points_times_and_widths_that_there_are_not_are_refused(what, said):
    x = torch.ones(2, 2)
    with pytest.raises(UsageError, match=said):
        what(MixtureFollmer.of_points(x, tau=2.0, sigma=1.0), x)
