"""Values that the data never have: in which column they are, and when they are too many for a sample of the data.

The chances are those of `data.columns.unseen`. What they say of all columns together counts against the samples, puts
the comparison in doubt, or is a note; in columns where each sample has a few such values, as of fractions, nothing is
said of few that lie near.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pushforward.data.columns.combined import coded, combined
from pushforward.data.columns.unseen import alone as log_alone
from pushforward.data.columns.unseen import apart, beyond, unseen
from pushforward.data.compare.grid import MOST, Grid, snapped, spread
from pushforward.data.compare.joining import Joined
from pushforward.data.compare.points import What
from pushforward.data.formats.arrays import LARGE
from pushforward.plain.fields import Field
from pushforward.plain.findings import Finding, Said
from pushforward.plain.lists import counted
from pushforward.plain.ranges import beyond_range
from pushforward.plain.shares import percent

__all__ = ["lacking", "support"]

# Of all columns together, by counts, by distances and by combinations: each accuses an honest sample this often.
LEVEL = 1e-3
DOUBT = 0.02  # likewise, by counts: the comparison is in doubt this often
FAR = 0.1  # likewise, by distances: few data have numbers apart from all others, so that this is much rarer
ENOUGH = 3  # numbers apart from all others, from which they are more than a stray one
USUAL = 0.05  # chance up to which a few values beyond the range are worth a note in a column of fractions
LEVELS = "levels that real never has"
TOGETHER = "levels that real never has together"
NEAR, AWAY = "numbers beyond", "numbers far beyond"
SHOWN = 3  # values written out
MANY = 10_000  # coordinates up to which values are sought that the data never have; each takes a third of a millisecond
SEEN = 1 << 23  # numbers of large sets in which they are sought, of all together: a second
ROWS = 512  # rows of a set in which they are sought in any case
GENES = (
    "values that the data never have are not looked for in genes, but for numbers below 0 where the data are "
    "counts: gate columns.p, or another metric"
)
WIDE = "values that the data never have are looked for in up to 10,000 columns: compare fewer, or gate a metric"

Grade = Literal["against", "doubt", "note", ""]
RANK: tuple[Grade, ...] = ("against", "doubt", "note", "")


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
        far: Whether they were found by how far they lie from all others.
    """

    name: str
    rows: np.ndarray
    p: float
    shown: str
    what: str
    quiet: bool = False
    far: bool = False

    def called(self, what: str) -> str:
        """The column, or both."""
        return f"{what}{'s' if self.what == TOGETHER else ''} {self.name}"

    def grade(self, looks: int) -> Grade:
        """What they come to, where so many looks of the kind were taken."""
        p = min(1.0, self.p * looks)
        if p <= LEVEL:
            return "against"
        if (p <= FAR and int(self.rows.sum()) >= ENOUGH) if self.far else p <= DOUBT:
            return "doubt"
        return "" if self.quiet else "note"


def lacking(what: What, count: int) -> dict[str, str]:
    """Why values that the data never have are not looked for in so many columns, where they are not."""
    return {"support": GENES} if what == "gene" else {"support": WIDE} if count > MANY else {}


def support(
    x: Mapping[str, np.ndarray],
    found: Joined,
    levels: Sequence[Grid | None],
    names: Sequence[str],
    what: What,
    *,
    rounded: bool,
) -> list[Said]:
    """Values of fake that the data never have; of large sets they are sought in a part of the rows, which is said.

    Whichever rows are looked at, the chances are exact for them.

    Args:
        x: Values by the role of the set, (n, d), without missing cells.
        found: What they are.
        levels: Grid of each coordinate of the data, or None.
        names: What the coordinates are called.
        what: What a column is called.
        rounded: Whether fake is to be rounded to the levels still.
    """
    size = sum(part.size for part in x.values())
    share = 1.0 if 8 * size <= LARGE else SEEN / size
    rows = {role: spread(len(part), max(ROWS, int(share * len(part)))) for role, part in x.items()}
    kind = min((part.dtype for part in x.values()), key=lambda dtype: dtype.itemsize)  # one precision for all sets
    seen = {role: np.asarray(part[rows[role]], kind) for role, part in x.items()}
    others = [role for role in seen if role != "fake"]
    if rounded:
        seen["fake"], _ = snapped(seen["fake"], levels, names, what=what)
    holes = {
        role: found.holes[role][rows[role]] if found.holes else np.zeros(part.shape, bool)
        for role, part in seen.items()
    }
    words = dict[str, dict[str, list[str]]]()
    for name, cells in found.words.items():
        some = {role: np.asarray(column, object)[rows[role]].tolist() for role, column in cells.items()}
        words[name] = {"fake": some["fake"], "data": [word for role in others for word in some[role]]}
    notes, findings = _sought(
        seen["fake"],
        np.concatenate([seen[role] for role in others]),
        found.fields or tuple(Field(name, (j,)) for j, name in enumerate(names)),
        levels,
        {"fake": holes["fake"], "data": np.concatenate([holes[role] for role in others])},
        words,
        what,
    )
    part = [f"{len(seen[role]):,} of {len(x[role]):,} rows of {role}" for role in x if len(seen[role]) < len(x[role])]
    looked = [f"values that the data never have are looked for in {', '.join(part)}"] if part else []
    return [*looked, *notes, *findings]


