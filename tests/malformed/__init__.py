"""Malformed inputs by the hundred, the same for the same seed.

    python -m tests.malformed FOLDER [COUNT]

| kind | what it is |
|---|---|
| cut, flipped, stuffed, doubled, renamed | a whole file, damaged so (`damaged`) |
| array, archive, text, idx, parquet, cells | well formed, and saying what cannot be (`crafted`) |
| pictures | folders with bombs, truncated pictures, what only calls itself one, loops of links (`folders`) |
| special | pipes, devices and links to them, in place of data (`folders`) |
| description, log, metrics, samples | run folders of which one file says what it should not (`runs`) |
| weights, state, header | checkpoints with valid digests and wrong shapes, types, names, sizes or states (`runs`) |
| pushed | folders for hubs of which one file is damaged, or whose model tells what cannot be (`runs`) |
| pipe | run folders of which one file is a pipe, a device, a folder or a link (`runs`) |

Files come in the formats whose libraries are installed. Each input lies in a folder of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tests.malformed.crafted import crafted
from tests.malformed.damaged import KINDS, malformed, whole

__all__ = ["KINDS", "crafted", "inputs", "malformed", "whole"]


def inputs(folder: Path, count: int = 320, seed: int = 0) -> Iterator[tuple[str, Path]]:
    """Write malformed data, crafted ones first and so many in all: kind and path of each."""
    done = 0
    for kind, path in crafted(folder / "crafted", seed):
        yield kind, path
        done += 1
    yield from malformed(folder / "damaged", max(0, count - done), seed)
