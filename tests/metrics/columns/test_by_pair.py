"""Which pair of columns differs: levels, powers, invariances and closed forms."""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from pushforward.errors import DataError, OutOfTime
from pushforward.metrics.columns.by_column import column_laws
from pushforward.metrics.columns.by_pair import column_pairs
from pushforward.metrics.core.comparison import Comparison
from pushforward.metrics.suite import PARTS
from pushforward.plain.fields import Field
from tests.metrics.columns.tables import FIELDS, hot, mixed, normals


def together(n: int, d: int, rho: float, seed: int) -> Tensor:
    """Normal rows whose columns all have correlation rho."""
    return math.sqrt(rho) * normals(n, 1, 50 + seed) + math.sqrt(1 - rho) * normals(n, d, seed)


def significant(found: object) -> set[frozenset[object]]:
    return {frozenset((row["first"], row["second"])) for row in found.rows if row["p_corrected"] < 0.05}  # type: ignore


@pytest.mark.slow
def test_the_largest_statistic_keeps_its_level_with_ties_categories_and_empty_cells():
    repeats = 1000
    p = [
        column_pairs(mixed(50, [s, 0]), mixed(60, [s, 1]), fields=FIELDS, permutations=99, seed=s).p
        for s in range(repeats)
    ]
    for level in (0.05, 0.2):
        assert (np.array(p) <= level).sum() <= stats.binom.ppf(0.9985, repeats, level)


@pytest.mark.slow
def test_pairs_that_are_chosen_on_a_quarter_of_the_rows_keep_the_level():
    repeats = 200
    p = [column_pairs(normals(60, 70, s), normals(60, 70, 1000 + s), permutations=39, seed=s).p for s in range(repeats)]
    assert (np.array(p) <= 0.05).sum() <= stats.binom.ppf(0.9985, repeats, 0.05)


def test_a_shuffled_column_out_of_twenty_is_in_every_pair_found_and_is_no_column_that_differs():
    q, p = together(400, 20, 0.6, 0), together(400, 20, 0.6, 1)
    q[:, 7] = q[torch.from_numpy(np.random.default_rng(0).permutation(400)), 7]
    found = column_pairs(q, p)
    assert found.p == 1 / 201
    assert significant(found) == {frozenset(("7", str(k))) for k in range(20) if k != 7}
    assert column_laws(q, p).p > 0.05


def test_an_association_that_is_turned_round_is_the_worst_pair_and_no_column():
    rng = np.random.default_rng(0)

    def rows(turn: int) -> Tensor:
        x = normals(500, 3, turn)
        x[:, 1] = (1 - 2 * turn) * 0.8 * x[:, 0] + 0.6 * x[:, 1]
        a = rng.integers(0, 3, 500)
        b = (a + turn + (rng.random(500) < 0.3) * rng.integers(0, 3, 500)) % 3
        return torch.cat([x, hot(a, 3), hot(b, 3)], 1)

    levels = ("x", "y", "z")
    fields = (*(Field(str(k), (k,)) for k in range(3)), Field("c", (3, 4, 5), "category", levels),
              Field("d", (6, 7, 8), "category", levels))  # fmt: skip
    q, p = rows(1), rows(0)
    found = column_pairs(q, p, fields=fields)
    assert significant(found) == {frozenset("01"), frozenset("cd")}
    kinds = {frozenset((row["first"], row["second"])): row for row in found.rows}
    numbers, words = kinds[frozenset("01")], kinds[frozenset("cd")]
    assert (numbers["kind"], words["kind"]) == ("rank correlation", "Cramér's V")
    assert numbers["fake"] < -0.7 < 0.7 < numbers["real"]
    assert words["fake"] == pytest.approx(words["real"], abs=0.1)  # as strong, but other levels go together
    assert words["distance"] > 0.8
    assert column_laws(q, p, fields=fields).p > 0.05


