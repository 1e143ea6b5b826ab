"""The options of `train`: a recipe's off its signature, a run's off `Running`, a stored run's as defaults."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, is_dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Union, get_type_hints

import tyro

from pushforward import files, guests
from pushforward.errors import DataError, UsageError, meant
from pushforward.files import layout
from pushforward.recipes import RECIPES, Recipe, locate
from pushforward.recipes.parts.checks import arguments_of
from pushforward.settings.options import DATA, Option, documented, flag, options_of, signature_of, unknown
from pushforward.settings.running import Running

__all__ = [
    "SHELLS",
    "Training",
    "completion",
    "defaults",
    "flags_of",
    "read",
    "refuse_unknown",
    "with_settings",
]

HELP = ("--help", "-h")
SHELLS = ("bash", "zsh", "fish")


@dataclass(frozen=True)
class Training:
    """What a `train` command asks for.

    Attributes:
        recipe: Name of the recipe.
        arguments: Its keyword arguments.
        folder: Folder of the run; None for a new one.
        running: The run's other options.
        words: The command, so that it can be given again.
    """

    recipe: str
    arguments: dict[str, Any]
    folder: Path | None
    running: Running
    words: list[str]


def read(words: Sequence[str], description: str) -> Training:
    """Read the words after `train`; ends the program for --help and for words that mean nothing.

    Args:
        words: Command line words.
        description: What --help says first.

    Raises:
        UsageError: If a run is to be continued that is not there, or that names code of its own.
    """
    words = guests.apart(words)
    # Read before there are options to read: those of a guest are known only once it is in.
    trust, guest = guests.words_after("--trust", words), words[:1] if ":" in "".join(words[:1]) else []
    stored, switches = _stored(words, trust), dict[str, bool]()
    found = RECIPES | {name: locate(name, trust) for name in guest}
    first = (words or ["--help"])[0]
    if first in found:
        known = {**_known(first, found[first]), **options_of(Running)}
        switches = _switches(known.values(), _given(first, stored))
        refuse_unknown(words[1:], [*known, *(f"no_{name}" for name in switches)], f"pushforward train {first}")
    elif not first.startswith("-"):
        locate(first)  # says what there is
    elif first not in HELP:
        raise UsageError(f"train {first}: name the recipe first, as in pushforward train toy_vgrow {first} ...")
    commands = {name: _reader(name, recipe, stored, words) for name, recipe in found.items() if first in (name, *HELP)}
    return tyro.extras.subcommand_cli_from_dict(
        commands,
        prog="pushforward train",
        args=_new(words, switches) or ["--help"],
        use_underscores=False,
        config=(tyro.conf.FlagCreatePairsOff,),
        description=description,
    )


def _new(words: Sequence[str], switches: Mapping[str, bool]) -> list[str]:
    """Words with a flag for each switch that is turned from what holds anyway: the parser knows no other."""
    ways = {flag(name if on else f"no_{name}"): (name, on) for name in switches for on in (True, False)}
    said = [ways.get(word.replace("_", "-")) for word in words]
    turned = {**switches, **dict(way for way in said if way)}  # of several the last holds
    left = [word for word, way in zip(words, said, strict=True) if not way]
    return [*left, *(flag(name if on else f"no_{name}") for name, on in turned.items() if on != switches[name])]


def _given(name: str, stored: dict[str, Any]) -> dict[str, Any]:
    """What the run to be continued has as defaults; nothing where it is of another recipe."""
    if stored.get("recipe") != name:
        return {}
    # Threads of the run are those of run.json, not what was once asked for; who asks for none now has these.
    return {**stored["options"], "trust": (), "threads": 0, **stored["arguments"]}


def _switches(known: Iterable[Option], given: Mapping[str, Any]) -> dict[str, bool]:
    """The options that are flags, and what each stands at; one without a default is typed with its value."""
    found = {option.name: given.get(option.name, option.default) for option in known if option.type is bool}
    return {name: value for name, value in found.items() if isinstance(value, bool)}


def refuse_unknown(words: Sequence[str], known: Iterable[str], owner: str) -> None:
    """Refuse an option that there is not, before anything is parsed.

    Args:
        words: Words of the command line after the command.
        known: Names of its options, as functions spell them.
        owner: The command as one types it.

    Raises:
        UsageError: If a word is an option of another name; the nearest is named.
    """
    there = {name.replace("-", "_") for name in known} | {"help"}
    for word in words:
        name = word.partition("=")[0].removeprefix("--").replace("-", "_")
        if word.startswith("--") and name and name not in there and not name.startswith(("sampling.", "tyro_")):
            said = unknown(name, there, owner)
            raise UsageError(f"{said}{' ' if said.endswith('?') else '; '}all of them: {owner} --help")


def flags_of(command: Callable[..., Any]) -> set[str]:
    """Names of a command's options; of a parameter that is a group, those of its fields."""
    found = set[str]()
    hints = get_type_hints(command)
    for name, parameter in inspect.signature(command).parameters.items():
        if is_dataclass(hints.get(name)):
            found |= options_of(hints[name]).keys()
        elif parameter.kind is parameter.KEYWORD_ONLY:
            found.add(name)
    return found


