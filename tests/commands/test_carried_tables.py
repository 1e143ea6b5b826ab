"""Carried points come back as the table that they came in: names, order and types, and all that did not move."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

from pushforward import cli

RNG = np.random.default_rng(0)
N = 40
CELLS = {
    "a": RNG.normal(size=N).tolist(),
    "n": RNG.integers(0, 30, N).tolist(),
    "kind": ["left", "right"] * (N // 2),
    "id": [f"00{k}" for k in range(N)],
    "day": [np.datetime64("2020-01-01").astype("M8[D]").item()] * N,
}


def call(capsys, *words: object) -> tuple[int, str, str]:
    capsys.readouterr()
    with pytest.raises(SystemExit) as stop:
        cli.main([str(word) for word in words])
    said = capsys.readouterr()
    return int(stop.value.code or 0), said.out, said.err


def text(path, *names: str):
    rows = zip(*(CELLS[name] for name in names), strict=True)
    path.write_text(",".join(names) + "\n" + "".join(",".join(map(str, row)) + "\n" for row in rows))
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    words = ["--data", text(folder / "t.csv", "a", "n", "kind"), "--labels", "kind", "--conditional", "--steps", 3]
    small = ["--particles", 20, "--batch", 20, "--width", 8, "--depth", 1, "--warmup", 1, "--minutes", 0]
    with pytest.raises(SystemExit) as stop:
        cli.main([str(word) for word in ["train", "toy_particles", *words, *small, "--run", folder / "run"]])
    assert not stop.value.code
    return folder / "run"


def carried(capsys, run, points, out, *more: object) -> list[str]:
    code, said, err = call(capsys, "transport", run, points, "--out", out, *more, "--json")
    assert code == 0, err
    return json.loads(said)["notes"]


def test_a_text_table_keeps_names_order_and_what_did_not_move(run, tmp_path, capsys):
    points = text(tmp_path / "p.csv", "id", "n", "day", "kind", "a")
    notes = carried(capsys, run, points, tmp_path / "o.csv", "--labels", "kind")
    carried(capsys, run, points, tmp_path / "o.npz", "--labels", "kind")
    assert "columns that stand as they stood: id, day, kind" in notes
    assert any(note.startswith("rounded") and note.endswith(": n") for note in notes)
    before, after = (list(csv.DictReader(path.open())) for path in (points, tmp_path / "o.csv"))
    assert list(before[0]) == list(after[0])
    assert [[row[name] for name in ("id", "day", "kind")] for row in before] == [
        [row[name] for name in ("id", "day", "kind")] for row in after
    ]
    with np.load(tmp_path / "o.npz") as found:
        assert [float(row["a"]) for row in after] == found["x"][:, 0].tolist()
        assert [int(row["n"]) for row in after] == np.rint(found["x"][:, 1]).tolist()


def test_parquet_keeps_its_types_and_text_gets_those_of_its_cells(run, tmp_path, capsys):
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    table = arrow.table({name: CELLS[name] for name in ("day", "n", "kind", "a", "id")})
    table = table.append_column("gap", arrow.array([None, *range(1, N)], arrow.int32()))
    parquet.write_table(table, tmp_path / "p.parquet")
    carried(capsys, run, tmp_path / "p.parquet", tmp_path / "o.parquet", "--labels", "kind")
    found = parquet.read_table(tmp_path / "o.parquet")
    assert found.schema.equals(table.schema)
    for name in ("day", "kind", "id", "gap"):
        assert found.column(name).equals(table.column(name))
    assert not found.column("a").equals(table.column("a"))
    carried(capsys, run, text(tmp_path / "p.csv", "n", "a", "kind", "id"), tmp_path / "t.parquet", "--labels", "kind")
    typed = parquet.read_table(tmp_path / "t.parquet")
    assert [str(kind) for kind in typed.schema.types] == ["int64", "double", "string", "string"]
    assert typed.column("id").to_pylist() == CELLS["id"]
    assert typed.column("a").equals(found.column("a"))


@pytest.mark.parametrize("big", [2**63 - 1, 2**63, 10**19, 10**400])
def test_identifiers_of_any_length_stand_as_they_stood(run, tmp_path, capsys, big):
    parquet = pytest.importorskip("pyarrow.parquet")
    cells = [str(big - k) if k % 2 else str(k - big) for k in range(N)]
    lines = [f"{a},{n},{cell}" for a, n, cell in zip(CELLS["a"], CELLS["n"], cells, strict=True)]
    (tmp_path / "p.csv").write_text("\n".join(["a,n,id", *lines]) + "\n")
    carried(capsys, run, tmp_path / "p.csv", tmp_path / "o.parquet", "--labels", "left")
    assert list(map(str, parquet.read_table(tmp_path / "o.parquet").column("id").to_pylist())) == cells


def test_an_archive_holds_numbers_as_the_table_does_and_says_so(run, tmp_path, capsys):
    points = text(tmp_path / "p.csv", "a", "n")
    said = carried(capsys, run, points, tmp_path / "o.csv", "--labels", "left")
    also = carried(capsys, run, points, tmp_path / "o.npz", "--labels", "left")
    assert also == [note for note in said if not note.startswith("columns that stand")]
    assert any(note.startswith("rounded") for note in also)
    rows = list(csv.DictReader((tmp_path / "o.csv").open()))
    with np.load(tmp_path / "o.npz") as found:
        assert found["x"].tolist() == [[float(row["a"]), float(row["n"])] for row in rows]


def test_classes_from_elsewhere_and_points_without_names_stand_under_names_of_the_run(run, tmp_path, capsys):
    carried(capsys, run, text(tmp_path / "p.csv", "a", "n"), tmp_path / "o.csv", "--labels", "left")
    rows = list(csv.DictReader((tmp_path / "o.csv").open()))
    assert list(rows[0]) == ["a", "n", "kind"]
    assert {row["kind"] for row in rows} == {"left"}
    carried(capsys, run, text(tmp_path / "q.csv", "kind", "a", "n"), tmp_path / "u.csv", "--labels", "left")
    again = list(csv.DictReader((tmp_path / "u.csv").open()))
    assert list(again[0]) == ["kind", "a", "n", "kind_class"]
    assert [row["kind"] for row in again] == CELLS["kind"]
    assert [row["a"] for row in again] == [row["a"] for row in rows]
    np.savez(tmp_path / "p.npz", x=np.array([CELLS["a"], CELLS["n"]]).T)
    carried(capsys, run, tmp_path / "p.npz", tmp_path / "v.csv", "--labels", "left")
    assert list(csv.DictReader((tmp_path / "v.csv").open())) == rows


def test_the_table_that_is_carried_is_not_written_over(run, tmp_path, capsys):
    points = text(tmp_path / "p.csv", "a", "n")
    before = points.read_bytes()
    code, _, err = call(capsys, "transport", run, points, "--out", points, "--labels", "left")
    assert (code, points.read_bytes()) == (2, before), err
