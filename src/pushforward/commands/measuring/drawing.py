"""Samples of a run beside its data: how many of each there is room and time for."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from pushforward.commands.measuring.densities import Answers
from pushforward.commands.sampling import labels_for
from pushforward.commands.tables import held
from pushforward.commands.watching import Until
from pushforward.data import Dataset
from pushforward.data.blocks.limits import budget
from pushforward.data.compare.grid import decimal_grid, grids, snapped
from pushforward.data.compare.joining import Joined
from pushforward.data.compare.pairs import LEAST, Pair
from pushforward.data.compare.support import lacking, support
from pushforward.data.formats import arrays
from pushforward.evaluation import Chosen, space
from pushforward.metrics.core.features import RAW
from pushforward.plain.findings import Said, parted
from pushforward.plain.lists import counted
from pushforward.randomness import generator, stream
from pushforward.training.asking import samples_of, stock
from pushforward.training.experiment import Experiment
from pushforward.types import Likely, able

__all__ = ["compared_in", "drawn", "in_time", "too_few"]

FEW = 10_000  # rows that numbers are taken over, however little memory there is, unless rows are large:
LARGE = 1 << 23  # numbers in them, 34 MB
FORM = {"form": "only files can be in unlike form"}
ELSEWHERE = "values that the data never have are looked for in tables, not in images or in points of one unit"
OWN = "values that the data never have are looked for in the columns of tables, not in a run's own features"


def drawn(experiment: Experiment, seed: int, n: int | None) -> tuple[Pair, str, int]:
    """Samples of a run beside its data, what they are in words, and how many sets of samples there are."""
    data = experiment.data
    n, notes = _wanted(data, n)
    most = stock(experiment.method)
    n = n if most is None else min(n, most)
    draws = 1 if experiment.features is None else max(1, min(20, 12_000 // n, 20 if most is None else most // n))
    count = draws * n
    labels = labels_for(experiment, count, stream(seed, "evaluate", part="labels"), None)
    x = samples_of(experiment, count, stream(seed, "evaluate", part="samples"), labels)
    split = (
        f"{data.name}, held-out {data.split.n_test} of {data.split.n_test + data.split.n_train}, seed {data.split.seed}"
    )
    (real, fewer), (train, seen) = _some(data.test, "held-out", seed), _some(data.train, "training", seed)
    fake, notes = x.cpu(), notes + fewer + seen
    if data.kind == "points" and data.one_unit:
        fake, real, train = (torch.from_numpy(np.asarray(data.decode(part))) for part in (fake, real, train))
    said = list[Said]()
    table = data.kind == "points" and not data.one_unit and experiment.features is None
    names = data.columns if data.kind == "points" and len(data.columns) == math.prod(data.event) else ()
    unsought = {"support": ELSEWHERE}
    if table:
        (fake, real, train), said = _as_told(data, fake, real, train, names)
        unsought = lacking("column", fake[0].numel())
    elif data.kind == "points" and not data.one_unit:
        split = f"{split}; every column in its standard deviations, for which the run's features were made"
        unsought = {"support": OWN}
    method = experiment.method
    densities = Answers(experiment, method, x.device) if able(method, Likely) else None
    more, findings = parted(said)
    known = Pair(
        fake, real, train, data.kind, names, table, (*notes, *more), data.mixture, densities,
        sparing=densities is not None and densities.sparing, findings=findings,
        support=data.support, unsought=FORM | unsought,
    )  # fmt: skip
    return known, split, draws


def compared_in(experiment: Experiment, pair: Pair) -> Chosen:
    """The space that a run is judged in: its own, or that in which files of such samples are compared."""
    if experiment.features is not None:
        return Chosen(experiment.features)
    return space("scaled", pair) if pair.table else Chosen(RAW)


def _as_told(
    data: Dataset, fake: Tensor, real: Tensor, train: Tensor, names: Sequence[str]
) -> tuple[list[Tensor], list[Said]]:
    """Points in the data's units, as files of them would be compared: samples on the grids of the data; and remarks."""
    known = [held(np.asarray(data.decode(part)), data) for part in (real, train)]
    levels = grids(known[0] if 8 * known[1].size > arrays.LARGE else np.concatenate(known))
    if 8 * sum(part.size for part in known) <= arrays.LARGE:
        # What has two decimals has them no more once it went through the model's units, in single precision.
        for j, column in enumerate(np.concatenate(known).T):
            levels[j] = levels[j] or decimal_grid(column)
        for part in known:
            for j, grid in enumerate(levels):
                part[:, j] = part[:, j] if grid is None or grid.digits is None else grid.to_grid(part[:, j])
    names = names or tuple(map(str, range(len(levels))))
    x, notes = snapped(np.asarray(data.decode(fake)), levels, names)
    said, sets = list[Said](notes), {"fake": x, "real": known[0], "train": known[1]}
    if not lacking("column", len(levels)):
        joined = Joined(sets, tuple(names), np.zeros(len(levels), bool), [])
        said += support(sets, joined, levels, names, "column", rounded=False)
    return [torch.from_numpy(part) for part in sets.values()], said


