"""What the estimators' fits share: seeds without global state, and steps that are watched."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from typing import Any, Protocol, TypeVar, cast

import numpy as np
import torch
from scipy.sparse import issparse
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import validate_data

from pushforward.data.blocks.limits import budget
from pushforward.data.units import Array
from pushforward.errors import DataError, TrainingError
from pushforward.estimators.columns import Columns, looked_at
from pushforward.parallel.placement import Placement
from pushforward.progress import Bar
from pushforward.randomness import blocks, filled, seeded
from pushforward.terms import TERMS, Term
from pushforward.training.loop import checked
from pushforward.types import Labels, Logs, Samples

__all__ = [
    "Seed",
    "build",
    "find",
    "first_of",
    "follow",
    "history",
    "in_turn",
    "is_cloud",
    "kept",
    "samples_of",
    "seed_of",
    "seed_of_draw",
    "validated",
]

Seed = int | np.random.RandomState | None
Built = TypeVar("Built")
LOOKS = 200  # times that the numbers are fetched from the device and shown in one fit


@torch.no_grad()
def first_of(
    draw: Callable[[int, Labels | None], Samples],
    n: int,
    labels: Labels | None = None,
    remedy: str = "fit with a lower lr",
) -> Samples:
    """The first n of the samples (n, *event) that a stream fixes, on the processor: drawn by whole `blocks`.

    Args:
        draw: So many samples of classes, or of none.
        n: How many.
        labels: Their classes, (n,).
        remedy: What helps where they are not finite.

    Raises:
        TrainingError: If a number is not finite.
    """
    parts = [draw(size, None if labels is None else filled(labels, start, size)).cpu() for start, size in blocks(n)]
    found = torch.cat(parts)[:n]
    if not bool(found.isfinite().all()):
        raise TrainingError(f"samples have numbers that are not finite: {remedy}")
    return found


def seed_of(random_state: Seed) -> int:
    """One whole number below 2^31 out of anything that scikit-learn takes for a random state, to name streams by."""
    return int(check_random_state(random_state).randint(2**31 - 1))


def seed_of_draw(random_state: Seed, own: Seed) -> int:
    """The seed of a draw: what was given for it or, where that is None, what the estimator itself was given.

    As everywhere in scikit-learn, a whole number makes the same call give the same answer, a `RandomState` goes on
    where it was, and None is numpy's own.
    """
    return seed_of(own if random_state is None else random_state)


def in_turn(count: int, n: int, rng: np.random.Generator) -> np.ndarray:
    """n row numbers below count: all in random order, then all in another order; fewer are the first of more."""
    return np.concatenate([rng.permutation(count) for _ in range(-(-n // count))])[:n]


class Framed(Protocol):
    """An estimator that knows the columns of the frame that it was fitted to."""

    columns_: Columns | None


class Generative(Framed, Protocol):
    """An estimator that knows the shape of its samples."""

    event_shape_: tuple[int, ...]


def samples_of(estimator: Generative, X: Any, *, missing: bool = False) -> Array:
    """X as float64, (n, *event), of the columns and of the event shape that the fit saw; arguments as of `validated`.

    Raises:
        ValueError: If it is anything else.
    """
    x = validated(estimator, X, images=True, missing=missing)
    if x.shape[1:] != estimator.event_shape_:
        raise ValueError(f"samples of shape {x.shape[1:]}, but fit saw {estimator.event_shape_}")
    return x


def validated(
    estimator: Framed, X: Any, *, reset: bool = False, images: bool = False, sparse: bool = False, missing: bool = False
) -> Array:
    """X as finite float64, (n, d) or, where images are welcome, (n, *event).

    Args:
        estimator: Whose columns X must have; with `reset` it learns them from X, `columns_` too.
        X: Any array-like, or a data frame of numbers.
        reset: Whether this is the data that the estimator is fitted to; two rows are needed then.
        images: Whether X may have more than two axes.
        sparse: Whether X may be a sparse matrix of scipy; it is made dense.
        missing: Whether NaN may stand for numbers that are missing.

    Raises:
        DataError: If a column holds no numbers or shares its name, names that are no text are others than those of the
            fit, X has more axes than are welcome, or would be too large when dense.
        ValueError: If X is anything else that scikit-learn refuses.
    """
    columns = looked_at(X)
    shape = np.shape(X) if isinstance(X, np.ndarray) else ()
    if len(shape) > 2 and not images:
        raise DataError(f"X has shape {shape}, rows of {len(shape) - 1} axes: give rows of numbers, such as "
                        f"X.reshape({shape[0]}, {math.prod(shape[1:])})")  # fmt: skip
    found: Any = validate_data(cast(BaseEstimator, estimator), cast(Any, X), dtype=np.float64,
                          allow_nd=images, reset=reset, ensure_all_finite="allow-nan" if missing else True,
                          accept_sparse=["csr", "csc"] if sparse else False,
                          ensure_min_samples=2 if reset else 1)  # fmt: skip
    if reset:
        estimator.columns_ = columns
    elif columns is not None and not columns.worded:
        _same_names(columns, estimator.columns_)
    if not issparse(found):
        return cast(Array, found)
    need = 12 * math.prod(found.shape)  # as it is, and in the units of the model
    if need > budget():
        raise DataError(f"X: sparse of shape {found.shape}, {need / 2**30:.1f} GiB when dense, {budget() / 2**30:.1f} "
                        "GiB are allowed: give fewer rows or columns, or its TruncatedSVD")  # fmt: skip
    return found.toarray(order="C")


def _same_names(given: Columns, fitted: Columns | None) -> None:
    """Refuse columns in another order, or others; of names that are text scikit-learn says so itself."""
    if fitted is not None and not fitted.worded and given.names != fitted.names:
        a, b = next(pair for pair in zip(given.names, fitted.names) if pair[0] != pair[1])
        raise DataError(f"X: column {a!r} stands where the fit saw {b!r}: give the columns of the fit, in its order")


def is_cloud(source: Any) -> bool:
    """Whether rows were given, not nothing or the labels that a pipeline passes along."""
    return source is not None and (source.ndim if hasattr(source, "ndim") else np.asarray(source).ndim) != 1


def build(make: Callable[[], Built], seed: int, part: str = "") -> Built:
    """Build nets with seeded weights and leave torch's own generator as it was."""
    with seeded(seed, part):
        return make()


