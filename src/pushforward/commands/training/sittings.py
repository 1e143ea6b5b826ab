"""Sittings of a run: how it begins, and how it goes on, the same or otherwise, where another sitting left it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pushforward import __version__
from pushforward.commands.doctor import versions
from pushforward.errors import UsageError
from pushforward.parallel.placement import Placement
from pushforward.recipes.parts.checks import arguments_of
from pushforward.settings.options import Option, flag
from pushforward.training.experiment import Experiment
from pushforward.training.facts import facts
from pushforward.training.folder import again
from pushforward.training.folder.data import Change, described, forget_cards, same_data, write_card
from pushforward.training.folder.legs import begin, changed_options, fitting, leg, stages_of
from pushforward.training.folder.opening import FORMAT
from pushforward.training.run import Run

__all__ = ["begun", "changed_in", "go_on", "greeting", "machine"]

MOVED = "restore them, name the place they moved to with --data, or start a new run"
OTHER = "restore them, or start a new run"


def begun(
    recipe: str, arguments: dict[str, Any], experiment: Experiment, now: dict[str, Any], command: str
) -> dict[str, Any]:
    """run.json at step 0.

    Args:
        recipe: Name of the recipe.
        arguments: Its arguments.
        experiment: What it wires.
        now: What it is trained by, as of `machine`.
        command: The command, as it was given.
    """
    commands = again.began(command)
    return {
        "format": FORMAT,
        "recipe": recipe,
        "arguments": arguments,
        "seed": arguments.get("seed", 0),
        "step": 0,
        "steps": experiment.steps,
        "status": "running",
        "seconds": 0.0,
        "best": None,
        "facts": facts(experiment),
        "stages": stages_of(experiment.method),
        "data": described(experiment.data),
        "versions": versions(),
        "legs": [{"from": 0, "version": __version__, "steps": experiment.steps} | now],
        "command": again.together(commands),
        "commands": commands,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    } | now


def machine(placement: Placement, count: int) -> dict[str, Any]:
    """What a run is trained by, as far as its last bits may depend on it."""
    return {
        "device": str(placement.device),
        "precision": placement.precision,
        "threads": count,
        "world": placement.world,
    }


def changed_in(
    stored: dict[str, Any], recipe: str, arguments: dict[str, Any], known: Mapping[str, Option]
) -> dict[str, list[Any]]:
    """Options that are other than the run began with; refuses to continue it as something else."""
    if stored["recipe"] != recipe:
        raise UsageError(f"this folder holds a run of {stored['recipe']}, not of {recipe}; name another folder")
    return changed_options(known, arguments_of(stored), arguments)


def go_on(
    run: Run,
    arguments: dict[str, Any],
    changed: dict[str, list[Any]],
    places: set[str],
    now: dict[str, Any],
    command: str,
) -> list[str]:
    """Take a run up where it was, and write down what is other than before.

    Args:
        run: The run, wired.
        arguments: The arguments of its recipe from here on.
        changed: Those that are others than before, as [before, now].
        places: Options of the recipe that name files.
        now: What it is trained by from here on, as of `machine`.
        command: The command, as it was given.

    Returns:
        What has to be said of it, a line each.

    Raises:
        UsageError: If a number is other than before and no step is left to learn with it, or the run did more steps
            than it would have.
        DataError: If the data are others, or the checkpoint is gone, damaged or does not fit.
    """
    description, experiment, said = run.description, run.experiment, list[str]()
    other = same_data(description, experiment.data, run.folder, OTHER if "data" in changed else MOVED)
    saved = run.last()
    # A kill or a failure may have come between the checkpoint and run.json, and what was done is in the checkpoint.
    done = {} if saved is None else {name: saved.run[name] for name in ("step", "stage") if name in saved.run}
    if type(done.get("step", 0)) is int:  # or it does not fit, which is told where it is loaded
        fitting(description | done, experiment.method, experiment.steps)
    run.resume(saved)
    numbers = [name for name, (_, value) in changed.items() if isinstance(value, int | float)]
    if numbers and run.step >= experiment.steps:
        raise UsageError(
            f"{flag(numbers[0])} {changed[numbers[0]][1]}: the run has done all of its {run.step} steps, and nothing "
            "would be learned with it; give more --steps too, or leave it out"
        )
    _new_leg(run, changed, places, now | {"steps": experiment.steps}, other, command)
    older = description.get("format") != FORMAT
    description |= now | {"steps": experiment.steps, "versions": versions(), "format": FORMAT}
    description |= {"stages": stages_of(experiment.method)}
    if changed:
        description["arguments"] = arguments_of(description) | arguments
        description.pop("ended", None)  # the method says so again, if that holds with the new options
        said.append("from here on: " + ", ".join(f"{flag(k)} {b} (was {a})" for k, (a, b) in changed.items()))
    if other is not None:
        said.append(f"the data changed since the run began: {other}; it goes on, as it learns from none of that")
    if other is not None or changed or older:
        description["data"] = described(experiment.data)
        if run.placement.writes:
            write_card(run.folder, experiment.data)
            run.describe()
    if run.placement.writes:
        forget_cards(run.folder, description["data"])
    return said


def _new_leg(
    run: Run, changed: dict[str, list[Any]], places: set[str], now: dict[str, Any], other: Change | None, command: str
) -> None:
    """Put into the description the leg that begins, if one does, and the commands that make the run with it."""
    description = run.description
    before, commands = begin(description), again.commands_of(description)
    after = leg(before, run.step, now, changed, () if other is None else other.words)
    moved = {name: value for name, (_, value) in changed.items() if name in places}
    if moved:
        commands = again.moved(commands, moved)
    machine = any(after[-1].get(name) != before[-1].get(name) for name in ("threads", "device", "precision"))
    if after is not before and (changed.keys() - places or machine):
        commands = again.went_on(commands, command, run.step, before[-1].get("steps"))
    description |= {"legs": after, "commands": commands, "command": again.together(commands)}


def greeting(run: Run) -> str:
    """What a run that is taken up again will do: go on, or nothing, as it had ended."""
    place = f"step {run.step} of {run.experiment.steps}"
    if "ended" in run.description:
        return f"{run.folder} had ended by itself at {place}: {run.description['ended']}; nothing is left to train"
    if run.step and run.finished:
        return f"{run.folder} had finished all {run.experiment.steps} steps; nothing is left to train"
    return f"continuing {run.folder} at {place}"
