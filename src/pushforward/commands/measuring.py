"""evaluate and report: runs and files measured, and the pages about them."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pushforward import files
from pushforward.commands.rebuilding import standing, with_rows
from pushforward.commands.sampling import labels_for
from pushforward.commands.watching import Until, Watching
from pushforward.data import Dataset, outputs
from pushforward.data.blocks.limits import budget
from pushforward.data.compare.pairs import LEAST, Pair, read_pair
from pushforward.densities.rows import RowDensities
from pushforward.errors import DataError, OutOfTime, UsageError
from pushforward.evaluation import Chosen, measure_pair, parts, space
from pushforward.files import layout
from pushforward.metrics.core.features import RAW
from pushforward.metrics.gates import Gate, parse_gate
from pushforward.metrics.suite import TESTS, Part
from pushforward.metrics.verdict.report import Report
from pushforward.parallel import sharing
from pushforward.parallel.ordinary import ordinarily
from pushforward.parallel.placement import Placement
from pushforward.randomness import generator, stream
from pushforward.report import page_for, write_report
from pushforward.report.evaluation import Shown, write_evaluation
from pushforward.settings.asked import Evaluating, Settings
from pushforward.training.asking import samples_of, stock
from pushforward.training.experiment import Experiment
from pushforward.types import Likely, able

__all__ = ["Evaluated", "evaluate_run", "evaluate_samples", "measure_run", "measured", "report"]

FEW = 10_000  # rows that numbers are taken over, however little memory there is, unless rows are large:
LARGE = 1 << 23  # numbers in them, 34 MB
CUT = "cut_short_at"  # in metrics.json: seconds that there were for numbers, where they were too few
ROWS, BLOCK = 10_000, 1000  # rows of each kind that a density is asked for, and at a time


@dataclass(frozen=True)
class Evaluated:
    """What `evaluate` found.

    Attributes:
        report: The measures, the verdict, notes and warnings.
        failed: Gates that failed, in words.
        page: The page that was written, or None.
        speaks: Whether this process answers the user: the first of several.
    """

    report: Report
    failed: tuple[str, ...] = ()
    page: Path | None = None
    speaks: bool = True

    def summary(self) -> dict[str, Any]:
        """Plain values for JSON."""
        page = {} if self.page is None else {"page": str(self.page)}
        return self.report.as_dict() | {"failed": list(self.failed)} | page


@ordinarily
def evaluate_run(asked: Evaluating, command: str = "") -> Evaluated:
    """Measure a run's samples against its held-out data, and write metrics.json.

    Args:
        asked: What the user asked, with the folder of a run; `features` "auto" is what the run was judged by.
        command: The command, for the page.
    """
    assert asked.run is not None
    if asked.page is not None:
        outputs.claim("--page", asked.page, outputs.PAGE, (asked.features, asked.data, *outputs.read_by(asked.run)))
    if asked.run.is_dir():
        outputs.plain(asked.run, (asked.run / layout.METRICS,))
        files.tried(asked.run / layout.METRICS)
    settings, gates = asked.settings, [parse_gate(gate) for gate in asked.fail_if]
    experiment, description, other = with_rows(
        asked.run, asked.checkpoint, asked.trust, asked.device, asked.sampling, asked.data
    )
    pair, split, draws = _drawn(experiment, settings.seed, asked.n)
    if few := _too_few(pair, draws):
        raise DataError(f"{asked.run}: {few}")
    if asked.features == "auto":
        chosen = Chosen(experiment.features or RAW)
    else:
        chosen = space(asked.features, pair, trust=asked.trust)
        draws = 1 if chosen.features.id == RAW.id else draws
    wanted = parts(asked.metrics, pair, chosen.features, asked.trust)
    _expected(gates, wanted, settings.permutations)
    with _to_the_end(pair):
        with Watching() as watch:
            found = measure_pair(pair, chosen, wanted, settings, title=split, draws=draws, watch=watch)
        found = replace(found, notes=(*standing(description, asked.checkpoint), *found.notes, *other))
        _store(asked.run, found, asked.checkpoint, description["step"], settings.seed, asked.sampling, asked.data)
        return _judged(found, pair, gates, split, asked.page, command)


@ordinarily
def evaluate_samples(asked: Evaluating, command: str = "") -> Evaluated:
    """Measure one source of samples against another, both in data units; under torchrun, ranks share the work.

    Args:
        asked: What the user asked, with two sources.
        command: The command, for the page.
    """
    assert asked.fake is not None
    assert asked.real is not None
    if asked.page is not None:
        outputs.claim("--page", asked.page, outputs.PAGE, (asked.fake, asked.real, asked.train, asked.features))
    settings, gates = asked.settings, [parse_gate(gate) for gate in asked.fail_if]
    placement = Placement.find("cpu")
    pair = read_pair(asked.fake, asked.real, asked.train, seed=settings.seed, side=asked.side)
    chosen, title = space(asked.features, pair, trust=asked.trust), f"{asked.fake} against {asked.real}"
    wanted = parts(asked.metrics, pair, chosen.features, asked.trust)
    _expected(gates, wanted, settings.permutations)
    with Watching(quiet=not placement.writes) as watch:
        found = measure_pair(pair, chosen, wanted, settings, title=title, watch=watch, together=placement.world > 1)
    sharing.leave()
    if not placement.writes:
        return Evaluated(found, speaks=False)
    return _judged(found, pair, gates, title, asked.page, command)


def report(folders: Sequence[Path], out: Path | None = None) -> Path:
    """Write the page of one run, or one page that compares several.

    Raises:
        DataError: If a folder holds no run.
        UsageError: If the page is none by its ending, or would replace a file of a run.
        OSError: If it cannot be written; it names the file.
    """
    for folder in folders:
        if not layout.begun(folder):
            raise DataError(f"{folder}: no run.json here; name the folder of a run, as given to train --run")
        outputs.plain(folder, (folder / layout.REPORT,))
    page, read = page_for(folders) if out is None else out, [path for one in folders for path in outputs.read_by(one)]
    outputs.claim("--out", page, outputs.PAGE, read, report_of=folders[0] if len(folders) == 1 else None)
    return write_report(folders, page)


def measure_run(
    folder: Path,
    which: str,
    experiment: Experiment,
    step: int,
    *,
    seed: int = 0,
    n: int | None = None,
    until: Until = Until(),
) -> Report | None:
    """As many fresh samples as there are held-out rows (or n), both in data units for points, measured and written.

    Where time ends before, fewer samples and parts are measured, which notes and warnings say, and metrics.json says
    how many seconds there were; None where nothing can.
    """
    watch = _Noticing(until, until.to_measure)
    fewer, note = _in_time(experiment, n, until)
    if fewer is not None and fewer < LEAST:
        return None
    pair, split, draws = _drawn(experiment, seed, fewer or n)
    chosen = Chosen(experiment.features or RAW)
    with _to_the_end(pair):
        few = _too_few(pair, draws)
        if few is not None:
            found = Report({}, (), (few,))
        else:
            try:
                found = measure_pair(pair, chosen, None, Settings(seed=seed), title=split, draws=draws, watch=watch)
            except OutOfTime:
                return None
        found = replace(found, notes=(*note, *found.notes))
        _store(folder, found, which, step, seed, had=watch.seconds if note or watch.cut else None)
        return found


def measured(folder: Path, step: int, *, seed: int = 0, until: Until = Until()) -> dict[str, Any] | None:
    """What metrics.json says of the last checkpoint, where measuring again would not say more.

    Args:
        folder: The run.
        step: Step of its last checkpoint.
        seed: Seed of the samples.
        until: What was cut short by a sitting's end is measured again in one that leaves more time.

    Returns:
        What `Report.as_dict` stored, verdict and metrics among it; None if there is nothing of that step and seed.
    """
    try:
        found = files.read_object(folder / layout.METRICS)
    except (OSError, DataError):
        return None
    about = {"checkpoint": "last", "step": step, "seed": seed, "sampling": None, "data": None}
    if any(found.get(name) != value for name, value in about.items()):
        return None
    had = found.get(CUT)
    if isinstance(had, int | float) and until.to_measure > had:
        return None
    kept = ("verdict", "grade", "warnings", "notes", "findings", "metrics")
    said = {name: found[name] for name in kept if name in found}
    return said if isinstance(said.get("metrics"), dict) else None


@dataclass
class _Noticing:
    """Lets a part of an evaluation end in time, and keeps in mind whether one did not.

    Attributes:
        until: The sitting.
        seconds: What there was for all of them.
        cut: Whether a part was left out or cut.
    """

    until: Until
    seconds: float
    cut: bool = False

    def begin(self, name: str, seconds: float) -> None:
        """A part begins, if it can end in time."""
        with self._noticed():
            self.until.begin(name, seconds)

    def tick(self, fraction: float) -> None:
        """So much of the part is done."""
        with self._noticed():
            self.until.tick(fraction)

    @contextmanager
    def _noticed(self) -> Iterator[None]:
        try:
            yield
        except OutOfTime:
            self.cut = True
            raise


def _in_time(experiment: Experiment, n: int | None, until: Until) -> tuple[int | None, tuple[str, ...]]:
    """How many samples can be drawn in half the time that is left, if not all, and what has to be said of that.

    A few are drawn to see what they take. Along recorded fields a sample costs as many steps as were made.
    """
    wanted, _ = _wanted(experiment.data, n)
    if math.isinf(until.end) or until.to_measure <= 0:
        return (None, ()) if math.isinf(until.end) else (0, ())
    begun, few = time.monotonic(), min(wanted, 32)
    labels = labels_for(experiment, few, stream(0, "evaluate", part="trial labels"), None)
    samples_of(experiment, few, stream(0, "evaluate", part="trial"), labels, finite=False)
    fit = int(0.5 * until.to_measure / max(1e-9, time.monotonic() - begun)) * few
    if fit >= wanted:
        return None, ()
    return fit, (f"{fit} samples in place of {wanted}: there was no time for more within --minutes",)


def _too_few(pair: Pair, draws: int) -> str | None:
    """Why nothing can be measured, where a set has fewer rows than any number needs."""
    rows = {"held-out row": len(pair.real), "sample": len(pair.fake) // draws}
    what, n = min(rows.items(), key=lambda item: item[1])
    if n >= LEAST:
        return None
    return f"nothing is measured: {n} {what}, at least {LEAST} are needed: train on more rows or hold out more of them"


def _drawn(experiment: Experiment, seed: int, n: int | None) -> tuple[Pair, str, int]:
    """Samples of a run beside its data, what they are in words, and how many sets of samples there are."""
    data = experiment.data
    n, notes = _wanted(data, n)
    most = stock(experiment.method)
    n = n if most is None else min(n, most)
    draws = 1 if experiment.features is None else max(1, min(20, 12_000 // n, 20 if most is None else most // n))
    count = draws * n
    labels = labels_for(experiment, count, stream(seed, "evaluate", part="labels"), None)
    x = samples_of(experiment, count, stream(seed, "evaluate", part="samples"), labels)
    split = (
        f"{data.name}, held-out {data.split.n_test} of {data.split.n_test + data.split.n_train}, seed {data.split.seed}"
    )
    (real, held), (train, seen) = _some(data.test, "held-out", seed), _some(data.train, "training", seed)
    fake, notes = x.cpu(), notes + held + seen
    if data.kind == "points" and data.one_unit:
        fake, real, train = (torch.from_numpy(np.asarray(data.decode(part))) for part in (fake, real, train))
    elif data.kind == "points":
        split = f"{split}; every column in its standard deviations"
    method = experiment.method
    densities = _Answers(experiment, method, x.device) if able(method, Likely) else None
    return Pair(fake, real, train, data.kind, (), False, notes, data.mixture, densities=densities), split, draws


def _wanted(data: Dataset, n: int | None) -> tuple[int, tuple[str, ...]]:
    """How many samples are drawn: n, or as many as there are held-out rows, if they fit into memory."""
    full = min(len(data.test), 10_000)
    fit = _fitting(full, data.event)
    if n is not None or fit == full:
        return n or full, ()
    return fit, (f"{fit:,} samples in place of {full:,} are compared, for want of memory",)


def _some(x: Tensor, what: str, seed: int) -> tuple[Tensor, tuple[str, ...]]:
    """Rows that numbers are taken over: all that fit into memory several times over, else so many, and a note."""
    most = _fitting(len(x), x.shape[1:])
    if most == len(x):
        return x, ()
    chosen = generator(seed, "evaluate", part=what).choice(len(x), most, replace=False, shuffle=False)
    kept = x[torch.from_numpy(np.sort(chosen))]
    return kept, (f"{most:,} of {len(x):,} {what} rows are compared, drawn at random, for want of memory",)


def _fitting(rows: int, event: Sequence[int]) -> int:
    """How many of so many rows of a shape may be measured: all where they fit into memory several times over."""
    size = math.prod(event)
    if 16 * rows * size <= budget():
        return rows
    return min(rows, max(budget() // (128 * size), min(FEW, max(100, LARGE // size))))


@dataclass
class _Answers:
    """Log densities of a run's model, once they are asked for.

    Attributes:
        raised: What the model raised instead, if it did.
    """

    experiment: Experiment
    likely: Likely
    device: torch.device
    raised: Exception | None = None

    def __call__(self) -> RowDensities:
        """At held-out and training rows, in data units.

        Raises:
            DataError: If the model does not answer with one number a row, or raises.
        """
        try:
            return _densities(self.experiment, self.likely, self.device)
        except DataError:
            raise
        except Exception as error:
            self.raised = error
            raise DataError(f"log_prob raised {type(error).__name__}: {' '.join(str(error).split())}") from error


@contextmanager
def _to_the_end(pair: Pair) -> Iterator[None]:
    """Raise what a model raised that was asked for its density, after all else was measured, stored and shown."""
    answers = pair.densities if isinstance(pair.densities, _Answers) else None
    try:
        yield
    except DataError:
        if answers is None or answers.raised is None:
            raise
    if answers is not None and answers.raised is not None:
        raise answers.raised


def _densities(experiment: Experiment, likely: Likely, device: torch.device) -> RowDensities:
    """Log densities of a run's model at held-out and training rows, in data units."""
    data = experiment.data

    def one_each(part: Tensor, labels: Tensor | None) -> Tensor:
        found: Any = likely.log_prob(part.to(device), None if labels is None else labels.to(device))
        if isinstance(found, Tensor) and found.shape == part.shape[:1]:
            return found.cpu()
        what = f"shape {tuple(found.shape)}" if isinstance(found, Tensor) else f"a {type(found).__name__}"
        raise DataError(f"log_prob gave {what} for {len(part)} rows: give one log-likelihood a sample, a tensor (n,)")

    def at(x: Tensor, labels: Tensor | None) -> Tensor:
        known = labels if experiment.conditional else None
        parts = zip(x[:ROWS].split(BLOCK), [None] * ROWS if known is None else known[:ROWS].split(BLOCK))
        with torch.no_grad():
            return torch.cat([one_each(*part) for part in parts]).double() + data.log_volume

    law = (
        None
        if data.mixture is None or experiment.conditional
        else data.mixture.log_prob(np.asarray(data.decode(data.test[:ROWS])))
    )
    unit = "levels from 0 to 255, as a continuum" if data.kind == "images" else "data units"
    held, seen = at(data.test, data.test_labels), at(data.train, data.train_labels)
    return RowDensities(held, seen, data.train[0].numel(), law, unit)


