"""The density of a denoiser's model against mixtures that have one, and the errors of its parts."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from pushforward.densities.mixture import Mixture
from pushforward.dynamics.bridges import MixtureFollmer
from pushforward.dynamics.integrate import AdamsBashforth, euler, heun, rk4
from pushforward.dynamics.sde.likelihood import Reach, log_prob
from pushforward.errors import UsageError
from pushforward.randomness import stream

LOW = 0.05
LAWS = {
    "normal": Mixture.of([[0.3, -1.0]], covariances=[[[0.5, 0.2], [0.2, 0.3]]]),
    "mixture": Mixture.of(
        [[-1.0, 0.5], [0.6, -0.2]],
        covariances=[[[0.3, 0.1], [0.1, 0.2]], [[0.05, 0.0], [0.0, 0.4]]],
        weights=[0.3, 0.7],
    ),
    "line": Mixture.of([[-1.0], [0.8]], covariances=[[[0.04]], [[0.09]]], weights=[0.3, 0.7]),
}


def denoiser(law: Mixture):
    return MixtureFollmer.of(law, tau=2.0, sigma=1.0).denoised


def smoothed(law: Mixture, s: float = LOW) -> Mixture:
    eye = torch.eye(law.means.shape[1], dtype=torch.float64)
    return Mixture(law.means, law.covariances + s**2 * eye, law.weights)


def places(law: Mixture, n: int = 8) -> Tensor:
    d = law.means.shape[1]
    return law.weights @ law.means + torch.randn(n, d, generator=torch.Generator().manual_seed(0)).double()


@pytest.mark.parametrize("name", LAWS)
@pytest.mark.parametrize("known", [False, True])
def test_it_is_the_density_of_the_smoothed_law(name, known):
    law = LAWS[name]
    ends = Reach(LOW, 300.0, law.weights @ law.means, 0.6) if known else Reach(LOW, 3e5)
    found = log_prob(denoiser(law), places(law), ends, steps=200)
    torch.testing.assert_close(found, smoothed(law).log_prob(places(law)), rtol=0, atol=1e-4)


def test_a_normal_law_of_the_given_mean_and_spread_takes_one_step():
    law = Mixture.of([[0.3, -1.0, 2.0]], sigma=0.7)
    found = log_prob(denoiser(law), places(law), Reach(0.2, 3.0, law.means[0], 0.7), steps=1, scheme=euler)
    torch.testing.assert_close(found, smoothed(law, 0.2).log_prob(places(law)), rtol=0, atol=1e-12)


@pytest.mark.parametrize(("scheme", "order"), [(euler, 1), (heun, 2), (AdamsBashforth(2), 2), (rk4, 4)])
def test_its_error_has_the_order_of_the_scheme(scheme, order):
    law, ends = LAWS["line"], Reach(0.2, 50.0, spread=0.8)
    steps = (40, 80)
    exact = log_prob(denoiser(law), places(law), ends, steps=400)
    coarse, fine = (
        (log_prob(denoiser(law), places(law), ends, steps=n, scheme=scheme) - exact).square().mean().sqrt()
        for n in steps
    )
    assert math.log2(float(coarse / fine)) == pytest.approx(order, abs=0.3)
    assert float(fine) < 0.05


def test_the_far_end_is_wrong_by_the_square_of_its_level_where_the_width_is():
    law, errors = LAWS["mixture"], list[float]()
    truth, mean = smoothed(law).log_prob(places(law)), law.weights @ law.means
    for high in (8.0, 16.0):
        found = log_prob(denoiser(law), places(law), Reach(LOW, high, mean, 0.6), steps=100)
        errors.append(float((found - truth).abs().max()))
    assert 3.5 < errors[0] / errors[1] < 5
    assert errors[1] < 0.02


def test_random_directions_give_the_trace_on_average_and_nothing_else_is_random():
    law, ends, times = LAWS["mixture"], Reach(LOW, 100.0, spread=0.6), 400
    x = places(law, 3)
    exact = log_prob(denoiser(law), x, ends, steps=24)
    one = log_prob(denoiser(law), x.repeat(times, 1), ends, steps=24, probes=1, rng=stream(0, "train")).view(times, 3)
    se = one.std(0) / math.sqrt(times)
    assert bool(((one.mean(0) - exact).abs() < 4 * se).all())
    assert float(one.std(0).max()) > 0.01
    four = log_prob(denoiser(law), x.repeat(times, 1), ends, steps=24, probes=4, rng=stream(1, "train")).view(times, 3)
    torch.testing.assert_close(four.std(0), one.std(0) / 2, rtol=0.2, atol=0)
    line = LAWS["line"]  # in one dimension a sign is all there is
    signed = log_prob(denoiser(line), places(line), ends, steps=24, probes=1, rng=stream(0, "train"))
    torch.testing.assert_close(signed, log_prob(denoiser(line), places(line), ends, steps=24), rtol=0, atol=1e-10)


@pytest.mark.parametrize("probes", [0, 2])
def test_rows_at_a_time_change_nothing(probes):
    law, ends = LAWS["mixture"], Reach(LOW, 100.0)
    ways = [
        log_prob(denoiser(law), places(law), ends, steps=10, probes=probes, rng=stream(0, "train"), rows=rows)
        for rows in (None, 3)
    ]
    torch.testing.assert_close(*ways, rtol=0, atol=1e-10)


def test_images_in_the_type_of_nets_are_followed_finely():
    scale = torch.tensor(0.5)
    images = torch.randn(4, 1, 3, 2, generator=torch.Generator().manual_seed(0))
    asked: list[torch.dtype] = []

    def net(y: Tensor, s: float | Tensor) -> Tensor:
        asked.append(y.dtype)
        return y * scale**2 / (scale**2 + s**2)

    found = log_prob(net, images, Reach(0.01, 400.0, spread=0.4), steps=100)
    law = torch.distributions.Normal(0.0, math.hypot(0.5, 0.01))
    torch.testing.assert_close(found, law.log_prob(images.double()).flatten(1).sum(1), rtol=0, atol=1e-4)
    assert set(asked) == {torch.float32}


def test_what_cannot_be_is_refused_with_the_remedy():
    law = LAWS["line"]
    with pytest.raises(UsageError, match="levels 0 to 5: give 0 < low < high"):
        Reach(0, 5)
    with pytest.raises(UsageError, match="spread is -1"):
        Reach(0.1, 5, spread=-1)
    with pytest.raises(UsageError, match="2 probes and no source for them: give rng="):
        log_prob(denoiser(law), places(law), Reach(LOW, 5.0), probes=2)
    with pytest.raises(UsageError, match="steps 0"):
        log_prob(denoiser(law), places(law), Reach(LOW, 5.0), steps=0)
    with pytest.raises(UsageError, match="no slope in y"):
        log_prob(torch.no_grad()(denoiser(law)), places(law), Reach(LOW, 5.0))
