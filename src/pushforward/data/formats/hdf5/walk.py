"""A script: go through an HDF5 file as its readers will, so that a hang or a crash ends this process and no other.

    python -P walk.py FILE SECONDS BYTES

Errors of Python are no concern of its: who reads the part that is wrong says so. It prints the first link or data set
that leads to another file, and then that it is through. Beside h5py it imports
nothing that is not Python's own.
"""

from __future__ import annotations

import resource
import sys
from contextlib import suppress
from typing import Any

import h5py

THROUGH = b"\nthrough\n"
VALUES = 1 << 26  # bytes of values that are read; of what is larger the first and the last row
TEXT = 100  # bytes that a text counts for, as its length is not known


def bounded(seconds: int, size: int) -> None:
    """Let the system end this process after so much work, or refuse it more memory than that."""
    with suppress(ValueError, OSError):  # a limit that is lower already
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5))
        resource.setrlimit(resource.RLIMIT_AS, (size, size))


class Walk:
    """What was seen of a file, and what leads out of it."""

    def __init__(self) -> None:
        self.left = VALUES
        self.seen = set[Any]()
        self.outside = list[str]()

    def group(self, group: Any, name: str) -> None:
        """Everything below a group, each object once, since links may lead in circles."""
        self.attributes(group)
        for key in group:
            with suppress(Exception):
                if isinstance(group.get(key, getlink=True), h5py.ExternalLink):
                    self.outside.append(name + key)
                    continue
                item = group[key]
                if item.id in self.seen:
                    continue
                self.seen.add(item.id)
                if isinstance(item, h5py.Group):
                    self.group(item, f"{name}{key}/")
                elif isinstance(item, h5py.Dataset):
                    self.values(item, name + key)

    def attributes(self, item: Any) -> None:
        """All attributes of a group or a data set."""
        for key in item.attrs:
            with suppress(Exception):
                item.attrs[key]

    def values(self, item: Any, name: str) -> None:
        """The attributes, the index of the chunks and the values of a data set."""
        self.attributes(item)
        if item.is_virtual or item.external:
            self.outside.append(name)
            return
        if item.chunks is not None:
            item.id.get_num_chunks()
        size = TEXT * item.size if item.dtype.kind == "O" else item.nbytes
        if item.ndim == 0 or size <= self.left:
            self.left -= size
            item[()]
        else:
            _ = item[:1], item[-1:]


if __name__ == "__main__":
    bounded(int(sys.argv[2]), int(sys.argv[3]))
    walk = Walk()
    with suppress(Exception), h5py.File(sys.argv[1], "r") as file:
        walk.group(file, "")
    sys.stdout.buffer.write("".join(walk.outside[:1]).encode("utf-8", "replace") + THROUGH)
