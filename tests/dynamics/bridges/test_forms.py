"""Forms of the first stage's drift: all are one function, with errors of known order, and say when they fail."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from torch import Tensor

from pushforward.densities.mixture import Mixture
from pushforward.dynamics.bridges import DenoiserDrift, MixtureFollmer, RatioDrift
from pushforward.dynamics.bridges.forms import collapsed
from pushforward.errors import UsageError
from pushforward.randomness import stream

NARROW = MixtureFollmer.of(Mixture.of([[-1.5], [1.5]], sigma=0.1), tau=4.0, sigma=0.5)
PLANE = MixtureFollmer.of(
    Mixture.of([[-1.0, 0.5], [0.6, -0.2]], covariances=[[[0.3, 0.1], [0.1, 0.2]], [[0.05, 0.0], [0.0, 0.4]]]),
    tau=2.0,
    sigma=1.0,
)
SPOTS = torch.tensor([[0.3, -0.2], [1.5, 0.4], [-1.0, 2.0]]).double()


def ratio_drift(bridge: MixtureFollmer, form, draws: int, seed: int = 0) -> RatioDrift:
    """The exact ratio and score of a mixture in one of the forms."""
    return RatioDrift(
        lambda y: bridge.log_h(y, 1.0), bridge.tau, bridge.sigma, form, draws, stream(seed, "train"),
        score=lambda y: bridge.score(y, bridge.sigma),
    )  # fmt: skip


def repeated(drift: RatioDrift, x: Tensor, t: float, times: int) -> Tensor:
    """Estimates (times, n, d), independent of each other."""
    return drift(x.repeat(times, 1), t).view(times, *x.shape)


@dataclass
class Fixed:
    """A source of the same number again and again, one for each of several calls."""

    numbers: list[float]
    calls: int = 0

    def normal(self, n: int, *event: int) -> Tensor:
        self.calls += 1
        return torch.ones(n, *event).double() * self.numbers[(self.calls - 1) % len(self.numbers)]

    uniform = integers = permutations = normal


@pytest.mark.parametrize("bridge", [NARROW, PLANE, MixtureFollmer.of_points(SPOTS, tau=2.0, sigma=1.0)])
def test_the_form_of_a_denoiser_is_the_exact_drift_at_every_time(bridge):
    drift = DenoiserDrift(bridge.denoised, bridge.tau, bridge.sigma, torch.zeros_like(bridge.mean))
    x = 1.5 * torch.randn(9, bridge.means.shape[1], generator=torch.Generator().manual_seed(0)).double()
    for t in (1e-3, 0.2, 0.7, 1.0):
        torch.testing.assert_close(drift(x, t), bridge.drift(x, t), rtol=0, atol=1e-10)
    start = bridge.drift(0 * x, 1e-9)  # at 0 itself the form takes the mean where it starts, which is not 0 here
    torch.testing.assert_close(start, drift(0 * x, 1e-9), rtol=0, atol=1e-6)
    torch.testing.assert_close(start[0], bridge.mean, rtol=0, atol=1e-6)


def test_a_start_at_the_mean_is_the_same_process_in_centred_data():
    centred = MixtureFollmer(PLANE.means - PLANE.mean, PLANE.variances, PLANE.axes, PLANE.weights, 2.0, 1.0)
    drift = DenoiserDrift(PLANE.denoised, 2.0, 1.0, mean=PLANE.mean)
    for t in (0.01, 0.5, 1.0):
        torch.testing.assert_close(drift(SPOTS + PLANE.mean, t), centred.drift(SPOTS, t), rtol=0, atol=1e-10)
    assert not drift(PLANE.mean.expand(3, 2), 0.0).any()
    images = DenoiserDrift(lambda y, s: 0.5 * y, 2.0, 1.0, mean=torch.ones(1, 2, 2))
    assert images(torch.randn(5, 1, 2, 2), 0.3).shape == (5, 1, 2, 2)


@pytest.mark.parametrize("form", ["autodiff", "score", "stein", "auto"])
@pytest.mark.parametrize("t", [0.0, 0.3, 0.8])
def test_with_many_draws_every_form_is_the_exact_drift(form, t):
    estimates = repeated(ratio_drift(PLANE, form, 400), SPOTS, t, 200)
    error, se = estimates.mean(0) - PLANE.drift(SPOTS, t), estimates.std(0) / math.sqrt(200)
    bias = estimates.std(0).square()  # of the order of the variance of one estimate
    assert bool((error.abs() < 4 * se + 2 * bias).all())
    assert float(estimates.std(0).max()) < 0.25


def test_slopes_and_scores_with_the_same_draws_are_one_number():
    for t in (0.0, 0.4, 1.0):
        ways = [ratio_drift(PLANE, form, 7)(SPOTS, t) for form in ("autodiff", "score")]
        torch.testing.assert_close(*ways, rtol=0, atol=1e-12)


def test_the_slope_of_one_logsumexp_is_the_weighted_sum_of_slopes():
    drift, t, draws = ratio_drift(PLANE, "autodiff", 5), 0.4, 5
    rng = stream(0, "train")
    y = (SPOTS + math.sqrt(2 * 0.6) * torch.stack([rng.normal(3, 2).double() for _ in range(draws)])).requires_grad_()
    logs = PLANE.log_h(y.flatten(0, 1), 1.0).view(draws, 3)
    (slopes,) = torch.autograd.grad(logs.sum(), y)
    wanted = 2.0 * (logs.softmax(0)[..., None] * slopes).sum(0)
    torch.testing.assert_close(drift(SPOTS, t), wanted.detach(), rtol=0, atol=1e-12)


@pytest.mark.parametrize("form", ["autodiff", "score", "stein"])
def test_blocks_of_draws_change_nothing_and_bound_what_is_held(form, monkeypatch):
    asked: list[int] = []
    whole = ratio_drift(PLANE, form, 23).with_share(SPOTS, 0.3)
    monkeypatch.setattr("pushforward.dynamics.bridges.forms.BLOCK", 30)
    drift = ratio_drift(PLANE, form, 23)

    def watched(y: Tensor) -> Tensor:
        asked.append(len(y))
        return PLANE.log_h(y, 1.0)

    parts = replace(drift, log_ratio=watched).with_share(SPOTS, 0.3)
    torch.testing.assert_close(parts, whole, rtol=0, atol=1e-12)
    assert (max(asked), sum(asked)) == (15, 69)


def test_a_ratio_beyond_all_exponents_is_no_trouble():
    drift = ratio_drift(PLANE, "autodiff", 8)
    shifted = replace(drift, log_ratio=lambda y: PLANE.log_h(y, 1.0) + 1e4, rng=stream(0, "train"))
    torch.testing.assert_close(shifted.with_share(SPOTS, 0.2), drift.with_share(SPOTS, 0.2), rtol=0, atol=1e-9)


@pytest.mark.parametrize(("form", "times"), [("autodiff", 20_000), ("stein", 50_000)])
def test_the_bias_falls_as_one_over_draws_and_the_error_as_their_root(form, times):
    """N bias -> -E (f/h)^2 (v - b), by quadrature. Of an estimate its part of first order, of mean 0, is taken away."""
    t, counts = 0.25, (32, 64, 128)
    x = torch.full((times, 1), 3.0, dtype=torch.float64)
    truth, log_h = NARROW.drift(x[:1], t), NARROW.log_h(x[:1], t)

    def parts(z: Tensor) -> Tensor:
        """f/h (v - b) of draws z (n, 1), and the weights f/h themselves."""
        y = x[:1] + math.sqrt(4.0 * (1 - t)) * z
        vector = math.sqrt(4.0 / (1 - t)) * z if form == "stein" else 4.0 * (NARROW.score(y, 0.5) + y / 4.0)
        weight = (NARROW.log_h(y, 1.0) - log_h).exp()[:, None]
        return torch.cat([weight * (vector - truth), weight], 1)

    nodes, masses = (torch.from_numpy(each) for each in np.polynomial.hermite_e.hermegauss(150))
    at_nodes = parts(nodes[:, None])
    constant = -float(masses @ at_nodes.prod(1) / masses.sum())
    bias, rmse = list[float](), list[float]()
    for draws in counts:
        error, rng = ratio_drift(NARROW, form, draws)(x, t) - truth, stream(0, "train")
        first = torch.stack([parts(rng.normal(*x.shape).double())[:, :1] for _ in range(draws)]).mean(0)
        bias.append(float((error - first).mean()))
        rmse.append(float(error.square().mean().sqrt()))
    assert counts[-1] * bias[-1] == pytest.approx(constant, rel=0.2)
    steps = math.log(counts[-1] / counts[0])
    assert math.log(bias[-1] / bias[0]) / steps == pytest.approx(-1, abs=0.2)
    assert math.log(rmse[-1] / rmse[0]) / steps == pytest.approx(-0.5, abs=0.05)


def test_the_published_form_with_a_flat_ratio_ends_with_a_variance_of_0_8647():
    """Data of variance 1 after the smoothing, tau = 2: the law is normal, and its variance follows a recursion."""
    steps, variance = 1000, 0.0
    x, h = torch.tensor([[0.0], [1.0]]).double(), 1 / steps
    for k in range(steps):
        values = []
        for z in (0.0, 1.0):
            drift = RatioDrift(torch.zeros_like, 2.0, 0.5, "paper", 1, Fixed([z, 7.0]), score=lambda y: -y)
            values.append(drift(x, k * h))
        slope, noise = float(values[0][1] - values[0][0]), float(values[1][0] - values[0][0])
        assert slope == pytest.approx(-1, abs=1e-12)  # tau E score + x
        variance = (1 + h * slope) ** 2 * variance + 2.0 * h + (h * noise) ** 2
    assert variance == pytest.approx(0.8647, abs=2e-3)


def test_the_published_form_takes_its_denominator_from_another_draw():
    drift = RatioDrift(lambda y: y[:, 0], 2.0, 0.5, "paper", 1, Fixed([1.0, -0.5]), score=lambda y: -y)
    x, reach = torch.tensor([[0.3]], dtype=torch.float64), math.sqrt(2.0 * 0.75)
    wanted = 0.3 + 2.0 * math.exp(1.5 * reach) * (-(0.3 + reach) + math.sqrt(0.75 / 2.0))
    assert float(drift(x, 0.25)) == pytest.approx(wanted, rel=1e-12)
    assert drift.with_share(x, 0.25)[1].isnan().all()


@pytest.mark.parametrize(("tau", "c"), [(2.0, 1.0), (1.5, 0.9)])
def test_the_share_of_draws_that_count_is_that_of_normal_laws(tau, c):
    """E f^2 / (E f)^2 = ((1 + r) / sqrt(1 + 2 r))^d at t = 0, with r = tau / c - 1."""
    bridge = MixtureFollmer.of(Mixture.of([[0.0, 0.0]], sigma=math.sqrt(c - 0.25)), tau=tau, sigma=0.5)
    share = ratio_drift(bridge, "stein", 4000).with_share(torch.zeros(200, 2).double(), 0.0)[1]
    r = tau / c - 1
    wanted = ((1 + r) / math.sqrt(1 + 2 * r)) ** -2
    assert float(share.mean()) == pytest.approx(wanted, abs=4 * float(share.std()) / math.sqrt(200) + 2 / 4000)
    assert collapsed(float(share.mean()), 4000, 2) == ""


def test_weights_that_collapse_in_many_dimensions_are_told_with_the_remedy():
    bridge = MixtureFollmer.of(Mixture.of([[0.0] * 784], sigma=0.1), tau=2.0, sigma=math.sqrt(0.99))
    for draws in (4, 16, 64):
        share = float(ratio_drift(bridge, "stein", draws).with_share(torch.zeros(20, 784).double(), 0.0)[1].mean())
        words = collapsed(share, draws, 784)
        assert f"of {draws} draws {share * draws:.1f} count in 784 dimensions" in words
        assert "form denoiser" in words
    assert collapsed(0.5, 16, 784) == collapsed(math.nan, 1, 784) == ""


def test_auto_is_stein_before_its_switch_and_autodiff_from_there_on():
    auto = replace(ratio_drift(PLANE, "auto", 6), switch=0.3)
    for t, form in ((0.29, "stein"), (0.3, "autodiff"), (1.0, "autodiff")):
        torch.testing.assert_close(replace(auto, rng=stream(5, "train"))(SPOTS, t),
                                   replace(auto, rng=stream(5, "train"), form=form)(SPOTS, t))  # fmt: skip
    torch.testing.assert_close(auto(SPOTS, 1.0), PLANE.drift(SPOTS, 1.0))  # no noise is left: any ratio's slope is it


def test_images_keep_their_shape_and_nothing_of_a_net_is_kept():
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 1), torch.nn.Flatten(0))
    drift = RatioDrift(net, 2.0, 1.0, "auto", 3, stream(0, "train"))
    for t in (0.1, 0.9):
        b, share = drift.with_share(torch.randn(5, 3, 2, 2), t)
        assert (b.shape, share.shape, b.requires_grad, share.requires_grad) == ((5, 3, 2, 2), (5,), False, False)
    assert all(parameter.grad is None for parameter in net.parameters())


def test_what_cannot_be_is_refused_with_its_numbers():
    too_wide = r"sigma 1.5 and tau 2: tau must be above sigma\^2 = 2.25"
    with pytest.raises(UsageError, match=too_wide):
        DenoiserDrift(PLANE.denoised, 2.0, 1.5, PLANE.mean)
    with pytest.raises(UsageError, match=too_wide):
        replace(ratio_drift(PLANE, "stein", 2), sigma=1.5)
    with pytest.raises(UsageError, match="1 draws in the form stein: give 2 or more"):
        ratio_drift(PLANE, "stein", 1)
    with pytest.raises(UsageError, match="4 draws in the form paper: give 1"):
        ratio_drift(PLANE, "paper", 4)
    with pytest.raises(UsageError, match="the form score without a score"):
        replace(ratio_drift(PLANE, "stein", 2), form="score", score=None)
    with pytest.raises(UsageError, match=r"the form stein at t = 1.0: .* use the form auto"):
        ratio_drift(PLANE, "stein", 2)(SPOTS, 1.0)
