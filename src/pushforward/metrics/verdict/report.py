"""What an evaluation found: its measures by name, its findings, and the judgement of all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, final

from pushforward.errors import meant, printable
from pushforward.metrics.core.result import Measure, bearing, short_name
from pushforward.metrics.verdict.judgement import Judgement, judge
from pushforward.metrics.verdict.readings import Grade
from pushforward.metrics.verdict.worst import MOST, Table, behind, nothing
from pushforward.plain.findings import Finding, LeftOut
from pushforward.plain.sizes import WIDE

if TYPE_CHECKING:
    from rich import table as grids
    from rich.console import RenderableType

__all__ = ["SHADES", "Report", "beneath", "table"]

SHADES: Mapping[Grade, str] = {"good": "green", "bad": "red", "doubtful": "yellow", "record": "default"}
"""Colours of grades in the terminal."""


@final
@dataclass(frozen=True)
class Report(Mapping[str, Measure]):
    """What an evaluation found: measures by name, in the order of reading, and what must be known about them.

    It is a mapping: `report["mmd"].p`, `for name, measure in report.items()`. A short name finds the only measure that
    bears it: `report["FD"]` for `report["FD@digits8-1a2b3c4d"]`.

    Attributes:
        measures: Name -> measure.
        notes: What was done to the samples before they were measured, in plain words.
        left_out: The parts that were to be measured and were not, and why.
        findings: What was found beside the tests, by name: impossible values, copies, too few rows.
        unsought: Findings, and measures, that nothing looked for, by name, and why.
    """

    measures: dict[str, Measure]
    notes: tuple[str, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    findings: tuple[Finding, ...] = ()
    unsought: Mapping[str, str] = field(default_factory=dict[str, str])

    def __getitem__(self, name: str) -> Measure:
        """One measure, by its full name or a short one that no other bears.

        Raises:
            KeyError: If none or several bear the name; it says which there are.
        """
        found = bearing(name, self.measures)
        if len(found) == 1:
            return self.measures[found[0]]
        if found:
            raise KeyError(f"{name} is the short name of {', '.join(found)}: give one of them")
        short = list(dict.fromkeys(full.split("@")[0] for full in self.measures))
        raise KeyError(f"{name} was not measured: {meant(name, short)}there are {', '.join(short) or 'no measures'}")

    def __iter__(self) -> Iterator[str]:
        """Full names, in the order of reading."""
        return iter(self.measures)

    def __len__(self) -> int:
        """Number of measures."""
        return len(self.measures)

    @cached_property
    def judgement(self) -> Judgement:
        """What it all comes to, by the one rule that verdict, table, page, JSON and gates read."""
        return judge(self.measures, self.findings)

    @property
    def verdict(self) -> str:
        """Whether samples and data differ, what was found against the samples, and what puts that in doubt."""
        return self.judgement.verdict

    @property
    def grade(self) -> Grade:
        """The verdict in a word: good, bad, doubtful, or "record" where nothing was tested."""
        return self.judgement.grade

    @property
    def warnings(self) -> tuple[str, ...]:
        """What must be read with the verdict, each once: the findings' words, then what was left out."""
        return tuple(dict.fromkeys((*(one.words for one in self.findings), *map(str, self.left_out))))

    @property
    def unknown(self) -> dict[str, str]:
        """Measures and findings that nobody can know, since they were not looked for, by name, and why.

        What was found is known, whichever other part would have looked for it too.
        """
        every = {name: str(one) for one in self.left_out for name in one.of} | dict(self.unsought)
        found = {one.name for one in self.findings}
        return {name: why for name, why in every.items() if name not in found}

    @cached_property
    def worst(self) -> tuple[Table, ...]:
        """Which columns and pairs differ, the worst first, where it was measured."""
        return behind({name: measure.rows for name, measure in self.measures.items()})

    def __str__(self) -> str:
        """The verdict, what must be read with it, the tables and the notes, as words."""
        from rich.console import Console

        console = Console(width=WIDE, color_system=None)
        with console.capture() as caught:
            for part in (table(self), *beneath(self)):
                console.print(part)
        said = [self.verdict, *(f"warning: {words}" for words in self.warnings)]
        notes = ["", *(f"note: {note}" for note in self.notes)] if self.notes else []
        return "\n".join([*said, "", caught.get().rstrip(), *notes])

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON, with no NaN or infinity in them.

        `{"verdict", "grade", "warnings", "notes", "findings", "unknown", "metrics": {name: record}}`; a record of a
        measure says its `short` name, its `grade` and its `reading` too, and unknown why something was not looked for.
        """
        said = {"verdict": self.verdict, "grade": self.grade}
        said |= {"warnings": list(self.warnings), "notes": list(self.notes)}
        found = [
            {"name": one.name, "words": one.words, "against": one.against} | dict(one.numbers) for one in self.findings
        ]
        said |= {"findings": found, "unknown": self.unknown}
        return said | {"metrics": {name: self._record(name) for name in self.measures}}

    def _record(self, name: str) -> dict[str, Any]:
        own = self.judgement.readings[name]
        short = short_name(name, self.measures)
        return self.measures[name].as_dict() | {"short": short, "grade": own.grade, "reading": own.words}


def table(measures: Mapping[str, Measure]) -> grids.Table:
    """A table for the terminal: one row a metric, each value next to its floor and its error or p-value.

    Args:
        measures: By name; of a report, each with its reading.
    """
    from rich.markup import escape
    from rich.table import Table as Grid

    arrows = {"lower": "↓", "higher": "↑", "near": "≈", "none": ""}
    grid = Grid(box=None, pad_edge=False)
    grid.add_column("metric", no_wrap=True)
    for heading in ("value", "floor", "± / p", "n fake", "n real"):
        grid.add_column(heading, justify="right", no_wrap=True)
    grid.add_column("features", overflow="fold")
    readings = measures.judgement.readings if isinstance(measures, Report) else {}
    if readings:
        grid.add_column("reading", overflow="fold")
    for name, measure in measures.items():
        short = name.removesuffix(f"@{measure.features}")  # the column of features says it
        own = readings.get(name)
        cells = [f"{measure.value:.4g}", *_beside(measure), escape(printable(measure.features))]
        cells += [f"[{SHADES[own.grade]}]{escape(printable(own.words))}[/]"] if own else []
        grid.add_row(escape(printable(f"{short} {arrows[measure.better]}".rstrip())), *cells)
    return grid


def _beside(measure: Measure) -> Sequence[str]:
    """Floor, error or p-value, and sizes."""
    error = f"p {measure.p:.2g}" if measure.p is not None else "" if measure.se is None else f"± {measure.se:.2g}"
    floor = "" if measure.floor is None else f"{measure.floor:.4g}"
    return floor, error, str(measure.n_fake), str(measure.n_real) if measure.n_real else ""


def beneath(report: Report) -> Sequence[RenderableType]:
    """What stands beneath the table in the terminal: the worst columns and pairs, in what way they differ."""
    if words := nothing(report.worst):
        return [f"\n{words}"]
    return [part for one in report.worst for part in _differing(one)]


def _differing(one: Table) -> Sequence[RenderableType]:
    from rich.markup import escape
    from rich.table import Table as Grid

    lead = f"\n{one.lead}"
    if not one.worth:
        return [lead]
    grid = Grid(box=None, pad_edge=False)
    grid.add_column(one.kind, overflow="fold", max_width=40)
    grid.add_column("in what way", overflow="fold")
    for heading in ("distance", "floor", "p"):
        grid.add_column(heading, justify="right", no_wrap=True)
    for line in one.worth[:MOST]:
        words = [escape(printable(part)) for part in (line.name, line.way)]
        grid.add_row(*words, *("" if x is None else f"{x:.2g}" for x in (line.distance, line.floor, line.p)))
    return [f"{lead}:", grid, *([one.more()] if one.more() else [])]
