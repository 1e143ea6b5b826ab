r"""Student's t in the plane, :math:`X = Z / \sqrt{W / \nu}` with Z normal and W chi-square with nu degrees of freedom.

Tails thin out as :math:`P(|X| > x) \sim x^{-\nu}`: no variance for nu <= 2, no mean for nu <= 1.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pushforward.densities.mixture import Rng, numpy_rng
from pushforward.errors import UsageError

__all__ = ["NAMES", "Student", "named"]

NAMES = {"student": False, "multivariate_t": True}
"""Name -> whether one W serves both coordinates."""

LEAST = 0.2  # float32 ends at 3e38: below, one value in 1e7 would not fit


@dataclass(frozen=True)
class Student:
    """Student's t in two dimensions, at scale one; calling it draws samples.

    Attributes:
        nu: Degrees of freedom, which are the tail index; 0.2 or more, so that float32 holds the values.
        joint: Whether one W serves both coordinates: round contours, the multivariate t, in which large values come
            together. Otherwise they are independent, and the largest values lie along the axes.

    Raises:
        UsageError: If nu is out of range.
    """

    nu: float
    joint: bool = False

    def __post_init__(self) -> None:
        if not LEAST <= self.nu < float("inf"):
            raise UsageError(f"nu {self.nu:g}: Student's t takes degrees of freedom from {LEAST:g} on")

    def __call__(self, n: int, rng: Rng) -> Tensor:
        """Draw n points, (n, 2) float32."""
        rng = numpy_rng(rng)
        z = rng.standard_normal((n, 2))
        w = rng.chisquare(self.nu, (n, 1 if self.joint else 2)) / self.nu
        return torch.from_numpy(z / np.sqrt(w)).float()


def named(name: str) -> Student | None:
    """The law that a name such as student(0.5) or multivariate_t(3) stands for; None if it is no such name.

    Raises:
        UsageError: If what stands in the brackets is no number in range.
    """
    match = re.fullmatch(rf"({'|'.join(NAMES)})(?:\((.*)\))?", name.strip().lower().replace("-", "_"))
    if match is None:
        return None
    try:
        return Student(float(match[2]), NAMES[match[1]])
    except (TypeError, ValueError) as error:
        raise UsageError(f"toy:{name}: give the degrees of freedom in brackets, for example {match[1]}(0.5)") from error
