"""A run built again from its folder, to sample, to carry points, to be measured or to be exported."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pushforward import __version__, files, guests, recipes
from pushforward.commands.settings import settle
from pushforward.data import outputs
from pushforward.errors import DataError, UsageError
from pushforward.parallel.placement import Placement
from pushforward.recipes.parts.checks import arguments_of
from pushforward.training import checkpoint
from pushforward.training.experiment import Experiment
from pushforward.training.folder.opening import MISFITS, same_data, unfit
from pushforward.training.folder.places import placed
from pushforward.training.learner import counted
from pushforward.training.state import load_state, place, restore
from pushforward.types import HasParticles, able

__all__ = ["rebuild"]


def rebuild(
    folder: Path, which: str = "last", trust: Sequence[str] = (), device: str = "cpu", sampling: Sequence[str] = ()
) -> tuple[Experiment, dict[str, Any]]:
    """Call a run's recipe again with its stored arguments and load the tensors; nothing stored is ever executed.

    Raises:
        UsageError: If the run names a guest, its recipe or a divergence, that is not trusted, or a setting of its
            sampling does not apply.
        DataError: If the checkpoint is missing, damaged or does not fit, or the data are not those of the run.
    """
    if which not in ("last", "best"):
        raise UsageError(f"--checkpoint {which}: use last or best")
    if not folder.is_dir():
        raise DataError(f"{folder}: no such run; name the folder given to train --run")
    outputs.plain(folder)
    saved = checkpoint.load(folder / "checkpoints" / which, resume=False)
    run = _placed(saved.run, folder) if isinstance(saved.run, dict) else {}
    recipe, arguments = run.get("recipe"), run.get("arguments", {})
    if not isinstance(arguments, dict):
        raise DataError(f"{folder}: arguments of its checkpoint is {arguments!r:.60}, not an object; train again")
    if not isinstance(recipe, str) or not recipes.known(recipe):
        raise DataError(f"{folder}: made by a recipe {recipe!r} that this version ({__version__}) does not have")
    for guest in guests.named(arguments):
        guests.admit(guest, trust, f"{folder}: uses the divergence")
    wiring = recipes.locate(recipe, trust, f"{folder}: made by the recipe")
    try:
        experiment = wiring(**arguments_of(run))
        same_data(run, experiment.data)
    except DataError as error:
        raise DataError(f"{folder}: a run takes shapes and units from its data, but {error}") from error
    except (UsageError, KeyError, TypeError) as error:
        raise unfit(run, folder, "its description cannot be used", error, trust) from error
    place(experiment.method, Placement.find(device))
    try:
        restore(experiment.method, counted({"step": 0} | run, "step"), saved.weights)
        load_state(experiment.method, saved.weights)
        _known_classes(experiment)
    except MISFITS as error:
        raise unfit(run, folder, f"checkpoint {which} does not fit its recipe", error, trust) from error
    if sampling:
        settle(experiment.method, sampling, recipe)
    return experiment, run


def _known_classes(experiment: Experiment) -> None:
    """Refuse particles of classes that the data do not have.

    Raises:
        ValueError: If there are some.
    """
    method, classes = experiment.method, experiment.data.classes or ()
    if able(method, HasParticles) and method.labels is not None and len(method.labels):
        low, high = method.labels.aminmax()
        if not 0 <= int(low) <= int(high) < len(classes):
            raise ValueError(f"classes {int(low)} to {int(high)} of its particles, where there are {len(classes)}")


def _placed(run: dict[str, Any], folder: Path) -> dict[str, Any]:
    """A checkpoint's description with the places that its header leaves out, where run.json still has them."""
    try:
        return placed(run, files.read_object(folder / "run.json"))
    except (OSError, DataError):
        return run
