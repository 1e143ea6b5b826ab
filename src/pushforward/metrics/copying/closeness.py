r"""How surprising it is that a sample lies so near one training row: the law of ratios of neighbours' distances.

Where a point x knows the law of the rows but not the rows themselves, and their density around x changes little over
the distances :math:`r_1 \le r_2 \le \dots \le r_k` to the nearest of them, :math:`(r_1/r_2)^D` is uniform, whatever
that density is and whatever law x has; D is the dimension in which the rows lie around x. So

.. math:: u = (r_1/r_2)^{\hat D}, \qquad \hat D = \max\{1, \tfrac12 \min(D_x, D)\}, \qquad
          D_x = (k-2) \Big/ \sum_{j=2}^{k-1} \log(r_k/r_j),

with D the median of :math:`D_x` over rows of the data, or the number of columns where that is less, is seldom small:
half of an estimated dimension is on the safe side, and the error of :math:`D_x` is allowed for by
:math:`P(u \le t) \le t + (1 + \tfrac14\log(1/t))^{-8}`. A model that shows only the middle of the data, or lies far
off, is not nearer to one row than to the next; a copy is, by orders of magnitude.

Where the density changes within those distances, as in a spike :math:`x = g\,U^{40}` with :math:`U` uniform, u is small
more often than that, up to a hundred times for small t. There `tail` asks rows of the data, which have the same law:
where these are near each other more often than the bound allows, a model must be so more often than they are. A model
may put more weight on such places than the data do; its samples are then near each other, and count as rows do.

Rows on a grid meet by chance. With :math:`g` the distance that a row moves, in the median, when all its values move at
random within their steps, and :math:`g_1` when that of the finest column does, two looks are taken and the smaller
u counts:

.. math:: \bigl(\max(r_1, g)/r_2\bigr)^{\hat D} \quad\text{and}\quad 2\max(r_1, g_1)/r_2.

The first takes no two rows to be nearer than the grid can tell. It sees nothing in tables where coarse columns make g
large although rows differ by the fine one; there rows that agree in the coarse ones lie on a line, of dimension 1, and
:math:`2g_1`, half a step, is how far apart two numbers may be that are written alike. Each look stays
below half of the bound on such data, so that the smaller of the two keeps it.

References:
    Estimating the intrinsic dimension of datasets by a minimal neighborhood information (Facco et al., 2017); Maximum
    likelihood estimation of intrinsic dimension (Levina and Bickel, 2004).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["FEW", "LIMITS", "NEIGHBOURS", "SEEN", "Grain", "Tail", "chance", "grain", "intrinsic", "surprise", "tail"]

Array = NDArray[np.float64]

NEIGHBOURS = 10
"""Training rows looked at around each sample; the bound above holds for this number."""

LIMITS = (1e-2, 1e-3, 1e-4, 1e-6, 1e-9)
"""What u stays above, class by class of closeness, but for so few of the samples as `chance` says."""

FEW = 5
"""Distinct rows; fewer may be a rare value that the law itself repeats, as none of the data shows it to do."""

SEEN = 2000
"""Rows by which columns are judged."""

_DOUBTED = 0.1  # chance of so many of the data in a class below which the bound is not believed for the class
_COLUMNS = 64  # columns that are judged where there are more
_PROBES = 32  # rows that are moved within their grid


def chance(limit: float) -> float:
    """The share of samples with u below a limit that is expected at the most of a model that does not copy."""
    return limit + (1 - np.log(limit) / 4) ** -8


@dataclass(frozen=True)
class Grain:
    """How finely the data are written: rows on a coarse grid meet by chance.

    Attributes:
        whole: How far a row moves, in feature units, that is moved within the grid of its values, or 0 where a column
            is continuous.
        column: The same where only the finest column is moved.
        fine: Some of the continuous columns, by position.
    """

    whole: float
    column: float
    fine: tuple[int, ...]


def grain(x: Tensor, features: Callable[[Tensor], Tensor], rng: np.random.Generator) -> Grain:
    """How finely data are written, judged by some rows and columns.

    Args:
        x: Data as they are, (n, *event).
        features: The feature space that distances are taken in.
        rng: Draws rows and columns.
    """
    rows = x[torch.from_numpy(np.sort(rng.permutation(len(x))[:SEEN])).to(x.device)].detach().cpu()
    flat = rows.flatten(1).double().numpy()
    columns = np.sort(rng.permutation(flat.shape[1])[:_COLUMNS])
    steps = np.array([_step(flat[:, j]) for j in columns])
    if (steps == 0).any():
        return Grain(0.0, 0.0, tuple(columns[steps == 0][:8].tolist()))
    moving = steps < np.inf
    if not moving.any():  # the columns seen are constant
        return Grain(np.inf, np.inf, ())
    spread = flat[:, columns].std(0)
    best = int(np.divide(steps, spread, out=np.full(len(steps), np.inf), where=moving & (spread > 0)).argmin())
    wide = np.full(flat.shape[1], np.median(steps[moving]) if len(columns) < flat.shape[1] else 0.0)
    wide[columns] = np.where(moving, steps, 0.0)
    one = np.zeros(flat.shape[1])
    one[columns[best]] = steps[best]
    chosen, shift = flat[:_PROBES], rng.uniform(-0.5, 0.5, flat[:_PROBES].shape)
    ends = flat.min(), flat.max()  # a network may refuse what lies beyond

    def moved(by: Array) -> float:
        before, after = (
            features(torch.from_numpy(y).to(rows.dtype).reshape(len(y), *rows.shape[1:]).to(x.device)).double().cpu()
            for y in (chosen, (chosen + shift * by).clip(*ends))
        )
        return float((after - before).norm(dim=1).median())

    return Grain(moved(wide), moved(one), ())


def _step(x: Array) -> float:
    """The distance of the levels of a column, 0 where it is continuous, infinity where it is constant."""
    values, counts = np.unique(x, return_counts=True)
    if len(values) < 2:
        return np.inf
    gaps = np.diff(values)
    # A value that fills many cells, as 0 does, says nothing about how finely the others are written.
    rest = len(x) - counts.max()
    if (counts == 1).sum() < 0.5 * rest:
        return float(np.median(gaps))
    steps = gaps / gaps.min()
    return float(gaps.min()) if np.abs(steps - np.rint(steps)).max() < 0.01 else 0.0


def intrinsic(distances: Array, columns: int) -> float:
    """The dimension in which most of some rows lie among those near them: the median of D_x, and never above columns.

    Args:
        distances: To the nearest rows, (n, k), nearest first.
        columns: Coordinates of a row. Inside a spike, or at its rim, all rows near are equally far and D_x is large.
    """
    return min(float(columns), float(np.median(_dimensions(distances)))) if distances.shape[1] >= NEIGHBOURS else 1.0


def _dimensions(distances: Array) -> Array:
    """D_x of each, (n,)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log(distances[:, -1:] / distances[:, 1:-1]).sum(1)
        return np.nan_to_num((distances.shape[1] - 2) / logs, nan=1.0, posinf=np.inf)


