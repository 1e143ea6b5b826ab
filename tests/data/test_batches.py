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
