"""Cells that come after a merge: they go the way of their neighbours, and change nothing."""

from __future__ import annotations

import json
import pickle
import warnings
from pathlib import Path

import numpy as np
import pytest
from merging.clusters import clusters

from pushforward.cli import main
from pushforward.errors import DataError, UsageError
from pushforward.merging import How, MergeMap, Merger, merge, merge_arrays
from pushforward.merging.codes import principal_axes
from pushforward.merging.plan import MergeWarning
from pushforward.metrics.quality.transport import wasserstein

QUICK = How(width=32, steps=30, updates=3, rate=5e-3, warmup=30)
DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


@pytest.fixture(scope="module")
def merged():
    """A batch of three clusters onto a target without the second."""
    x, names = clusters(0, {0: 200, 1: 150, 2: 100}, shift=3)
    target, theirs = clusters(10, {0: 300, 2: 150})
    batch = np.repeat(["new", "old"], [450, 450])
    found = merge_arrays(np.concatenate([x, target]), batch, reference="old", how=QUICK, scores=False)
    return found, np.concatenate([x, target]), batch, np.concatenate([names, theirs])


def test_cells_that_come_later_arrive_like_those_that_were_merged(merged):
    found, x, batch, names = merged
    later, kinds = clusters(3, {0: 100, 1: 80, 2: 60}, shift=3)
    carried = found.map.transport(later, np.full(len(later), "new"))
    assert (carried.matched == (kinds != 1)).mean() > 0.99
    lost = ~carried.matched
    np.testing.assert_array_equal(carried.x[lost], later[lost])
    assert (carried.path_length[lost] == 0).all()
    for kind in (0, 2):
        here, there = carried.x[kinds == kind], x[(batch == "old") & (names == kind)]
        before = np.linalg.norm(later[kinds == kind].mean(0) - there.mean(0))
        assert np.linalg.norm(here.mean(0) - there.mean(0)) < 0.35 * before
    again = found.map.transport(x[batch == "new"], batch[batch == "new"])
    still, moved = ~found.matched[batch == "new"], found.x[batch == "new"]
    np.testing.assert_array_equal(again.x[still], x[batch == "new"][still])
    off = np.linalg.norm(again.x - moved, axis=1)[~still]  # a mean of ten ways beside the cell's own
    assert np.sqrt((off**2).mean()) < 0.2 * np.linalg.norm(moved - x[batch == "new"], axis=1)[~still].mean()


def test_one_cell_changes_no_other_and_the_reference_stays(merged):
    found, *_ = merged
    later, _ = clusters(4, {0: 40, 2: 30}, shift=3)
    batch = np.array(["new"] * 60 + ["old"] * 10)
    all_of_them = found.map.transport(later, batch)
    np.testing.assert_allclose(found.map.transport(later[10:], batch[10:]).x, all_of_them.x[10:], atol=1e-6)
    assert all_of_them.x[60:].tobytes() == later[60:].tobytes()
    order = np.random.default_rng(0).permutation(70)
    np.testing.assert_allclose(found.map.transport(later[order], batch[order]).x, all_of_them.x[order], atol=1e-6)


@pytest.mark.parametrize("how", ["file", "pickle"])
def test_a_map_is_the_same_after_a_file_and_a_pickle(merged, how, tmp_path):
    found, *_ = merged
    if how == "file":
        found.map.save(tmp_path / "folder" / "m.safetensors")
        again = MergeMap.load(tmp_path / "folder" / "m.safetensors")
    else:
        again = pickle.loads(pickle.dumps(found.map))
    later, _ = clusters(5, {0: 30, 1: 30}, shift=3)
    one, other = (which.transport(later, np.full(60, "new")) for which in (found.map, again))
    np.testing.assert_array_equal(one.x, other.x)
    np.testing.assert_array_equal(one.path_length, other.path_length)
    np.testing.assert_array_equal(one.matched, other.matched)


