"""Recipes: a function an experiment. Its signature is the configuration, its body the wiring.

A module of this room lists its recipes in `__all__`, and nothing else has to know of them. Importing this package is
cheap: a recipe loads torch when it is called.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import is_dataclass
from functools import wraps
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any, cast

from pushforward import guests
from pushforward.errors import UsageError, meant
from pushforward.recipes.parts.checks import recipe

if TYPE_CHECKING:
    from pushforward.training.experiment import Experiment

__all__ = ["RECIPES", "Recipe", "known", "locate"]

Recipe = Callable[..., "Experiment"]


def _collected() -> dict[str, Recipe]:
    modules = [import_module(f"{__name__}.{module.name}") for module in iter_modules(__path__) if not module.ispkg]
    return {name: vars(module)[name] for module in modules for name in module.__all__}


RECIPES: dict[str, Recipe] = _collected()
"""Every recipe of this room by name, module after module."""


def known(name: object) -> bool:
    """Whether a word names a recipe of this package, or has the form of a guest's name."""
    return (isinstance(name, str) and name in RECIPES) or guests.is_guest(name)


def locate(name: str, trust: Sequence[str] = (), who: str = "recipe") -> Recipe:
    """Find a recipe by name: one of `RECIPES`, or `package.module:NAME`, a function of options of the user's own.

    Args:
        name: What to look for.
        trust: Guests that the user named.
        who: Who asks, for the message to one that the user did not name.

    Raises:
        UsageError: If there is no such recipe, or it is a guest that the user did not name, or no such function.
    """
    if name in RECIPES:
        return RECIPES[name]
    if ":" not in name:
        raise UsageError(
            f"recipe {name!r}: {meant(name, RECIPES)}use one of {', '.join(RECIPES)}, or package.module:NAME"
        )
    if guests.is_guest(name):
        guests.admit(name, trust, who)
    found = guests.load(name, "recipe")
    if not callable(found) or isinstance(found, type):
        raise guests.refused(name, "recipe", found, "a function of options that returns an Experiment")
    for option in inspect.signature(found).parameters.values():
        if option.kind not in (option.KEYWORD_ONLY, option.POSITIONAL_OR_KEYWORD):
            raise UsageError(f"recipe {name!r}: {option} is no option; give every parameter a name of its own")
        if option.annotation is option.empty and option.default is option.empty:
            raise UsageError(f"recipe {name!r}: {option} has neither a type nor a default; give it one")
    grouped = any(is_dataclass(option.default) for option in inspect.signature(found).parameters.values())
    return _answering(name, recipe(cast(Recipe, found)) if grouped else cast(Recipe, found))


def _answering(name: str, wiring: Recipe) -> Recipe:
    """A guest's recipe, whose answer is checked: anything but an experiment would fail far from where it came from."""

    @wraps(wiring)
    def called(**arguments: Any) -> Experiment:
        from pushforward.training.experiment import Experiment  # as late as torch: options are read without it

        found: object = wiring(**arguments)
        if not isinstance(found, Experiment):
            what = "None" if found is None else type(found).__name__
            raise UsageError(f"recipe {name!r} returned {what}, not an Experiment; end it with return Experiment(...)")
        return found

    return called
