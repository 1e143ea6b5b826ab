"""What should be known about columns before two sets are compared: coarse, constant or on unlike scales."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from pushforward.data.columns.rounding import fewer_digits
from pushforward.data.compare.grid import HEAD, Grid, spread
from pushforward.plain.findings import Finding, of_form
from pushforward.plain.lists import counted
from pushforward.plain.shares import percent

__all__ = ["below_counts", "coarse", "constant", "far_out", "units", "unlike"]

UNLIKE = 100.0  # ratio of standard deviations from which columns without names get a note
FEW = 50  # columns that may be measurements of different things; more are genes, pixels or features
MANY = 1000  # columns up to which decimals are counted
EACH = 6  # columns that get a note of their own, or are named in one
GROUPS = 6  # ways of rounding that get a note of their own
ROWS = 4096  # of a large set, in which rounding is looked for in any case


def coarse(
    fake: np.ndarray,
    found: Sequence[Grid | None],
    names: Sequence[str],
    what: str,
    categorical: np.ndarray,
    real: np.ndarray,
    holes: Mapping[str, np.ndarray] | None = None,
) -> list[Finding]:
    """Columns that hold whole numbers, few decimals or few digits in fake only: rounding alone tells the sets apart.

    Of more than 1,000 columns only whole numbers are looked for, and of large sets in a part of the rows.

    Args:
        fake: Samples, (n, d).
        found: Grid of each column of real, or None.
        names: Names of the columns.
        what: "column" or "gene".
        categorical: Columns that stand for levels of a category, (d,).
        real: The data, (m, d).
        holes: Which cells were empty and say nothing, (n or m, d) by role.
    """
    at = {role: spread(len(x), max(ROWS, HEAD // x.shape[1])) for role, x in (("fake", fake), ("real", real))}
    q, p = fake[at["fake"]], real[at["real"]]
    likely = (q == np.rint(q)).all(0) if len(names) > MANY else np.ones(len(names), bool)
    told = dict[str, list[str]]()
    for j in np.flatnonzero(likely & ~categorical).tolist():
        grid = found[j]
        if grid is not None and grid.digits is None:
            continue
        cells = {"fake": q[:, j], "real": p[:, j]}
        if holes:
            cells = {role: x[~holes[role][at[role], j]] for role, x in cells.items()}
        words = fewer_digits(*(np.asarray(x, np.float64) for x in cells.values()), looks=len(names))
        if words:
            told.setdefault(words, []).append(names[j])
    groups = list(told.items())
    said = [_rounded(words, own, len(names), what) for words, own in groups[:GROUPS]]
    if rest := sum(len(own) for _, own in groups[GROUPS:]):
        more = counted(rest, f"more {what}")
        said.append(f"{more}: fake holds fewer decimals or digits than real: rounding alone tells the sets apart")
    return [of_form(words) for words in said]


def _rounded(words: str, own: Sequence[str], count: int, what: str) -> str:
    """What is said of columns that are rounded in fake alone."""
    few = f"{what}{'s' * (len(own) > 1)} {', '.join(own)}"
    which = few if len(own) <= EACH else f"{len(own):,} of {count:,} {what}s"
    other = "real does not" if words == "whole numbers" else "real more"
    return f"{which}: fake holds {words} only, {other}: rounding alone tells the sets apart"


def below_counts(x: Mapping[str, np.ndarray], found: Sequence[Grid | None], names: Sequence[str]) -> list[Finding]:
    """Numbers below 0 where the data are counts of genes, which no chance explains.

    Args:
        x: Values by the role of the set, (n, d).
        found: Grid of each gene of the data, or None.
        names: What the genes are called.
    """
    whole = all(grid is not None and grid.levels is None and grid.digits is None for grid in found)
    if not whole or any(bool((part.min(0) < 0).any()) for role, part in x.items() if role != "fake"):
        return []
    fake = x["fake"]
    rows = {j: below for j in np.flatnonzero(fake.min(0) < 0).tolist() if (below := np.rint(fake[:, j]) < 0).any()}
    if not rows:
        return []
    worst, every = max(rows, key=lambda j: int(rows[j].sum())), np.logical_or.reduce(list(rows.values()))
    shares = [
        f"{int(some.sum()):,} of {len(fake):,} fake rows ({percent(float(some.mean()))})"
        for some in (rows[worst], every)
    ]
    example = f"{float(fake[:, worst].min()):g}"
    others = f"{'does' if len(rows) == 2 else 'do'} {counted(len(rows) - 1, 'more gene')}"
    also = f"; so {others} ({shares[1]} in all)" if len(rows) > 1 else ""
    numbers: dict[str, str | float | int | None] = {
        "share": float(every.mean()), "rows": int(every.sum()), "column": names[worst], "columns": len(rows),
        "examples": example, "p": 0.0,
    }  # fmt: skip
    words = f"gene {names[worst]}: {shares[0]} hold numbers below 0, as {example}, which no count is{also}"
    return [Finding("support", words, numbers=numbers)]


def constant(fake: np.ndarray, real: np.ndarray, names: Sequence[str], what: str, categorical: np.ndarray) -> list[str]:
    """Notes on columns in which all rows of real are equal; arguments as for `coarse`."""
    still: list[int] = np.flatnonzero((real.min(0) == real.max(0)) & ~categorical).tolist()
    if len(still) > EACH:
        moves = int(((fake[:, still] != real[0, still]).any(0)).sum())
        return [f"{len(still):,} of {len(names):,} {what}s are constant in real; fake differs in {moves:,} of them"]
    notes = []
    for j in still:
        others = int((fake[:, j] != real[0, j]).sum())
        notes.append(
            f"{what} {names[j]} is constant in real ({real[0, j]:g}); {others:,} of {len(fake):,} fake rows differ"
        )
    return notes


def unlike(real: np.ndarray) -> list[Finding]:
    """A finding where the columns of an array, (n, d), are few and have very unequal standard deviations."""
    if real.shape[1] > FEW:
        return []
    with np.errstate(over="ignore", invalid="ignore"):
        widths = real.std(0)
    # A column of one repeated number has a spread at the level of its rounding, not always zero.
    widths = widths[np.isfinite(widths) & (real.min(0) < real.max(0))]
    if len(widths) < 2 or widths.max() < UNLIKE * widths.min():
        return []
    unequal = f"standard deviations from {widths.min():.3g} to {widths.max():.3g}"
    return [of_form(f"the columns have {unequal}, so the widest decide: save them as a table to compare in these")]


def far_out(far: Mapping[str, Sequence[int]], names: Sequence[str], rows: int) -> list[str]:
    """Notes on columns with rows far out, which heavy tails have, and errors; and on whose rows they are.

    Args:
        far: Rows of each set beyond ten widths from the median, by column, (d,).
        names: Names of the columns.
        rows: Rows of all sets.
    """
    total = [sum(counts) for counts in zip(*far.values(), strict=True)]
    found = [j for j, count in enumerate(total) if count]
    where = "beyond 10 widths of the middle half from the median: they are drawn in, and decide no scale"
    if len(found) > EACH:
        most = max(found, key=lambda j: total[j])
        return [
            f"{len(found):,} of {len(names):,} columns have rows {where}; "
            f"{names[most]} has most, {total[most]:,} of {rows:,}"
        ]
    whose = {j: ", ".join(f"{counts[j]:,} of {role}" for role, counts in far.items()) for j in found}
    return [f"column {names[j]}: {total[j]:,} of {rows:,} rows ({whose[j]}) lie {where}" for j in found]


def units(fake: np.ndarray, real: np.ndarray) -> list[Finding]:
    """A finding where one set looks like counts and the other like their logarithms."""
    q, p = float(fake.max(initial=0)), float(real.max(initial=0))
    if not (max(q, p) > 30 and 0 < min(q, p) < 1.5 * np.log2(1 + max(q, p))):
        return []
    logs, counts = ("fake", "real") if q < p else ("real", "fake")
    words = f"{logs} reaches {min(q, p):.3g} and {counts} {max(q, p):.4g}, as logarithms and counts do"
    return [of_form(f"{words}: compare the same layer of both")]
