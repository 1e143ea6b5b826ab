"""metrics.json: what was measured of a run, and whether measuring again would say more."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pushforward import files
from pushforward.commands.watching import Until
from pushforward.errors import DataError
from pushforward.files import layout
from pushforward.metrics.verdict.report import Report

__all__ = ["measured", "store"]

CUT = "cut_short_at"  # in metrics.json: seconds that there were for numbers, where they were too few


def measured(folder: Path, step: int, *, seed: int = 0, until: Until = Until()) -> dict[str, Any] | None:
    """What metrics.json says of the last checkpoint, where measuring again would not say more.

    Args:
        folder: The run.
        step: Step of its last checkpoint.
        seed: Seed of the samples.
        until: What was cut short by a sitting's end is measured again in one that leaves more time.

    Returns:
        What `Report.as_dict` stored, verdict and metrics among it; None if there is nothing of that step and seed.
    """
    try:
        found = files.read_object(folder / layout.METRICS)
    except (OSError, DataError):
        return None
    about = {"checkpoint": "last", "step": step, "seed": seed, "sampling": None, "data": None}
    if any(found.get(name) != value for name, value in about.items()):
        return None
    had = found.get(CUT)
    if isinstance(had, int | float) and until.to_measure > had:
        return None
    kept = ("verdict", "grade", "warnings", "notes", "findings", "unknown", "metrics")
    said = {name: found[name] for name in kept if name in found}
    return said if isinstance(said.get("metrics"), dict) else None


def store(
    folder: Path,
    found: Report,
    which: str,
    step: int,
    seed: int,
    sampling: Sequence[str] = (),
    data: str | None = None,
    had: float | None = None,
) -> None:
    stored = found.as_dict() | {"checkpoint": which, "step": step, "seed": seed}
    stored |= {"sampling": list(sampling)} if sampling else {}
    stored |= {"data": data} if data is not None else {}
    stored |= {CUT: had} if had is not None else {}
    files.write(folder / layout.METRICS, json.dumps(stored, indent=1) + "\n")
