"""Gates: conditions under which an evaluation counts as failed, for scripts that must stop on a bad model.

    bad                 the verdict: a test of one law rejects, or something was found against the samples
    doubtful            the same, or the comparison itself is in doubt
    p < 0.01            any test of one law, all p-values corrected together (Holm)
    copies              something was found: copies, support, few, same, leak, ...
    mmd.p < 0.01        the p-value of one
    recall < 0.5        a value
    FD > 1.5*floor      a value against its floor

A name may leave out the feature space behind its @ and the column in its brackets; of several measures that bear it,
any fails the gate. Upper and lower case are alike.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from pushforward.errors import UsageError, meant
from pushforward.metrics.core.result import Measure, bearing, holm, test_values
from pushforward.metrics.suite import PARTS, TESTS
from pushforward.metrics.verdict.report import Report
from pushforward.plain.findings import FINDINGS

__all__ = ["Gate", "parse_gate"]


COMPARISONS = {"<=": operator.le, ">=": operator.ge, "<": operator.lt, ">": operator.gt}
FIELDS = ("value", "p", "floor", "se")
GRAMMAR = re.compile(
    r"\s*(?P<name>[^\s<>=]+?)(?:\.(?P<field>value|p|floor|se))?\s*(?P<sign><=|>=|<|>)\s*"
    r"(?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)?\s*(?P<times>\*)?\s*(?P<floor>floor)?\s*", re.IGNORECASE
)  # fmt: skip
GRADED = ("bad", "doubtful")  # from the worst on: what fails for doubtful fails for bad all the more
BARE = "measures alone say nothing of it: give the whole report"
COUNTED = {name for part in PARTS.values() for name in part.counted}
AGAINST = {"copying", "likelihood_gap"}  # what counts against the samples beside tests and findings


@dataclass(frozen=True)
class Gate:
    """A condition that must not hold.

    Attributes:
        text: As it was written.
        name: Metric, without or with its feature space; "p" for all tests together; a finding; "bad", "doubtful".
        field: What is looked at; "" for a finding or a verdict.
        sign: One of <, <=, >, >=, or "".
        limit: The number.
        of_floor: Whether the limit is a multiple of the metric's floor.
    """

    text: str
    name: str
    field: str
    sign: str
    limit: float
    of_floor: bool

    def expect(
        self,
        names: Sequence[str],
        tests: int = 1,
        permutations: int = 0,
        unsought: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Refuse a gate on what will not be measured, or that could never fail, before any work.

        Args:
            names: What will be measured, without feature spaces and columns.
            tests: Number of permutation tests among them.
            permutations: Relabellings B of each; the smallest p-value is 1 / (B + 1), and Holm multiplies it.
            unsought: Findings that nothing looks for beside them, or not in full, by name, and why.

        Raises:
            UsageError: If the gate's metric or finding is not among them, or its limit lies below any p-value.
        """
        if self.field == "p":
            self._within_reach(names, tests if self.name == "p" else 1, permutations)
        self._tested(names, permutations)
        if self.name in unsought and not self.field:
            raise UsageError(f"gate {self.text!r} cannot be held: {unsought[self.name]}")
        bare = replace(self, name=self.name.split("@")[0].split("[")[0])  # spaces and columns are not known yet
        if self.field and self.name != "p" and not bare._meant(names):
            raise UsageError(f"gate {self.text!r}: {self._unknown(names)}")

    def _tested(self, names: Sequence[str], permutations: int) -> None:
        """Refuse a gate on all tests, or on the verdict, where nothing that is measured can have a p-value."""
        wanted = {name.lower() for name in names}
        if _counted(wanted) or (permutations and wanted & _tested()):
            return
        if self.name == "p":
            raise UsageError(f"gate {self.text!r}: no test with a p-value is made: add one to --metrics, as mmd")
        if self.name == "bad" and not wanted & AGAINST:
            raise UsageError(
                f"gate {self.text!r}: no test is made, so that no model would look bad: add one to --metrics, as "
                "mmd (with --permutations 999), or gate what may be found by its name: repeats"
            )

    def _within_reach(self, names: Sequence[str], several: int, permutations: int) -> None:
        """Refuse a limit below any p-value that so many relabellings give."""
        tested = _tested()
        none = several and {name.lower() for name in names} <= tested  # others may have p-values of another kind
        if not permutations and (none if self.name == "p" else self.name.split("@")[0].lower() in tested):
            raise UsageError(f"gate {self.text!r}: there are no p-values with --permutations 0: give 999, or more")
        if self.sign not in ("<", "<=") or not permutations or not several:
            return
        smallest = several / (permutations + 1)
        if smallest > self.limit or (smallest == self.limit and self.sign == "<"):
            wanted = max(1, math.floor(several / self.limit) - 2) if self.limit > 0 else 0
            while wanted and not COMPARISONS[self.sign](several / (wanted + 1), self.limit):
                wanted += 1
            remedy = f"use --permutations {wanted} or more" if wanted else "give a limit above 0"
            of = f"{several} tests of {permutations} permutations" if several > 1 else f"{permutations} permutations"
            raise UsageError(f"gate {self.text!r} could never fail: {of} give p = {smallest:.2g} at best: {remedy}")

    def check(self, found: Mapping[str, Measure]) -> str | None:
        """Why the gate fails, in words, or None where it passes. A value that is not finite fails.

        Args:
            found: The report, or its measures alone, beside which nothing was looked for.

        Raises:
            UsageError: If what it rests on was not looked for in full and does not fail it as far as it was, or a
                metric has no such field.
        """
        report = found if isinstance(found, Report) else Report(dict(found), unsought=dict.fromkeys(FINDINGS, BARE))
        if not self.field:
            words = self._found(report)
        elif self.name == "p":
            words = self._of_tests(report)
        elif names := self._meant(list(report)):
            words = next((words for name in names if (words := self._of(name, report[name]))), None)
        else:
            short = list(dict.fromkeys(name.split("@")[0].split("[")[0] for name in report))
            raise UsageError(f"gate {self.text!r}: {'; '.join([self._unknown(short), *map(str, report.left_out)])}")
        if words is None and (lost := self._lost(report)):
            raise UsageError(f"gate {self.text!r} cannot be held: {'; '.join(lost)}")
        return words

    def _found(self, report: Report) -> str | None:
        """Whether the verdict is that bad, or the finding was made."""
        if self.name in GRADED:
            return f"the verdict is {report.grade}" if report.grade in GRADED[: GRADED.index(self.name) + 1] else None
        return next((one.words for one in report.findings if one.name == self.name), None)

    def _of_tests(self, report: Report) -> str | None:
        """Whether any test fails the gate."""
        if values := list(test_values(report).values()):
            return self._compare(min(holm(values)), self.limit, f"smallest of {len(values)} p after Holm")
        if self._lost(report):
            return None
        raise UsageError(f"gate {self.text!r}: no test with a p-value was made: add one, as mmd or c2st")

    def _lost(self, report: Report) -> list[str]:
        """Why something was not looked for that the gate rests on, in words."""
        if self.name not in ("p", *GRADED):
            return [] if self.field or self.name not in report.unknown else [report.unknown[self.name]]
        beside = {*FINDINGS, *AGAINST} if self.name in GRADED else set[str]()
        left = [(one, {name.lower() for name in one.of}) for one in report.left_out]
        return [str(one) for one, of in left if of & (_tested() | beside) or _counted(of - set(FINDINGS))]

    def _of(self, name: str, measure: Measure) -> str | None:
        """Whether one measure fails the gate."""
        values = {"value": measure.value, "p": measure.p, "floor": measure.floor, "se": measure.se}
        value = values[self.field]
        if value is None or (self.of_floor and measure.floor is None):
            lacks = "floor" if value is not None else self.field
            has = [key for key, there in values.items() if there is not None]
            raise UsageError(
                f"gate {self.text!r}: {name} has no {lacks}, but {', '.join(has)}: gate its value, or another metric"
            )
        if self.of_floor and measure.floor is not None and not 0 < measure.floor < math.inf:
            raise UsageError(
                f"gate {self.text!r}: the floor of {name} is {measure.floor:.3g}, no multiple of it is a limit: "
                f"give a number{f', or gate {name}.p' if measure.p is not None else ''}"
            )
        limit = self.limit * (measure.floor or 0.0) if self.of_floor else self.limit
        words = self._compare(value, limit, name if self.field == "value" else f"{name}.{self.field}")
        good = {"higher": (">", ">="), "lower": ("<", "<=")}.get(measure.better, ())
        wrong = words and math.isfinite(value) and self.field == "value" and self.sign in good
        return f"{words} ({measure.better} is better: is the sign the wrong way round?)" if wrong else words

    def _meant(self, names: Sequence[str]) -> list[str]:
        """Full names among some that the gate is on: those that bear its name, or the only one that its part gives."""
        if found := bearing(self.name, names):
            return found
        part = PARTS.get(self.name.lower())
        given = [name for full in names if (name := full.split("@")[0].split("[")[0]) in (part.gives if part else ())]
        return bearing(given[0], names) if len(set(given)) == 1 or (self.name.lower() == "fd" and given) else []

    def _unknown(self, names: Sequence[str]) -> str:
        """Why no measure bears the name, with those that may be meant."""
        head, _, tail = self.name.rpartition(".")
        if head and bearing(head, names):
            return f"{head} has no {tail!r}: there are {', '.join(f'{head}.{field}' for field in FIELDS)}"
        part = PARTS.get(self.name.lower())
        if given := [name for name in names if part and name in part.gives]:
            return f"{self.name} gives {', '.join(given)}: gate one of them"
        hint = meant(self.name, [*names, *FINDINGS])
        return f"{self.name} is not measured: {hint}there are {', '.join(names)}"

    def _compare(self, value: float, limit: float, what: str) -> str | None:
        if not math.isfinite(value):
            return f"{what} is not finite"
        floor = f" = {self.limit:g} x floor" if self.of_floor else ""
        return f"{what} = {value:.4g} {self.sign} {limit:.4g}{floor}" if COMPARISONS[self.sign](value, limit) else None


