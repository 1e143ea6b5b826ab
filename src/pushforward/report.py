"""The page of a run: samples beside data, numbers beside their floors, curves with how to read them, and the set-up.

A page is one HTML file that loads nothing. A run folder may come from somebody else, so all of its words are escaped,
its numbers are numbers, and the page's policy admits no script but its own.
"""

from __future__ import annotations

import html
import json
import math
from base64 import b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from pushforward import __version__
from pushforward.errors import DataError, UsageError
from pushforward.pictures import (
    Curve,
    Film,
    Points,
    Scale,
    chart,
    digits,
    pack,
    plane,
    read_clouds,
    read_grids,
    replace_file,
    scatter,
    view,
)

__all__ = ["write_report"]

MONITOR = "monitor: score"  # not a term's name: the lines {"step", "score"} of the log
LOG2 = math.log(2)
LONGEST = 4000  # characters shown of one value


@dataclass(frozen=True)
class Term:
    """A number of the log and how to read it.

    Attributes:
        title: What it is called on the page.
        reading: What it is and what is healthy, a sentence or two.
        scale: How it is drawn.
    """

    title: str
    reading: str
    scale: Scale = field(default_factory=Scale)


TERMS = {
    "bound": Term(
        "2 log 2 − critic’s loss",
        "What a logistic critic can tell apart. Near 0 it cannot tell samples from data; near 2 log 2 ≈ 1.39 it tells "
        "them apart perfectly, and under JS the gradient then vanishes. Healthy: above 0, below about 0.7, level or "
        "falling. Below 0 the critic does worse than a coin.",
        Scale((0.0, LOG2), (0.0, 2 * LOG2), log=False)),
    MONITOR: Term(
        "Score of samples",
        "Compares samples with training data, never with the held-out part; lower is better, and its lowest point, "
        "marked by a ring, is the best checkpoint. Healthy: falling, then level; a lasting rise means that later "
        "steps made samples worse."),
    "speed": Term(
        "Speed ‖v‖",
        "Root mean square velocity of the samples, in model units per unit of time. Healthy: falling as samples "
        "approach the data; a sudden rise means that the critic became too steep."),
    "weight": Term(
        "Mean weight w",
        "How much the divergence lets the average sample move; always 1 for KL. Healthy: about 0.1 to 10, level. "
        "Near 0 the samples stand still, far above 10 a few of them dominate.",
        Scale((0.1, 10.0))),
    "capped": Term(
        "Capped share",
        "Share of the samples whose weight reached the cap. Healthy: near 0, below 0.05; more means that the "
        "divergence asks for larger moves than it gets.",
        Scale((0.0, 0.05), (0.0, 0.05), log=False)),
    "regression": Term(
        "Regression",
        "Half the mean squared distance between the generator’s samples and where the flow wants them. Healthy: small "
        "and falling; a rise means that the generator cannot keep up with the moves."),
    "generator": Term(
        "Generator’s loss",
        "Mean potential ψ(d) of the samples. It has no scale of its own and may rise while samples improve: compare it "
        "only with itself. Healthy: level.",
        Scale(log=False)),
    "penalty": Term(
        "Penalty",
        "What the critic pays for its slope. Healthy: small next to the critic’s loss; a rise means that the critic is "
        "steeper than allowed."),
    "critic": Term(
        "Critic’s loss",
        "The loss the critic descends, without penalty. A logistic critic that cannot tell samples from data pays "
        "2 log 2 ≈ 1.39, a perfect one 0. Healthy: above about 0.7, level or rising.",
        Scale((LOG2, 2 * LOG2), (2 * LOG2,), log=False)),
    "score": Term(
        "Critic’s score of samples",
        "Mean log-ratio d = log p/q at the samples. Healthy: near 0, say −2 to 1; far below 0 the critic rejects "
        "samples easily.",
        Scale((-2.0, 1.0), (0.0,), log=False)),
}  # fmt: skip

METRICS = {
    "FD": "Fréchet distance: Gaussians fitted to features of samples and of data, compared",
    "mmd": "Kernel distance (MMD²); its p-value asks whether samples and data follow one law",
    "sliced_w2": "Wasserstein-2 distance, averaged over directions",
    "w2": "Exact Wasserstein-2 distance",
    "modes_captured": "Modes with at least one good sample",
    "modes_captured_20": "Modes with at least twenty good samples",
    "high_quality": "Share of samples close to a mode",
    "high_quality_4": "Share of samples within a wider radius of a mode",
    "mode_kl": "How far the shares of the modes are off, in nats",
    "classes_present": "Classes that a classifier sees in the samples",
    "smallest_class_share": "Share of the rarest class",
    "class_kl": "How far the shares of the classes are off, in nats",
}


