"""Two ways to take the same training step, timed in turn in one process.

    repeat k:  cpu time of `calls` steps of A, then of B (B, then A, in every other repeat);  ratio_k = B_k / A_k

A busy machine slows both halves of a repeat alike, so the median of the ratios holds where the times themselves do not.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Contest", "Result", "Side", "difference", "measure"]


@dataclass(frozen=True)
class Side:
    """One way to take the step.

    Attributes:
        name: Who it is.
        step: Takes one training step.
        tensors: What the step trains; the two sides' tensors must agree up to rounding.
    """

    name: str
    step: Callable[[], object]
    tensors: Callable[[], Sequence[Tensor]]


@dataclass(frozen=True)
class Contest:
    """Two sides that start from the same weights, draws and data.

    Attributes:
        library: The library's step.
        other: The step it is compared with.
        batch: Sizes, for the table.
    """

    library: Side
    other: Side
    batch: str


@dataclass(frozen=True)
class Result:
    """What one contest showed; times are process CPU milliseconds a step.

    Attributes:
        case: Name of the case.
        library: The library's side.
        other: The other side.
        batch: Sizes.
        dtype: Type of the numbers.
        threads: Threads of torch.
        library_ms: Median time of the library's step.
        other_ms: Median time of the other step.
        ratio: Median of the repeats' other / library; above 1 the library is faster.
        low: Lower quartile of the ratios.
        high: Upper quartile of the ratios.
        first_s: Wall seconds of the library's first step, compilation included.
        repeats: Number of ratios.
    """

    case: str
    library: str
    other: str
    batch: str
    dtype: str
    threads: int
    library_ms: float
    other_ms: float
    ratio: float
    low: float
    high: float
    first_s: float
    repeats: int


def measure(case: str, contest: Contest, repeats: int = 15, slice_s: float = 0.2) -> Result:
    """Run a contest.

    Args:
        case: Its name.
        contest: The two sides.
        repeats: Number of ratios, at least 2.
        slice_s: CPU seconds that either side gets in a repeat, at least one step.
    """
    sides = contest.library, contest.other
    began = time.perf_counter()
    sides[0].step()
    first = time.perf_counter() - began
    sides[1].step()
    for side in sides:
        _cpu(side, 3)
    calls = max(1, round(slice_s / _cpu(sides[0], 2)))
    _cpu(sides[1], 2)
    pairs = []
    for k in range(repeats):
        order = sides if k % 2 == 0 else sides[::-1]
        times = {side.name: _cpu(side, calls) for side in order}
        pairs.append((times[sides[0].name], times[sides[1].name]))
    ratios = [other / ours for ours, other in pairs]
    low, middle, high = statistics.quantiles(ratios, n=4, method="inclusive")
    ours_ms, other_ms = (1e3 * statistics.median(column) for column in zip(*pairs, strict=True))
    dtype, threads = str(sides[0].tensors()[0].dtype).removeprefix("torch."), torch.get_num_threads()
    names = sides[0].name, sides[1].name
    times = ours_ms, other_ms, middle, low, high, first
    return Result(case, *names, contest.batch, dtype, threads, *times, repeats)


def difference(contest: Contest, steps: int = 3) -> float:
    """The largest difference between what the two sides have trained after some steps, which should be rounding."""
    for _ in range(steps):
        contest.library.step()
        contest.other.step()
    pairs = zip(contest.library.tensors(), contest.other.tensors(), strict=True)
    return max(float((a - b).detach().abs().max()) for a, b in pairs)


def _cpu(side: Side, calls: int) -> float:
    """CPU seconds a step, over `calls` steps."""
    began = time.process_time()
    for _ in range(calls):
        side.step()
    return (time.process_time() - began) / calls