def test_a_bend_and_empty_cells_that_follow_another_column_are_seen():
    u, v = normals(500, 2, 0), normals(500, 2, 1)
    u[:, 1], v[:, 1] = u[:, 0] ** 2 + 0.3 * u[:, 1], v[:, 0] ** 2 + 0.3 * v[:, 1]
    assert column_pairs(u, v).p > 0.01
    u[:, 1] = u[torch.from_numpy(np.random.default_rng(0).permutation(500)), 1]
    assert column_pairs(u, v).p == 1 / 201
    q, p = normals(500, 3, 2), normals(500, 3, 3)
    q[:, 2], p[:, 2] = (normals(500, 1, 4)[:, 0] > 0.8).double(), (p[:, 0] > 0.8).double()
    found = column_pairs(q, p, fields=(Field("a", (0,)), Field("b", (1,), missing=2)))
    assert found.p == 1 / 201


def test_sizes_are_the_rank_correlation_the_correlation_ratio_and_cramers_v():
    # Without a difference of the columns the ranks in the pool are those of each sample: here one is a copy.
    x = mixed(300, [1])
    both = column_pairs(x, x, fields=FIELDS, permutations=19)
    rows = {(row["first"], row["second"]): row for row in both.rows}
    a, count, kind = x[:, 0].numpy(), x[:, 1].numpy(), x[:, 4:7].argmax(1).numpy()
    assert rows["a", "count"]["fake"] == pytest.approx(stats.spearmanr(a, count)[0])
    ranks = stats.rankdata(a)
    means = np.array([ranks[kind == k].mean() for k in range(3)])
    between = (np.bincount(kind) * (means - ranks.mean()) ** 2).sum()
    assert rows["a", "kind"]["fake"] == pytest.approx(math.sqrt(between / ((ranks - ranks.mean()) ** 2).sum()))
    table = np.zeros((3, 4), int)
    np.add.at(table, (kind, x[:, 7:11].argmax(1).numpy()), 1)
    assert rows["kind", "town"]["fake"] == pytest.approx(stats.contingency.association(table, "cramer"))
    assert both.value == pytest.approx(0, abs=1e-12)
    assert both.p == 1


def test_a_column_that_is_another_reaches_the_smallest_p_among_any_number_of_pairs():
    for seed in range(2):
        q, p = normals(300, 120, seed), normals(300, 120, 100 + seed)
        q[:, 7] = q[:, 8]
        found = column_pairs(q, p, permutations=199, seed=seed)
        assert found.p == 1 / 200
        assert significant(found) == {frozenset("78")}


THIRTY = (Field("town", tuple(range(30)), "category", tuple(f"t{k}" for k in range(30))),)


