"""Options of a function: some are parameters, most are fields of its groups, and all are called flat by their names.

A group is a frozen dataclass that documents its fields under `Attributes:`; a parameter of that type, whose default is
an instance, stands for its fields. So `def f(*, loop: Loop = Loop(100, 32))` is called `f(steps=200)`.
"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cache
from pathlib import Path
from typing import Annotated, Any, get_type_hints

from pushforward.errors import UsageError, meant
from pushforward.settings.hints import alternatives, bare, is_one, mark, marks, ones

__all__ = [
    "DATA",
    "Between",
    "Count",
    "Data",
    "Factor",
    "File",
    "Later",
    "Layers",
    "Length",
    "Names",
    "Number",
    "Only",
    "Option",
    "Rate",
    "Rounds",
    "Seed",
    "Steps",
    "Units",
    "Weight",
    "checked",
    "counting",
    "documented",
    "entries",
    "examined",
    "filled",
    "flag",
    "flat",
    "grouped",
    "options_of",
    "signature_of",
    "unknown",
]


@dataclass(frozen=True)
class Between:
    """Least and largest value of a number, both allowed: `Annotated[int, Between(1, 10)]`."""

    low: float
    high: float


@dataclass(frozen=True)
class Names:
    """That a word may name a file, PATH or PATH:key: `Annotated[str, Names()]`. A run keeps it as an absolute path.

    Attributes:
        words: Words, or their beginnings up to a colon, that never name one, whatever lies in the folder.
        bare: Whether a name without an ending may be one: not where it may also be the name of a column.
    """

    words: tuple[str, ...] = ()
    bare: bool = True

    def absolute(self, value: str) -> str:
        """The value in a form that still holds when the run is opened from another folder."""
        head, colon, key = value.rpartition(":")
        if value in self.words or (colon and f"{value.partition(':')[0]}:" in self.words):
            return value
        for path, rest in ((value, ""), (head, f":{key}")):
            if path and (self.bare or Path(path).suffix) and Path(path).expanduser().exists():
                return str(Path(path).expanduser().resolve()) + rest
        return value


@dataclass(frozen=True)
class Later:
    """That a run may go on with another value: `Annotated[float, Later()]`. It must not change what is learned of."""


@dataclass(frozen=True)
class Only:
    """That an option counts only beside another: `Annotated[int, Only("ratio")]`, or `Only("flow", ("kale", "mmd"))`.

    Of several marks one is enough. On a group it holds for each of its options.

    Attributes:
        option: The other one.
        words: Its values with which this one counts, or what they begin with up to a colon; all but 0, no and none if
            no word is given.
    """

    option: str
    words: tuple[str, ...] = ()

    def holds(self, value: Any) -> bool:
        """Whether the other option's value is one with which this one counts."""
        return str(value).partition(":")[0] in self.words if self.words else bool(value) and value != "none"

    def __str__(self) -> str:
        return f"{flag(self.option)} {' or '.join(self.words)}".rstrip()


DATA = Names(("digits", "toy:"))
Data = Annotated[str, DATA]
File = Annotated[str, Names(bare=False)]
Count = Annotated[int, Between(0, 10**9)]
Number = Annotated[int, Between(2, 10**7)]
Steps = Annotated[int, Between(1, 10**9), Later()]
Rounds = Annotated[int, Between(1, 1000)]
Units = Annotated[int, Between(1, 8192)]
Seed = Annotated[int, Between(0, 2**63 - 1)]
Rate = Annotated[float, Between(1e-12, math.inf), Later()]
Length = Annotated[float, Between(1e-12, math.inf), Later()]
Weight = Annotated[float, Between(0, math.inf)]
Factor = Annotated[float, Between(1e-12, 1), Later()]
Layers = Annotated[int, Between(0, 32)]


@dataclass(frozen=True)
class Option:
    """One option.

    Attributes:
        name: Its name.
        type: int, float, bool, str, None, a Literal, a path, or a union of these.
        default: Its default.
        between: The range of a number; None for all.
        help: What it is, as documented.
        names: That it may name a file; None where it never does.
        later: Whether a run may go on with another value.
        only: Beside which others it counts, one of which is enough; empty where it always does.
    """

    name: str
    type: Any
    default: Any
    between: Between | None
    help: str
    names: Names | None = None
    later: bool = False
    only: tuple[Only, ...] = ()

    @property
    def kind(self) -> str:
        """Its type in words, None aside."""
        kept = [part for part in alternatives(self.type) if part is not type(None)]
        found = [one for part in kept for one in ones(part)]
        return " or ".join(one.__name__ if isinstance(one, type) else str(one) for one in found) or "None"

    def check(self, value: Any, called: str = "") -> None:
        """Check a value.

        Args:
            value: The value.
            called: What the message calls the option; its flag if not given.

        Raises:
            UsageError: If it is of another type, or out of range; the message names both.
        """
        called = called or flag(self.name)
        if not is_one(value, self.type):
            raise UsageError(f"{called} {value!r}: expected {self.kind}")
        if self.between is None or value is None:
            return
        low, high = self.between.low, self.between.high
        if not all(low <= one <= high for one in (value if isinstance(value, tuple | list) else (value,))):
            limit = f"at least {low:g}" if high == math.inf else f"between {low:g} and {high:g}"
            said = " ".join(map(str, value)) if isinstance(value, tuple | list) else value
            raise UsageError(f"{called} {said}: give a number {limit}")


