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
    """

    fake: Array
    real: Array
    place: Places
    real_place: Places
    hit: Places
    hit_own: Array
    hit_place: Places
    places: Places

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
    fake, places = nearest(q, t, k, budget=budget, tick=stage(tick, 0, 0.375))
    real, others = nearest(p, t, k, budget=budget, tick=stage(tick, 0.375, 0.625))
    place, real_place = places[:, 0], others[:, 0]
    # Only training rows that are someone's nearest need their own nearest ones.
    hit = np.unique(np.concatenate([place, real_place]))
    own, own_places = nearest(t[hit], t, k, own=hit, budget=budget, tick=stage(tick, 0.625, 1))
    return Near(fake, real, place, real_place, hit, own, own_places[:, 0], places)


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
    q: Array,
    p: Array,
    t: Array,
    permutations: int,
    rng: np.random.Generator,
    seed: int,
    budget: int,
    tick: Callable[[float], None] | None,
) -> Measure:
    """Mean difference of nearest distances, with its law under relabelling of the rows of train and real.

    A relabelling needs no new search: it looks up the first row of either kind among the pool's nearest rows. In the
    rare case that all of these are of one kind, the distance to the other counts as that to the last of them.
    """
    m = min(len(t), len(p))
    pool = np.concatenate([x if len(x) == m else x[rng.permutation(len(x))[:m]] for x in (t, p)])
    distances, places = nearest(q, pool, min(_POOL, len(pool)), budget=budget, tick=tick)
    labels, last = relabellings(m, m, permutations, seed=seed).numpy(), distances.shape[1] - 1
    values, rows = np.empty(len(labels)), np.arange(len(q))
    for line, label in enumerate(labels):
        of_train = label[places]
        first, other = of_train.argmax(1), (~of_train).argmax(1)
        first[~of_train.any(1)] = last
        other[of_train.all(1)] = last
        values[line] = (distances[rows, first] - distances[rows, other]).mean()
    null = torch.from_numpy(values[1:])
    error = float(null.square().mean().sqrt()) if len(null) else None
    p_low = p_value(-torch.from_numpy(values))
    protocol: Words = {"rows_of_each": m, "permutations": permutations, "se": "relabelling train and real"}
    protocol["p"] = "permutation, one-sided: fakes nearer to train"
    return Measure(float(values[0]), 0.0, error, p_low, len(q), m, "", "none", protocol, {"null": null})
