"""Where samples and held-out rows lie among the training rows, and how far it is from there to held-out ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pushforward.metrics.copying.closeness import NEIGHBOURS
from pushforward.metrics.core.features import RAW, Features
from pushforward.metrics.core.neighbours import nearest
from pushforward.metrics.core.permutation import p_value, relabellings
from pushforward.metrics.core.reference import compare
from pushforward.metrics.core.result import Measure, Words

__all__ = ["Near", "near_training", "nearest_training", "stage", "train_gap"]

Array = NDArray[np.float64]
Places = NDArray[np.int64]

_POOL = 32  # a random half misses all of a fake's 32 nearest pool rows once in four thousand million times


@dataclass(frozen=True)
class Near:
    """Distances to the nearest training rows, and of the very nearest ones to their own nearest rows.

    Attributes:
        fake: Distances of fakes, (n, k), nearest first.
        real: Distances of held-out rows, (m, k).
        place: The training row nearest to each fake, (n,).
        real_place: The training row nearest to each held-out row, (m,).
        hit: The training rows among both, each once, (h,).
        hit_own: Distances of these to the training rows nearest to them but themselves, (h, k).
        hit_place: The nearest of them, (h,).
        places: The training rows at the distances of fakes, (n, k).
        pool: Distances and places of fakes among the training and among the held-out rows, as many as a relabelling of
            the smaller set asks for and `NEIGHBOURS` of the larger one.
    """

    fake: Array
    real: Array
    place: Places
    real_place: Places
    hit: Places
    hit_own: Array
    hit_place: Places
    places: Places
    pool: tuple[tuple[Array, Places], tuple[Array, Places]]

    @property
    def own(self) -> Array:
        """Distances from the rows nearest to the fakes to their own nearest rows, (n,)."""
        return self.hit_own[np.searchsorted(self.hit, self.place), 0]

    @property
    def own_real(self) -> Array:
        """The same for held-out rows, (m,)."""
        return self.hit_own[np.searchsorted(self.hit, self.real_place), 0]

    def detail(self, rows: Places, suspects: int) -> dict[str, Tensor]:
        """The fakes most like copies, of which `rows` are the numbers, and all distances."""
        # Against the distance usual around the row found: a blank image is near to others without being a copy.
        fake, own = self.fake[:, 0], self.own
        unusual = np.divide(fake, own, out=np.where(fake > 0, np.inf, 0.0), where=own > 0)
        worst = np.lexsort((fake, unusual))[:suspects]
        seen = {"suspects": rows[worst], "nearest": self.place[worst], "distance": fake[worst]}
        all_of_them = {"fake": fake.copy(), "real": self.real[:, 0].copy()}
        return {name: torch.from_numpy(x) for name, x in (seen | all_of_them).items()}


def near_training(q: Array, p: Array, t: Array, budget: int, tick: Callable[[float], None] | None) -> Near:
    """Where fakes and held-out rows lie among the training rows, in features."""
    k = min(NEIGHBOURS, len(t) - 1)
    # The gap relabels all rows of the smaller set, and as many of the larger one as it draws.
    wide = [min(_POOL if len(y) <= len(z) else NEIGHBOURS, len(y)) for y, z in ((t, p), (p, t))]
    to_train = nearest(q, t, wide[0], budget=budget, tick=stage(tick, 0, 0.25))
    to_held = nearest(q, p, wide[1], budget=budget, tick=stage(tick, 0.25, 0.5))
    fake, places = np.ascontiguousarray(to_train[0][:, :k]), np.ascontiguousarray(to_train[1][:, :k])
    real, others = nearest(p, t, k, budget=budget, tick=stage(tick, 0.5, 0.75))
    place, real_place = places[:, 0], others[:, 0]
    # Only training rows that are someone's nearest need their own nearest ones.
    hit = np.unique(np.concatenate([place, real_place]))
    own, own_places = nearest(t[hit], t, k, own=hit, budget=budget, tick=stage(tick, 0.75, 1))
    return Near(fake, real, place, real_place, hit, own, own_places[:, 0], places, (to_train, to_held))


def stage(tick: Callable[[float], None] | None, start: float, stop: float) -> Callable[[float], None] | None:
    """Progress of one stage as progress of the whole."""
    if tick is None:
        return None
    return lambda done: tick(start + (stop - start) * done)


def nearest_training(
    fake: Tensor, train: Tensor, k: int = 1, features: Features = RAW, *, budget: int = 2**26
) -> tuple[Tensor, Tensor]:
    """The training rows nearest to each fake, for pictures of samples beside what they may be copies of.

    Args:
        fake: Model samples, (n, *event).
        train: Training rows, (m, *event).
        k: How many.
        features: The feature space distances are taken in.
        budget: Bytes that temporaries of one block may take.

    Returns:
        Rows of train (n, k), nearest first, and distances (n, k), float64, in feature units.

    Raises:
        DataError: If the samples do not fit together, or train has fewer than k rows.
    """
    q, t, _ = compare(fake, train, None, features)
    distances, rows = nearest(q.numpy(), t.numpy(), k, budget=budget)
    return torch.from_numpy(rows), torch.from_numpy(distances)


def train_gap(
    parts: tuple[Array, Array, Array],
    found: Near,
    permutations: int,
    rng: np.random.Generator,
    seed: int,
    budget: int,
    tick: Callable[[float], None] | None,
) -> Measure:
    """Mean difference of nearest distances, with its law under relabelling of the rows of train and real.

    A relabelling needs no new search: it looks up the first row of either kind among the pool's nearest rows. In the
    rare case that all of these are of one kind, the distance to the other counts as that to the last of them.

    Args:
        parts: Features of fake, real and train.
        found: Where fakes lie among the latter two.
        permutations: Relabellings.
        rng: Draws as many rows of the larger set as the smaller one has.
        seed: Seed of the relabellings.
        budget: Bytes that temporaries of one block may take.
        tick: Called with the share of the work done.
    """
    q, p, t = parts
    m = min(len(t), len(p))
    some = [None if len(x) == m else rng.permutation(len(x))[:m] for x in (t, p)]
    (near, own), (far, others) = (
        known if rows is None else nearest(q, x[rows], min(_POOL, m), budget=budget, tick=tick)
        for x, rows, known in zip((t, p), some, found.pool, strict=True)
    )
    distances, places = np.concatenate([near, far], 1), np.concatenate([own, others + m], 1)
    order = distances.argsort(1, kind="stable")[:, :_POOL]
    distances, places = np.take_along_axis(distances, order, 1), np.take_along_axis(places, order, 1)
    labels = relabellings(m, m, permutations, seed=seed).numpy()
    step = max(1, budget // (40 * len(q)))
    values = np.concatenate([_gaps(distances, places, labels[k : k + step]) for k in range(0, len(labels), step)])
    null = torch.from_numpy(values[1:])
    error = float(null.square().mean().sqrt()) if len(null) else None
    p_low = p_value(-torch.from_numpy(values))
    protocol: Words = {"rows_of_each": m, "permutations": permutations, "se": "relabelling train and real"}
    protocol["p"] = "permutation, one-sided: fakes nearer to train"
    return Measure(float(values[0]), 0.0, error, p_low, len(q), m, "", "none", protocol, {"null": null})


def _gaps(distances: Array, places: Places, labels: NDArray[np.bool_]) -> Array:
    """Mean distance to the first row of train less that to the first held-out one, for each labelling."""
    rows = np.ascontiguousarray(labels.T)
    nearest_is = rows[places[:, 0]]
    alike, count = np.ones_like(nearest_is), np.zeros(nearest_is.shape, np.uint8)  # rows of its kind before another
    for j in range(1, distances.shape[1]):
        alike &= rows[places[:, j]] == nearest_is
        count += alike
    other = np.minimum(count.astype(np.int64) + 1, distances.shape[1] - 1)
    nearer = distances[:, :1] - np.take_along_axis(distances, other, 1)
    return np.where(nearest_is, nearer, -nearer).T.copy().mean(1)
