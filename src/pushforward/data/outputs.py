"""The one place that decides what may be written: never over what is read, nor among a run's own files, nor in vain.

Every command asks here before it works. Names are held against each other by the file that they lead to, through links
of both kinds, whether they are relative or absolute, there or not yet.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterable
from pathlib import Path

from pushforward import files
from pushforward.data.formats.opening import exists
from pushforward.data.source import made
from pushforward.errors import DataError, UsageError
from pushforward.files import layout

__all__ = ["PAGE", "PICTURE", "claim", "claim_folder", "claim_run", "plain", "read_by"]

PAGE = (".html", ".htm")
PICTURE = (".png", ".svg", ".pdf")


def claim(
    option: str, out: Path, endings: tuple[str, ...], inputs: Iterable[object] = (), *, report_of: Path | None = None
) -> None:
    """Refuse a file that must not or cannot be written, before any work; nothing is made.

    Args:
        option: What names it, for messages: "--out".
        out: The file.
        endings: Endings of its format, the usual one first.
        inputs: What the command reads and writes besides: paths, words of the form PATH[:key], None, or lists of them.
        report_of: The run whose page this may be.

    Raises:
        UsageError: If its ending is of another format, or it is an input or one of a run's own files.
        OSError: If it cannot be written; it names the file.
    """
    _local(option, out)
    if not out.name:
        raise UsageError(f"{option} {str(out)!r}: name a file that ends in {endings[0]}")
    if out.suffix.lower() not in endings:
        raise UsageError(
            f"{option} {out}: name a file that ends in {' or '.join(endings)}, as {out.with_suffix(endings[0])}"
        )
    if out.exists() and not out.is_file() and not out.is_dir():
        raise UsageError(f"{option} {out}: a pipe or a device, which may take nothing; name a file")
    for path in _files(inputs):
        if files.same(out, path):
            raise UsageError(f"{option} {out}: is {path}, which this command reads or writes; name another file")
    if report_of is None or not files.same(out, report_of / layout.REPORT):
        _apart_from_runs(option, out)
    files.tried(out)


def claim_folder(option: str, out: Path, inputs: Iterable[object] = ()) -> None:
    """The same for a folder that new pictures come into: it must not be a part of what is read.

    Raises:
        UsageError: If it is an input or lies in one, or is a run's folder or one of a run's own.
        OSError: If nothing can be written there; it names the folder.
    """
    _local(option, out)
    for path in _files(inputs):
        if path.is_dir() and layout.is_run(path):
            continue  # a run, of which a new folder is none of its own
        if _inside(out, path):
            raise UsageError(f"{option} {out}: is in {path}, which this command reads; name a folder apart from it")
    _apart_from_runs(option, out)
    _room(out)


def claim_run(folder: Path, arguments: Iterable[object], *, resume: bool) -> None:
    """Refuse a folder for a run, before any work: one that is full of other things, or a part of the data.

    Args:
        folder: Folder of the run.
        arguments: What the recipe is called with, among them names of data.
        resume: Whether a run goes on there.

    Raises:
        UsageError: If it holds files and no run, or lies in a folder of data or in another run's own files.
        OSError: If nothing can be written there; it names the folder.
    """
    _local("--run", folder)
    for path in _files(arguments):
        if path.is_dir() and _inside(folder, path):
            remedy = "move the run out of it and continue it there" if resume else "name a folder outside"
            raise UsageError(
                f"--run {folder}: lies in the data folder {path}, and the pictures of the run would be data; {remedy}"
            )
    if not layout.begun(folder):
        there = sorted(name for name in os.listdir(folder) if not layout.is_first(name)) if folder.is_dir() else []
        if there:
            raise UsageError(
                f"--run {folder}: holds {len(there)} files or folders ({there[0]!r:.60}) and no run.json, so it is no "
                "run; name a new or an empty folder"
            )
        _apart_from_runs("--run", folder)
    _room(folder)


def plain(run: Path, written: Iterable[Path] = ()) -> None:
    """Refuse a run in whose folder a pipe or a device stands for a file, which may never end, or a link for an output.

    Args:
        run: Its folder.
        written: Those of its own files and folders that the command writes, by their paths.

    Raises:
        DataError: Which of them is none.
    """
    wanted = set(written)
    for own in layout.own(run):
        for path in (own, *sorted(own.glob("**/*"))):
            if own in wanted and path.is_symlink():
                raise DataError(f"{path}: a link, and what a run writes does not go through links; put the file there")
            if path.exists() and not path.is_file() and not path.is_dir():
                raise DataError(f"{path}: a pipe or a device in the place of a file; put the file there, or remove it")


def read_by(run: Path) -> list[Path]:
    """What a run is opened from, so that no output replaces it: its own files, and those that its arguments name.

    Args:
        run: Its folder; of one that is damaged only what can be read, and whoever opens it says so.
    """
    own = [path for top in layout.own(run) if top.name != layout.REPORT for path in (top, *top.glob("**/*"))]
    try:
        arguments = files.read_object(run / layout.RUN).get("arguments")
    except (OSError, DataError):
        arguments = None
    data = _files(arguments.values()) if isinstance(arguments, dict) else []
    return [run, *(path for path in own if path.is_file()), *data]


def _files(words: Iterable[object]) -> list[Path]:
    """Files and folders that words name, PATH or PATH:key, of those that are there."""
    found = list[Path]()
    for word in words:
        if isinstance(word, list | tuple):
            found += _files(word)
        elif isinstance(word, Path):
            found.append(word)
        elif isinstance(word, str) and not made(word):
            head, _, tail = word.rpartition(":")
            found += [Path(name).expanduser() for name in (word, head, tail) if name and exists(name)]
    return found


def _local(option: str, out: Path) -> None:
    """Refuse an address, of which a path would make a folder called `file:`."""
    if re.fullmatch(r"[a-z][a-z0-9+.-]+:", out.parts[0] if out.parts else "", re.IGNORECASE):
        raise UsageError(f"{option} {out}: an address; name a place on this machine, /folder/file")


def _inside(path: Path, folder: Path) -> bool:
    """Whether a path lies in a folder, or is it."""
    place = Path(os.path.realpath(path))
    return any(files.same(part, folder) for part in (place, *place.parents))


def _apart_from_runs(option: str, out: Path) -> None:
    """Refuse what is one of a run's own files, or among them, or the folder of a run itself."""
    place = Path(os.path.realpath(out))
    for folder in (place, *place.parents):
        if layout.is_run(folder) and (folder / layout.CHECKPOINTS).is_dir():
            own = place.relative_to(folder).parts[:1]
            if not own or layout.is_own(own[0]):
                raise UsageError(f"{option} {out}: belongs to the run {folder}; name a place apart from its files")


def _room(folder: Path) -> None:
    """Make sure that files can be written in a folder, there or not yet."""
    try:
        if folder.exists() and not folder.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        files.tried(folder / layout.RUN)
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), os.fspath(folder)) from error
