"""How commands speak: words for people on standard error, tables and answers on standard output."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

from rich.console import Console

__all__ = ["command_line", "say", "show"]

say = Console(stderr=True, highlight=False)


def show(rows: Any) -> None:
    """Print a table on standard output."""
    Console(highlight=False).print(rows, soft_wrap=True)


def command_line(arguments: Sequence[str]) -> str:
    """The command as one would type it again."""
    return shlex.join(["pushforward", *arguments])