def _sought(
    fake: np.ndarray,
    data: np.ndarray,
    fields: Sequence[Field],
    levels: Sequence[Grid | None],
    holes: Mapping[str, np.ndarray],
    words: Mapping[str, Mapping[str, Sequence[str]]],
    what: str = "column",
) -> tuple[list[str], tuple[Finding, ...]]:
    """Values of the samples that the data never have: notes of few, and a finding of more than chance explains.

    Of numbers these are values beyond the smallest and the largest, and, where a column is discrete, numbers that are
    none of its values; of categories, levels; empty cells in a column that has none; and levels of two columns that
    are never together.

    Args:
        fake: Samples, (n, d).
        data: Rows of the data, those of train too, (m, d).
        fields: What the coordinates are.
        levels: Grid of each coordinate of the data, or None.
        holes: Which cells were empty, "fake" and "data", (n or m, d).
        words: Of each category its word in every row, "fake" and "data".
        what: What a column is called.
    """
    found, looks, sides = list[_Column](), 0, 0
    for one in fields:
        if one.kind == "category":
            found += _category(words[one.name]["fake"], words[one.name]["data"], one.name)
            looks += 1
            continue
        j = one.places[0]
        empty, gone = holes["fake"][:, j], holes["data"][:, j]
        looks += 2 + bool(empty.any() or gone.any())  # one beside its range; as many whosever the rows are
        found += _empty(empty, gone, one.name)
        if not gone.all() and not empty.all():
            q, p = fake[:, j], data[~gone, j]
            found += _values(q, empty, p, levels[j], one.name)
            more, count = _range(q, empty, p, levels[j], one.name)
            found, sides = [*found, *more], sides + count
    graded = _worst([(column, column.grade(max(1, sides) if column.far else looks)) for column in found])
    both, said = _together(np.concatenate([fake, data]), fields, holes, words, what)
    graded += both
    told = [column for column, grade in graded if grade == "against"]
    doubts = [column for column, grade in graded if grade == "doubt"]
    rest = [column for column, grade in graded if grade == "note"]
    if told:
        rest = [*(column for column in doubts if not column.quiet), *rest]
    rest.sort(key=lambda column: (not column.far, column.p))
    notes = [
        f"{column.called(what)}: {_share(column.rows)} hold {column.what}, {column.shown}: "
        + (f"by chance as often as {column.p:.2g}" if column.far else "no more than a sample of the data may")
        for column in rest
    ]
    left = len(notes) - SHOWN
    more = [f"{counted(left, f'more {what}', 'hold')} a few such values"] if left > 0 else []
    return notes[:SHOWN] + more + said, _finding(told or doubts, what, against=bool(told))


def _together(
    x: np.ndarray,
    fields: Sequence[Field],
    holes: Mapping[str, np.ndarray],
    words: Mapping[str, Mapping[str, Sequence[str]]],
    what: str,
) -> tuple[list[tuple[_Column, Grade]], list[str]]:
    """Levels of two columns that the data never have together; and a note where not all columns were looked at."""
    every = {name: [*cells["fake"], *cells["data"]] for name, cells in words.items()}
    columns, count = coded(fields, x, np.concatenate([holes["fake"], holes["data"]]), every)
    pairs = len(columns) * (len(columns) - 1) // 2
    found = [
        _Column(one.name, one.rows, one.p, one.shown, TOGETHER, quiet=True)
        for one in combined(columns, len(holes["fake"]))
    ]
    few = f"levels that the data never have together are looked for in {len(columns)} of {count:,} {what}s"
    return [(one, one.grade(pairs)) for one in found], [few] if len(columns) < count else []


def _worst(graded: list[tuple[_Column, Grade]]) -> list[tuple[_Column, Grade]]:
    """Of what was found beyond the range of a column only what comes to more: by count or by distance."""
    kept = dict[tuple[str, str], tuple[_Column, Grade]]()
    for column, grade in graded:  # by distance comes second
        beyond_it = column.what.startswith((NEAR, AWAY))
        key = (column.name, NEAR if beyond_it else column.what)
        other = kept.get(key)
        rank = RANK.index(grade) - (0 if other is None else RANK.index(other[1]))
        if other is None or rank < 0 or (rank == 0 and grade != "against"):
            kept[key] = column, grade
    return list(kept.values())


