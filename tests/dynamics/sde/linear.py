"""The exact law at the end of a chain that is linear in its noise, by one row for each unit of it: no sampling."""

from __future__ import annotations

import torch
from torch import Tensor


class Units:
    """A random source whose k-th draw is 1 in row first + k and 0 elsewhere: rows are the chain's coefficients."""

    def __init__(self, rows: int, first: int = 1) -> None:
        self.rows, self.at = rows, first

    def normal(self, n: int, *event: int) -> Tensor:
        assert n == self.rows
        drawn = torch.zeros(n, *event, dtype=torch.float64)
        drawn[self.at], self.at = 1.0, self.at + 1
        return drawn


def variance(chain, draws: int, start: float = 0.0) -> float:
    """Variance at the end of a chain (x, rng) -> x on the line, from variance `start`, with at most so many draws."""
    rows = draws + 1
    x = torch.zeros(rows, 1, dtype=torch.float64)
    x[0] = start**0.5
    return float(chain(x, Units(rows)).square().sum())
