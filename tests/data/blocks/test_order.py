"""Laws of the order of many rows: every row as often, everywhere, the same wherever they lie, and read in pieces."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pushforward.data.batches import Batches
from pushforward.data.blocks import order
from pushforward.data.blocks.limits import VARIABLE
from pushforward.data.blocks.order import Order, is_windowed
from pushforward.data.source import load
from pushforward.randomness import generator

ROW = 8  # bytes


@pytest.fixture
def small(monkeypatch):
    """Windows of 64 rows in blocks of 8."""
    monkeypatch.setattr(order, "BLOCK", 8 * ROW)
    monkeypatch.setattr(order, "WINDOW", 64 * ROW)
    monkeypatch.setattr(order, "ROWS", 100)


@pytest.mark.parametrize(("n", "row"), [(70_001, 4000), (2_000_003, 256)])
def test_every_epoch_of_many_rows_visits_each_once(n, row):
    assert is_windowed(n, row)
    found = Order(n, row, seed=3)
    for epoch in range(2):
        assert np.array_equal(np.sort(found.rows(epoch * n, (epoch + 1) * n)), np.arange(n))


@pytest.mark.parametrize("n", [1000, 1003, 1024])
def test_every_epoch_of_windows_of_any_number_visits_each_row_once(small, n):
    stream = Order(n, ROW, seed=0).rows(0, 5 * n).reshape(5, n)
    assert np.array_equal(np.sort(stream), np.tile(np.arange(n), (5, 1)))
    assert not np.array_equal(stream[0], stream[1])


@pytest.mark.parametrize(("n", "row"), [(1, 8), (110_000, 8), (2**16, 4096), (70_000, 1 << 14)])
def test_few_or_long_rows_are_permuted_freely(n, row):
    assert not is_windowed(n, row)
    whole = generator(5, "data", 1, part="order").permutation(np.arange(n, dtype=np.int32))
    assert np.array_equal(Order(n, row, seed=5).rows(n, 2 * n), whole)


def test_each_place_holds_each_row_with_the_same_probability(small):
    n, seeds = 203, 8000  # the last block has 3 rows
    places = [0, 7, 66, 67, 101, 202]
    counts = np.zeros((len(places), n))
    for seed in range(seeds):
        counts[np.arange(len(places)), Order(n, ROW, seed).rows(0, n)[places]] += 1
    chi2 = ((counts - seeds / n) ** 2 / (seeds / n)).sum(1)
    assert (np.abs(chi2 - (n - 1)) < 5 * np.sqrt(2 * (n - 1))).all()


def test_batches_of_sorted_rows_have_the_mean_of_all_and_nearly_its_spread():
    n, size = 300_000, 256
    kinds = np.arange(n) // (n // 4)  # a file sorted by class
    found = np.concatenate([_kinds(n, 1024, seed, size, kinds) for seed in range(12)])
    low = kinds.var() / size
    deviation = np.sqrt(low / len(found))
    assert abs(found.mean() - kinds.mean()) < 5 * deviation * np.sqrt(1 + size / 2700)
    assert found.var() < low * (1 + size / 2700) * (1 + 5 * np.sqrt(2 / len(found)))


def _kinds(n, row, seed, size, kinds):
    """Means of the classes in all batches of an epoch."""
    order = Order(n, row, seed).rows(0, n // size * size)
    return kinds[order].reshape(-1, size).mean(1)


def test_the_stream_goes_on_where_it_was_left_within_a_window(small):
    x = torch.arange(1000.0)[:, None].expand(-1, 2).contiguous()
    whole = Batches(x, 30, seed=2)
    expected = [next(whole) for _ in range(80)]
    for k in (0, 1, 33, 79):
        assert torch.equal(next(Batches(x, 30, seed=2, position=k)), expected[k])


def test_rows_are_announced_once_an_epoch_and_before_they_are_needed(small):
    n, size = 1003, 20
    found = Order(n, ROW, seed=1)
    told: list[int] = []
    for k in range(3 * n // size):
        for begin, end in found.ahead(k * size, (k + 1) * size):
            assert 0 <= begin < end <= n
            told += range(begin, end)
        assert set(found.rows(k * size, (k + 1) * size)) <= set(told[-4 * 80 :])
    assert np.array_equal(np.sort(told[:n]), np.arange(n))
    assert np.array_equal(np.sort(told[n : 2 * n]), np.arange(n))


def test_pieces_of_a_window_are_runs_of_consecutive_rows(small):
    found = Order(1000, ROW, seed=1)
    for window in range(found.windows):
        rows = np.sort(found._window(0, window))
        assert (np.diff(rows) > 1).sum() + 1 <= len(rows) / 8 + 2


def test_batches_of_many_rows_are_the_same_on_the_disk(small, tmp_path, monkeypatch):
    np.save(tmp_path / "x.npy", np.random.default_rng(0).standard_normal((3000, 2)))
    held = load(str(tmp_path / "x.npy"))
    monkeypatch.setenv(VARIABLE, "20K")
    far = load(str(tmp_path / "x.npy"))
    assert far.notes != held.notes
    assert is_windowed(len(far.train), ROW)
    one, other = Batches(held.train, 64, seed=4), Batches(far.train, 64, seed=4)
    assert all(torch.equal(next(one), next(other)) for _ in range(100))


@pytest.mark.parametrize("budget", ["1G", "20K"])
def test_rows_sorted_by_class_that_bring_their_own_test_set_are_mixed(small, tmp_path, monkeypatch, budget):
    kinds = np.repeat(np.arange(4), 500)
    x = np.random.default_rng(0).standard_normal((2000, 2)) + 10 * kinds[:, None]
    np.savez(tmp_path / "x.npz", x_train=x, y_train=kinds, x_test=x[::10], y_test=kinds[::10])
    monkeypatch.setenv(VARIABLE, budget)
    data = load(f"{tmp_path / 'x.npz'}:x_train")
    order = np.argsort(data.decode(data.train)[:, 0])
    assert data.train_labels is not None
    np.testing.assert_allclose(data.decode(data.train)[order], x[np.argsort(x[:, 0])], atol=1e-4)
    labels = data.train_labels.reshape(20, 100).double()
    assert (labels.mean(1) - 1.5).abs().max() < 5 * np.sqrt(1.25 / 100)
