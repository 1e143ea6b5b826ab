"""What an evaluation comes to: the one rule that verdict, table, page, warnings, JSON and gates read.

A test of one law counts against the samples where Holm's correction over all of them leaves it below 5 %; a finding
counts as its `against` says. Numbers of copying count by the finding "copies" alone: a p-value of being near the
training rows rejects for many a model that copies nothing. All else stands beside its floor, for the record.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

from pushforward.metrics.core.result import COPYING, OVERFITTING, Measure, holm, short_name, test_values
from pushforward.metrics.verdict import readings
from pushforward.metrics.verdict.readings import Grade, Reading
from pushforward.plain.findings import FINDINGS, Finding

__all__ = ["LEVEL", "Judgement", "judge", "too_few"]

LEVEL = 0.05
FEW = 50  # rows of a side below which a shift of half a standard deviation goes unseen more often than not


@final
@dataclass(frozen=True)
class Judgement:
    """What measures and findings come to.

    Attributes:
        grade: Of all: bad where a test or a finding counts against the samples, doubtful where the comparison itself is
            in doubt, "record" where nothing was tested, else good.
        verdict: The same in a sentence or two.
        readings: Of each measure, by name.
    """

    grade: Grade
    verdict: str
    readings: Mapping[str, Reading]


def judge(measures: Mapping[str, Measure], findings: Sequence[Finding] = ()) -> Judgement:
    """Judge measures and what was found beside them.

    Args:
        measures: By name.
        findings: What was found beside the tests.
    """
    tests = test_values(measures)
    adjusted = dict(zip(tests, holm(list(tests.values()))))
    names = {one.name for one in findings}
    doubted = any(not one.against and one.name != "power" for one in findings)
    small = _small(measures)
    said = {name: _reading(name, one, adjusted, names, doubted or bool(small)) for name, one in measures.items()}
    rejected = [name for name in tests if said[name].grade == "bad"]
    against = [_called(one) for one in findings if one.against]
    overfitted = [name for name, one in measures.items() if one.protocol.get("hypothesis") == OVERFITTING]
    against += [f"overfitting ({name}, p {measures[name].p:.2g})" for name in overfitted if said[name].grade == "bad"]
    doubts = [_called(one) for one in findings if not one.against and one.name != "few"]
    doubts += [f"{name} is not finite" for name, one in measures.items() if not all(map(math.isfinite, _numbers(one)))]
    few = "few" in names and not rejected
    if rejected or against:
        grade: Grade = "bad"
    elif doubts or "few" in names:
        grade = "doubtful"
    else:
        grade = "good" if tests else "record"
    lead = [f"Against the samples: {', '.join(dict.fromkeys(against))}."] if against else []
    if small and rejected:
        lead.append(f"Few rows ({small}): only what differs is sure.")
    if few and not doubts:
        lead.append("Too few samples to say.")
    elif doubts:
        lead.append(f"In doubt: {', '.join(dict.fromkeys([*([FINDINGS['few']] if few else []), *doubts]))}.")
    return Judgement(grade, " ".join([*lead, _of_tests(measures, tests, rejected, few)]), said)


def too_few(measures: Mapping[str, Measure], n_fake: int, n_real: int) -> tuple[Finding, ...]:
    """The finding "few", where so many samples and rows could not show what matters and no test rejects.

    Args:
        measures: What was measured.
        n_fake: Number of samples.
        n_real: Number of rows of the data.
    """
    tests = test_values(measures)
    if any(p < LEVEL for p in holm(list(tests.values()))):
        return ()
    numbers = {"n_fake": n_fake, "n_real": n_real, "shift": readings.shift(n_fake, n_real)}
    lowest = [low for name in tests if (low := _lowest(measures[name])) is not None]
    if min(n_fake, n_real) < FEW:
        words = (
            f"too few samples to say: with {n_fake:,} samples against {n_real:,} rows a column shifted by less than "
            f"about {numbers['shift']:.2g} standard deviations passes as often as not; give {FEW} of each or more, "
            "better 500"
        )
        return (Finding("few", words, False, numbers),)
    if lowest and len(lowest) == len(tests) and min(lowest) * len(tests) >= LEVEL:
        words = (
            f"no test could have rejected: p cannot fall below {min(lowest):.2g}, and Holm multiplies it by "
            f"{len(tests)}: use --permutations {20 * len(tests)} or more"
        )
        return (Finding("few", words, False, numbers | {"lowest_p": min(lowest)}),)
    return ()


def _lowest(measure: Measure) -> float | None:
    """The smallest p-value that a measure's relabellings can give, or None where it rests on none."""
    drawn = measure.protocol.get("permutations")
    return 1 / (drawn + 1) if isinstance(drawn, int) else None


def _numbers(measure: Measure) -> tuple[float, ...]:
    """What a measure's reading rests on in any case: its value, and its p-value where it has one."""
    return (measure.value,) if measure.p is None else (measure.value, measure.p)


def _small(measures: Mapping[str, Measure]) -> str:
    """Numbers of samples and of rows of the data, in words, where either is small; else ""."""
    n = max((one.n_fake for one in measures.values()), default=0)
    m = max((one.n_real for one in measures.values()), default=0)
    return f"{n:,} against {m:,}" if n and m and min(n, m) < FEW else ""


def _called(finding: Finding) -> str:
    """A finding in a few words."""
    return FINDINGS.get(finding.name, finding.name)


def _reading(name: str, measure: Measure, adjusted: Mapping[str, float], findings: set[str], doubted: bool) -> Reading:
    """A measure's reading: what is green while the comparison is in doubt is doubtful."""
    hypothesis = measure.protocol.get("hypothesis")
    if name in adjusted:
        found = readings.of_test(measure, adjusted[name], LEVEL)
    elif not math.isfinite(measure.value):
        found = readings.of_value(measure)
    elif hypothesis == COPYING:
        found = readings.of_copying(measure, "copies" in findings, "power" in findings)
    elif hypothesis == OVERFITTING:
        found = readings.of_overfitting(measure)
    else:
        found = readings.of_value(measure)
    if found.grade == "good" and doubted:
        return Reading("doubtful", f"{found.words}; the comparison is in doubt")
    return found


def _of_tests(measures: Mapping[str, Measure], tests: Mapping[str, float], rejected: Sequence[str], few: bool) -> str:
    """What the tests say, in a sentence; in a short one where so few samples say nothing."""
    if not tests:
        return "No test was made: the numbers stand next to their floors."
    count = f"{len(tests)} test{'s' if len(tests) > 1 else ''}"
    if rejected:
        found = [f"{short_name(name, measures)} ({readings.size(measures[name])})" for name in rejected]
        return f"Samples and data differ: {', '.join(found)}; {count}, level 5 % after Holm."
    best = min(tests, key=tests.__getitem__)
    if few:
        return f"Not told apart: {count}, smallest p {tests[best]:.2g}."
    more = _too_few(measures[best], len(tests))
    return f"Not told apart: {count}, smallest p {tests[best]:.2g}, level 5 % after Holm{more}."


def _too_few(measure: Measure, tests: int) -> str:
    """A word of caution where every relabelling lies below the value seen, and still they are too few to tell."""
    drawn = measure.protocol.get("permutations")
    if not isinstance(drawn, int) or measure.p is None or measure.p * (drawn + 1) > 1.5:
        return ""
    return f"; p cannot fall below 1/{drawn + 1}: use {20 * tests} permutations or more"
