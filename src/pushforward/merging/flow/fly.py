"""All clouds of a merge one after the other, what they carry along, and refits that say how sure places are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from pushforward.data.labels import coded
from pushforward.merging.flow.cloud import Way, transport_cloud
from pushforward.merging.flow.how import How
from pushforward.merging.flow.mapping import led
from pushforward.merging.plan import Leg, Plan
from pushforward.randomness import derive, generator

__all__ = ["Flight", "Flown", "Tick", "refitted"]

Array = NDArray[Any]
Tick: TypeAlias = Callable[[str, float], None]
"""Told what is being done and the fraction done."""

MOST = 5000  # cells of a cloud that the critic moves; others go the way of those around them
ONTO = 50_000  # cells of the reference that it is shown


@dataclass(frozen=True)
class Flown:
    """Rows in units of the scale after one pass over all clouds.

    Attributes:
        shift: How far they went, (n, d), float32.
        length: How long their ways were, (n,).
        ways: One for each cloud.
    """

    shift: Array
    length: Array
    ways: list[Way]


@dataclass(frozen=True)
class Flight:
    """Everything a pass over the clouds needs.

    Attributes:
        z: All rows, (n, d), in units of the scale, float32.
        plan: The clouds.
        classes: Class of each row, (n,), or None.
        weights: Batch -> weights of the reference's rows, (n,), for clouds without classes; none for all the same.
        aside: Rows that no critic sees, (n,).
        how: Settings.
        seed: Seed of everything.
    """

    z: Array
    plan: Plan
    classes: NDArray[np.str_] | None
    weights: Mapping[str, Array]
    aside: NDArray[np.bool_]
    how: How
    seed: int

    def fly(self, tick: Tick | None = None, resample: np.random.Generator | None = None) -> Flown:
        """Move all clouds.

        Args:
            tick: Told what is being done and the fraction done.
            resample: Draws rows of both sides with replacement, for a refit.
        """
        start = self.z
        shift, length, ways = np.zeros_like(start), np.zeros(len(start)), list[Way]()
        work = [min(len(leg.rows), MOST) + 500 for leg in self.plan.legs]  # a small cloud costs its critic all the same
        for k, leg in enumerate(self.plan.legs):
            words = f"moving {leg.batch}" + (f", {leg.label}" if leg.label else "")

            def told(fraction: float, k: int = k, words: str = words) -> None:
                if tick:
                    tick(words, (sum(work[:k]) + fraction * work[k]) / sum(work))

            seen, way = self._moved(leg, k, start, resample, told)
            ways.append(way)
            went, far = way.x.numpy() - start[seen], way.length.numpy()
            shift[seen], length[seen] = went, far
            others = leg.rows if resample is not None else np.setdiff1d(leg.rows, seen)
            for rows, leads in self._alike(others, seen):
                if len(rows):
                    shift[rows], length[rows] = led(start[rows], start[seen][leads], went[leads], far[leads])
        for name, rows in self.plan.carried.items():
            lead = np.concatenate([leg.rows for leg in self.plan.legs if leg.batch == name])
            lead = lead if len(lead) <= MOST else generator(self.seed, "data", part="leads").choice(lead, MOST, False)
            shift[rows], length[rows] = led(start[rows], start[lead], shift[lead], length[lead])
        return Flown(shift, length, ways)

    def _moved(
        self, leg: Leg, k: int, start: Array, resample: np.random.Generator | None, told: Callable[[float], None]
    ) -> tuple[Array, Way]:
        """Rows of a cloud that a critic moves, and their way."""
        rng = resample or generator(self.seed, "data", k, part="cloud")
        seen = leg.rows
        if resample is not None or len(seen) > MOST:
            seen = rng.choice(seen, min(len(seen), MOST), replace=resample is not None)
        onto = leg.onto
        if resample is not None or len(onto) > ONTO:
            onto = rng.choice(onto, min(len(onto), ONTO), replace=resample is not None)
        pair, weights = None, self.weights.get(leg.batch)
        if self.plan.mode == "conditional" and self.classes is not None:
            if resample is not None:  # every class that moves is still there
                seen, onto = _within(leg.rows, self.classes, rng), _within(leg.onto, self.classes, rng)
            codes = torch.from_numpy(coded(self.classes[np.concatenate([seen, onto])])[1])
            pair = codes[: len(seen)], codes[len(seen) :]
        way = transport_cloud(
            torch.from_numpy(start[seen]),
            torch.from_numpy(start[onto]),
            self.how,
            labels=pair,
            weights=None if weights is None else torch.from_numpy(weights[onto]),
            aside=(torch.from_numpy(self.aside[seen]), torch.from_numpy(self.aside[onto])),
            seed=derive(self.seed, "train", k, part="leg"),
            tick=told,
        )
        return seen, way

    def _alike(self, rows: Array, leads: Array) -> list[tuple[Array, Array]]:
        """Rows, and places among the leads of those that they may follow: of their class where one critic knows all."""
        if self.plan.mode != "conditional" or self.classes is None:
            return [(rows, np.arange(len(leads)))]
        mine, theirs = self.classes[rows], self.classes[leads]
        return [(rows[mine == label], np.flatnonzero(theirs == label)) for label in np.unique(mine)]


def refitted(flight: Flight, count: int, tick: Tick | None) -> Array:
    """Standard deviation of all rows over refits to resampled rows of both sides, (n, d), in units of the scale.

    Args:
        flight: What is done anew, each time with a seed of its own.
        count: How often, at least twice.
        tick: Told which refit is being done and the fraction of it.
    """
    mean, squares = np.zeros_like(flight.z), np.zeros_like(flight.z)
    for k in range(count):
        words = f"refit {k + 1} of {count}"
        told = (lambda _, fraction, words=words: tick(words, fraction)) if tick else None
        rng = generator(flight.seed, "data", k, part="refit")
        x = replace(flight, seed=derive(flight.seed, "train", k, part="refit")).fly(told, rng).shift
        step = x - mean
        mean += step / (k + 1)
        squares += step * (x - mean)
    return np.sqrt(squares / (count - 1))


def _within(rows: Array, classes: NDArray[np.str_], rng: np.random.Generator) -> Array:
    """As many rows of each class, drawn with replacement."""
    parts = (rows[classes[rows] == label] for label in np.unique(classes[rows]))
    return np.concatenate([rng.choice(part, len(part)) for part in parts])