def towns(n: int, seed: int, other: str, swapped: bool = False) -> tuple[Tensor, tuple[Field, ...]]:
    """Thirty levels that are equally common and a column that follows them, perhaps with the first and last swapped."""
    rng = np.random.default_rng([seed, 11])
    town = rng.integers(0, 30, n)
    if other == "number":
        beside, field = torch.from_numpy(town + rng.normal(size=(1, n))).T, Field("other", (30,))
    else:
        code = np.where(rng.random(n) < 0.2, rng.integers(0, 10, n), town // 3)
        beside, field = hot(code, 10), Field("other", tuple(range(30, 40)), "category", tuple("abcdefghij"))
    if swapped:
        town = np.where(town == 0, 29, np.where(town == 29, 0, town))
    return torch.cat([hot(town, 30), beside], 1), (*THIRTY, field)


@pytest.mark.parametrize("other", ["number", "category"])
def test_two_of_thirty_levels_that_stand_for_each_other_are_seen_and_what_levels_are_called_is_not(other):
    (q, fields), (p, _) = towns(500, 0, other, swapped=True), towns(500, 1, other)
    found = column_pairs(q, p, fields=fields, permutations=199)
    assert found.p == 1 / 200
    assert column_pairs(towns(500, 0, other)[0], p, fields=fields, permutations=199).p > 0.05
    order = torch.from_numpy(np.random.default_rng(0).permutation(30))
    turned = column_pairs(*(torch.cat([x[:, order], x[:, 30:]], 1) for x in (q, p)), fields=fields, permutations=199)
    assert turned.detail["statistic"].item() == pytest.approx(found.detail["statistic"].item(), rel=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("other", ["number", "category"])
def test_pairs_keep_their_level_where_a_category_has_many_levels(other):
    repeats = 400
    p = [
        column_pairs(towns(60, 2 * s, other)[0], *towns(140, 2 * s + 1, other)[:1], fields=towns(1, 0, other)[1],
                     permutations=39, seed=s).p
        for s in range(repeats)
    ]  # fmt: skip
    for level in (0.05, 0.2):
        assert (np.array(p) <= level).sum() <= stats.binom.ppf(0.9985, repeats, level)


def test_units_monotone_maps_and_the_order_of_columns_change_nothing():
    q, p = together(300, 3, 0.5, 0), together(250, 3, 0.2, 1)
    first = column_pairs(q, p)
    q[:, 0], p[:, 0], q[:, 1], p[:, 1] = 1e9 * q[:, 0] + 7, 1e9 * p[:, 0] + 7, q[:, 1].exp(), p[:, 1].exp()
    again = column_pairs(q.flip(1), p.flip(1), fields=tuple(Field(str(2 - k), (k,)) for k in range(3)))
    table, other = ({frozenset((r["first"], r["second"])): r for r in found.rows} for found in (first, again))
    for pair, row in table.items():
        for key in ("fake", "real", "distance", "floor", "p", "p_corrected"):
            assert other[pair][key] == pytest.approx(row[key])


def test_of_very_many_pairs_those_that_are_least_alike_are_found_and_the_number_is_said():
    q, p = normals(600, 80, 0), normals(600, 80, 1)
    q[:, 6] = 0.6 * q[:, 7] + 0.8 * q[:, 6]
    found = column_pairs(q, p)
    assert (found.rows[0]["first"], found.rows[0]["second"]) == ("6", "7")
    assert found.protocol["looked_at"] == "2,000 of 3,160, least alike on a quarter of the rows"
    assert len(found.rows) == 2000
    with pytest.raises(DataError, match="1 column makes no pair"):
        column_pairs(q[:, :1], p[:, :1])


def test_pairs_gone_through_level_by_level_are_ticked_and_may_be_left_when_time_is_over():
    def towns(seed: int) -> Tensor:
        rng = np.random.default_rng(seed)
        return torch.cat([*(hot(rng.integers(0, 12, 60), 12) for _ in range(3)), normals(60, 1, seed)], 1)

    fields = [Field(name, tuple(range(12 * k, 12 * k + 12)), "category", tuple("abcdefghijkl"))
              for k, name in enumerate(("born", "lives", "works"))]  # fmt: skip
    fields.append(Field("pay", (36,)))
    done = list[float]()
    column_pairs(towns(0), towns(1), fields=fields, permutations=19, tick=done.append)
    assert done == sorted(done)
    assert done[-1] == 1
    assert sum(0.5 <= one < 1 for one in done) >= 6  # at least once for each pair

    def late(share: float) -> None:
        if share > 0.6:
            raise OutOfTime("no time was left")

    with pytest.raises(OutOfTime):
        column_pairs(towns(0), towns(1), fields=fields, permutations=19, tick=late)


def test_the_work_level_by_level_is_reckoned_where_a_category_has_many_levels():
    x = torch.zeros(100, 24)

    def cost(levels: int) -> float:
        fields = tuple(
            Field(str(k), tuple(range(levels * k, levels * (k + 1))), "category", tuple("abcdefghijkl"[:levels]))
            for k in range(24 // levels)
        )
        return PARTS["pairs"].cost(Comparison(x, x, None, x, x, None, fields=fields))

    assert cost(12) > cost(8)
