"""Values that the data never have are found by exact chances: impossible ones count, rare ones do not."""

import math

import numpy as np
import pytest
from scipy import stats

from pushforward import evaluate
from pushforward.data import as_pair, read_pair
from pushforward.data.columns.unseen import alone, apart, beyond, tail, unseen
from pushforward.data.compare.grid import grid_of, snapped

pandas = pytest.importorskip("pandas")


def coded(rng, n: int = 500):
    """A column of two values, one of them in 10 % of the rows, beside a fraction."""
    return pandas.DataFrame({"r": rng.choice([0.5, 1.5], n, p=[0.9, 0.1]), "v": rng.normal(size=n)})


@pytest.mark.parametrize(("old", "new"), [(0.5, -77.0), (1.5, 1e9), (1.5, 2.2), (0.5, -0.3)])
@pytest.mark.parametrize("form", ["frames", "files"])
def test_values_far_from_all_levels_are_kept_and_found(old, new, form, tmp_path):
    rng = np.random.default_rng(0)
    real, fake = coded(rng), coded(rng).replace({"r": {old: new}})
    count = int((fake.r == new).sum())
    if form == "files":
        for name, data in {"real": real, "fake": fake}.items():
            data.to_csv(tmp_path / f"{name}.csv", index=False)
        report = evaluate(tmp_path / "fake.csv", tmp_path / "real.csv", permutations=199)
    else:
        report = evaluate(fake, real, permutations=199)
    (finding,) = [finding for finding in report.findings if finding.name == "support"]
    assert finding.against
    assert finding.numbers["column"] == "r"
    assert finding.numbers["rows"] == count
    assert finding.numbers["share"] == count / 500
    assert finding.numbers["examples"] == f"{new:g}"
    assert any("more than half a gap away from the levels of real" in warning for warning in report.warnings)
    assert report.verdict.startswith("Against the samples: impossible values")
    assert "Samples and data differ" in report.verdict


@pytest.mark.parametrize("levels", [[0.5, 1.5], [0.1, 0.2, 10.0], [-3.0, 0.25, 0.5, 8.0]])
def test_rounding_reaches_half_of_the_nearer_gap_and_no_farther(levels):
    data = np.random.default_rng(0).choice(levels, 2000)
    grid, x = grid_of(data), np.linspace(-30, 30, 4001)
    assert grid is not None
    gaps = np.diff(levels)
    reach = {v: min(gaps[max(k - 1, 0)], gaps[min(k, len(gaps) - 1)]) / 2 for k, v in enumerate(levels)}
    nearest = np.array(levels)[np.abs(x[:, None] - levels).argmin(1)]
    within = np.array([abs(a - b) <= reach[b] + 1e-12 for a, b in zip(x, nearest, strict=True)])
    out, notes = snapped(x[:, None], [grid], ["r"])
    np.testing.assert_array_equal(out[within, 0], nearest[within])
    np.testing.assert_array_equal(out[~within, 0], x[~within])
    assert sum(note.startswith("column r: ") and "more than half a gap" in note for note in notes) == 1


def test_levels_with_rounding_on_top_are_levels_still():
    rng = np.random.default_rng(0)
    real, fake = coded(rng), coded(rng)
    clean = as_pair(fake, real)
    noisy = as_pair(fake.assign(r=fake.r + rng.uniform(-0.4, 0.4, 500)), real)
    np.testing.assert_array_equal(noisy.fake, clean.fake)
    assert noisy.findings == ()


BAD = {
    "a category of its own": lambda t: t.assign(kind=np.where(np.arange(len(t)) % 10 == 0, "z", t.kind)),
    "a number beyond the range": lambda t: t.assign(stars=np.where(np.arange(len(t)) % 10 == 0, 9, t.stars)),
    "a number between the levels": lambda t: t.assign(stars=np.where(np.arange(len(t)) % 10 == 0, 3, t.stars)),
    "no value": lambda t: t.assign(stars=t.stars.where(np.arange(len(t)) % 10 != 0)),
    "a fraction beyond the range": lambda t: t.assign(x=np.where(np.arange(len(t)) % 10 == 0, 40.0, t.x)),
}


def mixed(rng, n: int = 300):
    """A category, a whole number without 3, and a fraction."""
    return pandas.DataFrame(
        {"kind": rng.choice(["a", "b"], n), "stars": rng.choice([1, 2, 4, 5], n), "x": rng.normal(size=n)}
    )


@pytest.mark.parametrize("name", BAD)
def test_a_tenth_of_impossible_values_is_named_with_its_column(name):
    rng = np.random.default_rng(1)
    fake, real = BAD[name](mixed(rng)), mixed(rng)
    (finding,) = as_pair(fake, real).findings
    beyond_x = int(((fake.x > real.x.max()) | (fake.x < real.x.min())).sum())
    assert finding.numbers["rows"] == (beyond_x if "fraction" in name else 30)
    column = "kind" if "category" in name else "x" if "fraction" in name else "stars"
    assert finding.numbers["column"] == column
    assert column in finding.words
    assert float(finding.numbers["p"]) < 1e-6


