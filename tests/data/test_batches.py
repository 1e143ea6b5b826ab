"""Laws of the stream of batches."""

import pytest
import torch

from pushforward.data import Batches
from pushforward.errors import UsageError

X = torch.arange(23.0)[:, None]


def rows(batches: Batches, count: int) -> torch.Tensor:
    return torch.cat([next(batches) for _ in range(count)])[:, 0].long()


@pytest.mark.parametrize("size", [1, 5, 23, 50])
def test_every_epoch_visits_each_row_once(size):
    stream = rows(Batches(X, size), 23)
    for epoch in stream.reshape(-1, 23):
        assert epoch.sort().values.tolist() == list(range(23))


def test_epochs_come_in_different_orders():
    first, second = rows(Batches(X, 23), 2).reshape(2, 23)
    assert first.tolist() != second.tolist()


@pytest.mark.parametrize("stop", [0, 1, 4, 9])
def test_a_stream_resumed_from_its_position_continues_the_uninterrupted_one(stop):
    whole, part = Batches(X, 6, seed=3), Batches(X, 6, seed=3)
    expected = rows(whole, 20)
    rows(part, stop) if stop else None
    resumed = Batches(X, 6, seed=3)
    resumed.load_state_dict(part.state_dict())
    assert resumed.position == stop
    assert torch.equal(rows(resumed, 20 - stop), expected[6 * stop :])


def test_a_batch_does_not_depend_on_what_was_drawn_before():
    ahead = Batches(X, 6, position=11)
    stream = Batches(X, 6)
    assert torch.equal(rows(stream, 12)[-6:], rows(ahead, 1))


@pytest.mark.parametrize("world", [2, 3, 6])
def test_the_ranks_batches_interleave_to_the_joint_batch(world):
    joint = Batches(X, 6, seed=1)
    ranks = [Batches(X, 6, seed=1, rank=r, world=world) for r in range(world)]
    for _ in range(9):
        parts = torch.stack([next(rank) for rank in ranks], dim=1)
        assert torch.equal(parts.reshape(6, 1), next(joint))


def test_equal_seeds_agree_and_different_seeds_differ():
    assert torch.equal(rows(Batches(X, 6, seed=5), 8), rows(Batches(X, 6, seed=5), 8))
    assert not torch.equal(rows(Batches(X, 6, seed=5), 8), rows(Batches(X, 6, seed=6), 8))


def test_labels_stay_with_their_rows():
    for x, y in (next(Batches(X, 9, labels=torch.arange(23), position=k)) for k in range(6)):
        assert torch.equal(x[:, 0].long(), y)


def test_moving_to_a_device_keeps_the_stream():
    assert torch.equal(rows(Batches(X, 6).to("cpu"), 5), rows(Batches(X, 6), 5))


WEIGHTS = torch.tensor([0.0, 0.3, 1.0, 2.5, 1 / 3] * 4 + [7.0, 0.01, 0.0], dtype=torch.float64)
COUNTS = 23 * WEIGHTS / WEIGHTS.sum()


@pytest.mark.parametrize("scale", [1.0, 0.1, 3e300])
def test_equal_weights_change_nothing(scale):
    weights = torch.full((23,), scale, dtype=torch.float64)
    assert torch.equal(rows(Batches(X, 6, seed=3, weights=weights), 20), rows(Batches(X, 6, seed=3), 20))


@pytest.mark.parametrize("seed", range(3))
def test_every_epoch_visits_a_row_as_often_as_it_counts_but_for_rounding(seed):
    epochs = rows(Batches(X, 23, seed=seed, weights=WEIGHTS), 4000).reshape(-1, 23)
    times = torch.stack([epoch.bincount(minlength=23) for epoch in epochs]).double()
    assert (times >= COUNTS.floor()).all()
    assert (times <= COUNTS.ceil()).all()
    part = COUNTS - COUNTS.floor()  # is rounded up with just that probability
    assert ((times.mean(0) - COUNTS).abs() <= 5 * (part * (1 - part) / 4000).sqrt() + 1e-12).all()
    assert len({tuple(epoch.tolist()) for epoch in epochs[:50]}) == 50


def test_rows_that_are_rounded_up_are_no_pattern_of_their_order():
    """Of rows that count a half, every second would be left out by a comb through them as they lie."""
    weights = torch.cat([torch.full((400,), 0.5), torch.full((400,), 1.5)])
    x = torch.arange(800.0)[:, None]
    epochs = rows(Batches(x, 800, weights=weights), 50).reshape(-1, 800)
    even = torch.stack([((epoch < 400) & (epoch % 2 == 0)).sum() for epoch in epochs])
    assert 60 < even.min() < 95 < 105 < even.max() < 140


@pytest.mark.parametrize("stop", [0, 1, 4, 9])
def test_a_weighted_stream_resumed_from_its_position_continues_the_uninterrupted_one(stop):
    expected = rows(Batches(X, 6, seed=3, weights=WEIGHTS), 20)
    assert torch.equal(rows(Batches(X, 6, seed=3, weights=WEIGHTS, position=stop), 20 - stop), expected[6 * stop :])


def test_the_ranks_of_a_weighted_stream_interleave_to_the_joint_batch_with_their_labels():
    joint = Batches(X, 6, labels=torch.arange(23), weights=WEIGHTS)
    ranks = [Batches(X, 6, labels=torch.arange(23), weights=WEIGHTS, rank=r, world=2) for r in range(2)]
    for _ in range(9):
        x, y = next(joint)
        parts = [next(rank) for rank in ranks]
        assert torch.equal(torch.stack([part for part, _ in parts], 1).reshape(6, 1), x)
        assert torch.equal(x[:, 0].long(), y)


@pytest.mark.parametrize(
    ("weights", "message"),
    [(torch.ones(22), "for 23 rows"), (-torch.ones(23), "weight -1.0 of row 0"), (torch.zeros(23), "all 23 weights"),
     (torch.full((23,), torch.nan), "weight nan")],
)  # fmt: skip
def test_weights_that_are_none_are_refused(weights, message):
    with pytest.raises(UsageError, match=message):
        Batches(X, 6, weights=weights)


@pytest.mark.parametrize(
    ("size", "more"),
    [(0, {}), (5, {"world": 2}), (4, {"rank": 2, "world": 2}), (4, {"seed": -1}), (4, {"labels": torch.zeros(3)})],
)
def test_sizes_out_of_range_are_refused(size, more):
    with pytest.raises(UsageError):
        Batches(X, size, **more)


def test_an_empty_set_is_refused():
    with pytest.raises(UsageError, match="need a row"):
        Batches(X[:0], 4)
