"""What was found beside the tests: a name that gates know, a sentence for people, numbers for programs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["FINDINGS", "Finding"]

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
