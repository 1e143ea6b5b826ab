"""Batches, labels, matrices and threads of the types that users have are taken, and what is made of them is said."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix

from pushforward.cli import main
from pushforward.errors import DataError, UsageError
from pushforward.merging import How, merge, merge_arrays
from pushforward.merging.cells import by_batch
from pushforward.merging.plan import named

anndata, pandas = pytest.importorskip("anndata"), pytest.importorskip("pandas")

QUICK = How(width=8, steps=2, updates=1, rate=1e-2, warmup=1)
N = 40

BATCHES = {
    "whole": (np.arange(N) % 2, 0, 1),
    "numpy": (np.arange(N) % 2, np.int64(0), np.int8(1)),
    "truth": (np.arange(N) % 2 == 1, False, True),
    "floats": ((np.arange(N) % 2).astype(float), 0, 1.0),
    "words": (np.array(["0", "1"])[np.arange(N) % 2], 0, 1),
    "nullable": (pandas.array(np.arange(N) % 2, dtype="Int64"), 0, 1),
    "categories": (pandas.Categorical(np.arange(N) % 2), 0, 1),
}


def numbers(seed=0, d=3):
    x = np.random.default_rng(seed).normal(size=(N, d))
    x[1::2] += 3
    return x


def cells(batch, x=None, **more):
    index = pandas.Index([f"c{k}" for k in range(N)], dtype=object)
    return anndata.AnnData(numbers() if x is None else x, obs=pandas.DataFrame({"batch": batch} | more, index=index))


def quiet(adata, **options):
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        merge(
            adata,
            "batch",
            **{"use_rep": "X", "how": QUICK, "scores": False, "target": 0, "unmatched": "move"} | options,
        )
    return [str(one.message) for one in said]


def run(*words):
    with pytest.raises(SystemExit) as ended:
        main(["merge", *map(str, words)])
    return ended.value.code


@pytest.mark.parametrize("kind", BATCHES)
def test_batches_are_found_by_their_values_whatever_type_holds_them(kind):
    batch, target, source = BATCHES[kind]
    adata = cells(batch)
    quiet(adata, target=target, source=source)
    x = numbers()
    assert adata.obsm["X_gpa"][::2].tobytes() == x[::2].tobytes()
    assert (adata.obsm["X_gpa"][1::2] != x[1::2]).all()
    found = merge_arrays(x, batch, reference=target, sources=[source], how=QUICK, scores=False, unmatched="move")
    np.testing.assert_array_equal(found.x, adata.obsm["X_gpa"])
    again = merge_arrays(
        x, batch, reference=target, how=QUICK, scores=False, labels=batch, mode="unconditional", unmatched="move"
    )
    assert again.parameters["reference"] == named([target], "")[0]


def test_whole_numbers_beside_missing_ones_keep_their_names():
    assert named([0.0, 1.0, np.nan, 0.5, None, pandas.NA, True], "").tolist() == ["0", "1", "", "0.5", "", "", "True"]


def test_an_unknown_one_is_refused_with_those_that_there_are():
    for call in (
        lambda: quiet(cells(np.arange(N) % 2), target=2),
        lambda: merge_arrays(numbers(), np.arange(N) % 2, reference=2),
    ):
        with pytest.raises(UsageError, match=r"^target 2: no such batch; there are 0, 1$"):
            call()
    with pytest.raises(UsageError, match=r"^source 2: not one of the batches that can move, 1$"):
        merge_arrays(numbers(), np.arange(N) % 2, reference=0, sources=[2])


@pytest.mark.parametrize("kind", ["whole", "truth", "floats"])
@pytest.mark.parametrize("ending", ["csv", "npz", "h5ad"])
def test_the_command_finds_numbers_and_truth_values(kind, ending, tmp_path, capsys):
    batch, _, _ = BATCHES[kind]
    source, x = tmp_path / f"in.{ending}", numbers()
    if ending == "csv":
        rows = (",".join([*map(repr, row), str(name)]) for row, name in zip(x.tolist(), batch.tolist()))
        source.write_text("\n".join(["a,b,c,batch", *rows]))
    elif ending == "npz":
        np.savez(source, x=x, batch=batch)
    else:
        cells(batch, x).write_h5ad(source)
    target = "False" if kind == "truth" else "0"
    out = tmp_path / f"out.{ending}"
    assert run(source, "--batch", "batch", "--target", target, "--use-rep", "X", "--steps", 2, "--out", out, "--json",
               "--page", tmp_path / "p.html") == 0  # fmt: skip
    found = json.loads(capsys.readouterr().out)["parameters"]["reference"]
    assert found == ("0.0" if ending == "csv" and kind == "floats" else target)  # text of a table is kept as it is


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("rep", ["X_pca", "pca:2", "X"])
def test_cells_that_are_in_a_file_are_merged_like_those_in_memory(sparse, rep, tmp_path):
    x = np.where(np.random.default_rng(1).random((N, 4)) < 0.3, 0.0, numbers(d=4))
    adata = cells(BATCHES["categories"][0], csr_matrix(x) if sparse else x)
    adata.obsm["X_pca"], adata.varm["PCs"] = (x - x.mean(0))[:, :2], np.eye(4)[:, :2]
    adata.write_h5ad(tmp_path / "in.h5ad")
    backed = anndata.read_h5ad(tmp_path / "in.h5ad", backed="r")
    if sparse and rep == "X":
        with pytest.raises(UsageError, match="sparse"):
            quiet(backed, use_rep=rep)
        return
    quiet(adata, use_rep=rep)
    said = [words for words in quiet(backed, use_rep=rep) if "into memory" in words]
    assert len(said) == 1
    assert str(tmp_path / "in.h5ad") in said[0]
    np.testing.assert_array_equal(backed.obsm["X_gpa"], adata.obsm["X_gpa"])
    backed.write_h5ad(tmp_path / "out.h5ad")
    again = anndata.read_h5ad(tmp_path / "out.h5ad")
    assert (again.layers["gpa"] != adata.layers["gpa"]).sum() == 0
    assert (again.X != adata.X).sum() == 0


def test_a_copy_of_cells_in_a_file_is_refused_with_the_remedy(tmp_path):
    cells(BATCHES["categories"][0]).write_h5ad(tmp_path / "in.h5ad")
    with pytest.raises(UsageError, match="to_memory"):
        quiet(anndata.read_h5ad(tmp_path / "in.h5ad", backed="r"), copy=True)


@pytest.mark.parametrize("word", ["unknown", "nan", "NA", "Unassigned", "", " Unknown "])
def test_labels_that_all_say_that_nothing_is_known_are_none(word):
    x, batch, _ = numbers(), *BATCHES["whole"][:2]
    found = merge_arrays(x, batch, reference=0, labels=[word] * N, how=QUICK, scores=False)
    assert found.mode == "unconditional"
    assert found.labels is None
    assert any("no cell has a label" in words for words in found.warnings)
    assert not any("on the target only" in words for words in found.warnings)


@pytest.mark.parametrize("none", ["Unknown", None, np.nan, pandas.NA, "nan"])
def test_a_batch_of_which_nothing_is_known_is_labelled_after_the_transport(none):
    labels = np.array(["t", "m"] * (N // 2), dtype=object)
    labels = np.where(np.arange(N) % 4 < 2, "t", "m").astype(object)
    labels[1::2] = none
    found = merge_arrays(numbers(), np.arange(N) % 2, reference=0, labels=labels, how=QUICK, scores=False)
    assert found.labels is not None
    assert set(found.labels) == {"t", "m"}
    assert any("count as" in words and repr(none) in words for words in found.warnings) == isinstance(none, str)


def test_unknown_among_other_labels_is_a_class_and_a_missing_one_is_named():
    batch, labels = np.arange(N) % 2, np.where(np.arange(N) % 4 < 2, "t", "unknown").astype(object)
    found = merge_arrays(numbers(), batch, reference=0, labels=labels, how=QUICK, scores=False, least=5)
    assert [leg["label"] for leg in found.legs] == ["t", "unknown"]
    labels[1] = np.nan
    with pytest.raises(DataError, match="1 of 20 cells to move have no label"):
        merge_arrays(numbers(), batch, reference=0, labels=labels, how=QUICK, scores=False)


@pytest.mark.parametrize("rep", ["X:logs", "pca:2:logs"])
def test_a_layer_is_merged_and_moved_in_place_of_x(rep):
    adata = cells(np.arange(N) % 2, np.zeros((N, 3)))
    adata.layers["logs"] = numbers()
    other = cells(np.arange(N) % 2)
    quiet(adata, use_rep=rep)
    quiet(other, use_rep=rep.removesuffix(":logs"))
    np.testing.assert_array_equal(adata.obsm["X_gpa"], other.obsm["X_gpa"])
    np.testing.assert_array_equal(adata.layers["gpa"], other.layers["gpa"])
    assert adata.uns["gpa"]["parameters"]["use_rep"] == rep
    with pytest.raises(DataError, match="did you mean 'logs'"):
        quiet(adata, use_rep=rep.replace("logs", "log"))


def test_a_sparse_embedding_is_made_dense_and_that_is_said(monkeypatch):
    adata = cells(np.arange(N) % 2)
    adata.obsm["X_tf"] = csr_matrix(numbers())
    assert "obsm['X_tf'] is sparse and was made dense, 40 x 3" in quiet(adata, use_rep="X_tf")
    assert adata.obsm["X_gpa"][::2].tobytes() == numbers()[::2].tobytes()
    monkeypatch.setenv("PUSHFORWARD_MEMORY", "500")
    with pytest.raises(DataError, match="too large to be made dense"):
        quiet(adata, use_rep="X_tf")


def test_truth_values_are_numbers_and_that_is_said():
    x = numbers() > 1
    adata = cells(np.arange(N) % 2, x)
    assert "X holds truth values, which are merged as the numbers 0 and 1" in quiet(adata)
    assert adata.layers["gpa"].dtype.kind == "f"
    found = merge_arrays(x, np.arange(N) % 2, reference=0, how=QUICK, scores=False)
    assert "truth values are merged as the numbers 0 and 1" in found.warnings
    np.testing.assert_array_equal(found.x[::2], x[::2])


def test_names_of_batches_stay_apart_in_a_file_and_come_back(tmp_path, capsys):
    names = np.array(["A/x", "A|x", "A%2Fx", ".", "t"])[np.arange(200) % 5]
    x = np.random.default_rng(0).normal(size=(200, 3))
    index = pandas.Index([f"c{k}" for k in range(200)], dtype=object)
    anndata.AnnData(x, obs=pandas.DataFrame({"batch": names}, index=index)).write_h5ad(tmp_path / "in.h5ad")
    words = ["--batch", "batch", "--target", "t", "--use-rep", "X", "--steps", 2, "--json"]
    out, page = tmp_path / "out.h5ad", tmp_path / "p.html"
    assert run(tmp_path / "in.h5ad", *words, "--out", out, "--page", page) == 0
    record = json.loads(capsys.readouterr().out)
    assert set(record["distances"]) == {"A/x", "A|x", "A%2Fx", "."}
    kept = by_batch(anndata.read_h5ad(out).uns["gpa"])
    assert {name: kept[name]["w2_after"] for name in kept} == {
        name: numbers["w2_after"] for name, numbers in record["distances"].items()
    }
    assert all(f'<th scope="row">{name}</th>' in page.read_text() for name in record["distances"])


def test_rows_of_a_matrix_are_counted_from_0_and_that_is_said():
    x = numbers()
    x[3, 1] = np.nan
    with pytest.raises(DataError, match=r"^row 3 of the matrix, counted from 0, holds a number that is not finite"):
        merge_arrays(x, np.arange(N) % 2, reference=0)
    with pytest.raises(DataError, match=r"^column 1 of the matrix, counted from 0, holds"):
        quiet(cells(np.arange(N) % 2, x), use_rep="pca:2")


@pytest.mark.parametrize("how", ["arrays", "cells"])
def test_one_thread_computes_and_the_callers_number_holds_again(how, monkeypatch):
    from pushforward.merging.flow import fly

    seen, real = list[int](), fly.transport_cloud
    monkeypatch.setattr(fly, "transport_cloud", lambda *a, **k: seen.append(torch.get_num_threads()) or real(*a, **k))
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        if how == "arrays":
            merge_arrays(numbers(), np.arange(N) % 2, reference=0, how=QUICK, unmatched="move")
            merge_arrays(numbers(), np.arange(N) % 2, reference=0, how=QUICK, threads=2, scores=False, unmatched="move")
        else:
            quiet(cells(np.arange(N) % 2))
            quiet(cells(np.arange(N) % 2), threads=2)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
    assert seen == [1, 2]


def test_the_command_takes_one_thread_unless_it_is_told_another_number(tmp_path, monkeypatch):
    from pushforward.parallel import threads

    used = list[int]()
    monkeypatch.setattr(threads, "use", used.append)
    np.savez(tmp_path / "in.npz", x=numbers(), batch=np.arange(N) % 2)
    words = [tmp_path / "in.npz", "--batch", "batch", "--target", 0, "--steps", 2]
    assert run(*words, "--out", tmp_path / "out.npz") == 0
    assert used == [1]
