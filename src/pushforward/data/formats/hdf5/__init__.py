"""HDF5 files of strangers: walked once by a process of its own before this one opens them.

HDF5 is C that trusts its files: a damaged one can hang or end the process that reads it, where no Python helps. So a
small process (its import of h5py takes 0.15 s) reads every link and attribute, and values as far as they are not many;
nothing but the verdict comes back.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

from pushforward.data.blocks.limits import budget
from pushforward.errors import DataError

__all__ = ["walked"]

PROCESSOR, CLOCK = 10, 50  # seconds; a file of 30,000 cells takes half a second
LEAST = 1 << 30  # bytes of memory, below which the process would not even start
THROUGH = b"\nthrough\n"  # what the process prints in the end
FRESH = "it is damaged, download it or write it again"


def walked(path: Path) -> Path:
    """The same path, of a file that HDF5 gets through and that leads to no other; once for each state of a file.

    Raises:
        DataError: If HDF5 hangs or crashes over it, it leads to another file, or the process that looks fails.
    """
    status = path.stat()
    if wrong := _verdict(str(path.resolve()), (status.st_ino, status.st_size, status.st_mtime_ns)):
        raise DataError(f"{path}: {wrong}")
    return path


@lru_cache(maxsize=64)
def _verdict(path: str, state: tuple[int, ...]) -> str:
    """What is wrong with a file, or nothing.

    Raises:
        DataError: If the process fails for reasons of its own.
    """
    script = str(Path(__file__).with_name("walk.py"))
    words = [sys.executable, "-P", script, path, str(PROCESSOR), str(max(budget(), LEAST))]
    alone = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    try:
        done = subprocess.run(
            words, stdin=subprocess.DEVNULL, capture_output=True, timeout=CLOCK, env=alone, check=False
        )
    except subprocess.TimeoutExpired:
        return f"HDF5 was not through with the file after {CLOCK} s: {FRESH}"
    if done.returncode == -signal.SIGXCPU:
        return f"HDF5 hangs over the file, {PROCESSOR} s of the processor were not enough: {FRESH}"
    if done.returncode < 0:
        return f"HDF5 crashes over the file (ended with {done.returncode}): {FRESH}"
    if done.returncode or not done.stdout.endswith(THROUGH):
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
        said = lines[-1] if lines else f"ended with {done.returncode}"
        raise DataError(  # and not an answer, which would be remembered
            f"{path}: the process that looks through it first, with h5py, failed ({said:.120}): mend that, or free "
            "memory, and try again"
        )
    if where := done.stdout.removesuffix(THROUGH).decode("utf-8", "replace"):
        return f"{where!r:.120} leads to another file, which is not followed: copy what it holds into this one"
    return ""
