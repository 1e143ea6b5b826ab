"""Widths that no few rows decide, and what lies far beyond them: laws and closed forms."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from pushforward import evaluate
from pushforward.metrics import mmd
from pushforward.metrics.core.scale import FAR, draw_in, fit_scale
from pushforward.metrics.two_sample.classifier import c2st
from pushforward.metrics.two_sample.classifiers import boosting, forest, nearest, network
from pushforward.metrics.two_sample.deep_kernel import deep_kernel_test
from pushforward.metrics.two_sample.kernel import energy_distance
from pushforward.metrics.two_sample.sliced_test import sliced_test


def column(values):
    return torch.as_tensor(np.asarray(values, float)).reshape(-1, 1)


def width(values):
    return float(fit_scale(column(values)).width)


def quantiles(law, n=4001):
    """A sample without noise: the quantiles of a law at the middles of n equal parts."""
    return law.ppf((np.arange(n) + 0.5) / n)


LAWS = {"normal": stats.norm(3, 2), "Cauchy": stats.cauchy(0, 5), "uniform": stats.uniform(0, 4), "t": stats.t(2)}


@pytest.mark.parametrize("name", LAWS)
def test_the_width_of_a_continuous_law_is_its_middle_half_in_units_of_the_normal(name):
    law = LAWS[name]
    middle = (law.ppf(0.75) - law.ppf(0.25)) / (stats.norm.ppf(0.75) - stats.norm.ppf(0.25))
    assert width(quantiles(law)) == pytest.approx(middle, rel=2e-3)


@pytest.mark.parametrize(
    ("values", "right"),
    [
        ([0, 1] * 50, 1.0),
        ([0] * 99 + [1], 1.0),
        ([7] * 98 + [9, 1e9], 2.0),
        ([5] * 100, 1.0),
        ([0.1] * 20 + [0.1 + 2e-17], 1.0),
        ([0.1] * 60 + [np.nextafter(0.1, 1)] * 30 + [5.1] * 10, 5.0),
        ([1, 2, 3, 4, 5] * 20, 2 / 1.3489795),
        ([3, 4] * 10 + [4] * 80, 1.0),
    ],
    ids=["binary", "rare", "rarer, one far", "constant", "rounding", "rounding and others", "integers", "two levels"],
)
def test_the_width_of_columns_that_repeat_values(values, right):
    assert width(values) == pytest.approx(right, rel=1e-6)


@pytest.mark.parametrize("zeros", [0, 0.3, 0.45, 0.49, 0.51, 0.7, 0.74, 0.76, 0.9, 0.99])
def test_however_many_zeros_a_column_has_its_width_is_of_the_size_of_the_rest(zeros):
    rest = quantiles(stats.expon(), 10_000)
    kept = rest[np.random.default_rng(0).permutation(10_000)[: round(10_000 * (1 - zeros))]]
    assert 0.4 < width(np.concatenate([np.zeros(10_000 - len(kept)), kept])) < 1.2


@pytest.mark.parametrize("far", [1e9, 1e300, -1e308])
def test_a_quarter_of_the_rows_cannot_move_the_width_without_bound(far):
    x = quantiles(stats.norm(), 1000)
    assert width(np.concatenate([x, np.full(300, far)])) < 2.2
    assert width(np.concatenate([x, [far]])) == pytest.approx(width(x), rel=5e-3)


def test_widths_do_not_depend_on_the_order_of_rows_and_follow_units():
    x = torch.from_numpy(np.random.default_rng(0).standard_cauchy((301, 3)))
    scale, shuffled = fit_scale(x), fit_scale(x[torch.randperm(301)])
    assert scale.width.equal(shuffled.width)
    assert scale.centre.equal(shuffled.centre)
    other = fit_scale(x * 40 - 3)
    torch.testing.assert_close(other.width, 40 * scale.width)
    torch.testing.assert_close(other.standard(x * 40 - 3), scale.standard(x))


def test_values_keep_their_order_and_those_within_ten_widths_their_bits():
    scale = fit_scale(column(quantiles(stats.norm(5, 2))))
    x = column([*np.linspace(-16, 26, 500), *10.0 ** np.arange(2, 308, 3)])
    found = scale.drawn_in(x)
    near = (x - scale.centre).abs() <= FAR * scale.width
    assert found[near].equal(x[near])
    assert bool((found[1:] > found[:-1]).all())
    assert float(scale.standard(x).max()) < 17
    assert scale.far(x).tolist() == [int((~near).sum())]
    step = 1e-6 * float(scale.width)
    edge = float(scale.centre + FAR * scale.width)
    a, b, c = scale.drawn_in(column([edge - step, edge, edge + step])).flatten().tolist()
    assert (c - b) / (b - a) == pytest.approx(1, abs=1e-4)  # its slope has no jump


def test_rows_are_drawn_in_along_their_rays_and_turn_with_the_data():
    x = torch.from_numpy(np.random.default_rng(1).standard_normal((401, 3)))
    assert draw_in(x)[0] is x
    x[7], x[9] = 1e5 * x[7], 1e200 * x[9]
    found, far = draw_in(x)
    assert far == 2
    others = torch.arange(401)[(torch.arange(401) != 7) & (torch.arange(401) != 9)]
    assert found[others].equal(x[others])
    unit = float((x - x.median(0).values)[others].norm(dim=1).median())
    assert float(found.norm(dim=1).max()) < 18 * unit
    assert float(torch.cosine_similarity(found[7], x[7], 0)) > 0.999


RNG = np.random.default_rng(5)
REAL = np.stack([RNG.lognormal(10, 0.5, 500), RNG.normal(size=500)], 1)
FAKE = np.stack([RNG.lognormal(12, 0.1, 500), RNG.normal(size=500)], 1)


def outlying(values, fakes=0, reals=0):
    q, p = FAKE.copy(), REAL.copy()
    q[:fakes, 0], p[:reals, 0] = values, values
    return q, p


CASES = {
    "one": outlying(1e9, 1),
    "one of 1e300": outlying(1e300, 1),
    "three": outlying(1e9, 3),
    "one below": outlying(-1e300, 1),
    "in real": outlying(1e9, 0, 1),
    "in real, 1e300": outlying(1e300, 0, 3),
    "in both": outlying(1e12, 3, 3),
    "a tenth in both": outlying(1e9, 50, 50),
}


def frame(x, wide=0):
    import pandas as pd

    rng = np.random.default_rng(len(x) + int(abs(x[0, 0]) % 97))
    return pd.DataFrame({"inc": x[:, 0], "v": x[:, 1]} | {f"n{j}": rng.normal(size=len(x)) for j in range(wide)})


@pytest.mark.parametrize("wide", [0, 10], ids=["two columns", "twelve columns"])
@pytest.mark.parametrize("name", CASES)
def test_far_rows_blind_no_test_of_a_table(name, wide):
    q, p = CASES[name]
    report = evaluate(frame(q, wide), frame(p, wide), metrics="mmd,c2st", permutations=999)
    assert max(report[key].p for key in report) <= 0.003
    assert "Samples and data differ" in report.verdict  # beside the impossible values, where it starts with them
    assert any("column inc" in note and "beyond 10 widths" in note for note in report.notes)


def test_far_rows_in_many_columns_blind_no_test_of_a_table():
    import pandas as pd

    rng = np.random.default_rng(0)
    q, p = rng.normal(0.3, 1, (500, 12)), rng.normal(0, 1, (500, 12))
    for j in range(12):
        q[rng.integers(500), j] = 1e9 * 10**j
    report = evaluate(*(pd.DataFrame(x).add_prefix("n") for x in (q, p)), metrics="mmd,c2st")
    assert max(report[key].p for key in report) == 0.001
    assert any(note.startswith("12 of 12 columns") and "of 1,000" in note for note in report.notes)


def test_far_rows_blind_neither_fréchet_distance_nor_precision_nor_transport():
    q, p = CASES["one"]
    clean = evaluate(frame(FAKE), frame(REAL), metrics="fd,manifold,w2,sliced_w2")
    found = evaluate(frame(q), frame(p), metrics="fd,manifold,w2,sliced_w2")
    for (name, one), other in zip(clean.items(), found.values()):
        assert other.value == pytest.approx(one.value, rel=0.35, abs=0.02), name
    assert found[next(name for name in found if name.startswith("precision"))].value < 0.2


TESTS = {
    "mmd": mmd,
    "energy": energy_distance,
    "sliced": sliced_test,
    "logistic": c2st,
    "neighbours": lambda q, p, **rest: c2st(q, p, classifier=nearest, **rest),
    "network": lambda q, p, **rest: c2st(q, p, classifier=network, **rest),
    "trees": lambda q, p, **rest: c2st(q, p, classifier=boosting, **rest),
    "forest": lambda q, p, **rest: c2st(q, p, classifier=forest, **rest),
    "deep": deep_kernel_test,
}


@pytest.mark.parametrize("far", [1e9, 1e300])
@pytest.mark.parametrize("name", TESTS)
def test_far_rows_blind_no_test_of_an_array(name, far):
    rng = np.random.default_rng(3)
    q, p = torch.from_numpy(rng.normal(0.8, 1, (200, 2))), torch.from_numpy(rng.normal(0, 1, (200, 2)))
    q[3, 0], p[5, 1] = far, -far
    measure = TESTS[name](q, p, permutations=199)
    assert measure.p == 0.005
    if name in ("mmd", "energy", "sliced"):
        assert measure.protocol["note"].startswith("2 of 400 rows lie beyond")


def test_values_of_tests_are_those_of_the_rows_as_they_are_where_none_is_far():
    rng = np.random.default_rng(3)
    q, p = torch.from_numpy(rng.normal(0.5, 1, (60, 2))), torch.from_numpy(rng.normal(0, 1, (50, 2)))

    def mean(x, y, pairs):
        return float(torch.cdist(x, y).sum()) / pairs

    right = 2 * mean(q, p, 60 * 50) - mean(q, q, 60 * 59) - mean(p, p, 50 * 49)
    measure = energy_distance(q, p, permutations=19)
    assert measure.value == pytest.approx(right, rel=1e-9)
    assert "note" not in measure.protocol
    assert math.isfinite(measure.value)
