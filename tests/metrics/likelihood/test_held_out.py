"""Likelihood of held-out data: its floor, its units, and how a page reads it."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from pushforward.data import load
from pushforward.densities.rows import RowDensities
from pushforward.metrics.core.result import to_json
from pushforward.metrics.likelihood.held_out import held_out_likelihood
from pushforward.metrics.verdict.report import Report
from pushforward.report.numbers.metrics import reading


def rows(n: int, mean: float, seed: int) -> torch.Tensor:
    return mean + torch.randn(n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_the_floor_is_the_law_of_the_data_where_it_is_known_else_the_rows_learned_from():
    held, seen, law = rows(400, -3, 0), rows(900, -2, 1), rows(400, -2.5, 2)
    known, unknown = (held_out_likelihood(RowDensities(held, seen, 5, one)) for one in (law, None))
    assert known["nll"].floor == pytest.approx(-law.mean().item())
    assert unknown["nll"].floor == pytest.approx(-seen.mean().item())
    for found in (known, unknown):
        assert found["nll"].value == pytest.approx(-held.mean().item())
        assert found["nll"].se == pytest.approx(held.std().item() / 20)
        assert found["bits_per_dim"].value * 5 * math.log(2) == pytest.approx(found["nll"].value)
        assert found["bits_per_dim"].floor * 5 * math.log(2) == pytest.approx(found["nll"].floor)
        assert found["likelihood_gap"].value == pytest.approx((seen.mean() - held.mean()).item())


def test_a_page_reads_log_likelihoods_by_differences_and_names_overfitting():
    overfitted = held_out_likelihood(RowDensities(rows(400, -103, 0), rows(400, -100, 1), 2))
    records = to_json(overfitted)["metrics"]
    grade, words = reading(records["nll"])  # 3 % above it, and far from it
    off = overfitted["nll"].value - overfitted["nll"].floor
    assert (grade, words.removesuffix(" from the floor")) == ("", f"{off:.2g}")
    assert reading(records["likelihood_gap"])[1].startswith("overfits")
    sound = to_json(held_out_likelihood(RowDensities(rows(400, 2, 0), rows(400, 2, 1), 2)))["metrics"]
    seen = f"{2 * sound['nll']['se']:.2g}"
    assert reading(sound["nll"]) == ("good", f"at the floor; up to {seen} off would look so")
    assert reading(sound["likelihood_gap"])[1].startswith("no sign of overfitting")
    assert "No test" in Report(dict(overfitted)).verdict  # no p-value of it asks for one law


@pytest.mark.parametrize("data", ["toy:moons", "toy:ring8", "digits"])
def test_a_density_of_model_units_becomes_one_of_data_units_by_the_volume_of_the_map_between_them(data):
    found = load(data, limit=400)
    if found.kind == "images":
        x = np.random.default_rng(0).integers(0, 255, (1, 8, 8)).astype(np.uint8)
        step = found.encode(x + 1) - found.encode(x)
        assert found.log_volume == pytest.approx(64 * math.log(step.mean().item()), rel=1e-4)
        return
    x = np.random.default_rng(0).normal(size=2)
    moved = x + np.array([[0, 0], [1, 0], [0, 1]])
    y = found.encode(moved).double().numpy()
    assert found.log_volume == pytest.approx(math.log(abs(np.linalg.det(y[1:] - y[0]))), abs=1e-4)


def test_the_volume_is_that_of_the_scales_however_far_the_mean(tmp_path):
    x = np.random.default_rng(0).integers(-8, 9, (400, 2)) / 4.0
    volumes = []
    for k, mean in enumerate((0.0, 2.0**40)):
        np.save(tmp_path / f"{k}.npy", x + mean)
        volumes.append(load(str(tmp_path / f"{k}.npy")).log_volume)
    assert volumes[1] == pytest.approx(volumes[0], abs=1e-7)
