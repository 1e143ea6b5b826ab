r"""The noise level as a vector: sines and cosines of c, then a small perceptron, with the class of a row beside it.

Throughout the room :math:`c = \tfrac14 \ln(s / \sigma_d)`: a quarter of the logarithm of the noise level s in units of
the data's spread, so that c runs from -2 to 3 where s runs over nine powers of ten, and means the same for all data.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import silu

from pushforward.errors import UsageError

__all__ = ["LevelEmbedding", "full_precision"]

SLOWEST, FASTEST = 0.5, 16.0  # radians to a unit of c; a factor of e in s is a quarter of one


class LevelEmbedding(nn.Module):
    r"""e(c, k) = SiLU(B SiLU(A (cos w c, sin w c)) + v_k), in full precision whatever the autocast.

    The frequencies w are a geometric series from 0.5 to 16 radians to a unit of c: the slowest tells the ends of the
    range of levels apart, the fastest changes by a radian where s changes by a quarter of itself. Phases in bfloat16
    would be wrong by more than that. :math:`v_k` is learned for each class k, and for "no class", which is k = classes.

    Args:
        width: Size of e.
        classes: Number of classes; 0 for none.
        frequencies: How many w there are.

    References:
        Attention is all you need (Vaswani et al., 2017), arXiv:1706.03762, for sines and cosines; Classifier-free
        diffusion guidance (Ho and Salimans, 2022), arXiv:2207.12598, for "no class".
    """

    frequencies: Tensor

    def __init__(self, width: int, classes: int = 0, *, frequencies: int = 16) -> None:
        super().__init__()
        self.classes = classes
        ratio = FASTEST / SLOWEST
        series = [SLOWEST * ratio ** (k / max(frequencies - 1, 1)) for k in range(frequencies)]
        self.register_buffer("frequencies", torch.tensor(series), persistent=False)
        self.hidden, self.out = nn.Linear(2 * frequencies, width), nn.Linear(width, width)
        self.named = nn.Embedding(classes + 1, width) if classes else None

    def forward(self, c: Tensor, labels: Tensor | None = None) -> Tensor:
        """Vectors (n, width), or (1, width) where all rows share one level and no row has a class.

        Args:
            c: A quarter of the logarithm of the relative noise level, (n,), or (1,) for all rows.
            labels: Classes in 0..classes, (n,), of which the last one means "no class"; None for no class in any row.

        Raises:
            UsageError: If there are labels and the net takes no classes.
        """
        if labels is not None and self.named is None:
            raise UsageError("this net takes no classes: leave out the labels, or build it with classes=COUNT")
        with full_precision(c):
            phases = c.to(self.frequencies)[:, None] * self.frequencies
            e = self.out(silu(self.hidden(torch.cat([phases.cos(), phases.sin()], 1))))
            if self.named is not None:
                e = e + (self.named.weight[-1:] if labels is None else self.named(labels))
            return silu(e)


def full_precision(x: Tensor) -> AbstractContextManager[Any]:
    """Within: no autocast on the device of x."""
    kind = x.device.type
    return torch.autocast(kind, enabled=False) if torch.is_autocast_enabled(kind) else nullcontext()
