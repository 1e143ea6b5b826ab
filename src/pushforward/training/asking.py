"""Samples of a method, asked for in one place: what it answers is held against what it was asked for."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from pushforward.errors import TrainingError
from pushforward.randomness import blocks, filled
from pushforward.training.experiment import Experiment
from pushforward.types import HasParticles, Labels, Method, Randomness, Records, Samples, Sourced, able

__all__ = ["first_of", "samples_of", "stock"]


def stock(method: Method) -> int | None:
    """Number of particles that samples are chosen from; None where a method makes as many as are wanted.

    Particles with recorded fields and a source of new points make more; others can only show themselves.
    """
    if not able(method, HasParticles):
        return None
    recorded = able(method, Records) and len(method.tape) > 0
    return None if recorded and able(method, Sourced) and method.source is not None else len(method.particles)


def first_of(
    experiment: Experiment,
    n: int,
    rng: Randomness,
    labels: Labels | None = None,
    tick: Callable[[float], None] = lambda fraction: None,
) -> Samples:
    """The first n samples (n, *event) of the sequence that a stream fixes: of 40 the first 20 are those of 20.

    A method is asked for whole `randomness.blocks`, the last of which may hold more than is wanted; particles that are
    all there is are put in an order once.

    Args:
        experiment: The wiring.
        n: How many.
        rng: Where they are drawn from, a stream at its start.
        labels: Their classes, (n,), themselves the first of a sequence; None where there are none.
        tick: Called with the share that is drawn, after each block.

    Raises:
        TrainingError: As `samples_of`.
    """
    most = stock(experiment.method)
    if most is not None and labels is not None:
        return samples_of(experiment, n, rng, labels)
    carried = able(experiment.method, Records) and len(experiment.method.tape) > 0
    cuts = blocks(n, math.prod(experiment.data.event) if carried else None) if most is None else [(0, most)]
    parts = list[Samples]()
    for start, size in cuts:
        own = None if labels is None else filled(labels, start, size)
        parts.append(samples_of(experiment, size, rng, own, finite=False))
        tick(min(1.0, (start + size) / n))
    found = (parts[0] if len(parts) == 1 else torch.cat(parts))[:n]
    _finite(experiment, found)
    return found


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
    asked = _asked(experiment, n)
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
    if finite:
        _finite(experiment, found)
    return found


def _finite(experiment: Experiment, found: Samples) -> None:
    if bool(torch.isfinite(found).all()):
        return
    bad = int((~torch.isfinite(found).reshape(len(found), -1).all(1)).sum())
    raise TrainingError(
        f"{_asked(experiment, len(found))} {bad} that are not finite; take an earlier checkpoint, as --checkpoint "
        "best, or train again with smaller steps or rates"
    )


def _asked(experiment: Experiment, n: int) -> str:
    shape = tuple(experiment.data.event)
    return f"{type(experiment.method).__name__}.sample: asked for {n} samples of shape {shape}, got"
