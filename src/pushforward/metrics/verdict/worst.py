"""Which columns and pairs differ, for people: the worst rows of the tables behind the tests, in words.

Rows are read with care, since those of a run's metrics.json may come from anybody.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pushforward.plain.lists import counted

__all__ = ["KINDS", "MOST", "Line", "Table", "behind", "nothing"]

KINDS: Final = {"columns": "column", "pairs": "pair"}
"""Measures with a table behind them, and what a row of it is."""

MOST = 10  # rows of a table that are told of
LEVEL = 0.05  # of p-values that are corrected for all rows of a table


@dataclass(frozen=True)
class Line:
    """A column or a pair.

    Attributes:
        name: Its name; of a pair both.
        way: In what way it differs, "" where that was not seen.
        distance: Share of rows between fake and real, or difference of associations.
        floor: The same of relabelled rows.
        p: Corrected for all rows of the table; None where nothing was relabelled.
    """

    name: str
    way: str
    distance: float | None
    floor: float | None
    p: float | None

    @property
    def differs(self) -> bool:
        """Whether it is worth a look; without a p-value, whether it is twice as far as relabelled rows are."""
        if self.p is not None:
            return self.p < LEVEL
        return self.distance is not None and self.floor is not None and self.distance > 2 * self.floor


@dataclass(frozen=True)
class Table:
    """The columns, or the pairs, of a comparison.

    Attributes:
        kind: What a row is: column or pair.
        lines: All rows, the worst first.
    """

    kind: str
    lines: tuple[Line, ...]

    @property
    def worth(self) -> tuple[Line, ...]:
        """The rows that are worth a look."""
        return tuple(line for line in self.lines if line.differs)

    @property
    def lead(self) -> str:
        """How many rows differ, of how many."""
        count, every = len(self.worth), len(self.lines)
        what = f"1 {self.kind}" if every == 1 else f"{every:,} {self.kind}s"
        known = [line.p for line in self.lines if line.p is not None]
        said = f"p corrected for all {every:,}" if known else "not tested: more than twice the floor"
        if count:
            return f"{count:,} of {what} differ{'s' if count == 1 else ''} ({said}), the worst first"
        lowest = f" (smallest p {min(known):.2g}, corrected for all {every:,})" if known else f" ({said})"
        return f"None of {what} differs{lowest}" if every > 1 else f"The {self.kind} does not differ{lowest}"

    def more(self, most: int = MOST) -> str:
        """How many of the rows that differ are not shown, or ""."""
        left = len(self.worth) - most
        return f"{counted(left, f'more {self.kind}', 'stand')} in the JSON" if left > 0 else ""


def behind(metrics: Mapping[str, Sequence[Any]]) -> tuple[Table, ...]:
    """The tables of columns and of pairs, as far as there are rows.

    Args:
        metrics: Rows by the name of their measure, as of `Measure.rows` or of its JSON.
    """
    found = [Table(kind, _lines(kind, metrics[name])) for name, kind in KINDS.items() if name in metrics]
    return tuple(table for table in found if table.lines)


def nothing(tables: Sequence[Table]) -> str:
    """In a line that nothing differs, or "" where something does or nothing was measured."""
    if not tables or any(table.worth for table in tables):
        return ""
    counts = [f"{len(one.lines):,} {one.kind}{'s' if len(one.lines) > 1 else ''}" for one in tables]
    known = [line.p for one in tables for line in one.lines if line.p is not None]
    said = f"smallest corrected p {min(known):.2g}" if known else "not tested: none is twice as far as its floor"
    return f"None of {' and '.join(counts)} differs ({said})"


def _lines(kind: str, rows: Sequence[Any]) -> tuple[Line, ...]:
    return tuple(_line(kind, row) for row in rows if isinstance(row, Mapping))


def _line(kind: str, row: Mapping[str, Any]) -> Line:
    if kind == "pair":
        name, way = f"{_words(row.get('first'))} × {_words(row.get('second'))}", _together(row)
    else:
        name, way = _words(row.get("column")), _words(row.get("way"))
    distance, floor, p = (_number(row.get(key)) for key in ("distance", "floor", "p_corrected"))
    return Line(name, way, distance, floor, p)


def _together(row: Mapping[str, Any]) -> str:
    """How two columns belong together, in fake and in real."""
    fake, real, distance = (_number(row.get(key)) for key in ("fake", "real", "distance"))
    if fake is None or real is None:
        return ""
    way = f"{_words(row.get('kind'))} {fake:.2f}, real {real:.2f}"
    # Two tables of levels may be far apart though each is as far from independence as the other.
    return way if distance is None or abs(fake - real) >= 0.5 * distance else f"{way}, of another shape"


def _words(value: object) -> str:
    return value if isinstance(value, str) else "" if value is None else f"{value}"


def _number(value: object) -> float | None:
    known = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if known and isinstance(value, int | float) else None
