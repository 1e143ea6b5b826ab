r"""Values that the data never have: how many of them a sample of the data may hold, and when they are too many.

Let m rows of the data and n of the samples be of one law. Then every split of the m + n rows in two is as likely, and a
value that occurs c times among all of them occurs in the samples alone with chance

.. math:: h(c) = \binom{n}{c} / \binom{n + m}{c}.

A rare level that the data lack is therefore no fault: of those with c = 1 half are in the samples where m = n. The rows
with such values, :math:`T = \sum_l c_l 1_l`, are a sum over negatively associated indicators, for which Chernoff's
bound holds:

.. math:: P(T \ge t) \le \min_{s > 0} e^{-s t} \prod_l (1 - h(c_l) + h(c_l) e^{s c_l}).

Likewise k or more values beyond the smallest and the largest of the data have chance (k + 1) h(k) at most. Both bounds
hold for any law, with ties, and need no estimate of the mass that the data have not seen.

References:
    The population frequencies of species and the estimation of population parameters (Good, 1953), Biometrika 40.
    Negative association of random variables with applications (Joag-Dev & Proschan, 1983), Ann. Statist. 11.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln

from pushforward.data.compare.grid import MOST, Grid, percent
from pushforward.plain.fields import Field
from pushforward.plain.findings import Finding

__all__ = ["alone", "beyond", "support", "tail"]

LEVEL = 1e-3  # of all columns together: an honest sample is accused this often at most
SLOPES = np.geomspace(1e-3, 30, 60)  # s in the bound
LEVELS = "levels that real never has"
SHOWN = 3  # values written out


@dataclass(frozen=True, eq=False)
class _Column:
    """What a column of the samples holds that the data never have.

    Attributes:
        name: The column.
        rows: Which rows, (n,) bool.
        p: How likely so many are in a sample of the data, at most.
        shown: Some of the values, in words.
        what: What they are.
        quiet: Whether few of them are so usual, as in a column of fractions, that they are not worth a note.
    """

    name: str
    rows: np.ndarray
    p: float
    shown: str
    what: str
    quiet: bool = False


def alone(c: np.ndarray | int, n: int, m: int) -> np.ndarray:
    """The log of the chance h(c) that all of c rows among n + m are among the n."""
    c = np.asarray(c, np.float64)
    with np.errstate(invalid="ignore"):
        inside = gammaln(n + 1) - gammaln(np.maximum(n - c, 0) + 1) - gammaln(n + m + 1) + gammaln(n + m - c + 1)
    return np.where(c > n, -np.inf, inside)


def tail(counts: np.ndarray, t: int, n: int, m: int) -> float:
    """A bound of the chance that t rows or more of n hold values that none of the m others has.

    Args:
        counts: How often each value occurs among all n + m rows.
        t: Rows.
        n: Rows of the samples.
        m: Rows of the data.
    """
    if t <= 0:
        return 1.0
    sizes, times = np.unique(counts[counts <= n], return_counts=True)
    h = np.exp(alone(sizes, n, m))
    s = SLOPES[:, None]
    logs = np.logaddexp(np.log1p(-np.minimum(h, 1 - 1e-16)), np.log(np.maximum(h, 1e-300)) + s * sizes)
    return float(np.exp(min(0.0, float((logs @ times - SLOPES * t).min()))))


def beyond(k: int, n: int, m: int) -> float:
    """A bound of the chance that k values or more of n lie beyond the extremes of m others."""
    return 1.0 if k <= 0 else float(min(1.0, (k + 1) * np.exp(alone(k, n, m))))


def support(
    fake: np.ndarray,
    data: np.ndarray,
    fields: Sequence[Field],
    levels: Sequence[Grid | None],
    holes: Mapping[str, np.ndarray],
    what: str = "column",
) -> tuple[list[str], tuple[Finding, ...]]:
    """Values of the samples that the data never have: notes of few, and a finding of more than chance explains.

    Of numbers these are values beyond the smallest and the largest, and, where a column is discrete, numbers that are
    none of its values; of categories, levels; and empty cells in a column that has none.

    Args:
        fake: Samples, (n, d).
        data: Rows of the data, those of train too, (m, d).
        fields: What the coordinates are.
        levels: Grid of each coordinate of the data, or None.
        holes: Which cells were empty, "fake" and "data", (n or m, d).
        what: What a column is called.
    """
    found: list[_Column] = []
    for one in fields:
        found += _category(fake, data, one) if one.kind == "category" else _number(fake, data, one, levels, holes)
    told = [column for column in found if column.p * 3 * len(fields) <= LEVEL]
    notes = [
        f"{what} {column.name}: {_share(column.rows)} hold {column.what}, {column.shown}: "
        "no more than a sample of the data may"
        for column in found
        if column not in told and not column.quiet
    ]
    more = [f"{len(notes) - SHOWN} more {what}s hold a few such values"] if len(notes) > SHOWN else []
    return notes[:SHOWN] + more, _finding(told, what)


def _finding(told: Sequence[_Column], what: str) -> tuple[Finding, ...]:
    if not told:
        return ()
    told = sorted(told, key=lambda column: (column.p, -column.rows.sum()))
    worst, rows = told[0], np.logical_or.reduce([column.rows for column in told])
    others = list(dict.fromkeys(column.name for column in told if column.name != worst.name))
    also = f"; so do {what}s {', '.join(others[:SHOWN])}{', …' if len(others) > SHOWN else ''}" if others else ""
    if others:
        also += f" ({_share(rows)} in all)"
    words = (
        f"{what} {worst.name}: {_share(worst.rows)} hold {worst.what}, as {worst.shown} ("
        f"in a sample of the data so many have a chance of {max(worst.p, 1e-300):.2g} at most){also}"
    )
    numbers: dict[str, str | float | int | None] = {
        "share": float(rows.mean()),
        "rows": int(rows.sum()),
        "column": worst.name,
        "columns": 1 + len(others),
        "examples": worst.shown,
        "p": worst.p,
    }
    return (Finding("support", words, numbers=numbers),)


def _category(fake: np.ndarray, data: np.ndarray, one: Field) -> list[_Column]:
    """Levels that no row of the data has."""
    places = list(one.places)
    q, p = fake[:, places] > 0, data[:, places] > 0
    strange = q.any(0) & ~p.any(0)
    rows = np.asarray(q[:, strange].any(1))
    if not rows.any():
        return []
    found = tail(q.sum(0) + p.sum(0), int(rows.sum()), len(q), len(p))
    names = np.array(one.levels or tuple(map(str, one.places)), object)[strange]
    most = np.argsort(-q[:, strange].sum(0), kind="stable")[:SHOWN]
    return [
        _Column(one.name, rows, found, ", ".join(repr(str(name)) for name in names[most]), LEVELS, quiet=True)
    ]  # whoever made them said so


def _number(
    fake: np.ndarray, data: np.ndarray, one: Field, levels: Sequence[Grid | None], holes: Mapping[str, np.ndarray]
) -> list[_Column]:
    """Numbers beyond the extremes of the data, numbers that a discrete column never has, and empty cells."""
    j = one.places[0]
    empty, gone, found = holes["fake"][:, j], holes["data"][:, j], list[_Column]()
    if empty.any() and not gone.any():
        chance = float(np.exp(alone(int(empty.sum()), len(fake), len(data))))
        found.append(_Column(one.name, empty, chance, "an empty cell", "nothing where real always has a value"))
    q, p = fake[:, j], data[~gone, j]
    if not len(p) or empty.all():
        return found
    n, m = int((~empty).sum()), len(p)
    low, high = p.min(), p.max()
    quiet = (levels[j] or Grid(digits=0)).digits is not None or len(np.unique(p)) > MOST
    slack = 1e-6 * max(abs(low), abs(high))  # as far as numbers of other storage may lie
    out = ~empty & ((q < low - slack) | (q > high + slack))
    if out.any():
        span = f"numbers beyond real's {low:g} to {high:g}"
        found.append(_Column(one.name, out, beyond(int(out.sum()), n, m), _some(q[out]), span, quiet))
    grid = levels[j]
    if grid is not None and grid.digits is None:
        counts = np.unique(np.r_[q[~empty], p], return_counts=True)[1]
        never = ~empty & ~np.isin(q, p)
        if never.any() and not (never == out).all():
            found.append(
                _Column(
                    one.name,
                    never,
                    tail(counts, int(never.sum()), n, m),
                    _some(q[never]),
                    "numbers that real never has",
                )
            )
    return found


def _some(values: np.ndarray) -> str:
    """The most frequent of some numbers, in words."""
    different, counts = np.unique(values, return_counts=True)
    return ", ".join(f"{value:g}" for value in different[np.argsort(-counts, kind="stable")[:SHOWN]])


def _share(rows: np.ndarray) -> str:
    count, n = int(rows.sum()), len(rows)
    return f"{count:,} of {n:,} fake rows ({percent(count / n)})"
