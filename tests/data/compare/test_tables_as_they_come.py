"""Tables as programs save them are compared for what they hold, not for how it was written down."""

import gzip
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from pushforward import evaluate
from pushforward.data import as_pair, load, read_pair
from pushforward.data.columns.storage import above
from pushforward.data.compare.pairs import mixed_pair
from pushforward.errors import DataError

pandas = pytest.importorskip("pandas")
N = 120


def table(seed: int, n: int = N):
    """Of every kind a column."""
    rng = np.random.default_rng(seed)
    return pandas.DataFrame({
        "x": rng.normal(size=n),
        "price": rng.normal(20, 3, n).round(1),
        "rate": np.full(n, 0.1),
        "count": rng.poisson(4, n),
        "flag": rng.random(n) < 0.3,
        "day": pandas.Timestamp("2024-01-01") + pandas.to_timedelta(rng.integers(0, 300, n), "D"),
        "kind": rng.choice(["a", "b", "c"], n),
    })  # fmt: skip


def saved(data, path: Path, **how) -> str:
    """A table in a file."""
    if path.suffix == ".parquet":
        data.to_parquet(path, index=False)
    else:
        data.to_csv(path, index=False, **how)
    return str(path)


def numbers(report) -> dict[str, tuple[float, float | None]]:
    """Value and p of every measure, by the short name of the metric."""
    found = report.as_dict()["metrics"]
    return {name.partition("@")[0]: (one["value"], one.get("p")) for name, one in found.items()}


STORED = {
    "frame": lambda t, p: t,
    "csv": lambda t, p: saved(t, p / "x.csv"),
    "gz": lambda t, p: saved(t, p / "x.csv.gz"),
    "xz": lambda t, p: saved(t, p / "x.tsv.xz", sep="\t"),
    "semicolons": lambda t, p: saved(t, p / "x.csv", sep=";", decimal=","),
    "parquet": lambda t, p: saved(t, p / "x.parquet"),
    "categorical": lambda t, p: saved(t.astype({"kind": "category"}), p / "x.parquet"),
    "nullable": lambda t, p: saved(t.astype({"count": "Int64", "flag": "boolean"}), p / "x.parquet"),
    "other order": lambda t, p: saved(t[t.columns[::-1]], p / "x.csv"),
    "index": lambda t, p: str(t.to_csv(p / "x.csv") or p / "x.csv"),
    "index again": lambda t, p: saved(t.reset_index(), p / "x.csv"),
    "unnamed": lambda t, p: saved(t.reset_index().rename(columns={"index": "Unnamed: 0"}), p / "x.csv"),
    "keys": lambda t, p: saved(t.assign(patient_id=np.random.default_rng(5).permutation(len(t))), p / "x.csv"),
    "single precision": lambda t, p: saved(t.astype({"price": "f4", "rate": "f4"}), p / "x.parquet"),
}


@pytest.mark.parametrize("form", STORED)
def test_another_storage_gives_the_same_numbers_to_the_last_digit(form, tmp_path):
    real, fake = table(0), table(1)
    expected = read_pair(saved(fake, tmp_path / "q.csv"), saved(real, tmp_path / "p.csv"))
    for way in ("fake", "real"):
        sets = {"fake": tmp_path / "q.csv", "real": tmp_path / "p.csv"}
        other = STORED[form]({"fake": fake, "real": real}[way], tmp_path)
        if form == "frame":
            pair = as_pair(fake, real)
        else:
            pair = read_pair(**{role: str(path) for role, path in (sets | {way: Path(other)}).items()})
        assert sorted(pair.names) == sorted(expected.names)
        order = [pair.names.index(name) for name in expected.names]
        assert torch.equal(pair.fake[:, order], expected.fake)
        assert torch.equal(pair.real[:, order], expected.real)
        assert pair.findings == expected.findings == ()


@pytest.mark.parametrize("form", ["gz", "single precision", "index again", "other order"])
def test_the_verdict_is_the_same_too(form, tmp_path):
    real, fake = table(0), table(1)
    names = [saved(fake, tmp_path / "q.csv"), saved(real, tmp_path / "p.csv")]
    expected = evaluate(*names, permutations=199)
    found = evaluate(STORED[form](fake, tmp_path), names[1], permutations=199)
    assert numbers(found) == numbers(expected)
    assert found.verdict == expected.verdict
    assert found.verdict.startswith("Not told apart")


