"""How many rows an evaluation takes where memory is short."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from pushforward.commands.measuring import drawing
from pushforward.data import load


@pytest.mark.parametrize("size", [2, 784, 12_288, 1_000_000])
def test_samples_and_rows_that_are_measured_take_a_few_megabytes_however_large_each_is(size, monkeypatch):
    monkeypatch.setenv("PUSHFORWARD_MEMORY", "50MB")
    rows = torch.zeros(1, size).expand(20_000, size)
    data = replace(load("toy:moons"), train=rows, test=rows)
    n, said = drawing._wanted(data, None)
    assert n * size <= max(10_000 * 784, 50e6 / 128, 100 * size) * 1.1
    assert n == 10_000 or (n >= 100 and f"{n:,} samples in place of 10,000 are compared, for want of memory" in said)
    assert drawing._wanted(data, 77) == (77, ())  # what is asked for is drawn
    kept, told = drawing._some(rows, "training", 0)
    assert len(kept) == max(n, 50 * 2**20 // (128 * size)) or len(kept) == 20_000
    assert bool(told) == (len(kept) < 20_000)


def test_with_memory_enough_every_held_out_row_has_a_sample_beside_it(monkeypatch):
    monkeypatch.setenv("PUSHFORWARD_MEMORY", "8GB")
    rows = torch.zeros(1, 12_288).expand(9_000, 12_288)
    assert drawing._wanted(replace(load("toy:moons"), train=rows, test=rows), None) == (9_000, ())
