"""evaluate and report: runs and files measured, and the pages about them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pushforward import files
from pushforward.commands.sampling import labels_for, rebuild, stock
from pushforward.commands.watching import Watching
from pushforward.data.compare.pairs import Pair, read_pair
from pushforward.errors import DataError, UsageError
from pushforward.evaluation import Chosen, Settings, measure_pair, parts, space
from pushforward.metrics.core.features import RAW
from pushforward.metrics.core.result import Report
from pushforward.metrics.gates import Gate, parse_gate
from pushforward.metrics.suite import TESTS, Part
from pushforward.parallel import sharing
from pushforward.parallel.placement import Placement
from pushforward.randomness import stream
from pushforward.report import write_report
from pushforward.report.evaluation import Shown, write_evaluation
from pushforward.training.experiment import Experiment

__all__ = ["Evaluated", "evaluate_run", "evaluate_samples", "measure_run", "report"]


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


def evaluate_run(
    folder: Path,
    *,
    which: str = "last",
    features: str = "auto",
    metrics: str = "default",
    gates: Sequence[str] = (),
    settings: Settings | None = None,
    n: int | None = None,
    trust: Sequence[str] = (),
    device: str = "cpu",
    page: Path | None = None,
    command: str = "",
) -> Evaluated:
    """Measure a run's samples against its held-out data, and write metrics.json.

    Args:
        folder: The run.
        which: "last" or "best".
        features: "auto" for what the run was judged by, or a feature space by name or file.
        metrics: Names of parts, and guests.
        gates: Conditions that make it fail, as 'p<0.01'.
        settings: Seed, sizes and memory.
        n: Number of samples; as many as there are held-out rows, at most 10,000, if None.
        trust: Guests (recipes, divergences, metrics, networks) and TorchScript files that may be run.
        device: Where the generator runs.
        page: Where to write a page.
        command: The command, for the page.
    """
    if n is not None and n < 2:
        raise UsageError(f"-n {n}: ask for at least 2 samples")
    settings, known = settings or Settings(), [parse_gate(gate) for gate in gates]
    if page is not None and page.suffix not in (".html", ".htm"):
        raise UsageError(f"--page {page}: a page is one HTML file; use {page.with_suffix('.html')}")
    experiment, description = rebuild(folder, which, trust, device)
    pair, split, draws = _drawn(experiment, settings.seed, n)
    if features == "auto":
        chosen = Chosen(experiment.features or RAW)
    else:
        chosen = space(features, pair, trust=trust)
        draws = 1 if chosen.features.id == RAW.id else draws
    wanted = parts(metrics, pair, chosen.features, trust)
    _expected(known, wanted, settings.permutations)
    with Watching() as watch:
        found = measure_pair(pair, chosen, wanted, settings, title=split, draws=draws, watch=watch)
    _store(folder, found, which, description["step"], settings.seed)
    return _judged(found, pair, known, split, page, command)


def evaluate_samples(
    fake: str,
    real: str,
    train: str | None = None,
    *,
    features: str = "auto",
    metrics: str = "default",
    gates: Sequence[str] = (),
    settings: Settings | None = None,
    trust: Sequence[str] = (),
    page: Path | None = None,
    command: str = "",
) -> Evaluated:
    """Measure one source of samples against another, both in data units; under torchrun, ranks share the work.

    Args:
        fake: Model samples: a folder of images, PATH[:key], digits or toy:NAME.
        real: Data, likewise.
        train: What the model learned from, likewise, or None.
        features: A feature space by name or file.
        metrics: Names of parts.
        gates: Conditions that make it fail, as 'p<0.01'.
        settings: Seed, sizes and memory.
        trust: Networks and TorchScript files that may be run.
        page: Where to write a page.
        command: The command, for the page.
    """
    settings, known = settings or Settings(), [parse_gate(gate) for gate in gates]
    if page is not None and page.suffix not in (".html", ".htm"):
        raise UsageError(f"--page {page}: a page is one HTML file; use {page.with_suffix('.html')}")
    placement = Placement.find("cpu")
    pair = read_pair(fake, real, train, seed=settings.seed)
    chosen, title = space(features, pair, trust=trust), f"{fake} against {real}"
    wanted = parts(metrics, pair, chosen.features, trust)
    _expected(known, wanted, settings.permutations)
    with Watching(quiet=not placement.writes) as watch:
        found = measure_pair(pair, chosen, wanted, settings, title=title, watch=watch, together=placement.world > 1)
    sharing.leave()
    if not placement.writes:
        return Evaluated(found, speaks=False)
    return _judged(found, pair, known, title, page, command)


def report(folders: Sequence[Path], out: Path | None = None) -> Path:
    """Write the page of one run, or one page that compares several."""
    for folder in folders:
        if not (folder / "run.json").exists():
            raise DataError(f"{folder}: no run.json here; name the folder of a run, as given to train --run")
    return write_report(folders, out)


def measure_run(
    folder: Path, which: str, experiment: Experiment, step: int, *, seed: int = 0, n: int | None = None
) -> Report:
    """As many fresh samples as there are held-out rows (or n), both in data units for points, measured and written."""
    pair, split, draws = _drawn(experiment, seed, n)
    found = measure_pair(pair, Chosen(experiment.features or RAW), None, Settings(seed), title=split, draws=draws)
    _store(folder, found, which, step, seed)
    return found


def _drawn(experiment: Experiment, seed: int, n: int | None) -> tuple[Pair, str, int]:
    """Samples of a run beside its data, what they are in words, and how many sets of samples there are."""
    data = experiment.data
    n = n or min(len(data.test), 10_000)
    most = stock(experiment.method)
    n = n if most is None else min(n, most)
    draws = 1 if experiment.features is None else max(1, min(20, 12_000 // n, 20 if most is None else most // n))
    count = draws * n
    labels = labels_for(experiment, count, stream(seed, "evaluate", part="labels"), None)
    x = experiment.method.sample(count, stream(seed, "evaluate", part="samples"), labels).cpu()
    split = (
        f"{data.name}, held-out {data.split.n_test} of {data.split.n_test + data.split.n_train}, seed {data.split.seed}"
    )
    fake, real, train = x, data.test, data.train
    if data.kind == "points" and data.name.startswith("toy:"):
        fake, real, train = (torch.from_numpy(np.asarray(data.decode(part))) for part in (x, data.test, data.train))
    elif data.kind == "points":
        split = f"{split}; every column in its standard deviations"
    return Pair(fake, real, train, data.kind, (), False, (), data.mixture), split, draws


def _store(folder: Path, found: Report, which: str, step: int, seed: int) -> None:
    stored = found.as_dict() | {"checkpoint": which, "step": step, "seed": seed}
    files.write(folder / "metrics.json", json.dumps(stored, indent=1) + "\n")


def _expected(gates: Sequence[Gate], wanted: Sequence[Part], permutations: int) -> None:
    """Refuse gates that make no sense, before any work."""
    tests = sum(part in TESTS for part in wanted)
    for gate in gates:
        gate.expect([name for part in wanted for name in part.gives], tests, permutations)


def _judged(found: Report, pair: Pair, gates: Sequence[Gate], title: str, page: Path | None, command: str) -> Evaluated:
    """Hold the gates against what was found, and write the page."""
    failed = tuple(words for gate in gates if (words := gate.check(found)))
    if page is not None:
        shown = Shown(pair.fake, pair.real, pair.train, pair.names, title, command, failed)
        page = write_evaluation(found, shown, page)
    return Evaluated(found, failed, page)
