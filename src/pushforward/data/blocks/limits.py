"""How many bytes rows may take: half of what this process can have, whoever sets the limit."""

from __future__ import annotations

import math
import os
import re
import resource
from pathlib import Path

import numpy as np

from pushforward.errors import UsageError
from pushforward.parallel import groups

__all__ = ["VARIABLE", "allowed", "budget", "peak"]

VARIABLE = "PUSHFORWARD_MEMORY"
"""The variable of the environment that sets the budget itself: bytes, or 500M, 2G."""

UNKNOWN = 16 << 30  # bytes that are taken for granted where nothing says how many there are
POINTS, LEVELS, PIXELS = 28, 8, 20  # bytes a number takes, see `peak`


def budget() -> int:
    """Bytes that the rows of a data set may take in memory: half of what is allowed, or what the environment says.

    Processes that torchrun started on one machine share it.

    Raises:
        UsageError: If the environment says something that is no number of bytes.
    """
    asked = os.environ.get(VARIABLE, "").strip()
    if not asked:
        return allowed() // (2 * max(1, _whole(os.environ.get("LOCAL_WORLD_SIZE", "1"))))
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?", asked, re.IGNORECASE)
    if found is None or float(found[1]) == 0:
        raise UsageError(f"{VARIABLE}={asked}: give a number of bytes, for example 500M or 2G")
    return int(float(found[1]) * 1024 ** " KMGT".index(found[2].upper() or " "))


def allowed() -> int:
    """Bytes of memory that this process can have: the least of the machine's, its cgroups' and its own limits."""
    return min([_machine(), *_groups(groups.LISTED, groups.ROOT), *_own()])


def peak(shape: tuple[int, ...], dtype: np.dtype) -> int:
    """Bytes that rows take at the most while they are read, split and scaled in memory, all copies together.

    Points are float64 as read, once more as training rows and as squares of those, float32 in model units; levels
    are bytes, twice, and float32; images of other types are float32 throughout.
    """
    each = POINTS if len(shape) < 3 else LEVELS if dtype.itemsize == 1 else PIXELS
    return math.prod(shape) * max(each, dtype.itemsize)


def _machine() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return UNKNOWN


def _own() -> list[int]:
    """Limits of this process on its address space and its data, `ulimit -v` and `ulimit -d`."""
    found = [resource.getrlimit(kind)[0] for kind in (resource.RLIMIT_AS, resource.RLIMIT_DATA)]
    return [limit for limit in found if limit != resource.RLIM_INFINITY and limit > 0]


def _groups(listed: Path, root: Path) -> list[int]:
    """Limits of the control groups that a process is in, and of those above them: version 1 and 2.

    Args:
        listed: Its groups, number:controllers:path, one a line.
        root: Where they are mounted.
    """
    names = {1: "memory.limit_in_bytes", 2: "memory.max"}
    found = [_limit(folder / names[version]) for version, folder in groups.folders("memory", listed, root)]
    return [limit for limit in found if limit]


def _limit(path: Path) -> int:
    """The number in a file, 0 where there is none: 'max', or no such file."""
    try:
        return _whole(path.read_text())
    except (OSError, UnicodeDecodeError):
        return 0


def _whole(text: str) -> int:
    return int(text) if text.strip().isdecimal() else 0
