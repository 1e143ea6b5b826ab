"""train: a recipe in a folder, watched, stopped and continued."""

from __future__ import annotations

import os
import shlex
import signal
import threading
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pushforward import __version__, files, guests, recipes
from pushforward.commands.console import say, tell
from pushforward.commands.doctor import versions
from pushforward.commands.measuring import measure_run
from pushforward.commands.rebuilding import by_name, under_its_names
from pushforward.commands.watching import Until
from pushforward.data import source
from pushforward.errors import DataError, NotFinite, TrainingError, UsageError, shortened
from pushforward.files import layout
from pushforward.metrics.core.result import Report
from pushforward.parallel import sharing, threads
from pushforward.parallel.ordinary import ordinarily
from pushforward.parallel.placement import Placement
from pushforward.pictures import write_samples
from pushforward.progress import Bar, Pulse
from pushforward.recipes.parts.checks import arguments_of
from pushforward.report import write_report
from pushforward.settings.options import Option, checked, flag, options_of
from pushforward.settings.remedies import remedy
from pushforward.settings.running import Running
from pushforward.terms import Term
from pushforward.training import checkpoint
from pushforward.training.experiment import Experiment
from pushforward.training.facts import facts
from pushforward.training.folder.data import described, forget_cards, same_data, write_card
from pushforward.training.folder.legs import begin, changed_options, fitting, leg, stages_of
from pushforward.training.folder.opening import FORMAT, taken
from pushforward.training.run import Progress, Run, Stop
from pushforward.training.state import reunite

__all__ = ["Outcome", "train"]

MOVED = "restore them, name the place they moved to with --data, or start a new run"
OTHER = "restore them, or start a new run"


@dataclass
class Outcome:
    """How a training command ended.

    Attributes:
        code: Exit code: 0, or 128 and the number of the signal after Ctrl-C (130), SIGTERM (143) or SIGHUP (129).
        run: The run.
        measures: Its metrics; None where nothing was measured.
        page: Its report.
        left_out: What there was no time for, in words.
        notes: What was assumed of the folder and the machine.
    """

    code: int
    run: Run
    measures: Report | None = None
    page: Path | None = None
    left_out: str = ""
    notes: tuple[str, ...] = ()

    def summary(self) -> dict[str, Any]:
        """The same for machines."""
        known = {key: self.run.description[key] for key in ("step", "steps", "seconds", "status")}
        known |= {key: self.run.description[key] for key in ("ended",) if key in self.run.description}
        known |= {"data_notes": list(self.run.experiment.data.notes), "run_notes": list(self.notes)}
        known["remarks"] = self.run.description.get("remarks", [])
        measured = {} if self.measures is None else self.measures.as_dict()
        measured |= {"left_out": self.left_out} if self.left_out else {}
        return (
            {"run": str(self.run.folder)} | known | measured | ({} if self.page is None else {"report": str(self.page)})
        )


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
            _tell(placement, f"{own} was left by {dead.words}, which is gone")
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
    changed = {} if stored is None else _changed(stored, recipe, arguments, options_of(wiring))
    threads.use(running.threads or 1)  # what is fitted while a run is wired must not depend on the machine either
    experiment = _wired(wiring, arguments, moved=stored is not None and "data" not in changed)
    if stored is not None:
        experiment, _ = under_its_names(folder, experiment, matched)
    known = None if stored is None or not isinstance(stored.get("threads"), int) else stored["threads"]
    count, note = threads.of_run(running.threads, experiment.threads, placement.world, known)
    threads.use(count)
    now = _machine(placement, count)
    description = stored or _describe(recipe, arguments, experiment, now, command)
    description |= {"options": running.stored()}
    new = f"{folder}: there was nothing to continue; a new run begins there, with the options given"
    notes = tuple(words for words in (new if running.resume and stored is None else "", note) if words)
    for words in (*experiment.data.notes, *notes):
        _tell(placement, f"note: {shortened(words)}")
    run = Run(folder, description, experiment, placement, every_samples=running.sample_every,
              every_save=running.save_every, show=write_samples)  # fmt: skip
    if stored is not None:
        _go_on(run, arguments, changed, now, command)
        _tell(placement, _greeting(run))
    elif placement.writes:
        write_card(folder, experiment.data)  # before run.json, which tells of it
        forget_cards(folder, description["data"])
    over = stored is not None and run.step > 0 and run.finished
    with _stop_between_steps(placement) as stop:
        try:
            _watch(run, stop, until.to_train)
        except Exception as error:
            advice = remedy(options_of(wiring), arguments)
            if (said := _failed(run, error, guests.of_run(description, running.trust), advice)) is None:
                raise
            raise said from error
    done = run.finished
    reunite(experiment.method)
    outcome = Outcome(0 if done or not stop.signal else 128 + stop.signal, run, notes=notes)
    if outcome.code:
        _tell(placement, f"interrupted at step {run.step}; saved. Continue with: {description['command']} --resume")
    elif "ended" in description and not over:
        _tell(placement, f"ended by itself at step {run.step} of {experiment.steps}: {description['ended']}")
    elif not done:
        _tell(
            placement,
            f"stopped at step {run.step} of {experiment.steps} within {running.minutes or 0:g} minutes; schedules that "
            "end with the last step were cut short: continue with --resume, or plan with fewer --steps",
        )
    if placement.writes and not outcome.code:
        _finish(outcome, until)
        if outcome.left_out:
            _tell(placement, outcome.left_out)
    sharing.leave()
    return outcome