@dataclass
class _Run:
    """What a run folder holds, read with care.

    Attributes:
        label: Short name, unique on the page.
        info: run.json.
        curves: Numbers of the log by name; None where a number is not finite.
        metrics: Records of metrics.json by name.
        measured: What the metrics were measured on, in words.
        grids: Grids of images.
        clouds: Clouds of points.
        notes: What is missing or damaged.
    """

    label: str
    info: dict[str, Any]
    curves: dict[str, Curve] = field(default_factory=dict)
    metrics: dict[str, dict[str, Any]] = field(default_factory=dict)
    measured: str = ""
    grids: Film[bytes] = field(default_factory=lambda: Film([], [], None, []))
    clouds: Film[Points] = field(default_factory=lambda: Film([], [], None, []))
    notes: list[str] = field(default_factory=list)

    @property
    def data(self) -> dict[str, Any]:
        return _dict(self.info.get("data"))

    @property
    def name(self) -> str:
        return f"{_text(self.info['recipe'])} <small>on</small> {_text(self.data.get('name', 'unknown data'))}"

    @property
    def logistic(self) -> bool:
        """Whether the critic's loss is the logistic one, as far as the arguments tell."""
        arguments = _dict(self.info.get("arguments"))
        dual = str(arguments.get("divergence")).upper() in ("W1", "HINGE")
        return not dual and arguments.get("contrast", "logistic") == "logistic"


def write_report(folders: Sequence[Path], out: Path | None = None) -> Path:
    """Write the page of a run, or one page that compares several.

    Args:
        folders: Run folders, each with a run.json; whatever else is missing, the page says so.
        out: The page; by default DIR/report.html for one run, comparison.html beside the first for several.

    Returns:
        The page.

    Raises:
        UsageError: If no folder is given.
        DataError: If a run.json is missing or damaged.
    """
    if not folders:
        raise UsageError("no run to report on; name at least one run folder")
    paths = [Path(folder) for folder in folders]
    runs = [_read_run(path, label) for path, label in zip(paths, _labels(paths), strict=True)]
    if out is None:
        out = paths[0] / "report.html" if len(paths) == 1 else paths[0].resolve().parent / "comparison.html"
    page = _page_of_one(runs[0]) if len(runs) == 1 else _page_of_many(runs)
    out.parent.mkdir(parents=True, exist_ok=True)
    replace_file(out, page.encode("utf-8", "replace"))
    return out


# Reading a run folder


def _labels(paths: Sequence[Path]) -> list[str]:
    """The folders' names, with their parents' and a number as far as that is needed to tell them apart."""
    full = [path.resolve() for path in paths]
    names = [path.name or str(path) for path in full]
    names = [f"{path.parent.name}/{name}" if names.count(name) > 1 else name for path, name in zip(full, names)]
    return [f"{name} ({k + 1})" if names.count(name) > 1 else name for k, name in enumerate(names)]


def _read_run(folder: Path, label: str) -> _Run:
    run = _Run(label, _read_info(folder / "run.json"))
    _read_log(folder / "log.jsonl", run)
    _read_metrics(folder / "metrics.json", run)
    run.grids, run.clouds = read_grids(folder / "samples"), read_clouds(folder / "samples")
    run.notes += [
        f"samples/{name} could not be read and was left out." for name in run.grids.damaged + run.clouds.damaged
    ]
    if not run.grids.frames and not run.clouds.frames:
        run.notes.append("There are no samples to show: the folder samples/ holds none that can be read.")
    elif (run.clouds if run.clouds.frames else run.grids).data is None:
        run.notes.append("The held-out data are missing from samples/, so samples stand alone.")
    return run


def _read_info(path: Path) -> dict[str, Any]:
    try:
        info = json.loads(path.read_bytes())
        missing = [key for key in ("recipe", "arguments", "step") if key not in info]
        if missing or not isinstance(info, dict):
            raise KeyError(", ".join(missing))
    except FileNotFoundError as error:
        raise DataError(
            f"{path}: there is no such file; name the folder of a run, the one that holds run.json"
        ) from error
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        why = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise DataError(f"{path}: not a description of a run ({why}); restore it or start a new run") from error
    return info


