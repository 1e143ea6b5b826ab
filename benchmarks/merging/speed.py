"""What merging many cells costs: CPU seconds and memory of one call, each in a fresh process.

Two batches of a mixture of eight types in 50 dimensions, float32, every type shifted in a way of its own. Memory is the
peak that is resident, as Linux tells it, less what was resident before the call, which is the data and the imports.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.merging.cases import Case
from benchmarks.merging.jobs import Job
from benchmarks.merging.journal import Line
from benchmarks.merging.methods import METHODS, Method

__all__ = ["ROWS", "mixture", "of_speed"]

ROWS = (200_000, 1_000_000)
PEERS = 200_000  # cells up to which peers run as well
CHOSEN = ("ours", "Harmony")
DIMS, TYPES = 50, 8


def mixture(n: int, seed: int = 0) -> Case:
    """n cells of two batches, half and half."""
    rng = np.random.default_rng(seed)
    middles = 3 * rng.standard_normal((TYPES, DIMS), np.float32)
    shifts = 0.5 * rng.standard_normal((TYPES, DIMS), np.float32)
    labels, moves = rng.integers(0, TYPES, n), np.arange(n) % 2 == 1
    x = rng.standard_normal((n, DIMS), np.float32)
    for start in range(0, n, 2**16):  # nothing of the size of the data besides the data
        rows = slice(start, start + 2**16)
        x[rows] += middles[labels[rows]] + shifts[labels[rows]] * moves[rows, None]
    return Case(f"mixture x {DIMS}", x, np.where(moves, "new", "old"), labels.astype(str), "old")


def of_speed(sizes: Sequence[int]) -> list[Job]:
    """Ours at every size, peers where there are not too many cells."""
    return [
        Job("speed", f"mixture x {DIMS}", f"{n:,} cells", by.name, 0, partial(_apart, by.name, n), by)
        for n in sizes
        for by in METHODS
        if by.name in CHOSEN and (not by.needs or n <= PEERS)
    ]


def _apart(name: str, n: int) -> Line:
    """One call in a fresh process."""
    command = [sys.executable, "-m", "benchmarks.merging.speed", name, str(n)]
    environment = os.environ | dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise RuntimeError(f"exit {done.returncode}: {done.stderr.strip()[-500:]}")
    return json.loads(done.stdout.splitlines()[-1])


def _alone(method: Method, n: int) -> Line:
    """One call in this process."""
    (method.first or method.fit)(mixture(400), 0)  # imports and thread pools are not what is measured
    case = mixture(n)
    _reset()
    before, began, clock = _memory("VmRSS"), time.process_time(), time.monotonic()
    method.fit(case, 0)
    found = {"cpu_s": time.process_time() - began, "wall_s": time.monotonic() - clock, "peak_mb": _memory("VmHWM")}
    return found | {"beyond_mb": found["peak_mb"] - before, "data_mb": case.x.nbytes / 2**20}


def _reset() -> None:
    """Let the high-water mark begin anew."""
    Path("/proc/self/clear_refs").write_text("5")


def _memory(name: str) -> float:
    """Megabytes of this process that are resident now (VmRSS), or were at the most (VmHWM)."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    import torch

    torch.set_num_threads(1)
    wanted, cells = sys.argv[1:]
    print(json.dumps(_alone(next(one for one in METHODS if one.name == wanted), int(cells))))
