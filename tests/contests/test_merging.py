"""The contest of merging: who sees which cells, what its numbers are, and which lines are kept and found again."""

import json
from functools import partial

import numpy as np
import pytest

from benchmarks.merging import journal, tables
from benchmarks.merging.__main__ import main
from benchmarks.merging.cases import Case
from benchmarks.merging.jobs import Job, work
from benchmarks.merging.methods import METHODS, Method, applied
from benchmarks.merging.scores import floor, moved, purity, scores, shared_p
from benchmarks.merging.situations import situations, withheld


@pytest.fixture
def case():
    """Three types far apart, of which all sources and the target have some; two sources, each pushed its own way."""
    rng = np.random.default_rng(0)
    batch, labels = np.repeat(["old", "new", "newer"], 120), np.tile(["B", "NK", "T"], 120)
    x = rng.standard_normal((360, 4)) + 20 * (labels[:, None] == np.array(["B", "NK", "T", "none"]))
    x += np.select([batch == "new", batch == "newer"], [1.0, -1.0])[:, None]
    return Case("small", x, batch, labels, "old", ("B",))


def test_cells_that_are_withheld_are_a_fifth_of_the_target_and_reach_no_method_that_leaves_it_alone(case):
    unseen, given = withheld(case, 3), []
    assert unseen[case.staying].sum() == 24 == unseen.sum()
    assert (unseen != withheld(case, 4)).any()

    def fit(part, seed):
        given.append(part)
        return part.x + 1

    z = applied(Method("kind", fit), case, unseen, 0)
    np.testing.assert_array_equal(given[0].x, case.x[~unseen])
    np.testing.assert_array_equal(given[0].labels, case.labels[~unseen])
    np.testing.assert_array_equal(z, case.x + ~unseen[:, None])
    applied(Method("other", fit, moves_target=True), case, unseen, 0)
    np.testing.assert_array_equal(given[1].x, case.x)


def test_our_merge_is_a_method_that_leaves_the_target_alone_and_refuses_cells_that_it_must_not_see(case):
    case.x[withheld(case, 0)] = np.nan
    methods = [method for method in METHODS if method.name.startswith("ours")]
    assert len(methods) == 2
    for method in methods:
        assert not method.moves_target
        with pytest.raises(ValueError, match="not finite"):
            method.fit(case, 0)
        assert method.first is not None
    z = applied(Method("brief", methods[0].first), case, withheld(case, 0), 0)
    assert np.isfinite(z[~withheld(case, 0)]).all()
    np.testing.assert_array_equal(z[case.staying], case.x[case.staying])


def test_situations_take_from_each_side_what_they_say(case):
    made = {one.name: one.make(0) for one in situations(case)}
    sides = {
        name: tuple("".join(np.unique(found.labels[rows])) for rows in (~found.staying, found.staying))
        for name, found in made.items()
    }
    assert sides == {
        "as they are": ("BNKT", "BNKT"),
        "sources without B": ("NKT", "BNKT"),
        "sources without NK": ("BT", "BNKT"),
        "sources without T": ("BNK", "BNKT"),
        "target without B": ("BNKT", "NKT"),
        "target without NK": ("BNKT", "BT"),
        "target without T": ("BNKT", "BNK"),
        "target of B only": ("NKT", "B"),
        "target of NK, T only": ("B", "NKT"),
        "null split": ("BNKT", "BNKT"),
    }
    halves = made["null split"]
    np.testing.assert_array_equal(halves.x, case.x[case.staying])
    assert dict(zip(*np.unique(halves.batch, return_counts=True), strict=True)) == {"a": 60, "b": 60}
    other = next(one for one in situations(case) if one.name == "null split").make(1)
    assert (other.batch != halves.batch).any()


def test_purity_is_one_in_clusters_apart_however_small_and_the_share_in_a_random_mix():
    rng = np.random.default_rng(0)
    labels = np.repeat(["a", "b", "c"], [100, 4, 1])
    apart = rng.standard_normal((105, 3)) + 100 * (labels[:, None] == ["a", "b", "c"])
    found = purity(apart, labels)
    np.testing.assert_array_equal(found[:104], 1)
    assert np.isnan(found[104])
    labels = np.repeat(["a", "b"], [1200, 2800])
    mixed = purity(rng.standard_normal((4000, 3)), labels)
    for label, n in (("a", 1200), ("b", 2800)):
        assert mixed[labels == label].mean() == pytest.approx((n - 1) / 3999, abs=0.02)


def test_displacements_are_in_radii_of_the_batches():
    rng = np.random.default_rng(0)
    x, batch = rng.standard_normal((100, 3)), np.tile(["a", "b"], 100)
    x = np.repeat(x - x.mean(0), 2, axis=0)  # both batches are the same cells, and lie apart, which does not matter
    radius = np.sqrt((x**2).sum(1).mean())
    x += 50 * (batch == "b")[:, None]
    assert moved(x, x + np.array([3, 4, 0]), batch) == pytest.approx(5 / radius)
    assert moved(x, x, batch) == 0


def test_the_test_beside_mixing_is_within_types_and_pays_for_their_number(case):
    old, new = case.staying, case.batch == "new"
    other = np.arange(360) % 6 < 3
    assert shared_p(case, case.x, new, old, 0) == {"p": pytest.approx(3 / 1000), "p_tests": 3}
    assert shared_p(case, case.x, old & other, old & ~other, 0)["p"] > 0.05
    lopsided = (old & other) & ((case.labels == "B") | (np.arange(360) % 4 < 2))  # other shares of types, equal laws
    assert shared_p(case, case.x, lopsided, old & ~other, 0)["p"] > 0.05
    assert shared_p(case, case.x, new & (case.labels == "none"), old, 0) == {}


