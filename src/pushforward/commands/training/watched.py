"""A run is watched while it trains: on a terminal, by a log, by who started it; and stopped between two steps."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from pushforward.commands.console import say, tell
from pushforward.parallel.placement import Placement
from pushforward.progress import Bar, Pulse
from pushforward.terms import Term
from pushforward.training.run import Progress, Run, Stop

__all__ = ["short", "stop_between_steps", "tell_once", "watch"]

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def stop_between_steps(placement: Placement) -> Iterator[Stop]:
    """Turn the first Ctrl-C, SIGTERM or SIGHUP into a wish to stop; the second stops at once.

    Only the main thread may listen to signals; a run in another one goes on to its end. Who started the command under
    `nohup` wants no end with the terminal.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def wish(number: int, frame: Any) -> None:
        if stop.signal:
            raise KeyboardInterrupt
        stop.signal = number
        tell_once(placement, "stopping after this step; once more to stop at once")

    heard = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, wish) for number in heard}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def watch(run: Run, stop: Stop, minutes: float | None, until: int | None) -> None:
    """Run the loop under a progress bar, on a terminal, or with a line now and then; both count to where it stops."""
    first, last = run.step, run.experiment.steps
    goal = last if until is None else max(first, min(until, last))
    if not (run.placement.writes and say.is_terminal):
        pulse = Pulse()
        for progress in run.advance(stop, minutes, until):
            _remark(run, progress)
            tenth = progress.step % max(1, goal // 10) == 0
            if run.placement.writes and (pulse.due() or tenth):
                left = pulse.left((progress.step - first) / max(1, goal - first))
                done = f"step {progress.step} of {goal}, {progress.seconds:.0f} s"
                tell(f"{done}, {short(progress, run.terms)}{left and ', '}{left}")
        return
    with Bar(say, run.description["recipe"], goal, done=run.step) as bar:
        shown = 0.0
        for progress in run.advance(stop, minutes, until):
            _remark(run, progress)
            if progress.seconds - shown > 0.2 or progress.step == goal:
                shown = progress.seconds
                bar.move(progress.step, short(progress, run.terms))
        bar.move(run.step)


def _remark(run: Run, progress: Progress) -> None:
    for words in progress.remarks:
        tell_once(run.placement, f"note: {words}")


def short(progress: Progress, terms: Mapping[str, Term]) -> str:
    """The stage, where there are several, and the numbers that are worth watching."""
    shown = [f"{k} {value:.3g}" for k, value in progress.numbers.items() if k in terms and terms[k].live]
    return " ".join([progress.stage, *shown] if progress.stage else shown)


def tell_once(placement: Placement, message: str) -> None:
    """Say something on the terminal, from one process; where the terminal is gone, as after SIGHUP, to nobody."""
    if not placement.writes:
        return
    try:
        tell(message)
    except OSError:
        nobody = os.open(os.devnull, os.O_WRONLY)
        for number in (1, 2):
            try:
                os.write(number, b"")
            except OSError:
                os.dup2(nobody, number)
