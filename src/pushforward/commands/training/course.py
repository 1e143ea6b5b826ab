"""The course of a run from a command to its page: opened or begun, wired, watched, told how it ended, measured."""

from __future__ import annotations

import shlex
import traceback
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pushforward import files, guests, recipes
from pushforward.commands.measuring import measure_run, measured
from pushforward.commands.rebuilding import by_name, under_its_names
from pushforward.commands.training.sittings import begun, changed_in, go_on, greeting, machine
from pushforward.commands.training.watched import stop_between_steps, tell_once, watch
from pushforward.commands.watching import Until
from pushforward.data import source
from pushforward.errors import DataError, NotFinite, TrainingError, UsageError, shortened
from pushforward.files import layout
from pushforward.metrics.verdict.report import Report
from pushforward.parallel import sharing, threads
from pushforward.parallel.ordinary import ordinarily
from pushforward.parallel.placement import Placement
from pushforward.pictures import write_samples
from pushforward.report import write_report
from pushforward.settings.options import checked, counting, options_of
from pushforward.settings.remedies import remedy, steadier
from pushforward.settings.running import Running
from pushforward.training import checkpoint
from pushforward.training.experiment import Experiment
from pushforward.training.folder import again
from pushforward.training.folder.data import forget_cards, write_card
from pushforward.training.folder.opening import taken
from pushforward.training.run import Run
from pushforward.training.state import reunite

__all__ = ["Outcome", "train"]


@dataclass
class Outcome:
    """How a training command ended.

    Attributes:
        code: Exit code: 0, or 128 and the number of the signal after Ctrl-C (130), SIGTERM (143) or SIGHUP (129).
        run: The run.
        measures: Its metrics; None where nothing was measured.
        kept: What metrics.json said of this checkpoint before, where it was not measured again.
        page: Its report.
        left_out: What there was no time for, in words.
        notes: What was assumed of the folder and the machine.
    """

    code: int
    run: Run
    measures: Report | None = None
    kept: dict[str, Any] | None = None
    page: Path | None = None
    left_out: str = ""
    notes: tuple[str, ...] = ()

    def summary(self) -> dict[str, Any]:
        """The same for machines."""
        known = {key: self.run.description[key] for key in ("step", "steps", "seconds", "status")}
        known |= {key: self.run.description[key] for key in ("ended",) if key in self.run.description}
        known |= {"data_notes": list(self.run.experiment.data.notes), "run_notes": list(self.notes)}
        known |= {key: self.run.description.get(key, []) for key in ("remarks", "ending")}
        found = self.kept or {} if self.measures is None else self.measures.as_dict()
        found = found | ({"left_out": self.left_out} if self.left_out else {})
        return {"run": str(self.run.folder)} | known | found | ({} if self.page is None else {"report": str(self.page)})


@ordinarily
def train(
    recipe: str,
    arguments: dict[str, Any],
    folder: Path | None,
    running: Running = Running(),
    command: str = "",
    stem: str = "",
) -> Outcome:
    """Train a recipe in a folder, then evaluate it and write its report.

    Args:
        recipe: Its name.
        arguments: Its arguments.
        folder: Folder of the run; None for a new one below runs/.
        running: Options of every run.
        command: The command, so that it can be given again.
        stem: What a new folder is called; the recipe's name if not given.

    Raises:
        UsageError: If the folder holds a run and `resume` is not set, holds anything else, or lies in the data; if
            another process trains that run; or if the arguments are not those of that run.
        DataError: If the data or a checkpoint are unfit.
        TrainingError: If training fails; the last good checkpoint is intact.
    """
    until = Until.of(running.minutes)
    checked(options_of(Running), vars(running), "train")
    placement = Placement.find(running.device, running.precision)
    stem = stem or recipe.rpartition(":")[2]
    with taken(folder, stem, arguments.values(), resume=running.resume, writes=placement.writes) as (own, stored, dead):
        if dead is not None:
            tell_once(placement, f"{own} was left by {dead.words}, which is gone")
        command += "" if folder or not command else f" --run {shlex.quote(str(own))}"
        return _train(recipe, arguments, own, stored, running, placement, command, until)


