"""Gates held against what an evaluation found, and the page that says so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pushforward.data.compare.pairs import Pair
from pushforward.errors import UsageError
from pushforward.metrics.gates import Gate
from pushforward.metrics.suite import TESTS, Part, unsought
from pushforward.metrics.verdict.report import Report
from pushforward.report.evaluation import Shown, write_evaluation

__all__ = ["Evaluated", "expected", "judged"]


@dataclass(frozen=True)
class Evaluated:
    """What `evaluate` found.

    Attributes:
        report: The measures, the verdict, notes and warnings.
        failed: Gates that failed, in words.
        page: The page that was written, or None.
        speaks: Whether this process answers the user: the first of several.
    """

    report: Report
    failed: tuple[str, ...] = ()
    page: Path | None = None
    speaks: bool = True

    def summary(self) -> dict[str, Any]:
        """Plain values for JSON."""
        page = {} if self.page is None else {"page": str(self.page)}
        return self.report.as_dict() | {"failed": list(self.failed)} | page


def expected(gates: Sequence[Gate], wanted: Sequence[Part], permutations: int, pair: Pair) -> None:
    """Refuse gates that make no sense, before any work.

    Args:
        gates: What the user asked for.
        wanted: What will be measured.
        permutations: Relabellings of each test.
        pair: What is compared.
    """
    tests = sum(part in TESTS for part in wanted)
    lacking = dict(pair.unsought) | unsought(wanted, trained=pair.train is not None)
    for gate in gates:
        gate.expect([name for part in wanted for name in part.gives], tests, permutations, lacking)


def judged(found: Report, pair: Pair, gates: Sequence[Gate], title: str, page: Path | None, command: str) -> Evaluated:
    """Hold the gates against what was found, and write the page."""
    failed = tuple(words for gate in gates if (words := _failed(gate, found)))
    if page is not None:
        shown = Shown(pair.fake, pair.real, pair.train, pair.names, title, command, failed)
        page = write_evaluation(found, shown, page)
    return Evaluated(found, failed, page)


def _failed(gate: Gate, found: Report) -> str | None:
    """Why a gate fails; one that cannot be held against what was found does not pass, and the report is not lost."""
    try:
        return gate.check(found)
    except UsageError as error:
        return str(error)