def _store(
    folder: Path,
    found: Report,
    which: str,
    step: int,
    seed: int,
    sampling: Sequence[str] = (),
    data: str | None = None,
    had: float | None = None,
) -> None:
    stored = found.as_dict() | {"checkpoint": which, "step": step, "seed": seed}
    stored |= {"sampling": list(sampling)} if sampling else {}
    stored |= {"data": data} if data is not None else {}
    stored |= {CUT: had} if had is not None else {}
    files.write(folder / layout.METRICS, json.dumps(stored, indent=1) + "\n")


def _expected(gates: Sequence[Gate], wanted: Sequence[Part], permutations: int) -> None:
    """Refuse gates that make no sense, before any work."""
    tests = sum(part in TESTS for part in wanted)
    for gate in gates:
        gate.expect([name for part in wanted for name in part.gives], tests, permutations)


def _failed(gate: Gate, found: Report) -> str | None:
    """Why a gate fails; one that cannot be held against what was found does not pass, and the report is not lost."""
    try:
        return gate.check(found)
    except UsageError as error:
        return str(error)


def _judged(found: Report, pair: Pair, gates: Sequence[Gate], title: str, page: Path | None, command: str) -> Evaluated:
    """Hold the gates against what was found, and write the page."""
    failed = tuple(words for gate in gates if (words := _failed(gate, found)))
    if page is not None:
        shown = Shown(pair.fake, pair.real, pair.train, pair.names, title, command, failed)
        page = write_evaluation(found, shown, page)
    return Evaluated(found, failed, page)
