"""Laws of the shared noise."""

import pytest
import torch

from pushforward.errors import UsageError
from pushforward.randomness import Noise

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
