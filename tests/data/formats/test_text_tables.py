"""Tables as people have them: comments above, units below, an index, decimal commas, postal codes, dates."""

from pathlib import Path

import numpy as np
import pytest

from pushforward.data.blocks.limits import VARIABLE
from pushforward.data.blocks.scratch import mapped
from pushforward.data.compare.pairs import read_pair
from pushforward.data.formats import delimited
from pushforward.data.formats.opening import opened
from pushforward.data.matching import matched
from pushforward.data.source import load, read_array
from pushforward.errors import DataError
from pushforward.merging import files

RNG = np.random.default_rng(0)
X = np.round(RNG.normal(size=(40, 3)) * 100, 3)
LINES = [",".join(map(repr, row)) for row in X.tolist()]


def write(path, *lines: str, name: str = "t.csv") -> str:
    (path / name).write_text("\n".join(lines) + "\n")
    return str(path / name)


@pytest.mark.parametrize("times", [1, 6000])
@pytest.mark.parametrize("above", [["# made by me"], ["#", "# by me, on a, Monday", ""], ["# a;b"]])
def test_comments_above_a_table_are_left_out_and_said(tmp_path, above, times):
    path = write(tmp_path, *above, "a,b,c", *LINES * times)
    body = opened(tmp_path / "t.csv").body
    assert body.names == ("a", "b", "c")
    assert body.lines[0] == len(above) + 2
    np.testing.assert_array_equal(read_array(path)[0], np.tile(X, (times, 1)))
    assert "comments above the table" in load(path).notes[0]
    bare = write(tmp_path, *above, *LINES, name="bare.csv")
    assert len(read_array(bare)[0]) == 40
    assert files.read(write(tmp_path, *above, "batch,a", *(f"u{k % 2},{k}.5" for k in range(9))), "batch").names == (
        "a",
    )


def test_names_behind_a_comment_sign_are_names(tmp_path):
    np.savetxt(tmp_path / "t.csv", X, delimiter=",", header="a,b,c")
    data = load(str(tmp_path / "t.csv"))
    assert data.columns == ("a", "b", "c")
    assert data.notes == ()
    write(tmp_path, "# by me", "# a,b,c", *LINES)
    data = load(str(tmp_path / "t.csv"))
    assert data.columns == ("a", "b", "c")
    assert data.notes == ("comments above the table are left out: line 1",)


def test_a_line_of_units_is_named_as_such(tmp_path):
    path = write(tmp_path, "a,b,c", "[m],[s],[m/s]", *LINES)
    with pytest.raises(DataError, match=r"line 2, column 'a': '\[m\]' stands above numbers: delete this line"):
        load(path)


def test_decimal_commas_are_read_and_said_also_under_names_of_numbers(tmp_path):
    rows = [";".join(repr(x).replace(".", ",") for x in row) for row in X.tolist()]
    for names in ("a;b;c", "2019;2020;2021", "height;2020;2021"):
        path = write(tmp_path, names, *rows)
        data = load(path)
        assert data.columns == tuple(names.split(";"))
        np.testing.assert_array_equal(read_array(path)[0], X)
        assert f"decimal commas are read as points: {', '.join(data.columns)}" in data.notes
    bare = write(tmp_path, *rows)
    np.testing.assert_array_equal(read_array(bare)[0], X)
    with pytest.raises(DataError, match="decimals with a point"):
        files.read(write(tmp_path, "batch;a;b", *(f"u{k % 2};{k}.5;{k},5" for k in range(9))), "batch")


def test_commas_between_thousands_are_left_out_and_said(tmp_path):
    path = write(tmp_path, "a,b", *(f'"{x * 1e4:,.2f}",{y}' for x, y, _ in X.tolist()))
    assert load(path).notes == ("commas between thousands are left out: a",)
    np.testing.assert_allclose(read_array(path)[0], X[:, :2] * [1e4, 1], rtol=1e-9)


