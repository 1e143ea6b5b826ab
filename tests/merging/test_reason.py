"""Nothing moves without a reason, cells of their own kind stay apart, and scores are of cells that no critic saw."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from merging.clusters import clusters

from pushforward.cli import main
from pushforward.errors import DataError, UsageError
from pushforward.merging import How, merge_arrays
from pushforward.merging.numbers.distances import distances
from pushforward.merging.numbers.scores import scored_rows
from pushforward.metrics.core.neighbours import nearest
from pushforward.metrics.integration.conservation import kept
from pushforward.metrics.integration.mixing import ilisi, neighbourhoods

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
QUICK = How(width=32, steps=30, updates=3, rate=5e-3, warmup=30)


def pair(seed: int, mine: dict[int, int], theirs: dict[int, int], shift: float) -> tuple[np.ndarray, ...]:
    """A batch and a target: cells, batches, clusters."""
    (x, names), (y, others) = clusters(seed, mine, shift), clusters(seed + 10, theirs)
    return np.concatenate([x, y]), np.repeat(["new", "old"], [len(x), len(y)]), np.concatenate([names, others])


def purity(x: np.ndarray, names: np.ndarray, rows: np.ndarray, k: int = 15) -> float:
    """Mean share of its own kind among the nearest cells of each."""
    places = nearest(x[rows], x, k + 1)[1][:, 1:]
    return float((names[places] == names[rows][:, None]).mean())


@pytest.mark.parametrize("seed", range(3))
def test_a_batch_cut_at_random_is_not_moved_and_keeps_its_neighbours(seed):
    x, _ = clusters(seed, {0: 300, 1: 200, 2: 100})
    batch = np.where(np.random.default_rng(seed).permutation(len(x)) % 2, "new", "old")
    found = merge_arrays(x, batch, reference="old", scores=False, seed=seed)
    assert found.distances["new"]["moved"] <= 0.05
    mine = batch == "new"
    assert kept(x[mine], found.x[mine], batch[mine]) >= 0.9
    assert found.matched.all()
    assert "nothing moved" in found.legs[0]["settled"] or found.distances["new"]["moved"] > 0


@pytest.mark.parametrize("seed", range(2))
def test_kinds_that_one_side_lacks_stay_pure_and_the_others_mix(seed):
    x, batch, names = pair(seed, {0: 300, 1: 150, 2: 100}, {0: 150, 2: 300, 3: 150}, shift=3)
    found = merge_arrays(x, batch, reference="old", scores=False, seed=seed)
    for kind, side in ((1, "new"), (3, "old")):
        assert purity(found.x, names, (names == kind) & (batch == side)) > 0.99
    lost = names == 1
    np.testing.assert_array_equal(found.matched, ~lost)
    np.testing.assert_array_equal(found.x[lost], x[lost])
    assert (found.path_length[lost] == 0).all()
    assert any("new: 150 of 550 cells (27%) have no counterpart" in words for words in found.warnings)
    for kind in (0, 2):  # mass is matched: no cell changes its kind, though one is thrice as heavy on the other side
        near = nearest(found.x[(batch == "new") & (names == kind)], x[batch == "old"], 1)[1][:, 0]
        assert (names[batch == "old"][near] == kind).mean() > 0.95
    shared = np.isin(names, (0, 2))
    before, after = (ilisi(neighbourhoods(y[shared]), batch[shared]) for y in (x, found.x))
    assert after > before + 0.2
    forced = merge_arrays(x, batch, reference="old", unmatched="move", scores=False, seed=seed).x
    assert purity(forced, names, lost) < 0.9  # what a balanced flow does to them
    assert np.linalg.norm(forced[lost] - x[lost], axis=1).mean() > 3


def test_they_may_follow_those_around_them_that_move():
    x, batch, names = pair(0, {0: 200, 1: 150, 2: 100}, {0: 300, 2: 150}, shift=3)
    found = merge_arrays(x, batch, reference="old", unmatched="follow", scores=False)
    way = (found.x - x)[names == 1]
    assert (np.linalg.norm(way, axis=1) > 0.5).all()
    assert np.linalg.norm(way + 3 / np.sqrt(12), axis=1).mean() < 2.5  # the way of the batch, not that into a cluster


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"unmatched": "leave"}, "use stay, follow or move"),
        ({"unmatched": "stay", "labels": ["a"] * 120}, "classes say who"),
    ],
)
def test_what_cannot_be_done_is_refused(asked, words):
    x, batch, _ = pair(0, {0: 60}, {0: 60}, shift=3)
    with pytest.raises(UsageError, match=words):
        merge_arrays(x, batch, reference="old", **asked)


def test_batches_with_nothing_in_common_are_left_alone_and_that_is_said(tmp_path, capsys):
    x, batch, _ = pair(0, {0: 200, 1: 100}, {2: 200, 3: 100}, shift=0)
    found = merge_arrays(x, batch, reference="old")
    np.testing.assert_array_equal(found.x, x)
    assert not found.matched[batch == "new"].any()
    assert any("none of its 300 cells has a counterpart" in words for words in found.warnings)
    assert found.legs == []
    assert found.scores["after"]["apart"] == found.scores["before"]["apart"] > 0.9
    np.savez(tmp_path / "in.npz", x=x, batch=batch)
    with pytest.raises(SystemExit) as ended:
        main(["merge", str(tmp_path / "in.npz"), "--batch", "batch", "--target", "old", "--out",
              str(tmp_path / "out.npz"), "--page", str(tmp_path / "p.html"), "--json"])  # fmt: skip
    assert ended.value.code == 0
    record = json.loads(capsys.readouterr().out)
    assert any("nothing of it moves" in words for words in record["warnings"])
    np.testing.assert_array_equal(np.load(tmp_path / "out.npz")["x"], x)
    assert "Nothing moved" in (tmp_path / "p.html").read_text()


def test_too_few_cells_to_tell_are_moved_and_that_is_said():
    x, batch, _ = pair(0, {0: 25}, {0: 60}, shift=6)
    found = merge_arrays(x, batch, reference="old", how=QUICK, scores=False)
    assert any("30 are needed to tell who has a counterpart: all move" in words for words in found.warnings)
    assert (found.path_length[batch == "new"] > 0).all()


def test_a_class_may_stay_in_place():
    x, batch, names = pair(0, {0: 100, 1: 60}, {0: 100, 2: 60}, shift=3)
    labels = np.array(list("abc"))[names]
    with pytest.raises(DataError, match=r"scarce='stay' \(--scarce stay\)") as caught:
        merge_arrays(x, batch, reference="old", labels=labels, how=QUICK)
    assert "unconditional" not in str(caught.value)
    found = merge_arrays(x, batch, reference="old", labels=labels, how=QUICK, scarce="stay", scores=False)
    still = (batch == "new") & (labels == "b")
    assert found.x[still].tobytes() == x[still].tobytes()
    assert (found.path_length[still] == 0).all()
    assert (found.path_length[(batch == "new") & (labels == "a")] > 0).all()
    assert any("60 cells stay where they are" in words for words in found.warnings)
    lone = (batch == "new") & ~found.matched
    assert lone.any()
    assert not (lone & ~still).any()
    assert any(f"{lone.sum()} of 160 cells" in words and "they stay where" in words for words in found.warnings)
    assert not any("move all the same" in words for words in found.warnings)
    carried = found.map.transport(x[still][:5], np.full(5, "new"), np.full(5, "b"))
    np.testing.assert_array_equal(carried.x, x[still][:5])
    with pytest.raises(UsageError, match="scarce 'leave': use error, carry or stay"):
        merge_arrays(x, batch, reference="old", labels=labels, scarce="leave")


def test_where_no_class_is_shared_and_all_stay_nothing_moves():
    x, batch, names = pair(0, {0: 60}, {1: 60}, shift=0)
    labels = np.array(list("ab"))[names]
    found = merge_arrays(x, batch, reference="old", labels=labels, scarce="stay", scores=False)
    np.testing.assert_array_equal(found.x, x)


def test_errors_of_labels_do_not_send_anyone_to_the_mode_that_mixes_all():
    x, batch, _ = pair(0, {0: 60}, {0: 60}, shift=3)
    with pytest.raises(DataError, match="cells without a counterpart then stay") as caught:
        merge_arrays(x, batch, reference="old", labels=["a", None] * 60)
    assert "unconditional" not in str(caught.value)


def test_scores_are_of_held_out_cells_of_the_target_and_of_all_where_these_are_few():
    x, batch, _ = pair(0, {0: 150, 1: 100}, {0: 150, 1: 100}, shift=3)
    found = merge_arrays(x, batch, reference="old", how=QUICK)
    held = found.held & (batch == "old")
    assert held.sum() == 50 == found.parameters["held_target"]
    rows, said = scored_rows(np.ones(500, bool), batch == "old", found.held)
    assert said == []
    np.testing.assert_array_equal(rows, (batch == "new") | held)
    few = np.zeros(500, bool)
    rows, said = scored_rows(np.ones(500, bool), batch == "old", few)
    assert rows.all()
    assert "flatter" in said[0]
    names = {"before", "after", "floor"}
    assert set(found.scores) == names
    assert found.scores["before"]["kept"] == 1.0
    assert 0 < found.scores["after"]["kept"] < 1


def test_what_is_held_out_is_never_shown_to_a_critic(monkeypatch):
    from pushforward.merging.flow.sides import Side

    x, batch, _ = pair(0, {0: 150}, {0: 150}, shift=3)
    seen, real = [], Side.shown

    def shown(self, *arguments):
        for part in real(self, *arguments):
            seen.append(part)
            yield part

    monkeypatch.setattr(Side, "shown", shown)
    found = merge_arrays(x, batch, reference="old", how=QUICK, scores=False)
    unit, used = found.scale, np.unique(np.concatenate([np.asarray(part) for part in seen]), axis=0)
    target = (x[(batch == "old") & found.held] - x.mean(0)) / unit
    gaps = nearest(target, used.astype(np.float64), 1)[0]
    assert gaps.min() > 1e-3  # none of them was among what was shown
    assert nearest((x[(batch == "old") & ~found.held] - x.mean(0)) / unit, used.astype(np.float64), 1)[0].max() < 1e-5


def test_distances_are_to_held_out_cells_with_a_test_beside_them():
    rng = np.random.default_rng(0)
    target, before = rng.normal(size=(400, 5)), rng.normal(size=(300, 5)) + 3
    held = np.arange(400) < 100
    found = distances(before, before - 3, target, held=held)
    assert found["rows"] == 100
    assert found["moved"] == pytest.approx(3 * 5**0.5 / np.sqrt(before.var(0).sum()))
    assert found["p_before"] < 0.01 < found["p_after"]
    assert found["w2_after"] == pytest.approx(found["w2_split"], rel=0.15)
    weights = np.where(target[:, 0] > 0, 4.0, 0.5)  # of a batch that asks for other shares
    draws = rng.choice(400, 300, p=weights / weights.sum())
    alike = target[draws] + 0.1 * rng.normal(size=(300, 5))
    level, weighed = (distances(alike, alike, target, weights=w, held=held) for w in (None, weights))
    assert weighed["energy_after"] < 0.5 * level["energy_after"]


def test_a_batch_that_follows_the_shares_it_asks_for_is_at_the_floor():
    """Of two places, 8 apart, a batch that is at one thrice as often is no distance from the target so shared."""
    batch, target = (np.repeat([[0.0, 0.0], [8.0, 0.0]], sizes, 0) for sizes in ([100, 300], [200, 200]))
    halves, held = np.repeat([[0.0, 0.0], [8.0, 0.0]], 200, 0), np.arange(400) % 4 == 0
    found = distances(halves, batch, target, weights=np.repeat([1.0, 3.0], 200), held=held, repeats=50)
    assert found["rows"] == 66  # each can be among so many in proportion: (50 + 3 * 50) / 3
    assert found["energy_after"] == pytest.approx(0, abs=0.1)
    assert found["energy_before"] == pytest.approx(2 * (3 / 4 - 1 / 2) ** 2 * 8, abs=0.2)


def test_what_cannot_be_kept_is_refused_before_any_work(monkeypatch):
    monkeypatch.setattr("pushforward.merging.flow.fly.transport_cloud", lambda *a, **k: pytest.fail("work was done"))
    x, batch, _ = pair(0, {0: 60}, {0: 60}, shift=3)
    with pytest.raises(UsageError, match="keep 'zero'"):
        merge_arrays(x, batch, reference="old", keep=("zero",))


def test_counts_among_arrays_are_warned_of_unless_they_are_kept():
    rng = np.random.default_rng(0)
    x, batch = rng.poisson(3, (200, 4)), np.repeat(["new", "old"], 100)
    assert any("raw counts" in words for words in merge_arrays(x, batch, reference="old", scores=False).warnings)
    asked = merge_arrays(x, batch, reference="old", scores=False, keep=("signs", "levels"))
    assert not any("raw counts" in words for words in asked.warnings)


def test_of_a_large_cloud_most_cells_go_the_way_of_those_around_them():
    x, batch, names = pair(0, {0: 6000, 1: 3000}, {0: 3000, 1: 1500}, shift=2)
    found = merge_arrays(x, batch, reference="old", how=QUICK, scores=False)
    for kind in (0, 1):
        mine, theirs = ((batch == side) & (names == kind) for side in ("new", "old"))
        before, after = (np.linalg.norm(y[mine].mean(0) - x[theirs].mean(0)) for y in (x, found.x))
        assert after < 0.35 * before
    assert (found.path_length[batch == "new"] > 0).all()


def test_refits_draw_both_sides_and_leave_alone_what_stays():
    x, batch, names = pair(0, {0: 150, 1: 100}, {0: 150}, shift=3)
    found = merge_arrays(x, batch, reference="old", how=QUICK, scores=False, n_boot=2)
    assert found.sd is not None
    assert (found.sd[names == 1] == 0).all()
    moved = (batch == "new") & (names == 0)
    assert (found.sd[moved] > 0).all()


@pytest.mark.slow
@pytest.mark.skipif(not DATA.is_dir(), reason="no folder of data")
@pytest.mark.parametrize("withheld", ["B", "Mono", "T"])
def test_types_of_blood_that_the_target_lacks_stay_pure_and_the_others_mix(withheld):
    from scipy.sparse import csr_matrix

    from pushforward.merging.codes import principal_axes

    held = np.load(DATA / "pbmc_3batch.npz")
    genes = csr_matrix((held["data"], held["indices"].astype(np.int64), held["indptr"]), shape=tuple(held["shape"]))
    x, batch = principal_axes(genes, 20).encode(genes), held["batch_names"][held["batch"]]
    kind = held["cell_type_broad_names"][held["cell_type_broad"]]
    rows = ~((batch == "5p") & (kind == withheld))
    x, batch, kind = x[rows], batch[rows], kind[rows]
    found = merge_arrays(x, batch, reference="5p", scores=False)
    assert purity(found.x, kind, kind == withheld) >= 0.9
    shared = kind != withheld
    before, after = (ilisi(neighbourhoods(y[shared]), batch[shared]) for y in (x, found.x))
    assert after > before + 0.5


@pytest.mark.slow
@pytest.mark.skipif(not DATA.is_dir(), reason="no folder of data")
@pytest.mark.parametrize("seed", range(3))
def test_one_day_of_cytometry_cut_at_random_is_not_moved(seed):
    held = np.load(DATA / "cytof_person1.npz")
    x = np.log1p(held["x"][held["batch_names"][held["batch"]] == "day1"]).astype(np.float64)
    batch = np.where(np.random.default_rng(seed).permutation(len(x)) % 2, "new", "old")
    found = merge_arrays(x, batch, reference="old", scores=False, seed=seed)
    assert found.distances["new"]["moved"] <= 0.05
    mine = batch == "new"
    assert kept(x[mine], found.x[mine], batch[mine]) >= 0.9


@pytest.mark.parametrize("row", [0, 400])
def test_a_row_far_from_all_others_changes_nothing(row):
    """One cell at a million, of the target or of the batch, once made the scale what it is not."""
    x, batch, _ = pair(0, {0: 200, 1: 100}, {0: 200, 1: 100}, shift=3)
    order = np.r_[300:600, 0:300]  # the target first
    x, batch = x[order], batch[order]
    plain = merge_arrays(x, batch, reference="old", how=QUICK, scores=False)
    wild = x.copy()
    wild[row] = 1e6
    found = merge_arrays(wild, batch, reference="old", how=QUICK, scores=False)
    assert found.scale == pytest.approx(plain.scale, rel=0.02)
    assert any(f"1 row beyond 10 median radii, the first row {row}" in words for words in found.warnings)
    np.testing.assert_array_equal(found.x[row], wild[row])
    others = (batch == "new") & (np.arange(600) != row)
    there = x[batch == "old"].mean(0)
    gap, before = (np.linalg.norm(y[others].mean(0) - there) for y in (found.x, x))
    assert gap < 0.4 * before
    assert found.path_length[others].max() < 10 * before


def test_a_batch_that_is_not_moved_is_said_to_be_so_and_what_that_may_hide():
    x, _ = clusters(0, {0: 300, 1: 200})
    batch = np.where(np.random.default_rng(0).permutation(500) % 2, "new", "old")
    found = merge_arrays(x, batch, reference="old", scores=False)
    assert any(
        words == "new: held-out cells see no difference from the target's: not moved" for words in found.warnings
    )
    rng = np.random.default_rng(0)
    plane = rng.normal(size=(800, 2))
    plane[:400, 0] += 0.7  # on a plane as well other shares of one law
    found = merge_arrays(plane, np.repeat(["new", "old"], 400), reference="old", how=QUICK, scores=False)
    if found.distances["new"]["moved"] == 0:
        assert any("a shift within the width of a kind looks the same" in words for words in found.warnings)
    moved = merge_arrays(plane, np.repeat(["new", "old"], 400), reference="old", how=QUICK, unmatched="move")
    assert abs(moved.x[:400, 0].mean() - plane[400:, 0].mean()) < 0.3


def test_what_counts_only_without_classes_is_refused_beside_them():
    x, batch, names = pair(0, {0: 60}, {0: 60}, shift=3)
    for word in ("move", "stay", "follow"):
        with pytest.raises(UsageError, match="here classes say who goes where"):
            merge_arrays(x, batch, reference="old", labels=names.astype(str), unmatched=word)


def test_a_later_cell_far_from_all_that_were_merged_stays_and_has_no_counterpart():
    x, batch, _ = pair(0, {0: 200}, {0: 200}, shift=3)
    found = merge_arrays(x, batch, reference="old", how=QUICK, unmatched="move", scores=False)
    later = np.concatenate([x[:20] + 1000, x[20:40]])
    carried = found.map.transport(later, np.full(40, "new"))
    np.testing.assert_array_equal(carried.x[:20], later[:20])
    assert carried.far.tolist() == [True] * 20 + [False] * 20
    assert carried.matched.tolist() == [False] * 20 + [True] * 20
    assert (carried.path_length[20:] > 0).all()
