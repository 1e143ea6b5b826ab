"""What `sample` writes, every command reads back, whatever the columns hold: from .csv and from .parquet."""

from __future__ import annotations

import csv
import json
import re

import numpy as np
import pytest

from pushforward import cli

N = 60
SMALL = ["--steps", "2", "--particles", "40", "--batch", "20", "--width", "8", "--depth", "1", "--warmup", "1"]
KINDS = {
    "height": r"-?\d+\.\d+(e-?\d+)?",
    "age": r"-?\d+",
    "flag": "True|False",
    "born": r"\d{4}-\d\d-\d\d",
    "seen": r"\d{4}-\d\d-\d\dT\d\d:\d\d",
    "left": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d",
    "fine": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}",
    "kind": "00|01",
}


def columns() -> dict[str, list]:
    rng = np.random.default_rng(0)
    ticks = rng.integers(0, 10**13, N).astype("datetime64[us]") + np.timedelta64(18_000, "D")
    return {
        "height": rng.normal(size=N).tolist(),
        "age": rng.integers(0, 90, N).tolist(),
        "flag": (rng.random(N) > 0.4).tolist(),
        "born": (18_000 + rng.integers(0, 900, N)).astype("datetime64[D]").tolist(),
        "seen": ticks.astype("datetime64[m]").tolist(),
        "left": ticks.astype("datetime64[s]").tolist(),
        "fine": ticks.tolist(),
        "kind": [f"0{k % 2}" for k in range(N)],
    }


def call(capsys, *words) -> dict:
    capsys.readouterr()
    with pytest.raises(SystemExit) as stop:
        cli.main([*map(str, words), "--json"])
    out, err = capsys.readouterr()
    assert not stop.value.code, err
    return json.loads(out.splitlines()[-1])


@pytest.fixture(scope="module", params=["csv", "parquet"])
def given(request, tmp_path_factory):
    """A table of every kind of column, and the run that learned it."""
    base = tmp_path_factory.mktemp("given")
    path = base / f"given.{request.param}"
    if request.param == "csv":
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(columns())
            writer.writerows(zip(*columns().values(), strict=True))
    else:
        pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
        parquet.write_table(pyarrow.table(columns()), path)
    words = ["train", "toy_particles", "--data", path, "--labels", "kind", "--conditional", "--run", base / "run"]
    with pytest.raises(SystemExit) as stop:
        cli.main([*map(str, words), *SMALL])
    assert not stop.value.code
    return base, path


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_every_kind_of_column_goes_out_as_it_came_and_is_read_by_every_command(given, ending, capsys, tmp_path):
    base, path = given
    out = tmp_path / f"s.{ending}"
    call(capsys, "sample", base / "run", "-n", 40, "--out", out)
    if ending == "csv":
        with out.open() as file:
            rows = list(csv.DictReader(file))
        assert list(rows[0]) == list(KINDS)
        for name, form in KINDS.items():
            assert all(re.fullmatch(form, row[name]) for row in rows), rows[0][name]
    else:
        schema = pytest.importorskip("pyarrow.parquet").read_schema(out)
        types = [str(kind).split("[")[0] for kind in schema.types]
        assert types == ["double", "int64", "bool", "date32", *["timestamp"] * 3, "string"]
    call(capsys, "evaluate", "--fake", out, "--real", path)
    moved = tmp_path / f"m.{ending}"
    call(capsys, "transport", base / "run", out, "--labels", "kind", "--out", moved)
    call(capsys, "evaluate", "--fake", moved, "--real", path)
    words = ["train", "toy_particles", "--data", out, "--labels", "kind", "--run", tmp_path / "again"]
    call(capsys, *words, *SMALL)
    first, second = (json.loads((run / "run.json").read_text())["data"] for run in (base / "run", tmp_path / "again"))
    assert [note for note in first["notes"] if "held out" not in note] == [
        "true and false are 1 and 0: flag",
        "dates are days since 1970-01-01: born (to the day), seen (to the minute), left (to the second), "
        "fine (to the microsecond)",
    ]
    assert second["notes"][-2:] == first["notes"][-2:]
    if ending == "csv":
        words = ["merge", out, "--batch", "kind", "--target", "00", "--steps", 2, "--out", tmp_path / "o.csv"]
        notes = call(capsys, *words)["notes"]
        assert any("stay as in the file: flag, born, seen, left, fine" in note for note in notes), notes


def test_whole_columns_without_names_are_read_back_with_every_row(capsys, tmp_path):
    rows = np.random.default_rng(0).integers(0, 50, (N, 2))
    np.savetxt(tmp_path / "x.csv", rows, fmt="%d", delimiter=",")
    run, out = tmp_path / "run", tmp_path / "s.csv"
    call(capsys, "train", "toy_particles", "--data", tmp_path / "x.csv", "--run", run, *SMALL)
    call(capsys, "sample", run, "-n", 30, "--out", out)
    from pushforward.data import read_array

    assert len(read_array(str(out))[0]) == 30


def test_columns_of_text_are_refused_by_name_with_remedies_that_work(capsys, tmp_path):
    lines = [f"{i * i % 7},{'low' if i % 3 else 'high'},{i % 5}" for i in range(N)]
    path = tmp_path / "x.csv"
    path.write_text("\n".join(["a,level,b", *lines]) + "\n")
    with pytest.raises(SystemExit) as stop:
        cli.main(["train", "toy_particles", "--data", str(path), "--run", str(tmp_path / "run"), *SMALL])
    err = capsys.readouterr().err
    assert stop.value.code == 3
    assert "column 'level' holds 2 different words" in err.replace("\n", " ")
    assert f"{path}:a,b" in err
    call(capsys, "train", "toy_particles", "--data", f"{path}:a,b", "--run", tmp_path / "one", *SMALL)
    call(capsys, "train", "toy_particles", "--data", path, "--labels", "level", "--run", tmp_path / "two", *SMALL)