@pytest.mark.parametrize("first", ["places", "years"])
def test_a_line_of_numbers_above_300_columns_is_no_row(first, tmp_path):
    rng = np.random.default_rng(0)
    names = range(300) if first == "places" else range(1700, 2000)
    x, y = rng.normal(size=(2, 60, 300))
    files = [saved(pandas.DataFrame(z, columns=names), tmp_path / f"{k}.csv") for k, z in enumerate((x, y))]
    pair = read_pair(*files)
    assert pair.fake.shape == (60, 300)
    assert pair.names == tuple(map(str, names))
    array = evaluate(x, y, features="raw", metrics="fd")
    found = evaluate(*files, features="raw", metrics="fd")
    assert numbers(found)["FD"][0] == pytest.approx(numbers(array)["FD"][0])


def test_a_run_of_numbers_above_whole_numbers_is_no_row_either(tmp_path):
    rng = np.random.default_rng(0)
    counts = pandas.DataFrame(rng.poisson(3, (40, 12)))
    assert read_pair(saved(counts, tmp_path / "a.csv"), saved(counts, tmp_path / "b.csv")).fake.shape == (40, 12)
    years = pandas.DataFrame(rng.poisson(3, (40, 3)), columns=[2021, 2019, 2020])
    pair = read_pair(saved(years[[2019, 2020, 2021]], tmp_path / "c.csv"), saved(years, tmp_path / "d.csv"))
    assert pair.names == ("2021", "2019", "2020")
    assert torch.equal(pair.fake, pair.real)


def test_a_series_whose_rows_go_on_has_no_names(tmp_path):
    steps = np.arange(40)[:, None] + np.arange(9)
    assert len(read_pair(*[saved(pandas.DataFrame(steps), tmp_path / "x.csv", header=False)] * 2).fake) == 40


@pytest.mark.parametrize("form", ["frames", "files"])
def test_labels_that_are_numbers_are_matched_by_name(form, tmp_path):
    rng = np.random.default_rng(0)
    real, fake = (pandas.DataFrame(rng.normal(size=(N, 3)) * [1, 3, 9] + [0, 5, 9]) for _ in range(2))
    shuffled = fake[[2, 1, 0]]
    expected = as_pair(fake, real)
    if form == "frames":
        pair = as_pair(shuffled, real)
        back = as_pair(fake, real[[2, 1, 0]])
        assert torch.equal(back.fake.flip(1), expected.fake)
        assert back.names == ("2", "1", "0")
        assert evaluate(shuffled, real, permutations=199).verdict.startswith("Not told apart")
    else:
        pair = read_pair(saved(shuffled, tmp_path / "q.csv"), saved(real, tmp_path / "p.csv"))
    assert torch.equal(pair.fake, expected.fake)
    assert torch.equal(pair.real, expected.real)
    assert "fake: columns brought into the order of real by their names" in pair.notes
    array = as_pair(shuffled, real.to_numpy())
    assert torch.equal(array.fake, expected.fake)


KEYS = {
    "index": lambda n, rng: rng.permutation(n),
    "id": lambda n, rng: rng.choice(10**6, n, replace=False),
    "patientID": lambda n, rng: [f"p{k}" for k in rng.permutation(n)],
    "anything": lambda n, rng: np.arange(n),
    "from_one": lambda n, rng: np.arange(1, n + 1),
    "token": lambda n, rng: [f"{a:08x}-{k}" for k, a in enumerate(rng.integers(2**31, size=n))],
}


@pytest.mark.parametrize("name", KEYS)
@pytest.mark.parametrize("both", [True, False])
def test_keys_and_counters_are_left_out_and_said(name, both, tmp_path):
    rng = np.random.default_rng(0)
    real, fake = table(0), table(1)
    expected = as_pair(fake, real)
    keyed = real.assign(**{name: KEYS[name](N, rng)})
    other = fake.assign(**{name: KEYS[name](N, rng)}) if both else fake
    for pair in (
        as_pair(other, keyed),
        read_pair(saved(other, tmp_path / "q.csv"), saved(keyed, tmp_path / "p.csv")),
    ):
        assert pair.names == expected.names
        assert torch.equal(pair.fake, expected.fake)
        assert sum(f"column {name} is left out, as" in note for note in pair.notes) == 1


