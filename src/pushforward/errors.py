"""Failures a user can act on; each carries the exit code of the command line."""

from typing import ClassVar

__all__ = ["DataError", "TrainingError", "UsageError", "printable"]


class TrainingError(RuntimeError):
    """A run that failed, e.g. by a loss that is not finite. The message is one line: step, term, remedy."""

    exit_code: ClassVar[int] = 1


class UsageError(ValueError):
    """A wrong option or argument. The message is one line: what was given, what is allowed."""

    exit_code: ClassVar[int] = 2


class DataError(ValueError):
    """Data that cannot be learned from. The message is one line: file, place in the file, remedy."""

    exit_code: ClassVar[int] = 3


LONGEST = 2000  # characters of a message; of a longer one the middle, where a name or a value stands, is left out


def printable(words: str) -> str:
    """Words on one line of bounded length, in which nothing that a file or a name holds moves a terminal's cursor."""
    if len(words) > LONGEST:
        words = f"{words[: LONGEST // 2]} ... {words[-LONGEST // 2 :]}"
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in words)
