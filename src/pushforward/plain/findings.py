"""What was found beside the tests, or left out: a name that gates know, words for people, numbers for programs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

__all__ = ["FINDINGS", "Finding", "LeftOut", "Said", "of_form", "parted"]

FINDINGS: dict[str, str] = {
    "copies": "copies of the training data",
    "support": "impossible values",
    "few": "too few samples",
    "same": "the same rows on both sides",
    "leak": "held-out rows that the model learned from",
    "split": "training and held-out data not of one law",
    "power": "no power to see copies",
    "repeats": "samples that repeat rows",
    "dependent": "rows that repeat",
    "form": "samples and data in unlike form",
}
"""What is found beside the tests, by the name that gates know, in a few words for a verdict."""


@dataclass(frozen=True)
class Finding:
    """Something that a verdict must not pass over.

    Attributes:
        name: What it is called in gates and in JSON, one word: "copies", "support", "few".
        words: One sentence, with numbers and, where there is one, the remedy.
        against: Whether it counts against the samples, as copies or impossible values do; else it puts the comparison
            itself in doubt, as too few rows or a file compared with itself do.
        numbers: The same for programs.
    """

    name: str
    words: str
    against: bool = True
    numbers: Mapping[str, str | float | int | None] = field(default_factory=dict[str, "str | float | int | None"])


Said = str | Finding
"""What a reader says of its samples: a note of what was done, or a finding."""


@dataclass(frozen=True)
class LeftOut:
    """A part of an evaluation that was asked for and not measured.

    Attributes:
        name: The part.
        why: A sentence.
        of: The measures and findings that are not there for that.
    """

    name: str
    why: str
    of: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.name} left out: {self.why}"


def of_form(words: str) -> Finding:
    """The finding that samples and data are in unlike form."""
    return Finding("form", words, against=False)


def parted(said: Iterable[Said]) -> tuple[tuple[str, ...], tuple[Finding, ...]]:
    """Notes, and findings."""
    every = list(said)
    notes = tuple(one for one in every if isinstance(one, str))
    return notes, tuple(one for one in every if isinstance(one, Finding))
