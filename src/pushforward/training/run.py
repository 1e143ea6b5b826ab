"""A run in a folder: its description, its log, its checkpoints, and how it starts, stops and continues.

DIR/run.json  log.jsonl  metrics.json  report.html  samples/  checkpoints/{last,best}/
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from pushforward import files
from pushforward.data.dataset import Dataset
from pushforward.errors import DataError
from pushforward.files import layout
from pushforward.parallel import sharing
from pushforward.parallel.placement import Placement
from pushforward.randomness import stream
from pushforward.terms import Term
from pushforward.training import checkpoint
from pushforward.training.asking import samples_of
from pushforward.training.checkpoint import Checkpoint
from pushforward.training.ending import ending, looks_of, moved, sketch
from pushforward.training.experiment import Experiment
from pushforward.training.facts import terms_of
from pushforward.training.folder.opening import lacking, unfit
from pushforward.training.folder.places import without_places
from pushforward.training.learner import counted
from pushforward.training.loop import train
from pushforward.training.state import load_state, members, place, restore, resume_state, weights
from pushforward.types import CountsCalls, HasParticles, Placeable, Remarks, Staged, Stops, able

__all__ = ["Progress", "Run", "Status", "Stop"]

Status = Literal["running", "finished", "stopped", "interrupted", "failed"]
JUDGED = 1000  # samples that choose the best checkpoint
DEAR, LARGE = 200, 256  # how many of those that take several calls of a net each, from so many numbers in one on


@dataclass
class Stop:
    """A wish to stop, set by a signal handler and obeyed between two steps.

    Attributes:
        signal: Number of the signal received, or 0.
    """

    signal: int = 0


@dataclass(frozen=True)
class Progress:
    """What the loop reports after a step.

    Attributes:
        step: Steps done.
        steps: Steps in all.
        seconds: Seconds of training so far, earlier sittings included.
        numbers: The step's numbers.
        stage: Name of the stage that did it; empty where the method has none.
        remarks: What the method says of itself for the first time.
    """

    step: int
    steps: int
    seconds: float
    numbers: dict[str, float]
    stage: str = ""
    remarks: tuple[str, ...] = ()


@dataclass
class Run:
    """A run and its folder.

    Attributes:
        folder: Where everything is written.
        description: The contents of run.json.
        experiment: The wiring.
        placement: Device, precision and rank.
        every_log: Steps between two lines of the log, whose numbers are means over those steps.
        every_samples: Steps between two looks at samples.
        every_save: Steps between two checkpoints.
        show: Writes a look at samples: (folder, step, samples in model units, data, classes or None).
        advice: What helps a run that lost modes, froze or ended worse than its best; see `ending`.
        terms: What is known of the numbers of its log.
    """

    folder: Path
    description: dict[str, Any]
    experiment: Experiment
    placement: Placement
    every_log: int = 0
    every_samples: int = 0
    every_save: int = 0
    show: Callable[[Path, int, Tensor, Dataset, Tensor | None], None] | None = None
    advice: Mapping[str, str] = field(default_factory=dict)
    terms: dict[str, Term] = field(init=False)
    _judged: int = field(default=0, init=False)  # samples of a look, the same at all of them
    _best: float = field(default=math.inf, init=False)
    _seconds: float = field(default=0.0, init=False)
    _seen: Tensor | None = field(default=None, init=False, repr=False)  # a sketch of the samples at the last look

    def __post_init__(self) -> None:
        steps = self.experiment.steps
        self.every_log = self.every_log or max(1, steps // 400)
        self.every_samples = self.every_samples or max(1, steps // 20)
        self.every_save = self.every_save or max(1, steps // 20)
        self.terms = terms_of(self.experiment.method)
        self._judged = judged(self.experiment)
        place(self.experiment.method, self.placement)
        if able(self.experiment.batches, Placeable):
            self.experiment.batches.place(self.placement)

    @property
    def step(self) -> int:
        """Steps done."""
        return self.description["step"]

    @property
    def finished(self) -> bool:
        """Whether the last step is done, or the method has ended by itself."""
        return self.step >= self.experiment.steps or "ended" in self.description or bool(self._stopped)

    @property
    def _stopped(self) -> str:
        """Why the method ended by itself; empty where it did not."""
        method = self.experiment.method
        return method.stopped if able(method, Stops) else ""

    def _note_end(self) -> None:
        """Put into the description why the method ended by itself, where it did."""
        if self._stopped:
            self.description["ended"] = self._stopped

    def _remarks(self) -> tuple[str, ...]:
        """What the method says of itself for the first time; it goes into the description."""
        method, known = self.experiment.method, self.description.get("remarks", [])
        said = method.remarks(self.experiment.steps) if able(method, Remarks) else ()
        new = tuple(words for words in said if words not in known)
        if new:
            self.description["remarks"] = [*known, *new]
        return new

    def last(self) -> Checkpoint | None:
        """The checkpoint to continue from; None where a run was cut off before its first one.

        Raises:
            DataError: If it is gone or damaged.
        """
        last = layout.checkpoint(self.folder)
        if self.placement.writes:
            for name in ("last", "best"):
                checkpoint.repair(last.with_name(name))
        sharing.wait()
        if not checkpoint.exists(last):
            if self.step:
                raise DataError(
                    f"{last}: gone, while {self.folder / 'run.json'} speaks of step {self.step}; restore it, or "
                    "start a new run in another folder"
                )
            return None
        return checkpoint.load(last)

    def resume(self, saved: Checkpoint | None) -> None:
        """Continue from a checkpoint, `last()`; without one the run starts at the beginning.

        Raises:
            DataError: If it does not fit the wiring.
        """
        if saved is None:
            self._forget_after(0)
            return
        state = saved.resume or {}
        try:
            best, seconds = (_number(state, name) for name in ("best", "seconds"))
            if not isinstance(state.get("method"), dict):
                raise ValueError(f"the state of its method is {state.get('method')!r:.40}")
            restore(self.experiment.method, counted(saved.run, "step"), saved.weights)
            load_state(self.experiment.method, saved.weights, state["method"], lacking=lacking(saved.run))
            counted(state.get("batches"), "position")
            self.experiment.batches.load_state_dict(state["batches"])
            self._best, self._seconds, seen = best, seconds, state.get("seen")
            self._seen = seen if isinstance(seen, Tensor) else None
        except ValueError as error:
            last = layout.checkpoint(self.folder)
            raise unfit(saved.run, last, "does not fit this recipe and its arguments", error) from error
        self.description |= {"step": saved.run["step"], "best": saved.run.get("best")}
        for name in ("why", "ending"):  # of where it ended before
            self.description.pop(name, None)
        for name in ("ended", "remarks"):  # as they were then: what came later comes again
            self.description.pop(name, None)
            if name in saved.run:
                self.description[name] = saved.run[name]
        self._note_end()
        self._forget_after(self.step)

    def advance(self, stop: Stop, minutes: float | None = None, until: int | None = None) -> Iterator[Progress]:
        """Train to the end, until asked to stop, for so long or up to a step; every way out leaves a checkpoint.

        Args:
            stop: Looked at after every step.
            minutes: Longest time of this sitting.
            until: The step to stop at, at the latest.

        Raises:
            TrainingError: If a number is not finite; checkpoints/last is then the last good one.
        """
        begun, before, sums, done = time.monotonic(), self._seconds, _Means(), False
        log, method = self.folder / layout.LOG, self.experiment.method
        self._note_end()
        if self.finished and self.step:
            self.description["status"] = "finished"  # a crash may have come before run.json said so
            self._conclude()
            self.describe()
            return
        if self.step == 0:
            self.describe()  # before the first checkpoint, so that a kill leaves what --resume takes for a run
            self.save("running")
            self._look(0)
        if until is not None and self.step >= until:
            self.save("stopped")
            return
        for step, numbers in train(self.experiment, self.step, self.placement.rank):
            stage = method.stage if able(method, Staged) else ""
            named = {"stage": stage} if stage else {}
            self.description |= {"step": step} | named
            self._seconds = before + time.monotonic() - begun
            sums.add(numbers)
            self._note_end()
            new = self._remarks()
            done = self.finished
            late = (minutes is not None and time.monotonic() - begun >= 60 * minutes) or step == until
            stop.signal, halt = self._agree(stop.signal, late)
            if step % self.every_log == 0 or done or halt:
                self._append(log, {"step": step, "seconds": round(self._seconds, 3)} | named | sums.take())
            if step % self.every_samples == 0 or done:
                self._look(step)
            if done or (halt and not stop.signal):
                self._conclude()
            if done:
                self.save("finished")
            elif halt:
                self.save("interrupted" if stop.signal else "stopped")
            elif step % self.every_save == 0:
                self.save("running")
            yield Progress(step, self.experiment.steps, self._seconds, numbers, stage, new)
            if halt and not done:
                return
        if not done:  # the method had no further step, and could not say so at its last one
            self._note_end()
            if not self.finished:
                self.description["ended"] = "the method had no further step"
            if self.step % self.every_samples:
                self._look(self.step)
            self._conclude()
            self.save("finished")

    def fail(self, why: str) -> None:
        """Say in run.json that the run failed and why; the checkpoints stay as they are."""
        self.description |= {"status": "failed", "why": why}
        self.describe()

    def save(self, status: Status, name: str = "last", tensors: dict[str, Tensor] | None = None) -> None:
        """Write a checkpoint and run.json, from the writing process only.

        Args:
            status: What becomes of the run.
            name: Folder of the checkpoint.
            tensors: The weights, if they are at hand; otherwise all processes must call this.
        """
        tensors = weights(self.experiment.method) if tensors is None else tensors
        if not self.placement.writes:
            return
        self.description |= {"status": status, "seconds": round(self._seconds, 3)}
        state = {
            "method": resume_state(self.experiment.method),
            "batches": self.experiment.batches.state_dict(),
            "best": self._best,
            "seconds": self._seconds,
            "seen": self._seen,
        }
        checkpoint.save(layout.checkpoint(self.folder, name), tensors, state, without_places(self.description))
        self.describe()

    def describe(self) -> None:
        """Write run.json, from the writing process only."""
        if self.placement.writes:
            files.write(self.folder / layout.RUN, json.dumps(self.description, indent=1) + "\n")

    def _look(self, step: int) -> None:
        """Draw samples, judge them, keep the best; never touches the random state of training."""
        tensors = weights(self.experiment.method) if self.placement.world > 1 else {}
        if not self.placement.writes:
            return
        experiment, (x, labels) = self.experiment, self._samples(tensors)
        if not bool(torch.isfinite(x).all()):
            return
        if self.show is not None:
            self.show(self.folder / layout.SAMPLES, step, x.cpu(), experiment.data, labels)
        before, self._seen = self._seen, sketch(x)
        if experiment.score is None or step == 0:
            return
        score, line = experiment.score(x), {}
        if experiment.modes is not None:
            line["modes"], line["of"] = experiment.modes(x)
        if before is not None and before.shape == self._seen.shape:
            line["moved"] = moved(before, self._seen, sketch(experiment.data.train[: self._judged]))
        self._append(self.folder / layout.LOG, {"step": step, "score": score} | line)
        if score < self._best:
            self._best, self.description["best"] = score, {"step": step, "score": score}
            self.save("running", "best", tensors or None)

    def _conclude(self) -> None:
        """Put into the description what its looks at samples say of the run, where that is bad news."""
        if not self.placement.writes:
            return
        looks, best = looks_of(self.folder / layout.LOG), self.description.get("best")
        said = ending(looks, best, self._floor, self.advice, over=self.finished)
        self.description.pop("ending", None)
        if said:
            self.description["ending"] = list(said)

    def _floor(self) -> float | None:
        """The score of as many held-out rows as a look has samples; None where there are none."""
        score, rows = self.experiment.score, self.experiment.data.test[: self._judged]
        return score(rows) if score is not None and len(rows) else None

    def _samples(self, tensors: dict[str, Tensor]) -> tuple[Tensor, Tensor | None]:
        """The same particles at every look, to see them move; of a generator, new samples with the data's classes.

        Args:
            tensors: All weights, where several processes share the particles.
        """
        experiment, method = self.experiment, self.experiment.method
        if able(method, HasParticles):
            particles, known = tensors.get("particles", method.particles), tensors.get("labels", method.labels)
            rows = torch.linspace(0, len(particles) - 1, min(len(particles), self._judged)).long().to(particles.device)
            return particles[rows], None if known is None or len(known) != len(particles) else known[rows]
        labels = None
        if experiment.conditional and experiment.data.train_labels is not None:
            known = experiment.data.train_labels
            labels = known[torch.linspace(0, len(known) - 1, self._judged).long()].sort().values
        rng = stream(self.description["seed"], "judge", part="samples")
        return samples_of(experiment, self._judged, rng, labels, finite=False), labels

    def _append(self, path: Path, line: dict[str, Any]) -> None:
        if self.placement.writes:
            files.append(path, json.dumps(line))

    def _agree(self, signal: int, late: bool) -> tuple[int, bool]:
        """The signal any process got, and whether to stop, so that all of them do so after the same step."""
        if self.placement.world > 1:
            wishes = sharing.largest(torch.tensor([float(signal), float(late)], device=self.placement.device))
            signal, late = int(wishes[0]), bool(wishes[1])
        return signal, bool(signal) or late

    def _forget_after(self, step: int) -> None:
        """Drop lines of the log beyond a step, and a last line that a crash cut short."""
        log = self.folder / layout.LOG
        if not self.placement.writes or not log.exists():
            return
        kept = []
        for line in log.read_text("utf-8", "replace").splitlines():
            try:
                if json.loads(line)["step"] <= step:
                    kept.append(line)
            except (ValueError, KeyError, TypeError, RecursionError):
                continue
        files.write(log, "".join(f"{line}\n" for line in kept))


def _number(state: dict[str, Any], name: str) -> float:
    """A number of a stored state.

    Raises:
        ValueError: If it is anything else, or there is none.
    """
    found = state.get(name)
    if not isinstance(found, float) and (type(found) is not int or abs(found) > 2**53):
        raise ValueError(f"{name} is {found!r:.40}, not a number")
    return float(found)


@dataclass
class _Means:
    """Running means of the numbers of several steps."""

    sums: dict[str, float] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    def add(self, numbers: dict[str, float]) -> None:
        for name, value in numbers.items():
            self.sums[name] = self.sums.get(name, 0.0) + value
            self.counts[name] = self.counts.get(name, 0) + 1

    def take(self) -> dict[str, float]:
        means = {name: total / self.counts[name] for name, total in self.sums.items()}
        self.sums, self.counts = {}, {}
        return means


def judged(experiment: Experiment) -> int:
    """Samples of a look; fewer of large ones that take several calls of a net each, so that looks stay cheap."""
    several = any(able(part, CountsCalls) and part.calls > 1 for _, part in members(experiment.method))
    return DEAR if several and math.prod(experiment.data.event) > LARGE else JUDGED
