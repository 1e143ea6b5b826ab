"""One run of the bench: paced, trained for its CPU seconds, measured at equal marks, and perhaps gone on with.

    0 -- schedules, laid out for what fits into T -- T -- every rate at a floor, schedules at their end -- 3T

A step's time is not known to a percent beforehand, so at .1, .3, .6 and .9 T the schedules are laid out anew for the
steps that will fit, at the pace since the time before: where they stand moves by what the guess was off.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from threadpoolctl import threadpool_limits

from pushforward.benches.stability.arms import Trial
from pushforward.benches.stability.pace import SLACK, laid_out
from pushforward.benches.stability.scores import NAMES, Score, scored, worst
from pushforward.errors import TrainingError
from pushforward.recipes import RECIPES
from pushforward.training.experiment import Experiment
from pushforward.training.loop import train
from pushforward.training.state import load_state, resume_state, weights

__all__ = ["performed", "wired"]

UNENDING = 10**9  # steps: a schedule that is laid out for them does not move
RELAID = (0.1, 0.3, 0.6, 0.9)  # of the seconds: when schedules are laid out anew for the steps that will fit after all


def wired(trial: Trial, steps: int, **others: Any) -> Experiment:
    """The experiment of a run, its schedules laid out for so many steps."""
    return RECIPES[trial.recipe](**{**trial.options, **others}, steps=steps)


def performed(trial: Trial) -> dict[str, Any]:
    """Do the run; what came of it, as a line of JSON holds it.

    Returns:
        Its settings and key; `laid`, the steps that schedules were laid out for, anew after each of `RELAID`, and
        `done`, those done when the seconds were over; `cpu`, the seconds of training until then, `cpu_rehearsal` those
        that were timed before it, and `cpu_all` with marks and what went on; `failed`, why it broke off; and `marks`,
        by name a number for each.
    """
    begun = time.process_time()
    course = _Course(trial)
    with _one_thread():
        try:
            course.train()
            course.go_on()
        except TrainingError as error:
            course.fail(str(error))
    return {
        "key": trial.key, "settings": trial.settings(), "laid": course.laid, "done": course.ended,
        "cpu": round(course.cpu, 3), "cpu_rehearsal": round(course.rehearsed, 3),
        "cpu_all": round(time.process_time() - begun, 3), "failed": course.failed, "marks": course.columns(),
    }  # fmt: skip


@dataclass
class _Course:
    """A run under way: its clock, its steps, and what was seen at each of its marks."""

    trial: Trial
    laid: list[int] = field(default_factory=list)
    done: int = 0
    spent: float = 0.0
    ended: int = 0
    cpu: float = 0.0
    rehearsed: float = 0.0
    failed: str = ""
    seen: list[Score] = field(default_factory=list)
    experiment: Experiment = field(init=False)

    def train(self) -> None:
        """The first leg: up to the seconds, or to the end of its schedules just before."""
        trial, seconds = self.trial, self.trial.seconds
        steps = UNENDING
        if not trial.constant:
            steps, self.rehearsed = laid_out(lambda count: wired(trial, count), seconds)
            self.laid.append(steps)
        self.experiment = wired(trial, steps)
        for share in RELAID:
            before = self.done, self.spent
            self._follow(share * seconds)
            if not trial.constant and self.done > before[0] and self.spent < seconds:
                a_step = (self.spent - before[1]) / (self.done - before[0])
                fit = self.done + max(1, int((1 - SLACK) * (seconds - self.spent) / a_step))
                self.laid.append(fit)
                self._rewire(fit)
        self._follow(seconds)
        self.ended, self.cpu, self.spent = self.done, self.spent, seconds
        self._look(seconds)

    def go_on(self) -> None:
        """Up to three times the seconds, where it is to: schedules at their end, every learning rate at its floor.

        They stay laid out for the steps that are over, so that whatever else they drive stays at its end. Without
        schedules all is as it was.
        """
        trial = self.trial
        if trial.held is None:
            return
        if not trial.constant:
            self._rewire(self.done, **trial.held)  # also those of a run that was cut off are over then
            self.experiment.steps = UNENDING
        self._follow(trial.legs * trial.seconds)
        self._look(trial.legs * trial.seconds)

    def _rewire(self, steps: int, **others: Any) -> None:
        """The same nets, optimisers, data and random streams where they stand, under other schedules."""
        further = wired(self.trial, steps, **others)
        load_state(further.method, weights(self.experiment.method), resume_state(self.experiment.method))
        further.batches.load_state_dict(self.experiment.batches.state_dict())
        self.experiment = further

    def _follow(self, until: float) -> None:
        """Train until so many CPU seconds are spent or there is no further step, and look at every mark."""
        steps = train(self.experiment, self.done)
        while self.spent < until:
            begun = time.process_time()
            found = next(steps, None)
            self.spent += time.process_time() - begun
            if found is None:
                return
            self.done = found[0]
            self._look(min(self.spent, until))

    def _look(self, at: float) -> None:
        """Measure if a mark is passed; one step may pass several, which then have seen the same."""
        passed = int(at * self.trial.marks / self.trial.seconds * (1 + 1e-12)) - len(self.seen)
        if passed > 0:
            seed, mark = self.trial.options["seed"], len(self.seen) + passed
            at_end = mark // self.trial.marks > len(self.seen) // self.trial.marks  # T, 2T or 3T is passed
            score = scored(self.experiment, self.trial.samples, seed, mark, shape=at_end)
            self.seen += [score] * passed

    def fail(self, why: str) -> None:
        """It breaks off: all marks that are left see the worst."""
        if not self.cpu:
            self.ended, self.cpu = self.done, self.spent
        self.failed = why
        left = self.trial.legs * self.trial.marks - len(self.seen)
        self.seen += [worst(wired(self.trial, 1))] * left

    def columns(self) -> dict[str, list[float | None]]:
        """What was seen, by name."""
        return {name: [_rounded(score[name]) for score in self.seen] for name in NAMES}


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.6g}")


@contextmanager
def _one_thread() -> Iterator[None]:
    """Within, one thread computes: CPU seconds are then those of the work, not of threads that wait."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(before)
