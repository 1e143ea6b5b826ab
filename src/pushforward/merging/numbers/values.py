r"""What a merge does to values: exact zeros, signs, ranges and steps of moved rows beside those of the target.

.. math::
    \text{zeros} = \Pr[x_{ij} = 0], \qquad \text{below} = \Pr[x_{ij} < \min_{t} x_{tj}], \qquad
    \text{above} = \Pr[x_{ij} > \max_{t} x_{tj}]

over moved rows i and columns j, with t the rows of the target. A share is notable where it is above what one random
half of the target has against the other half, by three standard deviations over the cuts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse

from pushforward.errors import UsageError
from pushforward.merging.codes import rows_of
from pushforward.randomness import generator

__all__ = ["Keep", "Values", "checked", "compared", "counts", "kept"]

Keep: TypeAlias = Literal["zeros", "signs", "levels"]
Array = NDArray[np.float64]

MOST, CUTS = 1000, 10  # rows of a half, and cuts
SLACK = 1e-6  # of a column's range: less than that beyond an end is rounding
DIGITS = 6  # decimals that steps are looked for in

COUNTS = (
    "values are whole numbers from 0, as raw counts are: merged they become fractions and may become negative: "
    "normalise and log1p first, or keep (--keep) zeros signs levels"
)


@dataclass(frozen=True)
class Shares:
    """Shares of entries.

    Attributes:
        zeros: How much larger or smaller the share of exact zeros is than in the rows it is held against.
        below: Below their column's least.
        above: Above its largest.
        negative: Below 0 in columns where the others have nothing below 0.
    """

    zeros: float
    below: float
    above: float
    negative: float


@dataclass(frozen=True)
class Values:
    """Shares of exact zeros before, after and in the target, other shares of moved rows, and what halves have.

    Attributes:
        before: Share of exact zeros of the rows that move, before.
        after: And after.
        target: Of the rows of the target.
        shares: Of the moved rows against the target.
        floor: What halves of the target have against each other, with three standard deviations.
        keep: What was kept.
    """

    before: float
    after: float
    target: float
    shares: Shares
    floor: Shares
    keep: tuple[Keep, ...]

    def as_dict(self) -> dict[str, Any]:
        """As .h5ad files and JSON hold it."""
        return {
            "zeros_before": self.before,
            "zeros_after": self.after,
            "zeros_target": self.target,
            **{name: value for name, value in asdict(self.shares).items() if name != "zeros"},
            "floor": asdict(self.floor),
            "keep": np.array(self.keep, dtype=object),
        }

    def words(self) -> str:
        """One line where a share is notable, else nothing."""
        mine, halves, parts, lost = self.shares, self.floor, list[str](), list[Keep]()
        if abs(mine.zeros) > halves.zeros and self.after != self.before:
            lost.append("zeros")
            parts.append(
                f"{self.before:.1%} exact zeros before, {self.after:.1%} after, {self.target:.1%} in the target"
            )
        if mine.below > halves.below:
            parts.append(f"{mine.below:.2%} below the target's least (its halves up to {halves.below:.2%})")
        if mine.above > halves.above:
            parts.append(f"{mine.above:.2%} above its largest (its halves up to {halves.above:.2%})")
        if mine.negative > halves.negative:
            lost.append("signs")
            parts.append(f"{mine.negative:.2%} negative where the target has none")
        lost = [name for name in lost if name not in self.keep]
        remedy = f"; keep (--keep) {' '.join(lost)} would hold them" if lost else ""
        return f"values of moved rows: {', '.join(parts)}{remedy}" if parts else ""


def checked(keep: Sequence[str]) -> tuple[Keep, ...]:
    """What is to be kept.

    Raises:
        UsageError: If it is none of the choices.
    """
    known: tuple[Keep, ...] = get_args(Keep)
    for name in [keep] if isinstance(keep, str) else keep:
        if name not in known:
            raise UsageError(f"keep {name!r}: choose of {', '.join(known)}, as ('zeros', 'signs')")
    return tuple(name for name in known if name in keep)


def counts(x: Any) -> bool:
    """Whether a matrix looks like raw counts: whole numbers from 0, some beyond 1."""
    stored = x.data if issparse(x) else np.asarray(x)
    return bool(stored.size) and bool((stored >= 0).all() and (stored == np.rint(stored)).all() and stored.max() > 1)


def kept(before: Any, after: Any, target: Any, keep: Sequence[Keep]) -> Any:
    """Moved rows with what is to be kept of their values; the input is left alone.

    Args:
        before: Rows before, (n, d), dense or CSR.
        after: Rows after, likewise; sparse ones have the pattern of `before`.
        target: Rows of the target, (m, d).
        keep: "levels": rounded to the step of a column whose target values are all multiples of one. "signs": not
            below the target's least where the target has nothing negative. "zeros": what was exactly 0 is 0 where the
            target's column has exact zeros.
    """
    if not keep or not after.shape[0]:
        return after
    out = after.copy()
    least, _ = _ends(target)
    step = _steps(target) if "levels" in keep else np.zeros(out.shape[1])
    empty = _zeros(target) > 0
    columns = out.indices if issparse(out) else np.broadcast_to(np.arange(out.shape[1]), out.shape)
    new, old = (out.data, before.data) if issparse(out) else (out, np.asarray(before))
    width = step[columns]
    new[...] = np.where(width > 0, np.rint(new / np.where(width > 0, width, 1)) * width, new)
    if "signs" in keep:
        floor = least[columns]
        new[...] = np.where(floor >= 0, np.maximum(new, floor), new)
    if "zeros" in keep:
        new[(old == 0) & empty[columns]] = 0
    return out


def compared(before: Any, after: Any, target: Any, keep: Sequence[Keep] = (), seed: int = 0) -> Values:
    """Shares of moved rows beside those of the target and of its halves.

    Args:
        before: Rows before, (n, d), dense or sparse.
        after: Rows after.
        target: Rows of the target, (m, d).
        keep: What was kept.
        seed: Seed of the cuts.
    """
    rng, cuts = generator(seed, "evaluate", part="values"), list[Shares]()
    target, size = rows_of(target), min(target.shape[0] // 2, MOST)
    for _ in range(CUTS):
        order = rng.permutation(target.shape[0])
        cuts.append(_shares(target[order[:size]], target[order[size : 2 * size]]))
    rows = np.abs([[cut.zeros, cut.below, cut.above, cut.negative] for cut in cuts])
    zeros, below, above, negative = (rows.mean(0) + 3 * rows.std(0, ddof=1)).tolist()
    floor = Shares(zeros, below, above, negative)
    first, last, theirs = (float(_zeros(x).mean()) for x in (before, after, target))
    return Values(first, last, theirs, _shares(after, target), floor, tuple(keep))


def _shares(x: Any, target: Any) -> Shares:
    """Shares of entries of rows against those of others."""
    least, largest = _ends(target)
    slack = SLACK * np.maximum(largest - least, np.maximum(np.abs(least), np.abs(largest)) * SLACK)
    negative = np.where(least >= 0, -slack, -np.inf)
    zeros = float(_zeros(x).mean() - _zeros(target).mean())
    below = _count(x, lambda entry, k: entry < (least - slack)[k])
    above = _count(x, lambda entry, k: entry > (largest + slack)[k])
    return Shares(zeros, below, above, _count(x, lambda entry, k: entry < negative[k]))


def _count(x: Any, beyond: Any) -> float:
    """Share of entries for which (entries, their columns) is true; those that a sparse matrix does not store are 0."""
    n, d = x.shape
    every = np.arange(d)
    if not issparse(x):
        return float(beyond(np.asarray(x), every).mean())
    absent = n - np.bincount(x.indices, minlength=d)
    return float((beyond(x.data, x.indices).sum() + absent[beyond(np.zeros(d), every)].sum()) / (n * d))


def _zeros(x: Any) -> Array:
    """Share of exact zeros in each column, (d,)."""
    if issparse(x):
        return 1 - np.bincount(x.indices[x.data != 0], minlength=x.shape[1]) / x.shape[0]
    return (np.asarray(x) == 0).mean(0)


def _ends(x: Any) -> tuple[Array, Array]:
    """Least and largest of each column, (d,); missing entries aside."""
    if issparse(x):
        least, largest = (np.asarray(end.toarray(), np.float64).ravel() for end in (x.min(axis=0), x.max(axis=0)))
        return least, largest
    dense = np.asarray(x)
    return np.fmin.reduce(dense, axis=0).astype(np.float64), np.fmax.reduce(dense, axis=0).astype(np.float64)


def _steps(x: Any) -> Array:
    """The step of which all values of a column are multiples, (d,); 0 where there is none."""
    if not issparse(x):
        return np.array([_step(column, len(column)) for column in np.asarray(x).T])
    stored = x.tocsc()
    ends = zip(stored.indptr[:-1], stored.indptr[1:], strict=True)
    return np.array([_step(stored.data[start:end], x.shape[0]) for start, end in ends])


def _step(column: NDArray[Any], n: int) -> float:
    """The largest step: a common divisor of whole numbers, or of numbers of few decimals that recur among n rows."""
    found = np.unique(np.asarray(column, np.float64))
    if not np.isfinite(found).all() or not found.any():
        return 0.0
    exact = np.finfo(column.dtype).eps if column.dtype.kind == "f" else 0.0
    for digits in range(DIGITS + 1):
        if digits and 2 * len(found) > n:
            return 0.0  # nearly all differ: these are measurements, rounded
        scaled = found * 10.0**digits
        near = np.rint(scaled)
        if (np.abs(scaled - near) <= 4 * exact * np.abs(scaled)).all() and np.abs(near).max() < 2**53:
            return float(np.gcd.reduce(np.abs(near).astype(np.int64))) / 10.0**digits
    return 0.0
