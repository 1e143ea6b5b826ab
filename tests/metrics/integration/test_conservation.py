"""Biology that a merge keeps: neighbours within batches, and cells without a counterpart among their own."""

from __future__ import annotations

import numpy as np
import pytest

from pushforward.metrics.integration.conservation import apart, kept
from pushforward.metrics.integration.mixing import neighbourhoods


def test_kept_counts_common_neighbours_within_batches():
    rng = np.random.default_rng(0)
    x, batch = rng.normal(size=(200, 3)), np.repeat(["a", "b"], 100)
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    assert kept(x, 3 * x @ turn + 5 * (batch == "a")[:, None], batch) == 1.0
    mixed = np.concatenate([x[rng.permutation(100)], x[100 + rng.permutation(100)]])
    assert kept(x, mixed, batch, k=20) == pytest.approx(20 / 99, abs=0.03)
    line = np.arange(10.0)[:, None]
    swapped = line[[1, 0, *range(2, 10)]]
    by_hand = np.mean([len({*_next(line, i)} & {*_next(swapped, i)}) / 2 for i in range(10)])
    assert kept(line, swapped, np.zeros(10), k=2) == pytest.approx(by_hand)


def _next(x: np.ndarray, i: int) -> list[int]:
    far = np.abs(x[:, 0] - x[i, 0])
    far[i] = np.inf
    return np.argsort(far, kind="stable")[:2].tolist()


def test_apart_falls_where_cells_without_a_counterpart_are_put_among_others():
    rng = np.random.default_rng(0)
    batch, alone = np.repeat(["a", "b"], 100), np.arange(200) < 50
    x = rng.normal(size=(200, 3)) + 20 * alone[:, None]
    assert apart(neighbourhoods(x), batch, alone) == 1.0
    forced = rng.normal(size=(200, 3))
    assert apart(neighbourhoods(forced), batch, alone) == pytest.approx(0.5, abs=0.05)
