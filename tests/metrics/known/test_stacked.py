"""Stacked digits: triples and their labels, exact expectations, perfect and collapsed samplers."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from pushforward.errors import DataError
from pushforward.metrics.known.shares import expected_kl
from pushforward.metrics.known.stacked import stack_digits, stacked_modes


def flat_digits(labels):
    """A picture of each digit: all pixels are its value."""
    return labels.double()[:, None, None, None].expand(len(labels), 1, 4, 4)


def read(x):
    return x.mean((1, 2, 3)).round().long()


def read_logits(x):
    return -(x.mean((1, 2, 3))[:, None] - torch.arange(10.0)).square()


def perfect(n, seed, shares=None):
    labels = torch.arange(10)
    rng = torch.Generator().manual_seed(seed)
    weights = torch.ones(10) if shares is None else torch.as_tensor(shares)
    drawn = torch.multinomial(weights, 3 * n, replacement=True, generator=rng)
    return flat_digits(labels)[drawn].reshape(n, 3, 4, 4)


def test_channels_are_the_digits_of_the_label():
    labels = torch.arange(10).repeat(3)
    images, triples = stack_digits(flat_digits(labels), labels, 500, seed=3)
    assert images.shape == (500, 3, 4, 4)
    for channel, place in enumerate((100, 10, 1)):
        assert torch.equal(read(images[:, channel : channel + 1]), triples // place % 10)
    again, _ = stack_digits(flat_digits(labels)[:, 0], labels, 500, seed=3)
    assert torch.equal(again, images)
    other, _ = stack_digits(flat_digits(labels), labels, 500, seed=4)
    assert not torch.equal(other, images)


def test_triples_are_independent_and_uniform():
    labels = torch.arange(10)
    _, triples = stack_digits(flat_digits(labels), labels, 26_000, seed=0)
    assert stats.chisquare(np.bincount(triples.numpy(), minlength=1000)).pvalue > 0.01


@pytest.mark.parametrize("classify", [read, read_logits])
def test_perfect_sampler_scores_the_floors_at_the_published_size(classify):
    found = stacked_modes(perfect(26_000, 0), classify, features="flat")
    modes, kl = found["stacked_modes"], found["stacked_kl"]
    assert modes.value == 1000
    assert modes.floor == pytest.approx(1000 * (1 - 0.999**26_000), rel=1e-12)
    assert kl.floor == pytest.approx(999 / 52_000, rel=0.01)
    assert kl.value == pytest.approx(kl.floor, rel=4 * (2 / 999) ** 0.5)  # chi-square with 999 degrees
    assert kl.p > 0.001
    assert kl.protocol["samples"] == 26_000
    assert "note" not in kl.protocol
    assert kl.protocol["channel_classifier"] == "flat"


def test_floors_are_the_means_over_perfect_samplers_even_where_modes_hold_few_samples():
    shares = torch.linspace(1, 2, 10)
    found = [stacked_modes(perfect(600, i, shares), read, shares, draws=0) for i in range(150)]
    for name in ("stacked_modes", "stacked_kl"):
        values = np.array([measures[name].value for measures in found])
        assert abs(values.mean() - found[0][name].floor) < 3.5 * values.std() / 150**0.5
    assert found[0]["stacked_kl"].p is None
    assert "600 samples" in found[0]["stacked_modes"].protocol["note"]


def test_p_values_of_perfect_samplers_are_uniform_even_where_modes_hold_few_samples():
    values = np.array([stacked_modes(perfect(500, i), read, draws=39, seed=i)["stacked_kl"].p for i in range(150)])
    smooth = values - np.random.default_rng(0).uniform(0, 1 / 40, 150)
    assert stats.kstest(smooth, "uniform").pvalue > 0.01


def test_collapsed_samplers_are_caught():
    one = stacked_modes(perfect(1, 0).repeat(500, 1, 1, 1), read)
    assert one["stacked_modes"].value == 1
    assert one["stacked_kl"].value == pytest.approx(math.log(1000), rel=1e-12)
    assert one["stacked_kl"].p == 1 / 1000
    assert int(one["stacked_kl"].detail["counts"].max()) == 500
    grey = perfect(3000, 0)[:, :1].repeat(1, 3, 1, 1)  # all three channels alike: ten modes
    found = stacked_modes(grey, read)
    assert found["stacked_modes"].value == 10
    assert found["stacked_kl"].value == pytest.approx(math.log(100), abs=0.01)
    counts = found["stacked_kl"].detail["counts"]
    assert int(counts.sum()) == sum(int(counts[k, k, k]) for k in range(10)) == 3000


def test_expected_divergence_is_its_mean_over_draws_and_first_order_for_many_samples():
    rng = np.random.default_rng(0)
    law, reference = rng.dirichlet(np.ones(20)), np.full(20, 0.05)
    draws = rng.multinomial(40, law, size=20_000) / 40
    values = np.sum(draws * np.log(np.where(draws > 0, draws / reference, 1)), 1)
    assert abs(values.mean() - expected_kl(40, law, reference)) < 3.5 * values.std() / 20_000**0.5
    limit = float(np.sum(law * np.log(law / reference)))
    assert expected_kl(10**6, law, reference) == pytest.approx(limit + 19 / 2e6, abs=1e-8)
    assert expected_kl(10**5, reference, reference) == pytest.approx(19 / 2e5, rel=1e-3)
    # One sample is all of the frequencies.
    assert expected_kl(1, reference, reference) == pytest.approx(math.log(20), rel=1e-12)


def test_inputs_that_do_not_fit_are_refused():
    with pytest.raises(DataError, match="stacked digits are"):
        stacked_modes(torch.zeros(5, 1, 4, 4), read)
    with pytest.raises(DataError, match="wanted 10 classes"):
        stacked_modes(torch.zeros(5, 3, 4, 4), lambda x: torch.zeros(len(x), 3))
    with pytest.raises(DataError, match="grey images"):
        stack_digits(torch.zeros(5, 3, 4, 4), torch.zeros(5), 2)
    with pytest.raises(DataError, match="digits are 0 to 9"):
        stack_digits(torch.zeros(5, 4, 4), torch.arange(8, 13), 2)
