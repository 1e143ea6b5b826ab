"""From files to words: the column and the pair that differ are named first, in JSON, in the terminal and on pages."""

import csv
import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from commands.test_measuring import Normal
from report.runs import Page, make_run

from pushforward import cli
from pushforward.commands.measuring import measure_run
from pushforward.data import Batches, source
from pushforward.report import write_report
from pushforward.training.experiment import Experiment

NAMES = ("price", "carat", "age", "cut", "town")


def written(path: Path, seed: int, *, narrow: bool = False, shuffled: bool = False, filled: bool = False) -> str:
    """A table with numbers, empty cells of a number and of a category, and categories."""
    rng, n = np.random.default_rng(seed), 500
    price, age = rng.lognormal(3, 1, n), 40 + rng.normal(0, 4 if narrow else 10, n)
    carat = price**0.3 * rng.lognormal(0, 0.2, n)
    carat = rng.permutation(carat) if shuffled else carat
    empty = rng.random(n) < (0.01 if filled else 0.15)
    cut, town = (
        rng.choice(["Fair", "Good", "Ideal"], n, p=[0.2, 0.3, 0.5]),
        rng.choice(["a", "b", ""], n, p=[0.6, 0.3, 0.1]),
    )
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "wt", newline="") as out:
        rows = csv.writer(out)
        rows.writerow(NAMES)
        for k in range(n):
            cell = "" if empty[k] else f"{carat[k]:.4f}"
            rows.writerow([f"{price[k]:.2f}", cell, f"{age[k]:.1f}", cut[k], town[k]])
    return str(path)


def told(capsys, *words: str) -> str:
    with pytest.raises(SystemExit) as ended:
        cli.main(["evaluate", *words])
    assert ended.value.code == 0
    return capsys.readouterr().out


@pytest.mark.parametrize(
    ("fault", "kind", "name", "way"),
    [
        ("narrow", "columns", "age", "narrower: middle half"),
        ("filled", "columns", "carat", "empty in "),
        ("shuffled", "pairs", "price × carat", "rank correlation"),
    ],
)
def test_the_column_or_pair_at_fault_is_named_first(fault, kind, name, way, tmp_path, capsys):
    fake, real = written(tmp_path / "fake.csv.gz", 1, **{fault: True}), written(tmp_path / "real.csv", 0)
    asked = ["--fake", fake, "--real", real, "--metrics", "columns,pairs", "--permutations", "199"]
    found = json.loads(told(capsys, *asked, "--json"))["metrics"][kind]["rows"]
    assert (found[0].get("column") or f"{found[0]['first']} × {found[0]['second']}") == name
    assert [row["p_corrected"] < 0.05 for row in found].count(True) == 1
    words = told(capsys, *asked, "--page", str(tmp_path / "page.html")).splitlines()
    first = words.index(next(line for line in words if line.startswith(f"1 of {len(found)} {kind} differs")))
    assert words[first + 2].startswith(name)
    assert way in words[first + 2]
    page = Page(tmp_path / "page.html").text
    assert "Which column, in what way" in page
    assert page.index(way) > page.index("Which column, in what way")
    assert f"All {len(found)} {kind}" in page


def test_files_of_one_law_have_one_line_and_a_page_that_unfolds(tmp_path, capsys):
    asked = ["--fake", written(tmp_path / "fake.csv", 2), "--real", written(tmp_path / "real.csv", 0)]
    words = told(capsys, *asked, "--metrics", "columns,pairs", "--page", str(tmp_path / "page.html"))
    assert words.count("None of 5 columns and 10 pairs differs") == 1
    assert "None of 5 columns differs" in Page(tmp_path / "page.html").text


def test_a_run_on_a_table_names_its_columns(tmp_path):
    path = tmp_path / "made.csv"
    x = np.random.default_rng(0).normal(size=(600, 3)) ** [1, 1, 3]
    np.savetxt(path, x, delimiter=",", header="height,weight,cubed", comments="")
    data = source.load(str(path))
    folder = make_run(tmp_path / "run")
    measure_run(folder, "last", Experiment(Normal(3), Batches(data.train, 8), data, 1), 0)
    metrics = json.loads((folder / "metrics.json").read_text())["metrics"]
    assert metrics["columns"]["rows"][0]["column"] == "cubed"
    assert {row["column"] for row in metrics["columns"]["rows"]} == {"height", "weight", "cubed"}
    page = Page(write_report([folder])).text
    assert page.index("cubed") > page.index("Which column, in what way")


def test_rows_of_a_run_that_anybody_wrote_are_escaped(tmp_path):
    folder, nasty = make_run(tmp_path / "run"), "<script>alert(1)</script>"
    rows = [{"column": nasty, "way": nasty, "p_corrected": 0.001, "distance": 0.5, "floor": "x"}, 7, {}]
    (folder / "metrics.json").write_text(json.dumps({"metrics": {"columns": {"value": 1.0, "rows": rows}}}))
    written = write_report([folder]).read_text()
    assert "alert(1)" in written
    assert nasty not in written


def test_a_run_on_a_table_with_one_cell_of_a_billion_tells_a_shifted_column_and_no_other(tmp_path):
    class Shifted(Normal):
        """Standard normal in the data's widths, its first column moved by one of them."""

        def sample(self, n, rng, labels=None):
            x = np.random.default_rng(5).normal((shift, 0, 0), size=(n, 3))
            x[:, 1] = np.rint(10 * x[:, 1]) + 0.3  # the model knows nothing of whole numbers
            return data.encode(x)

    path, x = tmp_path / "made.csv", np.random.default_rng(0).normal(size=(800, 3))
    x[:, 1] = np.rint(10 * x[:, 1])
    x[0, 0] = 1e9
    np.savetxt(path, x, delimiter=",", header="height,steps,weight", comments="", fmt="%.10g")
    data = source.load(str(path))
    for shift in (0.0, 1.0):
        folder = make_run(tmp_path / f"run{shift}")
        found = measure_run(folder, "last", Experiment(Shifted(3), Batches(data.train, 8), data, 1), 0)
        assert found is not None
        told = [row["column"] for row in found.measures["columns"].rows if row["p_corrected"] < 0.05]
        assert told == (["height"] if shift else [])
        assert found["sliced_w2"].value < 2  # in widths that the one cell does not decide
