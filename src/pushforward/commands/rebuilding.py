"""A run built again from its folder, to sample, to carry points, to be measured or to be exported.

What samples need is in the folder, so that the data may be gone: the recipe is called with the run's card in the place
of the data that its options name, and the checkpoint then holds whatever wiring computes from rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from pushforward import __version__, files, guests, recipes
from pushforward.commands.settings import settle
from pushforward.data import Dataset, outputs
from pushforward.data.kept.card import Card, read_card
from pushforward.data.matching import arranged, of_kinds, under_names
from pushforward.data.source import KEPT
from pushforward.errors import DataError, UsageError
from pushforward.files import layout
from pushforward.parallel.placement import Placement
from pushforward.recipes import Recipe
from pushforward.recipes.parts.checks import arguments_of, data_options
from pushforward.training import checkpoint
from pushforward.training.checkpoint import Checkpoint
from pushforward.training.experiment import Experiment
from pushforward.training.folder.data import kept, same_data
from pushforward.training.folder.opening import lacking, unfit
from pushforward.training.folder.places import placed
from pushforward.training.learner import counted
from pushforward.training.state import load_state, place, restore
from pushforward.types import HasParticles, able

__all__ = ["by_name", "rebuild", "rows_of", "standing", "under_its_names", "with_rows"]

MOVED = "; if the data have moved, say where to: --data PATH"
OTHER = "restore them, or compare with other data by `sample` and `evaluate --fake SAMPLES --real DATA`"


def rebuild(
    folder: Path, which: str = "last", trust: Sequence[str] = (), device: str = "cpu", sampling: Sequence[str] = ()
) -> tuple[Experiment, dict[str, Any]]:
    """Call a run's recipe again with its stored arguments and load the tensors; nothing stored is ever executed.

    The data are not read, where the run keeps what they are: `experiment.data` is then hollow. A guest, which may
    compute from rows what no checkpoint has, gets its data where they are at hand and unchanged.

    Raises:
        UsageError: If the run names a guest, its recipe or a divergence, that is not trusted, or a setting of its
            sampling does not apply.
        DataError: If the checkpoint is missing, damaged or does not fit; or, of a run that keeps no card of its data,
            the data are not those of the run.
    """
    saved, run, wiring = _opened(folder, which, trust)
    return _finished(folder, which, saved, _wired_again(folder, run, wiring, trust), trust, device, sampling)


def with_rows(
    folder: Path,
    which: str = "last",
    trust: Sequence[str] = (),
    device: str = "cpu",
    sampling: Sequence[str] = (),
    data: str | None = None,
) -> tuple[Experiment, dict[str, Any], tuple[str, ...]]:
    """The same with the rows of the data, which the run does not keep: to measure, or to compare with them.

    Args:
        folder: The run.
        which: "last" or "best".
        trust: Guests that may be imported.
        device: Where the method lives.
        sampling: Settings of the run's own sampling.
        data: Where the data are now; None for where they were.

    Returns:
        Experiment and description, as of `rebuild`, and notes: what was matched by name, and what changed in the data
        without touching what was learned.

    Raises:
        DataError: If the data are gone, or rows that the run learned from are others; it says which.
    """
    saved, run, wiring = _opened(folder, which, trust)
    try:
        experiment, notes = _with_data(folder, run, wiring, data, trust)
    except DataError as error:
        raise DataError(f"{error}{MOVED if data is None else ''}") from error
    return *_finished(folder, which, saved, experiment, trust, device, sampling), notes


def rows_of(folder: Path, which: str = "last", trust: Sequence[str] = ()) -> Dataset:
    """The data of a run with their rows, read anew.

    Raises:
        DataError: If they are gone, or rows that the run learned from are others; it says which.
    """
    _, run, wiring = _opened(folder, which, trust)
    return _with_data(folder, run, wiring, None, trust)[0].data


def standing(run: dict[str, Any], which: str) -> tuple[str, ...]:
    """A note on a checkpoint that stands before the end of its run; none on a later one, or on a best one, as it may.

    Args:
        run: What the checkpoint says of the run.
        which: "last" or "best".
    """
    step, steps = run.get("step"), run.get("steps")
    if type(step) is not int or type(steps) is not int or not 0 <= step < steps or "ended" in run:
        return ()
    if step == 0:
        return (f"step 0 of {steps}: nothing is learned yet",)
    return (f"step {step} of {steps}: the run is not at its end",) if which == "last" else ()


def by_name(folder: Path, wiring: Recipe, arguments: dict[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Arguments by which a table gives the columns that a run knows, in its order, and notes of that.

    Args:
        folder: The run.
        wiring: Its recipe.
        arguments: What the recipe is to be called with.
    """
    names, cards = data_options(wiring), _cards(folder)
    option = "data" if "data" in names else names[0] if len(names) == 1 else ""
    spec, labels = arguments.get(option), arguments.get("labels")
    if cards is None or not isinstance(spec, str):
        return arguments, ()
    fresh, note = arranged(spec, cards[1].columns, labels if isinstance(labels, str) else None)
    return (arguments | {option: fresh}, (note,)) if note else (arguments, ())


def under_its_names(folder: Path, experiment: Experiment, notes: tuple[str, ...]) -> tuple[Experiment, tuple[str, ...]]:
    """A wiring whose rows have the names and kinds that the run knows, and all notes on them.

    Args:
        folder: The run.
        experiment: The wiring.
        notes: What was done by name to read its data.
    """
    cards, data = _cards(folder), experiment.data
    if cards is not None:
        data, note = under_names(data, *cards)
        data, other = of_kinds(data, *cards)
        notes += tuple(words for words in (note, other) if words)
    return replace(experiment, data=replace(data, notes=(*data.notes, *notes))) if notes else experiment, notes


