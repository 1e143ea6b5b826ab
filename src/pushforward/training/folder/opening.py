"""Opening a run's folder: what run.json says, and whether it can be gone on with."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from pushforward import files, guests
from pushforward.data import outputs
from pushforward.errors import DataError, UsageError
from pushforward.files import layout
from pushforward.parallel import sharing
from pushforward.training.folder import lock

__all__ = ["FORMAT", "lacking", "open_run", "taken", "unfit"]

FORMAT = 3  # of run.json: 1 without facts, 2 without a card of the data


def lacking(run: dict[str, Any]) -> tuple[str, ...]:
    """Ends of the names of tensors that a run's checkpoints may lack: before format 3, what is computed from data."""
    return () if run.get("format") == FORMAT else ("source.mean", "source.factor", "kernel.length", "teacher.labels")


@contextmanager
def taken(
    folder: Path | None, stem: str, arguments: Iterable[object], *, resume: bool, writes: bool
) -> Iterator[tuple[Path, dict[str, Any] | None, lock.Holder | None]]:
    """Within, a folder is this run's and no other process's: made here, or that of the run that is to go on.

    Folders that are made and stay empty are taken away again.

    Args:
        folder: The folder; None for the first of runs/STEM, runs/STEM-2, ... that nobody has.
        stem: What a new folder is called.
        arguments: What the recipe is called with, among them names of data.
        resume: Whether a run goes on there.
        writes: Whether this process writes, of several that share the run.

    Yields:
        The folder; the description of the run that goes on, or None; and who trained it before and was killed.

    Raises:
        UsageError: If there is a run that is not to be continued, other things, or data; or another process trains it.
        DataError: If run.json cannot be read.
        OSError: If nothing can be written there; it names the folder.
    """
    arguments = list(arguments)
    if folder is None:
        folder, made, stored = *_free(stem, arguments), None
    else:
        outputs.plain(folder, layout.own(folder))
        if writes:
            lock.refuse(folder)
        stored = open_run(folder, resume=resume)
        outputs.claim_run(folder, arguments, resume=resume)
        sharing.wait()  # or a process would find what another one has begun to write
        made = files.new_folders(folder) if writes else []
    try:
        if not writes:
            yield folder, stored, None
            return
        with lock.held(folder) as before:
            stored = open_run(folder, resume=resume)  # again, now that nobody else writes it
            yield folder, stored, before
    finally:
        files.without(made)  # which a run that began is not empty enough for


def _free(stem: str, arguments: Sequence[object]) -> tuple[Path, list[Path]]:
    """A new folder that is nobody else's, and all that had to be made for it, the innermost first.

    Raises:
        UsageError: Under torchrun, where several processes would choose apart; or if it lies in the data.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UsageError("--run: name the folder of the run, so that all processes share it")
    for k in count(1):
        folder = Path("runs") / (stem if k == 1 else f"{stem}-{k}")
        if folder.exists():
            continue
        outputs.claim_run(folder, arguments, resume=False)
        new = files.new_folders(folder.parent)
        try:
            folder.mkdir()
        except FileExistsError:  # another process was faster
            continue
        return folder, [folder, *new]
    raise AssertionError


def unfit(run: dict[str, Any], place: Path, why: str, error: Exception, trust: Sequence[str] = ()) -> DataError:
    """The error for a run that this version cannot build again from what its folder holds.

    Args:
        run: Its description.
        place: What cannot be used.
        why: What is wrong with it, in words.
        error: What was raised over it. One that came out of a guest is raised again as it is: it is the guest's own,
            and told so.
        trust: What the user named.
    """
    blamed = guests.blamed(error, guests.of_run(run, trust))
    if blamed and not isinstance(error, UsageError):
        raise error
    said = blamed or error
    if run.get("format", 1) == 1:
        return DataError(
            f"{place}: made by an earlier version of pushforward (run.json format 1): {why} ({said}); use that version "
            "for this run, or train again in a new folder"
        )
    remedy = "train again, in a new folder"
    if guests.is_guest(run.get("recipe")) and type(error) is ValueError:  # over its weights, not its options
        remedy += "; a method whose tensors change shape or number as it learns needs restore(step) (docs/guests.md)"
    return DataError(f"{place}: {why} ({said}); {remedy}")


def open_run(folder: Path, *, resume: bool) -> dict[str, Any] | None:
    """The description of the run in a folder, or None if there is none yet.

    Raises:
        UsageError: If there is a run and it is not to be continued.
        DataError: If run.json cannot be read.
    """
    path = folder / layout.RUN
    if not path.exists():
        if folder.exists() and not folder.is_dir():
            raise UsageError(f"--run {folder}: is a file; name a folder")
        return None
    try:
        description = files.read_object(path, "description of a run")
    except DataError as error:
        raise DataError(f"{error}; restore it or start a new run") from error
    if not {"recipe", "arguments", "step", "data", "options"} <= description.keys():
        raise DataError(
            f"{path}: not a description of a run (it lacks recipe, arguments, step, data or options); restore it or "
            "start a new run"
        )
    kinds: dict[str, Any] = {"recipe": str, "arguments": dict, "step": int, "data": dict, "options": dict}
    usual = {"seed": int, "steps": int, "seconds": float | int, "command": str, "best": dict | None, "ended": str,
             "remarks": list, "ending": list}  # fmt: skip
    usual |= {"commands": list, "stages": list, "legs": list}
    kinds |= {name: kind for name, kind in usual.items() if name in description}
    if strange := [name for name, kind in kinds.items() if not isinstance(description[name], kind)]:
        raise DataError(
            f"{path}: not a description of a run ({strange[0]} is {description[strange[0]]!r:.60}); restore it or "
            "start a new run"
        )
    if not resume:
        raise UsageError(
            f"--run {folder}: already holds a run at step {description['step']}; add --resume to continue it, "
            "or name another folder"
        )
    return description
