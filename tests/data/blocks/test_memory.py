"""The law of memory: training on a file takes no more than the budget and a little, however large the file is."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

MEGABYTES = 300
MARGIN = 300  # megabytes beside 1.3 times the budget


def rows(path: Path, megabytes: float) -> Path:
    n, rng = int(megabytes * 1e6 / 256), np.random.default_rng(0)
    out = np.lib.format.open_memmap(path, "w+", np.float32, (n, 64))
    for first in range(0, n, 1 << 15):
        out[first : first + (1 << 15)] = rng.standard_normal((min(1 << 15, n - first), 64), np.float32)
    return path


def anonymous(pid: int) -> float:
    """Megabytes of a process that belong to no file and cannot be evicted."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("RssAnon:")) * 1024 / 1e6


def trained(data: Path, limit: int | None = None, **environment: str) -> tuple[float, str]:
    """Peak of a training with its evaluation, in megabytes, and what it printed."""
    command = "import sys; from pushforward.cli import main; sys.exit(main())"
    words = ["train", "toy_vgrow", "--data", str(data), "--steps", "3", "--run", str(data.with_suffix("")) + "-run"]

    def begin() -> None:
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))

    said = data.with_suffix(".out")
    with said.open("w") as out:
        done = subprocess.Popen(
            [sys.executable, "-c", command, *words],
            stdout=out,
            stderr=out,
            env=os.environ | environment,
            preexec_fn=begin,
        )
        peak = 0.0
        while done.poll() is None:
            peak = max(peak, anonymous(done.pid))
            time.sleep(0.01)
    assert done.returncode == 0, said.read_text()[-2000:]
    return peak, said.read_text()


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads what Linux tells of a process")
def test_a_file_larger_than_the_budget_takes_no_more_than_that(tmp_path):
    base, said = trained(rows(tmp_path / "small.npy", 1))
    assert "temporary file" not in said
    large = rows(tmp_path / "large.npy", MEGABYTES)
    peak, said = trained(large, PUSHFORWARD_MEMORY="100M")
    assert "temporary file" in said
    assert peak - base <= 1.3 * 100 * 1.048576 + MARGIN
    capped = rows(tmp_path / "capped.npy", MEGABYTES)
    peak, said = trained(capped, limit=15 * 10**8)  # MEGABYTES in memory take eight times as much
    assert "temporary file" in said
    assert peak - base <= 1.3 * 750 + MARGIN