def _finish(outcome: Outcome, until: Until) -> None:
    """Measure a run and write its page, as far as there is time.

    Raises:
        TrainingError: If there is no room for that on the disk.
    """
    run, folder = outcome.run, outcome.run.folder
    try:
        outcome.measures = measure_run(folder, "last", run.experiment, run.step, until=until)
        if outcome.measures is None:
            left, then = "evaluation and page", f"pushforward evaluate {folder}, then pushforward report {folder}"
        elif until.left > 0:
            outcome.page = write_report([folder])
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


def _greeting(run: Run) -> str:
    """What a run that is taken up again will do: go on, or nothing, as it had ended."""
    place = f"step {run.step} of {run.experiment.steps}"
    if "ended" in run.description:
        return f"{run.folder} had ended by itself at {place}: {run.description['ended']}; nothing is left to train"
    if run.step and run.finished:
        return f"{run.folder} had finished all {run.experiment.steps} steps; nothing is left to train"
    return f"continuing {run.folder} at {place}"


def _describe(
    recipe: str, arguments: dict[str, Any], experiment: Experiment, now: dict[str, Any], command: str
) -> dict[str, Any]:
    """run.json at step 0."""
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
        "command": command,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    } | now


def _machine(placement: Placement, count: int) -> dict[str, Any]:
    """What a run is trained by, as far as its last bits may depend on it."""
    return {
        "device": str(placement.device),
        "precision": placement.precision,
        "threads": count,
        "world": placement.world,
    }


def _changed(
    stored: dict[str, Any], recipe: str, arguments: dict[str, Any], known: Mapping[str, Option]
) -> dict[str, list[Any]]:
    """Options that are other than the run began with; refuses to continue it as something else."""
    if stored["recipe"] != recipe:
        raise UsageError(f"this folder holds a run of {stored['recipe']}, not of {recipe}; name another folder")
    return changed_options(known, arguments_of(stored), arguments)


