"""The page of one run: status and facts, samples, metrics, curves and the set-up in full."""

from __future__ import annotations

from typing import Any

from pushforward.report.curves import curves
from pushforward.report.figures.codes import codes
from pushforward.report.figures.paths import paths
from pushforward.report.figures.tails import tails
from pushforward.report.numbers.metrics import ARROWS, FLOOR, reading, rows, value
from pushforward.report.numbers.worst import worst
from pushforward.report.reading import Record
from pushforward.report.samples import samples
from pushforward.report.skeleton import command, fill, name, notes, status, travelling, verdict
from pushforward.report.values import count, digits, duration, mapping, number, short, text, when

__all__ = ["page_of_one"]

WORDS = {
    "event": "shape of a sample",
    "n_train": "training samples",
    "n_test": "held-out samples",
    "test_fraction": "held-out share",
    "seed": "seed of the split",
    "sha256": "digest",
    "world": "processes",
    "shape": "samples come from",
    "conditional": "with classes",
    "logistic": "critic by logistic regression",
    "dual": "critic by its divergence",
    "fastest": "no sample faster than",
}


def page_of_one(run: Record) -> str:
    """The page of one run, as HTML."""
    head = (
        f'<p class="eyebrow">pushforward · report of a run</p><h1>{name(run)}</h1>'
        f"{status(run.info, travelling(run))}{verdict(run)}{_facts(run)}{notes([run])}"
    )
    body = head + samples([run]) + paths(run) + codes(run) + tails(run)
    body += _metrics(run) + worst(run.metrics) + curves([run]) + _setup(run)
    return fill(f"{run.info['recipe']} on {run.data.get('name', 'unknown data')}", body)


def _facts(run: Record) -> str:
    info, best = run.info, mapping(run.info.get("best"))
    seconds, step = number(info.get("seconds")), number(info.get("step"))
    pace = f"{digits(step / seconds, 3)} steps a second" if seconds and step and seconds > 0 else ""
    facts = [("Training time", duration(info.get("seconds")), pace)]
    if "ended" in info:
        facts.append(
            ("Ended by itself", f"step {count(info.get('step'))} of {count(info.get('steps'))}", text(info["ended"]))
        )
    if best:
        facts.append(("Best checkpoint", f"step {count(best.get('step'))}", f"score {short(best.get('score'))}"))
    else:
        facts.append(("Best checkpoint", "none", "no step was scored"))
    for metric, record in list(run.metrics.items())[:1]:
        facts.append((text(metric), value(record), reading(record)[1]))
    facts.append(("Seed", text(info.get("seed")), f"started {when(info['created'])}" if "created" in info else ""))
    items = "".join(
        f"<div><dt>{title}</dt><dd>{fact}{f'<small>{more}</small>' if more else ''}</dd></div>"
        for title, fact, more in facts
    )
    return f'<dl class="facts">{items}</dl>'


def _metrics(run: Record) -> str:
    title = '<section><h2 id="metrics">Metrics</h2>'
    if not run.metrics:
        return title + '<p class="lead">There are none yet: evaluate the run to fill this in.</p></section>'
    measured = f" Measured on {text(run.measured)}." if run.measured else ""
    return f'{title}<p class="lead">{FLOOR}{measured} {ARROWS}</p>{rows(run.metrics)}</section>'


def _setup(run: Record) -> str:
    info, data = run.info, {name: value for name, value in run.data.items() if name not in ("parts", "card")}
    if isinstance(event := data.get("event"), list):
        data["event"] = " × ".join(map(str, event))
    if (share := number(data.get("test_fraction"))) is not None:
        data["test_fraction"] = digits(share)
    known = ("shape", "conditional", "logistic", "dual", "fastest")
    legs = info.get("legs")
    tables = {
        "Kind": {key: run.facts[key] for key in known if key in run.facts},
        "Arguments": mapping(info.get("arguments")),
        "Data": data,
        "Machine": {key: info.get(key) for key in ("device", "precision", "threads", "world")},
        "Versions": mapping(info.get("versions")),
        **({"Legs": _legs(legs)} if isinstance(legs, list) and len(legs) > 1 else {}),
    }
    shown = "".join(f"<div><h3>{title}</h3>{_table(content)}</div>" for title, content in tables.items())
    return f'<section><h2>Set-up</h2>{command(info)}<div class="two">{shown}</div></section>'


def _legs(legs: list[Any]) -> dict[str, Any]:
    """What a run went on with from which step on, in words."""
    rows: dict[str, Any] = {}
    for k, one in enumerate(map(mapping, legs)):
        changed = mapping(one.get("changed")).items()
        said = [f"{name} {short(pair[0])} → {short(pair[1])}" for name, pair in changed
                if isinstance(pair, list) and len(pair) == 2]  # fmt: skip
        said += [f"data: {words}" for words in one["data"]] if isinstance(one.get("data"), list) else []
        before = mapping(legs[k - 1]) if k else {}
        same = ("version", "threads", "device", "precision", "world")
        said += [f"{WORDS.get(name, name)} {one.get(name)}" for name in same if one.get(name) != before.get(name)]
        rows[f"{k + 1}, from step {count(one.get('from'))}"] = ", ".join(said) or "as before"
    return rows


def _table(content: dict[str, Any]) -> str:
    if not content:
        return '<p class="soft">Not recorded.</p>'
    rows = "".join(
        f'<tr><th scope="row">{text(WORDS.get(key, key))}</th><td>{count(setting)}</td></tr>'
        for key, setting in content.items()
    )
    return f'<table class="plain"><tbody>{rows}</tbody></table>'