@pytest.mark.parametrize("times", [1, pytest.param(40_000, marks=pytest.mark.slow)])
def test_postal_codes_are_no_quantities_in_text_and_parquet(tmp_path, times, monkeypatch):
    codes = [f"{k:05d}" for k in range(40)]
    rows = [f"{code},{k}.5" for k, code in enumerate(codes)] * times
    path = write(tmp_path, "zip,a", *rows)
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pyarrow.table({"zip": codes, "a": X[:, 0]}), tmp_path / "t.parquet")
    for place in (path, str(tmp_path / "t.parquet")):
        with pytest.raises(DataError, match=r"'zip' holds numbers with leading zeros such as '00000'"):
            load(place)
        assert load(f"{place}:a").columns == ("a",)
    if times > 1:
        monkeypatch.setenv(VARIABLE, "16M")
        with pytest.raises(DataError, match=r"leading zeros|too many different words"):
            load(path)
    kinds = write(tmp_path, "a,b,kind", *(f"{k}.5,{k * k},0{k % 2}" for k in range(40)), name="k.csv")
    assert load(kinds, labels="kind").classes == ("00", "01")
    parts = files.read(write(tmp_path, "batch,zip,a", *(f"u{k % 2},0{k},{k}.5" for k in range(9))), "batch")
    assert parts.names == ("a",)


def test_text_of_parquet_that_holds_numbers_is_read_as_csv_reads_it(tmp_path):
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pyarrow.table({"a": list(map(repr, X[:, 0].tolist())), "b": X[:, 1]}), tmp_path / "t.parquet")
    data = load(str(tmp_path / "t.parquet"))
    assert data.kinds == ("number", "number")
    assert data.notes == ("columns of text that hold numbers: a",)


def test_an_index_is_left_out_unless_it_is_named(tmp_path):
    pandas, _ = pytest.importorskip("pandas"), pytest.importorskip("pyarrow")
    frame = pandas.DataFrame(X, columns=list("abc"), index=pandas.Index(RNG.permutation(40), name="patient"))
    path = tmp_path / "t.parquet"
    frame.to_parquet(path)
    data = load(str(path))
    assert data.columns == ("a", "b", "c")
    assert data.notes == ("the index that pandas stored is left out unless it is named: patient",)
    own = load(f"{path}:patient,a")
    assert own.columns == ("patient", "a")
    assert own.notes == ()
    new = matched(opened(path), own)  # a run that learned it finds it again
    assert new.body.chosen == ("patient", "a")
    assert read_pair(str(path), str(path)).names == ("a", "b", "c")
    frame.reset_index(drop=True).to_parquet(path)
    assert load(str(path)).notes == ()


def test_row_numbers_that_pandas_read_back_are_left_out(tmp_path):
    path = write(tmp_path, "Unnamed: 0,a,b,c", *(f"{k},{line}" for k, line in enumerate(LINES)))
    data = load(path)
    assert data.columns == ("a", "b", "c")
    assert data.notes == ("taken for row numbers and left out: Unnamed: 0",)


def test_a_first_line_of_dates_or_truth_values_is_a_row_above_others_and_names_above_numbers(tmp_path):
    days = [f"2024-01-{k:02d}" for k in range(1, 29)]
    assert len(read_array(write(tmp_path, *(f"{day},{k}.5" for k, day in enumerate(days))))[0]) == 28
    assert len(read_array(write(tmp_path, *["true,false", "false,true", "true,true"] * 4))[0]) == 12
    data = load(write(tmp_path, "2024-01-01,2024-02-01,2024-03-01", *LINES))
    assert data.columns == ("2024-01-01", "2024-02-01", "2024-03-01")
    assert load(write(tmp_path, "day,2019", *(f"{day},{k}.5" for k, day in enumerate(days)))).columns == ("day", "2019")


