"""Two processes that share the particles and the data move them where one process does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from processes import together

WORKER = Path(__file__).with_name("ranks_worker.py")


def run(out: Path, processes: int) -> dict[str, tuple[list[list[float]], float]]:
    together(WORKER, processes, out)
    return json.loads(out.read_text())


@pytest.mark.slow
def test_two_processes_move_the_particles_where_one_does(tmp_path):
    alone, shared = run(tmp_path / "one.json", 1), run(tmp_path / "two.json", 2)
    assert alone.keys() == shared.keys()
    for name in alone:
        there, here = torch.tensor(shared[name][0]), torch.tensor(alone[name][0])
        torch.testing.assert_close(there, here, rtol=1e-5, atol=1e-5, msg=lambda text, name=name: f"{name}: {text}")
        if name != "stein":  # its logs have a speed only, which is that of a process's own particles
            assert shared[name][1] == pytest.approx(alone[name][1], rel=1e-5)
