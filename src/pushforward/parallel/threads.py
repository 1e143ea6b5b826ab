"""How many threads compute: set before any work, and kept by a run, as a sum is rounded by how it was shared out."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import torch
from threadpoolctl import threadpool_limits

from pushforward import files
from pushforward.errors import DataError, UsageError
from pushforward.files import layout

__all__ = ["as_run", "cores", "of_run", "use"]

MOST = 4096


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def use(count: int) -> None:
    """Compute with so many threads from now on, in torch and in the linear algebra that is loaded beside it.

    Args:
        count: Threads; 0 leaves all as it is.

    Raises:
        UsageError: If the number is out of range.
    """
    if not 0 <= count <= MOST:
        raise UsageError(f"--threads {count}: give 0 to {MOST}")
    if count:
        torch.set_num_threads(count)
        threadpool_limits(count)


def as_run(folder: Path | None, asked: int) -> None:
    """Compute with as many threads as asked, or with those of a run as far as there are cores.

    Args:
        folder: The run's; None where there is none, or one that is no run, which is said elsewhere.
        asked: Threads; 0 for those of the run.
    """
    stored: object = 0
    if not asked and folder is not None:
        with suppress(OSError, DataError):
            stored = files.read_object(folder / layout.RUN).get("threads", 0)
    use(asked or (min(stored, cores()) if isinstance(stored, int) and stored > 0 else 0))


def of_run(asked: int, suits: int, world: int, stored: int | None) -> tuple[int, str]:
    """Threads of a process of a run, and what has to be said of them.

    Args:
        asked: What the user wants; 0 for what is best.
        suits: What pays for the nets of the recipe; 0 for all cores.
        world: Processes that share the machine.
        stored: What the run had so far; None for a new one.
    """
    here = max(1, cores() // world)
    if stored is None:
        return asked or min(suits or here, here), ""
    if asked and asked != stored:
        note = f"--threads {asked}: the run had {stored}; it goes on, but what is added up is rounded in another order"
        return asked, note
    if stored > here:
        return stored, (
            f"{stored} threads on {here} {'core' if here == 1 else 'cores'}, as the run had them, so that it goes on "
            f"as it began; --threads {here} may be faster and rounds differently"
        )
    return stored, ""
