"""Levels that each occur and never together: found by exact chances, in words, truth values and gaps alike."""

import numpy as np
import pytest
from scipy import stats

from pushforward.data import as_pair
from pushforward.data.columns.combined import Coded, coded, combined
from pushforward.data.columns.unseen import unseen
from pushforward.plain.fields import Field

pandas = pytest.importorskip("pandas")


def towns(rng, n: int, wrong: float = 0.0):
    """Forty cities, each in its one of eight countries but for a share of rows."""
    city = rng.integers(0, 40, n)
    country = np.where(rng.random(n) < wrong, rng.integers(0, 8, n), city // 5)
    return pandas.DataFrame(
        {"city": [f"c{k}" for k in city], "country": [f"k{k}" for k in country], "x": rng.normal(size=n)}
    )


@pytest.mark.parametrize("seed", range(4))
def test_a_tenth_of_impossible_pairs_counts_against_a_thousand_rows_and_never_passes_with_half_of_them(seed):
    rng = np.random.default_rng(seed)
    fake, real = towns(rng, 1000, 0.1), towns(rng, 1000)
    (finding,) = as_pair(fake, real).findings
    strange = ~(fake.city + fake.country).isin(real.city + real.country)
    assert finding.name == "support"
    assert finding.against
    assert finding.numbers["column"] == "city and country"
    assert finding.numbers["rows"] == strange.sum()
    assert finding.numbers["share"] == pytest.approx(strange.mean())
    first = str(finding.numbers["examples"]).split(", ")[0].replace("'", "").split(" with ")
    assert "".join(first) in set((fake.city + fake.country)[strange])
    assert "columns city and country" in finding.words
    assert as_pair(towns(rng, 500, 0.1), towns(rng, 500)).findings != ()


def people(rng, n: int):
    """Nobody is both m and pregnant, and what has no test has no score."""
    sex, tested = rng.choice(["m", "f"], n), rng.choice(["oral", "written", "none"], n)
    pregnant = (sex == "f") & (rng.random(n) < 0.3)
    return pandas.DataFrame({
        "sex": sex, "pregnant": pregnant.astype(int), "tested": tested,
        "score": np.where(tested == "none", np.nan, rng.normal(size=n)), "children": rng.integers(0, 4, n),
    })  # fmt: skip


SPOILED = {
    "sex and pregnant": lambda t, some: t.assign(pregnant=np.where(some & (t.sex == "m"), 1, t.pregnant)),
    "tested and score": lambda t, some: t.assign(score=np.where(some & (t.tested == "none"), 0.3, t.score)),
}


@pytest.mark.parametrize("both", SPOILED)
def test_truth_values_and_empty_cells_are_levels_too(both):
    rng = np.random.default_rng(0)
    real, fake = people(rng, 400), people(rng, 400)
    assert as_pair(fake, real).findings == ()
    (finding,) = as_pair(SPOILED[both](fake, np.arange(400) % 10 == 0), real).findings
    assert finding.against
    assert finding.numbers["column"] == both


def test_two_equally_common_levels_that_stand_for_each_other_are_found():
    rng = np.random.default_rng(0)
    fake, real = towns(rng, 500), towns(rng, 500)
    (finding,) = as_pair(fake.assign(city=fake.city.replace({"c3": "c37", "c37": "c3"})), real).findings
    assert finding.against
    assert finding.numbers["rows"] == fake.city.isin(["c3", "c37"]).sum()


def test_what_train_has_together_is_no_surprise_and_a_new_level_is_said_of_its_own_column():
    rng = np.random.default_rng(1)
    fake, real, train = towns(rng, 600, 0.1), towns(rng, 600), towns(rng, 600)
    assert as_pair(fake, real, train).findings != ()
    assert "support" not in {one.name for one in as_pair(fake, real, pandas.concat([train, fake])).findings}
    new = towns(rng, 600)
    new.loc[:60, "country"] = "nowhere"
    (finding,) = as_pair(new, real).findings
    assert (finding.numbers["column"], finding.numbers["columns"]) == ("country", 1)


def shares(rng, levels: int, n: int):
    weight = 1 / np.arange(1, levels + 1)
    return rng.choice(levels, n, p=weight / weight.sum())


@pytest.mark.slow
@pytest.mark.parametrize("sizes", [(300, 300, 0), (200, 200, 400), (400, 60, 0), (60, 400, 0)])
def test_honest_tables_of_forty_by_forty_levels_are_not_accused(sizes):
    accused = doubted = 0
    for seed in range(60):
        rng = np.random.default_rng([seed, *sizes])
        sets = []
        for n in sizes:
            one = shares(rng, 40, n)
            other = np.where(rng.random(n) < 0.1, shares(rng, 40, n), one // 2)
            sets.append(pandas.DataFrame({
                "a": [f"a{k}" for k in one], "b": [f"b{k}" for k in other], "c": [f"c{k}" for k in shares(rng, 40, n)],
                "yes": (rng.random(n) < 0.02 * one).astype(int),
            }))  # fmt: skip
        found = [one for one in as_pair(*sets[: 3 if sizes[2] else 2]).findings if one.name == "support"]
        accused += any(one.against for one in found)
        doubted += bool(found)
    assert accused <= stats.binom(60, 2e-3).isf(1e-4)
    assert doubted <= stats.binom(60, 0.04).isf(1e-4)


@pytest.mark.parametrize(("n", "m"), [(60, 60), (30, 120)])
def test_the_chance_of_levels_together_is_a_bound_under_relabelling(n, m):
    rng = np.random.default_rng(0)
    codes = [rng.zipf(1.6, n + m).clip(max=30), rng.zipf(1.6, n + m).clip(max=30)]
    names = tuple(map(str, range(31)))
    chances = []
    for _ in range(1000):
        order = rng.permutation(n + m)
        found = combined([Coded(name, code[order], names) for name, code in zip("ab", codes, strict=True)], n)
        chances.append(found[0].p if found else 1.0)
    for level in (0.02, 0.1, 0.5):
        assert (np.array(chances) <= level).sum() <= stats.binom(1000, level).isf(1e-4)


def test_some_values_are_no_more_of_a_surprise_than_all():
    fake, data = np.array([3, 1, 1, 5, 0]), np.array([0, 0, 0, 5, 4])
    assert unseen(fake, data, np.array([True, False, False, False, False])) >= unseen(fake, data)
    assert unseen(fake, data, data == 0) == unseen(fake, data)


def test_of_very_many_columns_it_is_said_how_many_are_looked_at():
    rng = np.random.default_rng(0)
    fake, real = rng.integers(0, 2, (2, 50, 70)).astype(float)
    notes = as_pair(fake, real).notes
    assert any(note == "levels that the data never have together are looked for in 64 of 70 columns" for note in notes)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_levels_that_agree_in_six_digits_are_told_apart(kind):
    days = np.array([20240130, 20240132], kind)
    x = np.column_stack([np.tile(days, 20), np.tile(np.array([0.1, 0.5], kind), 20)])
    found, _ = coded([Field("day", (0,)), Field("share", (1,))], x, np.zeros(x.shape, bool), {})
    assert [one.levels for one in found] == [("20240130", "20240132"), ("0.1", "0.5")]
