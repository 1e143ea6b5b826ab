"""Many processes find what one finds: sums merge, shards are gathered, and every metric is the same to 1e-10."""

import json
from pathlib import Path

import pytest
import torch
from processes import together

from pushforward.metrics import RAW
from pushforward.metrics.core import ranks
from pushforward.metrics.quality.frechet import moments
from pushforward.parallel import sharing

WORKER = Path(__file__).with_name("ranks_worker.py")


def run(out: Path, processes: int) -> dict:
    together(WORKER, processes, out)
    return json.loads(out.read_text())


def close(a, b):
    return a == b if a is None or b is None else a == pytest.approx(b, rel=1e-10, abs=1e-12)


@pytest.mark.slow
def test_two_processes_find_what_one_finds(tmp_path):
    one, two = run(tmp_path / "one.json", 1), run(tmp_path / "two.json", 2)
    assert one["names"] == two["names"]
    assert len(one["names"]) > 12
    for name, numbers in one["metrics"].items():
        assert all(map(close, numbers, two["metrics"][name])), (name, numbers, two["metrics"][name])
        assert one["detail"][name] == pytest.approx(two["detail"][name], rel=1e-10)
    assert one["moments"][0] == two["moments"][0] == 2500
    for a, b in zip(one["moments"][1:], two["moments"][1:]):
        torch.testing.assert_close(torch.tensor(a, dtype=torch.float64), torch.tensor(b, dtype=torch.float64),
                                   rtol=1e-10, atol=1e-8)  # fmt: skip


def test_without_a_process_group_everything_is_as_for_one():
    x = torch.randn(7, 2, generator=torch.Generator().manual_seed(0))
    assert sharing.place() == (0, 1)
    assert sharing.gather(x) is x
    assert torch.equal(ranks.together(RAW, x), x.double())
    sums = moments(x)
    assert sharing.merge(sums, lambda m: (m.mean,), lambda t: sums) is sums
