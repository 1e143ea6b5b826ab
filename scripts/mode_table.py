"""Tables of what samples show of known modes, which `moves.py` and `shape.py` print."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress

import numpy as np
import torch
from torch import Tensor

from pushforward.data import Dataset
from pushforward.densities.mixture import Mixture
from pushforward.errors import DataError
from pushforward.metrics.known.modes import modes
from pushforward.metrics.known.shape import mode_shape

__all__ = ["SHAPE", "head", "judged", "mixture_of", "row", "scale"]

SHAPE = {"modes": "{:.0f}", "high quality": "{:.3f}", "KL": "{:.4f}", "width": "{:.2f}"}
"""Columns that every table has, and how their numbers look."""

NAMES = {
    "modes": "modes_captured_20", "high quality": "high_quality", "KL": "mode_kl", "width": "mode_width",
    "centre": "mode_centre", "correlation": "mode_correlation",
}  # fmt: skip


def mixture_of(data: Dataset) -> Mixture:
    """The law of data that are known to have one."""
    assert data.mixture is not None
    return data.mixture


def scale(data: Dataset) -> float:
    """Standard deviation of a mode in model units."""
    ends = data.encode(np.array([[0.0, 0.0], [mixture_of(data).sigma, 0.0]]))
    return float(ends[1, 0] - ends[0, 0])


def judged(data: Dataset, x: Tensor) -> dict[str, float]:
    """What samples in model units show of the modes; NaN for a shape that no mode has enough samples for."""
    known = mixture_of(data)
    y, centres, sigma = torch.as_tensor(data.decode(x)).double(), known.means, known.sigma
    found = modes(y, centres, sigma, known.weights)
    with suppress(DataError):  # where no mode holds 20 samples
        found = found | mode_shape(y, centres, sigma)
    return {name: found[key].value if key in found else math.nan for name, key in NAMES.items()}


def head(columns: Mapping[str, str]) -> str:
    """The first two lines of a table of arms."""
    return f"| arm | {' | '.join(columns)} |\n{'|---' * (len(columns) + 1)}|"


def row(name: str, found: Sequence[Mapping[str, float]], columns: Mapping[str, str]) -> str:
    """An arm's row: means over seeds, with the lowest and the highest where they differ."""
    cells = [name]
    for key, look in columns.items():
        known = sorted(value for value in (one[key] for one in found) if math.isfinite(value))
        words = [look.format(value) for value in known]
        spread = f" ({words[0]} to {words[-1]})" if len({*words}) > 1 else ""
        cells.append(look.format(np.mean(known)) + spread if known else "none")
    return "| " + " | ".join(cells) + " |"
