"""Who trains a run: one process at a time, which a file in its folder names for as long as it works.

DIR/run.lock holds the process, when it started, its machine and its command. The file is locked besides, where
the file system does that, which ends with the process however it ends. What a killed process left is recognised: no
process has its number, or one that started at another time. Of another machine nobody can tell, and the
message says what to remove.
"""

from __future__ import annotations

import fcntl
import json
import os
import platform
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path

from pushforward.errors import UsageError, printable
from pushforward.files.layout import LOCK
from pushforward.files.processes import born, gone

__all__ = ["Holder", "held", "holder", "refuse"]

LARGEST = 2**16  # bytes of the file that are read
TRIES = 20  # openings of a file that others take away meanwhile


@dataclass(frozen=True)
class Holder:
    """A process that trains a run.

    Attributes:
        process: Its number.
        born: When it started, as its system has it; empty where that is not known.
        host: Its machine.
        since: When it took the run, in UTC.
    """

    process: int
    born: str
    host: str
    since: str

    @classmethod
    def own(cls) -> Holder:
        """This process."""
        return cls(os.getpid(), born(os.getpid()), platform.node(), datetime.now(UTC).isoformat(timespec="seconds"))

    @property
    def here(self) -> bool:
        """Whether it runs, or ran, on this machine."""
        return self.host == platform.node()

    @property
    def gone(self) -> bool:
        """Whether it is known to have ended: its number is nobody's on this machine, or another process's."""
        return self.here and gone(self.process, self.born)

    @property
    def mine(self) -> bool:
        """Whether it is this process."""
        return self.here and self.process == os.getpid() and self.born == born(os.getpid())

    @property
    def words(self) -> str:
        """Who it is, for people."""
        return f"process {self.process} on {printable(self.host) or 'an unnamed machine'} since {printable(self.since)}"


@contextmanager
def held(folder: Path, option: str = "--run") -> Iterator[Holder | None]:
    """Within, the run in a folder is this process's; gives the one before it that ended without a word, if any.

    Args:
        folder: The folder.
        option: What names it, for messages.

    Raises:
        UsageError: If another process trains it, or may do so on another machine; it names the holder.
        OSError: If nothing can be written there.
    """
    path = folder / LOCK
    file = _taken(path, option)
    try:
        before = _read(file)
        if before is not None and not (before.gone or before.mine):
            raise _busy(folder, before, option)
        os.ftruncate(file, 0)
        os.pwrite(file, f"{json.dumps(asdict(Holder.own()))}\n".encode(), 0)
        os.fsync(file)
    except BaseException:
        os.close(file)
        raise
    try:
        yield before
    finally:
        with suppress(OSError):
            path.unlink()
        os.close(file)


def holder(folder: Path) -> Holder | None:
    """The process that trains the run in a folder, as far as can be told without touching anything."""
    try:
        file = os.open(folder / LOCK, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        found = _read(file)
    finally:
        os.close(file)
    return None if found is None or found.gone else found


def refuse(folder: Path) -> None:
    """Refuse a run that another process trains.

    Raises:
        UsageError: If there is one; it names the holder.
    """
    found = holder(folder)
    if found is not None and not found.mine:
        raise _busy(folder, found, "--run")


def _taken(path: Path, option: str) -> int:
    """The open lock file, locked against other processes where the system does that.

    Raises:
        UsageError: If another process has it.
    """
    for _ in range(TRIES):
        file = os.open(path, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW, 0o666)  # a link is no lock of ours
        try:
            _lock(file)
        except BlockingIOError:
            found = _read(file)
            os.close(file)
            if found is None:  # it was just made, and is not yet written; or just taken away
                time.sleep(0.01)
                continue
            raise _busy(path.parent, found, option) from None
        except BaseException:
            os.close(file)
            raise
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file), os.lstat(path)):  # nobody took the name away before it was locked
                return file
        os.close(file)
    raise UsageError(f"{option} {path.parent}: other processes take it up just now; name another folder")


def _lock(file: int) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:  # a file system without locks: what the file says must do
        return


def _read(file: int) -> Holder | None:
    """What a lock file says; None where it says nothing that could be told."""
    if not stat.S_ISREG(os.fstat(file).st_mode):
        return None
    try:
        found = json.loads(os.pread(file, LARGEST, 0))
        kinds = {"process": int, "born": str, "host": str, "since": str}
        if all(type(found[part.name]) is kinds[part.name] for part in fields(Holder)):
            return Holder(**{part.name: found[part.name] for part in fields(Holder)})
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    return None


def _busy(folder: Path, found: Holder, option: str) -> UsageError:
    if found.here:
        return UsageError(f"{option} {folder}: is being trained by {found.words}; wait for it, or name another folder")
    return UsageError(
        f"{option} {folder}: was taken by {found.words}, and nobody can tell from here whether that still works; if it "
        f"does not, remove {folder / LOCK}"
    )
