"""Settings of a method's own sampling, read from words: `--sampling.steps 50` sets the field `steps` of a dataclass."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pushforward.errors import UsageError
from pushforward.settings.hints import alternatives
from pushforward.settings.options import Option, filled, options_of
from pushforward.types import Method, TakesSettings, able

__all__ = ["settle"]

READERS: dict[Any, Callable[[str], Any]] = {
    type(None): lambda word: {"none": None}[word.lower()],
    bool: lambda word: {"true": True, "yes": True, "false": False, "no": False}[word.lower()],
    int: int,
    float: float,
    str: str,
    Path: Path,
}
"""What a word is as a value of each type, the narrowest first: a KeyError or a ValueError where it is none."""


def settle(method: Method, words: Sequence[str], who: str) -> None:
    """Put settings into a method before it samples.

    Args:
        method: What samples; its `sampling` is replaced by one with other fields.
        words: Settings, each `FIELD=VALUE`, or `FIELD` alone to switch one on.
        who: Whose settings they are, for messages.

    Raises:
        UsageError: If sampling has no settings, there is no such field, a value has another type (the message lists
            the fields), or it is out of range.
    """
    if not able(method, TakesSettings) or not is_dataclass(method.sampling) or isinstance(method.sampling, type):
        raise UsageError(f"--sampling.{words[0]}: sampling from {who} has no settings; leave it out")
    there = _options(method.sampling)
    known = {name: option for name, option in there.items() if _readable(option.type)}
    listed = ", ".join(f"{name} ({_form(option)})" for name, option in known.items()) or "none that a word can set"
    chosen: dict[str, Any] = {}
    for word in words:
        name, equals, value = word.partition("=")
        name = name.replace("-", "_")
        if name in there and name not in known:
            kind = there[name].kind
            raise UsageError(f"--sampling.{name}: no word is a {kind}, set it in the recipe; there are {listed}")
        if name not in known:
            raise UsageError(f"--sampling.{name}: sampling from {who} has no such setting; it has {listed}")
        if not equals and bool not in alternatives(known[name].type):
            form = _form(known[name])
            raise UsageError(f"--sampling.{name}: give it a value ({form}), as --sampling.{name} VALUE")
        try:
            chosen[name] = _read(value, known[name].type) if equals else True
        except ValueError as error:
            raise UsageError(f"--sampling.{name} {value!r}: not of its type; there are {listed}") from error
        known[name].check(chosen[name], f"--sampling.{name}")
    try:
        method.sampling = filled(method.sampling, chosen)
    except ValueError as error:
        raise UsageError(f"--sampling.{words[0]}: {' '.join(str(error).split())}") from error


def _options(sampling: Any) -> dict[str, Option]:
    """The options of settings, and of the settings of others among them."""
    found = dict(options_of(type(sampling)))
    for name in list(found):
        value = vars(sampling).get(name)
        if is_dataclass(value):
            del found[name]
            found |= _options(value)
    return found


def _form(option: Option) -> str:
    """What a value looks like, in words."""
    several = any(get_origin(part) in (tuple, list) for part in alternatives(option.type))
    return f"{option.kind}, with commas between" if several else option.kind


def _readable(hint: Any, *, alone: bool = True) -> bool:
    """Whether a word can be a value of a type: more than None of it, and of a tuple or list every member."""
    parts = [part for part in alternatives(hint) if part is not type(None)]
    if alone and any(get_origin(part) in (tuple, list) and _members(part) for part in parts):
        return True
    return any(get_origin(part) is Literal or part in READERS or _is_enum(part) for part in parts)


def _members(hint: Any) -> list[Any]:
    """The types of a tuple's or list's members, none where a word cannot be one of them or they are not known."""
    members = [part for part in get_args(hint) if part is not Ellipsis]
    return members if all(_readable(part, alone=False) for part in members) else []


def _is_enum(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, Enum)


def _read(word: str, hint: Any) -> Any:
    """A word as a value of a type.

    Raises:
        ValueError: If it is none.
    """
    parts = alternatives(hint)
    literals = {str(one): one for part in parts if get_origin(part) is Literal for one in get_args(part)}
    literals |= {name: one for part in parts if _is_enum(part) for name, one in part.__members__.items()}
    if word in literals:
        return literals[word]
    for part in (part for part in parts if get_origin(part) in (tuple, list)):
        try:
            return _read_several(word, part)
        except ValueError:
            continue
    for kind, reader in READERS.items():
        if kind in parts:
            try:
                return reader(word)
            except (KeyError, ValueError):
                continue
    raise ValueError(word)


def _read_several(word: str, hint: Any) -> Any:
    """Words between commas as a tuple or list; nothing is an empty one."""
    words, members = [one.strip() for one in word.split(",")] if word.strip() else [], _members(hint)
    if get_origin(hint) is list or Ellipsis in get_args(hint):
        members = members * len(words)
    return get_origin(hint)(_read(one, member) for one, member in zip(words, members, strict=True))
