"""Paths of a run's samples, as an evaluation keeps them beside the samples, and how they are read back for a page.

samples/paths.npz     times (k,) and x: uint8 (k, n, h, w[, c]) of images, float32 (k, n, 2) of points in a plane, with
                      the drift, float32 (m, g, 2) each, `at` points of grids at `moments` (m,); and numbers: step,
                      calls, energies (2,), label
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pushforward.report.kept.arrays import Arrays, content, numbers, read

__all__ = ["FILE", "DriftField", "Paths", "read_paths"]

FILE = "paths.npz"
MOST_TIMES, MOST_MOMENTS = 1000, 24  # that a page draws


@dataclass(frozen=True, eq=False)
class DriftField:
    """The drift at a time.

    Attributes:
        time: The time.
        at: Points of a grid, (g, 2), in data units.
        drift: The drift there, (g, 2), in data units a unit of time.
    """

    time: float
    at: NDArray[np.float64]
    drift: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Paths:
    """The paths of some samples through the stages of a method, each of which takes a unit of time.

    Attributes:
        step: Steps of training that were done.
        calls: Calls of the net that a sample costs.
        times: Times that rise from 0, (k,).
        x: Where the samples were then: images, uint8 (k, n, h, w[, c]); points (k, n, 2); None where they are neither.
        fields: The drift at some of the times.
        energies: The energy of stage 1 by the drift, and by log densities; None where it was not found.
        label: The class of all samples; empty where there are none, or several.
    """

    step: int
    calls: int
    times: NDArray[np.float64]
    x: NDArray[Any] | None = None
    fields: tuple[DriftField, ...] = ()
    energies: tuple[float, float] | None = None
    label: str = ""

    @property
    def stages(self) -> int:
        """How many there are."""
        return math.ceil(float(self.times[-1]))

    def content(self) -> bytes:
        """The file."""
        arrays: dict[str, Any] = {"step": self.step, "calls": self.calls, "times": self.times, "label": self.label}
        if self.x is not None:
            arrays["x"] = self.x if self.x.dtype == np.uint8 else self.x.astype(np.float32)
        if self.fields:
            arrays["moments"] = [field.time for field in self.fields]
            arrays["at"] = np.stack([field.at for field in self.fields]).astype(np.float32)
            arrays["drift"] = np.stack([field.drift for field in self.fields]).astype(np.float32)
        if self.energies is not None:
            arrays["energies"] = self.energies
        return content(arrays)


def read_paths(folder: Path) -> tuple[Paths | None, list[str]]:
    """What is kept in the folder of samples, and the name of the file where it is there and cannot be read."""
    return read(folder / FILE, _paths)


def _paths(arrays: Arrays) -> Paths:
    """Arrays of a file, which may be anybody's.

    Raises:
        ValueError: If they are not those of paths.
        KeyError: If one is missing.
    """
    times = numbers(arrays["times"], 1)
    if not 2 <= len(times) <= MOST_TIMES or (np.diff(times) <= 0).any() or times[0] != 0 or times[-1] > MOST_MOMENTS:
        raise ValueError("times that do not rise from 0")
    x, fields = arrays.get("x"), tuple[DriftField, ...]()
    if x is not None and (0 in x.shape or not _shown(x) or len(x) != len(times)):
        raise ValueError(f"{x.dtype} of shape {x.shape}, neither images nor points")
    if "moments" in arrays:
        moments, at, drift = (numbers(arrays[name], n) for name, n in (("moments", 1), ("at", 3), ("drift", 3)))
        if len(moments) > MOST_MOMENTS or at.shape != drift.shape or at.shape[::2] != (len(moments), 2):
            raise ValueError("drifts that do not fit their points")
        fields = tuple(DriftField(float(t), own, b) for t, own, b in zip(moments, at, drift, strict=True))
    step, calls = (int(numbers(arrays[name], 0)) for name in ("step", "calls"))
    return Paths(step, calls, times, x, fields, _energies(arrays.get("energies")), str(arrays.get("label", "")))


def _energies(found: NDArray[Any] | None) -> tuple[float, float] | None:
    if found is None:
        return None
    spent, exact = numbers(found, 1, finite=False).tolist()
    return spent, exact


def _shown(x: NDArray[Any]) -> bool:
    """Whether these are images or points in a plane."""
    if x.dtype == np.uint8:
        return x.ndim == 4 or (x.ndim == 5 and x.shape[-1] in (1, 3, 4))
    return x.dtype.kind == "f" and x.ndim == 3 and x.shape[-1] == 2
