"""Samples that a fitted model is given: single ones, and what is known of those that are to be restored."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pushforward.data.units import Array
from pushforward.errors import DataError, UsageError

__all__ = ["mask_of", "one_sample"]


def mask_of(known: ArrayLike | None, x: Array) -> NDArray[np.bool_]:
    """Where a number is known, boolean (n, *event).

    Args:
        known: True, or 1, where it is: of each sample, (n, *event); or of all alike, (*event) or its last axes, as
            (side, side) of images with channels. None for all numbers that are not NaN.
        x: Samples, (n, *event); NaN where a number is missing.

    Raises:
        UsageError: If the mask has another shape or holds anything but True and False.
        DataError: If a number is said to be known and is NaN.
    """
    there = ~np.isnan(x)
    if known is None:
        return there
    mask = np.asarray(known)
    shapes = [x.shape, *(x.shape[k:] for k in range(1, x.ndim))]
    if mask.shape not in shapes:
        raise UsageError(f"known has shape {mask.shape}, X has {x.shape}: give a mask of X's shape, or of one sample's")
    if mask.dtype != bool and not (np.issubdtype(mask.dtype, np.number) and np.isin(mask, (0, 1)).all()):
        raise UsageError(f"known holds {mask.dtype}, not True and False: give True where a number is known")
    seen = np.broadcast_to(mask == 1, x.shape)
    if (wrong := np.argwhere(seen & ~there)).size:
        raise DataError(f"X{wrong[0].tolist()} is NaN and said to be known: give its number, or False in known there")
    return seen


def one_sample(given: ArrayLike, name: str, event: tuple[int, ...]) -> Array:
    """A sample as finite float64, (*event); a single row of a table is one too.

    Raises:
        DataError: If it has another shape, or holds anything but finite numbers.
    """
    try:
        x = np.asarray(given, np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"{name} holds what is no number: give a sample of shape {event}") from error
    if x.shape not in (event, (1, *event)):
        raise DataError(f"{name} has shape {x.shape}, but fit saw samples of {event}: give one of them")
    if not np.isfinite(x).all():
        raise DataError(f"{name} holds NaN or infinity: give numbers only, or fill in what is missing by restore")
    return x.reshape(event)