def completion(
    shell: str, commands: Mapping[str, Callable[..., Any]], benches: Mapping[str, Callable[..., Any]]
) -> None:
    """Print a script by which a shell completes commands, recipes and all of their options.

    Args:
        shell: bash, zsh or fish.
        commands: Every command; those of `train` are the recipes.
        benches: Those of `bench`.

    Raises:
        UsageError: If the shell is another.
    """
    if shell not in SHELLS:
        raise UsageError(f"--completion {shell}: {meant(shell, SHELLS)}use one of {', '.join(SHELLS)}")

    recipes = {name: _reader(name, recipe, {}, []) for name, recipe in RECIPES.items()}
    tyro.cli(
        _either({**commands, "train": _one_of(recipes), "bench": _one_of(benches)}),
        prog="pushforward",
        args=["--tyro-print-completion", shell],
        use_underscores=False,
        config=(tyro.conf.FlagCreatePairsOff,),
    )


def _one_of(commands: Mapping[str, Callable[..., Any]]) -> Callable[..., None]:
    """A command of commands, for the parser to list."""

    def outer(**_: Any) -> None: ...

    kind, either = inspect.Parameter.KEYWORD_ONLY, _either(commands)
    outer.__annotations__ = {"name": either}
    outer.__signature__ = inspect.Signature([inspect.Parameter("name", kind, annotation=either)])  # pyright: ignore[reportFunctionMemberAccess]
    return outer


def _either(commands: Mapping[str, Callable[..., Any]]) -> Any:
    """Commands as a type of which the parser reads one."""
    made = (Annotated[Any, tyro.conf.subcommand(name=name, constructor=make)] for name, make in commands.items())
    either = Union[(*made, Annotated[None, tyro.conf.Suppress])]
    return Annotated[either, tyro.conf.arg(name="")]


def _reader(name: str, recipe: Recipe, stored: dict[str, Any], words: list[str]) -> Callable[..., Training]:
    """A recipe's options and a run's options as one function, for the parser to read."""
    of_recipe, of_run = _known(name, recipe), dict(options_of(Running))
    if twice := of_recipe.keys() & of_run.keys():
        raise UsageError(f"recipe {name!r}: {flag(min(twice))} is an option of every run; rename yours")
    given = _given(name, stored)
    old = stored["arguments"] if given else {}
    together = {
        option.name: _turned(replace(option, default=given.get(option.name, option.default)))
        for option in (*of_recipe.values(), *of_run.values())
    }

    def command(**values: Any) -> Training:
        arguments = {name: _lasting(option, values[name], old.get(name)) for name, option in of_recipe.items()}
        for option, value in arguments.items():
            _storable(f"{flag(option)} of recipe {name!r}", value)
        running = Running(**{option: values[option] for option in of_run})
        return Training(name, arguments, running.run, running, ["train", *words])

    command.__name__ = name
    command.__doc__ = documented(inspect.getdoc(recipe) or "", together.values())
    command.__signature__ = signature_of(together.values(), Training)  # pyright: ignore[reportFunctionMemberAccess]
    command.__annotations__ = {option.name: option.type for option in together.values()} | {"return": Training}
    return command


def _turned(option: Option) -> Option:
    """A switch that is on, as the parser shows it: by the flag that turns it off."""
    on = option.type is bool and option.default is True
    return replace(option, help=f"Turn this off: {option.help}") if on else option


