"""Sets that are one set, held-out rows that were learned from, and rows that are repeated are said before all else."""

import numpy as np
import pytest
import torch

from pushforward.errors import OutOfTime
from pushforward.metrics.copying.recurrence import recurring
from pushforward.metrics.copying.rows import keys, one_of_each
from pushforward.metrics.evaluate import evaluate
from pushforward.metrics.suite import PARTS

from .test_copied import LAWS, levels, tensors


def names(*arrays):
    return [one.name for one in recurring(*tensors(*arrays))]


def three(law, seed=0):
    rng = np.random.default_rng(seed)
    return LAWS[law](300, rng), LAWS[law](300, rng), LAWS[law](600, rng), rng


@pytest.mark.parametrize("law", LAWS)
def test_rows_drawn_apart_have_nothing_to_be_said_of(law):
    for seed in range(20):
        q, p, t, _ = three(law, seed)
        assert names(q, p, t) == []
        assert names(q, p) == []


@pytest.mark.parametrize("law", LAWS)
def test_a_set_compared_with_itself_is_said_in_any_order_and_storage(law):
    _, p, t, rng = three(law)
    for copy in (p, rng.permutation(p), p.astype(np.float32)):
        finding = recurring(*tensors(copy, p, t))[0]
        assert (finding.name, finding.against, finding.numbers["rows"]) == ("same", False, 300)
    assert "in the same order" in recurring(*tensors(p, p))[0].words
    assert "in another order" in recurring(*tensors(p[::-1], p))[0].words
    assert names(t, p, t) == ["copies"]
    assert names(rng.permutation(t), p, t) == ["copies"]


@pytest.mark.parametrize("law", ["line", "four", "sixteen", "mixed"])
def test_ten_rows_in_common_are_enough_where_data_are_continuous(law):
    q, p, t, _ = three(law)
    some = np.r_[p[:10], q[10:]]
    finding = recurring(*tensors(some, p, t))[0]
    assert (finding.name, finding.numbers["rows"]) == ("same", 10)
    leaked = np.r_[t[:10], p[10:]]
    finding = recurring(*tensors(q, leaked, t))[0]
    assert (finding.name, finding.against, finding.numbers["share"]) == ("leak", False, pytest.approx(1 / 30))


@pytest.mark.parametrize("law", LAWS)
def test_held_out_rows_that_are_training_rows_are_a_leak(law):
    q, _, t, _ = three(law)
    assert names(q, t[:300], t)[0] == "leak"


@pytest.mark.parametrize("share", [0.002, 0.005, 0.01])
def test_a_leak_is_seen_where_few_values_of_few_columns_are_telling(share):
    """As in pictures, whose pixels are 0 in nearly all rows: equal rows count by their number there."""
    rng = np.random.default_rng(round(1000 * share))

    def law(n):
        rare = np.where(rng.random((n, 60)) < share, rng.integers(1, 256, (n, 60)), 0)
        return np.concatenate([rare, rng.integers(0, 2, (n, 40))], 1).astype(float)

    q, p, t = law(200), law(200), law(400)
    assert names(q, np.concatenate([t[:100], p[100:]]), t) == ["leak"]
    assert names(np.concatenate([p[:100], q[100:]]), p, t) == ["same"]
    assert names(q, p, t) == []


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("times", [2, 3])
def test_rows_that_are_repeated_are_said(law, times):
    q, p, t, rng = three(law)
    repeated = recurring(*tensors(rng.permutation(np.repeat(q, times, 0)), p, t))
    assert [(one.name, one.against) for one in repeated] == [("repeats", True)]
    dependent = recurring(*tensors(q, np.repeat(p, times, 0), t))
    assert [(one.name, one.against, one.numbers["of"]) for one in dependent] == [("dependent", False, "real")]
    both = names(np.repeat(q, times, 0), np.repeat(p, times, 0), t)
    assert "dependent" in both


@pytest.mark.parametrize("law", ["line", "four", "sixteen", "mixed"])
@pytest.mark.parametrize("kinds", [1, 20])
def test_samples_of_few_kinds_repeat_rows(law, kinds):
    q, p, t, rng = three(law)
    finding = recurring(*tensors(q[rng.integers(0, kinds, 300)], p, t))[0]
    assert (finding.name, finding.numbers["distinct"]) == ("repeats", kinds)


def test_more_of_a_common_row_in_a_table_of_levels_is_another_law_and_no_repeat():
    rng = np.random.default_rng(0)
    two = [(rng.random((300, 1)) < share).astype(float) for share in (0.9, 0.5)]
    assert names(*two) == []


def test_long_rows_are_told_apart_by_all_their_columns():
    x = torch.zeros(4, 40, 40)
    x[1, 3, 5] = x[2, 3, 5] = 1
    (found,) = keys([x])
    assert found[1] == found[2]
    assert len(set(found.tolist())) == 2
    (again,) = keys([-0.0 * x.abs() + x], budget=1)
    assert (again == found).all()


