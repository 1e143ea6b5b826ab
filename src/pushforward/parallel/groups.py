"""Control groups of Linux, in which a container or a job may have less of a machine than the machine has."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

__all__ = ["LISTED", "ROOT", "folders"]

LISTED, ROOT = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")


def folders(controller: str, listed: Path = LISTED, root: Path = ROOT) -> Iterator[tuple[int, Path]]:
    """Folders of the groups that this process is in, and of those above them, with the version of their files, 1 or 2.

    Args:
        controller: What they limit: "memory", "cpu".
        listed: The groups of the process, number:controllers:path, one a line.
        root: Where they are mounted.
    """
    try:
        lines = listed.read_text().splitlines()
    except (OSError, UnicodeDecodeError):
        return
    for line in lines:
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controller in controllers.split(","):
            version, mount = 1, root / controller
        elif number == "0" and not controllers:
            version, mount = 2, root
        else:
            continue
        place = mount / path.lstrip("/")
        for folder in (place, *place.parents):  # within a container the path may not be there, but its root is
            yield version, folder
            if folder == mount:
                break
