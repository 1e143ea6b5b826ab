"""Which columns and pairs differ, and in what way: a section of a page, the worst first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pushforward.metrics.verdict.worst import MOST, Line, Table, behind
from pushforward.report.values import listed, short, text

__all__ = ["worst"]

EVERY = 300  # rows of a table that a page holds

HOW = (
    "The distance of a column is the largest difference between the shares of rows below a value, or half the sum of "
    "those in its levels; of a pair the difference between two associations. The floor is what rows of one law "
    "have. The p-value counts every column that was looked at."
)


def worst(metrics: Mapping[str, Mapping[str, Any]]) -> str:
    """The section, or "" where neither columns nor pairs were measured.

    Args:
        metrics: Records by name, as `metrics.json` holds them.
    """
    tables = behind({name.split("@")[0]: listed(record.get("rows")) for name, record in metrics.items()})
    if not tables:
        return ""
    body = "".join(map(_table, tables))
    return f'<section><h2 id="columns">Which column, in what way</h2><p class="lead">{HOW}</p>{body}</section>'


def _table(one: Table) -> str:
    """The rows that are worth a look, and all of them to unfold."""
    lead = f'<p class="lead">{text(one.lead)}.</p>'
    shown, every = one.worth[:MOST], one.lines[:EVERY]
    rest = f"All {len(one.lines):,} {one.kind}s"
    if len(every) < len(one.lines):
        rest = f"The first {EVERY} of {len(one.lines):,} {one.kind}s; the others stand in the JSON"
    told = _rows(one.kind, shown) if shown else ""
    if len(one.lines) == len(shown):
        return lead + told
    return f"{lead}{told}<details><summary>{rest}</summary>{_rows(one.kind, every)}</details>"


def _rows(kind: str, lines: Sequence[Line]) -> str:
    heads = (kind.capitalize(), "In what way", "Distance", "Floor", "p")
    head = "".join(f"<th>{words}</th>" for words in heads)
    body = "".join(_row(line, heads[1:]) for line in lines)
    return (
        f'<div class="scroll"><table class="metrics"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def _row(line: Line, heads: Sequence[str]) -> str:
    said = f'<span class="mark bad">{text(line.way)}</span>' if line.differs and line.way else text(line.way)
    numbers = ["" if x is None else short(x, 2) for x in (line.distance, line.floor, line.p)]
    cells = zip(heads, [said, *numbers], strict=True)
    row = "".join(
        f'<td data-label="{name}"{" class=wide" if name == heads[0] else ""}>{content}</td>' for name, content in cells
    )
    return f'<tr><th scope="row">{text(line.name)}</th>{row}</tr>'
