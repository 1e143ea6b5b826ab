"""The permutation engine: labels, exact p-values for any statistic, ties."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from pushforward.errors import DataError, UsageError
from pushforward.metrics.core.permutation import (
    halves,
    label_sums,
    p_value,
    permutation_measure,
    permutation_values,
    relabellings,
)
from pushforward.metrics.core.result import Measure
from pushforward.metrics.verdict.report import Report


def test_every_labelling_has_n_of_q_and_the_first_is_the_one_seen():
    labels = relabellings(5, 8, 30)
    assert labels.shape == (31, 13)
    assert labels.dtype == torch.bool
    assert (labels.sum(1) == 5).all()
    assert labels[0].tolist() == [True] * 5 + [False] * 8
    assert torch.equal(labels, relabellings(5, 8, 30))
    assert not torch.equal(labels, relabellings(5, 8, 30, seed=1))


def test_who_changes_its_labels_changes_no_one_elses():
    wanted = relabellings(5, 8, 30).clone()
    relabellings(5, 8, 30).logical_not_()
    assert torch.equal(relabellings(5, 8, 30), wanted)


def test_all_labellings_are_equally_likely():
    labels = relabellings(2, 3, 20_000)[1:].int()
    codes = (labels * torch.tensor([16, 8, 4, 2, 1])).sum(1)
    counts = codes.bincount(minlength=32)
    found = counts[counts > 0]
    assert len(found) == 10
    # Chi-square with 9 degrees of freedom; its 99.9 % quantile is 27.9.
    assert float(((found - 2000) ** 2 / 2000).sum()) < 27.9


def test_p_value_counts_the_value_seen():
    assert p_value(torch.tensor([2.0, 1.0, 3.0, 0.0])) == 0.5
    assert p_value(torch.tensor([5.0] + [0.0] * 19)) == 1 / 20
    assert p_value(torch.tensor([-1.0, 0.0, 0.0])) == 1.0
    assert p_value(torch.tensor([1.0])) is None


def test_ties_up_to_rounding_count_against_rejection():
    seen = torch.tensor([1.0, 1.0 - 1e-14, 1.0 + 1e-14, 0.0], dtype=torch.float64)
    assert p_value(seen) == 0.75
    small = torch.tensor([3e-16, 1e-16, -2e-16], dtype=torch.float64)
    assert p_value(small) == 1 / 3
    assert p_value(small, rounding=1e-13) == 1.0


def test_permutation_p_values_are_uniform_on_their_grid_and_would_be_zero_too_often_without_the_plus_one():
    rng = np.random.default_rng(0)
    p, zero = [], 0
    for i in range(1000):
        x = torch.from_numpy(rng.exponential(size=(24, 1)))
        values = permutation_values(lambda a, b: float((a.mean() - b.mean()).abs()), x[:10], x[10:], 19, seed=i)
        p.append(p_value(values))
        zero += int((values[1:] >= values[0]).sum() == 0)
    counts = np.bincount(np.rint(np.array(p) * 20).astype(int), minlength=21)[1:]
    # Chi-square with 19 degrees of freedom; its 99.9 % quantile is 43.8.
    assert ((counts - 50) ** 2 / 50).sum() < 43.8
    assert abs(zero / 1000 - 0.05) < 3 * (0.05 * 0.95 / 1000) ** 0.5


def test_a_statistic_of_few_values_rejects_no_more_often_than_asked():
    rng = np.random.default_rng(0)
    p = []
    for i in range(500):
        x = torch.from_numpy(rng.integers(0, 2, (20, 1))).double()
        p.append(p_value(permutation_values(lambda a, b: float(a.mean() - b.mean()), x[:10], x[10:], 39, seed=i)))
    p = np.array(p)
    for level in (0.05, 0.1, 0.25, 0.5):
        assert (p <= level).mean() <= level + 3 * (level * (1 - level) / 500) ** 0.5
    assert p.max() == 1.0


def test_permutation_values_are_those_of_the_relabelled_samples():
    q, p = torch.arange(4.0)[:, None], torch.arange(4.0, 10.0)[:, None]
    values = permutation_values(lambda a, b: float(a.sum() - b.sum()), q, p, 7, seed=2)
    labels = relabellings(4, 6, 7, seed=2).double()
    pool = torch.cat([q, p])[:, 0].double()
    torch.testing.assert_close(values, labels @ pool - (1 - labels) @ pool)


def test_label_sums_do_not_depend_on_the_budget():
    labels, values = relabellings(30, 20, 25), torch.randn(50, dtype=torch.float64)
    torch.testing.assert_close(label_sums(labels, values, budget=1), labels.double() @ values)
    assert label_sums(labels, values)[0].item() == pytest.approx(values[:30].sum().item())


def test_halves_part_the_rows():
    x = torch.arange(21)[:, None]
    first, second = halves(x, np.random.default_rng(0), 1 / 3)
    assert (len(first), len(second)) == (7, 14)
    assert torch.cat([first, second])[:, 0].sort().values.tolist() == list(range(21))
    assert not torch.equal(first, x[:7])


def test_parts_too_small_to_use_are_refused():
    with pytest.raises(DataError, match="3 rows"):
        halves(torch.zeros(3, 1), np.random.default_rng(0))
    with pytest.raises(UsageError, match="permutations is -1"):
        relabellings(3, 3, -1)


def test_a_test_of_unknown_floor_gets_the_mean_of_its_relabelled_values():
    values = torch.tensor([3.0, 1.0, 2.0, 6.0], dtype=torch.float64)
    measure = permutation_measure(values, (5, 6), "raw", {"seed": 1})
    assert (measure.value, measure.floor, measure.p) == (3.0, 3.0, 0.5)
    assert (measure.n_fake, measure.n_real, measure.protocol["permutations"]) == (5, 6, 3)
    assert measure.detail["null"].tolist() == [1.0, 2.0, 6.0]
    assert permutation_measure(values, (5, 6), "raw", {}, floor=0.0).floor == 0.0
    assert permutation_measure(values[:1], (5, 6), "raw", {}).floor is None


def test_a_verdict_of_too_few_relabellings_says_so():
    seen = [Measure(1.0, 0.0, p=0.05, protocol={"permutations": 19}) for _ in range(2)]
    assert Report({"a": seen[0], "b": seen[1]}).verdict.endswith("cannot fall below 1/20: use 40 permutations or more.")
    more = Measure(1.0, 0.0, p=0.05, protocol={"permutations": 99})
    assert Report({"a": more, "b": more}).verdict == "Not told apart: 2 tests, smallest p 0.05, level 5 % after Holm."
    assert "differ: a (p 0.025)" in Report({"a": replace(seen[0], p=1 / 40, protocol={"permutations": 39})}).verdict


@pytest.mark.parametrize("broken", [float("nan"), float("inf")])
def test_a_statistic_that_is_not_finite_is_refused_and_never_significant(broken):
    for values in ([broken, 1.0, 2.0], [1.0, broken, 2.0]):
        with pytest.raises(DataError, match="not finite"):
            p_value(torch.tensor(values, dtype=torch.float64))


def test_samples_too_large_for_their_squares_are_refused_and_not_told_apart():
    from pushforward.metrics import mmd

    q, p = (torch.from_numpy(np.random.default_rng(i).normal(size=(20, 2)) * 1e200) for i in range(2))
    with pytest.raises(DataError):
        mmd(q, p, permutations=19)


def test_fewer_than_two_rows_are_refused():
    from pushforward.metrics import energy_distance

    with pytest.raises(UsageError, match="max_n is 1"):
        energy_distance(torch.zeros(5, 1), torch.ones(5, 1), max_n=1)