def _read_log(path: Path, run: _Run) -> None:
    """Collect the curves; a line with nothing but step and score is the monitor's."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError:
        run.notes.append("There is no log (log.jsonl), so there are no curves.")
        return
    bad = 0
    for line in filter(bytes.strip, lines):
        try:
            entry = _dict(json.loads(line))
        except (ValueError, RecursionError):
            entry = {}
        step = _number(entry.get("step"))
        bad += step is None
        for key in entry.keys() - {"step", "seconds"} if step is not None else ():
            if isinstance(entry[key], (int, float)) and not isinstance(entry[key], bool):
                name = MONITOR if entry.keys() == {"step", "score"} else key
                run.curves.setdefault(name, []).append((step or 0.0, _number(entry[key])))
    for curve in run.curves.values():
        curve.sort(key=lambda point: point[0])
    if bad:
        run.notes.append(
            f"{bad} line{'s' * (bad > 1)} of log.jsonl could not be read and {'were' if bad > 1 else 'was'} left out."
        )
    if not run.curves:
        run.notes.append("The log (log.jsonl) is empty, so there are no curves.")


def _read_metrics(path: Path, run: _Run) -> None:
    try:
        stored = _dict(json.loads(path.read_bytes()))
    except FileNotFoundError:
        run.notes.append("The run was not evaluated (no metrics.json), so there are no metrics.")
        return
    except (OSError, ValueError, RecursionError):
        run.notes.append("metrics.json is damaged and was left out; evaluate the run again.")
        return
    run.metrics = {name: _dict(record) for name, record in _dict(stored.get("metrics")).items()}
    if not run.metrics:
        run.notes.append("metrics.json holds no metrics.")
    if "checkpoint" in stored:
        run.measured = f"the {stored['checkpoint']} checkpoint" + (
            f", step {_count(stored['step'])}" if "step" in stored else ""
        )


# Words and numbers


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _number(value: object) -> float | None:
    """A finite number, else None; beyond 1e300 nothing can be drawn."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if abs(number) <= 1e300 else None


def _text(value: object) -> str:
    """Any value of a JSON file as escaped text."""
    plain = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    plain = {"null": "none", "true": "yes", "false": "no"}.get(plain, plain) if not isinstance(value, str) else plain
    return html.escape(plain if len(plain) <= LONGEST else plain[:LONGEST] + " …")


def _short(value: object, most: int = 4) -> str:
    """A number to a few digits, or what it is instead, escaped."""
    if value is None:
        return "–"
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        number = _number(value)
        return "not finite" if number is None else digits(number, most)
    return _text(value)


def _count(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else _text(value)


def _duration(value: object) -> str:
    seconds = _number(value)
    if seconds is None or seconds < 0:
        return "unknown"
    if seconds < 60:
        return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,} h {minutes} min" if hours else f"{minutes} min {rest} s"


def _when(value: object) -> str:
    try:
        return f"{datetime.fromisoformat(str(value)):%d %B %Y, %H:%M}".lstrip("0")
    except ValueError:
        return _text(value)


# The two kinds of page


def _page_of_one(run: _Run) -> str:
    info = run.info
    head = (
        f'<p class="eyebrow">pushforward · report of a run</p><h1>{run.name}</h1>'
        f"{_status(info)}{_facts(run)}{_notes([run])}"
    )
    metrics = _metrics_of_one(run)
    body = head + _samples([run]) + metrics + _curves([run]) + _setup(run)
    return _page(f"{info['recipe']} on {run.data.get('name', 'unknown data')}", body)


def _page_of_many(runs: Sequence[_Run]) -> str:
    items = "".join(
        f'<li class="r{k % 8}"><h3><span class="chip"></span>{_text(run.label)} '
        f'<span class="soft">· {run.name}</span></h3>{_status(run.info)}</li>'
        for k, run in enumerate(runs)
    )
    head = (
        f'<p class="eyebrow">pushforward · comparison</p><h1>{len(runs)} runs side by side</h1>'
        f'<ul class="runs">{items}</ul>{_notes(runs)}'
    )
    body = head + _samples(runs) + _metrics_of_many(runs) + _curves(runs) + _setups(runs)
    return _page("Comparison: " + ", ".join(run.label for run in runs), body)