def _go_on(
    run: Run, arguments: dict[str, Any], changed: dict[str, list[Any]], now: dict[str, Any], command: str
) -> None:
    """Take a run up where it was, and write down what is other than before.

    Raises:
        UsageError: If a number is other than before and no step is left to learn with it.
    """
    description, experiment, folder = run.description, run.experiment, run.folder
    other = same_data(description, experiment.data, folder, OTHER if "data" in changed else MOVED)
    fitting(description, experiment.method, experiment.steps)
    legs, older = begin(description), description.get("format") != FORMAT
    run.resume()
    numbers = [name for name, (_, value) in changed.items() if isinstance(value, int | float)]
    if numbers and run.step == experiment.steps:
        raise UsageError(
            f"{flag(numbers[0])} {changed[numbers[0]][1]}: the run has done all of its {run.step} steps, and nothing "
            "would be learned with it; give more --steps too, or leave it out"
        )
    now = now | {"steps": experiment.steps}
    description["legs"] = leg(legs, run.step, now, changed, () if other is None else other.words)
    description |= now | {"versions": versions(), "format": FORMAT, "stages": stages_of(experiment.method)}
    if changed:
        description |= {
            "arguments": arguments_of(description) | arguments,
            "command": command or description["command"],
        }
        description.pop("ended", None)  # the method says so again, if that holds with the new options
        _tell(run.placement, "from here on: " + ", ".join(f"{flag(k)} {b} (was {a})" for k, (a, b) in changed.items()))
    if other is not None:
        said = shortened(f"the data changed since the run began: {other}")
        _tell(run.placement, f"note: {said}; it goes on, as it learns from none of that")
    if other is not None or changed or older:
        description["data"] = described(experiment.data)
        if run.placement.writes:
            write_card(folder, experiment.data)
            run.describe()
    if run.placement.writes:
        forget_cards(folder, description["data"])


@contextmanager
def _stop_between_steps(placement: Placement) -> Iterator[Stop]:
    """Turn the first Ctrl-C, SIGTERM or SIGHUP into a wish to stop; the second stops at once.

    Only the main thread may listen to signals; a run in another one goes on to its end. Who started the command under
    `nohup` wants no end with the terminal.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def wish(number: int, frame: Any) -> None:
        if stop.signal:
            raise KeyboardInterrupt
        stop.signal = number
        _tell(placement, "stopping after this step; once more to stop at once")

    numbers = [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]
    heard = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, wish) for number in heard}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _watch(run: Run, stop: Stop, minutes: float | None) -> None:
    """Run the loop under a progress bar, on a terminal, or with a line now and then."""
    if not (run.placement.writes and say.is_terminal):
        pulse, first = Pulse(), run.step
        for progress in run.advance(stop, minutes):
            _remark(run, progress)
            tenth = progress.step % max(1, progress.steps // 10) == 0
            if run.placement.writes and (pulse.due() or tenth):
                left = pulse.left((progress.step - first) / max(1, progress.steps - first))
                done = f"step {progress.step} of {progress.steps}, {progress.seconds:.0f} s"
                tell(f"{done}, {_short(progress, run.terms)}{left and ', '}{left}")
        return
    with Bar(say, run.description["recipe"], run.experiment.steps, done=run.step) as bar:
        shown = 0.0
        for progress in run.advance(stop, minutes):
            _remark(run, progress)
            if progress.seconds - shown > 0.2 or progress.step == progress.steps:
                shown = progress.seconds
                bar.move(progress.step, _short(progress, run.terms))
        bar.move(run.step)


def _remark(run: Run, progress: Progress) -> None:
    for words in progress.remarks:
        _tell(run.placement, f"note: {words}")


def _short(progress: Progress, terms: Mapping[str, Term]) -> str:
    """The stage, where there are several, and the numbers that are worth watching."""
    shown = [f"{k} {value:.3g}" for k, value in progress.numbers.items() if k in terms and terms[k].live]
    return " ".join([progress.stage, *shown] if progress.stage else shown)


def _tell(placement: Placement, message: str) -> None:
    """Say something on the terminal, from one process; where the terminal is gone, as after SIGHUP, to nobody."""
    if not placement.writes:
        return
    try:
        tell(message)
    except OSError:
        nobody = os.open(os.devnull, os.O_WRONLY)
        for number in (1, 2):
            try:
                os.write(number, b"")
            except OSError:
                os.dup2(nobody, number)
