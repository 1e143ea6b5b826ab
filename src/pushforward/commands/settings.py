"""Settings of a method's own sampling, read from words: `--sampling.steps 50` sets the field `steps` of a dataclass."""

from __future__ import annotations

import types
from collections.abc import Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from pushforward.errors import UsageError
from pushforward.types import Method, TakesSettings, able

__all__ = ["settle"]


def settle(method: Method, words: Sequence[str], who: str) -> None:
    """Put settings into a method before it samples.

    Args:
        method: What samples; its `sampling` is replaced by one with other fields.
        words: Settings, each `FIELD=VALUE`.
        who: Whose settings they are, for messages.

    Raises:
        UsageError: If sampling has no settings, there is no such field, or a value has another type; the message lists
            the fields.
    """
    if not able(method, TakesSettings) or not is_dataclass(method.sampling) or isinstance(method.sampling, type):
        raise UsageError(f"--sampling.{words[0]}: sampling from {who} has no settings; leave it out")
    hints = get_type_hints(type(method.sampling))
    known = {field.name: hints[field.name] for field in fields(method.sampling) if field.init}
    listed = ", ".join(f"{name} ({_words(hint)})" for name, hint in known.items())
    chosen: dict[str, Any] = {}
    for word in words:
        name, _, value = word.partition("=")
        if name not in known:
            raise UsageError(f"--sampling.{name}: sampling from {who} has no such setting; it has {listed}")
        try:
            chosen[name] = _read(value, known[name])
        except ValueError as error:
            raise UsageError(f"--sampling.{name} {value!r}: not of its type; there are {listed}") from error
    try:
        method.sampling = replace(method.sampling, **chosen)
    except ValueError as error:
        raise UsageError(f"--sampling.{words[0]}: {' '.join(str(error).split())}") from error


def _read(value: str, hint: Any) -> Any:
    """A word as a value of a type: bool, int, float, str, None, a Literal, or a union of these.

    Raises:
        ValueError: If it is none.
    """
    if get_origin(hint) is Literal:
        literals = {str(one): one for one in get_args(hint)}
        return literals[value] if value in literals else _fail()
    if get_origin(hint) in (Union, types.UnionType):
        for part in sorted(get_args(hint), key=lambda part: part is str):  # every word is a str: it comes last
            try:
                return _read(value, part)
            except ValueError:
                continue
        _fail()
    if hint is bool or hint is type(None):
        known: dict[str, Any] = {"none": None} if hint is not bool else {"true": True, "false": False}
        return known[value.lower()] if value.lower() in known else _fail()
    return hint(value) if hint in (int, float, str) else _fail()


def _fail() -> Any:
    raise ValueError


def _words(hint: Any) -> str:
    parts = [part for part in get_args(hint) if part is not type(None)]
    one = hint.__name__ if isinstance(hint, type) else str(hint)
    return " or ".join(part if isinstance(part, str) else _words(part) for part in parts) or one