def _wanted(data: Dataset, n: int | None) -> tuple[int, tuple[str, ...]]:
    """How many samples are drawn: n, or as many as there are held-out rows, if they fit into memory."""
    full = min(len(data.test), 10_000)
    fit = _fitting(full, data.event)
    if n is not None or fit == full:
        return n or full, ()
    return fit, (f"{fit:,} samples in place of {full:,} are compared, for want of memory",)


def _some(x: Tensor, what: str, seed: int) -> tuple[Tensor, tuple[str, ...]]:
    """Rows that numbers are taken over: all that fit into memory several times over, else so many, and a note."""
    most = _fitting(len(x), x.shape[1:])
    if most == len(x):
        return x, ()
    chosen = generator(seed, "evaluate", part=what).choice(len(x), most, replace=False, shuffle=False)
    kept = x[torch.from_numpy(np.sort(chosen))]
    return kept, (f"{most:,} of {len(x):,} {what} rows are compared, drawn at random, for want of memory",)


def _fitting(rows: int, event: Sequence[int]) -> int:
    """How many of so many rows of a shape may be measured: all where they fit into memory several times over."""
    size, each = math.prod(event), 32 if len(event) == 1 else 16  # points are compared in double precision
    if each * rows * size <= budget():
        return rows
    return min(rows, max(budget() // (128 * size), min(FEW, max(100, LARGE // size))))


def in_time(experiment: Experiment, n: int | None, until: Until) -> tuple[int | None, tuple[str, ...]]:
    """How many samples can be drawn in half the time that is left, if not all, and what has to be said of that.

    A few are drawn to see what they take. Along recorded fields a sample costs as many steps as were made.
    """
    wanted, _ = _wanted(experiment.data, n)
    if math.isinf(until.end) or until.to_measure <= 0:
        return (None, ()) if math.isinf(until.end) else (0, ())
    begun, few = time.monotonic(), min(wanted, 32)
    labels = labels_for(experiment, few, stream(0, "evaluate", part="trial labels"), None)
    samples_of(experiment, few, stream(0, "evaluate", part="trial"), labels, finite=False)
    fit = int(0.5 * until.to_measure / max(1e-9, time.monotonic() - begun)) * few
    if fit >= wanted:
        return None, ()
    return fit, (f"{fit} samples in place of {wanted}: there was no time for more within --minutes",)


def too_few(pair: Pair, draws: int) -> str | None:
    """Why nothing can be measured, where a set has fewer rows than any number needs."""
    rows = {"held-out row": len(pair.real), "sample": len(pair.fake) // draws}
    what, n = min(rows.items(), key=lambda item: item[1])
    if n >= LEAST:
        return None
    remedy = "train on more rows or hold out more of them"
    return f"nothing is measured: {counted(n, what)}, at least {LEAST} are needed: {remedy}"
