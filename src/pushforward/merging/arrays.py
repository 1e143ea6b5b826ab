"""Merging arrays: the rows of some batches flow onto those of a reference batch, which keep every bit.

The representation is divided by one number, so that speeds and steps mean the same everywhere; batches are never scaled
apart, which would already be a correction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pushforward.errors import UsageError
from pushforward.merging.counterparts import Counterparts, counterparts
from pushforward.merging.flow.fly import Flight, Flown, Tick, refitted
from pushforward.merging.flow.how import How
from pushforward.merging.flow.mapping import MergeMap, anchored
from pushforward.merging.flow.records import curves, recorded, travelling
from pushforward.merging.given import Given, checked_rows, held_out, in_units
from pushforward.merging.numbers.distances import distances, memorised
from pushforward.merging.numbers.scores import scored, scored_rows
from pushforward.merging.numbers.values import COUNTS, Keep, checked, compared, counts, kept
from pushforward.merging.plan import (
    LEAST,
    MIXED,
    Mode,
    Plan,
    Scarce,
    Unmatched,
    nearby,
    plan,
    what_becomes,
    without,
)
from pushforward.metrics.integration.conservation import transfer
from pushforward.parallel.threads import within
from pushforward.randomness import generator

__all__ = ["Merged", "merge_arrays"]

Array = NDArray[Any]

MOST = 20_000  # rows of a batch that distances are drawn from
DIFFERENT = 0.01  # p-value from which on a batch that does not move is no more said to differ from the target


@dataclass(frozen=True)
class Merged:
    """A merge and the numbers to read it by.

    Attributes:
        x: All rows in their order, (n, d), of the type that came in; those of the reference bit for bit.
        path_length: Length of each row's way, (n,), in its units; 0 for those that stayed.
        map: The way of rows that come later.
        scale: What the rows were divided by.
        mode: How labels were used.
        distances: Source -> of the rows that were to move, by `distances.distances`: W2 and energy distance to held-out
            rows of the reference before, after, and of other rows of it, in units of the scale; p-values; how far rows
            went.
        scores: Scores of mixing and biology "before", "after", and "floor": of the reference cut at random. Of the
            reference only held-out rows are scored.
        legs: One record for each cloud: batch, label, cells and those of the reference that they go onto, moves; first
            and last divergence, kinetic energy and gap on held-out cells, slope, and why it settled.
        curves: Divergence, kinetic energy and the critic's gap on held-out cells of each cloud, move by move, with the
            gap's standard error.
        parameters: What it was called with.
        warnings: What must be known.
        sd: Standard deviation of the moved rows over refits, (n, d), or None.
        labels: Labels read off the reference's rows, (n,), where only these had some; else None.
        label_share: Share of the neighbours that agreed on it, (n,), or None.
        values: Shares of zeros and of entries beyond the target's, where rows are values, by `values.Values`.
        written: Rows with what was to be kept of their values, (n, d), or None.
        matched: Whether each row has a counterpart in the reference, (n,), by `support`; true of the reference's.
        held: Rows that no critic saw, (n,).
    """

    x: Array
    path_length: Array
    matched: NDArray[np.bool_]
    held: NDArray[np.bool_]
    map: MergeMap
    scale: float
    mode: Mode
    distances: dict[str, dict[str, float]]
    scores: dict[str, dict[str, float]]
    legs: list[dict[str, Any]]
    curves: list[dict[str, list[float]]]
    parameters: dict[str, Any]
    warnings: tuple[str, ...] = ()
    sd: Array | None = None
    labels: Array | None = None
    label_share: Array | None = None
    values: dict[str, Any] = field(default_factory=dict)
    written: Array | None = None

    def as_dict(self) -> dict[str, Any]:
        """All numbers but those of single rows, as JSON takes them."""
        return {
            "mode": self.mode,
            "scale": self.scale,
            "distances": self.distances,
            "scores": self.scores,
            "values": self.values | ({"keep": list(self.values["keep"])} if self.values else {}),
            "clouds": self.legs,
            "parameters": self.parameters,
            "warnings": list(self.warnings),
        }


def merge_arrays(
    x: Array,
    batch: object,
    *,
    reference: object,
    sources: Sequence[object] | None = None,
    labels: object = None,
    mode: Mode | None = None,
    how: How | None = None,
    scale: float | None = None,
    scarce: Scarce = "error",
    least: int = LEAST,
    unmatched: Unmatched | None = None,
    n_boot: int = 0,
    scores: bool = True,
    keep: Sequence[Keep] | None = None,
    seed: int = 0,
    threads: int = 1,
    tick: Tick | None = None,
) -> Merged:
    """Move the rows of the sources onto those of the reference.

    Args:
        x: A representation, (n, d): principal components, markers, the codes of an encoder.
        batch: Batch of each row, (n,): text, whole numbers or truth values.
        reference: The batch that stays, of the same type or as text.
        sources: Batches that move, each by itself; all others if None. Rows of none of them stay too.
        labels: Class of each row, (n,); None, nan or NA where it is not known. Where a batch has no others, words such
            as "unknown" count as none.
        mode: "unconditional": a batch moves as one cloud, and class proportions with it. "per_class": each class by a
            critic of its own. "conditional": one critic that knows the classes. By default per_class where all moving
            rows are labelled, else unconditional.
        how: Divergence, slope, critic and steps.
        scale: What rows are divided by; the root mean square of the columns' standard deviations, sources and
            reference pooled, if None.
        scarce: Classes below `least` rows in a batch or in the reference are an error, "carry": go the mean way of the
            nearest moved rows, or "stay".
        least: Rows that a class must have.
        unmatched: What becomes of rows without a counterpart in the reference, by `support`, where batches move as one
            cloud: they "stay", which is the default, "follow" the ten nearest rows that move, or "move" with the
            others as if they had one. Unless they move, the reference counts in the shares that the batch asks for.
        n_boot: Refits with resampled rows of both sides and other seeds, for `Merged.sd`.
        scores: Whether mixing and biology are scored; the four distances always are.
        keep: For rows that are values, no codes: what `Merged.written` keeps of them, as `values.kept` says, () for
            nothing; shares of zeros and the like are then said.
        seed: Seed of everything.
        threads: Threads that compute, which nets of this size need one of; 0 for those of the process.
        tick: Told what is being done and the fraction done.

    Returns:
        Rows, numbers and warnings.

    Raises:
        UsageError: If a name, the mode or a number is not to be had.
        DataError: If values are missing, or there are too few rows.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> x, batch = rng.normal(size=(400, 2)), np.repeat(["new", "old"], 200)
        >>> x[:200] += 3
        >>> bool(abs(merge_arrays(x, batch, reference="old").x[:200].mean()) < 0.3)
        True
    """
    about = None if keep is None else checked(keep)
    x, batches, classes, told = checked_rows(x, batch, labels)
    wanted = plan(batches, reference=reference, sources=sources, labels=classes, mode=mode, scarce=scarce, least=least)
    if n_boot < 0 or n_boot == 1:
        raise UsageError(f"n_boot {n_boot}: give 0, or at least 2 refits")
    given = in_units(x, batches, classes, wanted, scale, told)
    how, becomes = how or How(), what_becomes(unmatched, wanted.mode)
    mixed = [MIXED] if wanted.mode == "unconditional" and becomes == "move" and mode is None else []
    with within(threads):
        aside = held_out(given, how.held, seed)
        wanted = nearby(wanted, given.far)
        pairs = counterparts(given.z, batches, classes, wanted, becomes, aside, given.far, seed)
        wanted = without(wanted, pairs.matched, becomes)
        weights = pairs.shares if becomes in ("stay", "follow") else {}
        flight = Flight(given.z, wanted, given.classes, weights, aside, how, seed)
        flown = flight.fly(tick)
        sd = refitted(flight, n_boot, tick) * given.unit if n_boot else None
        gaps, said = _gaps(given, wanted, flown, pairs, aside, seed)
        moving = np.isin(batches, wanted.sources)
        stays = ~moving | np.isin(np.arange(len(x)), wanted.still)
        out = np.multiply(flown.shift, given.unit, out=flown.shift).astype(x.dtype, copy=False)  # a third array less
        out += x
        out[stays] = x[stays]
        rows, flatters = scored_rows(given.used, given.batches == wanted.reference, aside, seed)
        table = dict[str, dict[str, float]]()
        if scores:
            said += flatters
            table = scored(given, out, rows, pairs.matched, seed=seed, tick=tick)
    labelled_as, share = _transferred(out, given.classes, moving, given.batches == wanted.reference)
    values, written = {}, None
    if about is not None:
        staying = x[given.batches == wanted.reference]
        written = out.copy()
        went = moving & (flown.length > 0)
        written[went] = kept(x[went], out[went], staying, about)
        found = compared(x[went], written[went], staying, about, seed) if went.any() else None
        values = {} if found is None else found.as_dict()
        said += [words] if found is not None and (words := found.words()) else []
    length, some = flown.length * given.unit, anchored(batches, wanted.sources, seed)
    label = None if wanted.mode == "unconditional" or classes is None else classes[some]
    legs = [recorded(leg, way) for leg, way in zip(wanted.legs, flown.ways, strict=True)]
    return Merged(
        out,
        length,
        pairs.matched,
        aside,
        MergeMap.of(
            x[some], out[some], length[some], ~stays[some], pairs.matched[some], batches[some], label, wanted.reference
        ),
        given.unit,
        wanted.mode,
        gaps,
        table,
        legs,
        [curves(way) for way in flown.ways],
        asdict(how) | {"reference": wanted.reference, "sources": list(wanted.sources), "seed": seed, "n_boot": n_boot,
                       "scarce": scarce, "least": least, "unmatched": becomes,
                       "held_target": int((aside & (given.batches == wanted.reference)).sum())},
        (*given.said, *wanted.warnings, *mixed, *pairs.said, *said, *travelling(legs, how.steps),
         *_counted(given, about)),
        sd,
        labelled_as,
        share,
        values,
        written,
    )  # fmt: skip


def _gaps(
    given: Given, wanted: Plan, flown: Flown, pairs: Counterparts, aside: NDArray[np.bool_], seed: int
) -> tuple[dict[str, dict[str, float]], list[str]]:
    """Distances of each batch's moving rows, all of them where none moves; and what they say."""
    found, said, rng = dict[str, dict[str, float]](), list[str](), generator(seed, "evaluate", part="gaps")
    going = np.ones(len(given.x), bool)
    going[wanted.still] = False
    theirs = _some(np.flatnonzero((given.batches == wanted.reference) & ~given.far), rng)
    target = given.z[theirs].astype(np.float64)
    for name in wanted.sources:
        mine = given.batches == name
        rows = _some(np.flatnonzero(mine & going if (mine & going).any() else mine), rng)
        before = given.z[rows].astype(np.float64)
        found[name] = distances(
            before,
            before + flown.shift[rows],
            target,
            weights=pairs.shares[name][theirs],
            held=aside[theirs] if aside[theirs].sum() >= 2 else None,
            seed=seed,
        )
        if found[name]["moved"] == 0 and any(leg.batch == name for leg in wanted.legs):
            said += [_unmoved(name, before, target, pairs.shares[name][theirs], seed)]
        if memorised(found[name]):
            said.append(
                f"{name}: closer to the target's cells than its held-out ones are (W2 {found[name]['w2_seen']:.3g} "
                f"against {found[name]['w2_split']:.3g}): it learned single cells; use fewer steps or updates"
            )
    return found, said


