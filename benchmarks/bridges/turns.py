"""Any number of ways to do the same, timed in turn in one process.

    repeat k:  cpu time of `calls` calls of each side, forwards (backwards in every other repeat)
    ratio_k = base_k / side_k

The table has their median and quartiles, and the overhead, 1 / median - 1. A busy machine slows all sides of a repeat.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from benchmarks.measure import Side

__all__ = ["Row", "compare"]


@dataclass(frozen=True)
class Row:
    """One side of a case beside the base; times are CPU milliseconds of the process a call.

    Attributes:
        part: Part of the benchmark.
        case: Name of the case.
        side: Whose row it is.
        base: Whom it is compared with.
        rows: Rows of a batch, or samples of a call.
        side_ms: Median time of this side.
        base_ms: Median time of the base.
        ratio: Median of the repeats' base / side; above 1 this side is faster.
        low: Lower quartile of the ratios.
        high: Upper quartile of the ratios.
        overhead: 1 / ratio - 1, in percent.
        speed: Rows in a CPU second of this side.
        first_s: Wall seconds of this side's first call, compilation included.
        repeats: Number of ratios.
        threads: Threads of torch.
    """

    part: str
    case: str
    side: str
    base: str
    rows: int
    side_ms: float
    base_ms: float
    ratio: float
    low: float
    high: float
    overhead: float
    speed: float
    first_s: float
    repeats: int
    threads: int


def compare(part: str, case: str, n: int, sides: Sequence[Side], repeats: int, slice_s: float) -> list[Row]:
    """A row for each side but the last, which is the base.

    Args:
        part: Part of the benchmark.
        case: Name of the case.
        n: Rows of a batch, or samples of a call.
        sides: Ways to do the same, the base last.
        repeats: Number of ratios, at least 2.
        slice_s: CPU seconds that the base gets in a repeat, at least one call.
    """
    began = [_wall(side) for side in sides]
    calls = max(1, round(slice_s / _cpu(sides[-1], 1)))
    for side in sides[:-1]:
        _cpu(side, 1)
    times: dict[str, list[float]] = {side.name: [] for side in sides}
    for k in range(repeats):
        for side in sides if k % 2 == 0 else sides[::-1]:
            times[side.name].append(_cpu(side, calls))
    base, rows = sides[-1].name, list[Row]()
    for side, first in zip(sides[:-1], began[:-1], strict=True):
        ratios = [other / own for own, other in zip(times[side.name], times[base], strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4, method="inclusive")
        own, other = (1e3 * statistics.median(times[name]) for name in (side.name, base))
        found = own, other, middle, low, high, 100 * (1 / middle - 1), 1e3 * n / own, first
        rows.append(Row(part, case, side.name, base, n, *found, repeats, torch.get_num_threads()))
    return rows


def _cpu(side: Side, calls: int) -> float:
    """CPU seconds a call, over so many calls."""
    began = time.process_time()
    for _ in range(calls):
        side.step()
    return (time.process_time() - began) / calls


def _wall(side: Side) -> float:
    """Wall seconds of one call."""
    began = time.perf_counter()
    side.step()
    return time.perf_counter() - began
