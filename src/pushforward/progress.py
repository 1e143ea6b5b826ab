"""How work is watched: one shape of bar, for training, fits, merges and evaluations.

    vgrow_digits ━━━━━━━━━╸━━━━━━ 1200/2000 0:00:41 left 0:00:27 divergence 0.312

What does not apply is left out: a fit has no name, a part of an evaluation no count. Loading this module loads no rich.
"""

from __future__ import annotations

from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Self, final

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["Bar"]


@final
class Bar:
    """A bar of so many steps, which stays when they are over; or of one part of a work after the other, which goes.

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
        from rich import progress as rich

        parts = total is None
        words = partial(rich.TextColumn, markup=False)  # names and numbers may have brackets
        columns = (
            *([words("{task.description}")] if name else ()),
            rich.BarColumn(),
            *(() if parts else [rich.MofNCompleteColumn()]),
            rich.TimeElapsedColumn(),
            words("left"),
            rich.TimeRemainingColumn(),
            words("{task.fields[numbers]}"),
        )
        self._bar = rich.Progress(*columns, console=console, transient=parts, disable=not shown)
        self._task = self._bar.add_task(
            name, start=not parts, total=1.0 if parts else total, completed=done, numbers=""
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
        self._bar.reset(self._task, description=name, numbers="")

    def move(self, done: float, numbers: str | None = None) -> None:
        """So many steps, or so much of the part, are done; numbers to show beside it stay where none are given."""
        self._bar.update(self._task, completed=done)
        if numbers is not None:
            self._bar.update(self._task, numbers=numbers)
