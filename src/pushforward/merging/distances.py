r"""The distances a merge is read by: from a batch to the reference, before and after, and between its halves.

.. math::
    W_2^2 = \min_\pi \mathbb{E}_\pi \|x - y\|^2, \qquad
    E = 2\,\mathbb{E}\|x - y\| - \mathbb{E}\|x - x'\| - \mathbb{E}\|y - y'\|

All are of equally many rows, so that they compare. Cells closer to the reference than its halves are to each other have
learned its cells by heart.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from pushforward.geometry.kernels import energy
from pushforward.metrics.quality.transport import wasserstein
from pushforward.metrics.two_sample.kernel import mmd_squared
from pushforward.randomness import generator

__all__ = ["distances", "memorised"]

Array = NDArray[np.float64]


def distances(
    before: Array, after: Array, reference: Array, *, most: int = 400, repeats: int = 5, seed: int = 0
) -> dict[str, float]:
    """W2 and energy distance before, after and between halves, with the spread of the last over the cuts.

    Args:
        before: Cells of a batch where they were, (n, d).
        after: Where they are, (n, d).
        reference: Cells of the reference, (m, d).
        most: Rows used of each side.
        repeats: Random cuts that are averaged.
        seed: Seed of the cuts.
    """
    rng, size = generator(seed, "evaluate", part="distances"), min(len(before), len(reference) // 2, most)
    found = np.empty((repeats, 3, 2))
    for row in found:
        mine, theirs = rng.permutation(len(before))[:size], rng.permutation(len(reference))
        half, other = reference[theirs[:size]], reference[theirs[size : 2 * size]]
        row[:] = [_both(before[mine], half), _both(after[mine], half), _both(other, half)]
    mean, spread = found.mean(0), found[:, 2].std(0, ddof=1)
    names = ("before", "after", "split")
    out = {f"w2_{name}": float(mean[k, 0]) for k, name in enumerate(names)}
    out |= {f"energy_{name}": float(mean[k, 1]) for k, name in enumerate(names)}
    return out | {"w2_spread": float(spread[0]), "energy_spread": float(spread[1]), "rows": float(size)}


def memorised(found: dict[str, float]) -> bool:
    """Whether the cells are closer to the reference than its halves are to each other, beyond their spread."""
    return found["w2_after"] < found["w2_split"] - 3 * found["w2_spread"]


def _both(q: Array, p: Array) -> tuple[float, float]:
    a, b = torch.from_numpy(np.ascontiguousarray(q)), torch.from_numpy(np.ascontiguousarray(p))
    if len(a) < 2:
        return wasserstein(a, b), float("nan")
    return wasserstein(a, b), mmd_squared(a, b, energy())
