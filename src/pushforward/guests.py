"""Guests: recipes, divergences, metrics and features that live in modules of the user's, by `package.module:NAME`.

To import a module is to run it. So a name is leave for nothing: one that comes out of a checkpoint, a run folder or a
data file is imported only where the user names it at that very call, as `--trust package.module:NAME`, or as
`--trust package.module` for everything in that module.

An error that comes out of one is told as its own, with file and line.
"""

from __future__ import annotations

import os
import re
import sys
import traceback
from collections.abc import Mapping, Sequence
from importlib import import_module, invalidate_caches
from pathlib import Path
from types import ModuleType
from typing import Any

from pushforward.errors import UsageError

__all__ = [
    "admit",
    "apart",
    "blamed",
    "is_guest",
    "load",
    "mentioned",
    "named",
    "of_run",
    "refused",
    "source_of",
    "trusted",
    "words_after",
]

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


def of_run(run: Mapping[str, Any], trust: Sequence[str] = ()) -> list[str]:
    """Whom an error of a run may have come out of: its recipe, guests among its arguments, whom the user trusts.

    Args:
        run: Its description, which may be a stranger's.
        trust: What the user named.
    """
    arguments = run.get("arguments")
    return [str(run.get("recipe")), *named(arguments if isinstance(arguments, Mapping) else {}), *trust]


def apart(words: Sequence[str]) -> list[str]:
    """Words with --option=value as two."""
    return [part for word in words for part in (word.split("=", 1) if word.startswith("--") else [word])]


def words_after(option: str, words: Sequence[str]) -> tuple[str, ...]:
    """What follows an option on a command line, up to the next option; each time that it is given."""
    found: list[str] = []
    for k, word in enumerate(words):
        if word == option:
            rest = words[k + 1 :]
            found += rest[: next((n for n, other in enumerate(rest) if other.startswith("-")), len(rest))]
    return tuple(found)


def mentioned(words: Sequence[str]) -> list[str]:
    """Guests, and modules of guests, that a command line names; a guest that is not named is never imported."""
    words = apart(words)
    full = [part.strip() for word in words for part in word.split(",") if is_guest(part.strip())]
    return [*full, *(word for word in words_after("--trust", words) if word not in full)]


def blamed(error: BaseException, names: Sequence[str]) -> str | None:
    """Which of some guests an error came out of, and where in it, in one line; None where it came out of none.

    Args:
        error: What was raised.
        names: Guests as `package.module:NAME`, or their modules.
    """
    mine = {name.partition(":")[0]: name for name in reversed(names)}
    inside = [
        (module, frame.f_code, line)
        for frame, line in traceback.walk_tb(error.__traceback__)
        if (module := frame.f_globals.get("__name__", "")) in mine
        and module.split(".")[0] != __package__
        and not frame.f_code.co_filename.startswith("<")  # what a dataclass wrote has no line to look at
    ]
    if not inside:
        return None
    module, code, line = inside[-1]
    ran = {f"{module}:{step.co_qualname.partition('.')[0]}" for place, step, _ in inside if place == module}
    name = next((name for name in names if name in ran), mine[module])
    return f"{name} raised {_said(error)}, at {code.co_filename}:{line} in {code.co_qualname}"


def _said(error: BaseException) -> str:
    """An error's type and message in one line."""
    return ": ".join(part for part in (type(error).__name__, " ".join(str(error).split())) if part)


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
    except (Exception, SystemExit) as error:  # a script that ends the program where it stands is no module of parts
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename != __file__]
        inside = [frame for frame in frames if not frame.filename.startswith("<frozen")]
        at = f", at {inside[-1].filename}:{inside[-1].lineno}" if inside else ""
        raise UsageError(f"{who}: {place} cannot be imported ({_said(error)}{at})") from error