def test_one_of_equal_rows_is_drawn_without_favour():
    rows = np.array([1, 1, 1, 2], np.uint64)
    drawn = sum(one_of_each(rows, np.random.default_rng(seed)).astype(int) for seed in range(300))
    assert drawn[3] == 300
    assert drawn[:3].sum() == 300
    assert drawn[:3].min() > 60


def test_an_evaluation_says_it_before_anything_else():
    p = levels(200, np.random.default_rng(0)) + np.random.default_rng(1).normal(size=(200, 6))
    report = evaluate(*tensors(p, p), metrics=[PARTS["manifold"]])
    assert report.findings[0].name == "same"
    assert report.warnings[0] == report.findings[0].words
    assert report.as_dict()["findings"][0]["rows"] == 200


@pytest.mark.parametrize(
    "law",
    [
        lambda n, rng: 1e8 + 20 * rng.normal(size=(n, 1)),
        lambda n, rng: 1e12 + rng.normal(size=(n, 1)),
        lambda n, rng: np.c_[1e12 + rng.normal(size=n), -1e9 + 1e-3 * rng.normal(size=n)],
        lambda n, rng: 1e-50 * rng.normal(size=(n, 2)),
        lambda n, rng: 1e-310 * rng.normal(size=(n, 2)),
        lambda n, rng: 1e300 * rng.normal(size=(n, 2)),
        lambda n, rng: 10**12 + rng.integers(0, 2**24, (n, 2)).astype(float),
        lambda n, rng: 2**25 + rng.integers(0, 2**16, (n, 1)).astype(float),
        lambda n, rng: 1e8 + 20 * rng.normal(size=(n, 200)).cumsum(1),
    ],
)
def test_rows_are_told_apart_to_the_bit_wherever_the_origin_lies(law):
    for seed in range(8):
        rng = np.random.default_rng(seed)
        q, p, t = law(300, rng), law(300, rng), law(600, rng)
        assert names(q, p, t) == []
        assert len(np.unique(keys(tensors(t))[0])) == len(np.unique(t, axis=0))
        assert names(rng.permutation(p), p, t) == ["same"]
        assert "leak" in names(q, t[:300], t)


@pytest.mark.parametrize("store", [np.float32, lambda x: x.astype(np.float32).astype(float), lambda x: np.round(x, 6),
                                   lambda x: np.round(x, 3)])  # fmt: skip
@pytest.mark.parametrize("law", ["four", "sixteen", "heavy"])
def test_a_set_that_was_saved_with_fewer_digits_is_known_again_and_no_other(law, store):
    for seed in range(6):
        q, p, t, rng = three(law, seed)
        finding = recurring(*(torch.from_numpy(x) for x in (store(rng.permutation(p)), p, t)))[0]
        assert (finding.name, finding.numbers["rows"]) == ("same", 300)
        assert "leak" in [one.name for one in recurring(*(torch.from_numpy(x) for x in (q, store(t[:200]), t)))]
        assert [one.name for one in recurring(*(torch.from_numpy(x) for x in (store(t), p, t)))] == ["copies"]
        assert recurring(*(torch.from_numpy(x) for x in (store(q), p, t))) == ()
        assert recurring(*(torch.from_numpy(x) for x in (q, p, store(t)))) == ()


@pytest.mark.parametrize("store", [np.float32, lambda x: np.round(x, 3), np.rint])
@pytest.mark.parametrize("offset", [0, 1e4, 1e8])
def test_rounding_that_makes_rows_meet_by_chance_accuses_nobody(store, offset):
    for seed in range(8):
        rng = np.random.default_rng(seed)
        q, p, t = (offset + 20 * rng.normal(size=(n, 1)) for n in (2000, 2000, 3000))
        given = [torch.from_numpy(x) for x in (store(q), p, t)]
        assert {one.name for one in recurring(*given)} <= ({"repeats"} if store is not np.float32 else set())
        assert not recurring(*(torch.from_numpy(x) for x in (q, p, np.float32(t))))


def test_equal_rows_are_looked_for_first_and_only_while_there_is_time():
    class Watch:
        def __init__(self, over):
            self.begun, self.over = [], over

        def begin(self, name, seconds):
            self.begun.append(name)
            if name in self.over:
                raise OutOfTime("no time was left for it")

        def tick(self, fraction):
            if f"{self.begun[-1]} {fraction:.0f}" in self.over:
                raise OutOfTime("cut")

    p = np.random.default_rng(1).normal(size=(200, 2))
    for over in ("equal rows", "equal rows 1"):
        watch = Watch({over})
        report = evaluate(*tensors(p, p), metrics=[PARTS["manifold"]], watch=watch)
        assert watch.begun == ["equal rows", "manifold"]
        assert report.warnings[0].startswith("equal rows left out: ")
        assert "same" not in {one.name for one in report.findings}
    assert evaluate(*tensors(p, p), metrics=[PARTS["manifold"]], watch=Watch(())).findings[0].name == "same"
