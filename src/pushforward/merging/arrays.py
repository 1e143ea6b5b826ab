"""Merging arrays: the rows of some batches flow onto those of a reference batch, which keep every bit.

The representation is divided by one number, so that speeds and steps mean the same everywhere; batches are never scaled
apart, which would already be a correction.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pushforward.data.labels import coded
from pushforward.errors import DataError, UsageError
from pushforward.merging.cloud import How, Way, transport_cloud
from pushforward.merging.distances import distances, memorised
from pushforward.merging.plan import LEAST, Leg, Mode, Plan, Scarce, Unmatched, labelled, named, plan, without
from pushforward.merging.support import counterparts
from pushforward.merging.values import Keep, checked, compared, kept
from pushforward.metrics.core.neighbours import nearest
from pushforward.metrics.integration.conservation import transfer
from pushforward.metrics.integration.table import integration, split_floor
from pushforward.parallel.threads import within
from pushforward.randomness import derive, generator

__all__ = ["Merged", "merge_arrays"]

Array = NDArray[Any]

CARRIERS = 5  # moved cells whose displacements a carried one takes the mean of


@dataclass(frozen=True)
class Merged:
    """A merge and the numbers to read it by.

    Attributes:
        x: All rows in their order, (n, d), of the type that came in; those of the reference bit for bit.
        path_length: Length of each row's way, (n,), in its units; 0 for those that stayed.
        scale: What the rows were divided by.
        mode: How labels were used.
        distances: Source -> W2 and energy distance to the reference before, after, and of the reference's halves to
            each other, in units of the scale.
        scores: Scores of mixing and biology "before", "after", and "floor": of the reference cut at random.
        legs: One record for each cloud: batch, label, cells, divergence, kinetic energy, slope and moves.
        curves: Divergence and kinetic energy of each cloud, move by move.
        parameters: What it was called with.
        warnings: What must be known.
        sd: Standard deviation of the moved rows over refits, (n, d), or None.
        labels: Labels read off the reference's rows, (n,), where only these had some; else None.
        label_share: Share of the neighbours that agreed on it, (n,), or None.
        values: Shares of zeros and of entries beyond the target's, where rows are values, by `values.Values`.
        written: Rows with what was to be kept of their values, (n, d), or None.
        matched: Whether each row has a counterpart in the reference, (n,), by `support`; true of those that stay.
    """

    x: Array
    path_length: Array
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
    matched: NDArray[np.bool_] | None = None

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


@dataclass(frozen=True)
class _Flown:
    """Rows in units of the scale after one pass over all clouds."""

    x: Array
    length: Array
    speed: Array
    ways: list[Way] = field(default_factory=list)


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
    unmatched: Unmatched = "move",
    n_boot: int = 0,
    scores: bool = True,
    keep: Sequence[Keep] | None = None,
    seed: int = 0,
    threads: int = 1,
    tick: Callable[[str, float], None] | None = None,
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
        scarce: Classes below `least` rows are an error, or are carried by the displacement of the nearest moved rows.
        least: Rows that a class must have.
        unmatched: What becomes of rows without a counterpart in the reference, by `support`, where batches move as one
            cloud: they move with the others, stay, or follow the five nearest rows that move.
        n_boot: Refits with resampled reference rows and other seeds, for `Merged.sd`.
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
    how, x = how or How(), np.asarray(x)
    if x.ndim != 2 or x.dtype.kind not in "fiub" or not x.size:
        raise DataError(f"representation of {x.dtype}, shape {x.shape}: give numbers, (cells, dimensions)")
    batches, classes = named(batch, "batch"), None if labels is None else named(labels, "labels")
    for what, values in (("batches", batches), ("labels", classes)):
        if values is not None and len(values) != len(x):
            raise DataError(f"{len(values)} {what} for {len(x)} cells: give one for each cell")
    said = ["truth values are merged as the numbers 0 and 1"] if x.dtype.kind == "b" else []
    x = x if x.dtype.kind == "f" else x.astype(np.float64)
    if classes is not None:
        classes, words = labelled(classes, batches)
        said += words
    wanted = plan(
        batches,
        reference=reference,
        sources=sources,
        labels=classes,
        mode=mode,
        scarce=scarce,
        least=least,
    )
    if n_boot < 0 or n_boot == 1:
        raise UsageError(f"n_boot {n_boot}: give 0, or at least 2 refits")
    used = np.isin(batches, (wanted.reference, *wanted.sources))
    if (bad := np.flatnonzero(~np.isfinite(x[used]).all(1))).size:
        row = int(np.flatnonzero(used)[bad[0]])
        more = f" and {bad.size - 1} more hold" if bad.size > 1 else " holds"
        raise DataError(
            f"row {row} of the matrix, counted from 0,{more} a number that is not finite: fill or leave out"
        )
    unit = float(np.sqrt(np.var(x[used], axis=0, dtype=np.float64).mean())) if scale is None else float(scale)
    if not 0 < unit < np.inf:
        raise UsageError(f"scale {unit}: give a positive number, and cells that differ")
    centre = x[used].mean(0, dtype=np.float64)
    z = (x - centre) / unit
    with within(threads):
        matched, lonely = counterparts(z, batches, wanted.reference, wanted.sources, seed)
        wanted = _for(wanted, matched, unmatched)
        flown = _fly(z, wanted, classes, how, seed, None, tick)
    moving = np.isin(batches, wanted.sources)
    out = x.copy()
    out[moving] = x[moving] + (unit * (flown.x[moving] - z[moving])).astype(x.dtype)
    warnings = [*said, *wanted.warnings, *lonely]
    found = dict[str, dict[str, float]]()
    staying = batches == wanted.reference
    for name in wanted.sources:
        mine = batches == name
        with within(threads):
            found[name] = distances(z[mine], flown.x[mine], z[staying], seed=seed)
        if memorised(found[name]):
            warnings.append(
                f"{name}: closer to the target than its halves are to each other (W2 {found[name]['w2_after']:.3g} "
                f"against {found[name]['w2_split']:.3g}): it learned single cells; use fewer steps or updates"
            )
    with within(threads):
        sd = _bootstrap(z, wanted, classes, how, seed, n_boot, flown, tick) * unit if n_boot else None
    known = classes is not None and bool((classes[moving] != "").all() and (classes[staying] != "").all())
    given, share = _transferred(out, classes, moving, staying)
    table = dict[str, dict[str, float]]()
    if scores:
        with within(threads):
            table = _scores(x, out, batches, classes if known else None, used, wanted, seed, tick)
    about, written = None, None
    if keep is not None:
        written = out.copy()
        written[moving] = kept(x[moving], out[moving], x[staying], checked(keep))
        about = compared(x[moving], written[moving], x[staying], checked(keep), seed)
        warnings += [words] if (words := about.words()) else []
    return Merged(
        out,
        flown.length * unit,
        unit,
        wanted.mode,
        found,
        table,
        [_record(leg, way) for leg, way in zip(wanted.legs, flown.ways, strict=True)],
        [{"divergence": way.divergence, "kinetic": way.kinetic} for way in flown.ways],
        asdict(how) | {"reference": wanted.reference, "sources": list(wanted.sources), "seed": seed, "n_boot": n_boot,
                       "scarce": scarce, "least": least, "unmatched": unmatched},
        tuple(warnings),
        sd,
        given,
        share,
        {} if about is None else about.as_dict(),
        written,
        matched,
    )  # fmt: skip


def _for(wanted: Plan, matched: NDArray[np.bool_], unmatched: Unmatched) -> Plan:
    """The plan for what becomes of rows without a counterpart."""
    if unmatched not in ("move", "stay", "follow"):
        raise UsageError(f"unmatched {unmatched!r}: use move, stay or follow")
    if unmatched != "move" and wanted.mode != "unconditional":
        raise UsageError(f"unmatched {unmatched}: goes with the mode unconditional; within classes all rows move")
    found = without(wanted, matched, unmatched)
    if not found.legs:
        raise DataError(
            "no row has a counterpart in the reference, and nothing would move: look whether both hold the same kinds "
            "of rows, in the same units"
        )
    return found


def _fly(
    z: Array,
    wanted: Plan,
    classes: NDArray[np.str_] | None,
    how: How,
    seed: int,
    resample: np.random.Generator | None,
    tick: Callable[[str, float], None] | None,
) -> _Flown:
    """All clouds one after the other, then what they carry along."""
    x, length, speed, ways = z.astype(np.float32), np.zeros(len(z)), np.zeros(len(z)), list[Way]()
    start = x.copy()
    work = [len(leg.rows) + 500 for leg in wanted.legs]  # a small cloud costs its critic all the same
    for k, leg in enumerate(wanted.legs):
        onto = leg.onto if resample is None else resample.choice(leg.onto, len(leg.onto))
        pair = None
        if wanted.mode == "conditional" and classes is not None:
            onto = leg.onto if resample is None else _within(leg.onto, classes, resample)
            codes = torch.from_numpy(coded(classes[np.concatenate([leg.rows, onto])])[1])
            pair = codes[: len(leg.rows)], codes[len(leg.rows) :]
        words = f"moving {leg.batch}" + (f", {leg.label}" if leg.label else "")

        def told(fraction: float, k: int = k, words: str = words) -> None:
            if tick:
                tick(words, (sum(work[:k]) + fraction * work[k]) / sum(work))

        cells, goal = torch.from_numpy(start[leg.rows]), torch.from_numpy(start[onto])
        way = transport_cloud(cells, goal, how, labels=pair, seed=derive(seed, "train", k, part="leg"), tick=told)
        x[leg.rows], length[leg.rows], speed[leg.rows] = way.x.numpy(), way.length.numpy(), way.speed.numpy()
        ways.append(way)
    for name, rows in wanted.carried.items():
        led = np.concatenate([leg.rows for leg in wanted.legs if leg.batch == name])
        _, places = nearest(start[rows].astype(np.float64), start[led].astype(np.float64), min(CARRIERS, len(led)))
        x[rows] = start[rows] + (x[led] - start[led])[places].mean(1)
        length[rows], speed[rows] = length[led][places].mean(1), speed[led][places].mean(1)
    return _Flown(z + (x.astype(np.float64) - start), length, speed, ways)


def _within(onto: Array, classes: NDArray[np.str_], rng: np.random.Generator) -> Array:
    """As many rows of each class, drawn with replacement."""
    parts = (onto[classes[onto] == label] for label in np.unique(classes[onto]))
    return np.concatenate([rng.choice(part, len(part)) for part in parts])


def _bootstrap(
    z: Array,
    wanted: Plan,
    classes: NDArray[np.str_] | None,
    how: How,
    seed: int,
    n_boot: int,
    first: _Flown,
    tick: Callable[[str, float], None] | None,
) -> Array:
    """Standard deviation of the moved rows over refits to resampled reference rows, each with its own seed."""
    mean, squares = np.zeros_like(first.x), np.zeros_like(first.x)
    for k in range(n_boot):
        words = f"refit {k + 1} of {n_boot}"
        told = (lambda _, fraction, words=words: tick(words, fraction)) if tick else None
        rng = generator(seed, "data", k, part="refit")
        x = _fly(z, wanted, classes, how, derive(seed, "train", k, part="refit"), rng, told).x
        step = x - mean
        mean += step / (k + 1)
        squares += step * (x - mean)
    return np.sqrt(squares / (n_boot - 1))


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


def _scores(
    before: Array,
    after: Array,
    batches: NDArray[np.str_],
    classes: NDArray[np.str_] | None,
    used: NDArray[np.bool_],
    wanted: Plan,
    seed: int,
    tick: Callable[[str, float], None] | None,
) -> dict[str, dict[str, float]]:
    names, labels = batches[used], None if classes is None else classes[used]
    table = dict[str, dict[str, float]]()
    for k, (when, x) in enumerate((("before", before[used]), ("after", after[used]))):
        if tick:
            tick(f"scores {when}", k / 3)
        table[when] = integration(x, names, labels, before=before[used], reference=wanted.reference, seed=seed)
    if tick:
        tick("scores of the target's halves", 2 / 3)
    staying = names == wanted.reference
    shares = [float((names == name).mean()) for name in (wanted.reference, *wanted.sources)]
    table["floor"] = split_floor(before[used][staying], None if labels is None else labels[staying], shares, seed=seed)
    return table


def _record(leg: Leg, way: Way) -> dict[str, Any]:
    return {
        "batch": leg.batch,
        "label": leg.label,
        "cells": len(leg.rows),
        "onto": len(leg.onto),
        "moves": len(way.kinetic),
        "divergence_first": way.divergence[0],
        "divergence_last": way.divergence[-1],
        "kinetic_first": way.kinetic[0],
        "kinetic_last": way.kinetic[-1],
        "slope": way.certificate,
        "slope_certified": way.certified,
        "settled": way.why,
    }
