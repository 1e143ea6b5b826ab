"""Files that appear whole or not at all: written beside their place, synced, renamed into it; and guarded reads.

    PATH                    what was there, until the instant at which the new content takes its name
    .NAME.WRITER-TOKEN.new  the new content while it is written, under a name that nobody can foresee and that is made
                            anew, so never a link; what a kill leaves of it, the next writing removes

Whoever reads PATH while it is replaced, or after the machine went down in between, finds the old content or the new.
Whether a command may write there at all, `data.outputs` decides, before the work.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import platform
import re
import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pushforward.errors import DataError
from pushforward.files import processes

__all__ = [
    "append",
    "complete",
    "is_full",
    "new_folders",
    "no_room",
    "present",
    "read_object",
    "same",
    "tried",
    "whole_file",
    "whole_folder",
    "without",
    "write",
    "write_synced",
]

LARGEST = 2**28  # bytes of JSON that are read at once; a description of a run has thousands
LONGEST = 150  # bytes of a name that its temporary one keeps, as a name may have 255
HOST = hashlib.sha256(platform.node().encode()).hexdigest()[:8]
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # the disk, what a user may have of it, or the largest file
UNKNOWN = hashlib.sha256(b"").hexdigest()[:8]  # the mark of a process of which nobody can say when it started


def write(path: str | os.PathLike[str], content: bytes | str, *, parents: bool = False) -> None:
    """Replace a file in one step; text is written as UTF-8.

    Args:
        path: The file; its folder must be there. Of a link the file it leads to is replaced, and the link stays.
        content: What the file will hold.
        parents: Make folders that are missing, and take them away again where the file is not written.

    Raises:
        OSError: If it cannot be written; it names the path, and what was there stays as it was.
    """
    with whole_file(path, parents=parents) as fresh:
        fresh.write_bytes(content.encode() if isinstance(content, str) else content)


@contextmanager
def whole_file(path: str | os.PathLike[str], *, parents: bool = False) -> Iterator[Path]:
    """The same for who writes by name: gives the path to write to, and renames what is there afterwards.

    A file keeps the permissions that it had; a new one gets what the process's mask allows. A device or a pipe is
    written to as it stands. If the body raises, what it wrote is taken away.

    Raises:
        OSError: If it cannot be written; it names `path`, not the file beside it. What the body says of another file
            stays as it is.
    """
    target = Path(os.path.realpath(path))
    regular = target.is_file() or target.is_dir() or not target.exists()  # a folder is refused by the renaming
    fresh, made = target, list[Path]()
    try:
        if regular:
            made = new_folders(target.parent) if parents else []
            fresh = _fresh(target)
        yield fresh
        if regular:
            _sync(fresh)
            if target.exists():
                shutil.copymode(target, fresh)
            os.replace(fresh, target)
            _sync(target.parent)
    except BaseException as error:
        if fresh != target:
            with suppress(OSError):
                fresh.unlink(missing_ok=True)
        without(made)
        if isinstance(error, OSError) and (
            fresh == target or error.filename is None or os.fsdecode(error.filename) == os.fspath(fresh)
        ):
            raise _naming(error, path) from error
        raise


def new_folders(folder: Path) -> list[Path]:
    """Make a folder and those above it that are missing, or none: the ones that were made, the innermost first."""
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        without(made)
        raise
    return made


def without(folders: Iterable[Path]) -> None:
    """Take folders away again, the innermost first, as far as they are empty."""
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """Replace a folder with all that is in it: gives an empty one to fill, which takes its name afterwards.

    No system renames a folder over a full one, so the old one steps aside first; `complete` ends what a kill between
    the two renamings left undone, here too, so that something whole is there at every instant. Files in it should be
    written by `write_synced`.
    """
    complete(folder)
    fresh, old = _beside(folder, "new"), _beside(folder, "old")
    try:
        for leftover in (fresh, old):
            if leftover.is_symlink():
                leftover.unlink()  # never what it leads to
            shutil.rmtree(leftover, ignore_errors=True)
        fresh.mkdir(parents=True)  # fails where anything is left, so what is filled is ours
        yield fresh
        _sync(fresh)
        if folder.exists():
            folder.rename(old)
    except BaseException as error:
        shutil.rmtree(fresh, ignore_errors=True)
        if isinstance(error, OSError) and fresh in (path := Path(error.filename or ""), *path.parents):
            raise _naming(error, folder / path.relative_to(fresh)) from error
        raise
    fresh.rename(folder)
    _sync(folder.parent)
    shutil.rmtree(old, ignore_errors=True)


def complete(folder: Path) -> None:
    """End a `whole_folder` that a crash cut short; the process that writes the folder, and no other, may do this."""
    if (found := present(folder)) != folder:
        found.rename(folder)


def present(folder: Path) -> Path:
    """Where the content of a folder is that `whole_folder` writes: beside its place, if it was cut between renamings.

    Nothing is renamed, so anyone may ask; but while another process writes, the answer may be outdated at once.
    """
    fresh, old = _beside(folder, "new"), _beside(folder, "old")
    if folder.exists() or not old.exists():
        return folder  # what is beside it, if anything, was not finished
    return fresh if fresh.exists() else old


def write_synced(path: Path, content: bytes) -> None:
    """Write a new file that nobody reads yet, down to the disk.

    Raises:
        OSError: If it is there already, be it a link, or cannot be written; it names the path.
    """
    try:
        with path.open("xb") as file:
            file.write(content)
        _sync(path)
    except OSError as error:
        raise _naming(error, path) from error


def append(path: Path, line: str) -> None:
    """Add a line to a text file; a crash may cut the last line short, which who reads it must bear.

    Raises:
        OSError: If it cannot be written; it names the path.
    """
    try:
        with open(path, "a", encoding="utf-8") as file:
            file.write(f"{line}\n")
    except OSError as error:
        raise _naming(error, path) from error


def is_full(error: BaseException) -> bool:
    """Whether something could not be written because there was no room for it."""
    return isinstance(error, OSError) and error.errno in FULL


def no_room(error: BaseException) -> str:
    """What could not be written for want of room, and the beginning of what helps; who says it goes on."""
    assert isinstance(error, OSError)
    where = "the output" if error.filename is None else os.fsdecode(error.filename)
    return f"{where}: {os.strerror(error.errno or errno.ENOSPC)}; make room there"


def read_object(path: Path, what: str = "JSON object") -> dict[str, Any]:
    """A JSON object from a file that may be anything.

    Args:
        path: The file.
        what: What it should be, for the message.

    Raises:
        FileNotFoundError: If there is no such file.
        DataError: If it cannot be read, is larger than 256 MiB, or holds no JSON object: what is wrong, in one line.
    """
    try:
        if path.exists() and not path.is_file():
            raise ValueError("no plain file")
        if path.stat().st_size > LARGEST:
            raise ValueError(f"larger than {LARGEST >> 20} MiB")
        found = json.loads(path.read_bytes())
        if not isinstance(found, dict):
            raise ValueError(f"holds a {type(found).__name__}, not an object")
    except FileNotFoundError:
        raise
    except (OSError, ValueError, RecursionError) as error:  # bad UTF-8 is a ValueError; deep nesting recurses
        why = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise DataError(f"{path}: not a {what} ({why})") from error
    return found


def same(one: str | os.PathLike[str], other: str | os.PathLike[str]) -> bool:
    """Whether two names lead to one file or folder, through links of both kinds; it need not be there yet."""
    try:
        return os.path.samefile(one, other)
    except OSError:
        return os.path.normcase(os.path.realpath(one)) == os.path.normcase(os.path.realpath(other))


def tried(path: str | os.PathLike[str]) -> None:
    """Make sure, before the work, that a file can be written; nothing stays of the trial.

    Args:
        path: The file; folders that are not there yet could be made.

    Raises:
        OSError: If it cannot; it names the path.
    """
    target = Path(os.path.realpath(path))
    try:
        with suppress(FileNotFoundError):
            target.lstat()  # a name that is too long
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if target.exists() and not target.is_file():
            return  # a device is written to as it stands
        place = target.parent
        while not os.path.lexists(place):
            place = place.parent
        _fresh(place / target.name).unlink()
    except OSError as error:
        raise _naming(error, path) from error


def _fresh(target: Path) -> Path:
    """A new empty file beside a place, with the permissions of any new file; what dead writers left is removed."""
    stem = f".{target.name.encode(errors='ignore')[:LONGEST].decode(errors='ignore')}."
    fresh = target.with_name(f"{stem}{HOST}-{os.getpid()}-{_mark(os.getpid())}-{secrets.token_hex(8)}.new")
    os.close(os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    form = re.compile(rf"{re.escape(stem)}{HOST}-(\d+)-([0-9a-f]+)-[0-9a-f]+\.new")
    with suppress(OSError):  # a folder may be one to write to and not to list
        for name in os.listdir(target.parent):
            if (found := form.fullmatch(name)) and _dead(int(found[1]), found[2]):
                (target.parent / name).unlink()
    return fresh


def _mark(process: int) -> str:
    """Digest of when a process started, the same for all whose start is not known."""
    return hashlib.sha256(processes.born(process).encode()).hexdigest()[:8]


def _dead(number: int, mark: str) -> bool:
    """Whether a process of this machine is no more, or another one has its number."""
    return not processes.alive(number) or mark not in (UNKNOWN, _mark(number))


def _beside(path: Path, what: str) -> Path:
    return path.with_name(f".{path.name}.{what}")


def _naming(error: OSError, path: str | os.PathLike[str]) -> OSError:
    """The same error, said of the path that was asked for."""
    known = error.errno is not None and (is_full(error) or not error.strerror)  # a library may say more, and less well
    words = os.strerror(error.errno) if known and error.errno is not None else error.strerror or str(error)
    return OSError(error.errno, words, os.fspath(path))


def _sync(path: Path) -> None:
    """Bring a file's content, or a folder's renamings where the system allows that, to the disk."""
    if path.is_dir():
        with suppress(OSError):  # some network systems sync no folders
            _flush(path, os.O_RDONLY)
    else:
        _flush(path, os.O_RDWR)


def _flush(path: Path, mode: int) -> None:
    handle = os.open(path, mode)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
