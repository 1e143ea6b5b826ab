"""How an evaluation is watched: what a long part will cost, said before it starts, and a bar while it runs."""

from __future__ import annotations

from types import TracebackType
from typing import Self, final

from pushforward.commands.console import say, tell
from pushforward.progress import Bar, Pulse, span

__all__ = ["Watching"]

LONG = 10.0  # seconds from which on a part's cost is told


@final
class Watching:
    """A bar on standard error for each part of an evaluation; on no terminal, a line now and then.

    Args:
        quiet: Say nothing; for every process but the first.
    """

    def __init__(self, quiet: bool = False) -> None:
        self.quiet, self.name, self.pulse = quiet, "reading", Pulse()
        self.bar = Bar(say, "reading", shown=say.is_terminal and not quiet)

    def __enter__(self) -> Self:
        """Start the bar."""
        self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take the bar away."""
        self.bar.stop()

    def begin(self, name: str, seconds: float) -> None:
        """A part begins; about so many seconds are expected."""
        self.bar.begin(name)
        self.name = name
        self.pulse.begin()
        if seconds >= LONG and not self.quiet:
            tell(f"{name}: about {span(seconds)}; to leave it out, name other --metrics")

    def tick(self, fraction: float) -> None:
        """So much of the part is done."""
        self.bar.move(fraction)
        if not self.quiet and not say.is_terminal and 0 < fraction < 1 and self.pulse.due():
            tell(f"{self.name}: {fraction:.0%}, {self.pulse.left(fraction)}")