def _known(name: str, recipe: Recipe) -> dict[str, Option]:
    """A recipe's options; a guest's may lack types, and then they are those of the defaults."""
    try:
        found = dict(options_of(recipe))
    except (NameError, TypeError, AttributeError) as error:
        raise UsageError(f"recipe {name!r}: its options cannot be read ({error}); mend them") from error
    for option in found.values():
        if option.default is not inspect.Parameter.empty:
            _storable(f"recipe {name!r}: the default of {flag(option.name)}", option.default)
    if "data" in found and found["data"].names is None:  # a guest's, whose hint says nothing of files
        found["data"] = replace(found["data"], names=DATA)
    return found


def _storable(what: str, value: Any) -> None:
    """Refuse an argument that run.json could not keep, before any work.

    Raises:
        UsageError: If it is none of the values that JSON has.
    """
    try:
        json.dumps(value)
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"{what} is a {type(value).__name__}, which run.json cannot hold; let the option be a number, a word or a "
            "list of them, and make the rest of it in the recipe"
        ) from error


def _stored(words: list[str], trust: Sequence[str]) -> dict[str, Any]:
    """The description of the run that is to be continued, to serve as defaults; nothing for a new run.

    Raises:
        UsageError: If there is no such run, or it names a divergence outside this package that the user did not name.
        DataError: If it keeps an option of another type than the option's, or out of its range.
    """
    if "--resume" not in words or "--help" in words:
        return {}
    if "--run" not in words[:-1]:
        raise UsageError("--resume: name the run to continue with --run DIR")
    folder = Path(words[words.index("--run") + 1])
    if not folder.is_dir():
        raise UsageError(f"--run {folder}: no such run to continue; check the name, or drop --resume to start one")
    try:
        found = files.read_object(folder / layout.RUN)
        stored = {"recipe": found["recipe"], "arguments": arguments_of(found), "options": found["options"]}
        mine = guests.named(stored["arguments"])
        dict(stored["options"])
    except (OSError, DataError, ValueError, KeyError, TypeError):
        return {}  # said properly when the run is opened
    known, kept = options_of(Running), Running().stored().keys() - {"threads"}
    for name, value in stored["options"].items():
        if name in kept:  # what else stands there goes unheard
            try:
                known[name].check(value, f"{folder / layout.RUN}: options.{name}")
            except UsageError as error:
                raise DataError(f"{error}; restore it or start a new run") from error
    for guest in mine:
        if guest not in words and not guests.trusted(guest, trust):
            raise UsageError(
                f"--run {folder}: uses the divergence {guest} from outside this package; a run folder is no reason to "
                f"import it, so name it yourself: --divergence {guest}"
            )
    return stored


def _lasting(option: Option, value: Any, old: Any) -> Any:
    """A value as run.json keeps it: what names a file holds from every folder. What it already keeps stays as it is."""
    if option.names is None or not isinstance(value, str) or value == old:
        return value
    return option.names.absolute(value)


def defaults(recipe: str) -> dict[str, Any]:
    """A recipe's options and their defaults."""
    return {name: option.default for name, option in options_of(RECIPES[recipe]).items()}


def with_settings(words: Sequence[str]) -> list[str]:
    """Settings of a run's own sampling, `--sampling.FIELD VALUE`, as one option: what there is only the run knows.

    Returns:
        The words, with the settings last as `FIELD=VALUE`, or `FIELD` alone where no value follows.

    Raises:
        UsageError: If a setting has no name.
    """
    left, found, rest = list[str](), list[str](), list(words)
    while rest:
        word = rest.pop(0)
        if word.partition("=")[0] in ("--sampling", "--sampling."):
            raise UsageError(f"{word}: name the setting, in the form --sampling.FIELD VALUE")
        if not word.startswith("--sampling."):
            left.append(word)
            continue
        field, equals, value = word.removeprefix("--sampling.").partition("=")
        if not equals and rest and rest[0] != "-n" and not rest[0].startswith("--"):
            equals, value = "=", rest.pop(0)
        found.append(f"{field.replace('-', '_')}{equals}{value}")
    return [*left, "--sampling.FIELD", *found] if found else left
