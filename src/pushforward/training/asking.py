"""Samples of a method, asked for in one place: what it answers is held against what it was asked for."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from pushforward.errors import TrainingError
from pushforward.training.experiment import Experiment
from pushforward.types import Labels, Randomness, Samples

__all__ = ["samples_of"]


def samples_of(
    experiment: Experiment, n: int, rng: Randomness, labels: Labels | None = None, *, finite: bool = True
) -> Samples:
    """Samples (n, *event) of an experiment's method, in model units and without gradients.

    Args:
        experiment: The wiring.
        n: How many.
        rng: Where they are drawn from.
        labels: Their classes, (n,); None where there are none.
        finite: Whether to look at every number, which waits for the device.

    Raises:
        TrainingError: If the method answers with anything but a real floating tensor of that shape, or with numbers
            that are not finite.
    """
    method, event = experiment.method, tuple(experiment.data.event)
    found: object = method.sample(n, rng, labels)
    asked = f"{type(method).__name__}.sample: asked for {n} samples of shape {event}, got"
    wanted = f"return a tensor of real floats of shape {(n, *event)}, in the units of data.train"
    if not isinstance(found, Tensor):
        what = "None" if found is None else f"a {type(found).__name__}"
        shape = f" of shape {found.shape}" if isinstance(found, np.ndarray) else ""
        raise TrainingError(f"{asked} {what}{shape}; {wanted}")
    if found.shape != (n, *event):
        raise TrainingError(f"{asked} a tensor of shape {tuple(found.shape)}; {wanted}")
    if not found.is_floating_point():
        raise TrainingError(f"{asked} a tensor of {str(found.dtype).removeprefix('torch.')}; {wanted}")
    found = found.detach()
    if finite and not bool(torch.isfinite(found).all()):
        bad = int((~torch.isfinite(found).reshape(n, -1).all(1)).sum())
        raise TrainingError(
            f"{asked} {bad} that are not finite; take an earlier checkpoint, as --checkpoint best, or train again with "
            "smaller steps or rates"
        )
    return found
