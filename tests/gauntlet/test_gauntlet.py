"""The gauntlet does to samples what its ways say, and judges what is said of them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binom

from benchmarks.gauntlet import stores, tables, trial, ways_numbers, ways_rows
from benchmarks.gauntlet.__main__ import BAD, HONEST, main
from benchmarks.gauntlet.judging import Outcome, judge, judged
from benchmarks.gauntlet.laws import law
from benchmarks.gauntlet.laws import trial as drawn
from benchmarks.gauntlet.trial import KINDS
from pushforward.metrics.core.result import Measure
from pushforward.metrics.verdict.report import Report
from pushforward.plain.findings import Finding

ROOT = Path(__file__).resolve().parents[2]


def named(name):
    return next(way for way in (*BAD, *HONEST) if way.name == name)


@pytest.fixture
def points():
    return drawn("points", None, 200, np.random.default_rng(0))


@pytest.fixture
def images(tmp_path):
    return drawn("images", law("images", tmp_path), 100, np.random.default_rng(0))


def test_there_are_as_many_ways_as_the_page_says_and_each_has_a_name_and_a_kind():
    ways = (*BAD, *HONEST)
    pages = {name: " ".join((ROOT / "docs" / name).read_text().split()) for name in ("gauntlet.md", "evaluation.md")}
    assert (len(BAD), len(HONEST)) == (49, 54)
    assert "Forty-nine ways for a model to be bad" in pages["gauntlet.md"]
    assert "fifty-four ways to be honest" in pages["gauntlet.md"]
    assert "Forty-nine bad ways and fifty-four honest ones" in pages["evaluation.md"]
    assert f" {9 * sum(len(way.kinds) for way in ways):,} evaluations at 200, 600" in pages["gauntlet.md"]
    assert len({way.name for way in ways}) == len(ways)
    assert all(way.kinds and set(way.kinds) <= set(KINDS) for way in ways)
    assert all(any(kind in way.kinds for way in ways) for kind in KINDS)


def test_the_three_samples_of_a_finite_data_set_share_no_row(tmp_path):
    data = law("images", tmp_path)
    counted = replace(data, values=np.arange(len(data))[:, None, None] * np.ones((1, 2, 2)))
    one = drawn("images", counted, 500, np.random.default_rng(0))
    places = np.concatenate([rows.values[:, 0, 0] for rows in (one.fake, one.real, one.train, one.more(100))])
    assert len(np.unique(places)) == len(places) == 1600
    with pytest.raises(ValueError, match="1797"):
        drawn("images", counted, 600, np.random.default_rng(0))


@pytest.mark.parametrize("way", [way for way in BAD if "points" in way.kinds], ids=lambda way: way.name)
def test_a_bad_way_changes_something_and_leaves_finite_rows(way, points):
    spoiled = way.change(points)
    sides = ((points.fake, spoiled.fake), (points.real, spoiled.real))
    assert any(len(a) != len(b) or not np.array_equal(a.numbers(), b.numbers()) for a, b in sides)
    assert np.isfinite(spoiled.fake.numbers()).all()


@pytest.mark.parametrize("way", [way for way in (*BAD, *HONEST) if "images" in way.kinds], ids=lambda way: way.name)
def test_images_stay_images(way, images):
    spoiled = way.change(images)
    assert spoiled.fake.values.dtype == np.uint8
    assert spoiled.fake.values.shape[1:] == images.fake.values.shape[1:]


@pytest.mark.parametrize("share", [0.02, 0.1, 1.0])
def test_copied_rows_are_training_rows_in_their_share_and_fresh_ones_are_none(share, points):
    def shared(rows):
        return np.isin(rows.numbers()[:, 0], points.train.numbers()[:, 0]).mean()

    assert shared(points.fake) == 0
    assert shared(ways_rows.copied(share)(points.fake, points)) == pytest.approx(share)


def test_ways_that_spoil_associations_keep_every_margin(points):
    for name in ("one_column_shuffled", "columns_independent", "association_of_wrong_sign"):
        way = next(way for way in ways_numbers.WAYS if way.name == name)
        spoiled = way.change(points).fake.numbers()
        assert np.array_equal(np.sort(spoiled, 0), np.sort(points.fake.numbers(), 0))
    a, b = (x.numbers() for x in (points.fake, named("association_of_wrong_sign").change(points).fake))
    ranks = [np.argsort(np.argsort(x[:, 0])) for x in (a, b)]
    assert np.array_equal(ranks[0], len(a) - 1 - ranks[1])


def test_the_normal_fit_has_the_moments_of_the_samples_and_not_their_law(points):
    fitted = named("normal_fit").change(points).fake.numbers()
    x = points.fake.numbers()
    assert fitted.mean(0) == pytest.approx(x.mean(0), abs=5 * x.std() / 200**0.5)
    assert np.cov(fitted.T) == pytest.approx(np.cov(x.T), abs=0.5 * np.cov(x.T).max())


@pytest.mark.parametrize(
    "way", [way for way in HONEST if "points" in way.kinds and way.store], ids=lambda way: way.name
)
def test_honest_storage_changes_no_number(way, points, tmp_path):
    """Read back by other libraries, or looked at in memory, the samples are what they were."""
    import pandas

    offer = stores.offered(points, tmp_path, way.store)
    fake = offer.fake
    if isinstance(fake, str):
        text = {"sep": ";", "decimal": ","} if "commas" in way.name else {}
        if fake.endswith((".csv", ".csv.gz")):
            fake = pandas.read_csv(fake, **text)[list("abcdef")]
        elif fake.endswith(".parquet"):
            fake = pandas.read_parquet(fake)
        else:
            loaded = np.load(fake)
            fake = loaded["x"] if fake.endswith(".npz") else loaded
    precision = 1e-6 if "single" in way.name else 1e-12
    assert np.asarray(fake, float) == pytest.approx(points.fake.numbers(), rel=precision)


BLANK = Outcome("w", False, "points", 200, 0, False, (), False, "", None, 0.0)


def test_what_is_said_is_judged_by_tests_after_holm_and_findings_by_their_side():
    way = trial.Way("w", ("points",), lambda one: one, ("few", "note rounded"))

    def of(*values, findings=(), notes=()):
        measures = {f"m{k}": Measure(0.0, p=p) for k, p in enumerate(values)}
        return judged(Report(measures, notes, (), findings), way, BLANK)

    assert of(0.02, 0.9).caught
    assert of(0.02, 0.9).p == pytest.approx(0.04)
    assert not of(0.03, 0.9).caught
    assert of(0.5, findings=(Finding("copies", "", True),)).caught
    assert not of(0.5, findings=(Finding("power", "", False),)).caught
    assert of(0.5, findings=(Finding("few", "", False),)).caught
    assert of(0.5, notes=("3 values were rounded to the grid",)).caught
    assert not replace(of(0.5), refused="cannot be read").caught


def test_the_band_is_the_binomial_s_and_whoever_is_refused_fails():
    assert binom.cdf(tables.band(300), 300, 0.05) >= 0.999 > binom.cdf(tables.band(300) - 1, 300, 0.05)
    honest = [replace(BLANK, honest=True, differ=k < 10) for k in range(100)]
    assert not tables.too_many(honest)
    assert tables.too_many([replace(one, differ=k < 20) for k, one in enumerate(honest)])
    assert tables.too_many([replace(honest[-1], refused="cannot be read"), *honest])


def test_a_repetition_is_the_same_again_and_another_with_another_seed():
    first, again, other = (judge(HONEST[0], True, "points", None, 60, seed, 49) for seed in (0, 0, 1))
    assert replace(first, seconds=0) == replace(again, seconds=0)
    assert first.p != other.p or first.differ == other.differ


def test_the_command_catches_a_shrunk_model_keeps_outcomes_and_makes_the_same_table_of_them(tmp_path, capsys):
    ways = ["shrunk_by_a_fifth", "copied_all", "fresh_sample"]
    common = ["--kinds", "points", "--sizes", "100", "--data", str(tmp_path)]
    kept = tmp_path / "kept.json"
    code = main([*common, "--seeds", "2", "--ways", *ways, "--permutations", "99", "--json", str(kept)])
    printed = capsys.readouterr().out
    assert code == 0
    assert "| copied all | 100 |" in printed
    assert "| fresh sample |" in printed
    assert "6 evaluations" in printed
    main(["--read", str(kept)])
    assert capsys.readouterr().out == printed
    assert main(["--ways", "no_such_way"]) == 2


def test_kinds_whose_data_are_not_there_are_said(tmp_path, capsys):
    assert main(["--kinds", "table", "--data", str(tmp_path), "--seeds", "1"]) == 0
    assert "table left out" in capsys.readouterr().err
