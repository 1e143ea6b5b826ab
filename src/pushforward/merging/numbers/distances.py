r"""The distances a merge is read by: from a batch to held-out cells of the reference, before and after, and a floor.

.. math::
    W_2^2 = \min_\pi \mathbb{E}_\pi \|x - y\|^2, \qquad
    E = 2\,\mathbb{E}\|x - y\| - \mathbb{E}\|x - x'\| - \mathbb{E}\|y - y'\|

All are of equally many rows, so that they compare; the reference's are drawn in the shares that a batch asks for. Cells
closer to those of the reference that were seen than its held-out ones are have learned single cells by heart.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from pushforward.geometry.kernels import energy
from pushforward.metrics.quality.transport import wasserstein
from pushforward.metrics.two_sample.kernel import energy_distance, mmd_squared
from pushforward.randomness import generator

__all__ = ["distances", "memorised"]

Array = NDArray[np.float64]


def distances(
    before: Array,
    after: Array,
    reference: Array,
    *,
    weights: Array | None = None,
    held: NDArray[np.bool_] | None = None,
    most: int = 400,
    repeats: int = 5,
    seed: int = 0,
) -> dict[str, float]:
    """Distances to cells of the reference that nothing was fitted to, and between these and the others, the floor.

    Args:
        before: Cells of a batch where they were, (n, d).
        after: Where they are, (n, d).
        reference: Cells of the reference, (m, d).
        weights: Shares of the reference's cells that the batch asks for, (m,), of any sum; all the same if None.
        held: Cells of the reference that are held out, a mask (m,); a random half at each cut if None.
        most: Rows used of each side.
        repeats: Random cuts that are averaged.
        seed: Seed of the cuts.

    Returns:
        In units of the cells `w2_` and `energy_` with `before`, `after` and `split`, the floor, and of the floor
        `spread`, its standard deviation over the cuts; `w2_seen`, to the cells that were seen; `p_before` and
        `p_after`, p-values of an energy test by permutations against the cells held out; `moved`, how far the cells
        went, root mean square, in radii of their cloud; `rows`, how many of each side were used.
    """
    rng = generator(seed, "evaluate", part="distances")
    weights = np.ones(len(reference)) if weights is None else weights
    half = np.arange(len(reference)) < len(reference) // 2
    cuts = [rng.permutation(half) if held is None else held for _ in range(repeats)]
    room = min(_room(weights[part]) for cut in cuts for part in (cut, ~cut))
    size = int(max(1, min(len(before), room, most)))
    found, p = np.empty((repeats, 4, 2)), np.empty((repeats, 2))
    for row, test, cut in zip(found, p, cuts, strict=True):
        mine = rng.permutation(len(before))[:size]
        unseen, other = (reference[_drawn(np.flatnonzero(part), weights, size, rng)] for part in (cut, ~cut))
        row[:] = [_both(q, unseen) for q in (before[mine], after[mine], other)] + [_both(after[mine], other)]
        test[:] = [_tested(q, unseen, seed) for q in (before[mine], after[mine])]
    mean, spread = found.mean(0), found[:, 2].std(0, ddof=1)
    names = ("before", "after", "split")
    out = {f"w2_{name}": float(mean[k, 0]) for k, name in enumerate(names)} | {"w2_seen": float(mean[3, 0])}
    out |= {f"energy_{name}": float(mean[k, 1]) for k, name in enumerate(names)}
    out |= {f"p_{name}": float(np.median(p[:, k])) for k, name in enumerate(names[:2])}
    out["moved"] = float(np.sqrt(np.square(after - before).sum(1).mean() / max(before.var(0).sum(), 1e-300)))
    return out | {"w2_spread": float(spread[0]), "energy_spread": float(spread[1]), "rows": float(size)}


def memorised(found: dict[str, float]) -> bool:
    """Whether the cells are closer to those that were seen than held-out ones are, beyond their spread."""
    return found["w2_seen"] < found["w2_split"] - 3 * found["w2_spread"]


def _room(weights: Array) -> int:
    """How many different rows can be drawn so that each is among them in proportion to its weight: sum over largest."""
    return int(weights.sum() / max(weights.max(initial=0), 1e-300) + 1e-9)


def _drawn(rows: NDArray[np.int64], weights: Array, size: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Different rows, each with a chance in proportion to its weight, of which `_room` has no more than it says.

    Their shares, laid end to end in random order, are cut by a comb of equal spacing and uniform offset: rows drawn one
    by one without those before would come ever closer to equal shares. All count the same where none has a weight.
    """
    rows = rng.permutation(rows)
    edges = (weights[rows] if weights[rows].any() else np.ones(len(rows))).cumsum()
    teeth = (np.arange(size) + rng.random()) * (edges[-1] / size)
    return rows[np.searchsorted(edges, np.minimum(teeth, np.nextafter(edges[-1], 0)), "right")]


def _tested(q: Array, p: Array, seed: int) -> float:
    """p-value of the energy test; not a number where a side has a single cell."""
    if min(len(q), len(p)) < 2:
        return float("nan")
    return float(energy_distance(q, p, seed=seed).p or 0.0)


def _both(q: Array, p: Array) -> tuple[float, float]:
    a, b = torch.from_numpy(np.ascontiguousarray(q)), torch.from_numpy(np.ascontiguousarray(p))
    if len(a) < 2:
        return wasserstein(a, b), float("nan")
    return wasserstein(a, b), mmd_squared(a, b, energy())
