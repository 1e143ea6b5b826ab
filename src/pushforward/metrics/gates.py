"""Gates: conditions under which an evaluation counts as failed, for scripts that must stop on a bad model.

    p < 0.01            any test of one law, all p-values corrected together (Holm)
    copies              the model copies its training data
    mmd.p < 0.01        the p-value of one
    recall < 0.5        a value
    FD > 1.5*floor      a value against its floor

A name may leave out the feature space behind its @.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pushforward.errors import UsageError, meant
from pushforward.metrics.copying.memorisation import copies
from pushforward.metrics.core.result import Measure, holm, plain, test_values

__all__ = ["Gate", "parse_gate"]


COMPARISONS = {"<=": operator.le, ">=": operator.ge, "<": operator.lt, ">": operator.gt}
GRAMMAR = re.compile(
    r"\s*(?P<name>[^\s<>=]+?)(?:\.(?P<field>value|p|floor|se))?\s*(?P<sign><=|>=|<|>)\s*"
    r"(?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)?\s*(?P<times>\*)?\s*(?P<floor>floor)?\s*"
)


@dataclass(frozen=True)
class Gate:
    """A condition that must not hold.

    Attributes:
        text: As it was written.
        name: Metric, without or with its feature space; "p" for all tests together.
        field: What is looked at.
        sign: One of <, <=, >, >=.
        limit: The number.
        of_floor: Whether the limit is a multiple of the metric's floor.
    """

    text: str
    name: str
    field: str
    sign: str
    limit: float
    of_floor: bool

    def expect(self, names: Sequence[str], tests: int = 1, permutations: int = 0) -> None:
        """Refuse a gate on what will not be measured, or that could never fail, before any work.

        Args:
            names: What will be measured, without feature spaces and columns.
            tests: Number of permutation tests among them.
            permutations: Relabellings B of each; the smallest p-value is 1 / (B + 1), and Holm multiplies it.

        Raises:
            UsageError: If the gate's metric is not among them, or its limit lies below any p-value.
        """
        several = tests if self.name == "p" else 1
        if self.field == "p" and self.sign in ("<", "<=") and permutations > 0 and several:
            smallest = several / (permutations + 1)
            if smallest > self.limit or (smallest == self.limit and self.sign == "<"):
                wanted = math.ceil(several / self.limit) if self.limit > 0 else 0
                remedy = f"use --permutations {wanted} or more" if wanted else "give a limit above 0"
                of = (
                    f"{several} tests of {permutations} permutations" if several > 1 else f"{permutations} permutations"
                )
                raise UsageError(f"gate {self.text!r} could never fail: {of} give p = {smallest:.2g} at best: {remedy}")
        if self.name == "copies":
            if "copying" not in names:
                raise UsageError(
                    f"gate {self.text!r}: memorisation is not measured: name it among --metrics; files need the "
                    "training set too, --train"
                )
            return
        if self.name != "p" and not {*map(str.lower, (self.name, *_short(self.name)))} & {*map(str.lower, names)}:
            hint = meant(self.name, names)
            raise UsageError(f"gate {self.text!r}: {self.name} is not measured: {hint}there are {', '.join(names)}")

    def check(self, measures: Mapping[str, Measure]) -> str | None:
        """Why the gate fails, in words, or None where it passes. A value that is not finite fails.

        Raises:
            UsageError: If no such metric was measured, or it has no such field.
        """
        if self.name == "p":
            values = list(test_values(measures).values())
            if not values:
                raise UsageError(f"gate {self.text!r}: no test with a p-value was made: add one, as mmd or c2st")
            return self._compare(min(holm(values)), self.limit, f"smallest of {len(values)} p after Holm")
        if self.name == "copies":
            return "the model copies its training data" if copies(plain(measures)) else None
        found = [name for name in measures if self.name.lower() in (name.lower(), *map(str.lower, _short(name)))]
        if not found:
            self.expect([short for name in measures for short in _short(name)])
        for name in found:
            measure = measures[name]
            value: float | None = getattr(measure, self.field)
            if value is None or (self.of_floor and measure.floor is None):
                lacks = "floor" if value is not None else self.field
                raise UsageError(f"gate {self.text!r}: {name} has no {lacks}: gate its value, or another metric")
            limit = self.limit * (measure.floor or 0.0) if self.of_floor else self.limit
            words = self._compare(value, limit, name if self.field == "value" else f"{name}.{self.field}")
            if words:
                return words
        return None

    def _compare(self, value: float, limit: float, what: str) -> str | None:
        if not math.isfinite(value):
            return f"{what} is not finite"
        floor = f" = {self.limit:g} x floor" if self.of_floor else ""
        return f"{what} = {value:.4g} {self.sign} {limit:.4g}{floor}" if COMPARISONS[self.sign](value, limit) else None


def _short(name: str) -> tuple[str, str]:
    """A name without its feature space, and also without its column."""
    short = name.split("@")[0]
    return short, short.split("[")[0]


def parse_gate(text: str) -> Gate:
    """Read a gate such as 'p<0.01', 'recall<0.5', 'FD>1.5*floor' or 'copies'.

    Raises:
        UsageError: If it is none.
    """
    if text.strip() == "copies":
        return Gate(text, "copies", "value", "", 0.0, False)
    match = GRAMMAR.fullmatch(text)
    number, times, floor = match.group("number", "times", "floor") if match else (None, None, None)
    complete = (number and times and floor) or (number and not times and not floor) or (floor and not number)
    if not match or not complete or (times and not number):
        raise UsageError(f"gate {text!r}: write NAME<NUMBER, as 'p<0.01', 'recall<0.5', 'FD>1.5*floor', or copies")
    field = match["field"] or ("p" if match["name"] == "p" else "value")
    return Gate(text, match["name"], field, match["sign"], float(number or 1), bool(floor))
