r"""Restoration: samples of a model that agree with what is known of them, by its denoiser alone.

From noise of the first level they go down the ladder, and a strategy makes every step agree with what is known:

.. math:: x_0 = (I - P)\,\mu + P y + s_0 n, \qquad x_N \leftarrow (I - P)\,x_N + P y.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pushforward.dynamics.editing.projection import Projection
from pushforward.dynamics.editing.strategies import Resample, Step, Strategy, Task
from pushforward.dynamics.sde.levels import ancestral, pairs_of
from pushforward.types import Denoiser, Randomness, Samples

__all__ = ["restore"]

REPAINT = Resample()


@torch.no_grad()
def restore(
    denoiser: Denoiser,
    projection: Projection,
    y: Samples,
    levels: Sequence[float],
    rng: Randomness,
    *,
    strategy: Strategy = REPAINT,
    step: Step = ancestral,
    mean: Tensor | None = None,
) -> Samples:
    r"""Samples x of the model with P x = P y, (n, *event), in the type of y.

    The law of x given what is known is met in the limit of many cycles and small steps, and by no strategy exactly: on
    a normal law of correlation 0.9 whose first number is known at four deviations, 1000 steps of Euler and Maruyama,
    evenly in variance from level 4, put the mean of the other to 0.69 of what it is by `Fixed` and `Fresh`, and to 0.97
    by `Resample`.

    Args:
        denoiser: D(x; s); `Guidance` takes its derivative.
        projection: P.
        y: What is known, one row for each sample that is wanted, (n, *event); beyond P y it is not looked at.
        levels: Noise levels that fall, the last of them 0 for samples without noise.
        rng: Where noise comes from.
        strategy: How steps are made to agree with what is known.
        step: From one level to the next; `euler_maruyama` leaves noise of the last step in what is not known.
        mean: Of the data, (*event), which what is not known begins about; 0 if left out.

    Returns:
        Samples whose known part is P y: of a mask to the last bit, else as far as numbers are rounded.

    Raises:
        UsageError: If y is of another size than P, or levels do not fall.
    """
    pairs = pairs_of(levels)
    about = torch.zeros_like(y) if mean is None else mean.to(y).expand_as(y)
    start = projection.replace(about, y)
    first = rng.normal(*y.shape).to(y)
    task = Task(denoiser, projection, y, rng, step, first)
    x = start + pairs[0][0] * first
    for s, u in pairs:
        x = strategy(task, x, s, u)
    return projection.replace(x, y)