def _train(
    recipe: str,
    arguments: dict[str, Any],
    folder: Path,
    stored: dict[str, Any] | None,
    running: Running,
    placement: Placement,
    command: str,
    until: Until,
) -> Outcome:
    """The same in a folder that is this run's own."""
    wiring = recipes.locate(recipe, running.trust)
    matched: tuple[str, ...] = ()
    if stored is not None:
        arguments, matched = by_name(folder, wiring, arguments)
    known, typed = options_of(wiring), threads.asked(running.threads, stored)
    known, typed = options_of(wiring), threads.asked(running.threads, stored)
    changed = {} if stored is None else changed_in(stored, recipe, arguments, known)
    counting(known, arguments if stored is None else changed, arguments)
    options = running.stored()
    options["threads"] = threads.wished(typed, stored)
    threads.use(options["threads"] or 1)  # what is fitted while a run is wired must not depend on the machine either
    experiment = _wired(wiring, arguments, moved=stored is not None and "data" not in changed)
    if stored is not None:
        experiment, _ = under_its_names(folder, experiment, matched)
    count, note = threads.of_run(typed, experiment.threads, placement.world, stored)
    threads.use(count)
    now = machine(placement, count)
    description = (stored or begun(recipe, arguments, experiment, now, command)) | {"options": options}
    new = f"{folder}: there was nothing to continue; a new run begins there, with the options given"
    notes = tuple(words for words in (new if running.resume and stored is None else "", note) if words)
    for words in (*experiment.data.notes, *notes):
        tell_once(placement, f"note: {shortened(words)}")
    run = Run(folder, description, experiment, placement, every_samples=running.sample_every,
              every_save=running.save_every, show=write_samples, advice=steadier(known, arguments))  # fmt: skip
    told: tuple[str, ...] = ()
    if stored is not None:
        places = {name for name, option in known.items() if option.names is not None}
        told = tuple(go_on(run, arguments, changed, places, now, command))
        for words in told:
            tell_once(placement, f"note: {shortened(words)}")
        tell_once(placement, greeting(run))
        notes += told
    elif placement.writes:
        write_card(folder, experiment.data)  # before run.json, which tells of it
        forget_cards(folder, description["data"])
    first, over = run.step, stored is not None and run.step > 0 and run.finished
    outcome = Outcome(_watched(run, running, until, remedy(known, arguments)), run, notes=notes)
    if how := _ending(outcome, running, first, over=over):
        tell_once(placement, how)
    for words in run.description.get("ending", ()):
        tell_once(placement, f"warning: {words}")
    if placement.writes and not outcome.code:
        if stored is not None and not told and run.step == first:
            outcome.kept = measured(folder, run.step, until=until)
        _finish(outcome, until)
        if outcome.left_out:
            tell_once(placement, outcome.left_out)
    sharing.leave()
    return outcome


def _watched(run: Run, running: Running, until: Until, advice: str) -> int:
    """Train a run while it is watched; the exit code."""
    with stop_between_steps(run.placement) as stop:
        try:
            watch(run, stop, until.to_train, running.until)
        except Exception as error:
            if (said := _failed(run, error, guests.of_run(run.description, running.trust), advice)) is None:
                raise
            raise said from error
    done = run.finished
    reunite(run.experiment.method)
    return 0 if done or not stop.signal else 128 + stop.signal


def _ending(outcome: Outcome, running: Running, first: int, *, over: bool) -> str:
    """How training ended that began at step `first`, unless with the last step or, as `over` says, before."""
    run = outcome.run
    if outcome.code:
        return f"interrupted at step {run.step}; saved. Continue with: {again.next_of(run.description, run.folder)}"
    if "ended" in run.description and not over:
        return f"ended by itself at step {run.step} of {run.experiment.steps}: {run.description['ended']}"
    return "" if run.finished else _stopped(run, running, first)


