"""Which samples are copies: equal to a training row, nearer than chance allows, or near train and not held-out rows."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pushforward.metrics.copying.closeness import (
    FEW,
    LIMITS,
    NEIGHBOURS,
    Grain,
    chance,
    grain,
    intrinsic,
    surprise,
    tail,
)
from pushforward.metrics.copying.labels import least_rows, nearer_to_train, not_one_law
from pushforward.metrics.copying.near import Near
from pushforward.metrics.copying.rows import keys_as_stored, once
from pushforward.metrics.core.comparison import Comparison
from pushforward.metrics.core.neighbours import nearest
from pushforward.metrics.core.result import Measure, Words
from pushforward.randomness import generator

__all__ = ["LEVEL", "SPLIT", "copied"]

Array = NDArray[np.float64]
Places = NDArray[np.int64]

LEVEL = 3e-5
"""p-values below it accuse; of a thousand honest models none is, nineteen times in twenty."""

SPLIT = 1e-3
"""Training and held-out rows with a p-value below are not taken for rows of one law."""


def copied(c: Comparison, found: Near, parts: tuple[Array, Array, Array], words: Words) -> Measure:
    """Exact copies, and how sure it is that samples were taken from training rows.

    Two looks, of which either suffices, since no model that does not know the rows is likely to show them: samples
    nearer to one training row than the rows around it allow (`closeness`), and samples near training rather than
    held-out rows (`labels`), the latter where the two are of one law.

    Args:
        c: The samples, as many as are looked at.
        found: Where they lie among the training rows.
        parts: Features of fake, real and train.
        words: The protocol.

    Returns:
        Share of fakes that equal a training row; the floor is that share of held-out rows; p is the smaller of those of
        the two looks, times two. The detail holds what
        `findings.found` reads, one number each: `neighbours` and `labels`, the p-values; `rows`, `share`, `known`, see
        `closeness.Tail`; `split`, the p-value of training and held-out rows following one law; `seen_from`, the
        smallest share of copies that could be seen; `level`; `equal`, the fakes that equal a training row as rows of
        continuous numbers do not by chance, be they few.
    """
    assert c.train is not None
    q, p, t = parts
    rng = generator(c.seed, "evaluate", part="copied")
    (fake, held, train), digits, _ = keys_as_stored((c.fake, c.real, c.train), budget=c.budget)
    value, floor = float(np.isin(fake, train).mean()), float(np.isin(held, train).mean())
    written = grain(c.train, c.space, rng)
    of_data = np.concatenate([found.real, found.hit_own])
    dimension = intrinsic(of_data, t.shape[1])
    u, reference = surprise(found.fake, dimension, written), surprise(of_data, dimension, written)
    split = not_one_law(t, p, rng)
    reference = _telling(reference, np.concatenate([found.real_place, found.hit_place]), c.train, written)
    # What equals a training row may have leaked, and rows of another law say nothing of this one.
    others = reference[: len(p)][~np.isin(held, train)] if split >= SPLIT else reference[:0]
    known = others, reference[len(p) :]
    u = _telling(u, found.place, c.train, written)
    seen = tail(u, found.place, known)
    if seen.p < SPLIT:  # only where it would accuse: one search more
        seen = tail(u, found.place, (*known, _among(q, u, c.fake, dimension, written, c.budget)))
    near = _labels(q, p, t, found, (train, held), rng) if split >= SPLIT else 1.0
    equal = _impossible((fake, held, train), c.train, written) if digits.exact else 0
    numbers = {
        "equal": equal, "neighbours": seen.p, "labels": near, "rows": seen.rows, "share": seen.share,
        "known": seen.known, "split": split, "level": LEVEL,
        "seen_from": _seen_from(len(u), (len(t), len(p)), found, dimension, written, np.concatenate(known), split),
    }  # fmt: skip
    protocol: Words = words | {"p": "the smaller of two looks, times two", "se": "binomial", "floor": "held-out rows"}
    if equal:
        protocol["equal_rows"] = equal
    error = (value * (1 - value) / len(u)) ** 0.5
    detail = {name: torch.tensor(float(x), dtype=torch.float64) for name, x in numbers.items()}
    p_value = min(1.0, 2 * min(seen.p, near))
    return Measure(value, floor, error, p_value, len(u), len(p), "", "lower", protocol, detail)


def _among(q: Array, u: Array, fake: Tensor, dimension: float, written: Grain, budget: int) -> Array:
    """u of samples that lie near no training row, among each other.

    A model that knows the law and not the rows may put more weight than the data do where rows lie close, as one that
    draws rare classes as often as common ones: the data then show too few close rows. Yet for laws q and p
    :math:`(\\int q p)^2 \\le \\int q^2 \\int p^2`: where its samples meet training rows they meet each other, or
    rows meet rows. Samples near training rows are left out: two copies of one row say nothing of the law.
    """
    free = np.flatnonzero(u > LIMITS[0])
    if len(free) <= NEIGHBOURS:
        return np.empty(0)
    distances, places = nearest(q[free], q[free], NEIGHBOURS, own=np.arange(len(free)), budget=budget)
    rows = torch.from_numpy(free).to(fake.device)
    return _telling(surprise(distances, dimension, written), places[:, 0], fake[rows], written)


def _telling(u: Array, place: Places, train: Tensor, written: Grain) -> Array:
    """u where the row found has a value that is its own in a continuous column; 1 where all its values are usual ones.

    Zeros of a column that holds them often are met by chance, however finely the rest of the column is written.
    """
    some = np.unique(place[u <= LIMITS[0]])
    if not written.fine or not len(some):
        return u
    own = np.zeros(len(some), bool)
    flat = train.detach().flatten(1)
    for j in written.fine:
        column = flat[:, j].cpu().numpy()
        own |= once(column)[some]
    usual = np.isin(place, some[~own])
    return np.where(usual, 1.0, u)


def _impossible(keys: tuple[NDArray[np.uint64], ...], train: Tensor, written: Grain) -> int:
    """Samples that equal a training row where no rows of data drawn apart do, nor can but with chance zero.

    A training row counts that is there once and has numbers that no other has, in columns whose values use all digits
    of double precision, or in two columns of single precision: numbers on a grid meet, however fine it is.
    """
    fake, held, rows = keys
    values, first, counts = np.unique(rows, return_index=True, return_counts=True)
    hit = np.isin(values, fake)
    if not written.fine or not hit.any():
        return 0
    sure = np.zeros(len(values))
    flat = train.detach().flatten(1)
    for j in written.fine:
        column = flat[:, j].to("cpu", torch.float64).numpy()[first]
        sure += _weight(column) * once(column)
    telling = sure >= 1
    if (telling & ((counts > 1) | np.isin(values, held))).any():  # the law repeats rows, or held-out rows leaked
        return 0
    return int(np.isin(fake, values[telling]).sum())


def _weight(column: Array) -> float:
    """1 for a column of full double precision, a half for single precision, 0 for what was rounded."""
    some = column[np.unique(np.linspace(0, len(column) - 1, 200).astype(np.int64))]
    single = bool((some.astype(np.float32) == some).all())
    digits = [len(repr(float(str(np.float32(x)) if single else x)).split("e")[0].strip("-0.").replace(".", ""))
              for x in some if x != 0]  # fmt: skip
    full = bool(digits) and float(np.median(digits)) >= (7 if single else 14)
    return (0.5 if single else 1.0) if full else 0.0


def _labels(
    q: Array, p: Array, t: Array, found: Near, rows: tuple[NDArray[np.uint64], NDArray[np.uint64]],
    rng: np.random.Generator,
) -> float:  # fmt: skip
    """See `labels.nearer_to_train`; ties of unequal rows are broken by a move too small to matter otherwise."""
    train, held = rows
    (far, others), k = found.pool[1], found.places.shape[1]
    far, others = far[:, :k], others[:, :k]
    size = float(np.median(np.minimum(far[:, 0], found.fake[:, 0]))) or float(np.median(far[:, -1])) or 1.0
    moved = q + rng.normal(size=q.shape) * (1e-7 * size / q.shape[1] ** 0.5)

    def first(places: Places, y: Array) -> tuple[Array, Places]:
        apart = np.stack([np.linalg.norm(moved - y[places[:, j]], axis=1) for j in range(places.shape[1])], 1)
        best = apart.argmin(1)[:, None]
        return np.take_along_axis(apart, best, 1)[:, 0], np.take_along_axis(places, best, 1)[:, 0]

    return nearer_to_train(first(found.places, t), first(others, p), (train, held), rng)


def _seen_from(
    n: int,
    sizes: tuple[int, int],
    found: Near,
    dimension: float,
    written: Grain,
    reference: Array,
    split: float,
) -> float:
    """The smallest share of exact copies of training rows that would be seen, or infinity where no share would."""
    from scipy.stats import binom

    ways = [np.inf]
    if split >= SPLIT and (rows := least_rows(*sizes, LEVEL)) is not None:
        ways.append(rows / n if rows <= n else np.inf)
    # A copy's nearest row is at no distance, the next where that of its original is.
    alike = np.concatenate([np.zeros((len(found.hit), 1)), found.hit_own[:, :-1]], 1)
    u = surprise(alike, dimension, written) if alike.shape[1] else np.ones(1)
    counts = np.arange(FEW, n + 1)
    for limit in LIMITS:
        usual = max(chance(limit), float((reference <= limit).mean()) if len(reference) else 0.0)
        share = float((u <= limit).mean())
        enough = counts[len(LIMITS) * binom.sf(counts - 1, n, usual) <= LEVEL]
        if share > 0.05 and len(enough):
            ways.append(float(enough[0]) / n / share)
    return min(ways) if min(ways) <= 1 else np.inf
