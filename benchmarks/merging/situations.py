"""Situations: what either side has of the types, and which cells of the target are withheld from the fit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from benchmarks.merging.cases import Case, Rows
from pushforward.randomness import generator

__all__ = ["Situation", "common", "only", "situations", "split", "withheld", "without"]

LEAST = 10  # cells that a type has in every batch for it to be withheld
SHARE = 0.2  # of the target's cells, on which all is scored and which no fit of ours sees


@dataclass(frozen=True)
class Situation:
    """A situation.

    Attributes:
        name: What it is called.
        make: The case in it, under a seed.
    """

    name: str
    make: Callable[[int], Case]


def situations(case: Case) -> list[Situation]:
    """As it is; each type withheld from either side; no type in common, both ways; the target cut in two."""
    sides = {"sources": ~case.staying, "target": case.staying}
    rest = tuple(str(label) for label in np.unique(case.labels) if label not in case.half)
    found = [Situation("as they are", lambda seed: case)]
    for side, rows in sides.items():
        found += [Situation(f"{side} without {label}", partial(without, case, rows, label)) for label in common(case)]
    for mine in (case.half, rest):
        found.append(Situation(f"target of {', '.join(mine)} only", partial(only, case, mine)))
    return [*found, Situation("null split", partial(split, case))]


def common(case: Case) -> list[str]:
    """Types of which every batch has at least `LEAST` cells."""
    parts = [case.labels[case.batch == name] for name in np.unique(case.batch)]
    return [str(label) for label in np.unique(case.labels) if min((part == label).sum() for part in parts) >= LEAST]


def without(case: Case, rows: Rows, label: str, seed: int = 0) -> Case:
    """The case where these cells are without a type."""
    return case.part(~(rows & (case.labels == label)))


def only(case: Case, mine: Sequence[str], seed: int = 0) -> Case:
    """The case where the target has these types and no others, and the sources all others."""
    return case.part(np.isin(case.labels, mine) == case.staying)


def split(case: Case, seed: int) -> Case:
    """The target cut at random into halves: a, which is the target now, and b, which is to move onto it."""
    found = case.part(case.staying)
    halves = np.array(["a", "b"])[np.arange(len(found.x)) % 2]
    rng = generator(seed, "data", part="null split")
    return replace(found, batch=rng.permutation(halves), reference="a")


def withheld(case: Case, seed: int) -> Rows:
    """A random fifth of the target's cells, (n,)."""
    theirs, out = np.flatnonzero(case.staying), np.zeros(len(case.x), bool)
    rng = generator(seed, "data", part="withheld")
    out[rng.choice(theirs, round(SHARE * len(theirs)), replace=False)] = True
    return out
