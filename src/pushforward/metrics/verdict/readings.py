"""A measure in words: good, bad, doubtful or for the record, and what a difference it could not have seen.

Only what the verdict rests on is ever bad: a test of one law that rejects, and a finding. A value above its floor is
told as a multiple of it, for the record, since a floor with an error is no test.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from pushforward.metrics.core.result import Measure

__all__ = [
    "GRADES",
    "Grade",
    "Reading",
    "of_copying",
    "of_overfitting",
    "of_test",
    "of_value",
    "shift",
    "size",
]

Grade = Literal["good", "bad", "doubtful", "record"]

GRADES: tuple[Grade, ...] = ("good", "bad", "doubtful", "record")
"""What a reading, and a verdict, may come to."""

SURE = 0.01  # level of a p-value that no other is corrected with


@dataclass(frozen=True)
class Reading:
    """What a measure says.

    Attributes:
        grade: good, bad, doubtful, or "record": a number beside its floor, which no verdict rests on.
        words: The same for people, with what a difference of it would have looked the same.
    """

    grade: Grade
    words: str


def shift(n: int, m: int) -> float:
    r"""A shift of one column, in its standard deviations, that n samples and m rows show four times in five.

    :math:`(z_{.975} + z_{.8})\,(1/n + 1/m)^{1/2}`, of the best test that knows the column: the others need more.
    """
    return 2.8 * (1 / max(1, n) + 1 / max(1, m)) ** 0.5


def of_test(measure: Measure, adjusted: float, level: float) -> Reading:
    """A test of one law, rejected where its p-value after Holm lies below the level."""
    assert measure.p is not None
    if adjusted < level:
        return Reading("bad", f"told apart from data ({size(measure)}){_multiple(measure)}")
    more = f", {adjusted:.2g} after Holm" if measure.p < level else ""
    blind = ""
    if measure.n_fake and measure.n_real:
        blind = f"; a shift under {shift(measure.n_fake, measure.n_real):.2g} sd may pass"
    return Reading("good", f"not told apart from data (p {measure.p:.2g}{more}){blind}{_multiple(measure)}")


def size(measure: Measure) -> str:
    """The p-value of a test and, where the measure says it, the size of what it found."""
    off, effect = measure.protocol.get("off"), measure.protocol.get("effect")
    if isinstance(off, float):
        return f"p {measure.p:.2g}, a share {100 * off:.2g} points off"
    return f"p {measure.p:.2g}" + (f", {effect}" if isinstance(effect, str) else "")


def of_copying(measure: Measure, copied: bool, powerless: bool) -> Reading:
    """A number of copying: bad only where copies were found, since being near the training set alone proves none."""
    near = measure.p is not None and measure.p < SURE
    equal = measure.protocol.get("equal_rows")  # said where they are too few for a p-value
    if copied and equal and not near:
        verb = "equals" if equal == 1 else "equal"
        return Reading("doubtful", f"{equal} {verb} a training row in all digits, and no held-out row does")
    said = "" if measure.p is None else f" (p {measure.p:.2g})"
    if copied:
        below = measure.floor is not None and measure.value < measure.floor
        lower = measure.p is None and below and of_value(measure).grade == "record"
        return Reading("bad", f"copies{said}") if near or lower else Reading("record", f"not by this number{said}")
    if near:
        return Reading("record", f"near the training rows{said}, yet no copies found")
    if powerless:
        return Reading("doubtful", f"no power to see copies at these sizes{said}")
    if measure.p is None and (plain := of_value(measure)).grade != "good":
        return Reading("record", f"{plain.words}; no copies found")
    return Reading("good", f"no sign of copying{said}")


def of_overfitting(measure: Measure) -> Reading:
    """The gap of likelihood between the rows that a model learned from and others."""
    if measure.p is None:
        return of_value(measure)
    bad = measure.p < SURE
    return Reading("bad" if bad else "good", f"{'overfits' if bad else 'no sign of overfitting'} (p {measure.p:.2g})")


def of_value(measure: Measure) -> Reading:
    """A value beside its floor, with what would have looked the same within two standard errors."""
    value, floor, se = measure.value, measure.floor, measure.error
    if not math.isfinite(value):
        return Reading("doubtful", "not finite: something went wrong")
    if measure.better == "none":
        return Reading("record", "for the record")
    if floor is None or not math.isfinite(floor):
        return Reading("record", "no floor known")
    if measure.better == "near":
        return _near(value, floor, se)
    higher, room = measure.better == "higher", 2 * (se or 0.0)
    if se == 0 and (measure.protocol.get("se") == "binomial" or (higher and value == 1)):
        room = 3 / max(1, measure.n_fake)  # none of n, or all: a share of 3/n goes unseen once in twenty times
    off = floor - value if higher else value - floor
    if measure.protocol.get("scale") == "interval":
        if off > room:
            return Reading("record", f"{off:.2g} from the floor")
        return Reading("good", f"at the floor{_unseen(room, 'off', se)}")
    if off > room and not (floor > 0 and not higher and off <= 0.05 * floor):
        return Reading("record", _apart(value, floor, higher))
    if se and floor > 0 and off < -2 * room and off < -0.2 * floor:
        return Reading("record", f"{value / floor:.2g} × the floor: {'more' if higher else 'nearer'} than fresh data")
    words = "as good as can be expected" if higher else "at the floor"
    if floor <= 0 or se is None:
        return Reading("good", f"{words}{_unseen(room, 'below' if higher else 'above', se)}")
    if higher and room >= floor / 2:
        return Reading("doubtful", f"too noisy to say: down to {max(0.0, 1 - room / floor):.0%} of it would look so")
    if higher:
        least = min(1 - room / floor, 0.999)  # never "down to 100 %"
        return Reading("good", f"{words}; down to {least:.{int(least > 0.99)}%} of it would look so")
    if room >= floor:
        return Reading("doubtful", f"too noisy to say: up to {1 + room / floor:.2g} × the floor would look so")
    return Reading("good", f"{words}; up to {1 + room / floor:.3g} × it would look so")


def _near(value: float, floor: float, se: float | None) -> Reading:
    """A value that is good where its floor is, from either side."""
    room = 2 * (se or 0.0)
    if abs(value - floor) > room:
        return Reading("record", f"{value / floor:.2g} × the floor" if floor > 0 else f"{value - floor:.2g} from it")
    if floor <= 0 or se is None:
        return Reading("good", f"at the floor{_unseen(room, 'off', se)}")
    if room >= floor / 2:
        return Reading("doubtful", f"too noisy to say: {max(0.0, 1 - room / floor):.2g} to {1 + room / floor:.2g} × it")
    return Reading("good", f"at the floor; {1 - room / floor:.3g} to {1 + room / floor:.3g} × it would look so")


def _unseen(room: float, where: str, se: float | None) -> str:
    return "; its error is not known" if se is None else f"; up to {room:.2g} {where} would look so"


def _apart(value: float, floor: float, higher: bool) -> str:
    if floor <= 0:
        return f"{abs(value - floor):.2g} {'below' if higher else 'above'} the floor"
    return f"{100 * value / floor:.3g} % of the floor" if higher else f"{value / floor:.2g} × the floor"


def _multiple(measure: Measure) -> str:
    """Of a test's value what multiple of the floor it is, where that means something."""
    floor = measure.floor
    if not floor or floor <= 0 or not math.isfinite(measure.value) or measure.better == "none":
        return ""
    plain = of_value(measure)
    return f", {plain.words}" if plain.grade == "record" else ""
