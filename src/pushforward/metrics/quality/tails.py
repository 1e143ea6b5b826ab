r"""Heavy tails: how slowly the largest values thin out, and whether a model's are as large as the data's.

.. math::
    P(X > x) \sim x^{-a}, \qquad 1 / \hat a = \frac1k \sum_{i=1}^k \log \frac{x_{(i)}}{x_{(k+1)}}, \qquad
    x_{(1)} \ge x_{(2)} \ge \dots

Moments of order a and beyond do not exist: at a <= 2 a distance built on variances compares numbers that are noise.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import betabinom
from torch import Tensor

from pushforward.errors import DataError, UsageError
from pushforward.metrics.core.comparison import Comparison
from pushforward.metrics.core.features import RAW, Features
from pushforward.metrics.core.part import Found, Part
from pushforward.metrics.core.permutation import permutation_measure, relabellings
from pushforward.metrics.core.reference import compare, subset
from pushforward.metrics.core.result import Measure, Words
from pushforward.plain.lists import listed
from pushforward.randomness import generator

__all__ = ["PARTS", "Quantiles", "Side", "hill", "quantile_band", "survival", "tail_rows", "tail_values", "tails"]

Array = NDArray[np.float64]
Side = Literal["both", "upper", "lower"]

_CURVE = (0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1)  # shares of a Hill plot
_LEAST = 10  # rows beyond the farthest quantile compared
_LEVELS = 20  # values that a column with a tail takes
_LOOKED = 10_000  # rows of each among which these are counted
_EACH = 500.0  # operations that a row takes in one labelling of one column, in those of a matrix product


def hill(x: Tensor, share: float = 0.02) -> tuple[float, float]:
    r"""Hill's tail index of positive values, and its standard error :math:`\hat a / \sqrt k`.

    It does not change with the unit, but does with the origin: values that are not amounts are to be centred first
    (`tail_values`). Try several shares: small ones are noisy, large ones see more than the tail. The error is for
    independent rows; clustered ones (returns of volatile days) make it too small.

    Args:
        x: Values, (n,), in data units; only the k + 1 largest matter.
        share: Share k / n of the rows that count as the tail; k is rounded down.

    Returns:
        The index, infinite where all values of the tail are equal, and its standard error.

    Raises:
        DataError: If the share leaves fewer than two rows, or the tail reaches down to values that are not positive.
        UsageError: If the share is not in (0, 1).

    References:
        A simple general approach to inference about the tail of a distribution (Hill, 1975).
    """
    if not 0 < share < 1:
        raise UsageError(f"share is {share}: give the part of the rows in the tail, e.g. 0.02")
    largest = np.sort(x.detach().double().cpu().numpy().reshape(-1))[::-1]
    k = tail_rows(share, len(largest))
    if k < 2:
        raise DataError(f"{share:g} of {len(largest)} rows leaves {k} in the tail: raise the share, or draw more rows")
    if not largest[k] > 0:
        remedy = "lower the share, or centre and fold the values with tail_values"
        raise DataError(f"the tail of {k} rows reaches down to {largest[k]:.4g}: {remedy}")
    excess = float(np.log(largest[:k] / largest[k]).mean())
    index = 1 / excess if excess > 0 else float("inf")
    return index, index / k**0.5


def tail_rows(share: float, n: int) -> int:
    """Rows that a share of n is, rounded down but for the rounding of the share: .29 of 100 is 29."""
    return math.floor(share * n * (1 + 1e-12))


def tail_values(x: Tensor, side: Side = "both", centre: Tensor | None = None) -> Tensor:
    """Values whose upper tail is the tail wanted: folded about the centre for both tails, turned for the lower one.

    Args:
        x: Samples, (n, d), in data units.
        side: "both" gives |x - centre|, "upper" x and "lower" -x as they are.
        centre: Point to fold about, (d,); the medians of x where omitted.
    """
    if side == "both":
        return (x - (x.median(0).values if centre is None else centre)).abs()
    return x if side == "upper" else -x


def survival(x: Tensor | Array) -> tuple[Array, Array]:
    r"""Distinct values x, largest first, and the share :math:`\#\{x_i \ge x\} / n` of the sample at or beyond each.

    On logarithmic axes a tail of index a is a straight line of slope -a.

    Args:
        x: Values, (n,).
    """
    values, counts = np.unique(np.asarray(x, np.float64), return_counts=True)
    return values[::-1], counts[::-1].cumsum() / len(x)


@dataclass(frozen=True)
class Quantiles:
    """Quantiles of two samples, and where those of the first would lie if both followed one law; all (L,).

    Attributes:
        levels: Shares of a sample at or beyond its quantile.
        fake: The model's quantiles.
        real: The data's.
        low: Lower end of the band, -inf where the data have no row as small.
        high: Upper end, inf where they have none as large.
    """

    levels: Array
    fake: Array
    real: Array
    low: Array
    high: Array


def quantile_band(
    fake: Tensor | Array, real: Tensor | Array, levels: Array | None = None, confidence: float = 0.95
) -> Quantiles:
    r"""Quantiles against quantiles with a band that is exact for any one continuous law, level by level.

    Of m rows of data, the number beyond the i-th largest of n samples is then beta-binomial,
    :math:`\text{BB}(m, i, n - i + 1)`, whatever the law. Its quantiles are ranks, and the data's values there the band.
    Rounded values, which have ties, make the band wider than it need be.

    Args:
        fake: Model samples, (n,).
        real: Data, (m,).
        levels: Shares of a sample beyond its quantile; by default denser towards both ends.
        confidence: Chance that a quantile lies in the band, at least.

    Raises:
        UsageError: If a level or the confidence is not in (0, 1).
    """
    q, p = (np.sort(np.asarray(x, np.float64).reshape(-1))[::-1] for x in (fake, real))
    n, m = len(q), len(p)
    if levels is None:
        ends = np.geomspace(1 / (min(n, m) + 1), 0.5, 24)
        levels = np.concatenate([ends, 1 - ends[-2::-1]])
    if not (0 < confidence < 1 and (levels > 0).all() and (levels < 1).all()):
        raise UsageError(f"confidence {confidence:g}, levels up to {levels.max():g}: give shares between 0 and 1")
    i, j = (np.clip(np.ceil(levels * size - 1e-9).astype(int), 1, size) for size in (n, m))
    tail = (1 - confidence) / 2
    least, most = (betabinom.ppf(part, m, i, n - i + 1).astype(int) for part in (tail, 1 - tail))
    edges = np.concatenate([[np.inf], p, [-np.inf]])  # edges[k] is the k-th largest row of data
    return Quantiles(levels, q[i - 1], p[j - 1], edges[most + 1], edges[least])


def tails(
    fake: Tensor,
    real: Tensor,
    features: Features = RAW,
    *,
    share: float = 0.02,
    side: Side | None = None,
    names: Sequence[str] | None = None,
    max_columns: int = 32,
    max_n: int = 50_000,
    permutations: int = 200,
    seed: int = 0,
    budget: int = 2**26,
    tick: Callable[[float], None] | None = None,
) -> dict[str, Measure]:
    """Tail indices of a model's columns next to the data's, and how far their largest quantiles are apart.

    Args:
        fake: Model samples, (n, *event), in data units.
        real: Data samples, (m, *event).
        features: The feature space.
        share: Share of the rows that count as the tail in Hill's index.
        side: Tail that is looked at; where omitted the upper one of data that are never negative, else both, each
            sample folded about its own medians for the indices and about those of the pool for the quantiles.
        names: What the columns are called, (d,); their numbers where omitted.
        max_columns: With more columns only the lengths of the rows are looked at.
        max_n: Rows used of each; more are subsampled.
        permutations: Relabellings behind the p-value of the quantiles.
        seed: Seed of subsets and relabellings.
        budget: Bytes that temporaries of one block may take.
        tick: Called with the share of the work done.

    Returns:
        `hill[name]` for each column (`hill` for one without a name), and `hill[norm]` for the lengths of rows of more
        than one column (columns in large units rule these): the index of fake with Hill's error, next to that of real;
        not a number where a tail reaches zero, infinite where it is one value, and left out where neither sample has
        a finite one. It is no test: rounding and bounds move an index by more than its error. The detail holds both
        indices over a range of shares, (`shares`, `fake`, `real`).
        `tail_ratio`: the largest |log| of a ratio of quantiles, over all of these and over tails of 10 % down to ten
        rows; 0.7 means that somewhere out there one sample reaches twice as far. The floor is the mean, the p-value
        that of relabellings; the detail holds the levels and the quantiles (`levels` (L,) as probabilities beyond,
        `fake` and `real` (L, columns)).

    Raises:
        DataError: If the samples do not fit together, or are too few for the share.
        UsageError: If there are not as many names as columns.
    """
    q, p, _ = compare(fake, real, None, features, max_n=max_n, seed=seed)
    p = subset(p, max_n, generator(seed, "evaluate", part="tails"))
    side = side or ("both" if bool((p < 0).any()) else "upper")
    if names is not None and len(names) != q.shape[1]:
        raise UsageError(f"{len(names)} names for {q.shape[1]} columns: give one each")
    least, wanted = min(len(q), len(p)), int(np.ceil(max(10 * _LEAST, 2 / share)))
    if least < wanted:
        raise DataError(f"{least} rows are too few to see tails at share {share:g}: give at least {wanted} of each")
    count = q.shape[1] if q.shape[1] <= max_columns else 0
    own, other, pool = (_columns(tail_values(x, side), count) for x in (q, p, torch.cat([q, p])))
    protocol: Words = {"share": share, "side": side, "max_n": max_n, "seed": seed}
    indices = {
        key: index
        for k, key in enumerate(_keys(names, q.shape[1], count))
        if (index := _index(own[:, k], other[:, k], share, features.id, protocol)) is not None
    }
    lines = relabellings(len(q), len(p), permutations, seed=seed).numpy()
    values, detail = _largest(pool.numpy(), lines, np.geomspace(0.1, _LEAST / least, 12), budget, tick)
    protocol |= {"levels": len(detail["levels"]), "to_rows": _LEAST}
    found = permutation_measure(torch.from_numpy(values), (len(q), len(p)), features.id, protocol)
    found.detail.update(detail)
    return indices | {"tail_ratio": found}


def _columns(x: Tensor, count: int) -> Tensor:
    """The columns looked at: the first so many, and the lengths of the rows where there is more than one."""
    return x if x.shape[1] == 1 else torch.cat([x[:, :count], x.norm(dim=1, keepdim=True)], 1)


def _index(q: Tensor, p: Tensor, share: float, features: str, protocol: Words) -> Measure | None:
    """Index of q next to that of p; None where neither has one, as the levels of a category have none."""
    (value, error), (floor, floor_error) = (_quiet(x, share) for x in (q, p))
    if not np.isfinite([value, floor]).any():
        return None
    words = protocol | {"floor": f"real, ± {floor_error:.2g}", "se": "index / root k"}
    curve = [(part, *(_quiet(x, part)[0] for x in (q, p))) for part in _CURVE]
    detail = {name: torch.tensor(x, dtype=torch.float64) for name, x in zip(("shares", "fake", "real"), zip(*curve))}
    return Measure(value, floor, error, None, len(q), len(p), features, "none", words, detail)


def _quiet(x: Tensor, share: float) -> tuple[float, float]:
    """Hill's index, not a number where the tail reaches zero: a column of zeros is no reason to stop."""
    try:
        return hill(x, share)
    except DataError:
        return float("nan"), float("nan")


