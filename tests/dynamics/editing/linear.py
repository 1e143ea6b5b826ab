"""What a linear sampler does to its noise, exactly: it is run on each number of the noise by itself."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


class Impulses:
    """A source of noise that is 0 but for one number in each row: number k of all that are drawn, in row k.

    The last row gets none. A sampler x = c + sum_k a_k e_k, whose steps are linear, so says its c in the last row and
    its a_k in the others: its mean and its variances without any chance.
    """

    def __init__(self, width: int) -> None:
        self.width, self.drawn = width, 0

    def normal(self, n: int, *event: int) -> Tensor:
        out = torch.zeros(n, self.width, dtype=torch.float64)
        rows = torch.arange(self.drawn, min(self.drawn + self.width, n - 1))
        out[rows, rows - self.drawn] = 1
        self.drawn += self.width
        return out.view(n, *event)

    uniform = integers = permutations = None


def moments(sampler: Callable[[int, Impulses], Tensor], width: int, draws: int) -> tuple[Tensor, Tensor]:
    """Mean (d,) and covariance (d, d) of what a sampler answers, given rows and noise, when it draws so often."""
    noise = Impulses(width)
    rows = sampler(width * draws + 1, noise).flatten(1)
    assert noise.drawn == width * draws
    effect = rows[:-1] - rows[-1]
    return rows[-1], effect.mT @ effect