def test_scores_ask_of_lonely_types_for_purity_and_of_shared_ones_for_mixing(case):
    made = {one.name: one.make(0) for one in situations(case)}
    missing = made["target without T"]
    found = scores(missing, missing.x, withheld(missing, 0), 0)
    assert found["purity_sources"] == 1
    assert "purity_target" not in found
    assert found["purity_by_type"] == [{"side": "sources", "type": "T", "cells": 80, "purity": 1.0}]
    assert (found["moved"], found["kept"], found["transfer_all"]) == (0, 1, 1)
    apart = made["target of B only"]
    found = scores(apart, apart.x, withheld(apart, 0), 0, distances=False)
    assert found.keys() == {"cells", "purity_sources", "purity_target", "purity_by_type", "kept"}
    assert floor(apart, withheld(apart, 0), 0) == {"cells": [32, 8]}


def test_the_target_against_itself_is_what_a_null_split_scores_untouched(case):
    rng = np.random.default_rng(1)
    cells = Case("one", rng.standard_normal((1500, 3)), np.tile(["a", "b"], 750), np.repeat(["x", "y"], 750), "a")
    unseen = withheld(cells, 0)
    alone, both = scores(cells, cells.x, unseen, 0), floor(cells, unseen, 0)
    for name in ("ilisi", "kbet"):
        assert alone[name] == pytest.approx(both[name], abs=0.06)
    assert min(float(str(alone["p"])), float(str(both["p"]))) > 0.01


def job(name, seed, done, numbers=None):
    def run():
        done.append((name, seed))
        return {"ilisi": 0.5} if numbers is None else numbers()

    return Job("situations", "small", "as they are", name, seed, run)


def test_a_finished_line_is_skipped_and_a_torn_one_dropped_with_a_word_and_done_again(tmp_path, capsys):
    path, done = tmp_path / "kept.jsonl", []
    jobs = [job(name, seed, done) for seed in (0, 1) for name in ("none", "ours")]
    work(jobs[:3], path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-9])  # as a kill leaves it
    done.clear()
    capsys.readouterr()
    work(jobs, path)
    assert done == [("none", 1), ("ours", 1)]
    assert "line 3 is torn" in capsys.readouterr().out
    assert set(journal.read(path)[0]) == {one.key for one in jobs}
    done.clear()
    work(jobs, path)
    assert done == []
    assert path.read_bytes().startswith(whole[:-9])


def test_results_of_other_code_are_found_and_said(tmp_path, monkeypatch):
    path = tmp_path / "kept.jsonl"
    work([job("none", 0, [])], path)
    here = journal.code()
    assert journal.read(path)[1] == []
    monkeypatch.setattr(journal, "code", lambda: "of tomorrow")
    found, said = journal.read(path)
    assert len(found) == 1
    assert here in said[0]


def test_what_fails_is_a_result_and_stops_nothing(tmp_path):
    def fails():
        raise RuntimeError("no such thing")

    path = tmp_path / "kept.jsonl"
    work([job("none", 0, [], fails), job("ours", 0, [], lambda: {"ilisi": 0.25, "kbet": float("nan")})], path)
    first, second = map(json.loads, path.read_text().splitlines())
    assert first["failed"] == "RuntimeError: no such thing"
    assert second["ilisi"] == 0.25
    assert "kbet" not in second  # JSON has no such number
    text = "\n".join(tables.markdown([first, second]))
    assert "- failed: as they are / none / seed 0: RuntimeError: no such thing" in text


def test_a_method_whose_package_is_missing_is_named_once_and_leaves_no_line(tmp_path, capsys):
    path, run = tmp_path / "kept.jsonl", partial(pytest.fail, "it ran")
    peer = Method("Peer", lambda case, seed: case.x, needs="a_package_that_nobody_has")
    work([Job("situations", "small", "as they are", "Peer", seed, run, peer) for seed in range(3)], path)
    assert capsys.readouterr().out.count("skipped: Peer") == 1
    assert not path.exists()


def test_tables_show_mean_and_standard_error_over_seeds_and_how_many_there_are():
    about = {"part": "situations", "case": "small", "situation": "as they are", "code": "some"}
    numbers = ({"ilisi": 0.2, "p": 0.01}, {"ilisi": 0.4, "p": 0.9})
    lines = [about | {"method": "ours", "seed": seed} | both for seed, both in enumerate(numbers)]
    lines += [about | {"method": "none", "seed": 0, "ilisi": 0.5}]
    rows = [line for line in tables.markdown(lines) if line.startswith("|")]
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    assert cells[0] == ["situation", "method", "seeds", "iLISI", "p (below 0.05)"]
    assert cells[2:] == [
        ["as they are", "none", "1", "0.500", ""],
        ["as they are", "ours", "2", "0.300 ± 0.100", "0.455 ± 0.445 (1 of 2)"],
    ]


def test_nothing_to_show_and_nothing_that_matches_are_said(tmp_path, capsys):
    path = str(tmp_path / "kept.jsonl")
    assert main(["--out", path, "--table"]) == 2
    assert main(["--out", path, "--labels", "--only", "nobody"]) == 2
    assert "location-scale per class" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["--out", path])
