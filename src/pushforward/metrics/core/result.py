"""Measured numbers with what is needed to read them: floor, error, sizes, features and protocol."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, final

from pushforward.errors import DataError, printable
from pushforward.plain.findings import Finding

if TYPE_CHECKING:
    from rich.table import Table
    from torch import Tensor

__all__ = [
    "Measure",
    "Plain",
    "Report",
    "Row",
    "Words",
    "compare_scores",
    "holm",
    "plain",
    "table",
    "test_values",
    "to_json",
]

Row = Mapping[str, str | float | int | None]
"""A row of the table behind a number."""

Plain = str | float | int | None | dict[str, str | float | int | None] | list[dict[str, str | float | int | None]]

Words = dict[str, str | float | int]
"""What a number was had by: the entries of a `Measure.protocol` that a metric writes."""


@dataclass(frozen=True)
class Measure:
    """A metric's value and its reading.

    Attributes:
        value: The number.
        floor: What real data score against real data of the same sizes; None where unknown. For a count or a share
            it is what a perfect sampler scores.
        se: Standard error of the value; `protocol["se"]` says over what.
        p: p-value of the hypothesis that fake and real follow one law.
        n_fake: Model samples used.
        n_real: Data samples used; 0 where the data's law is known.
        features: Identity of the feature space, e.g. "raw" or "digits8-1a2b3c4d". Numbers from different feature
            spaces do not compare.
        better: Which direction is good.
        protocol: Everything else that changes the number: split, seed, kernel, conventions.
        detail: What a picture of it needs, by name: the relabelled values of a test, the counts of classes. It goes
            into no record.
        about: What it is, in a line, for a page; the suite's own measures are explained there.
        rows: The table behind the number, the worst first: of columns, or of pairs of them; in JSON too.
    """

    value: float
    floor: float | None = None
    se: float | None = None
    p: float | None = None
    n_fake: int = 0
    n_real: int = 0
    features: str = "raw"
    better: Literal["lower", "higher", "none"] = "lower"
    protocol: dict[str, str | float | int] = field(default_factory=dict[str, "str | float | int"])
    detail: dict[str, Tensor] = field(default_factory=dict[str, "Tensor"], compare=False, repr=False)
    about: str = ""
    rows: tuple[Row, ...] = ()

    def as_dict(self) -> dict[str, Plain]:
        """Plain values for JSON: value, floor, se and/or p, n_fake, n_real, features first; non-finite becomes None."""
        record: dict[str, Plain] = {"value": _finite(self.value), "floor": _finite(self.floor)}
        if self.se is not None or self.p is None:
            record["se"] = _finite(self.se)
        if self.p is not None:
            record["p"] = _finite(self.p)
        record |= {"n_fake": self.n_fake, "n_real": self.n_real, "features": self.features, "better": self.better}
        record["protocol"] = {key: _finite(value) for key, value in self.protocol.items()}
        record |= {"about": self.about} if self.about else {}
        listed: dict[str, Plain] = {"rows": [{key: _finite(x) for key, x in row.items()} for row in self.rows]}
        return record | (listed if self.rows else {})


@final
@dataclass(frozen=True)
class Report(Mapping[str, Measure]):
    """What an evaluation found: measures by name, in the order of reading, and what must be known about them.

    It is a mapping: `report["mmd"].p`, `for name, measure in report.items()`.

    Attributes:
        measures: Name -> measure.
        notes: What was done to the samples before they were measured, in plain words.
        warnings: What should stop a reader: copies of the training set, files that differ in compression.
        findings: What was found beside the tests, by name: impossible values, copies, too few rows.
    """

    measures: dict[str, Measure]
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()

    def __getitem__(self, name: str) -> Measure:
        """One measure, by its full name."""
        return self.measures[name]

    def __iter__(self) -> Iterator[str]:
        """Names, in the order of reading."""
        return iter(self.measures)

    def __len__(self) -> int:
        """Number of measures."""
        return len(self.measures)

    @property
    def verdict(self) -> str:
        """Whether any test tells the samples from the data at 5 %, all p-values together, in one sentence."""
        known = test_values(self)
        if not known:
            return "No test was made: the numbers stand next to their floors."
        adjusted = dict(zip(known, holm(list(known.values()))))
        found = [f"{name} (p {known[name]:.2g})" for name in known if adjusted[name] < 0.05]
        tests = f"{len(known)} test{'s' if len(known) > 1 else ''}"
        if found:
            return f"Samples and data differ: {', '.join(found)}; {tests}, level 5 % after Holm."
        best = min(known, key=known.__getitem__)
        few = _too_few(self[best], len(known))
        return f"Not told apart: {tests}, smallest p {known[best]:.2g}, level 5 % after Holm{few}."

    def __str__(self) -> str:
        """The table, the verdict, notes and warnings, as words."""
        from rich.console import Console

        console = Console(width=140, color_system=None)
        with console.capture() as caught:
            console.print(table(self))
        said = [f"note: {note}" for note in self.notes] + [f"warning: {warning}" for warning in self.warnings]
        return "\n".join([caught.get().rstrip(), "", self.verdict, *said])

    def as_dict(self) -> dict[str, Any]:
        """`{"verdict", "warnings", "notes", "findings", "metrics": {name: record}}`, with no NaN or infinity in it."""
        said = {"verdict": self.verdict, "warnings": list(self.warnings), "notes": list(self.notes)}
        found = [
            {"name": one.name, "words": one.words, "against": one.against} | dict(one.numbers) for one in self.findings
        ]
        return said | {"findings": found} | to_json(self)


def test_values(measures: Mapping[str, Measure]) -> dict[str, float]:
    """p-values of the tests of one law by name; a measure whose protocol names another hypothesis is left out."""
    return {
        name: measure.p
        for name, measure in measures.items()
        if measure.p is not None and "hypothesis" not in measure.protocol
    }


def plain(measures: Mapping[str, Measure]) -> dict[str, Measure]:
    """Measures by their names without the feature space behind an @; of several spaces the last stays."""
    return {name.split("@")[0]: measure for name, measure in measures.items()}


def holm(values: Sequence[float]) -> list[float]:
    """p-values adjusted so that the chance of any false alarm among them stays at the level.

    Args:
        values: p-values, in any order.

    References:
        A simple sequentially rejective multiple test procedure (Holm, 1979).
    """
    order = sorted(range(len(values)), key=values.__getitem__)
    adjusted, highest = [0.0] * len(values), 0.0
    for rank, k in enumerate(order):
        highest = max(highest, min(1.0, (len(values) - rank) * values[k]))
        adjusted[k] = highest
    return adjusted


def compare_scores(first: Measure, second: Measure) -> tuple[float, float | None]:
    """The difference of two scores of one metric, first - second, and its standard error where both have one.

    Args:
        first: A measure.
        second: The same metric of another model.

    Raises:
        DataError: If they were not measured alike: other features, other sample sizes where these shift the value,
            other data or another protocol.
    """
    reason = _unlike(first, second)
    if reason:
        raise DataError(f"these scores do not compare: {reason}; measure both in the same way")
    se = None if first.se is None or second.se is None else math.hypot(first.se, second.se)
    return first.value - second.value, se


def _unlike(a: Measure, b: Measure) -> str | None:
    """Why two measures do not compare, or None."""
    if a.features != b.features:
        return f"features {a.features} and {b.features}"
    if a.floor != 0 and (a.n_fake, a.n_real) != (b.n_fake, b.n_real):  # an unbiased estimate does not depend on sizes
        return f"{a.n_fake} against {a.n_real} samples and {b.n_fake} against {b.n_real}"
    drawn = {"seed", "floor", "se", "note", "null_95", "permutations"}  # they change the reading, not the estimand
    for key in (a.protocol.keys() | b.protocol.keys()) - drawn:
        if a.protocol.get(key) != b.protocol.get(key):
            return f"{key} {a.protocol.get(key)} and {b.protocol.get(key)}"
    return None


def to_json(measures: Mapping[str, Measure]) -> dict[str, dict[str, dict[str, Plain]]]:
    """`{"metrics": {name: record}}`, ready for `json.dumps(..., allow_nan=False)`."""
    return {"metrics": {name: measure.as_dict() for name, measure in measures.items()}}


def table(measures: Mapping[str, Measure]) -> Table:
    """A table for the terminal: one row a metric, each value next to its floor and its error or p-value."""
    from rich.markup import escape
    from rich.table import Table

    arrows = {"lower": "↓", "higher": "↑", "none": ""}
    grid = Table(box=None, pad_edge=False)
    grid.add_column("metric", no_wrap=True)
    for heading in ("value", "floor", "± / p", "n fake", "n real"):
        grid.add_column(heading, justify="right", no_wrap=True)
    grid.add_column("features", overflow="fold")
    for name, measure in measures.items():
        error = f"p {measure.p:.2g}" if measure.p is not None else "" if measure.se is None else f"± {measure.se:.2g}"
        floor = "" if measure.floor is None else f"{measure.floor:.4g}"
        sizes = (str(measure.n_fake), str(measure.n_real) if measure.n_real else "")
        short = name.removesuffix(f"@{measure.features}")  # the last column says it
        grid.add_row(
            escape(printable(f"{short} {arrows[measure.better]}".rstrip())),
            f"{measure.value:.4g}",
            floor,
            error,
            *sizes,
            escape(printable(measure.features)),
        )
    return grid


def _too_few(measure: Measure, tests: int) -> str:
    """A word of caution where every relabelling lies below the value seen, and still they are too few to tell."""
    drawn = measure.protocol.get("permutations")
    if not isinstance(drawn, int) or measure.p is None or measure.p * (drawn + 1) > 1.5:
        return ""
    return f"; p cannot fall below 1/{drawn + 1}: use {20 * tests} permutations or more"


def _finite(value: str | float | int | None) -> str | float | int | None:
    return None if isinstance(value, float) and not math.isfinite(value) else value
