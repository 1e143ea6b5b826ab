"""Particles that drift: every mode in its share and of its width, without a critic."""

import pytest
import torch

from pushforward.data.toys import plane
from pushforward.metrics.known.modes import modes
from pushforward.recipes import RECIPES
from pushforward.recipes.peers import flow_particles

MIXTURES = {"ring8": (plane.ring8, 0.01, 0.94), "grid25": (plane.grid25, 0.05, 0.85)}


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("name", MIXTURES)
def test_all_modes_are_filled_in_their_shares_and_as_wide_as_they_are(name, seed):
    mixture, sigma, least = MIXTURES[name]
    options = {"data": f"toy:{name}", "flow": "drift", "steps": 150, "particles": 1000, "batch": 1000}
    run = RECIPES[flow_particles.__name__](**options, seed=seed)
    for _ in zip(range(150), run.method.learn(run.batches)):
        pass
    found = torch.as_tensor(run.data.decode(run.method.particles), dtype=torch.float64)
    scores = modes(found, mixture.means, sigma)
    assert scores["modes_captured_20"].value == len(mixture.means)
    assert scores["high_quality"].value >= least
    assert scores["mode_kl"].value <= 0.004
    near, which = torch.cdist(found, mixture.means).min(1)
    inside = near < 3 * sigma
    width = (found - mixture.means[which])[inside].square().mean().sqrt() / sigma
    assert 0.85 < float(width) < 1.15  # a perfect sampler's, cut at three sigma, is 0.97
