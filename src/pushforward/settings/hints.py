"""What the type hint of an option says: its type without marks, its marks, and whether a value is of it."""

from __future__ import annotations

from enum import Enum
from functools import reduce
from operator import or_
from types import UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

__all__ = ["alternatives", "bare", "is_one", "mark", "marks", "ones"]

Mark = TypeVar("Mark")


def ones(hint: Any) -> tuple[Any, ...]:
    """What there is to choose from: the words of a Literal, the names of an Enum, else the type."""
    if isinstance(hint, type) and issubclass(hint, Enum):
        return tuple(hint.__members__)
    return get_args(hint) if get_origin(hint) is Literal else (hint,)


def marks(hint: Any, kind: type[Mark]) -> list[Mark]:
    """The marks of a kind in a hint, also where they stand in a union, or for all members of a tuple or list alike."""
    if get_origin(hint) is Annotated:
        return [part for part in hint.__metadata__ if isinstance(part, kind)]
    if get_origin(hint) in (tuple, list) and len({part for part in get_args(hint) if part is not Ellipsis}) > 1:
        return []
    return [found for part in get_args(hint) for found in marks(part, kind)]


def mark(hint: Any, kind: type[Mark]) -> Mark | None:
    """The first mark of a kind."""
    return next(iter(marks(hint, kind)), None)


def bare(hint: Any) -> Any:
    """A hint without marks."""
    if get_origin(hint) is Annotated:
        return bare(get_args(hint)[0])
    if get_origin(hint) in (Union, UnionType):
        return reduce(or_, (bare(part) for part in get_args(hint)))
    if get_origin(hint) in (tuple, list) and get_args(hint):
        return get_origin(hint)[tuple(bare(part) for part in get_args(hint))]
    return hint


def alternatives(hint: Any) -> tuple[Any, ...]:
    """The types of a union; a type that is none by itself."""
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)


def is_one(value: Any, hint: Any) -> bool:
    """Whether a value has a type that options use."""
    if get_origin(hint) is Literal:
        return value in get_args(hint)
    if get_origin(hint) in (Union, UnionType):
        return any(is_one(value, part) for part in get_args(hint))
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return value is None if hint is type(None) else isinstance(value, get_origin(hint) or hint)
