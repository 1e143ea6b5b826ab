"""Merging arrays: who stays, who moves onto whom, the numbers that go with it, and what is refused before any work."""

from __future__ import annotations

import json

import numpy as np
import pytest

from pushforward.errors import DataError, UsageError
from pushforward.merging import How, merge_arrays
from pushforward.merging.numbers.distances import distances, memorised

QUICK = How(width=16, steps=25, updates=2, rate=1e-2, warmup=20)


def cells(n=60, shift=2.5, seed=0, batches=("a", "b", "c")):
    """Two classes in three batches that are shifted along an axis of their own."""
    rng = np.random.default_rng(seed)
    batch, labels = np.repeat(batches, n), np.tile(np.repeat(["t", "m"], n // 2), len(batches))
    x = rng.normal(size=(len(batch), 3)) + 6 * (labels == "m")[:, None] * np.eye(3)[0]
    for k, name in enumerate(batches[1:]):
        x[batch == name] += shift * np.eye(3)[1 + k % 2]
    order = rng.permutation(len(batch))
    return x[order], batch[order], labels[order]


@pytest.fixture(scope="module")
def merged():
    x, batch, labels = cells()
    return x, batch, labels, merge_arrays(x, batch, reference="a", labels=labels, how=QUICK)


def test_rows_of_the_reference_keep_every_bit_and_all_keep_their_order(merged):
    x, batch, _, found = merged
    still = batch == "a"
    assert found.x.dtype == x.dtype
    assert found.x[still].tobytes() == x[still].tobytes()
    assert (found.x[~still] != x[~still]).all()
    assert (found.path_length[still] == 0).all()
    # Each cell of a class is still near to where it itself came from, once the mean way is taken off: nearer on the
    # whole than under any of a thousand other orders.
    rng = np.random.default_rng(0)
    for name, label in (("b", "t"), ("c", "m")):
        mine = (batch == name) & (merged[2] == label)
        way = found.x[mine] - x[mine]
        off = np.linalg.norm(found.x[mine][:, None] - way.mean(0) - x[mine][None], axis=2)
        others = [off[np.arange(len(off)), rng.permutation(len(off))].mean() for _ in range(1000)]
        assert np.diag(off).mean() < min(others)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
def test_the_type_of_the_representation_is_kept(dtype):
    x, batch, _ = cells(20)
    x = x.astype(dtype)
    found = merge_arrays(
        x, batch, reference="a", mode="unconditional", how=How(width=8, steps=2, warmup=1), scores=False
    )
    assert found.x.dtype == dtype
    assert found.x[batch == "a"].tobytes() == x[batch == "a"].tobytes()


def test_every_batch_of_a_star_comes_to_the_reference_within_its_classes(merged):
    x, batch, labels, found = merged
    assert found.mode == "per_class"
    assert [(leg["batch"], leg["label"]) for leg in found.legs] == [("b", "m"), ("b", "t"), ("c", "m"), ("c", "t")]
    for name in ("b", "c"):
        for label in ("t", "m"):
            mine, theirs = (batch == name) & (labels == label), (batch == "a") & (labels == label)
            before, after = (np.linalg.norm(y[mine].mean(0) - x[theirs].mean(0)) for y in (x, found.x))
            assert after < 0.4 * before


def test_the_numbers_are_always_there_and_are_json(merged):
    *_, found = merged
    again = json.loads(json.dumps(found.as_dict()))
    for numbers in again["distances"].values():
        assert numbers["w2_after"] < numbers["w2_before"]
        assert numbers["energy_after"] < 0.3 * numbers["energy_before"]
        assert numbers["w2_split"] > 0
    assert set(again["scores"]) == {"before", "after", "floor"}
    assert again["scores"]["after"]["ilisi"] > again["scores"]["before"]["ilisi"] + 0.2
    assert all(cloud["slope"] <= 1.001 for cloud in again["clouds"])


def test_other_batches_stay_where_only_some_are_named():
    x, batch, _ = cells(20)
    found = merge_arrays(
        x, batch, reference="a", sources=["b"], mode="unconditional", how=How(width=8, steps=2, warmup=1)
    )
    assert found.x[batch != "b"].tobytes() == x[batch != "b"].tobytes()
    assert list(found.distances) == ["b"]


def test_without_labels_it_says_that_proportions_move_unless_that_was_asked_for():
    x, batch, _ = cells(20)
    how = How(width=8, steps=2, warmup=1)
    forced = merge_arrays(x, batch, reference="a", unmatched="move", how=how, scores=False)
    assert any("proportions" in words for words in forced.warnings)
    for asked in ({"mode": "unconditional", "unmatched": "move"}, {}):  # in shares as they are, proportions do not move
        found = merge_arrays(x, batch, reference="a", how=how, scores=False, **asked)
        assert not any("proportions" in words for words in found.warnings)


def test_labels_of_the_target_alone_are_given_to_the_others_after_the_transport():
    x, batch, labels = cells(60, batches=("a", "b"))
    known = np.where(batch == "a", labels.astype(object), None)
    found = merge_arrays(x, batch, reference="a", labels=known, how=QUICK, scores=False)
    assert found.mode == "unconditional"
    assert found.labels is not None
    assert found.label_share is not None
    assert (found.labels == labels).mean() > 0.95
    assert (found.labels[batch == "a"] == labels[batch == "a"]).all()
    assert ((found.label_share > 0) & (found.label_share <= 1)).all()


def test_small_classes_are_an_error_or_go_the_way_of_their_neighbours():
    x, batch, labels = cells(60, batches=("a", "b"))
    rare = np.flatnonzero((batch == "b") & (labels == "t"))[:3]
    labels = labels.astype(object)
    labels[rare] = "rare"
    with pytest.raises(DataError, match=r"'rare' has 3 and 0.*carry"):
        merge_arrays(x, batch, reference="a", labels=labels, how=QUICK)
    found = merge_arrays(x, batch, reference="a", labels=labels, how=QUICK, scarce="carry", scores=False)
    way = found.x - x
    mine = way[(batch == "b") & (labels == "t")]
    assert np.linalg.norm(way[rare].mean(0) - mine.mean(0)) < 0.5 * np.linalg.norm(mine.mean(0))
    assert any("follow their neighbours" in words for words in found.warnings)


def test_the_conditional_mode_moves_classes_onto_their_own():
    x, batch, labels = cells(80, batches=("a", "b"))
    found = merge_arrays(x, batch, reference="a", labels=labels, mode="conditional", how=QUICK, scores=False)
    for label in ("t", "m"):
        mine, theirs = (batch == "b") & (labels == label), (batch == "a") & (labels == label)
        assert np.linalg.norm(found.x[mine].mean(0) - x[theirs].mean(0)) < 1.0  # of 2.5


def test_refits_give_moved_rows_a_spread_and_the_reference_none():
    x, batch, _ = cells(30, batches=("a", "b"))
    found = merge_arrays(x, batch, reference="a", mode="unconditional", how=QUICK, n_boot=2, scores=False)
    assert found.sd is not None
    assert (found.sd[batch == "a"] == 0).all()
    assert (found.sd[batch == "b"] > 0).all()
    assert found.sd[batch == "b"].mean() < 1.0


def test_a_scale_of_the_data_changes_nothing_but_the_units():
    x, batch, _ = cells(30, batches=("a", "b"))
    one, other = (
        merge_arrays(factor * x, batch, reference="a", mode="unconditional", how=QUICK, scores=False)
        for factor in (1.0, 64.0)
    )
    np.testing.assert_allclose(other.x, 64 * one.x, rtol=1e-3, atol=0.05)
    np.testing.assert_allclose(other.path_length, 64 * one.path_length, rtol=1e-3, atol=0.05)


def test_cells_put_on_single_cells_of_the_target_are_found_out_and_fresh_ones_are_not():
    rng = np.random.default_rng(0)
    target, before = rng.normal(size=(200, 5)), rng.normal(size=(200, 5)) + 3
    fresh = distances(before, rng.normal(size=(200, 5)), target)
    assert fresh["w2_after"] == pytest.approx(fresh["w2_split"], rel=0.1)
    assert fresh["w2_before"] == pytest.approx(3 * 5**0.5, rel=0.1)
    assert not memorised(fresh)
    copies = distances(before, target + 1e-3 * rng.normal(size=target.shape), target)
    assert memorised(copies)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"reference": "z"}, UsageError, "target 'z'"),
        ({"sources": ["z"]}, UsageError, "source 'z'"),
        ({"sources": ["a"]}, UsageError, "source 'a'"),
        ({"mode": "per_class"}, UsageError, "needs labels"),
        ({"mode": "both"}, UsageError, "use unconditional"),
        ({"labels": ["t", None] * 30}, DataError, "have no label"),
        ({"labels": ["t"]}, DataError, "1 labels for 60 cells"),
        ({"n_boot": 1}, UsageError, "at least 2"),
        ({"scale": 0.0}, UsageError, "scale 0"),
        ({"batch": ["a"] * 60}, DataError, "no batch to merge"),
        ({"batch": ["a"] * 55 + ["b"] * 5}, DataError, "'b' has 5 cells"),
        ({"batch": ["a"] * 30 + ["b"] * 29 + [None]}, DataError, "1 cells have no batch"),
        ({"x": np.full((60, 2), np.nan)}, DataError, "not finite"),
        ({"x": np.array([["u"]] * 60)}, DataError, "give numbers"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_cannot_be_merged_is_refused_in_one_line_before_any_work(change, error, words, monkeypatch):
    monkeypatch.setattr("pushforward.merging.flow.fly.transport_cloud", lambda *a, **k: pytest.fail("work was done"))
    given = {
        "x": np.random.default_rng(0).normal(size=(60, 2)),
        "batch": ["a"] * 30 + ["b"] * 30,
        "reference": "a",
    } | change
    with pytest.raises(error, match=words) as caught:
        merge_arrays(given.pop("x"), given.pop("batch"), **given)
    assert "\n" not in str(caught.value)


def test_a_merge_says_who_was_still_travelling_and_one_that_arrived_does_not():
    rng = np.random.default_rng(0)
    x, batch = rng.normal(size=(400, 2)), np.repeat(["new", "old"], 200)
    x[:200] += 8
    hasty = merge_arrays(x, batch, reference="old", unmatched="move", how=How(steps=5, settle=0.0), scores=False)
    (words,) = [words for words in hasty.warnings if "travelling" in words]
    assert words.startswith("cells of new were still travelling: kinetic energy 0.")
    assert words.endswith("at most 0.5 L²: allow more moves, How(steps=10), --steps 10")
    assert hasty.legs[0]["travelling"]
    there = merge_arrays(x, batch, reference="old", unmatched="move", scores=False)
    assert not any("travelling" in words for words in there.warnings)


def test_what_settled_was_not_travelling_however_fast_the_critic_would_have_it():
    rng = np.random.default_rng(0)
    x, batch = rng.normal(size=(80, 20)), np.repeat(["new", "old"], 40)
    still = merge_arrays(x, batch, reference="old", unmatched="move", scores=False)
    assert still.legs[0]["settled"] == "held-out cells see no difference: nothing moved"
    assert still.legs[0]["kinetic_last"] > 0.1
    assert not any("travelling" in words for words in still.warnings)
