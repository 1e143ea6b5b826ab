"""The parts an evaluation is made of, collected from the modules of the metrics: no metric is listed here."""

from __future__ import annotations

import pkgutil
from collections.abc import Sequence
from importlib import import_module
from types import ModuleType
from typing import cast

from pushforward.metrics import columns, copying, known, likelihood, quality, two_sample
from pushforward.metrics.core.comparison import Comparison
from pushforward.metrics.core.part import Kind, Part

__all__ = [
    "DEFAULT_DENSITIES",
    "DEFAULT_IMAGES",
    "DEFAULT_POINTS",
    "MODULES",
    "PARTS",
    "READINGS",
    "TESTS",
    "Comparison",
    "Part",
    "collect",
    "unsought",
]

ROOMS = (two_sample, columns, quality, known, copying, likelihood)

MODULES: tuple[ModuleType, ...] = tuple(
    import_module(found.name) for room in ROOMS for found in pkgutil.iter_modules(room.__path__, f"{room.__name__}.")
)
"""Every module of the rooms of metrics."""


def collect(modules: tuple[ModuleType, ...]) -> dict[str, Part]:
    """The parts that modules list in a constant `PARTS`, by name, in the order of reading.

    Raises:
        ValueError: If two parts share a name, or give measures of one name.
    """
    listed = [part for module in modules for part in cast(tuple[Part, ...], vars(module).get("PARTS", ()))]
    for what, names in (
        ("parts are called", [part.name for part in listed]),
        ("parts give", [name for part in listed for name in part.gives]),
    ):
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two {what} {twice[0]}: rename one")
    return {part.name: part for part in sorted(listed, key=lambda part: (part.place, part.name))}


def _usual(kind: Kind) -> tuple[Part, ...]:
    return tuple(part for part in PARTS.values() if kind in part.usual)


PARTS = collect(MODULES)
"""Every part, by what it is asked for."""

READINGS = {name: words for part in PARTS.values() for name, words in part.gives.items()}
"""What a page says of a measure, by its name without a feature space or a column."""

TESTS = tuple(part for part in PARTS.values() if part.test)
"""The two-sample tests, cheapest first."""

DEFAULT_POINTS = _usual("points")
"""What points are measured by where nothing else is asked for."""

DEFAULT_DENSITIES = _usual("densities")
"""What is measured besides where a model answers for its density."""

DEFAULT_IMAGES = _usual("images")
"""What images are measured by where nothing else is asked for."""


def unsought(parts: Sequence[Part], *, trained: bool) -> dict[str, str]:
    """Findings that no part looks for where these are measured, by name, and why.

    Copies are among them where only the search for equal rows would see them, which needs every training row copied.

    Args:
        parts: What is measured.
        trained: Whether there is a training set.
    """
    sought = {name for part in parts for name in part.finds}
    lacking = {name: _unmeasured(part) for part in PARTS.values() for name in part.finds if name not in sought}
    leak = "there is no training set that held-out rows could be part of: give it, --train"
    return lacking | ({} if trained else {"leak": leak})


def _unmeasured(part: Part) -> str:
    also = "; files need the training set too, --train" if "train" in part.needs else ""
    return f"{part.name} is not measured: name it among --metrics{also}"
