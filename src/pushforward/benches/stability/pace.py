"""How many steps fit into the budget: schedules are laid out for as many, so that they end when the seconds do.

A miniature of the whole run is timed, with schedules of its own from beginning to end, as a step may take longer early
than late. CPU time of the process, not of the clock on the wall: what else the machine does counts little.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from pushforward.errors import UsageError
from pushforward.training.experiment import Experiment
from pushforward.training.loop import train

__all__ = ["SLACK", "laid_out"]

PROBE, SHARE = 0.005, 0.04  # of the seconds: a first guess, and the miniature
LEAST = 8  # steps of the miniature, and of a run
SLACK = 0.02  # of the seconds that schedules leave, or a step that takes a little longer would cut them off


def laid_out(wired: Callable[[int], Experiment], seconds: float) -> tuple[int, float]:
    """The steps that fit, and the CPU seconds that it took to find out.

    Args:
        wired: Steps -> a fresh experiment whose schedules are laid out for them.
        seconds: The budget.

    Raises:
        UsageError: If fewer than eight steps fit.
        TrainingError: If a number is not finite.
    """
    begun = time.process_time()
    steps, done = train(wired(10**6)), 0
    next(steps)  # the first one pays for what is set up once
    first = time.process_time()
    while done < 3 or time.process_time() - first < PROBE * seconds:
        next(steps)
        done += 1
    a_step = (time.process_time() - first) / done
    count = max(LEAST, round(SHARE * seconds / a_step))
    miniature = wired(count)
    first = time.process_time()
    for _ in train(miniature):
        pass
    a_step = (time.process_time() - first) / count
    fit = int((1 - SLACK) * seconds / a_step)
    if fit < LEAST:
        raise UsageError(f"--seconds {seconds:g}: a step takes {a_step:.2g}; give at least {10 * a_step:.1g}")
    return fit, time.process_time() - begun