@pytest.mark.parametrize(
    ("kind", "what"),
    [("duration[s]", "holds a duration: save them as seconds"), ("time32[s]", "holds a time of day: save them as")],
)
def test_other_times_of_parquet_are_called_what_they_are(tmp_path, kind, what):
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    types = {"duration[s]": pyarrow.duration("s"), "time32[s]": pyarrow.time32("s")}
    parquet.write_table(
        pyarrow.table({"a": X[:, 0], "t": pyarrow.array(range(40), types[kind])}), tmp_path / "t.parquet"
    )
    with pytest.raises(DataError, match=what):
        load(str(tmp_path / "t.parquet"))


def test_dates_of_a_large_file_are_the_same_days(tmp_path, monkeypatch):
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    n = 60_000
    when = (1_600_000_000 + RNG.integers(0, 10**8, n)).astype("datetime64[s]")
    x = RNG.normal(size=n)
    parquet.write_table(pyarrow.table({"when": when, "x": x}), tmp_path / "t.parquet")
    rows = zip(np.datetime_as_string(when).tolist(), x.tolist(), strict=True)
    write(tmp_path, "when,x", *(f"{day},{value!r}" for day, value in rows))
    for name in ("t.parquet", "t.csv"):
        monkeypatch.delenv(VARIABLE, raising=False)
        whole = load(str(tmp_path / name))
        monkeypatch.setenv(VARIABLE, "1M" if name == "t.parquet" else "8M")
        large = load(str(tmp_path / name))
        assert large.kinds == whole.kinds == ("second", "number")
        assert large.split.sha256 == whole.split.sha256


def test_columns_that_both_have_are_given_as_a_spec_that_works(tmp_path):
    real = write(tmp_path, "a,b,word,c", *(f"{x!r},{y!r},w,{z!r}" for x, y, z in X.tolist()), name="real.csv")
    fake = write(tmp_path, "a,b,c", *LINES, name="fake.csv")
    with pytest.raises(DataError, match="or choose columns that both have: ") as refused:
        read_pair(fake, real)
    assert read_pair(fake, str(refused.value).rpartition("both have: ")[2]).names == ("a", "b", "c")


