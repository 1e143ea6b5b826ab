r"""Dates as quantities: days since 1970-01-01 00:00, with a fraction, in float64, whatever their resolution.

One unit for all of them, so that a file of days and one of seconds can be held against each other. The resolution, the
coarsest of day, minute, second and microsecond at which all dates of a column are whole, says how they leave again:
see `plain.kinds`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime

import numpy as np
import torch

from pushforward.data.blocks.scratch import blocks
from pushforward.plain.kinds import DATES, FIRST, LAST, ColumnKind, grid, rounded, typed

__all__ = ["dated", "days", "of_words", "resolution"]

ISO = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d([.,]\d+)?)?(Z|[+-]\d\d:?\d\d)?)?")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def days(moments: np.ndarray) -> np.ndarray:
    """datetime64 (n,) as days, float64 (n,); NaN where there is none."""
    fine = moments.astype("datetime64[us]")
    return np.where(np.isnat(fine), np.nan, fine.astype(np.int64) / DATES["microsecond"])


def dated(x: np.ndarray, kind: ColumnKind) -> np.ndarray:
    """Days (n,) as datetime64 (n,) of a resolution, rounded to it, within the years 1 to 9999."""
    return typed(rounded(torch.from_numpy(x[:, None]), grid([kind])).numpy()[:, 0], kind)


def resolution(x: np.ndarray) -> ColumnKind:
    """The coarsest resolution at which all days (n,) are whole; those that are no dates do not count."""
    left = list(DATES)
    for block in blocks(x):
        known = block[(block >= FIRST) & (block <= LAST)]
        ticks = np.rint(known * DATES["microsecond"]).astype(np.int64)
        while len(left) > 1 and (ticks % (DATES["microsecond"] // DATES[left[0]])).any():
            del left[0]
    return left[0]


def of_words(words: Iterable[str]) -> tuple[dict[str, float], bool] | None:
    """Dates as ISO 8601 writes them, 2024-01-31, 2024-01-31 12:30 or 2024-01-31T12:30:15.25+01:00.

    Returns:
        Days by the word, and whether they name a zone, in which case they are those of UTC. None where a word is no
        such date, or some name a zone and others do not.
    """
    found, zones = dict[str, float](), set[bool]()
    for word in words:
        if not ISO.fullmatch(word):
            return None
        try:
            moment = datetime.fromisoformat(word)
        except ValueError:
            return None
        zones.add(moment.tzinfo is not None)
        since = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - EPOCH
        found[word] = (since.days * DATES["microsecond"] + since.seconds * 10**6 + since.microseconds) / DATES[
            "microsecond"
        ]
    return (found, True in zones) if len(zones) == 1 else None