def test_a_single_value_of_its_own_is_told_and_not_held_against_the_samples():
    rng = np.random.default_rng(1)
    fake, real = mixed(rng), mixed(rng)
    fake.loc[7, "stars"] = 3
    pair = as_pair(fake, real)
    assert pair.findings == ()
    assert any("column stars: 1 of 300 fake rows" in note for note in pair.notes)


def zipf(rng, n):
    """Rare levels without end, whole numbers with heavy tails, fractions with heavier ones."""
    return pandas.DataFrame({
        "word": [f"w{k}" for k in rng.zipf(1.7, n).clip(max=10**6)],
        "count": rng.zipf(2.0, n).clip(max=10**6),
        "level": rng.choice([0.5, 1.5, 2.5, 7.0], n, p=[0.6, 0.39, 0.007, 0.003]),
        "x": rng.standard_cauchy(n),
    })  # fmt: skip


@pytest.mark.parametrize("sizes", [(200, 200), (400, 50), (60, 600)])
def test_honest_samples_with_rare_values_are_not_accused(sizes):
    n, m = sizes
    accused = doubted = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        found = as_pair(zipf(rng, n), zipf(rng, m)).findings
        accused += any(one.against for one in found)
        doubted += bool(found)
    assert accused <= stats.binom(60, 1e-3).isf(1e-4)
    assert doubted <= stats.binom(60, 0.05).isf(1e-4)


@pytest.mark.parametrize(("n", "m"), [(40, 40), (30, 90), (90, 30)])
def test_the_chances_are_bounds_of_those_under_relabelling(n, m):
    rng = np.random.default_rng(0)
    pool = rng.zipf(1.5, n + m).clip(max=1000)
    _, codes, counts = np.unique(pool, return_inverse=True, return_counts=True)
    rows, out = [], []
    for _ in range(4000):
        order = rng.permutation(n + m)
        q, p = codes[order[:n]], codes[order[n:]]
        rows.append((~np.isin(q, p)).sum())
        out.append(((q > p.max()) | (q < p.min())).sum())
    for t in (1, 3, 8, 15, 25):
        error = 4 * math.sqrt(0.25 / 4000)
        assert tail(counts, t, n, m) >= (np.array(rows) >= t).mean() - error
        assert beyond(t, n, m) >= (np.array(out) >= t).mean() - error
    assert np.exp(alone(3, n, m)) == pytest.approx(math.comb(n, 3) / math.comb(n + m, 3))
    assert np.isneginf(alone(n + 1, n, m))


def test_what_train_has_is_no_surprise(tmp_path):
    rng = np.random.default_rng(0)
    real, train = mixed(rng), mixed(rng)
    train["kind"] = np.where(np.arange(300) % 5 == 0, "c", train.kind)
    fake = mixed(rng)
    fake["kind"] = train.kind
    assert as_pair(fake, real).findings != ()
    assert as_pair(fake, real, train).findings == ()


def test_the_order_of_columns_and_rows_changes_no_finding(tmp_path):
    rng = np.random.default_rng(0)
    real, fake = mixed(rng), BAD["a category of its own"](mixed(rng))
    one = as_pair(fake, real).findings
    assert as_pair(fake[::-1][["x", "kind", "stars"]], real).findings == one
    for name, data in {"real": real, "fake": fake}.items():
        data.to_csv(tmp_path / f"{name}.csv", index=False)
    assert read_pair(str(tmp_path / "fake.csv"), str(tmp_path / "real.csv")).findings == one


def ages(rng, n: int):
    """Whole numbers from 18 to 89 beside a fraction."""
    return pandas.DataFrame({"age": rng.integers(18, 90, n), "v": rng.normal(size=n)})


@pytest.mark.parametrize("value", [-3, 999, 10**7, -30000])
def test_numbers_far_beyond_all_others_are_never_passed_over(value):
    rng = np.random.default_rng(0)
    real, train = ages(rng, 300), ages(rng, 600)
    for count, sets, grade in ((6, (real, train), True), (5, (real,), False), (4, (real,), False), (1, (real,), None)):
        fake = ages(rng, 300)
        fake.loc[: count - 1, "age"] = value
        pair = as_pair(fake, *sets)
        assert [one.against for one in pair.findings] == ([] if grade is None else [grade])
        said = [*pair.notes, *(one.words for one in pair.findings)]
        (words,) = [words for words in said if "far beyond" in words]
        assert "column age" in words
        assert f"{count} of 300 fake rows" in words
        assert f"{value:g}" in words
        assert "real's 18 to 89" in words