def _tested() -> set[str]:
    """What two-sample tests and their parts are called."""
    return {name.lower() for part in TESTS for name in (part.name, *part.gives)}


def _counted(names: set[str]) -> set[str]:
    """Those of some names that may have a p-value without a relabelling: what is not of the house may have one."""
    return names - {name.lower() for part in PARTS.values() for name in part.gives} | names & COUNTED


def parse_gate(text: str) -> Gate:
    """Read a gate such as 'bad', 'p<0.01', 'recall<0.5', 'FD>1.5*floor' or 'copies'.

    Raises:
        UsageError: If it is none.
    """
    word = text.strip().lower()
    if word in (*GRADED, *FINDINGS):
        return Gate(text, word, "", "", 0.0, False)
    match = GRAMMAR.fullmatch(text)
    number, times, floor = match.group("number", "times", "floor") if match else (None, None, None)
    complete = (number and times and floor) or (number and not times and not floor) or (floor and not number)
    if not match or not complete or (times and not number):
        raise UsageError(f"gate {text!r}: {_guessed(text)}")
    name = "p" if match["name"].lower() == "p" else match["name"]
    if name == "p" and (match["field"] or floor):
        raise UsageError(f"gate {text!r}: p stands for all tests together and has no floor: write p<0.01 or mmd.p<0.01")
    if name == "p" and match["sign"].startswith(">"):
        raise UsageError(f"gate {text!r} would fail where no test tells the sets apart: write p<{number}")
    field = (match["field"] or ("p" if name == "p" else "value")).lower()
    return Gate(text, name, field, match["sign"], float(number or 1), bool(floor))


