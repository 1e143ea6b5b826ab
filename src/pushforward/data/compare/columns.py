"""What should be known about columns before two sets are compared: coarse, constant or on unlike scales."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from pushforward.data.compare.grid import Grid, decimal_grid, grids
from pushforward.plain.findings import Finding, of_form

__all__ = ["coarse", "constant", "far_out", "units", "unlike"]

UNLIKE = 100.0  # ratio of standard deviations from which columns without names get a note
FEW = 50  # columns that may be measurements of different things; more are genes, pixels or features
MANY = 1000  # columns up to which decimals are counted
EACH = 6  # columns that get a note of their own
ENOUGH = 50  # rows of fake from which whole numbers only are no accident
CHANCE = 1e-6  # of so many whole numbers, up to which they are none either


def coarse(
    fake: np.ndarray,
    found: Sequence[Grid | None],
    names: Sequence[str],
    what: str,
    categorical: np.ndarray,
    real: np.ndarray | None = None,
) -> list[Finding]:
    """Columns that hold whole numbers in fake only, (n, d): rounding alone tells the sets apart.

    A few rows, or those of a column that is nearly whole in real, may hold whole numbers only by chance.

    Args:
        fake: Samples, (n, d).
        found: Grid of each column of real, or None.
        names: Names of the columns.
        what: "column" or "gene".
        categorical: Columns that stand for levels of a category, (d,).
        real: The data, (m, d), whose share of whole numbers tells the chance; without it none is taken to be whole.
    """
    if len(fake) < ENOUGH:
        return []
    skip = [j for j, grid in enumerate(found) if (grid is not None and grid.digits is None) or categorical[j]]
    whole = [j for j, grid in enumerate(grids(fake, skip=skip)) if grid and grid.levels is None]
    own = [names[j] for j in whole if real is None or _share(real[:, j]) ** len(fake) < CHANCE]
    fewer = _fewer_decimals(fake, found, names, what, {*skip, *whole}, real)
    if not own:
        return fewer
    which = f"{what} {', '.join(own)}" if len(own) <= EACH else f"{len(own):,} of {len(names):,} {what}s"
    words = f"{which}: fake holds whole numbers only, real does not: rounding alone tells the sets apart"
    return [of_form(words), *fewer]


def _fewer_decimals(
    fake: np.ndarray,
    found: Sequence[Grid | None],
    names: Sequence[str],
    what: str,
    skip: Collection[int],
    real: np.ndarray | None,
) -> list[Finding]:
    """Columns that hold fewer decimals in fake than in real; arguments as for `coarse`."""
    told = []
    for j in set(range(fake.shape[1] if real is not None and len(names) <= MANY else 0)) - set(skip):
        grid, known = decimal_grid(fake[:, j]), found[j]
        if grid is None or grid.digits is None or real is None or (known and (known.digits or 0) <= grid.digits):
            continue
        share = float((np.abs(real[:, j] - grid.to_grid(real[:, j])) <= grid.close).mean())
        if share ** len(fake) < CHANCE:
            words = f"{what} {names[j]}: fake holds {grid.words} only, real more: rounding alone tells the sets apart"
            told.append(of_form(words))
    return told[:EACH]


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
    spread = f"standard deviations from {widths.min():.3g} to {widths.max():.3g}"
    words = f"the columns have {spread}, so the widest decide: save them as a table to compare in these"
    return [of_form(words)]


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


def _share(x: np.ndarray) -> float:
    """Share of whole numbers in a column, (n,)."""
    return float((x == np.rint(x)).mean())