@cache
def options_of(function: Callable[..., Any]) -> Mapping[str, Option]:
    """The options of a function or of a group, by name, in the order of its signature; defaults are those it gives.

    Raises:
        TypeError: If two of its groups share a name.
    """
    function, found = inspect.unwrap(function), dict[str, Option]()
    said = entries(inspect.getdoc(function) or "")
    for name, (hint, default) in _parameters(function).items():
        group, given = type(default) if is_dataclass(default) else None, flat(default)
        later, only = mark(hint, Later) is not None, tuple(marks(hint, Only))
        one = Option(name, bare(hint), default, mark(hint, Between), said.get(name, ""), mark(hint, Names), later, only)
        mine = [one] if group is None else [
            replace(part, default=given[part.name], help=said.get(part.name, part.help), only=part.only or only)
            for part in options_of(group).values()
        ]  # fmt: skip
        if twice := [option.name for option in mine if option.name in found]:
            raise TypeError(f"{function.__name__}: two of its groups have an option {twice[0]}")
        found |= {option.name: option for option in mine}
    return found


def _parameters(function: Callable[..., Any]) -> dict[str, tuple[Any, Any]]:
    """Hint and default of each parameter or field; a required one has the default `inspect.Parameter.empty`."""
    hints = get_type_hints(function, localns={"Experiment": object}, include_extras=True)
    return {
        name: (hints.get(name, type(p.default)), p.default)
        for name, p in inspect.signature(function).parameters.items()
    }


def grouped(function: Callable[..., Any], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Flat arguments as a function with groups takes them, each checked.

    Raises:
        UsageError: If an argument is unknown, of another type than its option, or out of range.
    """
    known, plain = options_of(function), inspect.unwrap(function)
    checked(known, arguments, plain.__name__)
    found = dict[str, Any]()
    for name, (_, default) in _parameters(plain).items():
        if is_dataclass(default) and not isinstance(default, type):
            found[name] = filled(default, arguments)
        elif name in arguments:
            found[name] = arguments[name]
    return found


def filled(group: Any, arguments: Mapping[str, Any]) -> Any:
    """A group with other values, also in the groups that are its fields."""
    old = {part.name: getattr(group, part.name) for part in fields(group) if part.init}
    return replace(group, **{
        name: filled(value, arguments) if is_dataclass(value) else arguments.get(name, value)
        for name, value in old.items()
    })  # fmt: skip


def flat(*groups: Any) -> dict[str, Any]:
    """The fields of some groups, and of the groups among these fields, as one set of arguments; of others nothing."""
    found = dict[str, Any]()
    for group in filter(is_dataclass, groups):
        for part in fields(group):
            value = getattr(group, part.name)
            found |= flat(value) if is_dataclass(value) else {part.name: value}
    return found


def examined(group: Any) -> None:
    """Check every field of a group.

    Raises:
        UsageError: If one is of another type, or out of range.
    """
    checked(options_of(type(group)), flat(group), type(group).__name__)


def checked(known: Mapping[str, Option], arguments: Mapping[str, Any], owner: str) -> None:
    """Check arguments against options.

    Raises:
        UsageError: If one is unknown, of another type, or out of range.
    """
    for name, value in arguments.items():
        if name not in known:
            raise UsageError(unknown(name, known, owner))
        known[name].check(value)


def counting(known: Mapping[str, Option], given: Iterable[str], arguments: Mapping[str, Any]) -> None:
    """Check that what is given counts beside the rest: else a number on the command line changes nothing.

    Args:
        known: The options there are.
        given: Names of those to look at; one that has the value of its default is left alone.
        arguments: All arguments.

    Raises:
        UsageError: If one counts only beside another that is not so.
    """
    values = {name: option.default for name, option in known.items()} | dict(arguments)
    for name in given:
        only = [one for one in known[name].only if one.option in known]
        if only and values[name] != known[name].default and not any(one.holds(values[one.option]) for one in only):
            raise UsageError(
                f"{flag(name)} {values[name]}: does nothing without {', or '.join(map(str, only))}; give that too, or "
                f"leave {flag(name)} out"
            )


def unknown(name: str, known: Iterable[str], owner: str) -> str:
    """What is said of an option that there is not."""
    hint = meant(name, known, flag).strip()
    return f"{flag(name)}: {owner} has no such option{hint and '; '}{hint}"


def signature_of(known: Iterable[Option], answer: Any = inspect.Signature.empty) -> inspect.Signature:
    """Options as a signature of keywords."""
    kind = inspect.Parameter.KEYWORD_ONLY
    return inspect.Signature(
        [inspect.Parameter(o.name, kind, default=o.default, annotation=o.type) for o in known], return_annotation=answer
    )


def documented(text: str, known: Iterable[Option]) -> str:
    """A documentation whose `Args:` list all options, before its other sections."""
    kept = re.sub(r"\n+Args:\n(?:(?: .*)?(?:\n|$))*", "\n\n", text)
    found = re.search(r"\n\n(?=(?:Returns|Raises|Yields|References|Examples?|Notes?):\n)", kept)
    at = found.start() if found else len(kept)
    lines = "".join(f"\n    {option.name}: {option.help}" for option in known)
    return f"{kept[:at].rstrip()}\n\nArgs:{lines}{kept[at:].rstrip()}"


def flag(name: str) -> str:
    """An option as the command line has it."""
    return "--" + name.replace("_", "-")


def entries(text: str) -> dict[str, str]:
    """What `Args:` or `Attributes:` say of each name."""
    found, name, inside = dict[str, str](), "", False
    for line in text.splitlines():
        if line and not line.startswith(" "):
            inside = line in ("Args:", "Attributes:")
        elif inside and line.startswith("    ") and line[4] != " ":
            name, _, words = line.strip().partition(": ")
            found[name] = words
        elif inside and line:
            found[name] += "\n        " + line.strip()
    return found