def _guessed(text: str) -> str:
    """What was probably meant by what is no gate, and how gates are written."""
    usual = (
        f"write NAME<NUMBER, as 'p<0.01', 'recall<0.5', 'FD>1.5*floor', or a word: {', '.join((*GRADED, *FINDINGS))}"
    )
    tidy = re.sub(r"\s+", "", text)
    repairs = (
        (r"(.+[<>]=?)(\d+),(\d+)", r"\1\2.\3"),  # a decimal comma
        (r"(.+[<>]=?)([\d.]+)[x×·]?floor", r"\1\2*floor"),
        (r"(.+[<>]=?)floor[*x×·]([\d.]+)", r"\1\2*floor"),
        (r"(.+[<>]=?)([\d.]+)[x×·]", r"\1\2*floor"),
        (r"(.+[^<>=])=<([\d.]+)", r"\1<=\2"),
        (r"(.+[^<>=])=>([\d.]+)", r"\1>=\2"),
        (r"([^<>=]+)==?([\d.eE-]+)", r"\1<\2"),
    )
    if share := re.fullmatch(r"(.+[<>]=?)([\d.]+)%", tidy):
        return f"did you mean {share[1]}{float(share[2]) / 100:g}? {usual}"
    for pattern, repair in repairs:
        repaired = re.sub(pattern, repair, tidy) if re.fullmatch(pattern, tidy) else ""
        if repaired and GRAMMAR.fullmatch(repaired):
            return f"did you mean {repaired}? {usual}"
    hint = "" if re.search(r"[<>=]", text) else meant(text.strip().lower(), [*GRADED, *FINDINGS])
    return f"{hint}{usual}"
