"""Reading a run folder, which may come from anybody: what is missing or damaged is noted, never fatal.

Only run.json has to be there, for without it the folder is no run.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pushforward import files
from pushforward.errors import DataError
from pushforward.files import layout
from pushforward.pictures import Film, Points, read_clouds, read_grids
from pushforward.report.classes import Classes, read_classes
from pushforward.report.figures.chart import Curve
from pushforward.report.kept.codes import Codes, read_codes
from pushforward.report.kept.paths import Paths, read_paths
from pushforward.report.numbers.metrics import MARKS, judged
from pushforward.report.values import count, is_number, listed, mapping, number
from pushforward.terms import LOOKED, Scale, Term

__all__ = ["Record", "labels", "read_run"]


@dataclass
class Record:
    """What a run folder holds, read with care.

    Attributes:
        label: Short name, unique on the page.
        info: run.json.
        curves: Numbers of the log by name; None where a number is not finite.
        metrics: Records of metrics.json by name.
        measured: What the metrics were measured on, in words.
        verdict: What they come to, in words; empty if it was not stored.
        grade: The same in a word, as of a `Judgement`.
        warnings: What must be read with the verdict.
        grids: Grids of images.
        clouds: Clouds of points.
        classes: Classes of the points in the clouds, if they have some.
        paths: How some samples came to be, where that was kept.
        codes: Codes of held-out rows, where these were kept.
        notes: What is missing or damaged.
    """

    label: str
    info: dict[str, Any]
    curves: dict[str, Curve] = field(default_factory=dict)
    metrics: dict[str, dict[str, Any]] = field(default_factory=dict)
    measured: str = ""
    verdict: str = ""
    grade: str = "record"
    warnings: list[str] = field(default_factory=list[str])
    grids: Film[bytes] = field(default_factory=Film[bytes])
    clouds: Film[Points] = field(default_factory=Film[Points])
    classes: Classes | None = None
    paths: Paths | None = None
    codes: Codes | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def data(self) -> dict[str, Any]:
        """What run.json says about the data."""
        return mapping(self.info.get("data"))

    @property
    def digest(self) -> str:
        """Digest of the data; runs compare only if it is the same."""
        return str(self.data.get("sha256"))

    @property
    def facts(self) -> dict[str, Any]:
        """What was known of the run when it was wired; empty for a folder of format 1, which did not say."""
        return mapping(self.info.get("facts"))

    @property
    def logistic(self) -> bool | None:
        """Whether the critic's loss is the logistic one; None where the folder does not say."""
        return self.facts.get("logistic") is True if self.facts else None

    @property
    def fastest(self) -> float | None:
        """A speed that no sample exceeds, where one is known."""
        speed = number(self.facts.get("fastest"))
        return speed if speed and 0 < speed <= 1e100 else None

    @property
    def terms(self) -> dict[str, Term]:
        """What the method says of the numbers that it logs under names of its own."""
        found = {name: _term(name, mapping(own)) for name, own in mapping(self.facts.get("terms")).items()}
        return {name: term for name, term in found.items() if name in self.curves}


def _term(name: str, own: dict[str, Any]) -> Term:
    """A term of run.json, with care: words that are words, numbers that are finite, or else none."""
    scale = mapping(own.get("scale"))
    ends, beside, decades = scale.get("healthy"), own.get("beside"), number(scale.get("decades"))
    healthy = _numbers(ends)
    return Term(
        _words(own.get("title")) or name,
        _words(own.get("reading")),
        scale=Scale(
            (healthy[0], healthy[1]) if len(healthy) == 2 and healthy[0] <= healthy[1] else None,
            _numbers(scale.get("guides")),
            scale.get("log") is not False,
            2.0 if decades is None or not 0 <= decades <= 100 else decades,
        ),
        beside=tuple(filter(None, map(_words, beside))) if isinstance(beside, list) else (),
        line=_words(own.get("line")),
    )


def _words(value: object) -> str:
    return value if isinstance(value, str) else ""


def _numbers(values: object) -> tuple[float, ...]:
    """The finite numbers of a list."""
    found = [number(value) for value in values] if isinstance(values, list) else []
    return tuple(value for value in found if value is not None)


def labels(paths: Sequence[Path]) -> list[str]:
    """The folders' names, with their parents' and a number as far as that is needed to tell them apart."""
    full = [path.resolve() for path in paths]
    names = [path.name or str(path) for path in full]
    names = [f"{path.parent.name}/{name}" if names.count(name) > 1 else name for path, name in zip(full, names)]
    return [f"{name} ({k + 1})" if names.count(name) > 1 else name for k, name in enumerate(names)]


