"""Shares of samples outside a known support, whose values for simple shapes are known in closed form."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import binom

from pushforward.data.compare.pairs import read_pair
from pushforward.data.toys import lift, plane
from pushforward.densities.support import Board, Carpet, Support
from pushforward.evaluation import evaluate, parts
from pushforward.metrics.core.features import RAW
from pushforward.metrics.known.holes import holes

KNOWN = {name: (getattr(plane, name), support) for name, support in plane.SUPPORTS.items()}


def square(n: int, low: float, high: float, dim: int = 2, seed: int = 0) -> torch.Tensor:
    x = low + (high - low) * np.random.default_rng(seed).random((n, 2))
    return torch.from_numpy(np.concatenate([x, np.zeros((n, dim - 2))], 1))


@pytest.mark.parametrize("name", KNOWN)
def test_data_lie_in_their_support_in_single_precision_and_through_model_units(name):
    draw, support = KNOWN[name]
    assert isinstance(support, Support)
    x = draw(50_000, np.random.default_rng(0))
    assert (support.depth(x) == support.levels).all()
    data = plane.load(name, n_train=20_000, n_test=10_000)
    assert data.support is support
    assert (support.depth(torch.from_numpy(data.decode(data.test))) == support.levels).all()


@pytest.mark.parametrize("dim", [2, 3])
def test_a_solid_square_has_the_area_of_the_holes_in_them(dim):
    n, support = 40_000, Carpet()
    found = holes(
        square(n, 0, 10, dim),
        KNOWN["sierpinski" if dim == 2 else "sierpinski3"][0](500, np.random.default_rng(1)),
        support,
    )
    for level in range(1, support.levels + 1):
        expected = 1 - (8 / 9) ** level
        measure = found[f"holes[{level}]"]
        assert abs(measure.value - expected) < 4 * math.sqrt(expected * (1 - expected) / n)
        assert measure.se == pytest.approx(math.sqrt(measure.value * (1 - measure.value) / n))
        assert measure.floor == 0
    assert found["holes[4]"].p is not None
    assert found["holes[4]"].p < 1e-6


def test_centres_of_holes_are_as_deep_as_the_holes_before_them_are_large():
    centres = torch.tensor([[-1.0, 5], [5.0, 5.0], [5 / 3, 5 / 3], [5 / 9, 5 / 9], [5 / 27, 5 / 27], [0, 0], [10, 10]])
    assert Carpet().depth(centres).tolist() == [0, 0, 1, 2, 3, 4, 4]


def test_half_of_a_full_board_lies_off_the_dark_squares():
    n = 20_000
    found = holes(square(n, -4, 4), plane.checkerboard(500, np.random.default_rng(1)), Board())
    assert list(found) == ["holes[1]"]
    assert abs(found["holes[1]"].value - 0.5) < 4 * 0.5 / math.sqrt(n)


def test_points_beyond_the_outer_edge_are_outside_all_sets():
    for _, support in KNOWN.values():
        assert (support.depth(square(1000, 11, 20)) == 0).all()
        assert (support.depth(-square(1000, 11, 20)) == 0).all()


def test_the_exact_test_keeps_its_level_where_some_of_the_data_lie_outside_too():
    rng, rejected, times = np.random.default_rng(0), 0, 400
    inside, hole = torch.tensor([1.0, 1.0]), torch.tensor([5.0, 5.0])
    for _ in range(times):
        fake, real = (torch.where(torch.from_numpy(rng.random((n, 1))) < 0.1, hole, inside) for n in (60, 90))
        p = holes(fake, real, Carpet())["holes[4]"].p
        assert p is not None
        rejected += p < 0.05
    assert rejected <= binom.ppf(0.999, times, 0.05)


def test_holes_are_looked_for_unasked_where_the_support_is_known_and_nowhere_else():
    known, other = read_pair("toy:sierpinski", "toy:sierpinski"), read_pair("toy:sierpinski", "toy:moons")
    assert "holes" in {part.name for part in parts("default", known, RAW)}
    assert "holes" not in {part.name for part in parts("all", other, RAW)}


def test_lifted_points_have_no_known_support():
    data = plane.load("sierpinski", n_train=100, n_test=50)
    assert data.support is not None
    assert lift.lift(data, 5).support is None


@pytest.mark.parametrize("solid", [True, False])
def test_the_verdict_tells_a_square_from_the_carpet(tmp_path, solid):
    fake = square(600, 0, 10) if solid else plane.sierpinski(600, np.random.default_rng(9)).double()
    path = tmp_path / "fake.csv"
    np.savetxt(path, fake.numpy(), delimiter=",", header="x,y", comments="")
    report = evaluate(str(path), "toy:sierpinski", metrics="holes")
    assert report.judgement.grade == ("bad" if solid else "good")
    assert report["holes[3]"].floor == 0
