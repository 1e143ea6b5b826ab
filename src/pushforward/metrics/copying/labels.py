r"""Do samples lie near the rows a model learned from rather than near those it did not, and are the two of one law?

Training and held-out rows of one law are told apart by nothing but what was learned. Of all rows of their pool that
have a sample near them, R in number, as many are held-out rows as a draw of R from the pool has: a hypergeometric
number, for every model that does not know the rows, however bad it is.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pushforward.metrics.copying.rows import Keys, one_of_each

__all__ = ["SHARES", "least_rows", "nearer_to_train", "not_one_law"]

Array = NDArray[np.float64]
Places = NDArray[np.int64]

SHARES = (0.02, 0.05, 0.1, 0.25, 1.0)
"""What share of all samples, those nearest to any row of the pool, makes up each class."""

_WIDTH = 24  # directions in which training and held-out rows are compared


def nearer_to_train(
    to_train: tuple[Array, Places],
    to_held: tuple[Array, Places],
    keys: tuple[Keys, Keys],
    rng: np.random.Generator,
) -> float:
    """How likely it is that so few of the rows near samples are held-out ones, were the model not to know any.

    Args:
        to_train: Distances from samples to the nearest training rows and their places, (n,) each; not tied.
        to_held: The same to held-out rows.
        keys: Keys of the training and the held-out rows, the same for rows that are the same to a distance.
        rng: Draws one of rows that are equal.

    Returns:
        p of the least likely class, times their number.
    """
    from scipy.stats import hypergeom

    (near, place), (far, other) = to_train, to_held
    sizes = len(keys[0]), len(keys[1])
    # Of equal rows one stands for all, drawn without a look at its kind, so that labels stay exchangeable.
    chosen = one_of_each(np.concatenate(keys), rng)
    equal = keys[0][place] == keys[1][other]
    stands = np.zeros(len(near), bool)
    kept = np.unique(keys[0][chosen[: sizes[0]]])
    stands[equal] = np.isin(keys[0][place[equal]], kept)
    train = np.where(equal, stands, near < far)
    order = np.minimum(near, far).argsort(kind="stable")
    best = 1.0
    for share in SHARES:
        some = order[: max(1, round(share * len(order)))]
        mine = len(np.unique(keys[0][place[some[train[some]]]]))
        theirs = len(np.unique(keys[1][other[some[~train[some]]]]))
        best = min(best, len(SHARES) * float(hypergeom.cdf(theirs, sum(sizes), sizes[1], mine + theirs)))
    return best


def least_rows(train: int, held: int, level: float) -> int | None:
    """How many rows with samples near them, all of train, would show copies at a level; None where no number would."""
    from scipy.stats import hypergeom

    low, high = 1, train
    if len(SHARES) * hypergeom.cdf(0, train + held, held, high) > level:
        return None
    while low < high:
        middle = (low + high) // 2
        seen = len(SHARES) * hypergeom.cdf(0, train + held, held, middle) <= level
        low, high = (low, middle) if seen else (middle + 1, high)
    return low


def not_one_law(train: Array, held: Array, rng: np.random.Generator, most: int = 2000) -> float:
    """p-value of training and held-out rows following one law, by a quadratic classifier and rows it has not seen.

    Args:
        train: Training rows, (T, d).
        held: Held-out rows, (m, d).
        rng: Draws rows and directions.
        most: Rows used of each.
    """
    from scipy.stats import mannwhitneyu

    parts = [x[rng.permutation(len(x))[:most]] for x in (train, held)]
    if min(map(len, parts)) < 20:
        return 1.0
    if train.shape[1] > _WIDTH:
        turn = rng.normal(size=(train.shape[1], _WIDTH))
        parts = [x @ turn for x in parts]
    pool = np.concatenate(parts)
    # Ranks, so that one outlier decides nothing.
    ranks = np.stack([np.unique(x, return_inverse=True)[1] for x in pool.T], 1).astype(np.float64)
    ranks = (ranks - ranks.mean(0)) / np.where(ranks.std(0) > 0, ranks.std(0), 1.0)
    shown = np.c_[ranks, ranks**2 - 1]
    label = np.r_[np.ones(len(parts[0]), bool), np.zeros(len(parts[1]), bool)]
    learn = np.zeros(len(label), bool)
    for kind in (label, ~label):
        places = np.flatnonzero(kind)
        learn[rng.permutation(places)[: len(places) // 2]] = True
    means = [shown[learn & kind].mean(0) for kind in (label, ~label)]
    centred = np.where(label[:, None], shown - means[0], shown - means[1])[learn]
    within = centred.T @ centred / len(centred)
    ridge = 1e-3 + 1e-2 * np.trace(within) / len(within)
    scores = shown[~learn] @ np.linalg.solve(within + ridge * np.eye(len(within)), means[0] - means[1])
    kind = label[~learn]
    if np.ptp(scores) == 0:
        return 1.0
    return float(mannwhitneyu(scores[kind], scores[~kind], alternative="greater", method="asymptotic").pvalue)