def read_run(folder: Path, label: str) -> Record:
    """Read all of a run that a page shows.

    Args:
        folder: The run.
        label: What the page calls it.

    Raises:
        DataError: If run.json is missing or damaged.
    """
    run = Record(label, _read_info(folder / layout.RUN))
    _read_log(folder / layout.LOG, run)
    _read_metrics(folder / layout.METRICS, run)
    _read_samples(folder / layout.SAMPLES, run)
    return run


def _read_info(path: Path) -> dict[str, Any]:
    try:
        info = files.read_object(path, "description of a run")
    except FileNotFoundError as error:
        raise DataError(
            f"{path}: there is no such file; name the folder of a run, the one that holds run.json"
        ) from error
    except DataError as error:
        raise DataError(f"{error}; restore it or start a new run") from error
    if missing := [key for key in ("recipe", "arguments", "step") if key not in info]:
        raise DataError(
            f"{path}: not a description of a run (it lacks {', '.join(missing)}); restore it or start a new run"
        )
    for key, kind in (("recipe", str), ("arguments", dict)):
        if not isinstance(info[key], kind):
            raise DataError(
                f"{path}: not a description of a run ({key} is {info[key]!r:.60}); restore it or start a new run"
            )
    return info


def _read_log(path: Path, run: Record) -> None:
    """Collect the curves; a line with nothing but step, score and what stands with it is a look's."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError:
        run.notes.append("There is no log (log.jsonl), so there are no curves.")
        return
    bad = 0
    for line in filter(bytes.strip, lines):
        entry = _read_line(line)
        step = number(entry.pop("step", None))
        if step is None:
            bad += 1
            continue
        monitor = "score" in entry and entry.keys() <= {*LOOKED, "of"}
        for key, value in entry.items():
            named = LOOKED.get(key, "") if monitor else key
            if named and key != "seconds" and is_number(value):
                run.curves.setdefault(named, []).append((step, number(value)))
    for curve in run.curves.values():
        curve.sort(key=lambda point: point[0])
    if not run.facts and run.curves.keys() & {"bound", "critic", "kinetic"}:
        run.notes.append(
            "The run was begun by an older version, which did not write down what its critic is: the critic’s loss has "
            "no scale here, and the largest speed is not drawn."
        )
    if bad:
        run.notes.append(
            f"{bad} line{'s' * (bad > 1)} of log.jsonl could not be read and {'were' if bad > 1 else 'was'} left out."
        )
    if not run.curves:
        run.notes.append("The log (log.jsonl) is empty, so there are no curves.")


def _read_line(line: bytes) -> dict[str, Any]:
    try:
        return mapping(json.loads(line))
    except (ValueError, RecursionError):
        return {}


def _read_metrics(path: Path, run: Record) -> None:
    try:
        stored = files.read_object(path)
    except FileNotFoundError:
        run.notes.append("The run was not evaluated (no metrics.json), so there are no metrics.")
        return
    except DataError:
        run.notes.append("metrics.json is damaged and was left out; evaluate the run again.")
        return
    run.metrics = judged({name: mapping(record) for name, record in mapping(stored.get("metrics")).items()})
    grade = stored.get("grade")
    run.verdict = str(stored["verdict"]) if isinstance(stored.get("verdict"), str) else ""
    run.grade = grade if isinstance(grade, str) and grade in MARKS else "record"
    run.warnings = [str(words) for words in listed(stored.get("warnings"))]
    if not run.metrics:
        run.notes.append("metrics.json holds no metrics.")
    if "checkpoint" in stored:
        step = f", step {count(stored['step'])}" if "step" in stored else ""
        own = stored.get("sampling")
        how = f", sampled with {', '.join(map(str, own))}" if isinstance(own, list) and own else ""
        run.measured = f"the {stored['checkpoint']} checkpoint{step}{how}"


def _read_samples(folder: Path, run: Record) -> None:
    run.grids, run.clouds = read_grids(folder), read_clouds(folder)
    run.classes = read_classes(folder, run.clouds)
    run.paths, unread = read_paths(folder)
    run.codes, others = read_codes(folder)
    damaged = run.grids.damaged + run.clouds.damaged + unread + others
    run.notes += [f"samples/{name} could not be read and was left out." for name in damaged]
    if not run.grids.frames and not run.clouds.frames:
        run.notes.append("There are no samples to show: the folder samples/ holds none that can be read.")
    elif (run.clouds if run.clouds.frames else run.grids).data is None:
        run.notes.append("The held-out data are missing from samples/, so samples stand alone.")
