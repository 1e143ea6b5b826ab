r"""Whether one of two columns is rounded and the other is not, by a chance that holds for any law.

Let none of n samples have more than so many decimals, or significant digits, and c of m numbers of the data have more.
Were they of one law, every split of the n + m in two would be as likely, and all c would be among the data with chance
:math:`\binom{m}{c} / \binom{n + m}{c}`. A column that is nearly whole by nature, or small, is therefore not accused.

Single precision rounds too: from 2^23 on it holds whole numbers only, and as text its numbers have 8 or 9 digits. Where
a column may have gone through it, numbers count as round if they are within its error, on both sides, and the samples
must be round more often than its numbers are.
"""

from __future__ import annotations

import math

import numpy as np

from pushforward.data.columns.unseen import alone

__all__ = ["ENOUGH", "fewer_digits"]

ENOUGH = 50  # cells of the samples from which round ones are looked for
CHANCE = 1e-6  # of so many round numbers, up to which they are none
STORED = 1e-4  # likewise, of numbers in single precision that are round by their storage
DIGITS = 9  # decimals, and significant digits, that are looked for
DIFFERENT = 10  # values; fewer are levels, for which decimals say nothing
CLOSE = 1e-3  # of a step: what sums of decimals are off by
SINGLE = 2.0**-23  # relative error of a number that was stored in single precision, twice over
DOUBLE = 2.0**-43  # of one in double precision or as text of 15 digits, a hundred times over
HEAD, LOOKED = 64, 4096  # cells looked at first, and for their precision


def fewer_digits(fake: np.ndarray, real: np.ndarray, looks: int = 1) -> str:
    """What fake, (n,), holds only where real, (m,), holds more: "whole numbers", "2 decimals", "6 digits"; else "".

    Args:
        fake: Samples, all finite.
        real: The data, likewise.
        looks: Columns that are looked at in all; the chance of one is times so many.
    """
    different = np.unique(fake) if len(fake) >= ENOUGH else fake[:0]
    if len(different) < 2:
        return ""
    level, single = math.log(CHANCE / looks), _single(fake) or _single(real)
    error, told = SINGLE if single else DOUBLE, list[tuple[int, str]]()
    for scaled, fewest, words in ((_decimals, 0, _of_decimals), (_digits, 1, _of_digits)):
        for k in range(fewest, DIGITS + 1 if len(different) >= DIFFERENT else 1):
            if _off(scaled(fake[:HEAD], k), error).any() or _off(scaled(fake, k), error).any():
                continue
            more = int(_off(scaled(real, k), error).sum())
            if float(alone(more, len(real), len(fake))) > level:
                break  # real has hardly more than these, and still less beyond the next
            if not single or _by_storage(scaled(different, k)) < math.log(STORED):
                told.append((k, words(k)))
                break
    return min(told)[1] if told else ""


def _decimals(x: np.ndarray, k: int) -> np.ndarray:
    """Numbers in units of their last of k decimals."""
    return x * 10.0**k


def _digits(x: np.ndarray, k: int) -> np.ndarray:
    """Numbers in units of their last of k significant digits."""
    size = np.abs(x)
    return x * 10.0 ** (k - 1 - np.floor(np.log10(np.where(size > 0, size, 1.0))))


def _of_decimals(k: int) -> str:
    return "whole numbers" if k == 0 else "one decimal" if k == 1 else f"{k} decimals"


def _of_digits(k: int) -> str:
    return "one digit" if k == 1 else f"{k} digits"


def _off(units: np.ndarray, error: float) -> np.ndarray:
    """Which numbers, in units of a last digit, have more digits than this."""
    return np.abs(units - np.rint(units)) > np.maximum(CLOSE, error * np.abs(units))


def _by_storage(units: np.ndarray) -> float:
    """The log of a bound of the chance that different numbers in single precision are round."""
    units = np.abs(units[units != 0])
    return float(np.log(np.minimum(1.0, 2 * np.maximum(CLOSE, SINGLE * units))).sum())


def _single(x: np.ndarray) -> bool:
    """Whether all numbers, (n,), could have gone through single precision, in binary or as text."""
    for some in (x[:HEAD], x[:: max(1, len(x) // LOOKED)]):
        with np.errstate(over="ignore"):
            small = some.astype(np.float32)
        other = some != small
        if (small[other].astype(str).astype(np.float64) != some[other]).any():
            return False
    return True