def _cards(folder: Path) -> tuple[Card, Card] | None:
    """What a run keeps of its data and of what they were loaded from; None where it keeps nothing that is legible."""
    with suppress(FileNotFoundError, DataError):
        own, loaded, _ = read_card(folder)
        return own, loaded or own
    return None


def _wired_again(folder: Path, run: dict[str, Any], wiring: Recipe, trust: Sequence[str]) -> Experiment:
    """The wiring of a run: without its data where it keeps what they are, and with them where nothing else does."""
    cards = None if lacking(run) else kept(folder, run)
    if cards is None or cards[1] is None:
        return _with_data(folder, run, wiring, None, trust)[0]
    if guests.is_guest(run["recipe"]):
        with suppress(DataError):
            return _with_data(folder, run, wiring, None, trust)[0]
    return _without_data(folder, run, wiring, (cards[0], cards[1]), trust)


def _opened(folder: Path, which: str, trust: Sequence[str]) -> tuple[Checkpoint, dict[str, Any], Recipe]:
    """A checkpoint, its description and its recipe."""
    if which not in ("last", "best"):
        raise UsageError(f"--checkpoint {which}: use last or best")
    if not folder.is_dir():
        raise DataError(f"{folder}: no such run; name the folder given to train --run")
    outputs.plain(folder)
    saved = checkpoint.load(layout.checkpoint(folder, which), resume=False)
    run = {"arguments": {}} | _placed(saved.run, folder)
    recipe, arguments = run.get("recipe"), run["arguments"]
    if not isinstance(arguments, dict):
        raise DataError(f"{folder}: arguments of its checkpoint is {arguments!r:.60}, not an object; train again")
    if not isinstance(recipe, str) or not recipes.known(recipe):
        raise DataError(f"{folder}: made by a recipe {recipe!r} that this version ({__version__}) does not have")
    for guest in guests.named(arguments):
        guests.admit(guest, trust, f"{folder}: uses the divergence")
    return replace(saved, run=run), run, recipes.locate(recipe, trust, f"{folder}: made by the recipe")


def _with_data(
    folder: Path, run: dict[str, Any], wiring: Recipe, data: str | None, trust: Sequence[str]
) -> tuple[Experiment, tuple[str, ...]]:
    """The run's wiring with its data, and notes of what is other about them."""
    with suppress(OSError, DataError, KeyError):  # run.json knows of data that moved since the checkpoint
        newest = files.read_object(folder / layout.RUN)
        names = data_options(wiring) if isinstance(newest.get("arguments"), dict) else []
        moved = {name: value for name, value in arguments_of(newest).items() if name in names}
        run = run | {"arguments": arguments_of(run) | moved, "data": newest["data"]}
    try:
        arguments = arguments_of(run)
        if data is not None:
            arguments |= {_option(wiring, data): data}
        arguments, notes = by_name(folder, wiring, arguments)
        experiment, notes = under_its_names(folder, wiring(**arguments), notes)
        found = same_data(run, experiment.data, folder, OTHER)
    except DataError as error:
        raise DataError(f"{folder}: a run keeps no rows of its data, and these are wanted here: {error}") from error
    except UsageError as error:
        if data is not None:
            raise
        raise unfit(run, folder, "its description cannot be used", error, trust) from error
    return experiment, notes if found is None else (*notes, f"the data changed since the run began: {found}")


def _option(wiring: Recipe, data: str) -> str:
    """The option of a recipe that data given on the command line are for.

    Raises:
        UsageError: If there is none, or more than one may be meant.
    """
    names = data_options(wiring)
    if "data" in names or len(names) == 1:
        return "data" if "data" in names else names[0]
    raise UsageError(f"--data {data}: this recipe has {'no' if not names else 'more than one'} option that names data")


def _without_data(
    folder: Path, run: dict[str, Any], wiring: Recipe, cards: tuple[Card, Card], trust: Sequence[str]
) -> Experiment:
    """The run's wiring with what it keeps of its data in their place."""
    own, loaded = cards
    try:
        arguments = arguments_of(run)
        for name in data_options(wiring):
            if isinstance(arguments.get(name), str) and (name == "data" or arguments[name].strip() == loaded.name):
                arguments[name] = f"{KEPT}{folder.resolve()}"
        experiment = wiring(**arguments)
    except Exception as error:
        if guests.is_guest(run["recipe"]):
            raise DataError(_needed(folder, run, error)) from error
        if isinstance(error, (UsageError, DataError, OSError)):
            raise unfit(run, folder, "its description cannot be used", error, trust) from error
        raise
    return replace(experiment, data=own.dataset(), score=None)


def _needed(folder: Path, run: dict[str, Any], error: Exception) -> str:
    """What is said of a guest that cannot be wired without the rows of its data."""
    place, said = run.get("data", {}).get("name"), " ".join(str(error).split())
    return f"{folder}: its recipe {run['recipe']} computes from the rows of {place}; restore them ({said})"


def _finished(
    folder: Path,
    which: str,
    saved: Checkpoint,
    experiment: Experiment,
    trust: Sequence[str],
    device: str,
    sampling: Sequence[str],
) -> tuple[Experiment, dict[str, Any]]:
    """The tensors of the checkpoint put into the wiring."""
    run = saved.run
    place(experiment.method, Placement.find(device))
    try:
        restore(experiment.method, counted(run, "step"), saved.weights)
        load_state(experiment.method, saved.weights, lacking=lacking(run))
        _known_classes(experiment)
    except ValueError as error:
        raise unfit(run, folder, f"checkpoint {which} does not fit its recipe", error, trust) from error
    if sampling:
        settle(experiment.method, sampling, str(run["recipe"]))
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
        return placed(run, files.read_object(folder / layout.RUN))
    except (OSError, DataError):
        return run
