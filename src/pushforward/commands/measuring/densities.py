"""Log densities of a run's model at the rows of its data, where something is measured that needs them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pushforward.data.compare.pairs import Pair
from pushforward.densities.rows import RowDensities
from pushforward.errors import DataError
from pushforward.training.experiment import Experiment
from pushforward.types import Bounds, Likely, Sparing, able

__all__ = ["Answers", "said_of_bound", "to_the_end"]

ROWS, BLOCK = 10_000, 1000  # rows of each kind that a density is asked for, and at a time


@dataclass
class Answers:
    """Log densities of a run's model, once they are asked for.

    Attributes:
        raised: What the model raised instead, if it did.
    """

    experiment: Experiment
    likely: Likely
    device: torch.device
    raised: Exception | None = None

    @property
    def sparing(self) -> bool:
        """Whether a density takes so long that it is asked for only where somebody names it."""
        return able(self.likely, Sparing) and self.likely.density_rows < BLOCK

    def __call__(self) -> RowDensities:
        """At held-out and training rows, in data units.

        Raises:
            DataError: If the model does not answer with one number a row, or raises.
        """
        try:
            return _densities(self.experiment, self.likely, self.device)
        except DataError:
            raise
        except Exception as error:
            self.raised = error
            raise DataError(f"log_prob raised {type(error).__name__}: {' '.join(str(error).split())}") from error


@contextmanager
def to_the_end(pair: Pair) -> Iterator[None]:
    """Raise what a model raised that was asked for its density, after all else was measured, stored and shown."""
    answers = pair.densities if isinstance(pair.densities, Answers) else None
    try:
        yield
    except DataError:
        if answers is None or answers.raised is None:
            raise
    if answers is not None and answers.raised is not None:
        raise answers.raised


def said_of_bound(protocol: str, counted: Tensor) -> str:
    """How a bound was found, and how many of its draws count, where there are some."""
    mean = float(counted.mean())
    return f"{protocol}; {mean:.3g} draws of a row count, on average" if math.isfinite(mean) else protocol


def _densities(experiment: Experiment, likely: Likely, device: torch.device) -> RowDensities:
    """Log densities of a run's model at held-out and training rows, in data units."""
    data, discrete = experiment.data, able(likely, Bounds) and likely.discrete
    volume = 0.0 if discrete else data.log_volume
    rows = min(ROWS, likely.density_rows) if able(likely, Sparing) else ROWS

    counts = list[Tensor]()

    def one_each(part: Tensor, labels: Tensor | None) -> Tensor:
        x, known = part.to(device), None if labels is None else labels.to(device)
        if able(likely, Bounds):
            found, counted = likely.bounded(x, known)
            counts.append(counted.cpu())
        else:
            found: Any = likely.log_prob(x, known)
        if isinstance(found, Tensor) and found.shape == part.shape[:1]:
            return found.cpu()
        what = f"shape {tuple(found.shape)}" if isinstance(found, Tensor) else f"a {type(found).__name__}"
        raise DataError(f"log_prob gave {what} for {len(part)} rows: give one log-likelihood a sample, a tensor (n,)")

    def at(x: Tensor, labels: Tensor | None) -> Tensor:
        known = labels if experiment.conditional else None
        parts = zip(x[:rows].split(BLOCK), [None] * rows if known is None else known[:rows].split(BLOCK))
        with torch.no_grad():
            return torch.cat([one_each(*part) for part in parts]).double() + volume

    law = (
        None
        if data.mixture is None or experiment.conditional
        else data.mixture.log_prob(np.asarray(data.decode(data.test[:rows])))
    )
    pictures = data.kind == "images"
    unit = "levels from 0 to 255, as a continuum" if pictures else "data units"
    held, seen = at(data.test, data.test_labels), at(data.train, data.train_labels)
    by = said_of_bound(likely.protocol, torch.cat(counts)) if able(likely, Bounds) else ""
    if not discrete:
        return RowDensities(held, seen, data.train[0].numel(), law, unit, by)
    shown = np.asarray(data.decode(data.test[:1])).size  # padding is no part of a picture
    return RowDensities(held, seen, shown, law, "probabilities of levels" if pictures else "probabilities", by)
