"""Rows that sets have in common, or that one set repeats: the same samples twice, a leak, rows that are no draws.

In data with a continuous column equal rows are no accident, but for those whose values there are usual ones, as 0 may
be. In tables of few levels equal rows are to be expected, and only more of them count than the other set shows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import gammaln
from torch import Tensor

from pushforward.metrics.copying.closeness import SEEN, grain
from pushforward.metrics.copying.precision import Precision, flat_rows
from pushforward.metrics.copying.rows import Keys, keys_as_stored
from pushforward.metrics.core.comparison import Comparison
from pushforward.metrics.core.features import RAW
from pushforward.metrics.core.reference import Given, check_compared
from pushforward.plain.findings import Finding
from pushforward.randomness import generator

__all__ = ["recurring", "recurring_cost"]

EQUAL = "equal rows"
"""What it is called where it takes time or is left out."""

OF_ROWS = ("same", "leak", "copies", "repeats", "dependent")
"""What `recurring` looks for."""

SURE = 1e-6
"""How unlikely it must be by chance."""

LEAST = 5  # rows
SHARE = 0.01  # of the rows of a set: fewer repeats than that change no test
MET = 0.002  # rows that may be equal once all sets are rounded to the digits of one
SEVERAL = 20  # values whose numbers all have a common factor: by chance once in a million times


@dataclass(frozen=True)
class _Set:
    """The rows of one set.

    Attributes:
        role: What the caller calls it.
        rows: Keys, (n,).
        values: The keys that occur, ascending.
        counts: How often.
        telling: Whether a value is no accident when it occurs again, by its place among the values; all are not where
            no column is continuous.
        fine: Whether a column is continuous.
        exact: Whether numbers were compared to the bit.
    """

    role: str
    rows: Keys
    values: Keys
    counts: NDArray[np.int64]
    telling: NDArray[np.bool_]
    fine: bool
    exact: bool

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


def recurring(
    fake: Given,
    real: Given,
    train: Given | None = None,
    *,
    budget: int = 2**26,
    tick: Callable[[float], None] | None = None,
) -> tuple[Finding, ...]:
    """What equal rows say of a comparison, before anything is measured.

    `same`: samples that equal rows of real. `leak`: held-out rows that are part of train. `copies`: samples that are
    the training rows, as they are or in another order. `repeats` counts against samples that repeat rows as the data
    do not. `dependent`: rows of real or train are repeated, so that p-values are too small.

    Rows are equal where all their numbers are, to the bit; of sets that were stored unlike, by the digits that both
    have (`rows.keys_as_stored`).

    Args:
        fake: Model samples, (n, *event).
        real: Data samples, (m, *event).
        train: What the model learned from, (k, *event), or None.
        budget: Bytes that temporaries of one block may take.
        tick: Called with the share of the work done.

    Raises:
        DataError: If the samples do not fit together.
    """
    fake, real, train = check_compared(fake, real, train)
    given = {"fake": fake, "real": real} | ({} if train is None else {"train": train})
    done = tick or (lambda share: None)
    done(0.0)
    hashed, digits, close = keys_as_stored(list(given.values()), budget=budget)
    done(0.7)
    fine = () if close else _fine(real if train is None else train, digits)
    sets = {}
    for k, (role, x) in enumerate(given.items()):
        sets[role] = _set(role, x, hashed[k], fine, digits)
        done(0.7 + 0.1 * (k + 1))
    q, p = sets["fake"], sets["real"]
    found = [_same(q, p)]
    if "train" in sets:
        t = sets["train"]
        found += [_leak(p, t), _taken(q, t)]
    found += [_repeats(q, p), *(_dependent(one, sets) for role, one in sets.items() if role != "fake")]
    done(1.0)
    return tuple(one for one in found if one is not None)


def recurring_cost(c: Comparison) -> float:
    """What looking for equal rows takes, in floating-point operations, to first order."""
    rows = len(c.fake) // c.draws + len(c.real) + (0 if c.train is None else len(c.train))
    return 1e7 + 2000.0 * rows + 30.0 * rows * c.real[0].numel()


def _fine(x: Tensor, digits: Precision) -> tuple[int, ...]:
    """Some continuous columns."""
    rng = generator(0, "evaluate", part="recurring")
    some = digits.of(flat_rows(x, np.sort(rng.permutation(len(x))[:SEEN])))
    return grain(torch.from_numpy(some), RAW, rng).fine


def _set(role: str, x: Tensor, rows: Keys, fine: tuple[int, ...], digits: Precision) -> _Set:
    values, first, counts = np.unique(rows, return_index=True, return_counts=True)
    telling = np.zeros(len(values), bool)
    flat = x.detach().flatten(1)
    for j in fine:
        column = flat[:, j].to("cpu", torch.float64).numpy()[first]
        _, place, times = np.unique(digits.of(column[:, None], np.array([j])), return_inverse=True, return_counts=True)
        telling |= times[place.reshape(-1)] == 1
    return _Set(role, rows, values, counts, telling, bool(fine), digits.exact)


def _shared(x: _Set, y: _Set, *, one_law: bool) -> int:
    """Rows of x that are rows of y, 0 where that may be an accident."""
    from scipy.stats import binom

    common, mine, others = np.intersect1d(x.values, y.values, assume_unique=True, return_indices=True)
    rows = int(x.counts[mine].sum())
    if _all_same(x, y, len(common)):
        return rows
    if x.fine:
        telling = int((x.telling[mine] & y.telling[others]).sum())
        # Rounded, few of a hundred thousand pairs of rows meet by chance.
        return rows if telling >= LEAST + (0 if x.exact else MET * min(x.n, y.n)) else 0
    # Of values that occur twice in all, at most half are in either set once where rows are independent.
    both = int(((x.counts[mine] == 1) & (y.counts[others] == 1)).sum())
    alone = sum(int(((one.counts == 2) & ~np.isin(one.values, common)).sum()) for one in (x, y))
    total = x.n + y.n
    chance = 2 * x.n * y.n / (total * (total - 1)) if one_law else 0.5
    return rows if float(binom.sf(both - 1, both + alone, min(1.0, chance))) < SURE else 0


def _all_same(x: _Set, y: _Set, common: int) -> bool:
    """Whether two sets hold the same rows as often, and such a thing is no accident."""
    if not len(x.values) == len(y.values) == common or not (x.counts == y.counts).all():
        return False
    c = x.counts.astype(np.float64)
    log = gammaln(x.n + 1) - gammaln(c + 1).sum() + (c * np.log(c / x.n)).sum()
    return bool(log < np.log(SURE))


def _same(q: _Set, p: _Set) -> Finding | None:
    count = _shared(q, p, one_law=False)
    if not count:
        return None
    share = count / q.n
    numbers = {"rows": count, "share": share}
    if count == q.n == p.n and (q.values.shape == p.values.shape) and bool((q.values == p.values).all()):
        order = "in the same order" if bool((q.rows == p.rows).all()) else "in another order"
        words = f"fake and real hold the same {count:,} rows, {order}: give samples and data that are not one set."
        return Finding("same", words, False, numbers)
    words = (
        f"{count:,} of {q.n:,} samples ({share:.1%}) equal a row of real, which a model cannot know: give data that it "
        "did not see, and samples that it made."
    )
    return Finding("same", words, False, numbers)


def _leak(p: _Set, t: _Set) -> Finding | None:
    count = _shared(p, t, one_law=True)
    if not count:
        return None
    words = (
        f"{count:,} of {p.n:,} held-out rows ({count / p.n:.1%}) are training rows: copies of them pass for good "
        "samples: hold out rows that the model did not learn from."
    )
    return Finding("leak", words, False, {"rows": count, "share": count / p.n})


def _taken(q: _Set, t: _Set) -> Finding | None:
    common = np.intersect1d(q.values, t.values, assume_unique=True)
    if not _all_same(q, t, len(common)):
        return None
    words = f"The model copies training data: its {q.n:,} samples are the training rows, every one as often."
    return Finding("copies", words, True, {"equal": 1.0, "rows": q.n})


def _repeats(q: _Set, p: _Set) -> Finding | None:
    """Samples that repeat rows more than data do."""
    kinds = len(q.values)
    own, usual = 1 - kinds / q.n, 1 - len(p.values) / p.n
    more = q.extra >= max(LEAST, SHARE * q.n) and q.extra / q.n > 2 * p.extra / p.n + SHARE
    collapsed = _kinds(p, q.n) > 0.8 > 2 * _kinds(q, p.n)  # rows of the data are nearly all unlike, of samples few are
    if not more and not collapsed and not (q.factor > 1 and p.factor % q.factor) and not _more_often(q, p):
        return None
    words = (
        f"The samples repeat rows: {kinds:,} of {q.n:,} are distinct, of real {len(p.values):,} of {p.n:,}: "
        "repeated rows are no draws of a model, and p-values do not hold for them."
    )
    numbers = {"distinct": kinds, "repeated": own, "repeated_real": usual}
    return Finding("repeats", words, True, numbers)


def _kinds(x: _Set, most: int) -> float:
    """The share of distinct rows that is expected of so many rows of a set, or of all where it has no more."""
    n = min(most, x.n)
    missed = gammaln(x.n - x.counts + 1.0) - gammaln(np.maximum(x.n - x.counts - n, 0) + 1.0)
    missed -= gammaln(x.n + 1.0) - gammaln(x.n - n + 1.0)
    return float(np.where(x.n - x.counts < n, 1.0, 1 - np.exp(missed)).sum()) / n


def _dependent(one: _Set, sets: dict[str, _Set]) -> Finding | None:
    """Rows of data that are repeated."""
    others = [x for role, x in sets.items() if role not in (one.role, "fake")]
    if (
        not (one.extra >= max(LEAST, SHARE * one.n))
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


def _more_often(x: _Set, y: _Set) -> bool:
    """Whether x has more rows twice that y has not than y has that x has not, beyond chance; for tables of levels."""
    from scipy.stats import binom

    if x.fine or x.factor > 1 or y.factor > 1:  # a set of triples has no pairs
        return False
    mine, theirs = (
        int(((one.counts == 2) & ~np.isin(one.values, other.values)).sum()) for one, other in ((x, y), (y, x))
    )
    pairs = x.n * (x.n - 1), y.n * (y.n - 1)
    return bool(mine and float(binom.sf(mine - 1, mine + theirs, pairs[0] / sum(pairs))) < SURE)