def _unmoved(name: str, x: Array, target: Array, shares: Array, seed: int) -> str:
    """Why a batch did not move: it may differ from the target as it is, and not from the target as it asks for it."""
    if shares.std() == 0 or distances(x, x, target, seed=seed)["p_before"] > DIFFERENT:
        return f"{name}: held-out cells see no difference from the target's: not moved"
    least, most = np.quantile(shares, (0.05, 0.95))
    return (
        f"{name}: not moved, since it differs from the target by how often kinds of cells occur, from {least:.2g} to "
        f"{most:.2g} times as often; in a few columns a shift within the width of a kind looks the same: if it is one, "
        "unmatched='move' takes it off"
    )


def _some(rows: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Rows that distances are drawn from: at most 20,000."""
    return rows if len(rows) <= MOST else rng.choice(rows, MOST, replace=False)


def _counted(given: Given, keep: Sequence[Keep] | None) -> list[str]:
    """A warning where rows look like raw counts that are not kept so."""
    raw = counts(given.x[given.used]) and not {"signs", "levels"} <= set(keep or ())
    return [COUNTS] if raw else []


def _transferred(
    x: Array, classes: NDArray[np.str_] | None, moving: NDArray[np.bool_], staying: NDArray[np.bool_]
) -> tuple[Array | None, Array | None]:
    """Labels for the moved rows from the reference's, after the transport, where only the reference has labels."""
    if classes is None or (classes[moving] != "").any() or not (known := staying & (classes != "")).any():
        return None, None
    labels, share = classes.astype(object), np.where(classes == "", np.nan, 1.0)
    names, agreed = transfer(x[moving], x[known], classes[known])
    labels[moving], share[moving] = names, agreed
    return labels.astype(np.str_), share
