"""A metric on a page: its name, its value, and the reading that the judgement stored with it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from pushforward.metrics.core.result import Measure
from pushforward.metrics.suite import READINGS
from pushforward.metrics.verdict.judgement import judge
from pushforward.report.values import count, mapping, number, short, text

__all__ = ["ARROWS", "FLOOR", "MARKS", "error", "heading", "judged", "protocols", "reading", "rows", "value"]

ARROWS = "↓ lower is better, ↑ higher is better, ≈ the nearer to the floor the better."

FLOOR = (
    "The floor is what real data of the same sizes score against real data; for a count or a share it is what a "
    "perfect sampler scores. A value means something only next to it."
)

MARKS: Mapping[str, str] = {"good": "good", "bad": "bad", "doubtful": "fair", "record": ""}
"""Grades of the judgement, and the classes of the style sheet that colour them."""


def rows(metrics: Mapping[str, dict[str, Any]]) -> str:
    """The metrics as a table, one row each, and how they were measured, to unfold."""
    heads = ("Metric", "Value", "Floor", "Reading", "± / p", "Samples", "Data", "Features")
    head = "".join(f"<th>{words}</th>" for words in heads)
    body = "".join(_row(name, record, heads) for name, record in metrics.items())
    return (
        f'<div class="scroll"><table class="metrics"><thead><tr>{head}</tr></thead><tbody>{body}</tbody>'
        f"</table></div>{protocols(metrics)}"
    )


def _row(name: str, record: dict[str, Any], heads: Sequence[str]) -> str:
    grade, words = reading(record)
    p = [] if record.get("p") is None else [f"p {short(record['p'], 2)}"]
    contents = [
        f'<span class="big">{value(record)}</span>',
        short(record.get("floor")),
        f'<span class="mark {grade}">{words}</span>',
        " · ".join(error(record) + p),
        count(record.get("n_fake", 0)),
        count(record["n_real"]) if record.get("n_real") else "known law",
        text(record.get("features", "raw")),
    ]
    row = "".join(
        f'<td data-label="{head}"{" class=wide" if head in ("Reading", "Features") else ""}>{content}</td>'
        for head, content in zip(heads[1:], contents, strict=True)
    )
    return f'<tr><th scope="row">{heading(name, record)}</th>{row}</tr>'


def heading(name: str, record: dict[str, Any]) -> str:
    """A metric's name, which way is better, and what it measures."""
    arrow = {"lower": "\u00a0↓", "higher": "\u00a0↑", "near": "\u00a0≈"}.get(str(record.get("better", "lower")), "")
    short_name = name.removesuffix(f"@{record.get('features')}")  # a column of its own says it
    words = text(record.get("about") or READINGS.get(name.split("@")[0].split("[")[0], ""))
    return f"{text(short_name)}{arrow}{f'<small>{words}</small>' if words else ''}"


def value(record: dict[str, Any]) -> str:
    """The value, or that there is none."""
    known = record.get("value")
    return "not finite" if known is None else short(known)


def error(record: dict[str, Any]) -> list[str]:
    """The standard error, if there is one."""
    return [] if record.get("se") is None else [f"± {short(record['se'], 2)}"]


def reading(record: dict[str, Any]) -> tuple[str, str]:
    """The class of the style sheet and the words, escaped, of the judgement that is stored with a measure."""
    known = record if _is_judged(record) else judged({"": record})[""]
    words = str(known["reading"])
    return MARKS[known["grade"]], text(words.replace("-", "−") if words[:1] == "-" else words)


def _is_judged(record: Mapping[str, Any]) -> bool:
    """Whether a record has a grade and a reading that a page can show: a stranger's may have anything."""
    return isinstance(grade := record.get("grade"), str) and grade in MARKS and isinstance(record.get("reading"), str)


def judged(metrics: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Records with the grade and the reading that were stored with them; those without good ones are judged together.

    A record that was written before judgements were stored names no finding, so its numbers of copying accuse nobody.
    """
    judgement = judge({name: _measure(record) for name, record in metrics.items()})
    return {
        name: record
        if _is_judged(record)
        else record | {"grade": judgement.readings[name].grade, "reading": judgement.readings[name].words}
        for name, record in metrics.items()
    }


def _measure(record: Mapping[str, Any]) -> Measure:
    """A stored record as a measure, as far as its judgement needs it."""
    known, floor, se, p = (number(record.get(key)) for key in ("value", "floor", "se", "p"))
    n, m = (size if isinstance(size := record.get(key), int) and size > 0 else 0 for key in ("n_fake", "n_real"))
    better = record.get("better", "lower")
    protocol = {str(key): x for key, x in mapping(record.get("protocol")).items() if isinstance(x, str | int | float)}
    return Measure(
        math.nan if known is None else known, floor, se, p, n, m,
        better=better if better in ("higher", "near", "none") else "lower", protocol=protocol,
    )  # fmt: skip


def protocols(metrics: Mapping[str, dict[str, Any]]) -> str:
    """How each metric was measured, to unfold."""
    items = ""
    for name, record in metrics.items():
        protocol = mapping(record.get("protocol"))
        words = ", ".join(f"{text(key)} {short(setting, 6)}" for key, setting in protocol.items()) or "not recorded"
        items += f"<dt>{text(name)}</dt><dd>{words}</dd>"
    return f"<details><summary>How they were measured</summary><dl>{items}</dl></details>"
