"""Work that is shared out to processes of its own, one piece after another, and ends at once when it is stopped."""

from __future__ import annotations

import signal
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Generic, TypeVar

from pushforward.errors import TrainingError

__all__ = ["side_by_side"]

T = TypeVar("T")
R = TypeVar("R")


@dataclass
class _Worker(Generic[T, R]):
    """A process, the way to it, and what it is at."""

    process: BaseProcess
    pipe: Connection
    task: T


def side_by_side(work: Callable[[T], R], tasks: Sequence[T], workers: int) -> Generator[tuple[T, R]]:
    """Each task with what came of it, as soon as it is done; with one worker in this process, in order.

    When the caller goes, by Ctrl-C or an error, the processes are ended in the middle of what they do.

    Args:
        work: A function of a module, that processes can find.
        tasks: What it is called with.
        workers: Processes.

    Raises:
        TrainingError: If a process was ended from outside.
        Exception: Whatever `work` raises.
    """
    if workers == 1:
        for task in tasks:
            yield task, work(task)
        return
    left, busy = list(reversed(tasks)), list[_Worker[T, R]]()
    try:
        while left and len(busy) < workers:
            busy.append(_started(work, left.pop()))
        while busy:
            ready = wait([one.pipe for one in busy])
            for one in [one for one in busy if one.pipe in ready]:
                done, found = one.task, _answer(one)
                if left:
                    one.task = left.pop()
                    one.pipe.send(one.task)
                else:
                    busy.remove(one)
                    one.pipe.close()
                    one.process.join()
                yield done, found
    finally:
        for one in busy:
            one.process.kill()
            one.process.join()


def _started(work: Callable[[T], R], task: T) -> _Worker[T, R]:
    """A new process, and its first task on the way to it."""
    context = get_context("spawn")
    mine, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(work, theirs), daemon=True)
    unblocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # Ctrl-C is for who shares out the work
    try:
        process.start()  # and keeps what is blocked
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, unblocked)
    theirs.close()  # so that its end is seen here when the process ends
    mine.send(task)
    return _Worker(process, mine, task)


def _serve(work: Callable[[T], R], pipe: Connection) -> None:
    """Do what comes until nothing more does."""
    try:
        while True:
            task = pipe.recv()
            try:
                pipe.send((True, work(task)))
            except Exception as error:
                pipe.send((False, error))
    except (EOFError, OSError):
        return  # nobody waits any more


def _answer(worker: _Worker[T, R]) -> R:
    """What a worker sent.

    Raises:
        TrainingError: If it sends nothing any more.
    """
    try:
        fine, found = worker.pipe.recv()
    except (EOFError, OSError) as error:
        worker.process.join()
        code = worker.process.exitcode
        raise TrainingError(
            f"{worker.task}: its process ended by itself (exit {code}); see to the machine's memory, or take fewer "
            "--workers, and give the command again"
        ) from error
    if not fine:
        raise found
    return found
