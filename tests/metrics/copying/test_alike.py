"""Rows that are one but for rounding or noise are known again, repeats are a test, and nothing honest is accused."""

import numpy as np
import pytest
import torch
from scipy.stats import binom

from pushforward.metrics.copying.alike import joined
from pushforward.metrics.copying.findings import found
from pushforward.metrics.copying.memorisation import memorisation
from pushforward.metrics.copying.recurrence import recurring
from pushforward.metrics.copying.repetition import LEVEL, Tally, excess
from pushforward.metrics.copying.rows import keys
from pushforward.metrics.evaluate import evaluate
from pushforward.metrics.suite import PARTS

from .test_copied import levels, mixed, tensors


def names(*arrays):
    return [one.name for one in recurring(*tensors(*arrays))]


def bought(n, rng, share):
    """Customers with two numbers; some bought nothing."""
    nothing = rng.random((n, 1)) < share
    return np.where(nothing, 0.0, np.c_[rng.lognormal(3, 1, n), rng.lognormal(1, 0.5, n)])


HONEST = {
    "bought .02": lambda n, rng: bought(n, rng, 0.02),
    "bought .05": lambda n, rng: bought(n, rng, 0.05),
    "bought .1": lambda n, rng: bought(n, rng, 0.1),
    "bought .3": lambda n, rng: bought(n, rng, 0.3),
    "money": lambda n, rng: rng.lognormal(6, 1, (n, 2)).round(2),
    "rounded": lambda n, rng: rng.normal(size=(n, 3)).round(1),
    "line rounded": lambda n, rng: rng.normal(size=(n, 1)).round(3),
    "counts": lambda n, rng: rng.poisson(3, (n, 4)).astype(float),
    "integers": lambda n, rng: rng.integers(0, 5000, (n, 1)).astype(float),
    "logs": lambda n, rng: np.log1p(rng.integers(0, 5000, (n, 2))),
    "levels": levels,
    "mixed": mixed,
    "unit": lambda n, rng: np.where(rng.random((n, 1)) < 0.05, np.eye(6)[2], mixed(n, rng)),
    "spikes": lambda n, rng: rng.integers(0, 50, (n, 2)) + 1e-3 * rng.normal(size=(n, 2)),
    "steep": lambda n, rng: rng.normal(size=(n, 2)) * rng.random((n, 1)) ** 40,
}
SIZES = ((400, 100), (500, 50), (1000, 60), (60, 1000), (300, 300), (400, 100, 800), (100, 300, 200))


@pytest.mark.parametrize("law", HONEST)
def test_honest_samples_are_accused_by_no_repetition_at_unequal_sizes(law):
    accused = 0
    for sizes in SIZES:
        for seed in range(3):
            rng = np.random.default_rng([seed, *sizes])
            accused += bool(names(*(HONEST[law](n, rng) for n in sizes)))
    assert accused == 0  # of 21 runs, 315 in all; levels are .001 and below


def test_a_law_with_a_point_of_its_own_keeps_the_level_at_any_sizes():
    runs = 50
    for n, m in ((400, 100), (500, 50)):
        fired = 0
        for seed in range(runs):
            rng = np.random.default_rng(seed)
            fired += "repeats" in names(bought(n, rng, 0.02), bought(m, rng, 0.02))
        assert fired <= binom.ppf(0.999, runs, LEVEL)


def rows(role, values):
    kinds, counts = np.unique(np.array(values, np.uint64), return_counts=True)
    return Tally(role, np.array(values, np.uint64), kinds, counts, np.ones(len(kinds), bool), True, True)


def test_the_chance_of_repeats_is_exact_for_one_kind_and_a_bound_for_more():
    one = rows("fake", [0, 0, 0, 1, 2, 3]), rows("real", [4, 5, 6, 7])
    assert excess(one[0], one[1:]) == pytest.approx(6 * 5 * 4 / (10 * 9 * 8))
    rng = np.random.default_rng(0)
    pooled = np.repeat(np.arange(40), rng.integers(1, 4, 40))
    found, tails = [], []
    for _ in range(800):
        drawn = rng.permutation(pooled)
        sets = rows("fake", drawn[:50]), rows("real", drawn[50:])
        found.append(excess(sets[0], sets[1:]))
    for level in (0.01, 0.05, 0.2):
        tails.append(sum(p <= level for p in found))
        assert tails[-1] <= binom.ppf(0.9999, 800, level)


def test_samples_that_repeat_fewer_rows_than_data_are_not_said_to_repeat_any():
    rng = np.random.default_rng(0)
    born = rng.integers(1934, 2006, (2, 500))
    q = np.c_[born[0], 2024 - born[0] + rng.integers(-1, 2, 500)]
    p = np.c_[born[1], 2024 - born[1]]
    assert len(np.unique(q, axis=0)) > len(np.unique(p, axis=0))
    assert "repeats" not in names(q, p)


