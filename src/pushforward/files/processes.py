"""Which process did it, and whether it still runs: a number is given again, but not to two that began at one moment."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

__all__ = ["alive", "born", "gone"]


def alive(process: int) -> bool:
    """Whether a number is a process's on this machine; doubt counts as yes."""
    if process <= 0:
        return False
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return True


def born(process: int) -> str:
    """When a process started: boot of the machine and ticks since on Linux, else as `ps` says; empty if unknown."""
    try:
        if sys.platform.startswith("linux"):
            boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
            after = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
            return f"{boot} {after[19]}"
        done = subprocess.run(["ps", "-o", "lstart=", "-p", str(process)], capture_output=True, timeout=10, check=False)
        return " ".join(done.stdout.decode(errors="replace").split())
    except (OSError, IndexError, subprocess.SubprocessError):
        return ""


def gone(process: int, since: str) -> bool:
    """Whether a process of this machine is known to have ended: its number is nobody's, or another process's.

    Args:
        process: Its number.
        since: When it started, as of `born`; empty where that is not known.
    """
    return not alive(process) or bool(since and since != born(process))
