"""The folder of a run: what is called how.

    run.json                   what the run is, and how far it came
    data-DIGEST.json           what its data are, without a row of them; run.json says which one, so that the two change
                               in one step, that of run.json (a run of earlier days: data.json)
    log.jsonl  metrics.json    its numbers
    report.html  samples/      what there is to look at
    checkpoints/{last,best}/   its tensors
    run.lock  traceback.txt    who trains it; what a guest raised

Names alone: whether something may be written there, `data.outputs` decides.
"""

from __future__ import annotations

import re
from pathlib import Path

__all__ = [
    "CARD",
    "CHECKPOINTS",
    "LOCK",
    "LOG",
    "METRICS",
    "REPORT",
    "RUN",
    "SAMPLES",
    "TRACEBACK",
    "begun",
    "card",
    "cards",
    "checkpoint",
    "is_card",
    "is_first",
    "is_own",
    "is_run",
    "own",
]

RUN = "run.json"
LOG = "log.jsonl"
METRICS = "metrics.json"
REPORT = "report.html"
TRACEBACK = "traceback.txt"
LOCK = "run.lock"
CHECKPOINTS = "checkpoints"
SAMPLES = "samples"
CARD = "data.json"  # of earlier days, and what a card is called where there is no digest of it

OWN = (RUN, CARD, LOG, METRICS, TRACEBACK, REPORT, LOCK, CHECKPOINTS, SAMPLES)
NAMED = re.compile(r"data-[0-9a-f]{12}\.json")


def is_run(folder: Path) -> bool:
    """Whether a folder holds a run."""
    return (folder / RUN).is_file()


def begun(folder: Path) -> bool:
    """Whether a run began there, though what it left may be no plain file."""
    return (folder / RUN).exists()


def checkpoint(folder: Path, which: str = "last") -> Path:
    """The folder of a checkpoint of a run, "last" or "best"."""
    return folder / CHECKPOINTS / which


def card(digest: object) -> str:
    """What the card of data is called whose text has a digest, SHA-256 in hexadecimal."""
    name = f"data-{digest:.12}.json" if isinstance(digest, str) else CARD
    return name if is_card(name) else CARD


def is_card(name: str) -> bool:
    """Whether a name is that of a card of data."""
    return name == CARD or NAMED.fullmatch(name) is not None


def cards(folder: Path) -> list[Path]:
    """The cards of data in a folder: one, or for a moment two."""
    return [path for path in sorted(folder.glob("data*.json")) if is_card(path.name)]


def is_first(name: str) -> bool:
    """Whether a name is that of a file which a run that was killed before its first word may have left."""
    return name == LOCK or is_card(name)


def is_own(name: str) -> bool:
    """Whether a name in the folder of a run is that of one of its own files or folders."""
    return name in OWN or is_card(name)


def own(folder: Path) -> list[Path]:
    """A run's own files and folders, those that are there and those that are not yet."""
    return [*(folder / name for name in OWN), *(path for path in cards(folder) if path.name != CARD)]
