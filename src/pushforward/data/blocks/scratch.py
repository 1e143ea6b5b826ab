"""Room for rows: in memory where they fit, else in a temporary file without a name, mapped into memory.

Pages of a mapped file are written back and evicted when memory runs short, also under a limit, which those of an
array are not. The file disappears with the process, however that ends.
"""

from __future__ import annotations

import errno
import math
import mmap
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from pushforward.data.blocks.limits import VARIABLE, budget, peak
from pushforward.errors import DataError
from pushforward.plain.sizes import size

__all__ = [
    "BLOCK",
    "Room",
    "blocks",
    "folder",
    "held",
    "is_mapped",
    "mapped",
    "pages",
    "spans",
    "spilled",
    "written",
]

BLOCK = 1 << 24  # bytes of float64 that are worked on at a time
FREE = 64 << 20  # bytes of a disk that are left to others

Room = Callable[[tuple[int, ...], np.dtype, str], np.ndarray]
"""(shape, type, what it is for, in messages) -> an array to be filled."""


def held(shape: tuple[int, ...], dtype: np.dtype, place: str) -> np.ndarray:
    """Room in memory.

    Raises:
        DataError: If it is more than the budget; integers of points are counted as the float64 that they become.
    """
    need = math.prod(shape) * (8 if len(shape) < 3 and dtype.kind in "biu" else dtype.itemsize)
    if need > budget():
        raise DataError(
            f"{place}: shape {shape} of {dtype} takes {size(need)}, {size(budget())} are allowed: "
            f"save fewer rows or a smaller type, or allow more, {VARIABLE}={need // 2**20 + 1}M"
        )
    return np.empty(shape, dtype)


def spilled(shape: tuple[int, ...], dtype: np.dtype, place: str) -> np.ndarray:
    """Room in memory where what is made of the rows fits as well, see `limits.peak`; else on the disk.

    Raises:
        DataError: If there is not enough room on the disk.
    """
    return np.empty(shape, dtype) if peak(shape, dtype) <= budget() else mapped(shape, dtype, place)


def mapped(shape: tuple[int, ...], dtype: np.dtype, place: str) -> np.ndarray:
    """Room on the disk: zeros, mapped from a file that no folder names any more.

    Raises:
        DataError: If there is not enough room on the disk, or for the mapping.
    """
    need, where = max(1, math.prod(shape) * dtype.itemsize), folder()
    try:
        if shutil.disk_usage(where).free < need + FREE:
            raise OSError(errno.ENOSPC, "")
        with tempfile.TemporaryFile(prefix="pushforward-", dir=where) as file:
            if sys.platform == "linux":
                os.posix_fallocate(file.fileno(), 0, need)  # a disk that fills up later would kill the process
            else:
                os.truncate(file.fileno(), need)
            pages = mmap.mmap(file.fileno(), need)
    except OSError as error:
        if error.errno == errno.ENOMEM:
            raise DataError(
                f"{place}: {size(need)} cannot be mapped from a temporary file: raise the limit on the address space "
                "(ulimit -v), or give a limit on the rows"
            ) from error
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            free = shutil.disk_usage(where).free
            raise DataError(
                f"{place}: more than fits into memory, and a temporary file of {size(need)} does not fit into {where}, "
                f"{size(free)} free: set TMPDIR to a folder with more room, or give a limit on the rows"
            ) from error
        raise DataError(f"{place}: no temporary file in {where} ({error.strerror}): set TMPDIR to another") from error
    return np.ndarray(shape, dtype, pages)


def folder() -> Path:
    """Where temporary files go: TMPDIR, else the system's folder, or /var/tmp where the former lies in memory."""
    usual = Path(tempfile.gettempdir())
    lasting = Path("/var/tmp")
    if not os.environ.get("TMPDIR") and _in_memory(usual) and os.access(lasting, os.W_OK) and not _in_memory(lasting):
        return lasting
    return usual


def _in_memory(path: Path) -> bool:
    """Whether a folder lies on a file system in memory, as /tmp often does."""
    try:
        lines = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    except OSError:
        return False
    at = path.resolve()
    over = [parts for parts in lines if len(parts) > 2 and (at == Path(parts[1]) or Path(parts[1]) in at.parents)]
    return bool(over) and max(over, key=lambda parts: len(parts[1]))[2] in ("tmpfs", "ramfs")


def pages(x: np.ndarray) -> mmap.mmap | None:
    """The mapping that an array lies in, or None for one in memory."""
    base: object = x
    while isinstance(base, np.ndarray):
        base = base.base
    return base if isinstance(base, mmap.mmap) else None


def is_mapped(x: np.ndarray) -> bool:
    """Whether an array lies in a file, not in memory."""
    return pages(x) is not None


def written(x: np.ndarray) -> None:
    """Write what was put into a mapped array to the disk, so that its pages can be evicted; others are left alone."""
    found = pages(x)
    if found is not None:
        found.flush()


def spans(x: np.ndarray, block: int | None = None) -> Iterator[slice]:
    """Slices of rows: all at once of an array in memory, so many bytes of float64 at a time of a mapped one."""
    n = len(x)
    step = max(1, (block or BLOCK) // (8 * max(1, math.prod(x.shape[1:])))) if is_mapped(x) else max(1, n)
    return (slice(start, min(start + step, n)) for start in range(0, n, step))


def blocks(x: np.ndarray, dtype: type[np.generic] | None = None) -> Iterator[np.ndarray]:
    """Blocks of rows in memory, of another type on request; an array in memory is one block."""
    for part in spans(x):
        yield np.asarray(x[part], dtype)
