"""The structure of compressed sparse matrices (CSR, CSC), checked before compiled code follows it into the memory.

Line i of a matrix holds the entries starts[i] ... starts[i + 1] - 1, each at the place places[e] across. scipy checks
neither in full, and a number out of range reads and writes memory of others.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pushforward.errors import DataError

__all__ = ["check", "check_places", "check_starts"]

FRESH = "save the matrix again from one that scipy's check_format() passes"


def check(matrix: Any, place: str) -> None:
    """Refuse a sparse matrix of scipy whose own arrays contradict each other; other formats and arrays pass.

    Raises:
        DataError: If `indptr` or `indices` is out of range; which, and where.
    """
    if getattr(matrix, "format", None) not in ("csr", "csc"):
        return
    lines, across = matrix.shape if matrix.format == "csr" else matrix.shape[::-1]
    check_starts(matrix.indptr, lines, len(matrix.data), place)
    check_places(matrix.indices, len(matrix.data), across, place)


def check_starts(starts: Any, lines: int, stored: int, place: str) -> None:
    """Refuse starts of lines that are not lines + 1 ascending numbers from 0 to the number of stored values.

    Args:
        starts: The array `indptr`.
        lines: Rows of CSR, columns of CSC.
        stored: Length of `data`.
        place: Where it is from.

    Raises:
        DataError: What is wrong with them.
    """
    _whole("indptr", starts, place)
    if len(starts) != lines + 1:
        raise DataError(f"{place}: indptr has {len(starts):,} numbers, {lines:,} lines take {lines + 1:,}: {FRESH}")
    if starts[0] != 0 or starts[-1] != stored:
        span = f"from {starts[0]} to {starts[-1]}"
        raise DataError(f"{place}: indptr leads {span}, the values from 0 to {stored}: {FRESH}")
    falls = np.flatnonzero(starts[1:] < starts[:-1])
    if len(falls):
        i = int(falls[0])
        raise DataError(f"{place}: indptr falls from {starts[i]} to {starts[i + 1]} at line {i}: {FRESH}")


def check_places(places: Any, stored: int, across: int, place: str) -> None:
    """Refuse places that are not one in [0, across) for each stored value.

    Args:
        places: The array `indices`, or a part of it.
        stored: Length of `data`, or of the part.
        across: Columns of CSR, rows of CSC.
        place: Where it is from.

    Raises:
        DataError: What is wrong with them.
    """
    _whole("indices", places, place)
    if len(places) != stored:
        raise DataError(f"{place}: {len(places):,} indices for {stored:,} values: {FRESH}")
    if stored:
        for end in (int(places.min()), int(places.max())):
            if not 0 <= end < across:
                raise DataError(f"{place}: indices hold {end}, which is not in 0 ... {across - 1}: {FRESH}")


def _whole(name: str, array: Any, place: str) -> None:
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise DataError(f"{place}: {name} is {array.dtype} of shape {array.shape}, not a row of integers: {FRESH}")