def test_what_a_map_does_not_know_is_refused(merged, tmp_path):
    found, *_ = merged
    x = np.zeros((3, 12))
    with pytest.raises(UsageError, match=r"batch 'third': not merged; the map knows old.*new"):
        found.map.transport(x, np.array(["new", "third", "old"]))
    with pytest.raises(DataError, match="the map is of 12 dimensions"):
        found.map.transport(x[:, :5], np.full(3, "new"))
    x[1, 2] = np.nan
    with pytest.raises(DataError, match="row 1, counted from 0"):
        found.map.transport(x, np.full(3, "new"))
    wrong = tmp_path / "no.safetensors"
    with pytest.raises(DataError, match="no such file"):
        MergeMap.load(wrong)
    wrong.write_bytes(b"not at all")
    with pytest.raises(DataError, match="no map of a merge, or damaged"):
        MergeMap.load(wrong)


def test_where_classes_count_cells_need_one_and_go_with_it():
    rng = np.random.default_rng(0)
    kinds = np.tile(np.repeat(["t", "m"], 100), 2)
    batch = np.repeat(["a", "b"], 200)
    side = np.where(kinds == "t", 1.0, -1.0)[:, None]
    x = rng.normal(size=(400, 3)) + np.where(batch == "b", 3.0, 0.0)[:, None] * np.array([0.0, 1.0, 0.0]) * side
    found = merge_arrays(x, batch, reference="a", labels=kinds, how=QUICK, scores=False)
    later = np.zeros((2, 3))
    carried = found.map.transport(later, np.array(["b", "b"]), np.array(["t", "m"]))
    assert carried.x[0, 1] < -1.5  # the way of its class, whatever is around it
    assert carried.x[1, 1] > 1.5
    with pytest.raises(UsageError, match="give those of the cells too"):
        found.map.transport(later, np.array(["b", "b"]))
    with pytest.raises(UsageError, match="class 'x' of 'b': not merged; the map knows m, t"):
        found.map.transport(later, np.array(["b", "b"]), np.array(["t", "x"]))


def cells(x, batch, **obs):
    anndata, pandas = pytest.importorskip("anndata"), pytest.importorskip("pandas")
    index = pandas.Index([f"c{k}" for k in range(len(batch))], dtype=object)
    return anndata.AnnData(x, obs=pandas.DataFrame({"batch": batch} | obs, index=index))


@pytest.mark.parametrize("rep", ["X", "pca:6"])
def test_an_object_carries_later_cells_also_after_a_file(rep, tmp_path, merged):
    anndata = pytest.importorskip("anndata")
    _, x, batch, _ = merged
    adata = cells(x, batch)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        merge(adata, "batch", target="old", use_rep=rep, how=QUICK, scores=False)
    adata.write_h5ad(tmp_path / "m.h5ad")
    later = cells(x[:300:7], batch[:300:7])
    results = []
    Merger.of(adata).save(tmp_path / "m.safetensors")
    for merger in (
        Merger.of(adata),
        Merger.of(anndata.read_h5ad(tmp_path / "m.h5ad")),
        Merger.load(tmp_path / "m.safetensors"),
        pickle.loads(pickle.dumps(Merger.of(adata))),
    ):
        done = merger.transport(later, copy=True)
        results.append(done.obsm["X_gpa"])
        if rep == "X":
            np.testing.assert_allclose(done.layers["gpa"], done.obsm["X_gpa"])
    for other in results[1:]:
        np.testing.assert_allclose(other, results[0], atol=1e-6)
    assert "X_gpa" not in later.obsm
    few = later[:, :5].copy()
    with pytest.raises(DataError, match="column"):
        Merger.of(adata).transport(few)
    turned = later[:, ::-1].copy()
    Merger.of(adata).transport(turned)  # columns have names, and no order
    np.testing.assert_allclose(turned.obsm["X_gpa"], results[0], atol=1e-6)
    np.testing.assert_allclose(turned.layers["gpa"][:, ::-1], done.layers["gpa"], atol=1e-6)
    with pytest.raises(DataError, match="cells of ndarray: give an AnnData object, or codes"):
        Merger.of(adata).transport(x[:5])
    with pytest.raises(DataError, match="no column 'batch' in obs"):
        Merger.of(adata).transport(anndata.AnnData(x[:5]))