def significant(x, digits):
    return np.array([[float(f"{value:.{digits}g}") for value in row] for row in x])


NEARLY = {
    "6 digits": lambda x, rng: significant(x, 6),
    "noise 1e-9": lambda x, rng: x + 1e-9 * rng.normal(size=x.shape),
    "noise 1e-6": lambda x, rng: x + 1e-6 * rng.normal(size=x.shape),
    "in tens of millions": lambda x, rng: x + 1e-7,
}


@pytest.mark.parametrize("way", NEARLY)
@pytest.mark.parametrize("columns", [2, 5, 16])
def test_rows_that_storage_or_noise_moved_are_rows_of_the_other_set(way, columns):
    rng = np.random.default_rng(columns)
    f, p, t = (rng.normal(size=(n, columns)) for n in (300, 300, 600))
    move = NEARLY[way]
    for others in ((p,), (p, t)):
        finding = recurring(*tensors(rng.permutation(move(p, rng)), *others))[0]
        assert (finding.name, finding.numbers["rows"]) == ("same", 300)
    tenth = np.r_[move(p[:30], rng), f[30:]]
    assert [(one.name, one.numbers["rows"]) for one in recurring(*tensors(tenth, p, t))] == [("same", 30)]
    leaked = np.r_[move(t[:150], rng), p[150:]]
    assert [(one.name, one.numbers["rows"]) for one in recurring(*tensors(f, leaked, t))] == [("leak", 150)]
    assert "but for rounding or noise" in recurring(*tensors(f, leaked, t))[0].words
    assert names(move(t, rng), p, t) == ["copies"]


@pytest.mark.parametrize("noise", [0.0, 1e-9, 1e-6])
def test_a_twentieth_of_the_samples_at_one_point_and_rows_doubled_are_repeats(noise):
    rng = np.random.default_rng(0)
    f, p, t = (rng.normal(size=(n, 5)) for n in (400, 400, 800))
    point = np.r_[f[0] + noise * rng.normal(size=(20, 5)), f[20:]]
    doubled = np.r_[f[:300], f[:100] + noise * rng.normal(size=(100, 5))]
    for q, more in ((point, 19), (doubled, 100)):
        for others in ((p,), (p, t)):
            (finding,) = recurring(*tensors(q, *others))
            assert (finding.name, finding.against, finding.numbers["alone"]) == ("repeats", True, more)


def test_numbers_on_a_grid_are_joined_to_it_and_not_to_their_neighbours():
    rng = np.random.default_rng(0)
    x = rng.integers(0, 40, (400, 2)) / 10
    off = x + 1e-12 * rng.normal(size=x.shape)
    given = tensors(off, x)
    near = joined(given, keys(given), 1)
    assert near is not None
    assert (near[0] == near[1]).all()
    assert len(np.unique(near[1])) == len(np.unique(x, axis=0))
    assert joined(given[1:], keys(given[1:]), 0) is None


@pytest.mark.parametrize("factor", [1e-300, 1e300, 1.0])
def test_how_near_is_near_goes_with_the_width_of_each_column(factor):
    rng = np.random.default_rng(0)
    p = rng.normal(size=(300, 3))
    q = p + 1e-9 * rng.normal(size=p.shape)
    scale = factor * np.array([1.0, 1e-5, 1e3])
    assert names(q * scale, p * scale) == ["same"]
    assert names(rng.normal(size=p.shape) * scale, p * scale) == []


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("copies", [1, 2, 3, 4])
def test_a_single_exact_copy_of_continuous_rows_is_said_and_doubted(copies, dtype):
    rng = np.random.default_rng(0)
    f, p, t = (torch.from_numpy(rng.normal(size=(n, 6))).to(dtype) for n in (300, 300, 600))
    assert found(memorisation(f, p, t, permutations=20)) == ()
    f[:copies] = t[:copies]
    report = evaluate(f, p, train=t, permutations=20, metrics=[PARTS["memorisation"]])
    (finding,) = [one for one in report.findings if one.name == "copies"]
    assert (finding.against, finding.numbers["rows"]) == (False, copies)
    assert f"{copies} of 300 samples" in finding.words
    leaked = torch.cat([t[:1], p[1:]])
    assert "copies" not in {one.name for one in found(memorisation(f, leaked, t, permutations=20))}


@pytest.mark.parametrize("law", ["bought .1", "money", "rounded", "integers", "logs", "unit", "steep"])
def test_equal_rows_of_honest_data_are_no_copies(law):
    for seed in range(3):
        rng = np.random.default_rng(seed)
        q, p, t = tensors(*(HONEST[law](n, rng) for n in (300, 100, 600)))
        assert "copies" not in {one.name for one in found(memorisation(q, p, t, permutations=20))}
