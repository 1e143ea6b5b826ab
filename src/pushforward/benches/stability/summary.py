"""The bench summed up: each arm over all that it was set to, and each family by what it was set to."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pushforward.benches.stability.arms import Trial
from pushforward.benches.stability.outcome import Outcome
from pushforward.benches.statistics import Mean, Share, mean

__all__ = ["AT_END", "FAMILIES", "LOST", "Ended", "Row", "by_arm", "by_factor", "reference", "row"]

Ended = tuple[Trial, Outcome]

AT_END = {
    "ahead": "ahead",
    "high_quality": "high quality",
    "mode_kl": "mode KL",
    "width": "width, σ",
    "centre": "centres off, σ",
}
"""Numbers of how runs ended that have a mean, and what tables call them."""

LOST = {
    "lost_modes": "modes lost",
    "lost_quality": "quality lost",
    "drift_modes": "drift: modes",
    "drift_quality": "drift: quality",
    "drift_kl": "drift: KL",
    "drift_width": "drift: width, σ",
}
"""The same of what was lost after the best, and of what changed from T to 3T."""

FAMILIES = {"vgrow": "VGrow", "gan": "GAN"}


@dataclass(frozen=True)
class Row:
    """Runs that have something in common.

    Attributes:
        name: What that is.
        family: vgrow or gan.
        runs: How many they are.
        failed: How many broke off.
        whole: How many ended with every mode.
        means: Of the other numbers.
    """

    name: str
    family: str
    runs: int
    failed: int
    whole: Share
    means: Mapping[str, Mean]

    def plain(self) -> dict[str, Any]:
        """As JSON has it: a share with its binomial error and Wilson's interval, means with their errors."""
        low, high = self.whole.interval
        share = {"value": _known(self.whole.value), "se": self.whole.se, "low": low, "high": high}
        means = {name: {"value": _known(one.value), "se": one.se, "n": one.n} for name, one in self.means.items()}
        head = {"name": self.name, "family": self.family, "runs": self.runs, "failed": self.failed}
        return head | {"all_modes": share} | means


def by_arm(found: Sequence[Ended]) -> list[Row]:
    """A row an arm, pooled over all that it was set to."""
    names = dict.fromkeys((trial.arm, trial.family) for trial, _ in found)
    other = reference(found)
    rival = {_place(trial): one.whole for trial, one in found if trial.arm == other}
    rows = list[Row]()
    for name, family in names:
        own = [(trial, one) for trial, one in found if trial.arm == name]
        ahead = [float(one.whole) - rival[_place(t)] for t, one in own if name != other and _place(t) in rival]
        rows.append(row(name, family, (one for _, one in own), ahead))
    return rows


def reference(found: Sequence[Ended]) -> str:
    """The arm that others are held against: the GAN, by its log-D trick if that is there; else the first of all."""
    names = [trial.arm for trial, _ in found if trial.family == "gan"]
    return next((name for name in names if name == "GAN LOGD"), (names or [found[0][0].arm])[0])


def by_factor(found: Sequence[Ended]) -> list[Row]:
    """A row for each value of each factor that has several, of each family, pooled over everything else."""
    rows = list[Row]()
    for family, title in FAMILIES.items():
        own = [(_factors(trial), one) for trial, one in found if trial.family == family]
        for factor in own[0][0] if own else ():
            values = dict.fromkeys(factors[factor] for factors, _ in own)
            groups = {value: [one for factors, one in own if factors[factor] == value] for value in values}
            if len(values) > 1:
                rows += [row(f"{title}, {factor} {value}", family, group) for value, group in groups.items()]
    return rows


def row(name: str, family: str, outcomes: Iterable[Outcome], ahead: Iterable[float] = ()) -> Row:
    """Some runs as one row.

    Args:
        name: What they have in common.
        family: vgrow or gan.
        outcomes: What became of them.
        ahead: Of each whether it ended with every mode, less the same of its rival: 1, 0 or -1.
    """
    every = list(outcomes)
    whole = Share(sum(one.whole for one in every), len(every))
    means = {
        "ahead": mean(ahead),
        "high_quality": mean(one.high_quality for one in every),
        "mode_kl": mean(one.mode_kl for one in every),
        "width": mean(one.width for one in every),
        "centre": mean(one.centre for one in every),
        "lost_modes": mean(one.lost_modes for one in every),
        "lost_quality": mean(one.lost_quality for one in every),
        "drift_modes": mean(one.drift_modes for one in every),
        "drift_quality": mean(one.drift_quality for one in every),
        "drift_kl": mean(one.drift_kl for one in every),
        "drift_width": mean(one.drift_width for one in every),
    }
    return Row(name, family, len(every), sum(one.failed for one in every), whole, means)


def _factors(trial: Trial) -> dict[str, Any]:
    """What a run was set to, by the names of tables."""
    options = trial.options
    found = {name: options[name] for name in ("divergence", "moves", "rate", "width") if name in options}
    return found | {"critic steps": options.get("critic_steps", options.get("rounds"))}


def _place(trial: Trial) -> tuple[object, ...]:
    """Where in the grid a run is, whatever its arm."""
    factors = _factors(trial)
    return factors["rate"], factors["width"], factors["critic steps"], trial.options["seed"]


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value
