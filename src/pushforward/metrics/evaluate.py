"""The evaluation: the parts asked for, run on one pair of samples, with costs told and warnings given."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from pushforward.densities.rows import RowDensities
from pushforward.densities.support import Support
from pushforward.errors import DataError, OutOfTime, UsageError
from pushforward.metrics.copying.findings import found as found_of
from pushforward.metrics.copying.recurrence import EQUAL, OF_ROWS, recurring, recurring_cost
from pushforward.metrics.core import ranks
from pushforward.metrics.core.comparison import Comparison
from pushforward.metrics.core.features import RAW, Features
from pushforward.metrics.core.part import Part
from pushforward.metrics.core.reference import check_compared, compare
from pushforward.metrics.core.result import Measure, plain
from pushforward.metrics.networks.digits8 import digits8
from pushforward.metrics.suite import DEFAULT_DENSITIES, DEFAULT_IMAGES, DEFAULT_POINTS, PARTS, unsought
from pushforward.metrics.verdict.judgement import too_few
from pushforward.metrics.verdict.report import Report
from pushforward.parallel import sharing
from pushforward.plain.fields import Field
from pushforward.plain.findings import Finding, LeftOut

__all__ = ["Foretells", "Metric", "Watch", "evaluate", "own_part"]

Metric = Callable[[Tensor, Tensor], Measure | float]
"""(fake features (n, d), real features (m, d)) -> a number, with or without its reading."""

OVERFLOWS = (OverflowError, FloatingPointError, np.linalg.LinAlgError, torch.linalg.LinAlgError)  # pyright: ignore[reportPrivateImportUsage]

SPEED = 1e10  # floating-point operations a second that an estimate of time assumes for a core, among other work
ALONE = "only what reads samples looks for it: call pushforward.evaluate"
UNREAD = {"support": ALONE, "form": ALONE}
KEPT = 2**30  # bytes of features that are computed once and kept; above, every part computes those it uses


class Watch(Protocol):
    """Is told how an evaluation goes; an `OutOfTime` that it raises leaves the part out, with its words."""

    def begin(self, name: str, seconds: float) -> None:
        """A part begins; about so many seconds are expected."""
        ...

    def tick(self, fraction: float) -> None:
        """So much of the part is done, in [0, 1]."""
        ...


@runtime_checkable
class Foretells(Protocol):
    """A watch that is told what all parts together will take, before the first begins."""

    def foretell(self, seconds: float) -> None:
        """About so many seconds are expected."""
        ...


def evaluate(
    fake: Tensor,
    real: Tensor,
    *,
    train: Tensor | None = None,
    features: Features | None = None,
    metrics: Sequence[Part] | Mapping[str, Metric] | None = None,
    centres: Tensor | None = None,
    sigma: float | None = None,
    weights: Tensor | Sequence[float] | None = None,
    names: Sequence[str] = (),
    seed: int = 0,
    permutations: int = 200,
    max_n: int = 2000,
    draws: int = 1,
    split: str = "test",
    notes: Sequence[str] = (),
    budget: int = 2**26,
    watch: Watch | None = None,
    together: bool = False,
    densities: RowDensities | None = None,
    fields: Sequence[Field] = (),
    findings: Sequence[Finding] = (),
    support: Support | None = None,
    unread: Mapping[str, str] = UNREAD,
) -> Report:
    """Compare model samples with data.

    Args:
        fake: Model samples, (draws * n, *event), in the units of real.
        real: Held-out data, (m, *event).
        train: A second, independent sample of the data, for floors; what the model learned from, for memorisation.
        features: The feature space; where omitted, the bundled `digits8` for grey 8x8 images and the raw values for
            the rest.
        metrics: Parts of `metrics.suite`, or your own functions by name; where omitted, `suite.DEFAULT_IMAGES` or
            `suite.DEFAULT_POINTS`, less those that lack something.
        centres: Means of a mixture's components, (k, d).
        sigma: Their standard deviation, in data units; needed with centres.
        weights: Their probabilities, (k,); equal where omitted.
        names: Names of the columns of points, for metrics that look at each.
        seed: Seed of every subset, direction and relabelling.
        permutations: Relabellings behind a p-value.
        max_n: Rows used where the cost is quadratic; exact W2, at cubic cost, uses half as many.
        draws: Sets of n that fake holds; Fréchet distance and class shares use them all, other numbers the first.
        split: What real is, for the record.
        notes: What was done to the samples before, for the record.
        budget: Bytes that the temporaries of one block may take.
        watch: Is told how it goes.
        together: All ranks of the process group call this with the same samples, share the work, and all get the
            report that one process would make. Gather shards first, with `parallel.sharing.gather`.
        densities: The model's log densities at rows of the data, where it answers for them.
        fields: What each coordinate of points is, where their columns have names.
        support: Sets that are known to hold all data, in their units.
        findings: What was found before; what equal rows, copies and too few rows show is added, each name once.
        unread: Findings that were not looked for before, by name, and why.

    Raises:
        DataError: If the samples do not fit together, hold too few rows or are not finite; or if no part can be
            measured. Where some can, the others are named among the warnings.
        OutOfTime: If no part could be measured, and at least one because `watch` did not let it end.
        UsageError: If centres come without sigma, a part asked for lacks what it needs, two give a number of one
            name, or max_n or seed is too small.
    """
    if centres is not None and sigma is None:
        raise UsageError("centres given without sigma: pass the components' standard deviation too")
    if max_n < 4 or seed < 0:
        raise UsageError(f"max_n is {max_n}, seed {seed}: use at least 4 rows and a seed of 0 or more")
    features = features or (digits8() if fake.shape[1:] == (1, 8, 8) else RAW)
    if draws < 1 or len(fake) % draws:
        raise UsageError(f"fake has {len(fake)} samples, not a multiple of {draws} draws: give whole sets")
    if isinstance(metrics, Mapping):
        metrics = [own_part(name, function) for name, function in metrics.items()]
    c = Comparison(
        fake, real, train, fake, real, train, space=features, known=features, draws=draws, centres=centres,
        sigma=sigma, weights=weights, names=tuple(names), seed=seed, permutations=permutations, max_n=max_n,
        budget=budget, tick=None if watch is None else watch.tick, densities=densities,
        fields=tuple(fields), support=support,
    )  # fmt: skip
    check_compared(fake, real, train)
    usual = (*(DEFAULT_IMAGES if c.images else DEFAULT_POINTS), *DEFAULT_DENSITIES)
    parts = [part for part in usual if part.lacks(c) is None] if metrics is None else list(metrics)
    _apart(parts)
    for part in parts:
        if words := part.lacks(c):
            raise UsageError(words)
    c = _computed(c, together)

    rank, world = sharing.place() if together else (0, 1)
    pace = SPEED * torch.get_num_threads()
    if isinstance(watch, Foretells):
        watch.foretell((recurring_cost(c) + sum(part.cost(c) for part in parts[rank::world])) / pace)
    found: dict[str, Measure] = {}
    failures: dict[str, str] = {}
    late: dict[str, str] = {}
    asked = {EQUAL: (EQUAL, OF_ROWS)} | {f"{k:03d}": (part.name, part.answers) for k, part in enumerate(parts)}
    rows: tuple[Finding, ...] = ()
    try:  # before all else: what follows means little beside it
        if watch is not None:
            watch.begin(EQUAL, recurring_cost(c) / pace)
        rows = recurring(c.first, real, train, budget=budget, tick=c.tick)
    except OutOfTime as error:
        late[EQUAL] = str(error)
    for k, part in list(enumerate(parts))[rank::world]:
        try:
            if watch is not None:
                watch.begin(part.name, part.cost(c) / pace)
            answer = part.run(c)
        except OutOfTime as error:
            late[f"{k:03d}"] = str(error)
            continue
        except (DataError, UsageError, *OVERFLOWS) as error:
            if isinstance(error, UsageError) and PARTS.get(part.name) is not part:
                raise  # a part of the user's, called or answering wrongly; those of the house lack rows
            failures[f"{k:03d}"] = _reason(error, c)
            continue
        if PARTS.get(part.name) is not part:
            answer = {name: _explained(name, measure, part) for name, measure in answer.items()}
        found |= {f"{k:03d}.{i:03d} {name}": measure for i, (name, measure) in enumerate(answer.items())}
    if together:
        found, failures = ranks.gather_measures(found), sharing.gather_words(failures)
        late = sharing.gather_words(late)
    left = {key: LeftOut(asked[key][0], why, asked[key][1]) for key, why in sorted((failures | late).items())}
    if late and not found:  # what had no time might have been measured, so the others' faults say nothing of the data
        raise OutOfTime("; ".join(str(left[key]) for key in (*sorted(failures), min(late))))
    if failures and not found:
        raise DataError(str(left[min(failures)]))
    measures = {key.split(" ", 1)[1]: _recorded(found[key], split, seed) for key in sorted(found)}
    rows = () if EQUAL in left else rows  # of all ranks or of none
    said = {one.name for one in rows}
    copied = [one for one in found_of(plain(measures)) if one.name not in said]
    said |= {one.name for one in copied}
    found_beside = (
        *rows,
        *(one for one in findings if one.name not in said),
        *copied,
        *too_few(measures, len(fake) // draws, len(real)),
    )
    lacking = dict(unread) | unsought(parts, trained=train is not None)
    return Report(measures, tuple(notes), tuple(left.values()), found_beside, lacking)


def _apart(parts: Sequence[Part]) -> None:
    """Refuse parts of which one would overwrite what another gives."""
    giver: dict[str, Part] = {}
    for part in parts:
        if twice := [name for name in part.gives if giver.get(name, part) is not part]:
            raise UsageError(f"two metrics give {min(twice)}, and one number would overwrite the other: rename one")
        giver |= dict.fromkeys(part.gives, part)


def _reason(error: Exception, c: Comparison) -> str:
    """Why a part could not be measured, in words."""
    if isinstance(error, (DataError, UsageError)):
        return str(error)
    largest = max(float(x.abs().max()) for x in (c.fake, c.real))
    return f"numbers as large as {largest:.2g} overflow: rescale the samples"


def _computed(c: Comparison, together: bool) -> Comparison:
    """With the features of all samples, computed once for all parts, where they fit into memory."""
    if c.space.id == RAW.id:
        return c  # raw values need no second copy
    rows = len(c.fake) + len(c.real) + (0 if c.train is None else len(c.train))
    if 8 * rows * (c.space.dim or c.real[0].numel()) > KEPT:
        return c
    compute = functools.partial(ranks.together, c.space) if together else c.space
    q, p, t = compare(c.fake, c.real, c.train, compute)
    return replace(c, q=q, p=p, t=t, known=c.space.computed)


def own_part(name: str, function: Metric) -> Part:
    """A function of yours as a part, under a name."""

    def run(c: Comparison) -> Mapping[str, Measure]:
        q, p = (c.q, c.p) if c.known is not c.space else (c.space(c.q), c.space(c.p))
        value = function(q, p)
        if not isinstance(value, Measure):
            try:
                value = float(value)
            except (TypeError, ValueError) as error:
                raise UsageError(f"metric {name}: it gave {value!r:.60}: answer with a number or a Measure") from error
            value = Measure(value, n_fake=len(q), n_real=len(p), features=c.space.id, better="none")
        return {name: value}

    about = (inspect.getdoc(function) or "").partition("\n")[0] if inspect.isfunction(function) else ""
    return Part(name, about or "your own", run, lambda c: 0.0, {name: about})


def _explained(name: str, measure: Measure, part: Part) -> Measure:
    """A measure of the user's with what it is, which no page could know otherwise."""
    return replace(measure, about=measure.about or part.gives.get(name.split("@")[0].split("[")[0], ""))


def _recorded(measure: Measure, split: str, seed: int) -> Measure:
    return replace(measure, protocol={"split": split, "seed": seed} | measure.protocol)
