"""What an estimator's parameters have to be, looked at before any work."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Literal, TypeAlias

from sklearn.utils import check_scalar

__all__ = ["Ends", "check_count", "check_number"]

Ends: TypeAlias = Literal["neither", "left", "right", "both"]


def check_number(*, most: float = math.inf, ends: Ends = "neither", optional: bool = False, **values: object) -> None:
    """Check that parameters are numbers between 0 and the largest.

    Args:
        most: The largest.
        ends: Which of 0 and the largest are allowed, in scikit-learn's words.
        optional: Whether None is allowed.
        values: The parameters by name.

    Raises:
        TypeError: If one is no number; True and False are none.
        ValueError: If one is out of range or NaN; the message names it and its value.
    """
    for name, value in values.items():
        if value is None and optional:
            continue
        if isinstance(value, bool):
            raise TypeError(f"{name} must be a number, not {value}.")
        number = check_scalar(value, name, Real, min_val=0, max_val=most, include_boundaries=ends)
        if math.isnan(number):
            raise ValueError(f"{name} == nan, must be a number.")


def check_count(*, least: int = 1, optional: bool = False, **values: object) -> None:
    """Check that parameters are whole numbers.

    Args:
        least: The least that is allowed.
        optional: Whether None is allowed.
        values: The parameters by name.

    Raises:
        TypeError: If one is no whole number; True and False are none.
        ValueError: If one is less than the least; the message names it and its value.
    """
    for name, value in values.items():
        if value is None and optional:
            continue
        if isinstance(value, bool):
            raise TypeError(f"{name} must be a whole number, not {value}.")
        check_scalar(value, name, Integral, min_val=least)
