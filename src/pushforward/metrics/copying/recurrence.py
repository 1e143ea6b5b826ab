"""Rows that sets have in common, or that one set repeats: the same samples twice, a leak, rows that are no draws.

In data with a continuous column equal rows are no accident, but for those whose values there are usual ones, as 0 may
be. In tables of few levels equal rows are to be expected, and only more of them count than the other set shows. Rows
that storage or noise moved by far less than rows of the data are apart (`alike`) are looked at where equal ones say
nothing, and count by their number beside those that are near within either set.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from scipy.special import gammaln
from torch import Tensor

from pushforward.metrics.copying.alike import joined
from pushforward.metrics.copying.closeness import SEEN, grain
from pushforward.metrics.copying.precision import Precision, flat_rows
from pushforward.metrics.copying.repetition import LEAST, SURE, Tally, dependent, repeats
from pushforward.metrics.copying.rows import Keys, keys_as_stored, once
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

MET = 0.002  # rows that may be equal once all sets are rounded to the digits of one


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
    have (`rows.keys_as_stored`). Where equal rows are no finding, rows that are nearly equal are looked at, but for
    `dependent`.

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
    fine = () if close else _fine(real if train is None else train, fake, digits)
    sets = _sets(given, hashed, fine, digits)
    done(0.8)
    found = _between(sets)
    blurred = joined(list(given.values()), hashed, len(given) - 1, budget=budget)
    if blurred is not None:
        names = {one.name for one in found}
        nearly = {role: replace(one, near=True) for role, one in _sets(given, blurred, fine, digits).items()}
        found += [one for one in _between(nearly) if one.name not in names]
    found += [one for role, x in sets.items() if role != "fake" and (one := dependent(x, sets)) is not None]
    done(1.0)
    return tuple(found)


def _between(sets: dict[str, Tally]) -> list[Finding]:
    """What equal rows say of all sets but that those of the data repeat."""
    q, p, t = sets["fake"], sets["real"], sets.get("train")
    found = [_same(q, p)]
    if t is not None:
        found += [_leak(p, t), _taken(q, t)]
    found.append(repeats(q, [p] if t is None else [p, t]))
    return [one for one in found if one is not None]


def recurring_cost(c: Comparison) -> float:
    """What looking for equal rows takes, in floating-point operations, to first order."""
    rows = len(c.fake) // c.draws + len(c.real) + (0 if c.train is None else len(c.train))
    return 1e7 + 4000.0 * rows + 50.0 * rows * c.real[0].numel()


def _fine(data: Tensor, fake: Tensor, digits: Precision) -> tuple[int, ...]:
    """Some columns that are continuous, in the data and together with samples: few rows need not show a grid."""
    rng = generator(0, "evaluate", part="recurring")
    some = [digits.of(flat_rows(x, np.sort(rng.permutation(len(x))[:SEEN]))) for x in (data, fake)]
    fine = (
        grain(torch.from_numpy(rows), RAW, generator(0, "evaluate", part="recurring")).fine
        for rows in (some[0], np.concatenate(some))
    )
    first, both = (set(columns) for columns in fine)
    return tuple(sorted(first & both))


def _sets(
    given: Mapping[str, Tensor], keys: Sequence[Keys], fine: tuple[int, ...], digits: Precision
) -> dict[str, Tally]:
    """Sets by their keys; a value tells where one of its numbers is in no other row of any of them."""
    every, first = np.unique(np.concatenate(keys), return_index=True)
    telling = np.zeros(len(every), bool)
    for j in fine:
        column = np.concatenate([flat_rows(x, slice(0, len(x)), np.array([j])) for x in given.values()])[first]
        telling |= once(digits.of(column, np.array([j])))
    sets = {}
    for role, rows in zip(given, keys, strict=True):
        values, counts = np.unique(rows, return_counts=True)
        sets[role] = Tally(
            role, rows, values, counts, telling[np.searchsorted(every, values)], bool(fine), digits.exact
        )
    return sets


def _shared(x: Tally, y: Tally, *, one_law: bool) -> int:
    """Rows of x that are rows of y, 0 where that may be an accident."""
    from scipy.stats import binom

    common, mine, others = np.intersect1d(x.values, y.values, assume_unique=True, return_indices=True)
    rows = int(x.counts[mine].sum())
    if _all_same(x, y, len(common)):
        return rows
    if x.fine and not x.near:
        telling = int((x.telling[mine] & y.telling[others]).sum())
        # Rounded, few of a hundred thousand pairs of rows meet by chance.
        if telling >= LEAST + (0 if x.exact else MET * min(x.n, y.n)):
            return rows
    # Of values that occur twice in all, at most half are in either set once where rows are independent.
    both = int(((x.counts[mine] == 1) & (y.counts[others] == 1)).sum())
    alone = sum(int(((one.counts == 2) & ~np.isin(one.values, common)).sum()) for one in (x, y))
    total = x.n + y.n
    chance = 2 * x.n * y.n / (total * (total - 1)) if one_law else 0.5
    return rows if float(binom.sf(both - 1, both + alone, min(1.0, chance))) < SURE else 0


def _all_same(x: Tally, y: Tally, common: int) -> bool:
    """Whether two sets hold the same rows as often, and such a thing is no accident."""
    if not len(x.values) == len(y.values) == common or not (x.counts == y.counts).all():
        return False
    c = x.counts.astype(np.float64)
    log = gammaln(x.n + 1) - gammaln(c + 1).sum() + (c * np.log(c / x.n)).sum()
    return bool(log < np.log(SURE))


def _same(q: Tally, p: Tally) -> Finding | None:
    count = _shared(q, p, one_law=False)
    if not count:
        return None
    share = count / q.n
    numbers = {"rows": count, "share": share}
    if count == q.n == p.n and (q.values.shape == p.values.shape) and bool((q.values == p.values).all()):
        order = "in the same order" if bool((q.rows == p.rows).all()) else "in another order"
        alike = " but for rounding or noise" if q.near else ""
        words = (
            f"fake and real hold the same {count:,} rows{alike}, {order}: give samples and data that are not one set."
        )
        return Finding("same", words, False, numbers)
    words = (
        f"{count:,} of {q.n:,} samples ({share:.1%}) {_equal(q)} a row of real, which a model cannot know: give data "
        "that it did not see, and samples that it made."
    )
    return Finding("same", words, False, numbers)


def _leak(p: Tally, t: Tally) -> Finding | None:
    count = _shared(p, t, one_law=True)
    if not count:
        return None
    words = (
        f"{count:,} of {p.n:,} held-out rows ({count / p.n:.1%}) {_are(p)} training rows: copies of them pass for good "
        "samples: hold out rows that the model did not learn from."
    )
    return Finding("leak", words, False, {"rows": count, "share": count / p.n})


def _taken(q: Tally, t: Tally) -> Finding | None:
    common = np.intersect1d(q.values, t.values, assume_unique=True)
    if not _all_same(q, t, len(common)):
        return None
    words = f"The model copies training data: its {q.n:,} samples {_are(q)} the training rows, every one as often."
    return Finding("copies", words, True, {"equal": 1.0, "rows": q.n})


def _are(x: Tally) -> str:
    return "are, but for rounding or noise," if x.near else "are"


def _equal(x: Tally) -> str:
    return "equal, but for rounding or noise," if x.near else "equal"
