"""Laws of tables: columns are matched by name, words become categories 1 apart, and nothing is dropped in silence."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from pushforward.data import as_pair, read_pair
from pushforward.data.compare.mixed import encoded
from pushforward.errors import DataError

RNG = np.random.default_rng(0)
N = 200
AGE = RNG.integers(18, 90, N)
PAY = RNG.lognormal(8, 1, N)
TOWN = RNG.choice(["bath", "york", "ely"], N)
MEMBER = RNG.random(N) < 0.3


def csv(path: Path, mark: str = ",", **columns) -> str:
    """Write a table; its name."""
    rows = [mark.join(map(str, row)) for row in zip(*columns.values(), strict=True)]
    path.write_text("\n".join([mark.join(columns), *rows]) + "\n")
    return str(path)


def real(tmp_path: Path) -> str:
    return csv(tmp_path / "real.csv", age=AGE, pay=PAY, town=TOWN, member=MEMBER)


class Frame:
    """As much of a data frame as is asked for: columns, dtypes, len and one column by its name."""

    def __init__(self, **columns) -> None:
        self.columns, self.dtypes, self._data = list(columns), [], columns

    def __len__(self) -> int:
        return len(self._data[self.columns[0]])

    def __getitem__(self, name: str):
        return self._data[name]


def test_two_different_categories_are_one_apart_and_equal_ones_none(tmp_path):
    pair = read_pair(real(tmp_path), f"{real(tmp_path)}:town")
    assert pair.names == ("town=bath", "town=ely", "town=york")
    distance = torch.cdist(pair.real, pair.real)
    same = torch.from_numpy(TOWN[:, None] == TOWN)
    torch.testing.assert_close(distance, (~same).double(), atol=1e-6, rtol=0)


def test_numbers_stay_as_they_are_and_booleans_are_numbers(tmp_path):
    pair = read_pair(real(tmp_path), real(tmp_path))
    assert pair.names == ("age", "pay", "town=bath", "town=ely", "town=york", "member")
    assert pair.fake.dtype == torch.float64
    np.testing.assert_array_equal(pair.real[:, :2], np.c_[AGE, PAY])
    np.testing.assert_array_equal(pair.real[:, 5], MEMBER)
    assert pair.table
    assert "column town: 3 categories, any two of them 1 apart" in pair.notes


def test_a_column_that_is_constant_in_real_is_spoken_of(tmp_path):
    fake = csv(tmp_path / "fake.csv", k=[3, 3, 5, 5], a=[1, 2, 3, 4])
    constant = read_pair(fake, csv(tmp_path / "k.csv", k=[3, 3, 3], a=[1, 2, 6]))
    assert "column k is constant in real (3); 2 of 4 fake rows differ" in constant.notes


def test_columns_are_matched_by_name_in_the_order_of_real(tmp_path):
    fake = csv(tmp_path / "fake.csv", ";", town=TOWN, extra=AGE, member=MEMBER, pay=PAY, age=AGE)
    pair = read_pair(fake, real(tmp_path))
    assert torch.equal(pair.fake, pair.real)
    assert "fake: 1 column that real has not, left out: extra" in pair.notes
    assert "fake: columns brought into the order of real by their names" in pair.notes


def test_a_permutation_of_the_columns_of_fake_changes_nothing(tmp_path):
    columns = {"a": RNG.normal(size=20), "b": RNG.normal(size=20), "c": RNG.choice(["x", "y"], 20)}
    other = csv(tmp_path / "r.csv", **columns)
    one = read_pair(csv(tmp_path / "f.csv", **columns), other)
    two = read_pair(csv(tmp_path / "g.csv", **dict(reversed(columns.items()))), other)
    assert torch.equal(one.fake, two.fake)


def test_chosen_columns_are_compared_and_the_rest_left_out(tmp_path):
    pair = read_pair(real(tmp_path), f"{real(tmp_path)}:pay,age")
    assert pair.names == ("pay", "age")
    assert torch.equal(pair.fake, pair.real)


def test_levels_that_real_never_has_are_levels_like_the_others(tmp_path):
    towns = TOWN.copy()
    towns[:7], towns[7:10] = "rome", "oslo"
    fake = csv(tmp_path / "fake.csv", age=AGE, pay=PAY, town=towns, member=MEMBER)
    pair = read_pair(fake, real(tmp_path))
    rome, oslo = pair.names.index("town=rome"), pair.names.index("town=oslo")
    np.testing.assert_allclose(pair.fake[:, rome], (np.arange(N) < 7) * math.sqrt(0.5))
    assert not pair.real[:, [rome, oslo]].any()
    note = "column town: 10 of 200 fake rows (5.0 %) hold 2 values that real never has, 'rome', 'oslo'"
    assert note in pair.notes
    hot = [j for j, name in enumerate(pair.names) if name.startswith("town=")]
    between = torch.cdist(pair.fake[:1, hot], torch.cat([pair.real[:1, hot], pair.fake[7:8, hot]]))
    torch.testing.assert_close(between, torch.ones(1, 2, dtype=torch.float64))


@pytest.mark.parametrize("strange", [0, 5000])
def test_the_code_of_a_word_does_not_depend_on_the_set_that_its_row_is_in(strange):
    rng = np.random.default_rng(0)
    common = [f"w{k}" for k in rng.integers(90, size=4000)]
    fake, data = common[:2000] + [f"x{k}" for k in rng.integers(strange, size=min(strange, 2000))], common[2000:]
    hot, names, _ = encoded({"fake": fake, "real": data}, "kind")
    swap = 500  # of these rows the labels change
    other = {"fake": data[:swap] + fake[swap:], "real": fake[:swap] + data[swap:]}
    again, same, _ = encoded(other, "kind")
    assert names == same
    assert len(names) == (301 if strange else 90)
    np.testing.assert_array_equal(again["real"][:swap], hot["fake"][:swap])
    np.testing.assert_array_equal(again["fake"][:swap], hot["real"][:swap])
    np.testing.assert_array_equal(again["fake"][swap:], hot["fake"][swap:])


@pytest.mark.parametrize("levels", [40, 95])
def test_rare_words_of_one_law_do_not_tell_two_samples_apart(levels):
    from pushforward.metrics import mmd

    values = []
    for seed in range(120):
        rng = np.random.default_rng(seed)
        words = {role: [f"w{k}" for k in rng.integers(levels, size=80)] for role in ("fake", "real")}
        hot, _, _ = encoded(words, "kind")
        fake, data = (torch.from_numpy(hot[role]) for role in ("fake", "real"))
        values.append(mmd(fake, data, permutations=19, seed=seed).p)
    assert sum(value <= 0.05 for value in values) <= 13  # of Binomial(120, 1/20) more than this has chance 0.002


def test_levels_of_a_second_sample_of_the_data_are_known():
    words = {"fake": ["a", "c"], "real": ["a", "b", "a"], "train": ["c", "a", "a"]}
    hot, names, notes = encoded(words, "kind")
    assert names == ("kind=a", "kind=b", "kind=c")
    assert hot["fake"].argmax(1).tolist() == [0, 2]
    assert len(notes) == 1


def test_words_that_may_stand_for_an_empty_cell_are_named(tmp_path):
    words = csv(tmp_path / "t.csv", a=range(20), kind=["NA", "pool"] * 10)
    assert any("'NA' counts as a category" in note for note in read_pair(words, words).notes)


@pytest.mark.parametrize("form", ["csv", "tabs", "parquet", "frame"])
def test_a_table_is_the_same_from_every_format(form, tmp_path):
    columns = {"age": AGE, "pay": PAY, "town": TOWN, "member": MEMBER}
    if form == "frame":
        pair = as_pair(Frame(**columns), Frame(**columns))
    elif form == "parquet":
        pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
        parquet.write_table(pyarrow.table(columns), tmp_path / "x.parquet")
        pair = read_pair(str(tmp_path / "x.parquet"), str(tmp_path / "x.parquet"))
    else:
        name = csv(tmp_path / "x.tsv", "\t" if form == "tabs" else ",", **columns)
        pair = read_pair(name, name)
    expected = read_pair(real(tmp_path), real(tmp_path))
    assert pair.names == expected.names
    assert torch.equal(pair.fake, expected.fake)


def test_a_data_frame_of_pandas_is_read_with_its_own_types():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({
        "n": pandas.array([1, 2, 3], dtype="Int64"),
        "kind": pandas.Categorical(["x", "y", "x"]),
        "flag": [True, False, True],
    })  # fmt: skip
    pair = as_pair(frame, frame)
    assert pair.names == ("n", "kind=x", "kind=y", "flag")
    np.testing.assert_allclose(pair.real, [[1, 0.5**0.5, 0, 1], [2, 0, 0.5**0.5, 0], [3, 0.5**0.5, 0, 1]])
    holes = frame.assign(n=pandas.array([1, None, 3], dtype="Int64"), kind=["x", None, "y"])
    pair = as_pair(holes, frame)
    assert pair.names == ("n", "kind=(missing)", "kind=x", "kind=y", "flag", "n missing")
    np.testing.assert_allclose(pair.fake[1], [2, 0.5**0.5, 0, 0, 0, 0.5**0.5])
    assert not pair.real[:, [1, 5]].any()
    dated = frame.assign(n=pandas.to_datetime(["2020-01-01 00:00", "2020-01-02 00:00", "2020-01-03 12:00"]))
    pair = as_pair(dated, dated)
    np.testing.assert_allclose(pair.real[:, 0], [18262, 18263, 18264.5], rtol=1e-15)
    assert "real: dates are days since 1970-01-01: n (to the minute)" in pair.notes
    with pytest.raises(DataError, match="column 'n' holds durations"):
        as_pair(frame.assign(n=pandas.to_timedelta(["1d"] * 3)), frame)


def test_integer_columns_round_the_fakes(tmp_path):
    fake = csv(tmp_path / "fake.csv", age=AGE + 0.2, pay=PAY, town=TOWN, member=MEMBER)
    pair = read_pair(fake, real(tmp_path))
    assert torch.equal(pair.fake, pair.real)
    assert "column age: rounded to whole numbers (real holds only these); 100 % of fake values moved" in pair.notes
    raw = read_pair(fake, real(tmp_path), rounded=False)
    np.testing.assert_array_equal(raw.fake[:, 0], AGE + 0.2)


def test_whole_numbers_in_fake_alone_get_a_warning(tmp_path):
    fake = csv(tmp_path / "fake.csv", age=AGE, pay=np.rint(PAY), town=TOWN, member=MEMBER)
    (found,) = read_pair(fake, real(tmp_path)).findings
    assert (found.name, found.against) == ("form", False)
    assert found.words.startswith("column pay: fake holds whole")


def test_a_table_without_names_is_matched_by_position(tmp_path):
    (tmp_path / "bare.csv").write_text("".join(f"{a},{p}\n" for a, p in zip(AGE, PAY, strict=True)))
    pair = read_pair(str(tmp_path / "bare.csv"), f"{real(tmp_path)}:age,pay")
    assert torch.equal(pair.fake, pair.real)
    assert any("matched with those of real by position" in note for note in pair.notes)
    np.save(tmp_path / "bare.npy", np.c_[AGE, PAY])
    assert torch.equal(read_pair(str(tmp_path / "bare.npy"), f"{real(tmp_path)}:age,pay").fake, pair.fake)


def test_a_long_file_of_numbers_is_read_the_same_by_either_way(tmp_path, monkeypatch):
    from pushforward.data.formats import delimited

    x = RNG.normal(size=(500, 3))
    np.savetxt(tmp_path / "x.csv", x, delimiter=",", header="a,b,c", comments="", fmt="%.17g")
    slow = delimited.table(tmp_path / "x.csv")[0]
    monkeypatch.setattr(delimited, "LONG", 0)
    fast = delimited.table(tmp_path / "x.csv")[0]
    assert isinstance(fast.columns[0], np.ndarray)
    assert fast.names == slow.names == ("a", "b", "c")
    assert list(fast.lines) == list(slow.lines)
    np.testing.assert_array_equal(np.stack(fast.columns, 1), x)
    np.testing.assert_array_equal(np.array(slow.columns, np.float64).T, x)
    (tmp_path / "y.csv").write_text("a,b\n" + "1,2\n" * 300 + "1,inf\n")
    with pytest.raises(DataError, match="line 302, column 'b' is inf"):
        read_pair(str(tmp_path / "y.csv"), str(tmp_path / "y.csv"))