def surprise(distances: Array, dimension: float, grain: Grain | None = None) -> Array:
    """How surprising the nearest of some rows is.

    Args:
        distances: To the nearest rows, (n, k), nearest first.
        dimension: The dimension D of the data, above which no sample's own is believed; see `intrinsic`.
        grain: How finely the data are written; two rows are not nearer than that.

    Returns:
        u of each, (n,), in [0, 1]; 1 where the second row is as near, as among repeated rows.
    """
    if distances.shape[1] < NEIGHBOURS:  # the bound of `chance` is not theirs
        return np.ones(len(distances))
    whole, column = (grain.whole, grain.column) if grain else (0.0, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        power = np.maximum(1.0, np.minimum(_dimensions(distances), dimension) / 2)
        full = (np.maximum(distances[:, 0], whole) / distances[:, 1]) ** power
        line = 2 * np.maximum(distances[:, 0], column) / distances[:, 1]
    u = np.minimum(full, line) if whole > column else full
    return np.where(distances[:, 1] > 0, np.minimum(np.nan_to_num(u, nan=1.0, posinf=1.0), 1.0), 1.0)


@dataclass(frozen=True)
class Tail:
    """The class of closeness that says most.

    Attributes:
        p: How likely so many are where the model does not copy; of the least likely class, times their number.
        rows: Distinct training rows that samples are so near to.
        share: Share of the samples that are.
        known: The same share of the rows known to be no copies, the largest where there are several sets.
        limit: The class.
    """

    p: float
    rows: int
    share: float
    known: float
    limit: float


def tail(u: Array, row: NDArray[np.int64], known: Sequence[Array]) -> Tail:
    """Samples too near to training rows, against what chance allows and what rows of the data show.

    Several samples near one row count once: they may be one sample's repeats.

    Args:
        u: Of samples, (n,); see `surprise`.
        row: The training row nearest to each, (n,).
        known: u of rows of the data that are no copies, and of samples among each other, set by set, (m,) each; where
            one has more than chance allows, samples must have more than it has.
    """
    from scipy.stats import binom, hypergeom

    n, best = len(u), Tail(1.0, 0, 0.0, 0.0, LIMITS[0])
    together = [np.concatenate(known)] if len(known) > 1 else []
    given = [real for real in (*known, *together) if len(real)]
    sets = [(real, min(_excess(real, limit) for limit in LIMITS) < 1e-3) for real in given]
    for limit in LIMITS:
        below, share = u <= limit, 0.0
        count = len(np.unique(row[below]))
        if count < FEW:
            continue
        p = float(binom.sf(count - 1, n, chance(limit)))
        for real, close in sets:
            m, usual = len(real), int((real <= limit).sum())
            share = max(share, usual / m)
            if (
                close or _excess(real, limit) < _DOUBTED
            ):  # the data have close rows of their own, perhaps of other classes
                p = max(p, float(hypergeom.sf(count - 1, n + m, count + usual, n)))
        found = Tail(min(1.0, len(LIMITS) * p), count, float(below.mean()), share, limit)
        best = min(best, found, key=lambda one: (one.p, -one.rows))
    return best


def _excess(u: Array, limit: float) -> float:
    """How likely so many rows of the data are below a limit by chance."""
    from scipy.stats import binom

    return float(binom.sf(int((u <= limit).sum()) - 1, len(u), chance(limit)))
