"""What stored pixels mean: which number is black, which is white, and how they become levels from 0 to 255."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pushforward.errors import DataError

__all__ = ["Convention", "convention", "levels"]

SLACK = 0.25  # of the width of a range: so far may single values lie outside of it
MOST_OUTSIDE = 0.05  # share of values that may lie outside
DEEP = 1 << 14  # 16-bit images reach this; what stays below may be stored with 10 or 12 bits


@dataclass(frozen=True)
class Convention:
    """The numbers found in an array of images, and the scale they are read on.

    Attributes:
        dtype: Their type.
        low: The smallest.
        high: The largest.
        black: The number that stands for level 0.
        white: The number that stands for level 255.
        outside: Share of the values beyond black and white, which are clamped.
    """

    dtype: str
    low: float
    high: float
    black: float
    white: float
    outside: float = 0.0

    @property
    def words(self) -> str:
        """What was found and how it is read, in words."""
        clamped = f"; {self.outside:.2g} of the values lie outside and are clamped" if self.outside else ""
        return f"{self.dtype} from {self.low:.4g} to {self.high:.4g}, read as {self.black:g}..{self.white:g}{clamped}"


def convention(x: np.ndarray, place: str, *, slack: bool = False) -> Convention:
    """Find out on which scale pixels were stored.

    uint8 and other whole numbers from 0 to 255 are levels, uint16 with larger numbers fills 0..65535, booleans are
    black and white; numbers with a fraction lie in [0, 1], or in [-1, 1] if some are negative, or in 0..255 if the
    largest is at least 128.

    Args:
        x: Images in any layout, of a numeric type and finite.
        place: The file, for messages.
        slack: Let up to 5 % of the numbers with a fraction overshoot their range by up to a quarter of its width, as
            networks without a bounded output do; a lowest value above -0.25 then counts as an overshoot of [0, 1].

    Raises:
        DataError: If no scale or more than one fits.
    """
    kind, low, high = str(x.dtype), float(x.min()), float(x.max())
    if x.dtype == np.bool_:
        return Convention(kind, low, high, 0, 1)
    if x.dtype.kind in "iu":
        return _whole(kind, low, high, place)
    if slack:
        black, white = (0.0, 255.0) if high >= 128 else (0.0, 1.0) if low > -SLACK else (-1.0, 1.0)
        room, margin = SLACK * (white - black), 0.001 * (white - black)
        if black - room <= low and high <= white + room:
            share = 0.0
            if low < black - margin or high > white + margin:
                share = float(((x < black - margin) | (x > white + margin)).mean())
            if share <= MOST_OUTSIDE:
                return Convention(kind, low, high, black, white, share)
    elif low >= -1.001 and high <= 1.001:
        return Convention(kind, low, high, 0 if low >= -1e-3 else -1, 1)
    elif low >= -0.5 and 128 <= high <= 255.5:
        return Convention(kind, low, high, 0, 255)
    raise DataError(
        f"{place}: numbers from {low:g} to {high:g} fit none of the ranges of pixels: "
        "rescale to [0, 1] or [-1, 1], or to 0..255 as uint8"
    )


def _whole(kind: str, low: float, high: float, place: str) -> Convention:
    if kind.endswith("uint16") and high >= DEEP:
        return Convention(kind, low, high, 0, 65535)
    if low < 0 or high > 255:
        raise DataError(f"{place}: whole numbers from {low:g} to {high:g} are no pixels: save uint8 from 0 to 255")
    if low < high <= 1:
        raise DataError(
            f"{place}: whole numbers 0 and 1 may be a mask or a dark image: save booleans, or multiply by 255"
        )
    return Convention(kind, low, high, 0, 255)


def levels(x: np.ndarray, found: Convention) -> np.ndarray:
    """Levels from 0 to 255: uint8 where the numbers were whole and at most 255, else float32, clamped and unrounded."""
    if x.dtype == np.bool_:
        return x.astype(np.uint8) * 255
    if x.dtype.kind in "iu" and found.white == 255:
        return x.astype(np.uint8)
    y = x.astype(np.float32)
    if found.white != 255:
        y = (y + 1) * 127.5 if found.black else y * 255 if found.white == 1 else y / 257
    return np.clip(y, 0, 255)
