"""The options of `train`: a recipe's off its signature, a run's off `run_options`, a stored run's as defaults.

Those of `evaluate` that need a check are read here too.
"""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import tyro

from pushforward import files, guests
from pushforward.errors import DataError, UsageError
from pushforward.recipes import RECIPES, Recipe, locate
from pushforward.recipes.checks import hints

if TYPE_CHECKING:
    from pushforward.evaluation import Settings

__all__ = ["Training", "defaults", "evaluation", "free_folder", "read"]


@dataclass(frozen=True)
class Training:
    """What a `train` command asks for.

    Attributes:
        recipe: Name of the recipe.
        arguments: Its keyword arguments.
        folder: Folder of the run.
        options: The run's other options, as `pushforward.commands.training.train` takes them.
        json: Whether to print one JSON object.
        words: The command, so that it can be given again.
    """

    recipe: str
    arguments: dict[str, Any]
    folder: Path
    options: dict[str, Any]
    json: bool
    words: list[str]


def read(words: Sequence[str], description: str) -> Training:
    """Read the words after `train`; ends the program for --help and for words that mean nothing.

    Args:
        words: Command line words.
        description: What --help says first.

    Raises:
        UsageError: If a run is to be continued that is not there, or that names code of its own.
    """
    words = [part for word in words for part in (word.split("=", 1) if word.startswith("--") else [word])]
    trust, guest = _trusted(words), words[:1] if ":" in "".join(words[:1]) else []
    stored = _stored(words, trust)
    found = RECIPES | {name: locate(name, trust) for name in guest}
    commands = {name: _reader(name, recipe, stored, words) for name, recipe in found.items()}
    return tyro.extras.subcommand_cli_from_dict(
        commands,
        prog="pushforward train",
        args=words or ["--help"],
        use_underscores=False,
        config=(tyro.conf.FlagCreatePairsOff,),
        description=description,
    )


def run_options(
    *,
    run: Path | None = None,
    resume: bool = False,
    device: str = "auto",
    precision: Literal["fp32", "bf16"] = "fp32",
    threads: int = 0,
    minutes: float | None = None,
    save_every: int = 0,
    sample_every: int = 0,
    trust: tuple[str, ...] = (),
    json: bool = False,
) -> None:
    """Options of every run.

    Args:
        run: Folder of the run; by default a new one under runs/.
        resume: Continue the run in that folder; its options need not be repeated.
        device: auto, cpu, cuda, cuda:1, mps.
        precision: fp32, or bf16 for forward passes under autocast.
        threads: Threads; 0 for what suits the recipe.
        minutes: Stop after so many minutes of this sitting, with a checkpoint.
        save_every: Steps between checkpoints; 0 for a twentieth of the run.
        sample_every: Steps between looks at samples; 0 for a twentieth of the run.
        trust: What from outside may be imported, package.module:NAME or package.module: a recipe of yours.
        json: Print one JSON object.
    """


def _trusted(words: Sequence[str]) -> tuple[str, ...]:
    """What follows --trust, read before there are options to read: those of a guest are known only once it is in."""
    found: list[str] = []
    for k, word in enumerate(words):
        if word == "--trust":
            rest = words[k + 1 :]
            found += rest[: next((n for n, other in enumerate(rest) if other.startswith("-")), len(rest))]
    return tuple(found)


def _reader(name: str, recipe: Recipe, stored: dict[str, Any], words: list[str]) -> Callable[..., Training]:
    """A recipe's options and a run's options as one function, for the parser to read."""
    types, mine = _types(name, recipe), stored if stored.get("recipe") == name else {}
    of_recipe = [
        p.replace(annotation=types[p.name], default=mine.get("arguments", {}).get(p.name, p.default))
        for p in inspect.signature(recipe).parameters.values()
    ]
    if twice := {p.name for p in of_recipe} & inspect.signature(run_options).parameters.keys():
        raise UsageError(f"recipe {name!r}: --{min(twice).replace('_', '-')} is an option of every run; rename yours")
    of_run = [
        p.replace(default=mine.get("options", {}).get(p.name, p.default) if p.name != "trust" else p.default)
        for p in inspect.signature(run_options, eval_str=True).parameters.values()
    ]

    def command(**values: Any) -> Training:
        arguments = {p.name: values[p.name] for p in of_recipe}
        options = {p.name: values[p.name] for p in of_run}
        as_json, folder = options.pop("json"), options.pop("run") or free_folder(name.rpartition(":")[2])
        if "data" in arguments:
            arguments["data"] = _absolute(arguments["data"])
        line = ["train", *(word for word in words if word != "--resume")]
        line += [] if "--run" in line else ["--run", str(folder)]
        return Training(name, arguments, folder, options, as_json, line)

    together = [*of_recipe, *of_run]
    command.__name__ = name
    command.__doc__ = _documented(recipe)
    signature = inspect.Signature(together, return_annotation=Training)
    command.__signature__ = signature  # pyright: ignore[reportFunctionMemberAccess]
    command.__annotations__ = {p.name: p.annotation for p in together} | {"return": Training}
    return command


