"""Measured numbers with what is needed to read them: floor, error, sizes, features and protocol."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from pushforward.errors import DataError

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "COPYING",
    "OUTCOMES",
    "OVERFITTING",
    "Measure",
    "Plain",
    "Row",
    "Words",
    "bearing",
    "compare_scores",
    "holm",
    "plain",
    "short_name",
    "test_values",
    "to_json",
]

COPYING, OVERFITTING = "does not copy", "does not overfit"
"""Hypotheses of a model other than that its samples follow the law of the data; `protocol["hypothesis"]` names them."""

OUTCOMES = frozenset(("classes_counted", "effect", "modes_counted", "noise", "off", "samples_counted"))
"""Entries of a protocol that say what was found, not how."""

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
        better: Which direction is good; "near" where it is the floor's, from either side.
        protocol: Everything else that changes the number: split, seed, kernel, conventions. Its `effect` says in words
            how much a test found.
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
    better: Literal["lower", "higher", "near", "none"] = "lower"
    protocol: dict[str, str | float | int] = field(default_factory=dict[str, "str | float | int"])
    detail: dict[str, Tensor] = field(default_factory=dict[str, "Tensor"], compare=False, repr=False)
    about: str = ""
    rows: tuple[Row, ...] = ()

    @property
    def error(self) -> float | None:
        """Standard error of value less floor where it is known, else of the value."""
        apart = self.protocol.get("se_apart")
        return float(apart) if isinstance(apart, float) else self.se

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


def test_values(measures: Mapping[str, Measure]) -> dict[str, float]:
    """p-values of the tests of one law by name; a measure whose protocol names another hypothesis is left out."""
    return {
        name: measure.p
        for name, measure in measures.items()
        if measure.p is not None and math.isfinite(measure.p) and "hypothesis" not in measure.protocol
    }


def bearing(name: str, names: Iterable[str]) -> list[str]:
    """The full names that a short one stands for, upper and lower case alike.

    The name itself; else those that are it without the feature space behind their @; else without the column in
    brackets too: "FD" finds "FD@digits8-1a2b3c4d", "hill" every "hill[column]".

    Args:
        name: What is asked for.
        names: Full names.
    """
    known, asked = list(names), name.lower()
    if name in known:
        return [name]
    for short in (lambda full: full, lambda full: full.split("@")[0], lambda full: full.split("@")[0].split("[")[0]):
        if found := [full for full in known if short(full).lower() == asked]:
            return found
    return []


def short_name(name: str, names: Iterable[str]) -> str:
    """A name without the feature space behind its @, where no other of the names is called so."""
    bare = name.split("@")[0]
    return bare if bearing(bare, names) == [name] else name


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
    drawn = {
        "seed",
        "floor",
        "se",
        "se_apart",
        "note",
        "null_95",
        "permutations",
        *OUTCOMES,
    }  # they change the reading, not the estimand
    for key in (a.protocol.keys() | b.protocol.keys()) - drawn:
        if a.protocol.get(key) != b.protocol.get(key):
            return f"{key} {a.protocol.get(key)} and {b.protocol.get(key)}"
    return None


def to_json(measures: Mapping[str, Measure]) -> dict[str, dict[str, dict[str, Plain]]]:
    """`{"metrics": {name: record}}`, ready for `json.dumps(..., allow_nan=False)`."""
    return {"metrics": {name: measure.as_dict() for name, measure in measures.items()}}


def _finite(value: str | float | int | None) -> str | float | int | None:
    return None if isinstance(value, float) and not math.isfinite(value) else value
