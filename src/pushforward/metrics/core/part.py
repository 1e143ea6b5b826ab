"""One part of an evaluation: what a metric's module says of it, so that no list elsewhere has to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from pushforward.metrics.core.comparison import Comparison
from pushforward.metrics.core.features import RAW
from pushforward.metrics.core.result import Measure

__all__ = ["LAST", "Found", "Kind", "Part", "named"]

Found = Mapping[str, Measure]
"""What a part answers with: measures by name."""

Kind = Literal["points", "images", "densities"]
"""What may be measured: points (n, d), images (n, c, h, w), a model's log densities."""

LAST = 1000
"""The place of a part that asks for none."""


@dataclass(frozen=True)
class Part:
    """One part of an evaluation; the module of a metric lists its own in a constant `PARTS`.

    Attributes:
        name: What it is asked for by.
        about: One line: what it says.
        run: Measures by name; a name from a feature space gets the space's identity behind an @.
        cost: Floating-point operations expected.
        gives: Names of the measures, without a feature space behind an @ or a column in brackets, each with the words
            that a page explains it by.
        needs: What must be there: "train", "classifier", "centres", "colours", "points", "pairs", "density",
            "support".
        test: Whether it is a two-sample test, one of those that "tests" stands for.
        usual: Where it is measured though nobody asked for it.
        place: Where it is read among the others, the lowest first; by name within a place.
        finds: Findings that its measures are looked through for.
        counted: Measures with a p-value of one law that rests on no relabelling.
    """

    name: str
    about: str
    run: Callable[[Comparison], Found]
    cost: Callable[[Comparison], float]
    gives: Mapping[str, str] = field(default_factory=dict[str, str])
    needs: frozenset[str] = frozenset()
    test: bool = False
    usual: frozenset[Kind] = frozenset()
    place: int = LAST
    finds: tuple[str, ...] = ()
    counted: frozenset[str] = frozenset()

    @property
    def answers(self) -> tuple[str, ...]:
        """All that is not known where it was left out: measures and findings."""
        return (*self.gives, *self.finds)

    def lacks(self, c: Comparison) -> str | None:
        """What is missing for this part, with the remedy, or None."""
        there = {
            "train": (c.train is not None, "the training set: give train"),
            "classifier": (c.space.classify is not None, f"a classifier: features {c.space.id} have none"),
            "centres": (c.centres is not None and c.sigma is not None, "the centres of a mixture and its sigma"),
            "points": (c.fake.ndim == 2, "points, (n, d)"),
            "pairs": (c.fake.ndim == 2 and len(c.fields or c.fake[0]) > 1, "points of two columns or more"),
            "colours": (c.images and c.fake.shape[1] == 3, "images of three channels"),
            "support": (c.support is not None, "data whose support is known, such as toy:sierpinski"),
            "density": (c.densities is not None, "a model with log_prob: give the folder of its run"),
        }
        missing = [words for need, (given, words) in there.items() if need in self.needs and not given]
        return f"{self.name} needs {missing[0]}" if missing else None


def named(found: Found) -> Found:
    """Names with the identity of the feature space behind an @, but for raw values."""
    return {name if m.features == RAW.id else f"{name}@{m.features}": m for name, m in found.items()}
