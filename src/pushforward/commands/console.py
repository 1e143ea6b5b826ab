"""How commands speak: words for people on standard error, tables and answers on standard output."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console

from pushforward.errors import printable, shortened
from pushforward.plain.sizes import WIDE

if TYPE_CHECKING:
    from pushforward.metrics.verdict.report import Report

__all__ = ["command_line", "say", "show", "show_report", "tell"]

say = Console(stderr=True, highlight=False)


def tell(words: str, style: str | None = None) -> None:
    """Say something on standard error, on one line; names in it are shown as they are, and move nothing."""
    _line(say, words, style)


def _line(console: Console, words: str, style: str | None) -> None:
    console.print(printable(words), style=style, soft_wrap=True, markup=False)


def show(*tables: Any) -> None:
    """Print tables and what stands between them on standard output."""
    out = Console(highlight=False)
    if not out.is_terminal and "COLUMNS" not in os.environ:
        out.width = WIDE
    for rows in tables:
        out.print(rows, soft_wrap=True)


def show_report(report: Report, failed: Sequence[str] = ()) -> None:
    """Print an evaluation: the verdict and what must be read with it, the table, then how each number was had."""
    from pushforward.metrics.verdict.report import SHADES, beneath, table

    out = Console(highlight=False)
    _line(out, report.verdict, f"bold {SHADES[report.grade]}")
    for warning in report.warnings:
        _line(out, f"warning: {warning}", "bold yellow")
    for words in failed:
        _line(out, f"gate failed: {words}", "bold red")
    out.print()
    show(table(report), *beneath(report))
    out.print()
    splits = dict.fromkeys(str(measure.protocol["split"]) for measure in report.values() if "split" in measure.protocol)
    seeds = ", ".join(dict.fromkeys(str(measure.protocol.get("seed", 0)) for measure in report.values()))
    for words in (
        f"compared: {'; '.join(splits)}; seed {seeds}",
        *(f"note: {shortened(note)}" for note in report.notes),
    ):
        _line(out, words, "dim")
    for name, measure in report.items():
        known = {key: value for key, value in measure.protocol.items() if key not in ("split", "seed")}
        words = ", ".join(f"{k} {v:.6g}" if isinstance(v, float) else f"{k} {v}" for k, v in known.items())
        _line(out, f"{name}: {words}", "dim")


def command_line(arguments: Sequence[str]) -> str:
    """The command as one would type it again."""
    return shlex.join(["pushforward", *arguments])