def _keys(names: Sequence[str] | None, dim: int, count: int) -> list[str]:
    """What the indices of the columns looked at are called; the lengths of the rows come last."""
    if dim == 1:
        return ["hill"] if names is None else [f"hill[{names[0]}]"]
    return [f"hill[{k if names is None else names[k]}]" for k in range(count)] + ["hill[norm]"]


def _largest(
    pool: Array, lines: NDArray[np.bool_], levels: Array, budget: int, tick: Callable[[float], None] | None
) -> tuple[Array, dict[str, Tensor]]:
    """Largest |log ratio| over the columns of the pool for each labelling, and the quantiles of the first."""
    values, seen = np.zeros(len(lines)), np.empty((2, len(levels), pool.shape[1]))
    for k in range(pool.shape[1]):
        ratios, seen[..., k] = _ratios(pool[:, k], lines, levels, budget)
        values = np.maximum(values, ratios)
        if tick:
            tick((k + 1) / pool.shape[1])
    shown = {"levels": levels, "fake": seen[0], "real": seen[1]}
    return values, {name: torch.from_numpy(x) for name, x in shown.items()}


def _ratios(pool: Array, lines: NDArray[np.bool_], levels: Array, budget: int) -> tuple[Array, Array]:
    """Largest |log ratio| of quantiles for each labelling, and the quantiles of the first, (2, L).

    One sort of the pool serves all labellings: the j-th largest row of a kind is where its count along the sorted
    pool reaches j.
    """
    order = (-pool).argsort(kind="stable")
    values = pool[order]
    # A sample without a tail, all zeros say, is far off but not infinitely so.
    values = np.maximum(values, 1e-12 * max(float(np.abs(values).max()), np.finfo(float).tiny))
    sizes = (int(lines[0].sum()), int((~lines[0]).sum()))
    ranks = [np.maximum(1, np.ceil(levels * n - 1e-9).astype(int)) for n in sizes]
    largest, first = np.empty(len(lines)), np.empty((2, len(levels)))
    step = max(1, budget // (16 * len(pool)))
    for start in range(0, len(lines), step):
        own = lines[start : start + step][:, order]
        quantiles = [
            np.stack([values[np.searchsorted(line.cumsum(), rank)] for line in mask])
            for mask, rank in zip((own, ~own), ranks)
        ]
        largest[start : start + step] = np.abs(np.log(quantiles[0] / quantiles[1])).max(1)
        if start == 0:
            first = np.stack([part[0] for part in quantiles])
    return largest, first


def _part(c: Comparison) -> Found:
    kept = _amounts(c)
    if not kept:
        raise DataError(f"no column has a tail: all hold categories, empty cells, or fewer than {_LEVELS} values")
    names = tuple(field.name for field in c.fields if field.places[0] in kept) if c.fields else ()
    names = names or tuple(c.names[j] for j in kept if c.names)
    fake, real = (x if len(kept) == x.shape[1] else x[:, kept] for x in (c.first, c.real))
    found = tails(fake, real, names=names or None, permutations=c.permutations, seed=c.seed, budget=c.budget,
                  tick=c.tick)  # fmt: skip
    words = _left_out(c, kept)
    return {name: replace(one, protocol=one.protocol | words) for name, one in found.items()}


def _left_out(c: Comparison, kept: Sequence[int]) -> Words:
    """Which columns have no tail, for the record."""
    known = {j: one.name for one in c.fields for j in one.places}
    known = known or {j: c.names[j] if c.names else str(j) for j in range(c.real.shape[1])}
    left = list(dict.fromkeys(name for j, name in known.items() if j not in kept))
    return {"left_out": f"{listed(left)}: categories, empty cells or fewer than {_LEVELS} values"} if left else {}


def _amounts(c: Comparison) -> list[int]:
    """The coordinates that may have a tail: no categories, no cells that may be empty, no few values.

    What is left out depends on the pool and not on which row is whose, so the test keeps its level.
    """
    known = range(c.real.shape[1])
    if c.fields:
        known = [one.places[0] for one in c.fields if one.kind == "number" and one.missing is None]
    few = max(1, len(c.first) // _LOOKED), max(1, len(c.real) // _LOOKED)
    return [
        j
        for j in known
        if len(torch.cat([x[::step, j].double() for x, step in zip((c.first, c.real), few)]).unique()) >= _LEVELS
    ]


def _cost(c: Comparison) -> float:
    """Labels along the sorted pool, counted and looked up, for each labelling and column."""
    n, m, d = (min(size, 50_000) for size in (len(c.first), len(c.real), c.real.shape[1]))
    looked = 1 if d == 1 else (d if d <= 32 else 0) + 1
    return (n + m) * (_EACH * (c.permutations + 1) * looked + 8e3 * c.real.shape[1])


PARTS = (
    Part(
        "tails", "tail index and extreme quantiles", _part, _cost,
        {"hill": "Hill's tail index: smaller means heavier tails; next to the data's",
         "tail_ratio": "Largest log-ratio of extreme quantiles; 0.7 means one sample reaches twice as far"},
        frozenset(("points",)), place=220,
    ),
)  # fmt: skip