def test_a_key_that_is_asked_for_is_compared(tmp_path):
    real, fake = (table(seed).assign(id=np.arange(N)) for seed in range(2))
    files = [saved(fake, tmp_path / "q.csv"), saved(real, tmp_path / "p.csv")]
    assert read_pair(files[0], f"{files[1]}:x,id").names == ("x", "id")


def test_times_and_measurements_that_ascend_are_no_keys(tmp_path):
    rng = np.random.default_rng(0)
    real = pandas.DataFrame({
        "year": np.arange(1900, 1900 + N),
        "time": np.cumsum(1 + rng.integers(0, 9, N)),
        "glycemic index": rng.normal(50, 9, N),
        "x": rng.normal(size=N),
    })  # fmt: skip
    assert as_pair(real, real).names == tuple(real.columns)


@pytest.mark.parametrize("form", ["frames", "csv", "parquet"])
def test_missing_cells_are_compared(form, tmp_path):
    rng = np.random.default_rng(0)
    real, fake = table(0, 300), table(1, 300)
    gone = rng.random(300) < 0.3
    real = real.assign(x=real.x.where(~gone), kind=real.kind.where(~gone))
    honest = fake.assign(x=fake.x.where(gone[::-1] == 0), kind=fake.kind.where(gone[::-1] == 0))

    def given(data, name):
        return data if form == "frames" else saved(data, tmp_path / f"{name}.{form}")

    p, q = given(real, "p"), given(honest, "q")
    pair = as_pair(q, p) if form == "frames" else read_pair(q, p)
    at = {one.name: one for one in pair.fields}
    where = at["x"].missing
    assert where is not None
    np.testing.assert_allclose(pair.real[:, where], gone * 0.5**0.5)
    present = np.concatenate([real.x.dropna(), honest.x.dropna()])
    assert set(pair.real[gone, at["x"].places[0]].tolist()) == {np.quantile(present, 0.5, method="lower")}
    assert at["kind"].levels == ("(missing)", "a", "b", "c")
    level = at["kind"].places[0]
    np.testing.assert_allclose(pair.real[:, level], gone * 0.5**0.5)
    assert all(one.missing is None for one in pair.fields if one.name != "x")
    assert evaluate(q, p, permutations=199).verdict.startswith("Not told apart")
    assert "Samples and data differ" in evaluate(given(fake, "f"), p, permutations=199).verdict


def test_what_stands_for_a_missing_cell_is_one_matter_of_notation(tmp_path):
    real = table(0).assign(x=table(0).x.where(np.arange(N) % 3 > 0), kind=table(0).kind.where(np.arange(N) % 4 > 0))
    plain = read_pair(*[saved(real, tmp_path / "p.csv")] * 2)
    for word in ("NA", "NaN", "null", "None", "<NA>"):
        pair = read_pair(saved(real, tmp_path / "q.csv", na_rep=word), str(tmp_path / "p.csv"))
        assert torch.equal(pair.fake, plain.fake)
        assert pair.names == plain.names


def test_a_column_that_is_empty_in_one_set_fits_numbers_and_words(tmp_path):
    real, fake = table(0), table(1).assign(x=np.nan, kind=None)
    for pair in (as_pair(fake, real), read_pair(saved(fake, tmp_path / "q.csv"), saved(real, tmp_path / "p.csv"))):
        assert "kind=(missing)" in pair.names
        assert "x missing" in pair.names
        assert [finding.numbers["rows"] for finding in pair.findings] == [N]


def test_a_cell_at_fault_is_named_past_those_that_are_missing(tmp_path):
    (tmp_path / "q.csv").write_text("a,b\n1,2\n,3\n4,5\nx1,6\n7,8\n")
    with pytest.raises(DataError, match=r"line 5, column 'a': 'x1' is not a number"):
        read_pair(str(tmp_path / "q.csv"), str(tmp_path / "q.csv"))


@pytest.mark.parametrize("levels", [150, 700])
def test_many_categories_are_compared_and_the_rarest_of_all_sets_share_a_level(levels, tmp_path):
    rng = np.random.default_rng(0)
    real, fake = (
        pandas.DataFrame({"word": [f"w{k}" for k in rng.integers(levels, size=2000)], "x": rng.normal(size=2000)})
        for _ in range(2)
    )
    pair = as_pair(fake, real)
    assert len(pair.names) == min(levels, 301) + 1
    assert pair.findings == ()
    assert any("rarest values of all sets count as one level" in note for note in pair.notes) == (levels > 300)


