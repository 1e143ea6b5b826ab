"""How an evaluation is watched: what a long part will cost, said before it starts, and a bar while it runs."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import TracebackType
from typing import Self, final

from pushforward.commands.console import say, tell
from pushforward.errors import OutOfTime
from pushforward.progress import Bar, Pulse, span

__all__ = ["Until", "Watching"]

SHARE, LONGEST = 0.2, 60.0  # of a sitting with a limit: what is kept for its evaluation and page, seconds at most
PAGE = 5.0  # seconds that a page may take
LONG = 10.0  # seconds from which on a part's cost is told


@final
@dataclass(frozen=True)
class Until:
    """A sitting that may last so long: what does not fit any more is left out, and says so.

    Attributes:
        end: When it is over, on the monotonic clock; never by default.
        reserve: Seconds before that at which training ends, so that there is time to look at what came of it.
    """

    end: float = math.inf
    reserve: float = 0.0

    @staticmethod
    def of(minutes: float | None) -> Until:
        """The sitting of so many minutes that begins now; without an end if None."""
        if minutes is None:
            return Until()
        return Until(time.monotonic() + 60 * minutes, min(LONGEST, SHARE * 60 * minutes))

    @property
    def left(self) -> float:
        """Seconds until it is over."""
        return self.end - time.monotonic()

    @property
    def to_train(self) -> float | None:
        """Minutes that are left for training, at least 0; None for as many as it takes."""
        return None if math.isinf(self.end) else max(0.0, self.left - self.reserve) / 60

    @property
    def to_measure(self) -> float:
        """Seconds that are left for measuring: what a page takes stays over."""
        return self.left - min(PAGE, self.reserve / 2)

    def begin(self, name: str, seconds: float) -> None:
        """A part of an evaluation begins, if it can end in time.

        Raises:
            OutOfTime: If it cannot.
        """
        if seconds > self.to_measure:
            raise OutOfTime(f"no time was left for it, about {span(seconds)}, within --minutes")

    def tick(self, fraction: float) -> None:
        """So much of the part is done.

        Raises:
            OutOfTime: If the time is over.
        """
        if self.to_measure < 0:
            raise OutOfTime(f"cut at {100 * fraction:.0f} % at the end of --minutes")


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

    def foretell(self, seconds: float) -> None:
        """All parts together will take about so long: said with the time of day at which they end, where it is long."""
        if seconds >= LONG and not self.quiet:
            end = datetime.now() + timedelta(seconds=seconds)
            tell(f"all parts: about {span(seconds)}, until {end:%H:%M:%S}")

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