@pytest.mark.parametrize("rep", ["X", "pca:6"])
@pytest.mark.parametrize("sparse", [False, True])
def test_further_columns_of_later_cells_stay_as_they_are_and_that_is_said(rep, sparse, merged):
    anndata, csr = pytest.importorskip("anndata"), pytest.importorskip("scipy.sparse").csr_matrix
    _, x, batch, _ = merged
    adata = cells(x, batch)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        merge(adata, "batch", target="old", use_rep=rep, how=QUICK, scores=False)
    alone = Merger.of(adata).transport(cells(x[:300:7], batch[:300:7]), copy=True)
    more = np.concatenate([np.full((43, 1), np.nan), x[:300:7], np.full((43, 1), 7.0)], 1)
    later = anndata.AnnData(csr(more) if sparse else more, obs=alone.obs[["batch"]])
    later.var_names = ["first", *adata.var_names, "last"]
    if sparse and rep == "X":
        with pytest.raises(UsageError, match="which has to be dense, and these are sparse"):
            Merger.of(adata).transport(later)
        return
    with pytest.warns(MergeWarning, match="2 columns not merged, 'first' first: left as they are"):
        Merger.of(adata).transport(later)
    np.testing.assert_allclose(later.obsm["X_gpa"], alone.obsm["X_gpa"], atol=1e-6)
    written = later.layers["gpa"].toarray() if sparse else later.layers["gpa"]
    np.testing.assert_allclose(written[:, 1:-1], alone.layers["gpa"], atol=1e-6)
    assert np.isnan(written[:, 0]).all()
    assert (written[:, -1] == 7).all()
    later.var_names = ["first", *adata.var_names[:-1], adata.var_names[0], "last"]
    with pytest.raises(DataError, match="1 of 12 columns that were merged are missing, '11' first"):
        Merger.of(adata).transport(later)
    later.var_names = [adata.var_names[0], *adata.var_names, "last"]
    with pytest.raises(DataError, match="column '0' stands there more than once"):
        Merger.of(adata).transport(later)


def test_columns_that_share_a_name_are_taken_as_they_stood_and_not_otherwise(merged):
    _, x, batch, _ = merged
    adata, later = cells(x, batch), cells(x[:20], batch[:20])
    for one in (adata, later):
        one.var_names = ["g", "g", *one.var_names[2:]]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        merge(adata, "batch", target="old", use_rep="X", how=QUICK, scores=False)
    Merger.of(adata).transport(later)
    assert later.obsm["X_gpa"].shape == (20, 12)
    with pytest.raises(DataError, match="share the name 'g': give them all, in the order that they had"):
        Merger.of(adata).transport(later[:, ::-1].copy())


