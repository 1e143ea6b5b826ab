"""One measured number with what is needed to read it: floor, error, sizes, features and protocol."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from rich.table import Table
    from torch import Tensor

__all__ = ["Measure", "Plain", "table", "to_json"]

Plain = str | float | int | None | dict[str, str | float | int | None]


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

    def as_dict(self) -> dict[str, Plain]:
        """Plain values for JSON: value, floor, se and/or p, n_fake, n_real, features first; non-finite becomes None."""
        record: dict[str, Plain] = {"value": _finite(self.value), "floor": _finite(self.floor)}
        if self.se is not None or self.p is None:
            record["se"] = _finite(self.se)
        if self.p is not None:
            record["p"] = _finite(self.p)
        record |= {"n_fake": self.n_fake, "n_real": self.n_real, "features": self.features, "better": self.better}
        record["protocol"] = {key: _finite(value) for key, value in self.protocol.items()}
        return record


def to_json(measures: Mapping[str, Measure]) -> dict[str, dict[str, dict[str, Plain]]]:
    """`{"metrics": {name: record}}`, ready for `json.dumps(..., allow_nan=False)`."""
    return {"metrics": {name: measure.as_dict() for name, measure in measures.items()}}


def table(measures: Mapping[str, Measure]) -> Table:
    """A table for the terminal: one row a metric, each value next to its floor and its error or p-value."""
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
            f"{short} {arrows[measure.better]}".rstrip(), f"{measure.value:.4g}", floor, error, *sizes, measure.features
        )
    return grid


def _finite(value: str | float | int | None) -> str | float | int | None:
    return None if isinstance(value, float) and not math.isfinite(value) else value
