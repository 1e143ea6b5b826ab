"""How work is watched: one shape of bar, for training, fits, merges and evaluations.

    vgrow_digits ━━━━━━━━━╸━━━━━━ 1200/2000 0:00:41 left 0:00:27 divergence 0.312

What does not apply is left out: a fit has no name, a part of an evaluation neither count nor numbers. Loading this
module loads no rich.
"""

from __future__ import annotations

import time
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Self, final

from pushforward.errors import printable

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["Bar", "Pulse", "span"]


@final
class Bar:
    """A bar of steps, left on the screen when they are over; or of parts, one after another, cleared at the end.

    Args:
        console: Where it is drawn. Other words on that console, and prints, appear above it.
        name: What is done, shown as it stands; nothing where empty.
        total: Number of steps; None for parts, whose progress is a fraction and which `begin` one by one.
        done: Steps that are behind when it starts.
        shown: Whether anything is drawn at all.
    """

    def __init__(
        self, console: Console, name: str = "", total: int | None = None, *, done: int = 0, shown: bool = True
    ) -> None:
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )
        from rich.table import Column

        words = partial(TextColumn, markup=False)  # names and numbers may have brackets
        head = [words("{task.description}")] if name else []
        times = [TimeElapsedColumn(), words("left"), TimeRemainingColumn()]
        if total is None:
            columns = (*head, BarColumn(), *times)
        else:  # bar and numbers share the room that is left, so that many numbers do not push out count and times
            bar = BarColumn(None, table_column=Column(ratio=1))
            numbers = words("{task.fields[numbers]}", table_column=Column(ratio=2, no_wrap=True))
            columns = (*head, bar, MofNCompleteColumn(), *times, numbers)
        stays = total is not None
        self._bar = Progress(*columns, console=console, expand=stays, transient=not stays, disable=not shown)
        self._task = self._bar.add_task(
            printable(name), start=stays, total=total if stays else 1.0, completed=done, numbers=""
        )

    def __enter__(self) -> Self:
        """Start drawing."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop drawing."""
        self.stop()

    def start(self) -> None:
        """Start drawing."""
        self._bar.start()

    def stop(self) -> None:
        """Leave what was drawn of steps, take away what was drawn of parts."""
        self._bar.stop()

    def begin(self, name: str) -> None:
        """A part begins: none of it is done, and its time starts."""
        self._bar.reset(self._task, description=printable(name))

    def move(self, done: float, numbers: str | None = None) -> None:
        """So many steps, or so much of the part, are done; of steps, the numbers beside them stay until others come."""
        self._bar.update(self._task, completed=done)
        if numbers is not None:
            self._bar.update(self._task, numbers=printable(numbers))


@final
class Pulse:
    """When a line without a bar is due, and what it says of the time left: where output goes into a file or a pipe.

    Args:
        every: Seconds from one line to the next.
    """

    def __init__(self, every: float = 30.0) -> None:
        self.every = every
        self.begin()

    def begin(self) -> None:
        """Work begins: its time starts."""
        self.start = self.last = time.monotonic()

    def due(self) -> bool:
        """Whether a line is due; if so, the next one is due so many seconds later."""
        now = time.monotonic()
        if now - self.last < self.every:
            return False
        self.last = now
        return True

    def left(self, fraction: float) -> str:
        """About how long it will take on, if so much is done; nothing where nothing is done."""
        if not 0 < fraction < 1:
            return ""
        seconds = (time.monotonic() - self.start) * (1 - fraction) / fraction
        return f"about {span(seconds)} left"


def span(seconds: float) -> str:
    """A time in words."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