def test_lists_in_cells_are_columns(tmp_path):
    pytest.importorskip("pyarrow")
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, N, 4))
    real, fake = (pandas.DataFrame({"emb": list(z), "a": z[:, 0] + 1}) for z in (x, y.astype(np.float32)))
    files = [saved(fake, tmp_path / "q.parquet"), saved(real, tmp_path / "p.parquet")]
    for pair in (as_pair(fake, real), read_pair(*files)):
        assert pair.names == ("emb[0]", "emb[1]", "emb[2]", "emb[3]", "a")
        np.testing.assert_array_equal(pair.real[:, :4], x)
        np.testing.assert_array_equal(pair.fake[:, :4], y.astype(np.float32))
    assert read_pair(f"{files[0]}:a,emb", f"{files[1]}:emb,a").names == pair.names
    assert read_pair(f"{files[0]}:emb[2]", f"{files[1]}:emb[2]").names == ("emb[2]",)
    assert load(f"{files[1]}:emb").event == (4,)
    ragged = pandas.DataFrame({"emb": [row[: 4 - (k == 7)] for k, row in enumerate(x)], "a": x[:, 0]})
    bad = saved(ragged, tmp_path / "r.parquet")
    for call in (lambda: read_pair(bad, files[1]), lambda: as_pair(ragged, real)):
        with pytest.raises(
            DataError, match=r"row 7, column 'emb' holds 3 numbers, row 0 4: give every row equally many"
        ):
            call()
    assert read_pair(f"{bad}:a", f"{files[1]}:a").names == ("a",)


@pytest.mark.parametrize("kind", ["f4", "f8"])
def test_a_constant_in_another_precision_tells_nothing(kind):
    real, fake = table(0)[["x", "rate"]], table(1)[["x", "rate"]].astype({"rate": kind})
    pair = as_pair(fake, real)
    assert pair.fake[0, 1] == pair.real[0, 1]
    assert any("single precision" in note for note in pair.notes) == (kind == "f4")
    assert evaluate(fake, real, permutations=199).verdict.startswith("Not told apart")
    assert "Samples and data differ" in evaluate(fake.assign(rate=0.1001), real, permutations=199).verdict


def test_decimals_are_a_grid_of_their_own():
    rng = np.random.default_rng(0)
    real, fake = table(0)[["x", "price"]], table(1)[["x", "price"]]
    noisy = fake.assign(price=fake.price + rng.uniform(0.01, 0.04, N))
    pair = as_pair(noisy, real)
    np.testing.assert_array_equal(pair.fake[:, 1], fake.price)
    assert "column price: rounded to one decimal (real holds only these); 100 % of fake values moved" in pair.notes
    coarse = as_pair(real, fake.assign(price=rng.normal(20, 3, N)))
    assert [one.words for one in coarse.findings] == [
        "column price: fake holds one decimal only, real more: rounding alone tells the sets apart"
    ]


def clocks(form: str, data, path: Path):
    """A table with a column of nanoseconds as it may be stored."""
    if form == "frame":
        return data
    if form in ("array", "tensor", "npy"):
        x = data.to_numpy()
        np.save(path.with_suffix(".npy"), x)
        return {"array": x, "tensor": torch.from_numpy(x), "npy": str(path.with_suffix(".npy"))}[form]
    if form == "nullable":
        return data.astype({"stamp": "Int64" if data.stamp.dtype == np.int64 else "UInt64"})
    return saved(data, path.with_suffix(f".{form}"))


@pytest.mark.parametrize("form", ["frame", "array", "tensor", "npy", "csv", "csv.gz", "parquet", "nullable"])
@pytest.mark.parametrize("kind", [np.int64, np.uint64])
def test_whole_numbers_that_float64_does_not_tell_apart_are_compared_exactly(form, kind, tmp_path):
    rng = np.random.default_rng(0)
    start = 2**60 if kind == np.int64 else 2**63 + 5
    above = rng.integers(0, 200, (2, N))
    tables = [
        pandas.DataFrame({"stamp": x.astype(kind) + kind(start), "n": rng.integers(0, 9, N).astype(kind)})
        for x in above
    ]
    pair = mixed_pair(*(clocks(form, data, tmp_path / f"{k}") for k, data in enumerate(tables)))
    np.testing.assert_array_equal(pair.fake[:, 0], above[0] - above.min())
    np.testing.assert_array_equal(pair.real[:, 0], above[1] - above.min())
    different, doubles = set(above.ravel().tolist()), {float(start + k) for k in above.ravel().tolist()}
    said = [note for note in pair.notes if "2^53" in note]
    assert len(said) == 1
    lost = f"{len(different) - len(doubles)} of {len(different)} different whole numbers beyond 2^53 would be equal"
    assert lost in said[0]
    assert said[0].endswith(f"compared as what they are above {start + int(above.min())}")


