"""How a command answers on standard output: one JSON object for programs, or words for people."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from pushforward.errors import printable

__all__ = ["Told", "answer", "printed"]

Told = Callable[[str], int]
"""What is left to do once the options are read: given the command, for its page, it does it."""


def answer(value: dict[str, Any], as_json: bool, otherwise: str = "") -> None:
    """Print an object, or words in its place."""
    if as_json:
        print(json.dumps(value))
    else:
        printed(otherwise)


def printed(words: str) -> None:
    """Print words, line by line; nothing where there are none."""
    if words:
        print("\n".join(map(printable, words.split("\n"))))
