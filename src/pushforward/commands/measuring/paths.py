"""How a run's samples came to be: their paths, the drift along them and its energy, kept for the page."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pushforward import files
from pushforward.commands.watching import Until
from pushforward.data.dataset import Dataset
from pushforward.errors import DataError
from pushforward.files import layout
from pushforward.randomness import stream
from pushforward.report.kept.paths import FILE, DriftField, Paths
from pushforward.training.experiment import Experiment
from pushforward.types import HasEnergy, Labels, Pathways, Randomness, able

__all__ = ["keep_paths"]

SAMPLES = {"points": 256, "images": 4}  # whose paths are kept
TIMES = {"points": 120, "images": 9}  # that are kept of a path, and those between stages
SHARES, SIDE = (0.2, 0.6, 0.95), 13  # of a stage at which its drift is kept, and points along a side of its grid
NUMBERS, LEAST, MOST = 2**16, 16, 800  # of the samples that energies are taken over, and how many these are
COST = 300  # calls of the net that finding them takes for each, about


def keep_paths(folder: Path, experiment: Experiment, step: int, seed: int, until: Until = Until()) -> None:
    """Keep what a page shows of the paths of some samples, where the method has paths and there is time.

    Args:
        folder: The run.
        experiment: Its parts.
        step: Steps done.
        seed: Of the samples.
        until: The sitting.

    Raises:
        DataError: If the method answers with anything but times and points.
    """
    method, data = experiment.method, experiment.data
    if not able(method, Pathways) or until.to_measure <= 0:
        return
    rng, n, begun = stream(seed, "evaluate", part="paths"), SAMPLES[data.kind], time.monotonic()
    labels = _labels(experiment, n)
    times, x = _walked(method, data, n, rng, labels)
    each = (time.monotonic() - begun) / max(1, n * method.calls)
    some = _kept(times, TIMES[data.kind])
    times, x = [times[k] for k in some], x[some]
    plane, fields = data.event == (2,), tuple[DriftField, ...]()
    shown = np.stack([data.decode(one) for one in x]) if plane or data.kind == "images" else None
    if plane:
        found = (_field(method, data, times[k], x[k], rng, labels) for k in _moments(times))
        fields = tuple(field for field in found if np.isfinite(field.drift).all())
    energies, rows = None, max(LEAST, min(MOST, NUMBERS // max(1, x[0, 0].numel())))
    if able(method, HasEnergy) and COST * rows * each < until.to_measure:
        energies = method.energies(rows, rng)
    name = "" if labels is None or bool((labels != 0).any()) else str((data.classes or ("0",))[0])
    kept = Paths(step, method.calls, np.array(times), shown, fields, energies, name)
    files.write(folder / layout.SAMPLES / FILE, kept.content(), parents=True)


def _labels(experiment: Experiment, n: int) -> Labels | None:
    """Classes of the samples: of images one after another, of points all the first, so that one drift is theirs."""
    if not experiment.conditional:
        return None
    several = experiment.data.n_classes if experiment.data.kind == "images" else 1
    return torch.arange(n) % max(1, several)


def _walked(
    method: Pathways, data: Dataset, n: int, rng: Randomness, labels: Labels | None
) -> tuple[list[float], Tensor]:
    """Times and points of paths, of the right form.

    Raises:
        DataError: If they are not.
    """
    found, x = method.paths(n, rng, labels)
    times = [float(t) for t in found]
    if x.shape != (len(times), n, *data.event):
        raise DataError(
            f"paths gave {len(times)} times and points of shape {tuple(x.shape)}: give points (times, n, *event), "
            f"which is {(len(times), n, *data.event)}"
        )
    if len(times) < 2 or times[0] != 0 or any(t >= u for t, u in pairwise(times)):
        raise DataError(f"paths gave times {times[:4]}...: give at least two, that rise from 0")
    return times, x.detach()


def _kept(times: Sequence[float], most: int) -> list[int]:
    """At most so many of the times, evenly spaced, both ends among them; and those between two stages."""
    even = np.linspace(0, len(times) - 1, min(most, len(times))).round().astype(int).tolist()
    return sorted({*even, *(k for k, t in enumerate(times) if t == int(t))})


def _moments(times: Sequence[float]) -> list[int]:
    """Of each stage the times within it that are nearest to some shares of it."""
    stages = [[k for k, t in enumerate(times) if stage < t < stage + 1] for stage in range(int(np.ceil(times[-1])))]
    near = {min(within, key=lambda k: abs(times[k] - stage - share))
            for stage, within in enumerate(stages) if within for share in SHARES}  # fmt: skip
    return sorted(near)


def _field(
    method: Pathways, data: Dataset, t: float, cloud: Tensor, rng: Randomness, labels: Labels | None
) -> DriftField:
    """The drift at a time on a grid around the samples then, in data units."""
    ends = torch.tensor([0.005, 0.995], dtype=cloud.dtype, device=cloud.device)
    low, high = torch.quantile(cloud, ends, dim=0)
    room = 0.15 * (high - low)
    sides = [torch.linspace(float(a), float(b), SIDE) for a, b in zip(low - room, high + room, strict=True)]
    at = torch.cartesian_prod(*sides).to(cloud)
    known = None if labels is None else labels[:1].expand(len(at))
    drift = method.drift(at, t, rng, known).detach()
    here, there = (np.asarray(data.decode(points)) for points in (at.double(), at.double() + drift.double()))
    return DriftField(t, here, there - here)
