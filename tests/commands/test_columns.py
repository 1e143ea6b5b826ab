"""A wrong name of a column, an array or a layer is bad data in every command: one line, exit code 3, the right name."""

from __future__ import annotations

import json

import numpy as np
import pytest

from pushforward import cli

N = 60


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """One table in three formats, and a run of particles that learned its two columns of numbers."""
    base = tmp_path_factory.mktemp("columns")
    rng = np.random.default_rng(0)
    x = rng.normal(size=(N, 2)) + np.arange(N)[:, None] % 2
    study, kind = np.array(["A", "B"] * (N // 2)), np.array(["u", "u", "v", "v"] * (N // 4))
    rows = [f"s{k},{a},{b},{20 + k},{s},{c}" for k, ((a, b), s, c) in enumerate(zip(x, study, kind, strict=True))]
    (base / "t.csv").write_text("\n".join(["name,height,weight,age,study,kind", *rows]) + "\n")
    np.savez(base / "t.npz", points=x, study=study, kind=kind)
    anndata, pandas = pytest.importorskip("anndata"), pytest.importorskip("pandas")
    index = pandas.Index([f"c{k}" for k in range(N)], dtype=object)
    obs = {
        name: pandas.Categorical(values, categories=pandas.Index(sorted(set(values)), dtype=object))
        for name, values in (("study", study), ("kind", kind))
    }
    genes = pandas.DataFrame(index=pandas.Index(["g0", "g1"], dtype=object))
    cells = anndata.AnnData(x.astype(np.float32), obs=pandas.DataFrame(obs, index=index), var=genes)
    cells.layers["counts"] = cells.X.copy()
    cells.write_h5ad(base / "t.h5ad")
    words = ["train", "toy_particles", "--data", f"{base}/t.csv:height,weight", "--labels", "kind", "--conditional"]
    words += ["--steps", "3", "--particles", "20", "--batch", "20", "--width", "8", "--warmup", "1"]
    with pytest.raises(SystemExit) as stop:
        cli.main([*words, "--run", str(base / "run")])
    assert not stop.value.code
    return base


MERGE = ["--target", "A", "--steps", "2", "--out"]
WRONG = [
    (["train", "toy_vgrow", "--data", "t.csv:heigth,weight"], "height"),
    (["train", "toy_vgrow", "--data", "t.csv:height,weight", "--labels", "knid"], "kind"),
    (["train", "toy_vgrow", "--data", "t.npz:point"], "points"),
    (["train", "toy_vgrow", "--data", "t.npz:points", "--labels", "knid"], "kind"),
    (["train", "toy_vgrow", "--data", "t.h5ad:count"], "counts"),
    (["train", "toy_vgrow", "--data", "t.h5ad", "--labels", "knid"], "kind"),
    (["evaluate", "--fake", "t.csv:heigth", "--real", "t.csv:heigth"], "height"),
    (["evaluate", "--fake", "t.npz:point", "--real", "t.npz:points"], "points"),
    (["evaluate", "--fake", "t.h5ad:count", "--real", "t.h5ad"], "counts"),
    (["transport", "run", "t.csv:heigth,weight", "--labels", "u", "--out", "o.npz"], "height"),
    (["transport", "run", "t.csv:height,weight", "--labels", "knid", "--out", "o.npz"], "kind"),
    (["transport", "run", "t.npz:point", "--labels", "kind", "--out", "o.npz"], "points"),
    (["transport", "run", "t.npz:points", "--labels", "knid", "--out", "o.npz"], "kind"),
    (["merge", "t.csv", "--batch", "studdy", *MERGE, "o.csv"], "study"),
    (["merge", "t.csv", "--batch", "study", "--labels", "knid", *MERGE, "o.csv"], "kind"),
    (["merge", "t.npz:points", "--batch", "studdy", *MERGE, "o.npz"], "study"),
    (["merge", "t.npz:point", "--batch", "study", *MERGE, "o.npz"], "points"),
    (["merge", "t.h5ad", "--batch", "studdy", *MERGE, "o.h5ad"], "study"),
    (["merge", "t.h5ad", "--batch", "study", "--labels", "knid", *MERGE, "o.h5ad"], "kind"),
]


@pytest.mark.parametrize(("words", "right"), WRONG, ids=lambda value: " ".join(value[:5]) if value else "")
def test_a_wrong_column_is_bad_data_everywhere_and_the_right_is_named(words, right, folder, capsys, monkeypatch):
    monkeypatch.chdir(folder)
    with pytest.raises(SystemExit) as stop:
        cli.main(words)
    out, err = capsys.readouterr()
    assert (stop.value.code, out, err.count("\n")) == (3, "", 1), err
    assert "did you mean" in err
    assert right in err.partition("did you mean")[2].partition("?")[0]


def test_a_merge_says_what_moves_what_stays_and_what_was_whole_and_its_object_says_the_same(
    folder, capsys, monkeypatch
):
    monkeypatch.chdir(folder)
    words = ["merge", "t.csv", "--batch", "study", *MERGE, "moved.csv"]
    for more in ([], ["--json"]):
        with pytest.raises(SystemExit) as stop:
            cli.main([*words, *more])
        assert not stop.value.code
    out = capsys.readouterr().out.splitlines()
    notes = json.loads(out[-1])["notes"]
    assert notes == [line.removeprefix("note: ") for line in out[:-1] if line.startswith("note: ")]
    assert notes == [
        "columns that move, as numbers: height, weight",
        "columns that stay as in the file: name, kind",
        "whole numbers that name rows, which stay (--columns would move them): age",
    ]
    before, after = ((folder / name).read_text().splitlines() for name in ("t.csv", "moved.csv"))
    assert [line.split(",")[0] for line in before] == [line.split(",")[0] for line in after]
    assert before[1::2] == after[1::2]


def test_classes_of_cells_are_a_column_of_obs(folder):
    from pushforward.data import load

    cells, table = load(f"{folder}/t.h5ad", labels="kind"), load(f"{folder}/t.csv:height,weight", labels="kind")
    assert cells.classes == table.classes == ("u", "v")
    assert cells.train_labels is not None
    assert table.train_labels is not None
    assert cells.train_labels.tolist() == table.train_labels.tolist()