@pytest.mark.parametrize(("ending", "rep"), [("csv", "X"), ("npz", "X"), ("npz", "pca:6"), ("h5ad", "X")])
def test_the_command_saves_a_map_and_carries_a_later_file_by_it(ending, rep, tmp_path, capsys, merged):
    _, x, batch, _ = merged
    first, later, out = (tmp_path / f"{name}.{ending}" for name in ("first", "later", "out"))
    rows = slice(0, 300, 5)
    for path, part, names in ((first, x, batch), (later, x[rows], batch[rows])):
        if ending == "npz":
            np.savez(path, x=part, batch=names)
        elif ending == "h5ad":
            cells(part, names).write_h5ad(path)
        else:
            head = ",".join([*(f"g{k}" for k in range(12)), "batch"])
            lines = [",".join([*map(repr, row.tolist()), name]) for row, name in zip(part, names, strict=True)]
            path.write_text("\n".join([head, *lines]))

    def run(*words):
        with pytest.raises(SystemExit) as ended:
            main(["merge", *map(str, words)])
        return ended.value.code, capsys.readouterr()

    saved = tmp_path / "map.safetensors"
    code, _ = run(first, "--batch", "batch", "--target", "old", "--use-rep", rep, "--steps", 20, "--out", out,
                  "--save-map", saved)  # fmt: skip
    assert code == 0
    code, told = run(later, "--map", saved, "--out", tmp_path / f"done.{ending}", "--json")
    assert code == 0
    record = json.loads(told.out)
    assert record["cells"] == 60
    assert 0 < record["unmatched"] < 60
    assert record["moved_cells"] == 60 - record["unmatched"]
    assert record["target_cells"] == 0
    assert any("0 of the target old, which stay" in words for words in record["notes"])
    assert any("without a counterpart" in words for words in record["notes"])
    code, told = run(later, "--map", saved, "--out", tmp_path / f"done.{ending}", "--n-boot", 3)
    assert code == 2
    assert "--n-boot: of a merge" in told.err
    code, told = run(first, "--out", out, "--batch", "batch")
    assert code == 2
    assert "--target: name the batch that stays" in told.err
    code, told = run(first, "--batch", "batch", "--target", "old", "--out", out, "--save-map", tmp_path / "map.pt")
    assert code == 2


@pytest.mark.slow
@pytest.mark.skipif(not DATA.is_dir(), reason="no folder of data")
def test_cells_withheld_from_a_merge_are_as_near_to_the_target_as_had_they_been_merged():
    found = np.load(DATA / "cytof_person1.npz")
    x, batch = np.log1p(found["x"]).astype(np.float64), found["batch_names"][found["batch"]]
    rng = np.random.default_rng(0)
    away = np.zeros(len(x), bool)
    away[rng.permutation(np.flatnonzero(batch == "day2"))[:300]] = True
    away[rng.permutation(np.flatnonzero(batch == "day1"))[:300]] = True  # seen by neither
    part = merge_arrays(x[~away], batch[~away], reference="day1", scores=False)
    seen = ~away | (batch == "day2")
    whole = merge_arrays(x[seen], batch[seen], reference="day1", scores=False)
    mine, target = x[away & (batch == "day2")], x[away & (batch == "day1")]
    carried = part.map.transport(mine, np.full(300, "day2")).x
    had = whole.x[(away & (batch == "day2"))[seen]]
    import torch

    one, other, before = (
        wasserstein(torch.from_numpy(y.copy()), torch.from_numpy(target.copy())) for y in (carried, had, mine)
    )
    assert one < 1.1 * other < 1.1 * before


def test_codes_of_a_sparse_matrix_are_those_of_the_axes(tmp_path):
    sparse = pytest.importorskip("scipy.sparse")
    rng = np.random.default_rng(0)
    x = rng.poisson(1.0, (120, 20)).astype(np.float32)
    batch = np.repeat(["new", "old"], 60)
    x[batch == "new", :4] += 2
    adata = cells(sparse.csr_matrix(x), batch)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        merge(adata, "batch", target="old", use_rep="pca:4", how=QUICK, scores=False, unmatched="move")
    later = cells(sparse.csr_matrix(x[:30]), batch[:30])
    Merger.of(adata).transport(later)
    codes = principal_axes(sparse.csr_matrix(x), 4).encode(x[:30])
    assert sparse.issparse(later.layers["gpa"])
    way = later.obsm["X_gpa"] - codes
    assert np.linalg.norm(way, axis=1).min() > 0
    had = adata.obsm["X_gpa"][:30] - codes
    assert np.linalg.norm(way.mean(0) - had.mean(0)) < 0.2 * np.linalg.norm(had.mean(0))
