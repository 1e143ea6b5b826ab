"""A script in one process or as the ranks of a group, on this machine."""

from __future__ import annotations

import os
import runpy
import socket
import subprocess
import sys
from pathlib import Path

import pytest

SECONDS = 300


def together(script: Path, world: int, *words: object) -> None:
    """Run a script in so many processes that find each other as `torchrun` would have them; all end with 0.

    One alone is this process, which has torch at hand.
    """
    if world == 1:
        alone(script, *words)
        return
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = {"OMP_NUM_THREADS": "1", "WORLD_SIZE": str(world), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    ranks = [
        subprocess.Popen(
            [sys.executable, str(script), *map(str, words)], stderr=subprocess.PIPE, text=True,
            env=os.environ | common | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
        )
        for rank in range(world)
    ]  # fmt: skip
    try:
        errors = [rank.communicate(timeout=SECONDS)[1] for rank in ranks]
    finally:
        for rank in ranks:
            rank.kill()
    assert all(rank.returncode == 0 for rank in ranks), "\n".join(errors)


def alone(script: Path, *words: object) -> None:
    """Run a script as Python would, but here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [str(script), *map(str, words)])
        patch.syspath_prepend(script.parent)
        runpy.run_path(str(script), run_name="__main__")
