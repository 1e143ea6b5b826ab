"""One way at one size: what the evaluator says, and whether that catches the way."""

from __future__ import annotations

import tempfile
import time
import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pushforward import evaluate
from pushforward.metrics.core.result import holm, test_values
from pushforward.metrics.verdict.report import Report

from .laws import trial
from .stores import offered
from .trial import Kind, Rows, Way

__all__ = ["LEVEL", "Outcome", "judge", "judged"]

LEVEL = 0.05


@dataclass(frozen=True)
class Outcome:
    """What was said of one repetition.

    Attributes:
        way: The way's name.
        honest: Whether it is a way to be honest.
        kind: The kind of data.
        size: Rows of each sample, before the way changed that.
        seed: The repetition.
        differ: Whether the tests tell the samples apart at 5 % after Holm.
        findings: Names of what was found, those that count against the samples marked by a leading "!".
        said: Whether what the way is about was said.
        refused: The message where nothing was compared, else "".
        p: Smallest adjusted p-value; None where no test was made.
        seconds: Process seconds of the evaluation.
    """

    way: str
    honest: bool
    kind: Kind
    size: int
    seed: int
    differ: bool
    findings: tuple[str, ...]
    said: bool
    refused: str
    p: float | None
    seconds: float

    @property
    def caught(self) -> bool:
        """Whether something was said against the samples; where all is refused, nothing was."""
        return self.differ or self.said or any(name.startswith("!") for name in self.findings)


def judge(way: Way, honest: bool, kind: Kind, data: Rows | None, size: int, seed: int, permutations: int) -> Outcome:
    """Draw a trial, let the way change it, store it and evaluate what was stored.

    Args:
        way: The way.
        honest: Whether it is a way to be honest.
        kind: The kind of data.
        data: All rows of that kind, or None; see `laws.law`.
        size: Rows of each sample.
        seed: The repetition; every way, kind and size has random numbers of its own.
        permutations: Relabellings behind a p-value.
    """
    rng = np.random.default_rng([seed, size, zlib.crc32(f"{kind} {way.name}".encode())])
    changed = way.change(trial(kind, data, size, rng))
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        offer = offered(changed, Path(folder), way.store)
        start = time.process_time()
        try:
            report = evaluate(offer.fake, offer.real, offer.train, permutations=permutations, seed=seed)
        except Exception as error:  # whatever an evaluation dies of is an outcome, and others are still to be run
            spent, words = time.process_time() - start, f"{type(error).__name__}: {error}"
            return Outcome(way.name, honest, kind, size, seed, False, (), False, words, None, spent)
        spent = time.process_time() - start
    return judged(report, way, Outcome(way.name, honest, kind, size, seed, False, (), False, "", None, spent))


def judged(report: Report, way: Way, blank: Outcome) -> Outcome:
    """An outcome with what a report says."""
    values = list(test_values(report).values())
    p = min(holm(values)) if values else None
    names = {("!" if one.against else "") + one.name for one in report.findings}
    differ = p is not None and p < LEVEL
    if report.judgement.grade == "bad" and not differ and not any(name.startswith("!") for name in names):
        names.add("!overfitting")  # of the likelihood, the one thing that counts without being test or finding
    words = [f"note {word}" for word in " ".join([*report.notes, *report.warnings]).split()]
    said = any(word in (*words, *(name.lstrip("!") for name in names)) for word in way.said)
    return Outcome(
        blank.way, blank.honest, blank.kind, blank.size, blank.seed, differ,
        tuple(sorted(names)), said, "", p, blank.seconds,
    )  # fmt: skip
