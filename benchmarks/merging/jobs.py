"""Jobs of the benchmark: each gives one line of results, and those whose line is there are not done again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.merging.cases import Array, Case
from benchmarks.merging.journal import Key, Line, add, code, read
from benchmarks.merging.methods import METHODS, Method, applied
from benchmarks.merging.scores import floor, scores
from benchmarks.merging.situations import Situation, situations, withheld

__all__ = ["FLOOR", "Job", "judged", "of_situations", "timed", "work"]

FLOOR = "floor"
"""What stands as the method where the target is held against itself."""


@dataclass(frozen=True)
class Job:
    """A job.

    Attributes:
        part: The part of the benchmark that it is of.
        case: Name of the data.
        situation: Name of the situation.
        method: Name of the method, or `FLOOR`.
        seed: Seed of everything.
        run: Answers with the numbers.
        by: The method, where there is one.
    """

    part: str
    case: str
    situation: str
    method: str
    seed: int
    run: Callable[[], Line]
    by: Method | None = None

    @property
    def key(self) -> Key:
        """What its line is found by."""
        return self.case, self.situation, self.method, self.seed

    @property
    def title(self) -> str:
        """What it is, in words."""
        return f"{self.case} / {self.situation} / {self.method}"


def of_situations(cases: Sequence[Case], seeds: int) -> list[Job]:
    """Every situation, floor and method of the cases, seed by seed."""
    found = list[Job]()
    for seed in range(seeds):
        for case in cases:
            for one in situations(case):
                words = ("situations", case.name, one.name)
                found.append(Job(*words, FLOOR, seed, partial(_floor, one, seed)))
                found += [Job(*words, by.name, seed, partial(judged, one, by, seed), by) for by in METHODS]
    return found


def judged(situation: Situation, method: Method, seed: int) -> Line:
    """The numbers of a method in a situation."""
    case = situation.make(seed)
    unseen = withheld(case, seed)
    z, seconds = timed(lambda: applied(method, case, unseen, seed))
    return scores(case, z, unseen, seed, method.distances) | {"cpu_s": seconds}


def timed(fit: Callable[[], Array]) -> tuple[Array, float]:
    """What a method made, and the CPU seconds of this process that it took.

    Raises:
        ValueError: If there are numbers in it that are not finite.
    """
    began = time.process_time()
    z = fit()
    seconds = time.process_time() - began
    if not np.isfinite(z).all():
        raise ValueError("the method answered with numbers that are not finite")
    return z, seconds


def work(jobs: Sequence[Job], path: Path) -> None:
    """Do the jobs whose line is not in the file, and say of all others why they are left out.

    Raises:
        OSError: If the file cannot be read or written.
    """
    kept, said = read(path)
    for words in said:
        print(words, flush=True)
    todo = [job for job in jobs if job.key not in kept]
    print(f"{len(jobs)} results wanted, {len(jobs) - len(todo)} of them in {path} already", flush=True)
    missing = _missing(todo)
    for job in todo:
        if job.method in missing:
            continue
        line: Line = {"part": job.part, "case": job.case, "situation": job.situation, "method": job.method}
        line |= {"seed": job.seed, "code": code()} | (job.by.versions() if job.by else {}) | _done(job)
        add(path, line)
        numbers = ", ".join(f"{name} {x:.3g}" for name, x in line.items() if isinstance(x, float))
        print(f"{job.title} / {job.seed}: {line.get('failed', numbers)}", flush=True)


def _floor(situation: Situation, seed: int) -> Line:
    case = situation.make(seed)
    return floor(case, withheld(case, seed), seed)


def _done(job: Job) -> Line:
    """The numbers of a job, without those that are none; or how it failed, which is a result as well."""
    try:
        found = job.run()
    except Exception as error:  # what a peer raises can be anything, and the others are still to run
        return {"failed": f"{type(error).__name__}: {error}"}
    return {name: x for name, x in found.items() if not isinstance(x, float) or np.isfinite(x)}


def _missing(jobs: Iterable[Job]) -> set[str]:
    """Methods that cannot run here, each named once; the others are run on a few cells, so that no import is timed."""
    rng, missing = np.random.default_rng(0), set[str]()
    few = Case("few", rng.standard_normal((80, 5)), np.repeat(["a", "b"], 40), np.tile(["0", "1"], 40), "a")
    for method in {job.method: job.by for job in jobs if job.by}.values():
        if why := method.lacks():
            missing.add(method.name)
            print(f"skipped: {method.name}, whose package cannot be imported ({why})", flush=True)
            continue
        try:
            (method.first or method.fit)(few, 0)
        except Exception as error:
            print(f"{method.name} failed on a few cells before the first job: {error}", flush=True)
    return missing
