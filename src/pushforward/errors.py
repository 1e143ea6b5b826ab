"""Failures a user can act on; each carries the exit code of the command line."""

from typing import ClassVar

__all__ = ["DataError", "TrainingError", "UsageError"]


class TrainingError(RuntimeError):
    """A run that failed, e.g. by a loss that is not finite. The message is one line: step, term, remedy."""

    exit_code: ClassVar[int] = 1


class UsageError(ValueError):
    """A wrong option or argument. The message is one line: what was given, what is allowed."""

    exit_code: ClassVar[int] = 2


class DataError(ValueError):
    """Data that cannot be learned from. The message is one line: file, place in the file, remedy."""

    exit_code: ClassVar[int] = 3
