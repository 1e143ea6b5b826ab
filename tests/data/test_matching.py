"""New rows come to the columns of a data set by name, in any order, and nothing about it stays unsaid."""

import numpy as np
import pytest

from pushforward.data.matching import arranged
from pushforward.data.source import load, read_within
from pushforward.errors import DataError


@pytest.fixture
def known(tmp_path):
    x = np.random.default_rng(0).normal(size=(30, 3)) * [1, 10, 100]
    path = tmp_path / "known.csv"
    path.write_text("a,b,c\n" + "\n".join(",".join(map(repr, row)) for row in x.tolist()) + "\n")
    return load(str(path))


ROWS = [[1.5, 20.5, 300.5], [2.5, 30.5, 400.5]]


@pytest.mark.parametrize("order", ["cba", "bac", "abc"])
def test_columns_in_any_order_are_matched_by_name(known, tmp_path, order):
    path = tmp_path / "new.csv"
    at = ["abc".index(name) for name in order]
    lines = [",".join(order), *(",".join(str(row[j]) for j in at) for row in ROWS)]
    path.write_text("\n".join(lines) + "\n")
    read = read_within(str(path), known)[0]
    assert read.x.tolist() == ROWS
    assert bool(read.notes) == (order != "abc")
    assert all("matched by name" in note for note in read.notes)


def test_columns_that_the_run_does_not_have_are_left_out_and_named(known, tmp_path):
    path = tmp_path / "new.csv"
    path.write_text("id,a,word,b,c\n7,1.5,left,20.5,300.5\n")
    read = read_within(str(path), known)[0]
    assert read.x.tolist() == ROWS[:1]
    assert read.notes == ("left out, as the run has no such column: id, word",)
    path.write_text("a,b,c,kind\n1.5,20.5,300.5,x\n")
    read = read_within(str(path), known, "kind")[0]
    assert read.notes == ()
    assert read.labels is not None
    assert read.labels.tolist() == ["x"]


def test_a_missing_column_is_refused_by_its_name(known, tmp_path):
    path = tmp_path / "new.csv"
    path.write_text("a,B,c\n1.5,20.5,300.5\n")
    with pytest.raises(DataError, match=r"no column named b, which the run has.*columns are a, B, c"):
        read_within(str(path), known)[0]
    path.write_text("u,v,w\n1.5,20.5,300.5\n")
    read = read_within(f"{path}:u,v,w", known)[0]  # who names the columns says which is which
    assert read.x.tolist() == ROWS[:1]
    assert read.notes == ("columns taken for those of the run, as they were chosen: u as a, v as b, w as c",)
    path.write_text("a,v,c\n1.5,20.5,300.5\n")
    assert read_within(f"{path}:a,v,c", known)[0].notes == (
        "columns taken for those of the run, as they were chosen: v as b",
    )
    with pytest.raises(DataError, match="no column named b"):
        read_within(f"{path}:v,a,c", known)[0]  # a would be taken for b


def test_columns_without_names_are_taken_in_order_and_said(known, tmp_path):
    path = tmp_path / "new.csv"
    path.write_text("1.5,20.5,300.5\n")
    np.save(tmp_path / "two.npy", np.array(ROWS))
    np.save(tmp_path / "one.npy", np.array(ROWS[0]))
    for name, rows in (("new.csv", ROWS[:1]), ("two.npy", ROWS), ("one.npy", ROWS[:1])):
        read = read_within(str(tmp_path / name), known)[0]
        assert read.x.tolist() == rows
        assert len(read.notes) == 1
    assert "one point" in read.notes[0]


def test_parquet_is_matched_as_text_is(known, tmp_path):
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "new.parquet"
    parquet.write_table(pyarrow.table({"c": [300.5], "id": ["x"], "a": [1.5], "b": [20.5]}), path)
    assert read_within(str(path), known)[0].x.tolist() == ROWS[:1]


def test_who_names_an_index_gets_it_in_the_order_of_the_run(tmp_path):
    pandas, path = pytest.importorskip("pandas"), tmp_path / "x.parquet"
    pytest.importorskip("pyarrow")
    rows = np.random.default_rng(0).normal(size=(30, 2))
    index = pandas.Index(np.arange(30.0), name="patient")
    pandas.DataFrame(rows, columns=["a", "b"], index=index).to_parquet(path)
    known = ("patient", "a", "b")
    fresh, note = arranged(f"{path}:b,patient,a", known)
    assert fresh == f"{path}:patient,a,b"
    assert note.startswith("columns matched by name")
    assert load(fresh).columns == known
    assert arranged(f"{path}:patient,a,b", known) == (f"{path}:patient,a,b", "")
    fresh, note = arranged(str(path), known)
    assert load(fresh).columns == known
    assert note
    assert arranged(str(path), ("a", "b")) == (str(path), "")
    assert arranged(str(path), ("b", "a"))[0] == f"{path}:b,a"


def test_names_that_cannot_stand_behind_a_colon_are_left_to_the_reader(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("a,b:c\n1.5,2.5\n3.5,4.5\n")
    assert arranged(str(path), ("b:c", "a")) == (str(path), "")


@pytest.mark.parametrize("first", ["2024,2023,2022", "2023,2022,2024", "7,2022,2024,2023"])
def test_years_of_a_run_in_any_order_are_names_and_no_point(tmp_path, first):
    years, path = ("2022", "2023", "2024"), tmp_path / "new.csv"
    x = np.random.default_rng(0).normal(size=(30, 3))
    (tmp_path / "years.csv").write_text("\n".join([",".join(years), *(",".join(map(repr, row)) for row in x.tolist())]))
    data = load(str(tmp_path / "years.csv"))
    assert data.columns == years
    names = first.split(",")
    cells = {name: [f"{int(name)}", f"{int(name) + 1}"] for name in names}  # whole numbers, as in a row
    path.write_text("\n".join([first, *(",".join(cells[name][k] for name in names) for k in range(2))]) + "\n")
    read = read_within(str(path), data)[0]
    assert read.x.tolist() == [[2022, 2023, 2024], [2023, 2024, 2025]]
    assert any("taken for names: it has those that are asked for" in note for note in read.notes)
    spec, note = arranged(str(path), years)
    assert spec == f"{path}:2022,2023,2024"
    assert "2022, 2023, 2024" in note


def test_names_of_a_run_that_are_numbers_are_asked_for_in_its_own_order_too(tmp_path):
    path = tmp_path / "new.csv"
    path.write_text("2022,2023\n" + "2021,2024\n2024,2022\n" * 20)  # the first line could be a row
    spec, note = arranged(str(path), ("2022", "2023"))
    assert spec == f"{path}:2022,2023"
    assert note
    assert load(spec).split.n_train + load(spec).split.n_test == 40


def test_new_points_of_another_kind_than_the_run_are_said_to_be(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("day,a\n" + "".join(f"2024-01-{k:02},{k}.5\n" for k in range(1, 29)))
    data = load(str(path))
    new = tmp_path / "new.csv"
    new.write_text("day,a\n19884,1.5\n")
    np.save(tmp_path / "new.npy", [[19884.0, 1.5]])
    for name in ("new.csv", "new.npy"):
        notes = read_within(str(tmp_path / name), data)[0].notes
        assert "column day held dates, now numbers: taken for what the run holds" in notes
    new.write_text("day,a\n2024-02-01T12:30,1\n")  # a finer date and a whole number are values of the same kind
    assert not any("held" in note for note in read_within(str(new), data)[0].notes)