def _page(title: str, body: str) -> str:
    """Fill the skeleton; only its own style and script are let in, by their digests."""
    text = resources.files("pushforward").joinpath("report.html").read_text("utf-8")
    style, script = (text.split(f"<{tag}>", 1)[1].split(f"</{tag}>", 1)[0] for tag in ("style", "script"))
    policy = (
        f"default-src 'none'; img-src data:; style-src {_digest(style)}; script-src {_digest(script)}; "
        "base-uri 'none'; form-action 'none'"
    )
    footer = f"Written by pushforward {__version__}. This page is one file and loads nothing."
    return Template(text).substitute(policy=policy, title=_text(title), body=body, footer=footer)


def _digest(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


def _status(info: dict[str, Any]) -> str:
    step, steps = _count(info.get("step")), _count(info.get("steps"))
    known = {
        "finished": ("good", f"<b>Finished.</b> All {steps} steps were done."),
        "stopped": ("fair", f"<b>Stopped</b> at step {step} of {steps}, when its time was up; it can be resumed."),
        "interrupted": ("fair", f"<b>Interrupted</b> at step {step} of {steps}; it can be resumed."),
        "failed": (
            "bad",
            f"<b>Failed</b> at step {step} of {steps}: {_text(info.get('why', 'no reason was recorded'))}",
        ),
        "running": ("fair", f"<b>Running,</b> or ended without a word, at step {step} of {steps}."),
    }
    unknown = ("fair", f"<b>Status unknown</b> ({_text(info.get('status'))}), at step {step} of {steps}.")
    grade, words = known.get(str(info.get("status")), unknown)
    return f'<p class="status {grade}"><span>{words}</span></p>'


def _facts(run: _Run) -> str:
    info, best = run.info, _dict(run.info.get("best"))
    seconds, step = _number(info.get("seconds")), _number(info.get("step"))
    pace = f"{digits(step / seconds, 3)} steps a second" if seconds and step and seconds > 0 else ""
    facts = [("Training time", _duration(info.get("seconds")), pace)]
    if best:
        facts.append(("Best checkpoint", f"step {_count(best.get('step'))}", f"score {_short(best.get('score'))}"))
    else:
        facts.append(("Best checkpoint", "none", "no step was scored"))
    for name, record in list(run.metrics.items())[:1]:
        facts.append((_text(name), _value(record), _reading(record)[1]))
    facts.append(("Seed", _text(info.get("seed")), f"started {_when(info['created'])}" if "created" in info else ""))
    items = "".join(
        f"<div><dt>{name}</dt><dd>{value}{f'<small>{more}</small>' if more else ''}</dd></div>"
        for name, value, more in facts
    )
    return f'<dl class="facts">{items}</dl>'


def _notes(runs: Sequence[_Run]) -> str:
    notes = [f"{run.label}: {note}" if len(runs) > 1 else note for run in runs for note in run.notes]
    if len({str(run.data.get("sha256")) for run in runs}) > 1:
        notes.insert(0, "These runs learned from different data, so their numbers do not compare.")
    items = "".join(f"<li>{_text(note)}</li>" for note in notes)
    return f'<aside class="notes" aria-label="Notes"><ul>{items}</ul></aside>' if notes else ""


# Samples

CONTROLS = (
    '<div class="controls" hidden><button type="button" class="play" aria-label="Play">'
    '<svg viewBox="0 0 16 16" aria-hidden="true"><path class="go" d="M4 2l10 6-10 6z"/>'
    '<path class="pause" d="M3 2h3.5v12H3zM9.5 2H13v12H9.5z"/></svg></button>'
    '<input type="range" min="0" value="0" aria-label="Training step"><output></output></div>'
)


def _samples(runs: Sequence[_Run]) -> str:
    """Stages with one slider: runs on the same data stand together, images followed by the data."""
    groups: dict[str, list[int]] = {}
    for k, run in enumerate(runs):
        groups.setdefault(str(run.data.get("sha256")), []).append(k)
    stages = [stage for group in groups.values() for stage in _clouds(runs, group) + _grids(runs, group)]
    if not stages:
        return ""
    clouds = any(run.clouds.frames for run in runs)
    lead = ("Samples move over held-out data, drawn in grey. " if clouds else "Samples beside held-out data. ") + (
        "Drag the slider to see them after other numbers of steps.")  # fmt: skip
    return (f'<section class="player"><h2>Samples and data</h2><p class="lead">{lead}</p>'
            f'<div class="stages">{"".join(stages)}</div>{CONTROLS}</section>')  # fmt: skip


def _caption(runs: Sequence[_Run], k: int) -> str:
    return "<b>Samples</b>" if len(runs) == 1 else f'<span class="chip"></span><b>{_text(runs[k].label)}</b>'


def _grids(runs: Sequence[_Run], group: Sequence[int]) -> list[str]:
    stages = []
    for k in group:
        film = runs[k].grids
        if not film.frames or runs[k].clouds.frames:
            continue
        last = len(film.frames) - 1
        pictures = "".join(
            f'<img alt="Grid of samples after step {step:,}" src="{_png_uri(frame)}"{"" if j == last else " hidden"}>'
            for j, (step, frame) in enumerate(zip(film.steps, film.frames, strict=True))
        )
        stages.append(
            f'<figure class="stage r{k % 8}"><div class="pane" data-steps="{" ".join(map(str, film.steps))}">{pictures}'
            f"</div><figcaption>{_caption(runs, k)}, up to step {film.steps[-1]:,}</figcaption></figure>"
        )
    data = next((runs[k].grids.data for k in group if runs[k].grids.data and not runs[k].clouds.frames), None)
    if stages and data:
        stages.append(
            f'<figure class="stage"><div class="pane"><img alt="Grid of held-out data" src="{_png_uri(data)}"></div>'
            "<figcaption><b>Data</b>, held out from training</figcaption></figure>"
        )
    return stages


def _png_uri(content: bytes) -> str:
    return "data:image/png;base64," + b64encode(content).decode()


def _clouds(runs: Sequence[_Run], group: Sequence[int]) -> list[str]:
    """Canvases that show the same part of the plane."""
    flat = {k: plane(runs[k].clouds.data, runs[k].clouds.frames) for k in group if runs[k].clouds.frames}
    if not flat:
        return []
    real = next((real for real, _, _ in flat.values() if real is not None), None)
    box = view(real, [frame for _, frames, _ in flat.values() for frame in frames])
    stages = [_cloud(runs, k, own, frames, words, box) for k, (own, frames, words) in flat.items()]
    return stages if real is None else [*stages, _data_cloud(real, box)]


def _cloud(runs: Sequence[_Run], k: int, real: Points | None, frames: list[Points], words: str, box: Points) -> str:
    steps, held = runs[k].clouds.steps, np.empty((0, 2)) if real is None else real
    size = f"{len(frames[-1]):,}" + (f" over {len(held):,} held-out points" if len(held) else "")
    still = _png_uri(scatter(frames[-1], held))
    return (
        f'<figure class="stage r{k % 8}">{_canvas(steps, frames, held, box, "Samples over data", still)}'
        f"<figcaption>{_caption(runs, k)}: {size}; {words}</figcaption></figure>"
    )


def _data_cloud(real: Points, box: Points) -> str:
    (left, bottom), (right, top) = ([digits(value, 3) for value in corner] for corner in box.tolist())
    still = _png_uri(scatter(np.empty((0, 2)), real))
    return (
        f'<figure class="stage">{_canvas([], [], real, box, "Held-out data", still)}<figcaption><b>Data</b>, held out '
        f"from training; x from {left} to {right}, y from {bottom} to {top}</figcaption></figure>"
    )


def _canvas(steps: list[int], frames: list[Points], real: Points, box: Points, label: str, still: str) -> str:
    """A canvas, the points it draws, and a picture for where no script runs."""
    low, high = box.tolist()
    packed = [b64encode(pack(frame, box)).decode() for frame in frames]
    stored = {"steps": steps, "low": low, "high": high, "data": b64encode(pack(real, box)).decode(), "frames": packed}
    content = json.dumps(stored).replace("<", "\\u003c")
    return (
        f'<div class="pane cloud"><canvas hidden role="img" aria-label="{label}"></canvas>'
        f'<script type="application/json">{content}</script>'
        f'<noscript><img alt="{label}" src="{still}"></noscript></div>'
    )


# Metrics

FLOOR = (
    "The floor is what real data of the same sizes score against real data; for a count or a share it is what a "
    "perfect sampler scores. A value means something only next to it."
)


def _value(record: dict[str, Any]) -> str:
    value = record.get("value")
    return "not finite" if value is None else _short(value)


def _reading(record: dict[str, Any]) -> tuple[str, str]:
    """A value relative to its floor: a grade (good or none) and plain words."""
    value, floor, p = (_number(record.get(key)) for key in ("value", "floor", "p"))
    if value is None:
        return "bad", "not finite: something went wrong"
    if record.get("better") == "none":
        return "", "for the record"
    grade, words = _against_floor(value, floor, _number(record.get("se")) or 0.0, record.get("better") == "higher")
    if p is not None:
        apart = "told apart from data" if p < 0.05 else "not told apart from data"
        words = f"{apart} (p {digits(p, 2)})" + (f", {words}" if floor and floor > 0 else "")
        grade = "" if p < 0.05 else "good"
    return grade, words


def _against_floor(value: float, floor: float | None, se: float, higher: bool) -> tuple[str, str]:
    if floor is None:
        return "", "no floor known"
    if (value >= floor - 2 * se) if higher else (value <= floor + 2 * se or value <= 1.05 * floor):
        return "good", "as good as can be expected" if higher else "at the floor"
    if floor <= 0:
        return "", f"{digits(abs(value - floor), 2)} {'below' if higher else 'above'} the floor"
    return "", f"{100 * value / floor:.3g} % of the floor" if higher else f"{digits(value / floor, 2)} × the floor"


def _metric_name(name: str, record: dict[str, Any]) -> str:
    arrow = {"lower": "\u00a0↓", "higher": "\u00a0↑"}.get(str(record.get("better", "lower")), "")
    words = METRICS.get(name.split("@")[0], "")
    return f"{_text(name)}{arrow}{f'<small>{words}</small>' if words else ''}"


def _error(record: dict[str, Any]) -> str:
    parts = [f"± {_short(record['se'], 2)}"] if record.get("se") is not None else []
    return " · ".join(parts + ([f"p {_short(record['p'], 2)}"] if record.get("p") is not None else []))


def _metrics_of_one(run: _Run) -> str:
    title = '<section><h2 id="metrics">Metrics</h2>'
    if not run.metrics:
        return title + '<p class="lead">There are none yet: evaluate the run to fill this in.</p></section>'
    measured = f" Measured on {_text(run.measured)}." if run.measured else ""
    heads = ("Metric", "Value", "Floor", "Reading", "± / p", "Samples", "Data", "Features")
    rows = "".join(_metric_row(name, record, heads) for name, record in run.metrics.items())
    return (
        f'{title}<p class="lead">{FLOOR}{measured} ↓ lower is better, ↑ higher is better.</p>'
        f'<div class="scroll"><table class="metrics"><thead><tr>{_cells("th", heads)}</tr></thead><tbody>{rows}</tbody>'
        f"</table></div>{_protocols(run.metrics)}</section>"
    )


def _metric_row(name: str, record: dict[str, Any], heads: Sequence[str]) -> str:
    grade, words = _reading(record)
    sizes = [_count(record.get("n_fake", 0)), _count(record["n_real"]) if record.get("n_real") else "known law"]
    value, reading = f'<span class="big">{_value(record)}</span>', f'<span class="mark {grade}">{words}</span>'
    features = _text(record.get("features", "raw"))
    cells = [value, _short(record.get("floor")), reading, _error(record), *sizes, features]
    row = "".join(
        f'<td data-label="{head}"{" class=wide" if head in ("Reading", "Features") else ""}>{cell}</td>'
        for head, cell in zip(heads[1:], cells, strict=True)
    )
    return f'<tr><th scope="row">{_metric_name(name, record)}</th>{row}</tr>'


def _cells(tag: str, texts: Iterable[str]) -> str:
    return "".join(f"<{tag}>{text}</{tag}>" for text in texts)


def _protocols(metrics: dict[str, dict[str, Any]]) -> str:
    items = ""
    for name, record in metrics.items():
        protocol = _dict(record.get("protocol"))
        words = ", ".join(f"{_text(key)} {_short(value, 6)}" for key, value in protocol.items()) or "not recorded"
        items += f"<dt>{_text(name)}</dt><dd>{words}</dd>"
    return f"<details><summary>How they were measured</summary><dl>{items}</dl></details>"


def _metrics_of_many(runs: Sequence[_Run]) -> str:
    names = list(dict.fromkeys(name for run in runs for name in run.metrics))
    title = "<section><h2>Metrics</h2>"
    if not names:
        return title + '<p class="lead">There are none yet: evaluate the runs to fill this in.</p></section>'
    heads = _cells("th", ["Metric", *(_chip(k, run) for k, run in enumerate(runs))])
    rows = "".join(f"<tr>{_side_row(name, runs)}</tr>" for name in names)
    protocols = "".join(f"<h3>{_text(run.label)}</h3>{_protocols(run.metrics)}" for run in runs if run.metrics)
    return (
        f'{title}<p class="lead">{FLOOR} ↓ lower is better, ↑ higher is better.</p>'
        f'<div class="scroll"><table class="side"><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>'
        f"<details><summary>How they were measured</summary>{protocols}</details></section>"
    )


def _chip(k: int, run: _Run) -> str:
    return f'<span class="r{k % 8}"><span class="chip"></span></span>{_text(run.label)}'


def _side_row(name: str, runs: Sequence[_Run]) -> str:
    """One metric of all runs; its best value is marked only where all were measured alike."""
    records = [run.metrics.get(name) for run in runs]
    known = [record for record in records if record is not None]
    alike = len({json.dumps([record.get(key) for key in ("n_fake", "n_real", "features", "protocol")], sort_keys=True)
                 for record in known}) == 1 and len({str(run.data.get("sha256")) for run in runs}) == 1  # fmt: skip
    values = [_number(record.get("value")) for record in known]
    finite, better = [value for value in values if value is not None], known[0].get("better", "lower")
    best = None
    if alike and better != "none" and len(set(finite)) > 1:
        best = max(finite) if better == "higher" else min(finite)
    warning = "" if alike or len(known) < 2 else "<small>measured differently: do not compare</small>"
    cells = "".join(_side_cell(record, best, better) for record in records)
    return f'<th scope="row">{_metric_name(name, known[0])}{warning}</th>{cells}'


def _side_cell(record: dict[str, Any] | None, best: float | None, better: object) -> str:
    if record is None:
        return '<td class="soft">–</td>'
    leads = best is not None and _number(record.get("value")) == best
    mark = f' <span class="mark good">{"highest" if better == "higher" else "lowest"}</span>' if leads else ""
    error = [f"± {_short(record['se'], 2)}"] if record.get("se") is not None else []
    lines = [f"floor {_short(record.get('floor'))}", *error, _reading(record)[1]]
    return (
        f'<td><span class="big">{_value(record)}</span>{mark}{"".join(f"<small>{line}</small>" for line in lines)}</td>'
    )


# Curves


def _curves(runs: Sequence[_Run]) -> str:
    names = [name for name in TERMS if any(name in run.curves for run in runs)]
    names += sorted({name for run in runs for name in run.curves} - TERMS.keys())
    if not names:
        return ""
    legend = "".join(f"<span>{_chip(k, run)}</span>" for k, run in enumerate(runs)) if len(runs) > 1 else ""
    cards = "".join(_card(name, runs) for name in names)
    return (
        '<section><h2>Curves</h2><p class="lead">Each number is a mean over the steps since the one before. '
        f'Healthy ranges are shaded; point at a curve to read it.</p><p class="legend">{legend}</p>'
        f'<div class="curves">{cards}</div></section>'
    )


def _card(name: str, runs: Sequence[_Run]) -> str:
    term = _term(name, runs)
    lines = {k: run.curves[name] for k, run in enumerate(runs) if name in run.curves}
    lost = sum(value is None for curve in lines.values() for _, value in curve)
    gap = f" {lost:,} value{'s' * (lost > 1)} of it {'were' if lost > 1 else 'was'} not finite." if lost else ""
    last = [next((value for _, value in reversed(curve) if value is not None), None) for curve in lines.values()]
    readout = (
        f"last {_short(last[0], 3)}" + _judged(last[0], term.scale.healthy)
        if len(runs) == 1 and last[0] is not None
        else ""
    )
    rings = {k: ring for k in lines if (ring := _best(runs[k]))} if name == MONITOR else {}
    label = _text(f"{term.title} over steps")
    return (
        f'<article class="curve"><header><h3>{_text(term.title)}</h3><span class="readout">{readout}</span></header>'
        f"{chart(lines, label, term.scale, rings)}<p>{_text(term.reading)}{gap}</p></article>"
    )


def _best(run: _Run) -> tuple[float, float] | None:
    """Step and score of the best checkpoint."""
    step, score = (_number(_dict(run.info.get("best")).get(key)) for key in ("step", "score"))
    return None if step is None or score is None else (step, score)


def _term(name: str, runs: Sequence[_Run]) -> Term:
    term = TERMS.get(name, Term(name, "A number that this method reports."))
    if name in ("bound", "critic") and not all(run.logistic for run in runs):
        return Term(term.title, "The critic’s loss is not the logistic one here, so this has no fixed scale: "
                    "compare it only with itself.", Scale(log=False))  # fmt: skip
    return term


def _judged(value: float, healthy: tuple[float, float] | None) -> str:
    if healthy is None:
        return ""
    inside = healthy[0] <= value <= healthy[1]
    return ' · <span class="mark good">healthy</span>' if inside else ' · <span class="mark fair">outside</span>'


# Set-up

WORDS = {
    "event": "shape of a sample",
    "n_train": "training samples",
    "n_test": "held-out samples",
    "test_fraction": "held-out share",
    "seed": "seed of the split",
    "sha256": "digest",
    "world": "processes",
}


def _setup(run: _Run) -> str:
    info, data = run.info, dict(run.data)
    event = data.get("event")
    data |= {"event": " × ".join(map(str, event))} if isinstance(event, list) else {}
    data |= {"test_fraction": digits(share)} if (share := _number(data.get("test_fraction"))) is not None else {}
    machine = {key: info.get(key) for key in ("device", "precision", "threads", "world")}
    tables = {
        "Arguments": _dict(info.get("arguments")),
        "Data": data,
        "Machine": machine,
        "Versions": _dict(info.get("versions")),
    }
    shown = "".join(f"<div><h3>{title}</h3>{_table(content)}</div>" for title, content in tables.items())
    return f'<section><h2>Set-up</h2>{_command(info)}<div class="two">{shown}</div></section>'


def _command(info: dict[str, Any]) -> str:
    if not info.get("command"):
        return '<p class="soft">The command was not recorded.</p>'
    return (f'<div class="command"><code>{_text(info["command"])}</code>'
            '<button type="button" class="copy" hidden>Copy</button></div>')  # fmt: skip


def _table(content: dict[str, Any]) -> str:
    if not content:
        return '<p class="soft">Not recorded.</p>'
    rows = "".join(f"<tr><th scope=\"row\">{_text(WORDS.get(key, key))}</th><td>{_setting(value)}</td></tr>"
                   for key, value in content.items())  # fmt: skip
    return f'<table class="plain"><tbody>{rows}</tbody></table>'


def _setting(value: object) -> str:
    """A setting in full: whole numbers with separators, others as they were given."""
    return _count(value) if isinstance(value, int) else _text(value)


def _setups(runs: Sequence[_Run]) -> str:
    """What differs between the runs first, in bold, then what they share."""
    columns = [_settings(run.info) for run in runs]
    names = list(dict.fromkeys(name for column in columns for name in column))
    rows = {name: [column.get(name, "–") for column in columns] for name in names}
    differs = [name for name in names if len(set(rows[name])) > 1]
    heads = _cells("th", ["", *(_chip(k, run) for k, run in enumerate(runs))])
    commands = "".join(f"<h3>{_chip(k, run)}</h3>{_command(run.info)}" for k, run in enumerate(runs))

    def table(chosen: Iterable[str], kind: str) -> str:
        body = "".join(
            f'<tr class="{kind}"><th scope="row">{name}</th>{_cells("td", rows[name])}</tr>' for name in chosen
        )
        head = f"<thead><tr>{heads}</tr></thead>"
        return f'<div class="scroll"><table class="side">{head}<tbody>{body}</tbody></table></div>'

    same = [name for name in names if name not in differs]
    return (
        f"<section><h2>What differs</h2>{table(differs, 'differs') if differs else '<p>Nothing that was recorded.</p>'}"
        f"<details><summary>What is the same</summary>{table(same, '')}</details>"
        f"<details><summary>Commands</summary>{commands}</details></section>"
    )


def _settings(info: dict[str, Any]) -> dict[str, str]:
    """Everything that was set, by escaped name."""
    best = _dict(info.get("best"))
    parts: dict[str, Any] = {"recipe": info["recipe"], **_dict(info.get("arguments"))}
    parts |= {f"data: {key}": value for key, value in _dict(info.get("data")).items()}
    parts |= {key: info.get(key) for key in ("seed", "steps", "step", "device", "precision", "threads", "world")}
    parts |= {f"version of {key}": value for key, value in _dict(info.get("versions")).items()}
    shown = {_text(key): _setting(value) for key, value in parts.items()}
    shown["training time"] = _duration(info.get("seconds"))
    shown["best checkpoint"] = (
        f"step {_count(best['step'])}, score {_short(best.get('score'))}" if "step" in best else "none"
    )
    return shown