def _stopped(run: Run, running: Running, first: int) -> str:
    """Why a run that took up its work at step `first` stopped before its end, and how it goes on."""
    place, until = f"step {run.step} of {run.experiment.steps}", running.until
    if until is not None and first >= until:
        return f"--until {until}: nothing was trained, as the run was at {place} before: continue with --resume alone"
    if until is not None and run.step >= until:
        return f"stopped at {place} as --until says: continue with --resume"
    return (
        f"stopped at {place} within {running.minutes:g} minutes; schedules that end with the last step were cut short: "
        "continue with --resume, or plan with fewer --steps"
    )


def _finish(outcome: Outcome, until: Until) -> None:
    """Measure a run, if its numbers are not kept, and write its page, as far as there is time.

    Raises:
        TrainingError: If there is no room for that on the disk.
    """
    run, folder = outcome.run, outcome.run.folder
    try:
        if outcome.kept is None:
            outcome.measures = measure_run(folder, "last", run.experiment, run.step, until=until)
        else:
            kept, anew = folder / layout.METRICS, f"pushforward evaluate {folder}"
            outcome.notes += (f"measured already, at step {run.step}: {kept} is kept; anew: {anew}",)
            tell_once(run.placement, f"note: {shortened(outcome.notes[-1])}")
        if outcome.measures is None and outcome.kept is None:
            left, then = "evaluation and page", f"pushforward evaluate {folder}, then pushforward report {folder}"
        elif until.left > 0:
            outcome.page = write_report([folder])
            return
        elif outcome.kept is not None and (folder / layout.REPORT).is_file():
            return
        else:
            left, then = "the page", f"pushforward report {folder}"
    except OSError as error:
        if not files.is_full(error):
            raise
        raise TrainingError(
            f"{files.no_room(error)} and continue with --resume; only its evaluation and page are missing"
        ) from error
    outcome.left_out = f"no time was left within --minutes for {left}: {then}"


def _failed(run: Run, error: Exception, names: list[str], advice: str) -> TrainingError | None:
    """Say in run.json why a run failed, where that can be written; the error to raise instead, if there is a better.

    Of what a guest raised the whole traceback is kept in the folder.
    """
    place = layout.checkpoint(run.folder)
    last = f"the last good checkpoint is {place}" if checkpoint.exists(place) else "there is no checkpoint yet"
    better = why = None
    if isinstance(error, TrainingError):
        why = f"{error.found}; {advice}" if isinstance(error, NotFinite) and advice else str(error)
        better = TrainingError(f"{why}; {last}")
    elif files.is_full(error):
        why = f"step {run.step}: {files.no_room(error)} and continue with --resume; {last}"
        better = TrainingError(why)
    with suppress(OSError):
        if run.placement.writes and why is None and (why := guests.blamed(error, names)):
            path = run.folder / layout.TRACEBACK
            files.write(path, "".join(traceback.format_exception(error)))
            error.add_note(f"the traceback is in {path}; {last}")
        run.fail(why or f"{type(error).__name__}: {' '.join(str(error).split())}")
    if files.is_full(error) and not layout.begun(run.folder):  # not even that could be written
        return TrainingError(f"{files.no_room(error)} and give the same command again; nothing was begun yet")
    return better


def _wired(wiring: recipes.Recipe, arguments: dict[str, Any], *, moved: bool) -> Experiment:
    """What a recipe wires of data that can be learned from; `moved` if they may be elsewhere than a run has them."""
    try:
        experiment = wiring(**arguments)
    except DataError as error:
        if not moved:
            raise
        raise DataError(f"{error}; if the data have moved, say where to: --data PATH") from error
    if experiment.data.hollow:
        raise UsageError(f"--data: {source.KEPT}RUN has no rows to learn from; name the data themselves")
    return experiment
