"""What metrics take as samples: tensors, arrays of any numbers, and few rows; and what they say of too few."""

import math

import numpy as np
import pytest
import torch

from pushforward.errors import DataError
from pushforward.metrics import (
    PARTS,
    c2st,
    c2st_score,
    deep_kernel_test,
    energy_distance,
    evaluate,
    frechet_distance,
    frechet_limit,
    kid,
    kid_subsets,
    manifold,
    mmd,
    polynomial_mmd,
    sinkhorn,
    sliced_test,
    sliced_w2,
    w1,
    w2,
    wasserstein,
    wasserstein_1d,
)
from pushforward.metrics.columns.by_column import column_laws
from pushforward.metrics.columns.by_pair import column_pairs
from pushforward.metrics.copying.memorisation import memorisation
from pushforward.metrics.copying.recurrence import recurring
from pushforward.metrics.core.permutation import p_value, relabellings
from pushforward.metrics.core.reference import as_samples, check_compared

METRICS = {
    "c2st": c2st,
    "c2st_score": c2st_score,
    "deep": lambda q, p: deep_kernel_test(q, p, steps=5, permutations=19),
    "energy": energy_distance,
    "frechet": frechet_distance,
    "frechet_limit": frechet_limit,
    "kid": kid,
    "kid_subsets": lambda q, p: kid_subsets(q, p, subsets=3, size=20),
    "manifold": lambda q, p: manifold(q, p)["coverage"],
    "mmd": mmd,
    "sinkhorn": sinkhorn,
    "sliced_test": sliced_test,
    "sliced_w2": sliced_w2,
    "w1": w1,
    "w2": w2,
    "polynomial_mmd": polynomial_mmd,
    "wasserstein": wasserstein,
    "wasserstein_1d": lambda q, p: wasserstein_1d(q[:, 0], p[:, 0]),
}
FORMS = {
    "float64": lambda x: x,
    "whole numbers": lambda x: (4 * x).astype(np.int64),
    "small whole numbers": lambda x: (4 * x).astype(np.int8),
    "big-endian, backwards": lambda x: x.astype(">f8")[::-1],
    "float16": lambda x: x.astype(np.float16),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", METRICS)
def test_arrays_score_what_tensors_do(name, form):
    rng = np.random.default_rng(0)
    q, p = FORMS[form](rng.normal(0.3, 1, (40, 2))), FORMS[form](rng.normal(0, 1, (40, 2)))
    tensors = (torch.from_numpy(x.astype(np.float64)) for x in (q, p))
    assert METRICS[name](q, p) == METRICS[name](*tensors)


def test_arrays_of_float32_stay_what_they_are_and_share_their_memory():
    x = np.zeros((3, 2), np.float32)
    found = as_samples("fake", x)
    assert found.dtype == torch.float32
    assert found.data_ptr() == x.ctypes.data


@pytest.mark.parametrize("x", [np.array([["a"], ["b"]]), np.array([[1 + 2j], [3]])])
def test_what_is_no_array_of_numbers_is_refused(x):
    with pytest.raises(DataError, match=r"fake is .* of shape \(2, 1\): give a tensor or an array of numbers"):
        check_compared(x, np.zeros((2, 1)))


@pytest.mark.parametrize("sizes", [(k, k) for k in range(2, 7)] + [(3, 40), (40, 3)], ids=str)
def test_with_few_rows_every_part_measures_or_says_in_a_line_why_not(sizes):
    rng = np.random.default_rng(1)
    q, p = (torch.from_numpy(rng.normal(size=(k, 3))) for k in sizes)
    train = torch.from_numpy(rng.normal(size=(min(sizes), 3)))
    for t in (None, train):
        usable = {"points"} | (set() if t is None else {"train"})
        parts = [part for part in PARTS.values() if part.needs <= usable and part.name not in ("deep", "c2st_net")]
        report = evaluate(q, p, train=t, metrics=parts, permutations=19)
        assert {"mmd", "precision", "sliced_w2", "w2"} <= set(report)
        left = [line.split(" left out: ")[0] for line in report.warnings if " left out: " in line]
        found = {name.split("@")[0].split("[")[0] for name in report}
        assert all(part.name in left or found & set(part.gives) for part in parts)
        assert "manifold" not in left
        assert report["precision"].protocol["k"] == min(5, min(sizes) - 1)
        assert ("note" in report["precision"].protocol) == (min(sizes) < 6)


@pytest.mark.parametrize("n", [2, 3, 4])
def test_a_p_value_out_of_reach_is_known_in_advance(n):
    rng = np.random.default_rng(n)
    q, p = rng.normal(50, 1, (n, 2)), rng.normal(0, 1, (n, 2))
    bound = 2 / math.comb(2 * n, n)
    for test in (mmd, energy_distance, sliced_test):
        measure = test(q, p, permutations=999)
        assert measure.protocol["smallest_p"] == pytest.approx(bound)
        assert measure.p == pytest.approx(bound, rel=0.35)  # so far apart that no other relabelling comes near
    assert "smallest_p" not in mmd(q, p, permutations=1).protocol
    assert "smallest_p" not in mmd(rng.normal(size=(20, 2)), p, permutations=19).protocol or n < 3


def test_the_bound_of_a_classifier_is_that_of_the_rows_held_out():
    rng = np.random.default_rng(0)
    measure = c2st(rng.normal(9, 1, (8, 2)), rng.normal(0, 1, (8, 2)), permutations=999)
    assert measure.protocol["smallest_p"] == pytest.approx(1 / math.comb(8, 4))
    assert measure.p > 0.5 / 70  # 14 of 999 relabellings put the labels back as they were, give or take 4


def test_all_distinct_relabellings_give_the_bound_exactly():
    labels = {tuple(line.tolist()) for line in relabellings(2, 2, 500)}
    assert len(labels) == math.comb(4, 2)
    values = torch.tensor([1.0, *[1.0 if line[0] == line[1] else 0.0 for line in labels]])
    assert p_value(values) == pytest.approx((1 + 2) / 7)


def test_columns_pairs_and_memory_take_arrays_too():
    rng = np.random.default_rng(5)
    q, p, t = (rng.normal(size=(60, 3)) for _ in range(3))
    tensors = [torch.from_numpy(x) for x in (q, p, t)]
    assert column_laws(q, p, t, permutations=19) == column_laws(*tensors, permutations=19)
    assert column_pairs(q, p, permutations=19) == column_pairs(*tensors[:2], permutations=19)
    assert memorisation(q, p, t, permutations=19) == memorisation(*tensors, permutations=19)
    assert recurring(t, p, t) == recurring(tensors[2], tensors[1], tensors[2]) != ()