@pytest.mark.parametrize("sign", ["\u0085", "\u2028", "\x0c", "\x1c"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_end_where_csv_ends_them_and_nowhere_else(tmp_path, sign, end):
    path = tmp_path / "t.csv"
    path.write_text(end.join([f"# by me{sign}today", "# twice", f"a{sign}b,c", "1,2", "3,x", "5,6", ""]), newline="")
    table, notes = delimited.table(path)
    assert table.names == (f"a{sign}b", "c")
    assert list(table.lines) == [4, 5, 6]
    assert notes == ("comments above the table are left out: lines 1 to 2",)
    assert delimited.names(path) == table.names


def test_messages_name_the_line_that_names_stand_in(tmp_path, monkeypatch):
    above = ["# one", "# two", ""]
    with pytest.raises(DataError, match="names in line 4 but no rows"):
        load(write(tmp_path, *above, "a,b"))
    with pytest.raises(DataError, match="names in line 4: add some"):
        files.read(write(tmp_path, *above, "batch,a"), "batch")
    with pytest.raises(DataError, match="line 4 names the column 'a' twice"):
        load(write(tmp_path, *above, "a,a", "1,2", "3,4"))
    assert "line 4, 2019,2020, is taken for names" in " ".join(
        opened(Path(write(tmp_path, *above, "2019,2020", "1.5,2.5", "3.5,4.5"))).notes
    )
    path = Path(write(tmp_path, *above, ",".join(f"a{k}" for k in range(40))))
    monkeypatch.setenv(VARIABLE, "500")
    with pytest.raises(DataError, match="names in line 4 but no rows"):
        opened(path, room=mapped)


@pytest.mark.parametrize("budget", [None, "500"])
@pytest.mark.parametrize("mark", [",", ";"])
def test_lines_of_empty_cells_are_not_called_missing(tmp_path, monkeypatch, mark, budget):
    path = Path(write(tmp_path, mark.join("abcd"), *[3 * mark] * 100))
    if budget:
        monkeypatch.setenv(VARIABLE, budget)
    with pytest.raises(DataError, match="the 100 lines below the names in line 1 have empty cells only"):
        opened(path, room=mapped)


@pytest.mark.parametrize("first", [10**17, 2**63 - 2, 10**19])
def test_classes_of_any_length_are_told_apart(tmp_path, first):
    lines = [f"{k % 7}.5,{first + k % 2}" for k in range(40)]
    data = load(write(tmp_path, "a,id", *lines), labels="id")
    assert data.classes == (str(first), str(first + 1))


def test_bars_between_cells_and_the_line_that_tells_excel_of_them_are_read(tmp_path):
    rows = [",".join(map(repr, row)) for row in X.tolist()]
    np.testing.assert_array_equal(read_array(write(tmp_path, "a|b|c", *(row.replace(",", "|") for row in rows)))[0], X)
    told = write(tmp_path, "sep=;", "a;b;c", *(row.replace(",", ";") for row in rows))
    np.testing.assert_array_equal(read_array(told)[0], X)
    assert "line 1, which says that ';' stands between cells, is left out" in load(told).notes


@pytest.mark.parametrize("header", ["", "a b c"])
def test_spaces_between_cells_are_refused_by_name(tmp_path, header):
    np.savetxt(tmp_path / "x.txt", X, header=header)
    with pytest.raises(DataError, match=r"spaces stand between the cells.*delimiter=','"):
        load(str(tmp_path / "x.txt"))


def test_a_comment_below_a_table_is_called_one(tmp_path):
    with pytest.raises(DataError, match="line 4 is a comment below the table: remove it"):
        load(write(tmp_path, "a,b", "1,2", "3,4", "# total 300"))


@pytest.mark.parametrize(
    ("cell", "what"),
    [
        ("{}.1%", "percent sign such as '1.1%': write the numbers alone"),
        ("{}'25.73", 'between thousands such as "1\'25.73"'),
        ("{} 12,73", "between thousands such as '1 12,73'"),
        ("{}_126", "between thousands such as '1_126'"),
        ("\N{MINUS SIGN}{}.5", "minus sign U\\+2212 such as .*: write the minus as -"),
    ],
)
def test_signs_in_numbers_are_shown_with_what_to_do(tmp_path, cell, what):
    path = write(tmp_path, "a;b", *(f"{cell.format(k)};{k}.5" for k in range(1, 10)))
    with pytest.raises(DataError, match=what):
        load(path)


@pytest.mark.parametrize("mark", ["'", "\N{RIGHT SINGLE QUOTATION MARK}", " ", "\u00a0", "\u202f", "\u2009"])
@pytest.mark.parametrize("point", [".", ",", ""])
@pytest.mark.parametrize("cells", [";", "\t"])
def test_marks_between_thousands_are_left_out_and_said(tmp_path, mark, point, cells):
    what = "spaces" if mark.isspace() else "apostrophes"
    fraction = f"{point}25" if point else ""
    path = write(tmp_path, f"a{cells}b", *(f"{k}{mark}125{fraction}{cells}{k}" for k in range(1, 21)))
    np.testing.assert_array_equal(read_array(path)[0][:, 0], np.arange(1125.0, 21125, 1000) + (0.25 if point else 0))
    said = f"{what} between thousands are left out{', decimal commas are read as points' if point == ',' else ''}: a"
    assert said in load(path).notes


def test_codes_with_zeros_in_front_are_names_whatever_stands_between_their_digits(tmp_path):
    for code in ("0{:02d},0{:02d}", "0{:02d} 1{:02d}"):
        path = write(tmp_path, "a;b", *(f"{code.format(k, k)};{k}" for k in range(20)))
        with pytest.raises(DataError, match="choose columns"):
            load(path)


def test_digits_that_float64_does_not_hold_are_said_to_be_lost(tmp_path):
    notes = load(write(tmp_path, "id,a", *(f"{2**61 + k * 2**40 + 1},{k}" for k in range(20)))).notes
    assert "whole numbers beyond 2^53 lose their last digits: id" in notes