def _types(name: str, recipe: Recipe) -> dict[str, Any]:
    """Types of a recipe's options; a guest may lack some, and then they are those of the defaults."""
    try:
        types = hints(recipe)
    except (NameError, TypeError, AttributeError) as error:
        raise UsageError(f"recipe {name!r}: its annotations cannot be read ({error}); mend them") from error
    return {key: type(p.default) for key, p in inspect.signature(recipe).parameters.items()} | types


def _documented(recipe: Recipe) -> str:
    """What a recipe says of itself and its options, and then what every run's options are."""
    about = re.split(r"\n(?=(?:Returns|Raises|Yields|References|Examples?|Notes?):\n)", inspect.getdoc(recipe) or "")[0]
    about = about.rstrip() if re.search(r"^Args:$", about, re.MULTILINE) else f"{about.rstrip()}\n\nArgs:"
    return f"{about}\n" + (inspect.getdoc(run_options) or "").split("Args:\n", 1)[1]


def _stored(words: list[str], trust: Sequence[str]) -> dict[str, Any]:
    """The description of the run that is to be continued, to serve as defaults; nothing for a new run.

    Raises:
        UsageError: If there is no such run, or it names a divergence outside this package that the user did not name.
    """
    if "--resume" not in words or "--help" in words:
        return {}
    if "--run" not in words[:-1]:
        raise UsageError("--resume: name the run to continue with --run DIR")
    folder = Path(words[words.index("--run") + 1])
    if not folder.is_dir():
        raise UsageError(f"--run {folder}: no such run to continue; check the name, or drop --resume to start one")
    try:
        found = files.read_object(folder / "run.json")
        stored = {key: found[key] for key in ("recipe", "arguments", "options")}
        mine = guests.named(dict(stored["arguments"]))
        dict(stored["options"])
    except (OSError, DataError, ValueError, KeyError, TypeError):
        return {}  # said properly when the run is opened
    for guest in mine:
        if guest not in words and not guests.trusted(guest, trust):
            raise UsageError(
                f"--run {folder}: uses the divergence {guest} from outside this package; a run folder is no reason to "
                f"import it, so name it yourself: --divergence {guest}"
            )
    return stored


def _absolute(data: str) -> str:
    """A path in a form that still holds when the run is opened from another folder."""
    if data == "digits" or data.startswith("toy:"):
        return data
    head, colon, key = data.rpartition(":")
    for path, rest in ((data, ""), (head, f":{key}")):
        if path and (colon or not rest) and Path(path).expanduser().exists():
            return str(Path(path).expanduser().resolve()) + rest
    return data


def free_folder(name: str) -> Path:
    """The first folder runs/NAME, runs/NAME-2, ... that is not there yet.

    Raises:
        UsageError: Under torchrun, where several processes would choose apart.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UsageError("--run: name the folder of the run, so that all processes share it")
    k = 1
    while (folder := Path("runs") / (name if k == 1 else f"{name}-{k}")).exists():
        k += 1
    return folder


def defaults(recipe: str) -> dict[str, Any]:
    """A recipe's options and their defaults."""
    return {name: p.default for name, p in inspect.signature(RECIPES[recipe]).parameters.items()}


UNITS = {"": 1, "B": 1, "KB": 2**10, "MB": 2**20, "GB": 2**30, "K": 2**10, "M": 2**20, "G": 2**30}


def evaluation(seed: int, permutations: int, max_n: int, memory: str) -> Settings:
    """Check the options of `evaluate`.

    Raises:
        UsageError: If one is out of range; the message says which, and what to give.
    """
    from pushforward.evaluation import Settings

    if seed < 0:
        raise UsageError(f"--seed {seed}: give 0 or more")
    if max_n < 4:
        raise UsageError(f"--max-n {max_n}: use at least 4 rows; 2000 is usual")
    if permutations != 0 and permutations < 19:
        raise UsageError(f"--permutations {permutations}: give 0 for no p-values, or at least 19 for p down to 0.05")
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMG]?B?)", memory.strip().upper())
    size = int(float(match[1]) * UNITS[match[2]]) if match else 0
    if size < 2**20:
        raise UsageError(f"--memory {memory}: give a size of at least 1MB, as 64MB or 1GB")
    return Settings(seed, permutations, max_n, size)
