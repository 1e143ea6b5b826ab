"""What an estimator's parameters have to be, looked at before any work."""

from __future__ import annotations

import math
from numbers import Integral, Real

import numpy as np
from sklearn.utils import check_scalar

__all__ = ["check_count", "check_number"]


def check_number(
    model: object, *names: str, zero: bool = False, most: float = math.inf, endless: bool = False, below: bool = False
) -> None:
    """Check parameters of an estimator that are real numbers above 0.

    Args:
        model: The estimator.
        names: The parameters.
        zero: Whether 0 is one of them.
        most: The largest.
        endless: Whether infinity is one of them.
        below: Whether they stay below the largest.

    Raises:
        TypeError: If one is no number.
        ValueError: If one is out of range, or not finite; the message names it and its value.
    """
    ends = {(False, False): "right", (False, True): "neither", (True, False): "both", (True, True): "left"}[zero, below]
    for name in names:
        value = getattr(model, name)
        check_scalar(value, name, Real, min_val=0, max_val=most, include_boundaries=ends)
        if isinstance(value, bool | np.bool_):
            raise TypeError(f"{name} must be a number, not {value}.")
        if math.isnan(value) or (math.isinf(value) and not endless):
            raise ValueError(f"{name} == {value}, must be a finite number.")


def check_count(model: object, *names: str, least: int = 1) -> None:
    """Check parameters of an estimator that are whole numbers.

    Raises:
        TypeError: If one is no whole number; True and False are none.
        ValueError: If one is less than the least.
    """
    for name in names:
        value = getattr(model, name)
        check_scalar(value, name, Integral, min_val=least)
        if isinstance(value, bool | np.bool_):
            raise TypeError(f"{name} must be a whole number, not {value}.")
