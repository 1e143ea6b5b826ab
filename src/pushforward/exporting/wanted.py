"""Classes that somebody wants of a generator: by name, or by a number where it can mean one class alone.

names a, b         "a", "b", 0, 1          a number is a place
names 3, 7         "3", "7", 3, 7          a number is a name, and 0 is none
names a, 3         "a", "3", 3             0 may be a place or no name at all, and is refused
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

import numpy as np
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.plain.kinds import is_number
from pushforward.plain.lists import listed

__all__ = ["Wanted", "places_of"]

SHOWN = 20  # classes that a message names
Wanted: TypeAlias = str | int | Sequence[str] | Sequence[int] | np.ndarray | Tensor | None
"""A class, or classes; None for whatever comes."""


def places_of(labels: Wanted, known: tuple[str, ...]) -> list[int]:
    """The places of classes among those of a generator.

    Raises:
        UsageError: If none is wanted, one is not there, or a number may mean its name or its place.
    """
    plain = labels.tolist() if isinstance(labels, np.ndarray | np.generic | Tensor) else labels
    wanted = list(plain) if isinstance(plain, Iterable) and not isinstance(plain, str) else [plain]
    if not wanted:
        raise UsageError(f"labels: none is named; this generator has the classes {listed(known, SHOWN)}")
    return [_place(label, known) for label in wanted]


def _place(label: object, known: tuple[str, ...]) -> int:
    """The place of a class that is wanted by its name, or by a number where that can mean one class alone.

    Raises:
        UsageError: If there is none, or a number may mean its name or its place.
    """
    label = label.item() if isinstance(label, np.generic) or (isinstance(label, Tensor) and not label.ndim) else label
    if str(label) in known and isinstance(label, str | int):
        return known.index(str(label))
    if type(label) is int and not any(map(is_number, known)):
        if 0 <= label < len(known):
            return label
        raise UsageError(f"labels {label}: this generator has {len(known)} classes, 0 to {len(known) - 1} by place: "
                         f"{listed(known, SHOWN)}")  # fmt: skip
    if type(label) is int and str(label) not in known and not all(map(is_number, known)):
        raise UsageError(f"labels {label}: a name or a place, as some classes are called by numbers; give a name of "
                         f"{listed(known, SHOWN)}")  # fmt: skip
    raise UsageError(f"labels {label!r:.60}: this generator has the classes {listed(known, SHOWN)}")
