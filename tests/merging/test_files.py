"""Files through the command line: plain matrices come back in their format, and errors have their exit codes."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from pushforward.cli import main
from pushforward.merging import embedding
from pushforward.merging.files import write


def run(*words):
    with pytest.raises(SystemExit) as ended:
        main(["merge", *map(str, words)])
    return ended.value.code


def numbers(n=24, seed=0):
    rng = np.random.default_rng(seed)
    batch = np.array(["gse1", "gse2"])[rng.permutation(np.arange(n) % 2)]
    return rng.normal(size=(n, 3)) + 2.0 * (batch == "gse2")[:, None], batch


def test_a_csv_keeps_its_columns_rows_and_other_text_and_the_target_verbatim(tmp_path, capsys):
    x, batch = numbers()
    rows = [[f"s{i}", *(f"{v:.3f}" for v in x[i, :2]), batch[i], f"{x[i, 2]:.3f}", "+-"[i % 2]] for i in range(24)]
    header = ["sample", "201_at", "1007_s_at", "study", "9_at", "er"]
    source, out = tmp_path / "bulk.csv", tmp_path / "out" / "merged.csv"
    source.write_text("\n".join(map(";".join, [header, *rows])) + "\n")
    assert run(source, "--batch", "study", "--target", "gse1", "--labels", "er", "--mode", "unconditional",
               "--steps", 5, "--out", out, "--json") == 0  # fmt: skip
    found = list(csv.reader(out.open(), delimiter=";"))
    assert found[0] == header
    for before, after in zip(rows, found[1:], strict=True):
        assert [after[k] for k in (0, 3, 5)] == [before[k] for k in (0, 3, 5)]
        assert (after == before) == (before[3] == "gse1")
    record = json.loads(capsys.readouterr().out)
    assert record["out"] == str(out)
    assert record["mode"] == "unconditional"
    assert {"w2_before", "w2_after", "w2_split", "energy_after"} <= set(record["distances"]["gse2"])
    assert record["w2_reconstruction"] == 0.0


def test_an_npz_keeps_its_arrays_and_a_page_is_written(tmp_path, capsys):
    x, batch = numbers()
    source, out, page = (tmp_path / name for name in ("in.npz", "out.npz", "page.html"))
    np.savez(source, x=x.astype(np.float32), batch=(batch == "gse2").astype(np.uint8),
             batch_names=np.array(["gse1", "gse2"]), genes=np.array(["u", "v", "w"]))  # fmt: skip
    assert run(source, "--batch", "batch", "--target", "gse1", "--steps", 5, "--out", out, "--page", page) == 0
    found = np.load(out)
    assert found["genes"].tolist() == ["u", "v", "w"]
    still = batch == "gse1"
    assert found["x"].dtype == np.float32
    assert found["x"][still].tobytes() == x.astype(np.float32)[still].tobytes()
    assert (found["x"][~still] != x[~still]).any()
    np.testing.assert_array_equal(found["gpa_path_length"] > 0, ~still)
    words = capsys.readouterr().out
    assert "ilisi" in words
    assert "W2 before" in words
    assert "reconstruction: 0.000" in words
    html = page.read_text()
    assert html.count("data:image/png") >= 2
    assert "floor" in html


def test_a_sparse_npz_stays_sparse(tmp_path):
    x, batch = numbers(40)
    x = csr_matrix(np.where(np.random.default_rng(1).random((40, 3)) < 0.5, x, 0.0))
    source, out = tmp_path / "in.npz", tmp_path / "out.npz"
    np.savez(source, data=x.data, indices=x.indices, indptr=x.indptr, shape=np.array(x.shape), batch=batch)
    assert run(source, "--batch", "batch", "--target", "gse1", "--steps", 3, "--use-rep", "pca:2", "--out", out) == 0
    found = np.load(out)
    np.testing.assert_array_equal(found["indices"], x.indices)
    assert not np.array_equal(found["data"], x.data)


def test_an_h5ad_comes_back_as_one(tmp_path):
    anndata = pytest.importorskip("anndata")
    x, batch = numbers()
    source, out = tmp_path / "in.h5ad", tmp_path / "out.h5ad"
    cells = anndata.AnnData(csr_matrix(x), obs={"batch": list(batch)})
    cells.raw = cells.copy()
    write(cells, source)
    assert run(source, "--batch", "batch", "--target", "gse1", "--use-rep", "pca:2", "--steps", 3, "--out", out) == 0
    found = anndata.read_h5ad(out)
    assert found.obsm["X_gpa"].shape == (24, 2)
    assert "gpa" in found.layers


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["none.csv", "--batch", "b", "--target", "t", "--out", "o.csv"], 3, "no such file"),
        (["in.txt", "--batch", "b", "--target", "t", "--out", "o.txt"], 2, "h5ad"),
        (["in.csv", "--batch", "b", "--target", "t", "--out", "o.npz"], 2, "o.csv"),
        (["in.csv", "--batch", "b", "--target", "t", "--out", "o.csv"], 3, "no column 'b'"),
        (["in.csv", "--batch", "study", "--target", "t", "--out", "o.csv"], 2, "target 't'"),
        (["in.csv", "--batch", "study", "--target", "u", "--out", "o.csv", "--use-rep", "X_pca"], 2, "no embeddings"),
        (["in.csv", "--batch", "study", "--target", "u", "--out", "o.csv", "--page", "p.png"], 2, "p.html"),
        (
            ["bad.csv", "--batch", "study", "--target", "u", "--out", "o.csv"],
            3,
            "line 61, column 'g' is 'oops'",
        ),
    ],
)
def test_errors_are_one_line_with_their_exit_code(words, code, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    lines = [f"{k / 7:.3f},{'uv'[k % 2]}" for k in range(60)]
    (tmp_path / "in.csv").write_text("\n".join(["g,study", *lines]))
    (tmp_path / "bad.csv").write_text("\n".join(["g,study", *lines[:-1], "oops,u"]))
    assert run(*words) == code
    said = capsys.readouterr().err.strip()
    assert said.startswith("error: ")
    assert message in said
    assert len(said.splitlines()) == 1
    assert not list(tmp_path.glob("o.*"))


def test_a_page_shows_the_representation_that_was_merged_and_fits_it_once(tmp_path, monkeypatch):
    fits, axes = [], embedding.principal_axes
    monkeypatch.setattr(embedding, "principal_axes", lambda *given: fits.append(given) or axes(*given))
    rng = np.random.default_rng(0)
    x, batch = rng.normal(size=(80, 5)), np.repeat(["new", "old"], 40)
    np.savez(tmp_path / "in.npz", x=x, batch=batch)
    arguments = ["--batch", "batch", "--target", "old", "--use-rep", "pca:3", "--steps", 3]
    out = ["--out", tmp_path / "out.npz", "--page", tmp_path / "page.html"]
    assert run(tmp_path / "in.npz", *arguments, *out) == 0
    assert len(fits) == 1


def wide(tmp_path, n=40, genes=9):
    """A table of genes, ages, batches and words, and the numbers in it."""
    rng = np.random.default_rng(2)
    x, batch = rng.normal(size=(n, genes)), np.array(["a", "b"])[np.arange(n) % 2]
    x[batch == "b"] += 3
    names = [*(f"g{k}" for k in range(genes)), "age", "batch", "word"]
    rows = [[*(f"{v:.4f}" for v in x[i]), str(20 + i), batch[i], "word"] for i in range(n)]
    path = tmp_path / "wide.csv"
    path.write_text("\n".join(map(",".join, [names, *rows])) + "\n")
    return path, names, rows


def test_what_moves_is_said_whole_to_machines_and_in_short_to_people(tmp_path, capsys):
    path, names, _ = wide(tmp_path)
    words = (path, "--batch", "batch", "--target", "a", "--steps", 2, "--out", tmp_path / "out.csv")
    assert run(*words, "--json") == 0
    record = json.loads(capsys.readouterr().out)
    assert record["moved"] == names[:9]
    assert (record["left"], record["stayed"], record["identifiers"]) == ([], ["word"], ["age"])
    assert f"columns that move, as numbers: {', '.join(names[:9])}" in record["notes"]
    assert run(*words) == 0
    assert "move, as numbers: g0, g1, g2, g3, g4, g5 and 3 more, which --json lists" in capsys.readouterr().out


@pytest.mark.parametrize("leave", [("age", "g3"), ("age,g3",)])
def test_columns_that_are_left_come_back_to_the_letter(tmp_path, capsys, leave):
    path, names, rows = wide(tmp_path)
    out = tmp_path / "out.csv"
    words = (path, "--batch", "batch", "--target", "a", "--steps", 2, "--out", out, "--json", "--exclude")
    assert run(*words, *leave) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["left"] == ["g3", "age"]
    assert record["moved"] == [name for name in names[:9] if name != "g3"]
    found = list(csv.reader(out.open()))
    for at in (3, 9, 10, 11):
        assert [row[at] for row in found[1:]] == [row[at] for row in rows]
    moved = [[row[k] for k in range(9) if k != 3] for row in found[1:]]
    assert all(
        (row != [before[k] for k in range(9) if k != 3]) == (before[10] == "b") for row, before in zip(moved, rows)
    )
    assert run(*words, "agee") == 3
    assert "--exclude agee: no such column: did you mean age?" in capsys.readouterr().err


def test_columns_of_a_matrix_without_names_are_left_by_number(tmp_path, capsys):
    x, batch = numbers()
    source, out = tmp_path / "in.npz", tmp_path / "out.npz"
    np.savez(source, x=x, batch=batch)
    words = (source, "--batch", "batch", "--target", "gse1", "--steps", 3, "--out", out, "--json", "--exclude")
    assert run(*words, "1") == 0
    assert json.loads(capsys.readouterr().out)["left"] == ["1"]
    found = np.load(out)["x"]
    moves = batch == "gse2"
    assert found[:, 1].tobytes() == x[:, 1].tobytes()
    assert found[~moves].tobytes() == x[~moves].tobytes()
    assert (found[moves][:, [0, 2]] != x[moves][:, [0, 2]]).all()
    assert run(*words, "0", "1", "2") == 3
    assert "no column is left to move" in capsys.readouterr().err
