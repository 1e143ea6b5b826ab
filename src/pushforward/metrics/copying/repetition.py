r"""Rows that one set repeats, against what the others show.

Where a column is continuous, take the rows of all sets together, and of them the kinds that are no accident when they
occur again. Kind k of c_k rows lies among n samples out of N rows alone, if the sets are of one law, with chance

.. math:: \pi_k = \prod_{i < c_k} \frac{n - i}{N - i},

and :math:`T = \sum_k (c_k - 1) B_k` counts the samples beyond the first of kinds that no other set has. Places are
drawn without replacement, so that the :math:`B_k` are negatively associated, and for all :math:`\lambda \ge 0`

.. math:: P(T \ge t) \le e^{-\lambda t} \prod_k \bigl(1 - \pi_k + \pi_k e^{\lambda (c_k - 1)}\bigr).

That is exact where all such kinds lie among the samples. A value that the law itself repeats, as 0 for who bought
nothing, is thereby as likely in either set at any sizes.

References:
    Negative association of random variables, with applications (Joag-Dev & Proschan, 1983).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from pushforward.metrics.copying.rows import Keys
from pushforward.plain.findings import Finding

__all__ = ["LEAST", "SURE", "Tally", "dependent", "excess", "repeats"]

SURE = 1e-6
"""How unlikely it must be by chance, where rows may be repeated by the law itself."""

LEVEL = 1e-3
"""Of repeats where a column is continuous: an honest model is accused less often."""

LEAST = 5  # rows
SHARE = 0.01  # of the rows of a set: fewer repeats than that change no test
SEVERAL = 20  # values whose numbers all have a common factor: by chance once in a million times


@dataclass(frozen=True, eq=False)
class Tally:
    """The rows of one set, counted by what they hold.

    Attributes:
        role: What the caller calls it.
        rows: Keys, (n,).
        values: The keys that occur, ascending.
        counts: How often.
        telling: Whether a value is no accident when it occurs again, by its place among the values; none is where no
            column is continuous.
        fine: Whether a column is continuous.
        exact: Whether numbers were compared to the bit.
        near: Whether rows that are nearly one count as one.
    """

    role: str
    rows: Keys
    values: Keys
    counts: NDArray[np.int64]
    telling: NDArray[np.bool_]
    fine: bool
    exact: bool
    near: bool = False

    @property
    def n(self) -> int:
        return len(self.rows)

    @property
    def extra(self) -> int:
        """Rows beyond the first of their kind that are no accident."""
        return int((self.counts - 1)[self.telling].sum())

    @property
    def factor(self) -> int:
        """How often each row occurs, where all occur equally often or a multiple of that."""
        return int(np.gcd.reduce(self.counts)) if len(self.values) >= SEVERAL else 1


def repeats(q: Tally, others: Sequence[Tally]) -> Finding | None:
    """Samples that repeat rows more than data do.

    Args:
        q: The samples.
        others: The rows of real, and those of train where there are any.
    """
    p = others[0]
    kinds, fewer = len(q.values), _kinds(q, p.n) < _kinds(p, q.n)
    extra = _alone(q, others)
    more = extra >= max(LEAST, SHARE * q.n) and excess(q, others) <= LEVEL
    collapsed = _kinds(p, q.n) > 0.8 > 2 * _kinds(q, p.n)  # rows of the data are nearly all unlike, of samples few are
    multiple = q.factor > 1 and p.factor % q.factor
    if not more and not (fewer and (collapsed or multiple or _more_often(q, p))):
        return None
    counted = (
        f"{extra:,} of {q.n:,} samples repeat another one, in rows that the data do not have"
        if more
        else f"{kinds:,} of {q.n:,} are distinct, of real {len(p.values):,} of {p.n:,}"
    )
    alike = ", but for rounding or noise" if q.near else ""
    words = (
        f"The samples repeat rows{alike}: {counted}: repeated rows are no draws of a model, and p-values do not hold "
        "for them."
    )
    numbers = {"distinct": kinds, "repeated": 1 - kinds / q.n, "repeated_real": 1 - len(p.values) / p.n, "alone": extra}
    return Finding("repeats", words, True, numbers)


def excess(q: Tally, others: Sequence[Tally]) -> float:
    """A bound on how likely a set repeats so many rows that no other has, where all are of one law; see above."""
    from scipy.optimize import minimize_scalar

    rows = [(one.values[one.telling], one.counts[one.telling]) for one in (q, *others)]
    values, place = np.unique(np.concatenate([part[0] for part in rows]), return_inverse=True)
    counts = np.bincount(place, np.concatenate([part[1] for part in rows]), len(values)).astype(np.int64)
    seen = _alone(q, others)
    sizes, times = np.unique(counts[(counts > 1) & (counts <= q.n)], return_counts=True)
    if not seen:
        return 1.0
    total = q.n + sum(one.n for one in others)
    logs = gammaln(q.n + 1) - gammaln(q.n - sizes + 1) - gammaln(total + 1) + gammaln(total - sizes + 1)
    stay = np.log1p(-np.minimum(np.exp(logs), 1 - 1e-15))

    def bound(slope: float) -> float:
        return float((times * np.logaddexp(stay, logs + slope * (sizes - 1))).sum() - slope * seen)

    best = minimize_scalar(bound, bounds=(0.0, 50.0), method="bounded")
    return float(np.exp(min(0.0, float(best.fun), bound(50.0))))


def _alone(q: Tally, others: Sequence[Tally]) -> int:
    """Rows beyond the first of kinds that are no accident and that no other set has."""
    own = q.telling & ~np.isin(q.values, np.concatenate([one.values for one in others]))
    return int((q.counts - 1)[own].sum())


def _kinds(x: Tally, most: int) -> float:
    """The share of distinct rows that is expected of so many rows of a set, or of all where it has no more."""
    n = min(most, x.n)
    missed = gammaln(x.n - x.counts + 1.0) - gammaln(np.maximum(x.n - x.counts - n, 0) + 1.0)
    missed -= gammaln(x.n + 1.0) - gammaln(x.n - n + 1.0)
    return float(np.where(x.n - x.counts < n, 1.0, 1 - np.exp(missed)).sum()) / n


def dependent(one: Tally, sets: Mapping[str, Tally]) -> Finding | None:
    """Rows of data that are repeated.

    Few kinds of them, as rows of zeros, are a value of their law, which independent rows may have in common.

    Args:
        one: The rows.
        sets: All sets by their roles.
    """
    others = [x for role, x in sets.items() if role not in (one.role, "fake")]
    if (
        not (one.extra >= max(LEAST, SHARE * one.n) and ((one.counts > 1) & one.telling).sum() >= LEAST)
        and one.factor < 2
        and not any(_more_often(one, other) for other in others)
    ):
        return None
    words = (
        f"Rows of {one.role} are repeated: {len(one.values):,} of {one.n:,} are distinct, so that they are not "
        "independent and p-values are too small: keep each row once, unless the law itself repeats rows."
    )
    numbers = {"of": one.role, "distinct": len(one.values), "repeated": 1 - len(one.values) / one.n}
    return Finding("dependent", words, False, numbers)


def _more_often(x: Tally, y: Tally) -> bool:
    """Whether x has more rows twice that y has not than y has that x has not, beyond chance; for tables of levels."""
    from scipy.stats import binom

    if x.fine or x.factor > 1 or y.factor > 1:  # a set of triples has no pairs
        return False
    mine, theirs = (
        int(((one.counts == 2) & ~np.isin(one.values, other.values)).sum()) for one, other in ((x, y), (y, x))
    )
    pairs = x.n * (x.n - 1), y.n * (y.n - 1)
    return bool(mine and float(binom.sf(mine - 1, mine + theirs, pairs[0] / sum(pairs))) < SURE)
