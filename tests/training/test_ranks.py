"""Several processes do what one does with the joint batch, and only the first writes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

WORKER = Path(__file__).with_name("ranks_worker.py")


def run(out: Path, processes: int, *arguments: int) -> dict[str, torch.Tensor]:
    front = [sys.executable]
    if processes > 1:
        front += ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    done = subprocess.run(
        [*front, str(WORKER), str(out), *map(str, arguments)],
        capture_output=True, text=True, timeout=120, env=os.environ | {"OMP_NUM_THREADS": "1"}, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return torch.load(out, weights_only=True)


@pytest.mark.parametrize(
    ("pool", "moves", "classes"), [(1, 1, 0), pytest.param(3, 2, 0, marks=pytest.mark.slow), (2, 2, 3)]
)
def test_two_ranks_equal_one_with_the_joint_batch(tmp_path, pool, moves, classes):
    one, two = (run(tmp_path / f"{n}.pt", n, pool, moves, classes) for n in (1, 2))
    assert one.keys() == two.keys()
    gap = max(float((one[name] - two[name]).abs().max()) for name in one)
    assert gap < 1e-6
    assert any(float(value.abs().max()) > 0.1 for value in one.values())
