"""The page of several runs: the same pieces side by side, and what differs between them first."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pushforward.metrics.core.result import OUTCOMES
from pushforward.report.curves import curves
from pushforward.report.numbers.metrics import ARROWS, FLOOR, error, heading, protocols, reading, value
from pushforward.report.reading import Record
from pushforward.report.samples import samples
from pushforward.report.skeleton import cells, chip, command, fill, name, notes, status, travelling, verdict
from pushforward.report.values import HUES, count, duration, mapping, number, short, text

__all__ = ["page_of_many"]

LIKE = ("n_fake", "n_real", "features")  # fields of measures that compare, besides their protocol


def page_of_many(runs: Sequence[Record]) -> str:
    """The page that compares several runs, as HTML."""
    items = "".join(
        f'<li class="r{k % HUES}"><h3><span class="chip"></span>{text(run.label)} '
        f'<span class="soft">· {name(run)}</span></h3>{status(run.info, travelling(run))}{verdict(run)}</li>'
        for k, run in enumerate(runs)
    )
    head = (
        f'<p class="eyebrow">pushforward · comparison</p><h1>{len(runs)} runs side by side</h1>'
        f'<ul class="runs">{items}</ul>{notes(runs)}'
    )
    body = head + samples(runs) + _metrics(runs) + curves(runs) + _setups(runs)
    return fill("Comparison: " + ", ".join(run.label for run in runs), body)


def _side_by_side(corner: str, runs: Sequence[Record], rows: Iterable[str]) -> str:
    """A table with a column for each run."""
    heads = cells("th", [corner, *(chip(k, run.label) for k, run in enumerate(runs))])
    return (
        f'<div class="scroll"><table class="side"><thead><tr>{heads}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _metrics(runs: Sequence[Record]) -> str:
    metrics = list(dict.fromkeys(metric for run in runs for metric in run.metrics))
    title = "<section><h2>Metrics</h2>"
    if not metrics:
        return title + '<p class="lead">There are none yet: evaluate the runs to fill this in.</p></section>'
    table = _side_by_side("Metric", runs, (_metric(metric, runs) for metric in metrics))
    measured = "".join(f"<h3>{text(run.label)}</h3>{protocols(run.metrics)}" for run in runs if run.metrics)
    return (
        f'{title}<p class="lead">{FLOOR} {ARROWS}</p>{table}'
        f"<details><summary>How they were measured</summary>{measured}</details></section>"
    )


def _metric(metric: str, runs: Sequence[Record]) -> str:
    """One metric of all runs; its best value is marked only where all were measured alike."""
    records = [run.metrics.get(metric) for run in runs]
    known = [record for record in records if record is not None]
    ways = {json.dumps([*(record.get(key) for key in LIKE), _how(record)], sort_keys=True) for record in known}
    alike = len(ways) == 1 and len({run.digest for run in runs}) == 1
    finite = {found for record in known if (found := number(record.get("value"))) is not None}
    better, best = known[0].get("better", "lower"), None
    if alike and better != "none" and len(finite) > 1:
        goal = number(known[0].get("floor")) or 0.0
        worse = {"higher": lambda x: -x, "near": lambda x: abs(x - goal)}.get(str(better), lambda x: x)
        best = min(finite, key=worse)
    warning = "" if alike or len(known) < 2 else "<small>measured differently: do not compare</small>"
    word = {"higher": "highest", "near": "nearest"}.get(str(better), "lowest")
    row = "".join(_cell(record, best, word) for record in records)
    return f'<tr><th scope="row">{heading(metric, known[0])}{warning}</th>{row}</tr>'


def _how(record: Mapping[str, Any]) -> dict[str, Any]:
    """How a metric was measured, without what was found."""
    return {key: x for key, x in mapping(record.get("protocol")).items() if key not in OUTCOMES}


def _cell(record: dict[str, Any] | None, best: float | None, word: str) -> str:
    if record is None:
        return '<td class="soft">–</td>'
    leads = best is not None and number(record.get("value")) == best
    mark = f' <span class="mark good">{word}</span>' if leads else ""
    lines = cells("small", [f"floor {short(record.get('floor'))}", *error(record), reading(record)[1]])
    return f'<td><span class="big">{value(record)}</span>{mark}{lines}</td>'


def _setups(runs: Sequence[Record]) -> str:
    """What differs between the runs first, in bold, then what they share."""
    columns = [_settings(run.info) for run in runs]
    settings = dict.fromkeys(setting for column in columns for setting in column)
    differs, same = [], []
    for setting in settings:
        row = [column.get(setting, "–") for column in columns]
        kind, rows = ("differs", differs) if len(set(row)) > 1 else ("", same)
        rows.append(f'<tr class="{kind}"><th scope="row">{setting}</th>{cells("td", row)}</tr>')
    commands = "".join(f"<h3>{chip(k, run.label)}</h3>{command(run.info)}" for k, run in enumerate(runs))
    first = _side_by_side("", runs, differs) if differs else "<p>Nothing that was recorded.</p>"
    return (
        f"<section><h2>What differs</h2>{first}"
        f"<details><summary>What is the same</summary>{_side_by_side('', runs, same)}</details>"
        f"<details><summary>Commands</summary>{commands}</details></section>"
    )


def _settings(info: dict[str, Any]) -> dict[str, str]:
    """Everything that was set, by escaped name."""
    best = mapping(info.get("best"))
    parts: dict[str, Any] = {"recipe": info["recipe"], **mapping(info.get("arguments"))}
    parts |= {f"data: {key}": setting for key, setting in mapping(info.get("data")).items()}
    parts |= {key: info.get(key) for key in ("seed", "steps", "step", "device", "precision", "threads", "world")}
    parts |= {f"version of {key}": version for key, version in mapping(info.get("versions")).items()}
    if "ended" in info:
        parts["why it ended"] = info["ended"]
    shown = {text(key): count(setting) for key, setting in parts.items()}
    shown["training time"] = duration(info.get("seconds"))
    shown["best checkpoint"] = (
        f"step {count(best['step'])}, score {short(best.get('score'))}" if "step" in best else "none"
    )
    return shown
