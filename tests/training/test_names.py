"""Columns of a run are known by their names: data go on by name, and no name comes to stand over other numbers."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from pushforward import cli
from pushforward.data.formats.opening import columns
from pushforward.data.kept.card import read_card
from pushforward.data.kept.parts import Parts, exchanged, told
from pushforward.data.matching import arranged
from pushforward.data.raw import Raw
from pushforward.errors import shortened

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(60, 3)) * [1, 2, 3] + [0, 5, 9], RNG.integers(0, 2, 60)
CELLS = dict(zip("abc", X.T.tolist())) | {"y": Y.tolist(), "id": [f"p{k}" for k in range(60)]}


def call(capsys, *words: object) -> tuple[int, str]:
    capsys.readouterr()
    with pytest.raises(SystemExit) as stop:
        cli.main([str(word) for word in words])
    return int(stop.value.code or 0), capsys.readouterr().err


def table(path, names: str, cells: str = "") -> str:
    """A table with names over cells: those of the same name, or of others."""
    rows = zip(*(CELLS[cell] for cell in (cells or names).split(",")), strict=True)
    path.write_text(names + "\n" + "".join(",".join(map(str, row)) + "\n" for row in rows))
    return str(path)


@pytest.fixture(scope="module")
def began(tmp_path_factory):
    """A run on columns a, b, c with classes y, stopped after a step."""
    folder = tmp_path_factory.mktemp("began")
    words = [
        "--data",
        table(folder / "t.csv", "a,b,c,y"),
        "--labels",
        "y",
        "--conditional",
        "--steps",
        3,
        "--minutes",
        0,
    ]
    small = ["--particles", 20, "--batch", 20, "--width", 8, "--warmup", 1, "--run", folder / "run"]
    with pytest.raises(SystemExit) as stop:
        cli.main([str(word) for word in ["train", "toy_particles", *words, *small]])
    assert not stop.value.code
    return folder / "run"


@pytest.fixture
def run(began, tmp_path):
    return shutil.copytree(began, tmp_path / "run")


def resumed(capsys, run, data: object) -> tuple[int, str]:
    return call(capsys, "train", "toy_particles", "--run", run, "--resume", "--data", data, "--minutes", 0)


def known(run) -> tuple[str, ...]:
    return read_card(run)[0].columns


@pytest.mark.parametrize(
    ("names", "key", "said"),
    [
        ("y,c,b,a", "", "matched by name"),
        ("id,a,b,c,y", "", "the run has no such column: id"),
        ("c,id,y,b,a", "", "the run has no such column: id; columns matched by name"),
        ("a,b,c,y", ":b,a,c", "matched by name"),
        ("y,a,b,c", "", ""),
    ],
)
def test_the_same_columns_in_another_order_are_the_same_data(names, key, said, run, tmp_path, capsys):
    path = table(tmp_path / "new.csv", names)
    code, err = call(capsys, "evaluate", run, "--data", path + key, "--metrics", "mmd", "-n", 10)
    assert code == 0, err
    code, err = resumed(capsys, run, path + key)
    assert code == 0, err
    assert said in err
    assert "the data changed" not in err
    described = json.loads((run / "run.json").read_text())
    assert described["arguments"]["data"] == f"{path}:a,b,c" if said else path
    assert any(said in note for note in described["data"]["notes"]) or not said
    assert known(run) == ("a", "b", "c")
    code, err = call(capsys, "train", "toy_particles", "--run", run, "--resume", "--minutes", 0)
    assert code == 0, err  # what was written down is found again


def test_parquet_and_arrays_hold_the_same_data_as_text(run, tmp_path, capsys):
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    parquet.write_table(arrow.table({name: CELLS[name] for name in ("c", "id", "y", "a", "b")}), tmp_path / "t.parquet")
    np.savez(tmp_path / "t.npz", x=X, y=Y)
    for data in ("t.parquet", "t.npz:x"):
        code, err = resumed(capsys, run, tmp_path / data)
        assert code == 0, err
        assert "in the order of the run: a, b, c" in err
        assert "the data changed" not in err
        assert known(run) == ("a", "b", "c")


@pytest.mark.parametrize(
    ("names", "cells", "key"),
    [("b,a,c,y", "a,b,c,y", ""), ("b,a,c,y", "a,b,c,y", ":b,a,c"), ("b,c,a,y", "a,b,c,y", ""),
     ("b,z,c,y", "a,b,c,y", ""), ("y,c,b,a", "y,a,b,c", "")],
)  # fmt: skip
def test_known_names_over_other_numbers_are_refused_by_name(names, cells, key, run, tmp_path, capsys):
    path = table(tmp_path / "new.csv", names, cells)
    before = (run / "run.json").read_bytes()
    for words in (("train", "toy_particles", "--run", run, "--resume", "--data"), ("evaluate", run, "--data")):
        code, err = call(capsys, *words, path + key)
        assert (code, err.count("error:")) == (3, 1), err
        assert "put the names right, or start a new run" in err
        assert "--data" not in err
        moved = [(a, b) for a, b in zip(cells.split(","), names.split(",")) if a != b]
        assert all(f"column {a} is called {b}" in err or f"column {b} holds what column {a}" in err for a, b in moved)
    assert (run / "run.json").read_bytes() == before


def test_a_new_name_goes_on_and_is_the_name_from_then_on(run, tmp_path, capsys):
    path = table(tmp_path / "new.csv", "z,b,a,y", "c,b,a,y")
    code, err = resumed(capsys, run, path)
    assert code == 3
    remedy = f"{path}:a,b,z"
    assert f"in the order of the run, {remedy}" in err
    code, err = resumed(capsys, run, remedy)
    assert code == 0, err
    assert "column c is called z" in err
    assert known(run) == ("a", "b", "z")


def test_a_column_that_is_gone_is_named_and_no_place_is_asked_for_again(run, tmp_path, capsys):
    code, err = resumed(capsys, run, table(tmp_path / "new.csv", "a,b,y"))
    assert code == 3
    assert "column c gone" in err
    assert "--data" not in err


def test_a_spec_is_left_alone_where_names_cannot_say_it(tmp_path):
    path = table(tmp_path / "t.csv", "b,a,c,y")
    assert arranged(path, ("a", "b"), "y") == (
        f"{path}:a,b",
        "left out, as the run has no such column: c; columns matched by name, in the order of the run: a, b",
    )
    (tmp_path / "odd.csv").write_text('"b,1",a\n1,2\n')
    assert columns(tmp_path / "odd.csv") == ("b,1", "a")
    np.save(tmp_path / "x.npy", X)
    for spec, names in (
        (path, ("b", "a", "c")), (path, ("a", "q")), (path, ()), (path, ("0", "1", "2")), (f"{path}:u,v", ("a", "b")),
        (f"{tmp_path}/odd.csv", ("a", "b,1")), (f"{tmp_path}/x.npy", ("a", "b", "c")), ("toy:ring8", ("a", "b")),
        ("digits", ("a",)), (f"{tmp_path}/gone.csv", ("a", "b")),
    ):  # fmt: skip
        assert arranged(spec, names, "y") == (spec, "")


@pytest.mark.parametrize(
    ("text", "names"),
    [("a;b\n1;2\n", ("a", "b")), (",a\n0,1\n", ("a",)), ("1,2\n3,4\n", ()), ("\n\n# x\ty\n1\t2\n", ("x", "y")),
     ("2019,2020\n1.5,2.5\n", ("2019", "2020"))],
)  # fmt: skip
def test_names_are_those_that_the_reader_finds(text, names, tmp_path):
    from pushforward.data.formats.delimited import table as read

    path = tmp_path / "t.csv"
    path.write_text(text)
    assert columns(path) == names
    assert names in ((), read(path)[0].names)


def test_a_long_list_is_shortened_for_people_and_nothing_else_is():
    few, many = ", ".join("abcdefg"), ", ".join("abcdefgh")
    assert shortened(f"left: {few}") == f"left: {few}"
    assert shortened(f"C:1, of; {many}") == f"C:1, of; {many}"  # prose, as it has no colon
    assert shortened(f"C:1, of; left: {many}; in order: {few}") == (
        f"C:1, of; left: a, b, c, d, e, f and 2 more, which --json lists; in order: {few}"
    )


def test_an_exchange_is_no_alteration():
    def parts(names: str, x: np.ndarray = X) -> Parts:
        return Parts.of(Raw("x", "points", x, columns=tuple(names)))

    assert exchanged(parts("abc").columns, parts("bca").columns) == {"b": "a", "c": "b", "a": "c"}
    assert exchanged(parts("abc").columns, parts("abz").columns) == {}
    twice = X[:, [0, 0, 1]]
    assert exchanged(parts("abc", twice).columns, parts("bac", twice).columns) == {}
    assert told(parts("abc"), parts("abc", X[:, [1, 0, 2]])) == [
        "column a holds what column b held", "column b holds what column a held",
    ]  # fmt: skip


def test_columns_stay_of_the_kind_that_the_run_began_with(tmp_path, capsys):
    days = [f"2024-01-{1 + k % 28:02}" for k in range(60)]
    numbers = (np.array(days, "datetime64[D]") - np.datetime64("1970-01-01")).astype(int).tolist()
    old, new, run = tmp_path / "old.csv", tmp_path / "new.csv", tmp_path / "run"
    flags = [k % 3 == 0 for k in range(60)]
    old.write_text("a,flag,day\n" + "".join(f"{k}.5,{str(flags[k]).lower()},{days[k]}\n" for k in range(60)))
    new.write_text("a,flag,day\n" + "".join(f"{k}.5,{int(flags[k])},{numbers[k]}\n" for k in range(60)))
    small = ["--steps", 3, "--minutes", 0, "--particles", 20, "--batch", 20, "--width", 8, "--warmup", 1]
    assert call(capsys, "train", "toy_particles", "--data", old, "--run", run, *small)[0] == 0
    kinds = read_card(run)[0].kinds
    code, err = resumed(capsys, run, new)
    assert code == 0, err
    assert "column flag held truth values, now whole numbers, column day held dates, now whole numbers" in err
    assert read_card(run)[0].kinds == kinds == ("number", "truth", "day")
    assert any("column day held dates" in note for note in json.loads((run / "run.json").read_text())["data"]["notes"])
    code, err = resumed(capsys, run, old)
    assert code == 0, err
    assert "held dates" not in err
