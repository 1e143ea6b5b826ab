"""The tables of the bench: on a terminal, and as Markdown for a page, with standard errors behind every number."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.table import Table

from pushforward import files
from pushforward.benches.stability.summary import AT_END, LOST, Row
from pushforward.benches.statistics import Mean, Share
from pushforward.errors import UsageError

__all__ = ["BEGIN", "END", "check", "markdown", "placed", "shown", "words_of"]

BEGIN, END = "<!-- bench stability: begin -->", "<!-- bench stability: end -->"
PARTS = {"at T": AT_END, "lost after the best, and from T to 3T": LOST}
DECIMALS = {"ahead": 2, "mode_kl": 4, "drift_kl": 4, "lost_modes": 2, "drift_modes": 2}


def words_of(number: Mean | Share, decimals: int = 3) -> str:
    """A number with its standard error; a share of none or all with Wilson's interval; nothing where nothing is."""
    if isinstance(number, Share):
        if not number.n:
            return ""
        if number.se is None:
            low, high = number.interval
            return f"{number.value:.0f} ({low:.2f} to {high:.2f})"
        return f"{number.value:.2f} ± {number.se:.2f}"
    if math.isnan(number.value):
        return ""
    error = "" if number.se is None else f" ± {number.se:.{decimals}f}"
    return f"{number.value:.{decimals}f}{error}"


def _rows(rows: Sequence[Row], titles: Mapping[str, str]) -> list[list[str]]:
    """Head and rows in words: runs and their share, then the means of these titles that any row has."""
    names = [name for name in titles if any(row.means[name].n for row in rows)]
    found = [["", "runs", "all modes", *(titles[name] for name in names)]]
    for row in rows:
        broken = f", {row.failed} broke off" if row.failed else ""
        means = [words_of(row.means[name], DECIMALS.get(name, 3)) for name in names]
        found.append([row.name, f"{row.runs}{broken}", words_of(row.whole), *means])
    return found


def shown(title: str, rows: Sequence[Row]) -> list[Table]:
    """Rows for a terminal: how runs ended, then what they lost and how they drifted."""
    tables = list[Table]()
    for part, titles in PARTS.items():
        head, *body = _rows(rows, titles)
        table = Table(title=f"{title}: {part}", title_justify="left", header_style="bold")
        for k, name in enumerate(head):
            table.add_column(name, justify="right" if k else "left", no_wrap=True)
        for cells in body:
            table.add_row(*cells)
        tables.append(table)
    return tables


def markdown(rows: Sequence[Row]) -> str:
    """The same for a page."""
    written = list[str]()
    for part, titles in PARTS.items():
        head, *body = _rows(rows, titles)
        lines = [[part, *head[1:]], ["---"] * len(head), *body]
        written.append("".join(f"| {' | '.join(line)} |\n" for line in lines))
    return "\n".join(written)


def placed(path: Path, text: str) -> None:
    """Write text into a page: between its two marks where it has them, else as the whole file.

    Raises:
        UsageError: If a file is there that has no marks, and is none of ours: it would be lost.
        OSError: If it cannot be written.
    """
    files.write(path, _within(path, text), parents=True)


def _within(path: Path, text: str) -> str:
    """What the file will hold."""
    whole = f"{BEGIN}\n{text}{END}\n"
    if not path.exists():
        return whole
    before, mark, rest = path.read_text("utf-8").partition(BEGIN)
    _, closed, after = rest.partition(END)
    if not mark or not closed:
        raise UsageError(f"--markdown {path}: has no line {BEGIN} and {END} behind it, between which the table goes")
    return f"{before}{whole.rstrip()}{after}"


def check(path: Path) -> None:
    """Refuse a page that the table would not find its place in, before any work.

    Raises:
        UsageError: If it is there without marks.
    """
    _within(path, "")
