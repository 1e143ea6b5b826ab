"""Objects of JSON that may come from anybody, read field by field: as asked for, or refused in one line.

words = Words.of(json.loads(text), "m.safetensors, layer 3")
inputs, bias = words.whole("inputs"), words.flag("bias")       # or DataError: place, field, value, what is wanted
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from pushforward.errors import DataError

__all__ = ["HUGE", "LARGEST", "Words"]

LARGEST = 2**24  # of a size, where nothing else is said
HUGE = 1e38  # what single precision can hold
T = TypeVar("T", bound=str)


@dataclass(frozen=True)
class Words:
    """The fields of an object; every reader raises a DataError where a field is not what is asked for.

    Attributes:
        values: What the object holds.
        place: Where it is from, for messages.
        remedy: What helps, for messages.
    """

    values: Mapping[str, Any]
    place: str
    remedy: str

    @classmethod
    def of(cls, value: object, place: str, remedy: str = "export the run again") -> Words:
        """The fields of what should be an object."""
        if not isinstance(value, dict):
            raise DataError(f"{place}: {value!r:.40} is no object; {remedy}")
        return cls(value, place, remedy)

    def inside(self, name: str, place: str | None = None) -> Words:
        """The fields of an object in a field, under a place of its own."""
        if not isinstance(found := self.values.get(name), dict):
            raise self.unlike(name, "an object")
        return Words(found, place or f"{self.place}, {name}", self.remedy)

    def exactly(self, *names: str, among: bool = False) -> Words:
        """Itself, if it has these fields and no others; with `among`, if it has at least these."""
        lacking = [name for name in names if name not in self.values]
        more = [] if among else [str(name) for name in self.values if name not in names]
        if lacking or more:
            what = f"lacks {lacking[0]}" if lacking else f"has a field {more[0]!r:.40}"
            raise DataError(f"{self.place}: {what}, and has the fields {', '.join(names)}; {self.remedy}")
        return self

    def given(self, name: str) -> bool:
        """Whether a field is there and not null."""
        return self.values.get(name) is not None

    def whole(self, name: str, *, low: int = 1, high: int = LARGEST) -> int:
        """A whole number within bounds."""
        value = self.values.get(name)
        if type(value) is not int or not low <= value <= high:
            raise self.unlike(name, f"a whole number from {low} to {high}")
        return value

    def wholes(self, name: str, *, low: int = 0, high: int = LARGEST, count: int | None = None) -> tuple[int, ...]:
        """Whole numbers within bounds."""
        values = self._list(name, count)
        if any(type(value) is not int or not low <= value <= high for value in values):
            raise self.unlike(name, f"whole numbers from {low} to {high}")
        return tuple(values)

    def number(self, name: str, usual: float | None = None) -> float:
        """A number that single precision can hold; where it is missing, the usual one if there is one."""
        value = self.values.get(name, usual)
        if not _number(value):
            raise self.unlike(name, "a number, or one that single precision cannot hold")
        return float(value)

    def numbers(self, name: str, count: int | None = None) -> tuple[float, ...]:
        """Numbers that single precision can hold."""
        values = self._list(name, count)
        if not all(map(_number, values)):
            raise self.unlike(name, "a list of numbers that single precision can hold")
        return tuple(map(float, values))

    def flag(self, name: str) -> bool:
        """A truth value."""
        if not isinstance(value := self.values.get(name), bool):
            raise self.unlike(name, "true or false")
        return value

    def word(self, name: str) -> str:
        """A text."""
        if not isinstance(value := self.values.get(name), str):
            raise self.unlike(name, "a text")
        return value

    def names(self, name: str, count: int | None = None, *, among: Sequence[T] | None = None) -> tuple[Any, ...]:
        """Texts; all of them `among` some, where these are given."""
        values = self._list(name, count)
        if not all(isinstance(value, str) and (among is None or value in among) for value in values):
            raise self.unlike(name, "a list of names" if among is None else f"a list of {', '.join(among)}")
        return tuple(values)

    def one_of(self, name: str, known: Sequence[T]) -> T:
        """One of some words."""
        value = self.values.get(name)
        if not isinstance(value, str) or value not in known:
            raise self.unlike(name, " or ".join(known))
        return known[known.index(value)]

    def shape(self, name: str, axes: int = 4) -> tuple[int, ...]:
        """A shape of one axis to a few, of at most 2^24 numbers."""
        value = self.values.get(name)
        sizes = value if isinstance(value, list) else []
        good = 1 <= len(sizes) <= axes and all(type(size) is int and 1 <= size <= LARGEST for size in sizes)
        if not good or math.prod(sizes) > LARGEST:
            raise self.unlike(name, f"a shape of one to {axes} axes and at most {LARGEST} numbers")
        return tuple(sizes)

    def unlike(self, name: str, wanted: str) -> DataError:
        """The error of a field that is not what is wanted."""
        return DataError(f"{self.place}: {name} is {self.values.get(name)!r:.60}, not {wanted}; {self.remedy}")

    def _list(self, name: str, count: int | None) -> list[Any]:
        value = self.values.get(name)
        if not isinstance(value, list) or (count is not None and len(value) != count):
            raise self.unlike(name, "a list" if count is None else f"a list of {count}")
        return value


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and -HUGE <= value <= HUGE
