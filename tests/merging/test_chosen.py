"""Which columns of a table move: what was measured, not what names rows or says an age; and gaps are named."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

from pushforward.cli import main
from pushforward.errors import DataError
from pushforward.merging.files import read

N = 60


def run(*words):
    with pytest.raises(SystemExit) as ended:
        main(["merge", *map(str, words)])
    return ended.value.code


def table(tmp_path, **columns):
    """A table of three genes, batches, and more columns."""
    rng = np.random.default_rng(0)
    genes = {f"g{k}": [f"{v:.3f}" for v in rng.normal(size=N) + 3 * (np.arange(N) % 2)] for k in range(3)}
    given = {**columns, **genes, "study": ["ab"[k % 2] for k in range(N)]}
    path = tmp_path / "t.csv"
    path.write_text("\n".join(map(",".join, [list(given), *zip(*(map(str, column) for column in given.values()))])))
    return path


@pytest.mark.parametrize("word", ["NA", "", "NaN", "null", ".", "nan", "N/A"])
@pytest.mark.parametrize("row", [0, 3, 55])
def test_a_missing_number_is_named_by_column_and_line_wherever_it_stands(word, row, tmp_path):
    x = [f"{k / 7:.3f}" for k in range(N)]
    x[row] = word
    path = table(tmp_path, gene=x)
    what = "is empty" if not word else f"is '{word}', a missing value"
    with pytest.raises(DataError) as caught:
        read(str(path), "study")
    said = str(caught.value)
    assert said.startswith(f"{path}: line {row + 2}, column 'gene' {what}: fill it, drop the row")
    assert said.endswith("--exclude gene")
    assert read(str(path), "study", exclude=["gene"]).names == ("g0", "g1", "g2")


def test_infinite_cells_are_named_too_and_columns_that_stay_may_have_gaps(tmp_path):
    with pytest.raises(DataError, match=r"line 4, column 'x' is 'inf', not a number"):
        read(str(table(tmp_path, x=["0.5", "1.5", "inf"] * 20)), "study")
    path = table(tmp_path, age=["NA", *(str(30 + k % 7) for k in range(N - 1))], grade=["1", "2", "NA"] * 20)
    assert read(str(path), "study").names == ("g0", "g1", "g2")


rng = np.random.default_rng(1)
IDENTIFIERS = {
    "patient": [str(k // 2) for k in range(N)],
    "sample_id": [str(v) for v in rng.permutation(N) + 7],
    "barcode": [str(v) for v in rng.integers(0, 10**9, N)],
    "number": [str(3 * k + 5) for k in range(N)],
    "counted": [str(k + 1) for k in range(N)],
    "series": [str(v) for v in 1001 + rng.permutation(N)],
}


@pytest.mark.parametrize("name", IDENTIFIERS)
@pytest.mark.parametrize("counts", [False, True])
def test_numbers_that_name_rows_stay_and_that_is_said(name, counts, tmp_path):
    more = {f"c{k}": rng.poisson(4, N).tolist() for k in range(5)} if counts else {}
    cells = read(str(table(tmp_path, **{name: IDENTIFIERS[name]}, **more)), "study")
    assert name not in cells.names
    assert cells.parts["identifiers"] == [name]
    assert f"whole numbers that name rows, which stay (--columns would move them): {name}" in cells.notes


def test_ages_and_codes_stay_among_measurements_and_counts_move_among_counts(tmp_path):
    aside = {"age": rng.integers(20, 60, N).tolist(), "score": rng.integers(0, 9, N).tolist()}
    cells = read(str(table(tmp_path, **aside)), "study")
    assert cells.names == ("g0", "g1", "g2")
    assert cells.parts["whole"] == ["age", "score"]
    counts = {f"c{k}": rng.poisson(4, N).tolist() for k in range(5)}
    cells = read(str(table(tmp_path, **aside, **counts)), "study")
    assert set(cells.names) == {"g0", "g1", "g2", "score", *counts}
    assert cells.parts["whole"] == ["age"]
    assert any(words.startswith("whole numbers in the file, fractions") for words in cells.notes)
    asked = read(str(table(tmp_path, **aside)), "study", columns=["age,g1"])
    assert asked.names == ("age", "g1")


def test_a_column_that_may_name_rows_is_refused_with_the_remedy(tmp_path):
    counts = {f"c{k}": rng.poisson(4, N).tolist() for k in range(5)}
    path = table(tmp_path, plate=rng.choice(np.arange(10_000, 99_999), N, replace=False).tolist(), **counts)
    with pytest.raises(DataError, match=r"column 'plate' holds whole numbers .* --exclude plate, or name all"):
        read(str(path), "study")
    assert "plate" not in read(str(path), "study", exclude=["plate"]).names


def test_columns_that_are_asked_for_move_and_no_others(tmp_path, capsys):
    path, out = (
        table(tmp_path, patient=IDENTIFIERS["patient"], age=[str(20 + k % 9) for k in range(N)]),
        tmp_path / "o.csv",
    )
    words = [path, "--batch", "study", "--target", "a", "--steps", 2, "--unmatched", "move", "--out", out, "--json"]
    assert run(*words, "--columns", "age", "g1") == 0
    record = json.loads(capsys.readouterr().out)
    assert record["moved"] == ["age", "g1"]
    before, after = (list(csv.DictReader(place.open())) for place in (path, out))
    for old, new in zip(before, after, strict=True):
        assert {name for name in old if old[name] != new[name]} == ({"age", "g1"} if old["study"] == "b" else set())
    assert run(*words, "--columns", "age", "--exclude", "age") == 2
    assert "--columns age: also named by --exclude" in capsys.readouterr().err
    assert run(*words, "--columns", "aeg") == 3
    assert "--columns aeg: no such column: did you mean age?" in capsys.readouterr().err
    assert run(*words, "--columns", "study") == 2


def test_columns_of_a_matrix_are_asked_for_by_number(tmp_path, capsys):
    batch = np.arange(N) % 2
    x = rng.normal(size=(N, 4)) + 3 * batch[:, None]
    np.savez(tmp_path / "t.npz", x=x, batch=batch)
    words = [tmp_path / "t.npz", "--batch", "batch", "--target", 0, "--steps", 2, "--unmatched", "move"]
    words += ["--out", tmp_path / "o.npz", "--json"]
    assert run(*words, "--columns", 0, 2) == 0
    record = json.loads(capsys.readouterr().out)
    assert (record["columns"], record["left"]) == (["0", "2"], ["1", "3"])
    found = np.load(tmp_path / "o.npz")["x"]
    assert found[:, [1, 3]].tobytes() == x[:, [1, 3]].tobytes()
    assert (found[batch == 1][:, [0, 2]] != x[batch == 1][:, [0, 2]]).all()
    assert run(*words, "--columns", 0, "--exclude", 0) == 2
    assert run(*words, "--columns", 4) == 3
