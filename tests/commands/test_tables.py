"""Samples leave as tables in the names and types that the data came in."""

import csv
import json
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from pushforward import cli
from pushforward.commands import tables


@pytest.mark.parametrize("ending", ["csv", "parquet", "CSV", "PARQUET"])
def test_samples_keep_names_and_whole_numbers(tmp_path, capsys, ending):
    rng = np.random.default_rng(0)
    ages, heights = rng.integers(0, 50, 60).tolist(), rng.normal(size=60).tolist()
    rows = "".join(f"{age},{height!r}\n" for age, height in zip(ages, heights, strict=True))
    (tmp_path / "x.csv").write_text("age,height\n" + rows)
    small = ["--steps", "2", "--particles", "20", "--batch", "5", "--width", "8", "--depth", "1", "--warmup", "1"]
    out = tmp_path / f"s.{ending}"
    run = str(tmp_path / "run")
    for words in (["train", "toy_particles", "--data", str(tmp_path / "x.csv"), *small, "--run", run],
                  ["sample", run, "-n", "7", "--out", str(out), "--json"]):  # fmt: skip
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            cli.main(words)
        assert not stop.value.code
    assert json.loads(capsys.readouterr().out)["notes"] == [
        "rounded, as the data hold whole numbers or truth values there: age"
    ]
    if ending.lower() == "csv":
        with out.open() as file:
            found = list(csv.DictReader(file))
        assert all(row["age"].lstrip("-").isdecimal() and "." in row["height"] for row in found)
    else:
        table = pytest.importorskip("pyarrow.parquet").read_table(out)
        assert [str(kind) for kind in table.schema.types] == ["int64", "double"]
        found = table.to_pylist()
    assert len(found) == 7
    assert list(found[0]) == ["age", "height"]


def test_classes_take_no_column_s_name_and_say_so():
    data = SimpleNamespace(columns=("label", "label_class"), kinds=("number", "number"), label=None)
    x = np.arange(6.0).reshape(3, 2)
    table, notes = tables.columns(x, cast(Any, data), np.array(["a", "b", "a"]))
    assert list(table) == ["label", "label_class", "label_class_class"]
    np.testing.assert_array_equal(np.stack([table["label"], table["label_class"]], 1), x)
    assert notes == ("the classes are in column label_class_class, as there is a column label",)
