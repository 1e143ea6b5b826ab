"""Guests: recipes, divergences, metrics and features that live in modules of the user's, by `package.module:NAME`.

To import a module is to run it. So a name is leave for nothing: one that comes out of a checkpoint, a run folder or a
data file is imported only where the user names it at that very call, as `--trust package.module:NAME`, or as
`--trust package.module` for everything in that module.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module, invalidate_caches
from pathlib import Path
from types import ModuleType

from pushforward.errors import UsageError

__all__ = ["admit", "is_guest", "load", "named", "refused", "source_of", "trusted"]

_NAME = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")


def is_guest(name: object) -> bool:
    """Whether a word has the form `package.module:NAME`."""
    return isinstance(name, str) and _NAME.fullmatch(name) is not None


def trusted(name: str, trust: Sequence[str]) -> bool:
    """Whether the user named this guest, or the whole of its module.

    Args:
        name: `package.module:NAME`.
        trust: What the user named, `package.module:NAME` or `package.module`; the name of a package is no leave for
            the modules in it.
    """
    return name in trust or name.partition(":")[0] in trust


def admit(name: str, trust: Sequence[str], who: str) -> None:
    """Let a guest in that the user named, and nobody else.

    Args:
        name: `package.module:NAME`.
        trust: What the user named.
        who: Who asks for it, for the message: "recipe", "runs/x: made by the recipe".

    Raises:
        UsageError: If the user did not name it; nothing was imported.
    """
    if not trusted(name, trust):
        raise UsageError(
            f"{who} {name} from outside this package, and importing it runs it; if you trust it, add --trust {name}"
        )


def load(name: str, what: str) -> object:
    """Import a guest that was admitted; the current folder is on the path, as under `python -m`.

    Args:
        name: `package.module:NAME`.
        what: What it should be, for messages: "recipe", "divergence".

    Raises:
        UsageError: If there is no such module or no such name, or the module cannot be imported.
    """
    if not is_guest(name):
        raise UsageError(f"{what} {name!r}: expected package.module:NAME")
    place, _, attribute = name.partition(":")
    module = _imported(place, f"{what} {name!r}")
    try:
        return vars(module)[attribute]
    except KeyError as error:
        raise UsageError(f"{what} {name!r}: {place} has no {attribute}; expected package.module:NAME") from error


def source_of(name: str) -> Path | None:
    """The file that a guest which was loaded came from; None where its module has none."""
    file = sys.modules[name.partition(":")[0]].__dict__.get("__file__")
    return Path(file) if file else None


def refused(name: str, what: str, found: object, wanted: str) -> UsageError:
    """The error for a guest that is something else than what it was asked for as."""
    return UsageError(f"{what} {name!r} is a {type(found).__name__}, not {wanted}")


def named(arguments: Mapping[str, object], options: Sequence[str] = ("divergence",)) -> list[str]:
    """Guests that the stored arguments of a recipe name, at any depth.

    Args:
        arguments: Arguments as JSON holds them; groups of them are mappings.
        options: Names of the options that take a guest.
    """
    found: list[str] = []
    for key, value in arguments.items():
        if isinstance(value, Mapping):
            found += named(value, options)
        elif key in options and is_guest(value):
            found.append(str(value))
    return found


def _imported(place: str, who: str) -> ModuleType:
    """Import a module; whatever goes wrong is said in one line."""
    here = os.getcwd()
    if not sys.flags.safe_path and here not in sys.path and "" not in sys.path:
        sys.path.insert(0, here)
        invalidate_caches()
    try:
        return import_module(place)
    except ModuleNotFoundError as error:
        if error.name and f"{place}.".startswith(f"{error.name}."):
            raise UsageError(
                f"{who}: there is no module {error.name} on the Python path or in this folder; expected "
                "package.module:NAME"
            ) from error
        raise UsageError(f"{who}: {place} needs the module {error.name}, which is not installed") from error
    except Exception as error:
        said = " ".join(str(error).split())
        raise UsageError(f"{who}: {place} cannot be imported ({type(error).__name__}: {said})") from error
