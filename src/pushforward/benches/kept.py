"""Runs of a bench that are kept in a folder, a line of JSON each, so that a second call does what is not there yet.

    FOLDER/runs.jsonl    {"key": digest of the settings, "settings": ..., "code": what computed it, ...}

A run of other settings, a new default of a recipe among them, has another key and is left alone. One of the same
settings that other code computed is not taken in silence: whoever asks decides.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch

from pushforward import __version__, files
from pushforward.errors import DataError, UsageError

__all__ = ["RUNS", "Kept", "add", "code", "read"]

RUNS = "runs.jsonl"
PARTS = {"key", "settings", "code", "marks", "failed", "cpu", "cpu_all", "done", "laid"}
LARGEST = 2**28  # bytes that are read; a run has thousands

COMPUTES = ("benches/stability/pace.py", "benches/stability/scores.py", "benches/stability/trial.py", "data/batches.py",
            "data/blocks", "data/toys", "data/units.py", "densities", "divergences", "dynamics", "flows", "geometry",
            "methods", "metrics/known", "nets", "objectives", "randomness.py", "recipes/parts/wiring.py",
            "recipes/toys.py", "training/adam", "training/learner.py", "training/loop.py", "training/schedule.py",
            "training/state.py")  # fmt: skip
"""Files and folders of the package that decide what a run gives."""


@dataclass(frozen=True)
class Kept:
    """What a folder holds.

    Attributes:
        runs: The runs that are asked for, by key.
        others: How many runs of other settings there are.
        foreign: How many of `runs` other code computed, and which.
        damaged: Lines that are none, as a machine that went down leaves them.
    """

    runs: dict[str, dict[str, Any]]
    others: int
    foreign: tuple[str, ...]
    damaged: int

    def notes(self, folder: Path) -> list[str]:
        """What has to be said of it, in lines."""
        said = []
        if self.others:
            said.append(f"{folder / RUNS}: runs of other settings, left out: {self.others}")
        if self.damaged:
            said.append(f"{folder / RUNS}: lines that are no runs, left out: {self.damaged}")
        if self.foreign:
            said.append(f"{len(self.foreign)} runs were computed by other code ({_listed(self.foreign)})")
        return said


@cache
def code() -> str:
    """What computes the runs, in words: versions, and a digest of the sources that decide."""
    root, digest = Path(__file__).parents[1], hashlib.sha256()
    for place in COMPUTES:
        for path in sorted((root / place).rglob("*.py")) or [root / place]:
            digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return f"pushforward {__version__} {digest.hexdigest()[:8]}, torch {torch.__version__}"


def read(folder: Path, wanted: Iterable[str], *, mixed: bool) -> Kept:
    """The runs of a folder that are asked for.

    Args:
        folder: The folder; it need not be there.
        wanted: Keys of the runs.
        mixed: Whether runs that other code computed are taken.

    Raises:
        UsageError: If there are such runs and they are not.
        DataError: If the file cannot be read.
    """
    asked, runs, others, damaged = set(wanted), dict[str, dict[str, Any]](), 0, 0
    for line in _lines(folder / RUNS):
        run = _object(line)
        if run is None:
            damaged += 1
        elif run["key"] in asked:
            runs.setdefault(run["key"], run)
        else:
            others += 1
    foreign = tuple(run["code"] for run in runs.values() if run["code"] != code())
    if foreign and not mixed:
        raise UsageError(
            f"--out {folder}: {len(foreign)} of the runs there were computed by other code ({_listed(foreign)}; here "
            f"{code()}); name another folder, or take them as they are with --mixed"
        )
    return Kept(runs, others, foreign, damaged)


def add(folder: Path, run: dict[str, Any]) -> dict[str, Any]:
    """Keep a run, with what computed it; the run as it is kept.

    Raises:
        OSError: If it cannot be written; it names the file.
    """
    path, run = folder / RUNS, run | {"code": code()}
    folder.mkdir(parents=True, exist_ok=True)
    whole = not path.exists() or path.read_bytes()[-1:] in (b"", b"\n")
    files.append(path, ("" if whole else "\n") + json.dumps(run))  # else a cut line would take this one along
    return run


def _lines(path: Path) -> list[str]:
    try:
        if path.stat().st_size > LARGEST:
            raise DataError(f"{path}: larger than {LARGEST >> 20} MiB; name another folder")
        return [line for line in path.read_text("utf-8", "replace").splitlines() if line.strip()]
    except FileNotFoundError:
        return []


def _object(line: str) -> dict[str, Any] | None:
    """A line as a run; None where it is none."""
    try:
        run = json.loads(line)
    except (ValueError, RecursionError):
        return None
    whole = isinstance(run, dict) and run.keys() >= PARTS
    return run if whole and isinstance(run["key"], str) and isinstance(run["code"], str) else None


def _listed(codes: Sequence[str]) -> str:
    return "; ".join(sorted(set(codes)))
