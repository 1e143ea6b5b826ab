"""Paths between two samples: their ends, their law where the data are normal, and how smooth they are."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from dynamics.editing.linear import moments

from pushforward.densities.mixture import Mixture
from pushforward.dynamics.bridges import MixtureFollmer
from pushforward.dynamics.editing import interpolate
from pushforward.dynamics.sde.levels import ancestral, euler_maruyama, linear_variance, power
from pushforward.errors import UsageError
from pushforward.randomness import Noise

POINTS = torch.randn(20, 3, generator=torch.Generator().manual_seed(0)).double()
MEAN, VARIANCE = torch.tensor([0.3, -0.7, 1.1]).double(), 0.4
PATHS = pytest.mark.parametrize("path", ["linear", "spherical"])


def normal(x: torch.Tensor, s: float) -> torch.Tensor:
    mean = MEAN[: x.shape[1]]
    return mean + VARIANCE / (VARIANCE + s * s) * (x - mean)


@PATHS
def test_at_a_low_level_the_ends_are_the_samples_and_between_them_all_is_data(path):
    a, b = POINTS[3], POINTS[11]
    free = MixtureFollmer.of_points(POINTS, tau=4.0, sigma=1.0).denoised
    row = interpolate(free, a, b, 7, linear_variance(20, 0.02), Noise(0), path=path)
    torch.testing.assert_close(row[[0, -1]], torch.stack([a, b]), rtol=0, atol=1e-9)
    assert float(torch.cdist(row, POINTS).min(1).values.max()) < 1e-9


@PATHS
def test_data_of_one_point_are_all_that_there_is_on_any_path(path):
    row = interpolate(lambda x, s: 0 * x + MEAN, POINTS[0], POINTS[1], 5, power(9, 3.0, 0.1), Noise(0), path=path)
    torch.testing.assert_close(row, MEAN.expand(5, 3), rtol=0, atol=1e-12)


@pytest.mark.parametrize("step", [ancestral, euler_maruyama])
@pytest.mark.parametrize(("path", "rows"), [("linear", 1), ("spherical", 2)])
def test_on_normal_data_a_path_has_the_law_that_its_steps_say(step, path, rows):
    n, top, steps, (a, b) = 5, 0.9, 12, POINTS[:2]
    levels = linear_variance(steps, top)

    def effects(count, rng):  # all rows of the path, side by side: each number of the noise by itself
        source = rng.normal(count, 3 * rows * (steps + 1)).view(count, steps + 1, rows, 3)
        out = [interpolate(normal, a, b, n, levels, Given(one), path=path, step=step) for one in source]
        return torch.stack(out)

    mean, cov = moments(effects, 3 * rows * (steps + 1), 1)
    share = torch.linspace(0, 1, n).double()[:, None]
    kept = VARIANCE / (VARIANCE + top**2)
    torch.testing.assert_close(mean.view(n, 3), MEAN + kept * ((1 - share) * a + share * b - MEAN), rtol=0, atol=1e-12)
    spread = (kept * top) ** 2
    for s, u in pairwise(levels):
        spread += (
            (s * s - u * u) * (1 if step is euler_maruyama else u * u / (s * s)) * (VARIANCE / (VARIANCE + u * u)) ** 2
        )
    turn = torch.linspace(0, math.pi / 2 if path == "spherical" else 0, n, dtype=torch.float64)
    wanted = spread * (turn[:, None] - turn).cos()
    torch.testing.assert_close(cov, torch.kron(wanted, torch.eye(3).double()), rtol=0, atol=1e-12)


class Given:
    """Noise that was drawn before, one draw after the other."""

    def __init__(self, draws: torch.Tensor) -> None:
        self.draws = iter(draws)

    def normal(self, n: int, *event: int) -> torch.Tensor:
        return next(self.draws).view(n, *event)


def test_its_spread_comes_to_that_of_the_data_behind_the_noise_in_the_first_order_of_the_steps():
    top, off = 0.9, []
    kept = VARIANCE / (VARIANCE + top**2)
    wanted = (kept * top) ** 2 + kept * top**2  # of D, and of the data given z
    for steps in (40, 80):
        levels = linear_variance(steps, top)
        each = torch.eye(steps + 1).double()[:, :, None, None]
        rows = [interpolate(normal, MEAN[:1], MEAN[:1], 2, levels, Given(one), step=euler_maruyama)[0] for one in each]
        off.append(float((torch.stack(rows) - MEAN[:1]).square().sum()) - wanted)
    assert off[0] / off[1] == pytest.approx(2, rel=0.05)


@PATHS
def test_more_rows_are_a_finer_walk_on_the_same_path(path):
    law = Mixture.of(POINTS.tolist(), sigma=0.6)
    free = MixtureFollmer.of(law, tau=4.0, sigma=1.0).denoised
    few, many = (interpolate(free, *POINTS[:2], n, power(15, 2.0, 0.3), Noise(0), path=path) for n in (3, 33))
    torch.testing.assert_close(few, many[::16], rtol=0, atol=1e-9)
    longest = (many[1:] - many[:-1]).norm(dim=1).max()
    assert float(longest) < 0.25 * float((few[1:] - few[:-1]).norm(dim=1).max())


def test_from_the_top_level_a_spherical_path_forgets_its_ends_and_a_linear_one_has_no_length():
    top = power(40, 200.0, 0.01)
    rows = {path: interpolate(normal, *POINTS[:2], 4, top, Noise(0, dtype=torch.float64), path=path)
            for path in ("linear", "spherical")}  # fmt: skip
    other = interpolate(normal, *POINTS[5:7], 4, top, Noise(0, dtype=torch.float64), path="spherical")
    assert float((rows["linear"] - rows["linear"][:1]).abs().max()) < 1e-4
    assert float((rows["spherical"] - other).abs().max()) < 1e-4
    assert float((rows["spherical"][0] - rows["spherical"][-1]).norm()) > 0.3


@pytest.mark.parametrize(
    ("words", "said"),
    [({"b": POINTS[0, :2]}, r"samples of \(3,\) and \(2,\)"), ({"n": 1}, "1 samples along a path: give at least 2"),
     ({"path": "curved"}, "path 'curved': use linear or spherical"), ({"levels": [0.0, 0.0]}, "levels")],
)  # fmt: skip
def test_what_is_no_path_is_refused(words, said):
    usual = {"a": POINTS[0], "b": POINTS[1], "n": 3, "levels": [1.0, 0.0], "path": "linear"} | words
    path = usual.pop("path")
    with pytest.raises(UsageError, match=said):
        interpolate(normal, *usual.values(), Noise(0), path=path)