def _finding(told: Sequence[_Column], what: str, *, against: bool) -> tuple[Finding, ...]:
    if not told:
        return ()
    told = sorted(told, key=lambda column: (column.p, -column.rows.sum()))
    worst, rows = told[0], np.logical_or.reduce([column.rows for column in told])
    others = {column.name: column for column in told if column.name != worst.name}
    several = len(others) > 1 or any(column.what == TOGETHER for column in others.values())
    so = f"so do {what}s" if several else f"so does {what}"
    also = f"; {so} {', '.join(list(others)[:SHOWN])}{', …' if len(others) > SHOWN else ''}" if others else ""
    if others:
        also += f" ({_share(rows)} in all)"
    remedy = "" if against else ": more rows of the data would tell"
    words = (
        f"{worst.called(what)}: {_share(worst.rows)} hold {worst.what}, as {worst.shown} ("
        f"in a sample of the data so many have a chance of {max(worst.p, 1e-300):.2g} at most){also}{remedy}"
    )
    numbers: dict[str, str | float | int | None] = {
        "share": float(rows.mean()),
        "rows": int(rows.sum()),
        "column": worst.name,
        "columns": 1 + len(others),
        "examples": worst.shown,
        "p": worst.p,
    }
    return (Finding("support", words, against, numbers),)


def _category(fake: Sequence[str], data: Sequence[str], name: str) -> list[_Column]:
    """Levels that no row of the data has, also those that share a coordinate with others."""
    names, codes = np.unique(np.array([*fake, *data], object).astype(str), return_inverse=True)
    n, k = len(fake), len(names)
    q, p = np.bincount(codes[:n], minlength=k), np.bincount(codes[n:], minlength=k)
    strange = (q > 0) & (p == 0)
    rows = strange[codes[:n]]
    if not rows.any():
        return []
    most = np.argsort(-q[strange], kind="stable")[:SHOWN]
    shown = ", ".join(repr(str(level)) for level in names[strange][most])
    return [_Column(name, rows, unseen(q, p), shown, LEVELS, quiet=True)]  # the reader said so


def _empty(empty: np.ndarray, gone: np.ndarray, name: str) -> list[_Column]:
    """Empty cells, where the data have none."""
    if gone.any() or not empty.any():
        return []
    chance = float(np.exp(log_alone(int(empty.sum()), len(empty), len(gone))))
    return [_Column(name, empty, chance, "an empty cell", "nothing where real always has a value")]


def _values(q: np.ndarray, empty: np.ndarray, p: np.ndarray, grid: Grid | None, name: str) -> list[_Column]:
    """Numbers that a discrete column never has, but for those beyond its range."""
    if grid is None or grid.digits is not None:
        return []
    never = ~empty & ~np.isin(q, p)
    if not never.any() or not (never & ~beyond_range(q, p.min(), p.max())).any():
        return []
    values, codes = np.unique(np.r_[q[~empty], p], return_inverse=True)
    n = int((~empty).sum())
    chance = unseen(*(np.bincount(part, minlength=len(values)) for part in (codes[:n], codes[n:])))
    what = f"numbers that real never has{_away(grid, q[never])}"
    return [_Column(name, never, chance, _some(q[never]), what)]


def _range(q: np.ndarray, empty: np.ndarray, p: np.ndarray, grid: Grid | None, name: str) -> tuple[list[_Column], int]:
    """Numbers beyond the extremes of the data, by their count and by their distance; on how many sides enough lie."""
    low, high = float(p.min()), float(p.max())
    out = ~empty & beyond_range(q, low, high)
    lone = apart(q[~empty], p, FAR)
    far = np.zeros(len(q), bool)
    far[~empty] = lone.rows
    far &= out
    found, span = list[_Column](), f"real's {low:g} to {high:g}{_away(grid, q[out])}"
    if out.any():
        chance = beyond(int(out.sum()), int((~empty).sum()), len(p))
        usual = (grid or Grid(digits=0)).digits is not None or len(np.unique(p)) > MOST
        quiet = usual and chance > USUAL
        found.append(_Column(name, out, chance, _some(q[out]), f"{NEAR} {span}", quiet))
    if far.any():
        found.append(_Column(name, far, lone.p, _some(q[far]), f"{AWAY} {span}", far=True))
    return found, lone.sides


def _away(grid: Grid | None, values: np.ndarray) -> str:
    """Why values were not rounded to a level, where none of them could be."""
    if grid is None or grid.levels is None or grid.near(values).any():
        return ""
    return ", more than half a gap away from the levels of real"


def _some(values: np.ndarray) -> str:
    """The most frequent of some numbers, in words."""
    different, counts = np.unique(values, return_counts=True)
    return ", ".join(f"{value:g}" for value in different[np.argsort(-counts, kind="stable")[:SHOWN]])


def _share(rows: np.ndarray) -> str:
    count, n = int(rows.sum()), len(rows)
    return f"{count:,} of {n:,} fake rows ({percent(count / n)})"
