"""The truth is covered as often as one more draw of the same law would be, and less where draws are wrong."""

from __future__ import annotations

import math

import pytest
import torch

from pushforward.dynamics.editing import Guidance, LinearProjection, restore
from pushforward.dynamics.editing.covering import coverage, nominal
from pushforward.dynamics.sde.levels import power
from pushforward.errors import UsageError
from pushforward.randomness import Noise

VARIANCE, RHO, ROWS, DRAWS = 0.0625, 0.9, 2000, 9
COVARIANCE = VARIANCE * torch.tensor([[1.0, RHO], [RHO, 1.0]]).double()
KNOWN = LinearProjection.mask(torch.tensor([1, 0]))


def denoiser(x: torch.Tensor, s: float) -> torch.Tensor:
    return x @ torch.linalg.solve(COVARIANCE + s * s * torch.eye(2).double(), COVARIANCE)


def restored(strategy) -> tuple[torch.Tensor, torch.Tensor]:
    """Truths of the bivariate normal law, (n, 1), and draws of their second numbers given the first."""
    truth = Noise(1).normal(ROWS, 2).double() @ torch.linalg.cholesky(COVARIANCE).mT
    x = restore(denoiser, KNOWN, truth.repeat(DRAWS, 1), power(400, 20.0, 0.002), Noise(0), strategy=strategy)
    return truth[:, 1:], x[:, 1:].view(DRAWS, ROWS, 1)


def test_draws_of_an_exact_bivariate_normal_model_cover_the_nominal_share():
    truth, draws = restored(Guidance())
    error = math.sqrt(0.8 * 0.2 / ROWS)
    assert nominal(DRAWS) == pytest.approx(0.8)
    assert float(coverage(truth, draws).mean()) == pytest.approx(0.8, abs=4 * error)


@pytest.mark.parametrize("change", ["half as wide", "twice as wide", "moved by a deviation"])
def test_draws_that_are_wrong_do_not(change):
    truth, draws = restored(Guidance())
    middle, deviation = draws.mean(0), math.sqrt(VARIANCE * (1 - RHO**2))
    wrong = {
        "half as wide": middle + 0.5 * (draws - middle),
        "twice as wide": middle + 2 * (draws - middle),
        "moved by a deviation": draws + deviation,
    }[change]
    found = float(coverage(truth, wrong).mean())
    assert found > 0.9 if change == "twice as wide" else found < 0.67


@pytest.mark.parametrize(("draws", "share", "wanted"), [(9, 0.8, 0.8), (8, 0.8, 7 / 9), (4, 0.8, 0.6), (19, 0.9, 0.9)])
def test_over_all_ranks_the_mean_is_the_nominal_one(draws, share, wanted):
    assert nominal(draws, share) == pytest.approx(wanted)
    own = torch.arange(draws).double()[:, None, None]
    every = (torch.arange(draws + 1).double() - 0.5)[:, None]
    inside = coverage(every, own.expand(draws, draws + 1, 1), share)
    assert inside.unique().tolist() == [0, 1]
    assert float(inside.mean()) == pytest.approx(wanted)
    assert torch.equal(inside, inside.flip(0))


@pytest.mark.parametrize("levels", [1, 2, 5])
def test_numbers_on_a_grid_are_covered_as_often(levels):
    rng = torch.Generator().manual_seed(0)
    x = torch.randint(levels, (DRAWS + 1, 40_000), generator=rng)
    inside = coverage(x[0], x[1:])
    error = float(inside.std()) / 200
    assert float(inside.mean()) == pytest.approx(0.8, abs=4 * error + 1e-12)


def test_too_few_draws_and_other_sizes_are_refused():
    with pytest.raises(UsageError, match=r"3 draws have no band of 0\.8: give at least 4"):
        nominal(3)
    with pytest.raises(UsageError, match="between 0 and 1"):
        nominal(9, 1.0)
    with pytest.raises(UsageError, match="draws \\(9, 3, 2\\) of \\(3,\\)"):
        coverage(torch.zeros(3), torch.zeros(9, 3, 2))
