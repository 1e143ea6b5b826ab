"""How many threads compute: set before any work, and kept by a run, as a sum is rounded by how it was shared out."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from threadpoolctl import threadpool_limits

from pushforward import files
from pushforward.errors import DataError, UsageError
from pushforward.files import layout
from pushforward.parallel import groups
from pushforward.settings.running import THREADS

__all__ = ["as_run", "asked", "cores", "kept", "of_run", "use", "wished", "within"]


def cores() -> int:
    """Cores that this process may use, at least 1: those of its affinity, as far as its control groups give them."""
    there = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([there, *_shares()]))


def _shares(listed: Path = groups.LISTED, root: Path = groups.ROOT) -> list[int]:
    """What control groups give a process of the machine's time, in cores, rounded upwards."""
    found = list[int]()
    for version, folder in groups.folders("cpu", listed, root):
        with suppress(OSError, ValueError, ZeroDivisionError):  # "max", or no such file
            if version == 2:
                quota, period = map(int, (folder / "cpu.max").read_text().split())
            else:
                quota, period = (int((folder / f"cpu.cfs_{name}_us").read_text()) for name in ("quota", "period"))
            found += [math.ceil(quota / period)] if quota > 0 else []
    return found


def use(count: int) -> None:
    """Compute with so many threads from now on, in torch and in the linear algebra that is loaded beside it.

    Args:
        count: Threads; 0 leaves all as it is.
    """
    if count:
        torch.set_num_threads(count)
        threadpool_limits(count)


@contextmanager
def within(count: int) -> Iterator[None]:
    """Within, so many threads compute, in torch and in linear algebra; what the caller had set holds again after.

    Args:
        count: Threads; 0 leaves all as it is.
    """
    before = torch.get_num_threads()
    with threadpool_limits(count or None):
        torch.set_num_threads(count or before)
        try:
            yield
        finally:
            torch.set_num_threads(before)


def asked(count: int, run: Mapping[str, Any] | None = None) -> int:
    """The number of threads that a command asks for, 0 for what is best.

    Args:
        count: The number.
        run: The run that goes on, whose own number may be more than there are cores here.

    Raises:
        UsageError: If there are fewer cores, on which more threads would only wait for each other.
    """
    here = cores()
    if not 0 <= count <= here and (run is None or count != kept(run)):
        raise UsageError(f"--threads {count}: {_counted(here)} here; give 1 to {here}, or 0 for what suits")
    return count


def kept(run: Mapping[str, Any]) -> int:
    """The number of threads that a description of a run keeps; 0 where it keeps none, or one that cannot be."""
    count = run.get("threads")
    return count if type(count) is int and 0 < count <= THREADS else 0


def wished(count: int, run: Mapping[str, Any] | None) -> int:
    """The number of threads that a run keeps as wanted by its user, 0 for what suits.

    Args:
        count: What is asked for now; 0 for nothing.
        run: The description of the run that goes on; None for a new one. Where a number was wanted before, in its
            `options`, the one wanted is now the run's own, which is what it computes with.
    """
    return count or (kept(run) if run is not None and kept(run["options"]) else 0)


def as_run(folder: Path | None, count: int) -> None:
    """Compute with as many threads as asked, or with those of a run as far as there are cores.

    Args:
        folder: The run's; None where there is none, or one that is no run, which is said elsewhere.
        count: Threads that are asked for; 0 for those of the run.

    Raises:
        UsageError: If there are fewer cores than are asked for.
    """
    stored = 0
    if not count and folder is not None:
        with suppress(OSError, DataError):
            stored = kept(files.read_object(folder / layout.RUN))
    use(asked(count) or min(stored, cores()))


def of_run(count: int, suits: int, world: int, run: Mapping[str, Any] | None) -> tuple[int, str]:
    """Threads of a process of a run, and what has to be said of them.

    Args:
        count: What the user wants; 0 for what is best.
        suits: What pays for the nets of the recipe; 0 for all cores.
        world: Processes that share the machine.
        run: The description of the run that goes on; None for a new one.
    """
    here = max(1, cores() // world)
    stored = 0 if run is None else kept(run)
    if not stored:
        best = count or min(suits or here, here)
        lost = None if run is None else run.get("threads")
        return best, "" if lost is None else f"run.json: {lost!r:.60} is no number of threads; it goes on with {best}"
    if count and count != stored:
        note = f"--threads {count}: the run had {stored}; it goes on, but what is added up is rounded in another order"
        return count, note
    if stored > here:
        return stored, (
            f"{stored} threads on {_counted(here)}, as the run had them, so that it goes on as it began; "
            f"--threads {here} may be faster and rounds differently"
        )
    return stored, ""


def _counted(count: int) -> str:
    return f"{count} {'core' if count == 1 else 'cores'}"
