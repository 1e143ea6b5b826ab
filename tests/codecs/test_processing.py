"""The data-processing inequality: equality for linear decoders, a strict one for curved ones, and honest slopes."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from pushforward.codecs import PCA, certified, data_processing, reconstruction
from pushforward.codecs.processing import steepness
from pushforward.divergences import KL_LIP, alpha_lip
from pushforward.metrics.quality.transport import wasserstein
from pushforward.oracles import line
from pushforward.randomness import Noise


def transport(q: Tensor, p: Tensor, slope: float) -> float:
    """L W1, the Lipschitz-regularised divergence that needs no f."""
    return slope * wasserstein(q, p, order=1)


class Curl:
    """D(z) = (sin z, cos z, 0.3 z), of Lipschitz constant sqrt(1.09), with an encoder that is exact on its image."""

    budget = "a curl in closed form"

    def encode(self, x: Tensor) -> Tensor:
        return x[:, 2:] / 0.3

    def decode(self, z: Tensor) -> Tensor:
        return torch.cat([z.sin(), z.cos(), 0.3 * z], 1)


def test_a_linear_decoder_gives_equality_where_reconstruction_is_exact():
    x = torch.randn(60, 2, dtype=torch.float64) @ torch.randn(2, 5, dtype=torch.float64)
    codec = PCA.fit(x, 2)
    report = data_processing(codec, codec.encode(x[:30]) + 1, x, Noise(0), slope=0.7, divergence=transport)
    assert report.bound == pytest.approx(report.decoded, rel=1e-9)
    assert report.direct == pytest.approx(report.decoded, rel=1e-9)
    assert report.reconstruction < 1e-9
    assert report.exact
    assert report.holds
    assert report.steepness == pytest.approx(1.0)


def test_a_curl_shrinks_distances():
    z = torch.linspace(-3, 3, 50, dtype=torch.float64)[:, None]
    codec = Curl()
    report = data_processing(codec, z + 2, codec.decode(z), Noise(0), slope=0.5, divergence=transport)
    assert report.steepness == pytest.approx(math.sqrt(1.09), rel=1e-9)
    assert not report.exact
    assert report.bound == pytest.approx(math.sqrt(1.09) * 0.5 * 2, rel=1e-9)
    assert report.decoded < 0.9 * report.bound
    assert report.holds


@pytest.mark.parametrize("slope", [0.5, 1.0])
@pytest.mark.parametrize("divergence", [KL_LIP, alpha_lip(2)], ids=lambda divergence: divergence.name)
def test_certified_values_are_equal_for_a_linear_decoder_and_ordered_for_a_curl(divergence, slope):
    value = certified(divergence)
    z = torch.randn(40, 2, dtype=torch.float64)
    codes, targets = z[:20] + torch.tensor([2.0, 0.5], dtype=torch.float64), z[20:]
    plane = PCA.fit(z @ torch.randn(2, 5, dtype=torch.float64), 2, unit=True)
    report = data_processing(plane, codes, plane.decode(targets), Noise(0), slope=slope, divergence=value)
    assert report.decoded == pytest.approx(report.bound, abs=2e-3)
    assert report.direct == pytest.approx(report.bound, abs=2e-3)
    assert report.bound > 0.3
    curl, codes, targets = Curl(), codes[:, :1], targets[:, :1]
    report = data_processing(curl, codes, curl.decode(targets), Noise(0), slope=slope, divergence=value)
    by_line = line(divergence, codes[:, 0], targets[:, 0], report.steepness * slope)
    assert report.bound == pytest.approx(by_line.lower, abs=2e-3)
    assert 0 < report.decoded < 0.95 * report.bound
    assert report.holds


def test_what_reconstruction_loses_is_beside_the_bound_and_bounds_the_rest_of_the_way():
    x = torch.randn(80, 4, dtype=torch.float64) * torch.tensor([2.0, 1.0, 1.0, 1.0], dtype=torch.float64)
    codec = PCA.fit(x, 1)
    report = data_processing(codec, codec.encode(x), x, Noise(0), divergence=transport)
    assert report.bound == pytest.approx(0.0, abs=1e-9)
    assert report.decoded == pytest.approx(0.0, abs=1e-9)
    assert 0.1 < report.direct <= report.reconstruction + 1e-9
    assert report.reconstruction == pytest.approx(reconstruction(codec, x))


def test_the_account_names_every_number_and_says_where_a_slope_is_an_estimate():
    z = torch.linspace(-1, 1, 9)[:, None]
    text = str(data_processing(Curl(), z, Curl().decode(z) + 1, Noise(0), divergence=transport))
    assert "a curl in closed form" in text
    assert "a_D >= 1.044, at most inf" in text
    assert "not in the bound" in text
    exact = PCA.fit(torch.randn(20, 3), 2)
    assert "a_D = 1\n" in str(
        data_processing(exact, torch.randn(9, 2), torch.randn(9, 3), Noise(0), divergence=transport)
    )


def test_segments_between_codes_are_searched_too():
    class Bump(Curl):
        def decode(self, z: Tensor) -> Tensor:
            return 5 * torch.tanh(4 * z)

    ends = torch.tensor([[-2.0], [2.0]]).repeat(50, 1)
    steep, exact = steepness(Bump(), ends, Noise(0))
    assert not exact
    assert 19 < steep <= 20 + 1e-4
