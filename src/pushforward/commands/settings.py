"""Settings of a method's own sampling, read from words: `--sampling.steps 50` sets the field `steps` of a dataclass."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import is_dataclass
from typing import Any, Literal, get_args, get_origin

from pushforward.errors import UsageError
from pushforward.settings.options import Option, alternatives, filled, options_of
from pushforward.types import Method, TakesSettings, able

__all__ = ["settle"]

READERS: dict[Any, Callable[[str], Any]] = {
    type(None): lambda word: {"none": None}[word.lower()],
    bool: lambda word: {"true": True, "false": False}[word.lower()],
    int: int,
    float: float,
    str: str,
}
"""What a word is as a value of each type, the narrowest first: a KeyError or a ValueError where it is none."""


def settle(method: Method, words: Sequence[str], who: str) -> None:
    """Put settings into a method before it samples.

    Args:
        method: What samples; its `sampling` is replaced by one with other fields.
        words: Settings, each `FIELD=VALUE`.
        who: Whose settings they are, for messages.

    Raises:
        UsageError: If sampling has no settings, there is no such field, a value has another type (the message lists
            the fields), or it is out of range.
    """
    if not able(method, TakesSettings) or not is_dataclass(method.sampling) or isinstance(method.sampling, type):
        raise UsageError(f"--sampling.{words[0]}: sampling from {who} has no settings; leave it out")
    known = options_of(type(method.sampling))
    listed = ", ".join(f"{name} ({option.kind})" for name, option in known.items())
    chosen: dict[str, Any] = {}
    for word in words:
        name, _, value = word.partition("=")
        if name not in known:
            raise UsageError(f"--sampling.{name}: sampling from {who} has no such setting; it has {listed}")
        try:
            chosen[name] = _read(value, known[name])
        except ValueError as error:
            raise UsageError(f"--sampling.{name} {value!r}: not of its type; there are {listed}") from error
        known[name].check(chosen[name], f"--sampling.{name}")
    try:
        method.sampling = filled(method.sampling, chosen)
    except ValueError as error:
        raise UsageError(f"--sampling.{words[0]}: {' '.join(str(error).split())}") from error


def _read(word: str, option: Option) -> Any:
    """A word as a value of an option.

    Raises:
        ValueError: If it is none.
    """
    parts = alternatives(option.type)
    literals = {str(one): one for part in parts if get_origin(part) is Literal for one in get_args(part)}
    if word in literals:
        return literals[word]
    for kind, reader in READERS.items():
        if kind in parts:
            try:
                return reader(word)
            except (KeyError, ValueError):
                continue
    raise ValueError(word)
