"""Laws of the shared noise."""

import math

import pytest
import torch
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.randomness import Noise, even, turned

DRAWS = {
    "normal": (lambda noise, n: noise.normal(n, 3, 2), 0),
    "uniform": (lambda noise, n: noise.uniform(n, 5), 0),
    "integers": (lambda noise, n: noise.integers(1000, n), 0),
    "permutations": (lambda noise, n: noise.permutations(7, n), 1),
}


@pytest.mark.parametrize("draw", DRAWS)
@pytest.mark.parametrize("world", [2, 3])
def test_the_ranks_rows_interleave_to_what_one_process_draws(draw, world):
    function, axis = DRAWS[draw]
    one, ranks = Noise(4), [Noise(4, rank=r, world=world) for r in range(world)]
    for n in (1, 4, 10):
        joint = function(one, n * world)
        parts = torch.stack([function(rank, n) for rank in ranks], dim=axis + 1)
        assert torch.equal(parts.flatten(axis, axis + 1), joint)


@pytest.mark.parametrize("draw", DRAWS)
def test_a_restored_state_repeats_the_draw(draw):
    function, _ = DRAWS[draw]
    noise = Noise(1)
    noise.normal(5)
    state = noise.state_dict()
    expected = function(noise, 8)
    other = Noise(2)
    other.load_state_dict(state)
    assert torch.equal(function(other, 8), expected)


def test_columns_of_permutations_are_independent_permutations():
    columns = Noise(0).permutations(6, 500)
    assert columns.dtype == torch.int64
    assert torch.equal(columns.sort(0).values, torch.arange(6)[:, None].expand(6, 500))
    assert len(columns.T.unique(dim=0)) > 300


def test_moments_and_ranges():
    noise = Noise(0)
    x, u, k = noise.normal(100_000), noise.uniform(100_000), noise.integers(5, 100_000)
    assert abs(float(x.mean())) < 0.02
    assert abs(float(x.std()) - 1) < 0.02
    assert u.min() >= 0
    assert u.max() < 1
    assert k.unique().tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_draws_have_the_type_asked_for(dtype):
    assert Noise(0, dtype=dtype).normal(2).dtype == dtype


def test_the_global_generator_is_left_alone():
    before = torch.get_rng_state()
    noise = Noise(0)
    noise.normal(3), noise.uniform(3), noise.integers(3, 3), noise.permutations(3, 3)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_rank_outside_the_world_is_refused():
    with pytest.raises(UsageError, match="rank 2 of 2"):
        Noise(0, rank=2, world=2)


def noise(x: Tensor) -> Tensor:
    """A vector of three numbers for every row."""
    return turned(torch.zeros(1, 3, dtype=torch.float64), x)[0]


def test_numbers_of_a_row_are_a_function_of_it_and_uniform_and_independent_over_rows_and_columns():
    x = torch.arange(4000.0)[:, None].expand(-1, 3) / 7 - 20
    u = noise(x)
    assert torch.equal(noise(x.flip(0)), u.flip(0))
    assert torch.equal(noise(x[10:11]), u[10:11])
    assert torch.equal(noise(x.double()), u)
    assert torch.equal(noise(torch.tensor([[-0.0]])), noise(torch.tensor([[0.0]])))
    assert float(u.min()) >= 0
    assert float(u.max()) < 1
    far = 4 / math.sqrt(len(x))
    torch.testing.assert_close(u.mean(0), torch.full((3,), 0.5).double(), rtol=0, atol=far * math.sqrt(1 / 12))
    both = torch.cat([u, x[:, :1].double()], 1).T
    torch.testing.assert_close(torch.corrcoef(both), torch.eye(4).double(), rtol=0, atol=far)
    for column in u.T:
        assert float((column.sort().values - (torch.arange(4000) + 0.5) / 4000).abs().max()) < 2 / math.sqrt(4000)
    apart = x[:, :2] + torch.tensor([0.0, 1.0])
    assert not torch.equal(noise(apart), noise(apart.flip(1)))


def test_turned_points_stay_even_and_are_turned_by_their_row_alone():
    points, x = even(64, 2), torch.arange(5.0)[:, None]
    found = turned(points, x)
    assert found.shape == (64, 5, 2)
    torch.testing.assert_close(found, (points[:, None] + turned(torch.zeros(1, 2).double(), x)) % 1)
    for of_row in found.unbind(1):  # 64 scrambled points of Sobol: one in each of 64 intervals of a line, turned or not
        gaps = of_row.sort(0).values.diff(dim=0)
        assert float(gaps.max()) < 2 / 64
    assert torch.equal(even(64, 2), points)


def test_the_mean_over_turned_points_is_the_integral_and_errors_of_rows_average_out():
    x = torch.arange(4000.0)[:, None]
    found = turned(even(16, 1), x)[..., 0].square().mean(0)
    error = found - 1 / 3
    assert abs(float(error.mean())) < 4 * float(error.std()) / math.sqrt(4000)
    assert 1e-4 < float(error.std()) < 0.5 * math.sqrt(4 / 45 / 16)
