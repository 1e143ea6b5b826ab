"""Tables of what samples show of known modes, which `moves.py` and `shape.py` print."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress

import numpy as np
import torch
from torch import Tensor

from pushforward.data import Dataset
from pushforward.errors import DataError
from pushforward.metrics.known.modes import modes
from pushforward.metrics.known.shape import mode_shape

__all__ = ["SHAPE", "head", "judged", "row", "sigma_of"]

SHAPE = {"modes": "{:.0f}", "high quality": "{:.3f}", "KL": "{:.4f}", "width": "{:.2f}"}
"""Columns that every table has, and how their numbers look."""

NAMES = {
    "modes": "modes_captured_20", "high quality": "high_quality", "KL": "mode_kl", "width": "mode_width",
    "centre": "mode_centre", "correlation": "mode_correlation",
}  # fmt: skip


def sigma_of(data: Dataset) -> float:
    """Standard deviation of a mode in data units."""
    assert data.mixture is not None
    return float(data.mixture.covariances[0, 0, 0]) ** 0.5


def judged(data: Dataset, x: Tensor) -> dict[str, float]:
    """What samples in model units show of the modes; NaN for a shape that no mode has enough samples for."""
    assert data.mixture is not None
    y, centres, sigma = torch.as_tensor(data.decode(x)).double(), data.mixture.means, sigma_of(data)
    found = modes(y, centres, sigma)
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
