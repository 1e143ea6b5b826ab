"""A metric in words: its name, its value, and how that stands to its floor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pushforward.metrics.suite import READINGS
from pushforward.report.values import count, digits, mapping, number, short, text

__all__ = ["FLOOR", "error", "heading", "protocols", "reading", "rows", "value"]

FLOOR = (
    "The floor is what real data of the same sizes score against real data; for a count or a share it is what a "
    "perfect sampler scores. A value means something only next to it."
)

FOUND = {
    "does not copy": ("copies", "no sign of copying"),
    "does not overfit": ("overfits", "no sign of overfitting"),
}
"""What a rejected and a kept hypothesis say of a model, other than that samples and data follow one law."""


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
    arrow = {"lower": "\u00a0↓", "higher": "\u00a0↑"}.get(str(record.get("better", "lower")), "")
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
    """A value relative to its floor: a grade (good, bad or none) and plain words."""
    known, floor, p = (number(record.get(key)) for key in ("value", "floor", "p"))
    if known is None:
        return "bad", "not finite: something went wrong"
    protocol = mapping(record.get("protocol"))
    found = FOUND.get(str(protocol.get("hypothesis")))
    if record.get("better") == "none" and (p is None or found is None):
        return "", "for the record"
    grade, words = _against_floor(known, floor, number(record.get("se")) or 0.0, record.get("better") == "higher",
                                  protocol.get("scale") == "interval")  # fmt: skip
    if p is None:
        return grade, words
    if found is not None:
        return ("bad", f"{found[0]} (p {digits(p, 2)})") if p < 0.01 else ("good", f"{found[1]} (p {digits(p, 2)})")
    more = f", {words}" if floor and floor > 0 else ""
    if p < 0.05:
        return "", f"told apart from data (p {digits(p, 2)}){more}"
    return "good", f"not told apart from data (p {digits(p, 2)}){more}"


def _against_floor(known: float, floor: float | None, se: float, higher: bool, interval: bool) -> tuple[str, str]:
    """How a value stands to its floor; on an `interval` scale, that of log-likelihoods, by their difference."""
    if floor is None:
        return "", "no floor known"
    if interval:
        off = floor - known if higher else known - floor
        return ("good", "at the floor") if off <= 2 * se else ("", f"{digits(off, 2)} from the floor")
    if (known >= floor - 2 * se) if higher else (known <= floor + 2 * se or known <= 1.05 * floor):
        return "good", "as good as can be expected" if higher else "at the floor"
    if floor <= 0:
        return "", f"{digits(abs(known - floor), 2)} {'below' if higher else 'above'} the floor"
    return "", f"{100 * known / floor:.3g} % of the floor" if higher else f"{digits(known / floor, 2)} × the floor"


def protocols(metrics: Mapping[str, dict[str, Any]]) -> str:
    """How each metric was measured, to unfold."""
    items = ""
    for name, record in metrics.items():
        protocol = mapping(record.get("protocol"))
        words = ", ".join(f"{text(key)} {short(setting, 6)}" for key, setting in protocol.items()) or "not recorded"
        items += f"<dt>{text(name)}</dt><dd>{words}</dd>"
    return f"<details><summary>How they were measured</summary><dl>{items}</dl></details>"