def test_only_numbers_that_double_precision_may_lose_are_counted():
    x = np.r_[np.arange(300), 2**60 + np.arange(200)].astype(np.int64)
    _, said = above({"fake": x.astype(float), "real": x.astype(float)}, {"fake": x, "real": x})
    lost = 200 - len(set((2.0**60 + np.arange(200)).tolist()))
    assert said.startswith(f"{lost} of 200 different whole numbers beyond 2^53 would be equal")


def test_a_set_in_double_precision_keeps_the_others_in_it_which_is_said_with_how_many():
    rng = np.random.default_rng(0)
    data = pandas.DataFrame({"stamp": 2**60 + rng.permutation(N), "x": rng.normal(size=N)})
    pair = as_pair(data.astype({"stamp": "f8"}), data)
    assert float(pair.real[:, 0].min()) == 2.0**60
    assert torch.equal(pair.fake, pair.real)
    lost = N - len(set(data.stamp.astype(float)))
    said = f"column stamp: {lost} of {N} different whole numbers beyond 2^53 are equal to others in double precision"
    assert any(note.startswith(said) for note in pair.notes)


def test_whole_numbers_that_stay_different_are_left_as_they_are():
    rng = np.random.default_rng(0)
    data = pandas.DataFrame({"stamp": 2**60 + 1024 * rng.permutation(N), "x": rng.normal(size=N)})
    pair = as_pair(data, data)
    np.testing.assert_array_equal(pair.real[:, 0], data.stamp.astype(float))
    assert not any("2^53" in note for note in pair.notes)


def test_small_numbers_beside_large_ones_and_missing_cells_are_counted_from_one_start():
    big = pandas.DataFrame({"stamp": [str(2**70 + k) for k in range(N)], "x": np.random.default_rng(0).normal(size=N)})
    big.loc[3, "stamp"] = None
    pair = as_pair(big, big.assign(stamp=np.arange(N) / 2 + 2))
    np.testing.assert_array_equal(pair.real[:, 0], np.arange(N) / 2)
    assert pair.fields[0].missing == 2
    assert any("equal all the same" in note for note in pair.notes)  # 2^70 and 2 have no start in common


def test_keys_of_nineteen_digits_are_keys_though_float64_does_not_tell_them_apart():
    rng = np.random.default_rng(0)
    data = pandas.DataFrame({"user_id": 2**61 + rng.permutation(N), "x": rng.normal(size=N)})
    assert as_pair(data, data).names == ("x",)


def test_a_packed_file_that_is_damaged_or_endless_is_refused_in_one_line(tmp_path, monkeypatch):
    path = tmp_path / "x.csv.gz"
    packed = gzip.compress(b"a,b\n" + b"1,2\n" * 5000)
    path.write_bytes(packed[:-20])
    with pytest.raises(DataError, match=r"x\.csv\.gz: the packed file is damaged or truncated"):
        read_pair(str(path), str(path))
    path.write_bytes(packed)
    assert len(read_pair(str(path), str(path)).fake) == 5000
    monkeypatch.setenv("PUSHFORWARD_MEMORY", "64KB")
    with pytest.raises(DataError, match=r"x\.csv\.gz: holds more than .*: unpack it first"):
        read_pair(str(path), str(path))


@pytest.mark.slow
def test_the_command_says_what_it_left_out(tmp_path):
    real, fake = (table(seed).assign(id=np.arange(N)) for seed in range(2))
    files = [saved(fake, tmp_path / "q.csv.gz"), saved(real, tmp_path / "p.csv.gz")]
    words = ["evaluate", "--fake", files[0], "--real", files[1], "--permutations", "99"]
    done = subprocess.run(
        [sys.executable, "-m", "pushforward.cli", *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "column id is left out, as it" in done.stdout + done.stderr
    assert "Not told apart" in done.stdout
