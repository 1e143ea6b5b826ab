"""Results that are kept in a file, a line of JSON each, so that a second call does what is not there yet.

{"case": ..., "situation": ..., "method": ..., "seed": ..., "code": what computed it, numbers by name}
"""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

import torch

import pushforward
from pushforward import __version__, files

__all__ = ["Key", "Line", "add", "code", "key", "read"]

Line: TypeAlias = dict[str, Any]
Key: TypeAlias = tuple[str, str, str, int]

COMPUTES = ("data/labels.py", "divergences", "dynamics", "flows", "geometry", "merging", "methods/particles", "metrics",
            "nets", "parallel", "plain", "randomness.py", "settings/groups.py", "training")  # fmt: skip
"""Files and folders of the package that decide what a merge and its scores are."""


@cache
def code() -> str:
    """What computes here, in words: versions, and a digest of the sources that decide."""
    root, digest = Path(pushforward.__file__).parent, hashlib.sha256()
    for place in COMPUTES:
        for path in sorted((root / place).rglob("*.py")) or [root / place]:
            digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return f"pushforward {__version__} {digest.hexdigest()[:8]}, torch {torch.__version__}"


def key(line: Line) -> Key:
    """What a line is the result of."""
    return line["case"], line["situation"], line["method"], line["seed"]


def read(path: Path) -> tuple[dict[Key, Line], list[str]]:
    """The results of a file that need not be there, and what has to be said of it, in lines.

    A line that is no result, as a kill leaves it at the end, is left out; of two of one key the later one counts.

    Raises:
        OSError: If it is there and cannot be read.
    """
    if not path.exists():
        return {}, []
    found, damaged, twice = dict[Key, Line](), list[int](), 0
    for number, text in enumerate(path.read_text("utf-8", "replace").splitlines(), 1):
        if not text.strip():
            continue
        if (line := _line(text)) is None:
            damaged.append(number)
        else:
            twice += key(line) in found
            found[key(line)] = line
    said = [f"{path}: line {number} is torn or no result, and is left out" for number in damaged]
    if twice:
        said.append(f"{path}: {twice} results stand there twice; the later ones count")
    if failed := [line for line in found.values() if "failed" in line]:
        said.append(f"{path}: {len(failed)} results are failures; take out their lines to try them again")
    if others := sorted({line["code"] for line in found.values()} - {code()}):
        said.append(f"{path}: holds results of other code than {code()}: {'; '.join(others)}")
    return found, said


def add(path: Path, line: Line) -> None:
    """Keep a result, on a line of its own also behind one that was torn.

    Raises:
        OSError: If it cannot be written; it names the file.
        ValueError: If a number is not finite, which JSON does not have.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = not path.exists() or path.read_bytes()[-1:] in (b"", b"\n")
    files.append(path, ("" if whole else "\n") + json.dumps(line, allow_nan=False))


def _line(text: str) -> Line | None:
    """A line as a result; None where it is none."""
    try:
        line = json.loads(text)
    except (ValueError, RecursionError):
        return None
    words = ("part", "case", "situation", "method", "code")
    whole = isinstance(line, dict) and all(isinstance(line.get(name), str) for name in words)
    return line if whole and isinstance(line.get("seed"), int) else None