def find(device: str) -> Placement:
    """One process on a device; 'auto' picks cuda, then mps, then cpu."""
    return Placement(Placement.find(device).device)


def follow(steps: Iterator[Logs], count: int, verbose: bool, terms: Mapping[str, Term] = TERMS) -> None:
    """Take so many steps of a method, with a progress bar on request.

    Args:
        steps: What `Method.learn` returns.
        count: Number of steps.
        verbose: Whether to show the bar.
        terms: What is known of the numbers, the method's own among them: `training.facts.terms_of`.

    Raises:
        TrainingError: If a number is no longer finite: names the step, the term and a remedy.
    """
    every = max(1, count // LOOKS)
    with _bar(count) if verbose else nullcontext() as bar:
        for k, logs in zip(range(1, count + 1), steps):
            if k % every and k < count:
                continue
            numbers = checked(logs, k, terms)
            if bar:
                bar.move(k, "  ".join(f"{term} {value:.3g}" for term, value in numbers.items()))


def kept(steps: Iterator[Logs], seen: list[Logs]) -> Iterator[Logs]:
    """Steps, whose numbers are appended to a list as they pass."""
    for logs in steps:
        seen.append(logs)
        yield logs


def history(seen: Sequence[Logs]) -> dict[str, Array]:
    """Numbers of steps by name, each (steps,); NaN where a step has none of that name."""
    names, blank = dict.fromkeys(name for logs in seen for name in logs), torch.tensor(math.nan)
    return {
        name: torch.stack([logs.get(name, blank).detach().double().cpu() for logs in seen]).numpy() for name in names
    }


def _bar(count: int) -> Bar:
    from rich.console import Console  # a fit without a bar loads no rich

    return Bar(Console(stderr=True), total=count)
