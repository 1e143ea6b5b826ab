"""Descriptions without places of this machine, for files that are handed on; and their places found again in run.json.

A checkpoint may leave the folder of its run, so of absolute paths its header keeps the last part alone. run.json stays
where it is and has them whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

__all__ = ["placed", "placeless", "without_places"]

PATH = re.compile(r"(?<![\w.~:/\\])(?:~|[A-Za-z]:)?(?:/(?=[^\s/])|\\)(?:[^\s'\",;:]*[/\\])?([^\s'\",;:/\\]+)")
"""An absolute path in a text, and its last part."""
QUOTED = re.compile(r"'((?:--[\w.-]+=)?(?:~|[A-Za-z]:)?[/\\][^']*)'")
"""One between quotation marks, as a command line has it whose path holds a space."""


def placeless(word: str) -> str:
    """A word without a place of this machine: of an absolute path, alone or after `--option=`, the last part stays."""
    option, equals, value = word.rpartition("=") if word.startswith("--") else ("", "", word)
    return f"{option}{equals}{PureWindowsPath(value).name if _absolute(value) else value}"


def without_places(value: Any, known: tuple[str, ...] | None = None) -> Any:
    """The same for all words and texts of a description, whatever it is made of.

    Args:
        value: JSON-able.
        known: Absolute paths that texts may hold, spaces and all; those that are words of the description if None.
    """
    known = tuple(sorted(set(_paths(value)), key=len, reverse=True)) if known is None else known
    if isinstance(value, dict):
        return {name: without_places(part, known) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [without_places(part, known) for part in value]
    if not isinstance(value, str):
        return value
    if _absolute(value):
        return placeless(value)
    for path in known:
        value = value.replace(path, placeless(path))
    return PATH.sub(r"\1", QUOTED.sub(lambda found: f"'{placeless(found[1])}'", value))


def placed(value: Any, stored: Any) -> Any:
    """A description with the places that another one has, wherever the two agree but for them.

    Args:
        value: From the header of a checkpoint.
        stored: From run.json.
    """
    return _placed(value, stored, tuple(sorted(set(_paths(stored)), key=len, reverse=True)))


def _placed(value: Any, stored: Any, known: tuple[str, ...]) -> Any:
    if isinstance(value, dict) and isinstance(stored, dict):
        return {name: _placed(part, stored.get(name), known) for name, part in value.items()}
    if isinstance(value, list) and isinstance(stored, list) and len(value) == len(stored):
        return [_placed(part, other, known) for part, other in zip(value, stored, strict=True)]
    if isinstance(value, str) and isinstance(stored, str) and without_places(stored, known) == value:
        return stored
    return value


def _absolute(word: str) -> bool:
    """Whether a word is an absolute path; a sentence that begins with one is none."""
    if ": " in word:
        return False
    return PurePosixPath(word).is_absolute() or PureWindowsPath(word).is_absolute() or word.startswith("~")


def _paths(value: Any) -> Iterator[str]:
    """The absolute paths among the words of a description, with the keys that may follow, and without."""
    if isinstance(value, dict | list | tuple):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _paths(part)
    elif isinstance(value, str) and _absolute(value) and len(value) > 1:
        yield value
        head, colon, _ = value.rpartition(":")
        if colon and len(head) > 1 and _absolute(head):
            yield head
