"""Which law numbers have given their code: that of a continuum, or of the levels that the pixels of images take."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
import torch

from pushforward.data.units import Array, Unit
from pushforward.densities.likelihoods.discrete import Levels
from pushforward.errors import DataError, UsageError
from pushforward.settings.variational import LikelihoodName

__all__ = ["MOST", "chosen", "levels_of", "unit_of"]

MOST = 2**14  # levels that float32 tells apart
ALIKE = 1e-5  # of the range: nearer than that two pixels have one value
DARK = 127  # whole numbers beyond it are taken for bytes


def chosen(
    named: LikelihoodName | Literal["auto"], count: int | None, x: Array
) -> tuple[LikelihoodName, Levels | None, str]:
    """The law by its name, the levels where it has some, in data units, and what is to be said of it.

    Args:
        named: Its name; auto is normal for tables, and for images bernoulli where they have two levels, else logistic.
        count: Number of levels; None finds them.
        x: Data, (n, *event), finite.

    Raises:
        UsageError: If tables are to have levels, a continuum a number of them, or a bernoulli law other than two.
        DataError: If pixels are not on the levels, or lie on none.
    """
    said = " by auto" if named == "auto" else ""
    if x.ndim == 2:
        if named not in ("auto", "normal") or count is not None:
            given = f"levels {count}" if named in ("auto", "normal") else f"likelihood {named!r}"
            raise UsageError(f"{given}: X is a table, whose columns have no levels; use likelihood 'normal' without "
                             "levels, or give images (n, side, side)")  # fmt: skip
        return "normal", None, f"likelihood normal{said}: of a width for each column"
    if named == "normal":
        if count is not None:
            raise UsageError(f"levels {count}: a normal law has none; use 'logistic', or levels=None")
        return named, None, "likelihood normal: one width for all pixels, whose samples are cut to the range of X"
    levels = levels_of(x, count)
    found: LikelihoodName = ("bernoulli" if levels.count == 2 else "logistic") if named == "auto" else named
    if found == "bernoulli" and levels.count != 2:
        raise UsageError(f"likelihood 'bernoulli': pixels have {levels.count} levels; use 'logistic', or black and "
                         f"white, X > {(levels.low + levels.high) / 2:g}")  # fmt: skip
    return found, levels, f"likelihood {found}{said}: {levels.count} levels from {levels.low:g} to {levels.high:g}"


def levels_of(x: Array, count: int | None = None) -> Levels:
    """The levels of pixels, in data units.

    They lie evenly from the least to the largest value, in steps of the least distance of two values; whole numbers of
    0 to 255 that go beyond 127, and 255ths of 0 to 1, are bytes, which have 256 whatever is there of them.

    Args:
        x: Images, (n, *event).
        count: How many there are, evenly on [0, count - 1], [0, 1], [-1, 1], or from the least value to the largest:
            on the first of these that pixels are on.

    Raises:
        DataError: If pixels are on no such levels, or all equal.
    """
    values = np.unique(x)
    low, high = float(values[0]), float(values[-1])
    if low == high:
        raise DataError(f"X is constant: all pixels of {len(x)} images are {low:g}; check how the array was made")
    steps = np.diff(values)
    steps = steps[steps > ALIKE * (high - low)]
    for levels in _found(steps, low, high) if count is None else _named(count, low, high):
        if _on(values, levels):
            return levels
    if count is not None:
        raise DataError(f"levels {count}: pixels, {low:g} to {high:g}, are not on {count} even levels from 0 to "
                        f"{count - 1}, 0 to 1, -1 to 1 or their own: round them, or give the number that they have"
                        )  # fmt: skip
    raise DataError(f"pixels have {len(values)} values from {low:g} to {high:g}, on no even levels: round them, or use "
                    "likelihood 'normal', which is a density")  # fmt: skip


def unit_of(levels: Levels) -> Unit:
    """The map between levels in data units and those from -1 to 1."""
    return Unit(np.asarray((levels.low + levels.high) / 2), np.asarray((levels.high - levels.low) / 2))


def _found(steps: Array, low: float, high: float) -> Iterator[Levels]:
    """What may be, the likeliest first."""
    count = round((high - low) / float(steps.min())) + 1
    if count > 2 and low >= 0 and (DARK < high <= 255):
        yield Levels(256, 0.0, 255.0)
    if count > 2 and low >= 0 and DARK / 255 < high <= 1 and count > 128:
        yield Levels(256, 0.0, 1.0)
    if count <= MOST:
        yield Levels(count, low, high)


def _named(count: int, low: float, high: float) -> Iterator[Levels]:
    yield Levels(count, 0.0, count - 1.0)
    yield Levels(count, 0.0, 1.0)
    yield Levels(count)
    yield Levels(count, low, high)


def _on(values: Array, levels: Levels) -> bool:
    try:
        levels.index(torch.from_numpy(values))
    except DataError:
        return False
    return True
