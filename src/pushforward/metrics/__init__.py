"""Numbers for samples, each with the floor that real data would score, its error and its protocol.

`evaluate` runs several at once, by the parts of `suite`. Each metric is also a function of its own, and the public
names of the rooms `two_sample`, `columns`, `quality`, `known`, `copying` and `likelihood` are found here:
`from pushforward.metrics import mmd`. A type checker knows them in their own modules:
`from pushforward.metrics.two_sample.kernel import mmd`.
"""

from typing import Any

from pushforward.metrics.core.features import RAW, Features, of_module
from pushforward.metrics.core.moments import Moments, moments
from pushforward.metrics.core.result import Measure, compare_scores, holm, to_json
from pushforward.metrics.evaluate import Metric, evaluate
from pushforward.metrics.gates import Gate, parse_gate
from pushforward.metrics.networks.digits8 import digits8
from pushforward.metrics.suite import MODULES, PARTS, Part
from pushforward.metrics.verdict.judgement import Judgement, judge
from pushforward.metrics.verdict.report import Report, table

__all__ = [
    "PARTS",
    "RAW",
    "Features",
    "Gate",
    "Judgement",
    "Measure",
    "Metric",
    "Moments",
    "Part",
    "Report",
    "compare_scores",
    "digits8",
    "evaluate",
    "holm",
    "judge",
    "moments",
    "of_module",
    "parse_gate",
    "table",
    "to_json",
]

_HOMES = {name: module for module in MODULES for name in module.__all__}


def __getattr__(name: str) -> Any:
    """A public name of a metric's module."""
    if name in _HOMES:
        return vars(_HOMES[name])[name]
    raise AttributeError(f"module 'pushforward.metrics' has no attribute {name!r}")


def __dir__() -> list[str]:
    """What can be asked for: the names above, and those of the metrics."""
    return sorted({*__all__, *_HOMES})
