"""Which column differs: levels, powers, invariances and closed forms."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from pushforward.errors import DataError
from pushforward.metrics.columns.by_column import column_laws
from pushforward.metrics.columns.read import Numbers
from pushforward.metrics.columns.scores import ENDS, deviate, ends, quadratic, ranked, single, stepped_down
from pushforward.metrics.columns.ways import _repeats
from pushforward.metrics.core.permutation import relabellings
from pushforward.metrics.core.result import holm
from pushforward.plain.fields import Field
from tests.metrics.columns.tables import FIELDS, hot, mixed, normals


@pytest.mark.slow
def test_the_largest_statistic_keeps_its_level_with_ties_categories_and_empty_cells():
    repeats = 1000
    p = [
        column_laws(mixed(50, [s, 0]), mixed(60, [s, 1]), fields=FIELDS, permutations=99, seed=s).p
        for s in range(repeats)
    ]
    for level in (0.05, 0.2):
        assert (np.array(p) <= level).sum() <= stats.binom.ppf(0.9985, repeats, level)


def test_one_column_out_of_twenty_is_named_with_its_way():
    q, p = normals(500, 20, 0), normals(500, 20, 1)
    q[:, 3] *= 0.7
    found = column_laws(q, p)
    worst = found.rows[0]
    assert found.p == worst["p_corrected"] == 1 / 201
    assert worst["column"] == "3"
    assert str(worst["way"]).startswith("narrower: middle half")
    assert [row["column"] for row in found.rows if row["p_corrected"] < 0.05] == ["3"]
    q[:, 3] = q[:, 3] / 0.7 + 0.5
    assert str(column_laws(q, p).rows[0]["way"]).startswith("higher: median")


def test_a_mode_that_is_missing_in_the_middle_and_a_value_that_is_heaped_are_seen():
    rng = np.random.default_rng(0)
    p, q = (torch.from_numpy(rng.normal(4 * rng.integers(0, 5, (400, 1)), 0.3)) for _ in range(2))
    assert column_laws(q, p).p > 0.01
    few = torch.from_numpy(rng.normal(4 * rng.choice([0, 1, 2, 3, 4], (400, 1), p=[0.24, 0.24, 0.04, 0.24, 0.24]), 0.3))
    assert column_laws(few, p).p == 1 / 201
    x, y = normals(400, 1, 2), normals(400, 1, 3)
    x[:50] = 0.33
    assert str(column_laws(x, y).rows[0]["way"]).startswith("at 0.33: ")


def test_empty_cells_are_compared_and_told_from_a_law_that_is_the_same():
    rng, n = np.random.default_rng(3), 800
    empty = [(rng.random(n) < share).astype(float) for share in (0.10, 0.02)]
    # What stands in an empty cell says nothing: 0 here, 1e9 there.
    q, p = (
        torch.from_numpy(np.column_stack([np.where(e > 0, fill, rng.normal(size=n)), e, rng.normal(size=n)]))
        for e, fill in zip(empty, (0.0, 1e9))
    )
    found = column_laws(q, p, fields=(Field("pay", (0,), missing=1), Field("age", (2,))))
    worst = found.rows[0]
    assert worst["column"] == "pay"
    assert worst["way"] == f"empty in {100 * empty[0].mean():.2g} %, real {100 * empty[1].mean():.2g} %"
    assert worst["missing_fake"] == empty[0].mean()
    counts = [[int(e.sum()), n - int(e.sum())] for e in empty]
    assert worst["p_missing"] == pytest.approx(stats.fisher_exact(counts)[1])
    assert worst["distance"] < 0.1  # the numbers that are there follow one law
    assert worst["outside"] < 0.01


def test_distances_are_those_of_shifted_normals_and_of_known_shares():
    n, shift = 10_000, 0.5
    q, p = normals(n, 1, 0) + shift, normals(n, 1, 1)
    found = column_laws(q, p)
    exact = 2 * stats.norm.cdf(shift / 2) - 1
    assert found.value == pytest.approx(exact, abs=3 * math.sqrt(0.5 / n))
    assert found.value == pytest.approx(stats.ks_2samp(q[:, 0], p[:, 0]).statistic)
    a, b = np.repeat([0, 1, 2], [50, 30, 20]), np.repeat([0, 1, 2], [20, 30, 50])
    rows = column_laws(hot(a, 3), hot(b, 3), fields=(Field("c", (0, 1, 2), "category", ("x", "y", "z")),)).rows
    assert rows[0]["distance"] == pytest.approx(0.3)
    assert rows[0]["way"] in ("x: 50 %, real 20 %", "z: 20 %, real 50 %")


def test_floors_are_what_two_samples_of_one_law_score():
    # Of n and m rows of a continuous law the mean distance is sqrt(pi/2) log 2 sqrt(1/n + 1/m), to first order.
    floors = [column_laws(normals(800, 1, s), normals(600, 1, 100 + s)).floor for s in range(10)]
    wanted = math.sqrt(math.pi / 2) * math.log(2) * math.sqrt(1 / 800 + 1 / 600)
    assert np.mean(floors) == pytest.approx(wanted, rel=0.1)


def test_units_monotone_maps_and_the_order_of_columns_change_nothing():
    q, p = normals(300, 4, 0), normals(200, 4, 1)
    q[:, 2] += 0.3
    first = column_laws(q, p)
    moved = [x.clone() for x in (q, p)]
    for x in moved:
        x[:, 0], x[:, 1], x[:, 2] = 1e9 * x[:, 0] + 7, x[:, 1].exp(), x[:, 2] ** 3
    order = [3, 1, 0, 2]
    names = tuple(Field(str(order[k]), (k,)) for k in range(4))
    again = column_laws(*(x[:, order] for x in moved), fields=names)
    keys = ("distance", "floor", "p", "p_corrected", "outside", "outside_expected")
    table, other = ({row["column"]: row for row in found.rows} for found in (first, again))
    for name, row in table.items():
        assert [other[name][key] for key in keys] == pytest.approx([row[key] for key in keys])
    assert (first.value, first.floor, first.p) == pytest.approx((again.value, again.floor, again.p))


def test_one_outlier_of_a_billion_changes_no_verdict():
    rng = np.random.default_rng(0)
    p = torch.from_numpy(np.column_stack([rng.lognormal(10, 0.5, 500), rng.normal(size=500)]))
    q = torch.from_numpy(np.column_stack([rng.lognormal(12, 0.1, 500), rng.normal(size=500)]))
    q[0, 0] = 1e9
    found = column_laws(q, p)
    assert found.p == 1 / 201
    assert found.rows[0]["column"] == "0"
    assert found.value > 0.9


def test_the_share_outside_stands_beside_what_rows_of_one_law_have():
    q, p = normals(1000, 2, 0), normals(500, 2, 1)
    q[:100, 1] = 50.0
    rows = {row["column"]: row for row in column_laws(q, p, normals(499, 2, 2)).rows}
    assert rows["1"]["outside"] >= 0.1
    assert rows["0"]["outside_expected"] == 2 / 999
    words = Field("c", (0, 1, 2, 3), "category", tuple("abcd"))
    found = column_laws(hot([0] * 90 + [3] * 10, 4), hot([0] * 98 + [1, 2], 4), fields=(words,)).rows[0]
    assert (found["outside"], found["outside_expected"]) == (0.1, 0.02)


@pytest.mark.parametrize("fill", [0.0, 1.0])
def test_columns_in_which_there_is_nothing_to_see_are_no_finding(fill):
    q, p = normals(60, 2, 0), normals(60, 2, 1)
    q[:, 0] = p[:, 0] = fill
    found = column_laws(q, p)
    row = next(row for row in found.rows if row["column"] == "0")
    assert (row["distance"], row["p"]) == (0.0, 1.0)
    assert found.p == next(row for row in found.rows if row["column"] == "1")["p"]


def test_without_relabellings_there_is_no_p_value_and_still_a_floor():
    found = column_laws(normals(50, 2, 0), normals(50, 2, 1), permutations=0)
    assert found.p is None
    assert found.rows[0]["p"] is None
    assert 0 < found.floor < 1
    with pytest.raises(DataError, match="shape"):
        column_laws(normals(50, 2, 0), normals(50, 3, 1))


def test_sums_of_scores_have_the_chi_square_that_scipy_gives_for_a_table():
    codes = np.random.default_rng(0).integers(0, 4, 90)
    scores = np.eye(4)[codes] - np.bincount(codes) / 90
    sums = (relabellings(40, 50, 3).numpy() @ scores)[:, None]
    x, rank = quadratic(sums, scores[:, None], 40)
    table = np.stack([np.bincount(codes[:40], minlength=4), np.bincount(codes[40:], minlength=4)])
    assert rank == 3
    assert x[0, 0] == pytest.approx(stats.chi2_contingency(table, correction=False)[0] * 89 / 90)
    z = deviate(stats.chi2.ppf([0.5, 0.95, 0.999], 3), np.array([3.0] * 3))
    assert z == pytest.approx(stats.norm.ppf([0.5, 0.95, 0.999]), abs=0.05)


def test_corrected_p_values_bound_those_alone_and_are_no_larger_than_holms():
    values = np.random.default_rng(0).normal(size=(2000, 6))
    values[0] = [4.0, 1.0, 0.0, -1.0, 2.0, 3.0]
    alone, corrected = stepped_down(values)
    assert (corrected >= alone).all()
    assert (corrected <= np.array(holm(alone.tolist())) + 0.03).all()
    same = np.repeat(values[:, :1], 5, 1)  # five columns that say the same are one
    assert (stepped_down(same)[1] == alone[0]).all()


def test_a_column_that_is_empty_everywhere_differs_in_nothing():
    rng = np.random.default_rng(3)
    fields = (Field("a", (0,)), Field("b", (1,), missing=2))
    q, p = (torch.from_numpy(np.column_stack([rng.normal(size=80), np.zeros(80), np.full(80, 0.5**0.5)])) for _ in "qp")
    found = column_laws(q, p, fields=fields, permutations=99)
    row = next(row for row in found.rows if row["column"] == "b")
    assert (row["distance"], row["p"]) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("spoilt", "way"),
    [
        (lambda x: x.clamp(-1.645, 1.645), "tails cut at -1.645 and 1.645: "),
        (lambda x: x.clamp(max=1.75), "upper tail cut at 1.75: "),
        (lambda x: torch.where(x.abs() > 1.645, x / 4, x), "tails cut: up to -1."),
        (lambda x: torch.where(torch.arange(len(x))[:, None] % 25 == 0, 4 * x.sign() + x, x), "tails heavy: "),
        (lambda x: (10 * x).round() / 10, "values repeat more: "),
    ],
)
def test_ends_and_values_that_repeat_are_seen_in_one_column_of_ten_and_named(spoilt, way):
    q, p = normals(600, 10, 0), normals(600, 10, 1)
    q[:, 4:5] = spoilt(q[:, 4:5])
    found = column_laws(q, p, permutations=999)
    assert (found.rows[0]["column"], found.p) == ("4", 1 / 1000)
    assert str(found.rows[0]["way"]).startswith(way)
    back = column_laws(p, q, permutations=999).rows[0]
    assert back["column"] == "4"
    words = {"more": "values repeat less: ", "heavy": "tails ", "up to": "tails heavy: up to "}
    assert str(back["way"]).startswith(next((there for here, there in words.items() if here in way), ""))


def test_ends_count_as_a_hypergeometric_law_says_and_leave_out_what_few_rows_decide():
    x = normals(1000, 1, 0).numpy()
    block = Numbers(("a",), (0,), x)
    inside = ends(*ranked(block), block)[:, 0]
    assert inside.sum(0).tolist() == [round(1000 * share) * (1 + (side == "both")) for side, share in ENDS]
    counts, total = np.array([[[17.0]]]), np.array([[20.0]])
    z = single(counts, total, np.array([[400.0]]), np.array([1000.0]), 400, 1000)
    law = stats.hypergeom(1000, 20, 400)
    assert z[0, 0] == pytest.approx(deviate(((17 - law.mean()) / law.std()) ** 2, np.array(1.0)))
    assert single(counts[:, :, :1] * 0, np.array([[4.0]]), np.array([[400.0]]), np.array([1000.0]), 400, 1000) < -5


def test_single_precision_makes_no_tie_a_difference():
    # Of a column of two values every statistic grows with the count alone, so p is that of whole numbers.
    for seed in range(5):
        x = (np.random.default_rng(seed).random(3000) < 0.3).astype(float)
        labels = relabellings(1500, 1500, 199, seed=seed).numpy().astype(int)
        away = np.abs(labels @ x.astype(int) - x.sum() / 2)
        q, p = torch.from_numpy(x[:1500, None]), torch.from_numpy(x[1500:, None])
        assert column_laws(q, p, permutations=199, seed=seed).p == (away >= away[0]).sum() / 200


def test_the_ends_of_a_small_sample_are_no_cut():
    rng = np.random.default_rng(0)
    q = np.round(rng.normal(size=40), 6)  # each end of 40 rows is 2.5 % of them
    p = np.round(rng.normal(size=400), 1)
    assert "cut" not in (_repeats(q, p) or "")
    assert "cut" in (_repeats(np.clip(q, -1, 1), p) or "")
