"""What became of a run: how it ended, what it lost after its best, and where it went when it went on.

x_1 ... x_M  at the marks up to T;   best at the first k* with x_k* = max;   worst drop = x_k* - min_{k >= k*} x_k
drift = x_{3M} - x_M
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Outcome", "drop", "outcome"]


@dataclass(frozen=True)
class Outcome:
    """What became of a run.

    Attributes:
        whole: Whether it ended, at T, with every mode.
        modes: Modes with at least 20 good samples then.
        high_quality: Share of good samples then.
        mode_kl: KL of the shares of the modes then, in nats.
        width: Width within modes then, in the modes' own standard deviations; None where no mode has enough samples.
        centre: Distance of modes from their centres then, likewise.
        lost_modes: Worst drop of the modes after their best, up to T.
        lost_quality: Worst drop of high quality after its best, up to T.
        drift_modes: Modes at 3T less those at T; None where it did not go on, as all of these.
        drift_quality: High quality likewise.
        drift_kl: KL likewise.
        drift_width: Width likewise; None also where there is none at either end.
        failed: Whether it broke off over a number that is not finite.
    """

    whole: bool
    modes: float
    high_quality: float
    mode_kl: float
    width: float | None
    centre: float | None
    lost_modes: float
    lost_quality: float
    drift_modes: float | None
    drift_quality: float | None
    drift_kl: float | None
    drift_width: float | None
    failed: bool


def drop(values: Sequence[float]) -> float:
    """What was lost after the best: the largest value less the least from the first place on that it stands at."""
    best = max(range(len(values)), key=values.__getitem__)
    return values[best] - min(values[best:])


def outcome(run: Mapping[str, Any], modes: int) -> Outcome:
    """What became of a run, as `trial.performed` tells it.

    Args:
        run: The run.
        modes: How many modes its data have.
    """
    seen, settings = run["marks"], run["settings"]
    end = settings["marks"] - 1
    goes = settings["held"] is not None

    def drift(name: str) -> float | None:
        first, last = seen[name][end], seen[name][-1]
        return last - first if goes and first is not None and last is not None else None

    return Outcome(
        seen["modes"][end] >= modes,
        seen["modes"][end],
        seen["high_quality"][end],
        seen["mode_kl"][end],
        seen["width"][end],
        seen["centre"][end],
        drop(seen["modes"][: end + 1]),
        drop(seen["high_quality"][: end + 1]),
        drift("modes"),
        drift("high_quality"),
        drift("mode_kl"),
        drift("width"),
        bool(run["failed"]),
    )
