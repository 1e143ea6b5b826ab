"""All two-sample tests keep their level on equal laws, and find what they should: 1,000 pairs of samples each."""

import importlib.util
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from pushforward.geometry import median_bandwidth, rbf, squared_distances
from pushforward.metrics.core.permutation import p_value, relabellings
from pushforward.metrics.two_sample.kernel import FACTORS, mmd
from pushforward.metrics.two_sample.quadratic import relabelled_mmd

script = Path(__file__).parents[2] / "scripts/calibration.py"
spec = importlib.util.spec_from_file_location("calibration", script)
assert spec is not None
assert spec.loader is not None
calibration = importlib.util.module_from_spec(spec)
spec.loader.exec_module(calibration)

EQUAL = partial(calibration.gaussians, 50, 60, 5, 0.0)
DEAR = {"C2ST, network": 500, "C2ST, boosting": 1000, "MMD, deep kernel": 350}


def check_level(p, uniform=True):
    """The share of rejections at 5 % and at 10 % lies in its exact band, and the p-values are uniform."""
    for level in (0.05, 0.1):
        low, high = calibration.band(len(p), level)
        assert low <= (p <= level).mean() <= high
    if uniform:
        assert calibration.uniformity(p) > 0.001


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in calibration.CHEAP if name != "C2ST, neighbours"])
def test_p_values_of_equal_laws_are_uniform(name):
    check_level(calibration.p_values(calibration.CHEAP[name], EQUAL, 1000))


@pytest.mark.slow
def test_p_values_of_votes_are_uniform_but_for_their_ties():
    p = calibration.p_values(calibration.CHEAP["C2ST, neighbours"], EQUAL, 1000)
    check_level(p, uniform=False)


@pytest.mark.slow
@pytest.mark.parametrize("name", DEAR)
def test_p_values_of_equal_laws_are_uniform_for_what_learns(name):
    check_level(calibration.p_values(calibration.DEAR[name], EQUAL, DEAR[name]), uniform=name != "C2ST, boosting")


@pytest.mark.slow
def test_the_binomial_p_value_rejects_no_more_often_than_asked():
    test = calibration.CHEAP["C2ST, logistic"]
    p = np.array([test(*EQUAL(seed), seed).protocol["binomial_p"] for seed in range(1000)])
    for level in (0.05, 0.1):
        assert (p <= level).mean() <= calibration.band(1000, level)[1]


def test_the_best_of_several_lengths_on_the_rows_tested_is_no_test():
    def best(q, p, seed):
        centre = median_bandwidth(q, p)
        lengths = [rbf(factor * centre) for factor in FACTORS]

        def matrices(x, y):
            squared = squared_distances(x, y)
            return [kernel.profile(squared) for kernel in lengths]

        values, _ = relabelled_mmd(torch.cat([q, p]), relabellings(len(q), len(p), 99, seed=seed), matrices)
        return min(p_value(line) for line in values)

    share = np.mean([best(*EQUAL(seed), seed) <= 0.05 for seed in range(1000)])
    assert share > calibration.band(1000)[1]  # which "aggregated" and "split" do not pass, above


@pytest.mark.parametrize(
    ("name", "shift", "wanted"),
    [
        ("MMD, mean of lengths", 0.25, 0.48),
        ("MMD, mean of lengths", 0.5, 1.0),
        ("energy", 0.25, 0.52),
        ("energy", 0.5, 0.99),
    ],
)
def test_a_shift_is_found_as_often_as_it_should_be(name, shift, wanted):
    p = calibration.p_values(calibration.CHEAP[name], partial(calibration.gaussians, 50, 50, 5, shift), 300)
    low, high = calibration.band(300, min(wanted, 0.99))
    assert low <= (p <= 0.05).mean() <= high


@pytest.mark.parametrize("name", calibration.CHEAP)
def test_power_grows_with_the_shift(name):
    far, near = (
        (calibration.p_values(calibration.CHEAP[name], partial(calibration.gaussians, 50, 50, 5, shift), 60) <= 0.05)
        for shift in (1.0, 0.4)
    )
    assert far.mean() > 0.9
    assert far.mean() >= near.mean() > 0.15


def test_a_missing_mode_is_found_more_often_than_an_equal_law_is_rejected():
    test = calibration.CHEAP["MMD, mean of lengths"]
    missing = calibration.p_values(test, lambda seed: calibration.rings(200, 200, 0.0, seed), 60)
    assert (missing <= 0.05).mean() > calibration.band(60)[1]


def test_a_length_set_by_the_pool_is_the_same_for_every_labelling():
    q, p = EQUAL(0)
    pool = torch.cat([q, p])
    mixed = pool[torch.randperm(110, generator=torch.Generator().manual_seed(0))]
    one, other = (mmd(x[:50], x[50:], permutations=0).protocol["bandwidth"] for x in (pool, mixed))
    assert one == pytest.approx(other, rel=1e-12)
