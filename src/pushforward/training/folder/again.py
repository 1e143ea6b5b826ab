"""The commands that make a run, to its end, to be given again one after the other.

    pushforward train toy_vgrow --data x.csv --steps 400 --run r --until 100
    pushforward train toy_vgrow --run r --resume --rate 1e-4

One began the run, and there is one more for every leg that went on with other options; the one before it then stops
where that leg begins. What holds for a sitting alone is left out, since a run that was stopped and resumed is bit for
bit the run that was not; one that stands before its end is made by `--until STEP` behind the last. Data that moved
stand in all of them where they are now.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from pushforward.settings.options import flag

__all__ = ["began", "commands_of", "moved", "next_of", "together", "went_on"]

SITTING = ("--minutes", "--until")
RESUME = "--resume"


def began(command: str) -> list[str]:
    """The commands of a run that begins; none where it is not begun by a command.

    Args:
        command: As it was given.
    """
    return [shlex.join(_lasting(command, (RESUME,)))] if command else []


def went_on(commands: Sequence[str], command: str, step: int, steps: object) -> list[str]:
    """The commands of a run that goes on with other options.

    Args:
        commands: Those so far; where they are not known, no more can be.
        command: The one that lets it go on, as it was given.
        step: The step from which on it does.
        steps: How many the run would have had without it.
    """
    if not commands or not command:
        return []
    last = commands[-1] if step == steps else f"{commands[-1]} --until {step}"
    return [*commands[:-1], last, shlex.join([*_lasting(command, (RESUME,)), RESUME])]


def moved(commands: Sequence[str], places: Mapping[str, Any]) -> list[str]:
    """The same commands with files where they are now.

    Args:
        commands: The commands.
        places: What options that name files now say; they are those of the first command, and of no other.
    """
    flags = [flag(name) for name in places]
    words = [shlex.join(_lasting(one, (), flags)) for one in commands]
    now = [word for name, value in places.items() for word in (flag(name), str(value))]
    return [f"{words[0]} {shlex.join(now)}", *words[1:]] if words and now else words


def commands_of(run: Mapping[str, Any]) -> list[str]:
    """The commands of a run, of a description that may be anybody's or of earlier days."""
    found = run.get("commands", [run["command"]] if run.get("command") else [])
    return found if isinstance(found, list) and all(isinstance(one, str) for one in found) else []


def together(commands: Sequence[str]) -> str:
    """Several commands as one, each of which is given if the one before it is done."""
    return " && ".join(commands)


def next_of(run: Mapping[str, Any], folder: object) -> str:
    """The command by which a run goes on as it is."""
    commands = commands_of(run)
    if not commands:
        return shlex.join(["pushforward", "train", str(run["recipe"]), "--run", str(folder), RESUME])
    return commands[-1] if RESUME in shlex.split(commands[-1]) else f"{commands[-1]} {RESUME}"


def _lasting(command: str, alone: Sequence[str], valued: Sequence[str] = SITTING) -> list[str]:
    """The words of a command without some flags, and without others and their values."""
    kept, words = list[str](), iter(shlex.split(command))
    for word in words:
        name, equals, _ = word.replace("_", "-").partition("=")
        if name in valued:
            if not equals:
                next(words, None)
        elif word not in alone:
            kept.append(word)
    return kept