def test_the_chance_that_all_numbers_far_out_are_fakes_is_exact():
    rng = np.random.default_rng(0)
    n, m, c = 30, 60, 3
    pool = np.r_[np.arange(n + m - c), 500.0, 501.0, 502.0]
    hits = []
    for _ in range(20000):
        order = rng.permutation(pool)
        found = apart(order[:n], order[n:], 0.1)
        assert found.sides == 1
        hits.append(found.p < 1 and found.rows.sum() == c)
    exact = math.comb(n, c) / math.comb(n + m, c)
    assert np.mean(hits) == pytest.approx(exact, abs=4 * math.sqrt(exact / 20000))
    order = np.sort(pool)[::-1]
    assert apart(order[:n], order[n:], 0.1).p == pytest.approx(exact)
    moved = apart(1e9 - 3 * order[:n], 1e9 - 3 * order[n:], 0.1)  # the sign, unit and origin are no matter
    assert moved.p == pytest.approx(exact)
    assert moved.rows.sum() == c


def test_more_unseen_words_are_never_less_of_a_finding():
    rng = np.random.default_rng(0)
    words = np.array([f"w{i}" for i in range(5000)])
    fake, real = rng.choice(words, 1000), rng.choice(words, 1000)
    chances = []
    for count in range(0, 1001, 100):
        q = np.r_[np.char.add("zz", fake[:count]), fake[count:]]
        _, codes = np.unique(np.r_[q, real], return_inverse=True)
        chances.append(unseen(*(np.bincount(part, minlength=2000) for part in (codes[:1000], codes[1000:]))))
    assert chances == sorted(chances, reverse=True)
    assert chances[0] > 0.5
    (finding,) = as_pair(pandas.DataFrame({"t": np.char.add("zz", fake)}), pandas.DataFrame({"t": real})).findings
    assert finding.name == "support"
    assert finding.numbers["rows"] == 1000


def test_whose_rows_are_drawn_in_is_said():
    rng = np.random.default_rng(0)
    fake, real, train = ages(rng, 300), ages(rng, 300), ages(rng, 600)
    fake.loc[:5, "age"] = -30000
    report = evaluate(fake, real, train, metrics="mmd", permutations=19)
    assert any("6 of 1,200 rows (6 of fake, 0 of real, 0 of train)" in note for note in report.notes)


@pytest.mark.parametrize("scale", [1.0, 2.0])
def test_negative_counts_of_genes_are_impossible_however_few(scale):
    anndata = pytest.importorskip("anndata")
    rng = np.random.default_rng(0)
    law = rng.gamma(0.5, 2, 50)
    fake, real, train = ((scale * rng.poisson(law * rng.gamma(5, 0.2, (300, 1)))).astype("f4") for _ in range(3))
    for rows, genes in ((3, 50), (1, 1)):
        bad = fake.copy()
        bad[:rows, :genes] = -1
        pair = as_pair(anndata.AnnData(bad), anndata.AnnData(real), anndata.AnnData(train))
        (found,) = [one for one in pair.findings if one.name == "support"]
        assert found.against
        assert f"{rows} of 300 fake rows" in found.words
        assert (found.numbers["rows"], found.numbers["columns"]) == (rows, genes)
        assert "support" not in pair.unsought
    honest = as_pair(anndata.AnnData(fake), anndata.AnnData(real))
    assert honest.findings == ()
    assert "but for numbers below 0" in honest.unsought["support"]  # whatever else they never have
    centred = as_pair(anndata.AnnData(bad), anndata.AnnData(real - 1))
    assert not any(one.name == "support" for one in centred.findings)
    assert "support" in centred.unsought


@pytest.mark.parametrize(("count", "left"), [(4, "1 more column holds"), (5, "2 more columns hold")])
def test_columns_that_are_not_named_agree_with_their_number(count, left):
    rng = np.random.default_rng(0)
    real, fake = (pandas.DataFrame(rng.choice([1, 2, 4, 5], (300, count))).add_prefix("x") for _ in range(2))
    fake.iloc[:1] = 3
    assert any(note.startswith(f"{left} a few such values") for note in as_pair(fake, real).notes)


@pytest.mark.parametrize(("count", "left"), [(7, "1 more column"), (8, "2 more columns")])
def test_columns_beyond_the_sixth_are_counted_in_notes_of_levels_and_of_empty_cells(count, left):
    rng = np.random.default_rng(0)
    real, fake = (rng.choice([0.5, 1.5], (300, count)) for _ in range(2))
    fake[:30] = 9.25
    _, notes = snapped(fake, [grid_of(column) for column in real.T], [f"x{j}" for j in range(count)])
    assert notes[-1] == f"{left} hold{'s' * (count == 7)} values far from the levels of real"
    real, fake = (pandas.DataFrame(rng.normal(size=(300, count))).add_prefix("x") for _ in range(2))
    fake.iloc[:30] = np.nan
    assert f"{left} with empty cells, filled and marked likewise" in as_pair(fake, real).notes
