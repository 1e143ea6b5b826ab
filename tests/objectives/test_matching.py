"""The denoising loss: its minimum is the denoiser, its unit is the linear one, and levels come as their laws say."""

from __future__ import annotations

import math

import pytest
import torch

from pushforward.dynamics.sde.levels import linear_variance
from pushforward.errors import UsageError
from pushforward.objectives.matching import Ladder, LogNormal, balanced, by_score, denoising
from pushforward.randomness import Noise


def test_the_loss_is_least_at_the_mean_of_the_data_behind_the_noise():
    rng, n, v = Noise(0, dtype=torch.float64), 200_000, 0.49
    x, noise = math.sqrt(v) * rng.normal(n, 1), rng.normal(n, 1)
    s = torch.full((n,), 0.6, dtype=torch.float64)
    right = v / (v + 0.36)
    losses = [
        float(denoising(lambda y, s, k=k: k * y, x, s, noise, torch.ones_like(s)))
        for k in (right - 0.1, right, right + 0.1)
    ]
    assert losses[1] == pytest.approx(v * 0.36 / (v + 0.36), rel=0.02)  # what noise hides
    for other in (losses[0], losses[2]):
        assert other - losses[1] == pytest.approx(0.01 * (v + 0.36), rel=0.05)


def test_a_net_that_knows_mean_and_spread_alone_pays_one_at_every_level():
    rng, n = Noise(1, dtype=torch.float64), 400_000
    s = LogNormal()(rng, n).double()
    x, noise = rng.normal(n, 1), rng.normal(n, 1)
    linear = lambda y, s: y / (1 + s.square())[:, None]  # noqa: E731
    for part in (s < 0.3, s > 1.5):
        found = denoising(linear, x[part], s[part], noise[part], balanced(s[part]))
        assert float(found) == pytest.approx(1.0, rel=0.02)


def test_the_published_weight_is_the_error_of_the_score_times_the_level():
    rng = Noise(2, dtype=torch.float64)
    x, noise, s = rng.normal(50, 3), rng.normal(50, 3), rng.uniform(50) + 0.2
    score = lambda y, s: torch.sin(y)  # noqa: E731
    found = denoising(lambda y, s: y + s[:, None].square() * score(y, s), x, s, noise, by_score(s))
    wanted = (noise + s[:, None] * score(x + s[:, None] * noise, s)).square().mean(1).mean()
    torch.testing.assert_close(found, wanted)


def test_levels_follow_their_laws():
    drawn = LogNormal(-0.3, 0.7)(Noise(0), 200_000).log()
    assert float(drawn.mean()) == pytest.approx(-0.3, abs=0.008)
    assert float(drawn.std()) == pytest.approx(0.7, rel=0.01)
    ladder = tuple(linear_variance(10, 2.0)[:-1])
    drawn = Ladder(ladder)(Noise(0), 20_000)
    assert sorted(set(drawn.tolist()), reverse=True) == pytest.approx(ladder)
    shares = torch.stack([(drawn == level).double().mean() for level in drawn.unique()])
    assert bool(((shares - 0.1).abs() < 0.01).all())
    with pytest.raises(UsageError, match="all positive"):
        Ladder((1.0, 0.0))
