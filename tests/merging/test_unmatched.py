"""What becomes of cells without a counterpart, and of a target that holds what a batch lacks."""

from __future__ import annotations

import numpy as np
import pytest

from pushforward.errors import UsageError
from pushforward.merging import merge_arrays


def clusters(seed: int, sizes: dict[int, int], shift: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Round clusters in 12 dimensions, some 12 standard deviations apart from one another, all pushed the same way."""
    rng = np.random.default_rng(seed)
    middles = 2.5 * np.random.default_rng(99).standard_normal((6, 12))
    names = np.repeat(list(sizes), list(sizes.values()))
    return rng.standard_normal((len(names), 12)) + middles[names] + shift / np.sqrt(12), names


def three(seed: int, shift: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A batch of three clusters onto a target without the second: cells, batches, clusters."""
    x, names = clusters(seed, {0: 200, 1: 150, 2: 100}, shift)
    target, theirs = clusters(seed + 10, {0: 300, 2: 150})
    return np.concatenate([x, target]), np.repeat(["new", "old"], [450, 450]), np.concatenate([names, theirs])


def test_cells_without_a_counterpart_stay_and_the_others_arrive():
    x, batch, names = three(0, shift=3)
    merged = merge_arrays(x, batch, reference="old", unmatched="stay", scores=False)
    mine, lost = batch == "new", (batch == "new") & (names == 1)
    assert merged.matched is not None
    np.testing.assert_array_equal(merged.matched, ~lost)
    np.testing.assert_array_equal(merged.x[lost], x[lost])
    assert (merged.path_length[lost] == 0).all()
    for name in (0, 2):
        gap = merged.x[mine & (names == name)].mean(0) - x[~mine & (names == name)].mean(0)
        assert np.linalg.norm(gap) < 1  # of 3 before
    assert any("new: 150 of 450 cells (33%) have no counterpart" in words for words in merged.warnings)


def test_moved_with_the_others_they_end_in_wrong_clusters():
    x, batch, names = three(0, shift=3)
    moved = merge_arrays(x, batch, reference="old", unmatched="move", scores=False).x
    lost = (batch == "new") & (names == 1)
    assert np.linalg.norm(moved[lost] - x[lost], axis=1).mean() > 6  # to where the target has something


def test_they_follow_those_around_them_that_move():
    x, batch, names = three(0, shift=3)
    merged = merge_arrays(x, batch, reference="old", unmatched="follow", scores=False)
    lost = (batch == "new") & (names == 1)
    way = (merged.x - x)[lost]
    assert (np.linalg.norm(way, axis=1) > 0.5).all()
    assert np.linalg.norm(way + 3 / np.sqrt(12), axis=1).mean() < 2.5  # the way of the batch, not that into a cluster


@pytest.mark.parametrize(
    ("asked", "words"),
    [({"unmatched": "leave"}, "use stay, follow or move"), ({"labels": True, "unmatched": "stay"}, "classes say who")],
)
def test_what_cannot_be_done_is_refused(asked, words):
    x, batch, names = three(0, shift=3)
    more = asked | ({"labels": np.where(names == 1, 0, names)} if asked.pop("labels", False) else {})
    with pytest.raises(UsageError, match=words):
        merge_arrays(x, batch, reference="old", **more)
