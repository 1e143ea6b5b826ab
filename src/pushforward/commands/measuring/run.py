"""A run's samples measured against its held-out data: asked for, or at the end of training."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from pushforward import files
from pushforward.commands.measuring.codes import keep_codes
from pushforward.commands.measuring.densities import to_the_end
from pushforward.commands.measuring.drawing import compared_in, drawn, in_time, too_few
from pushforward.commands.measuring.judging import Evaluated, expected, judged
from pushforward.commands.measuring.kept import store
from pushforward.commands.measuring.paths import keep_paths
from pushforward.commands.rebuilding import standing, with_rows
from pushforward.commands.watching import Until, Watching
from pushforward.data import outputs
from pushforward.data.compare.pairs import LEAST
from pushforward.errors import DataError, OutOfTime
from pushforward.evaluation import measure_pair, parts, space
from pushforward.files import layout
from pushforward.metrics.core.features import RAW
from pushforward.metrics.gates import parse_gate
from pushforward.metrics.verdict.report import Report
from pushforward.parallel.ordinary import ordinarily
from pushforward.plain.findings import FINDINGS, Finding
from pushforward.settings.asked import Evaluating, Settings
from pushforward.training.experiment import Experiment

__all__ = ["evaluate_run", "measure_run"]


@ordinarily
def evaluate_run(asked: Evaluating, command: str = "") -> Evaluated:
    """Measure a run's samples against its held-out data, and write metrics.json, and paths and codes for the page.

    Args:
        asked: What the user asked, with the folder of a run; `features` "auto" is what the run was judged by.
        command: The command, for the page.
    """
    assert asked.run is not None
    if asked.page is not None:
        outputs.claim("--page", asked.page, outputs.PAGE, (asked.features, asked.data, *outputs.read_by(asked.run)))
    if asked.run.is_dir():
        outputs.plain(asked.run, (asked.run / layout.METRICS, asked.run / layout.SAMPLES))
        files.tried(asked.run / layout.METRICS)
    settings, gates = asked.settings, [parse_gate(gate) for gate in asked.fail_if]
    experiment, description, other = with_rows(
        asked.run, asked.checkpoint, asked.trust, asked.device, asked.sampling, asked.data
    )
    pair, split, draws = drawn(experiment, settings.seed, asked.n)
    if few := too_few(pair, draws):
        raise DataError(f"{asked.run}: {few}")
    if asked.features == "auto":
        chosen = compared_in(experiment, pair)
    else:
        chosen = space(asked.features, pair, trust=asked.trust)
        draws = 1 if chosen.features.id == RAW.id else draws
    wanted = parts(asked.metrics, pair, chosen.features, asked.trust)
    expected(gates, wanted, settings.permutations, pair)
    with to_the_end(pair):
        with Watching() as watch:
            found = measure_pair(pair, chosen, wanted, settings, title=split, draws=draws, watch=watch)
        found = replace(found, notes=(*standing(description, asked.checkpoint), *found.notes, *other))
        store(asked.run, found, asked.checkpoint, description["step"], settings.seed, asked.sampling, asked.data)
        keep_paths(asked.run, experiment, description["step"], settings.seed)
        keep_codes(asked.run, experiment, description["step"], settings.seed)
        return judged(found, pair, gates, split, asked.page, command)


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
    fewer, note = in_time(experiment, n, until)
    if fewer is not None and fewer < LEAST:
        return None
    pair, split, draws = drawn(experiment, seed, fewer or n)
    chosen = compared_in(experiment, pair)
    with to_the_end(pair):
        few = too_few(pair, draws)
        if few is not None:
            usual = [name for part in parts("default", pair, chosen.features) for name in part.gives]
            unsought = dict.fromkeys((*usual, *FINDINGS), few)
            found = Report({}, findings=(Finding("few", few, against=False),), unsought=unsought)
        else:
            try:
                found = measure_pair(pair, chosen, None, Settings(seed=seed), title=split, draws=draws, watch=watch)
            except OutOfTime:
                return None
        found = replace(found, notes=(*note, *found.notes))
        store(folder, found, which, step, seed, had=watch.seconds if note or watch.cut else None)
        keep_paths(folder, experiment, step, seed, until)
        keep_codes(folder, experiment, step, seed, until)
        return found


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
