"""`@recipe`: a function of options and groups of them is called flat, by names that are checked before any work."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import wraps
from typing import TYPE_CHECKING, Any

from pushforward.errors import DataError
from pushforward.settings.options import documented, entries, grouped, options_of, signature_of

if TYPE_CHECKING:
    from pushforward.training.experiment import Experiment

__all__ = ["arguments_of", "data_options", "recipe"]

RENAMED = {"extra": "tracers"}
"""What options were called in run folders of earlier versions."""


def recipe(function: Callable[..., Experiment]) -> Callable[..., Experiment]:
    """Make a function of keyword options a recipe: it is called flat, and its arguments are checked before it runs.

    Raises:
        UsageError: If an argument is unknown, of another type than its option, or out of range.
        TypeError: If an option has no default, two have one name, or the documentation speaks of another.
    """
    known = options_of(function)
    if missing := [name for name, option in known.items() if option.default is inspect.Parameter.empty]:
        raise TypeError(f"{function.__name__}: give {missing[0]} a default")
    if strange := entries(inspect.getdoc(function) or "").keys() - known:
        raise TypeError(f"{function.__name__} documents {min(strange)}, which is none of its options")

    @wraps(function)
    def called(**arguments: Any) -> Experiment:
        return function(**grouped(function, arguments))

    called.__doc__ = documented(inspect.getdoc(function) or "", known.values())
    called.__annotations__ = {name: option.type for name, option in known.items()}
    called.__signature__ = signature_of(known.values())  # pyright: ignore[reportAttributeAccessIssue]
    return called


def data_options(wiring: Callable[..., Experiment]) -> list[str]:
    """The options of a recipe that name data, as their types say; in a guest's, whose types may not, the one `data`."""
    known = options_of(wiring)
    return [name for name, one in known.items() if name == "data" or (one.names is not None and one.names.bare)]


LATER: dict[str, dict[str, Any]] = {
    "sierpinski": {"waves": 0},
    "toy_vgrow": {"radius": 1e9, "begin": "net", "octaves": 0, "fourier": 0, "last": 0.0, "critic_pace": 1.0},
}
"""What options stand for in runs of before they were there, by recipe, where the default of today is another."""


def arguments_of(run: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments that a run.json of this or an earlier version holds, by the names of today.

    Raises:
        DataError: If they are no object.
    """
    stored: Any = run["arguments"]
    if not isinstance(stored, dict):
        raise DataError(f"run.json: arguments is {stored!r}, not an object; restore it or start a new run")
    later = LATER.get(str(run.get("recipe")), {})
    return {**later, **{RENAMED.get(str(name), str(name)): value for name, value in stored.items()}}
