"""Lines of the table of `benchmarks.few_images`, and what several seeds have in common."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

COLUMNS = {"CPU s": ".0f", "steps": ".0f", "FD": ".1f", "floor": ".1f", "right %": ".1f", "authentic": ".2f",
           "near %": ".1f", "equal %": ".1f", "gap": ".2f", "ratio": ".2f", "copies": "yes"}  # fmt: skip
"""What is measured, and how it is written."""


@dataclass(frozen=True)
class Line:
    """A row of the table.

    Attributes:
        title: Whose samples.
        n: How many.
        numbers: Those of `COLUMNS`; what is not known is not a number.
        said: What the memorisation report says, where it finds copies.
    """

    title: str
    n: int
    numbers: tuple[float, ...]
    said: str

    def __str__(self) -> str:
        """In columns, for the terminal, under `head`."""
        return _row(self.title, self.n, (_cell(x, form) for x, form in zip(self.numbers, COLUMNS.values())))


def head() -> str:
    """The names of the columns, as lines stand under them."""
    return _row("", "n", COLUMNS)


def _row(title: str, n: int | str, cells: Iterable[str]) -> str:
    return f"{title:42} {n:>4} " + " ".join(f"{cell:>9}" for cell in cells)


def _cell(number: float, form: str) -> str:
    """A number, yes or no, or nothing."""
    if math.isnan(number):
        return ""
    return ("no", "yes")[int(number)] if form == "yes" else f"{number:{form}}"


def together(lines: Sequence[Line]) -> Iterator[str]:
    """Means with lowest and highest of the lines that have one title, as a table in Markdown."""
    yield "| | n | " + " | ".join(COLUMNS) + " |"
    yield "|---" * (2 + len(COLUMNS)) + "|"
    for title in dict.fromkeys(line.title for line in lines):
        same = [line for line in lines if line.title == title]
        cells = []
        for values, form in zip(zip(*(line.numbers for line in same)), COLUMNS.values()):
            if form == "yes":
                cells.append(f"{sum(values):.0f} of {len(same)}")
                continue
            least, most = _cell(min(values), form), _cell(max(values), form)
            cells.append(least if least == most else f"{_cell(sum(values) / len(same), form)} ({least} to {most})")
        yield f"| {title} | {same[0].n} | " + " | ".join(cells) + " |"
