r"""A denoiser at one noise level as a generator of samples.

.. math:: G(z) = D(m + r z;\, s), \qquad r^2 = s^2 + \sigma_d^2

At a level far above the data :math:`D \approx m + \sigma_d F(z, c)`: with the weights of a trained denoiser it starts
near the data's mean, all that this one sees there, with its features at hand.
"""

from __future__ import annotations

import math

from torch import Tensor, nn

from pushforward.errors import UsageError
from pushforward.nets.timed.preconditioned import Preconditioned
from pushforward.types import Samples

__all__ = ["OneCall"]


class OneCall(nn.Module):
    """G(z) for standard normal z (n, *event).

    Args:
        denoise: D, which learns on as part of this net.
        level: s, in units of the data's spread.

    Raises:
        UsageError: If the level is not positive.
    """

    def __init__(self, denoise: Preconditioned, level: float) -> None:
        super().__init__()
        if not 0 < level < math.inf:
            raise UsageError(f"level {level}: give a positive one, in units of the data's spread")
        self.denoise, self.level, self.classes = denoise, level, denoise.classes

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Samples:
        """Samples (n, *event) for z (n, *event) and, where D takes some, classes (n,)."""
        spread = self.denoise.spread
        y = self.denoise.mean + math.hypot(self.level, 1.0) * spread * z
        s = self.level * spread
        return self.denoise(y, s) if labels is None else self.denoise(y, s, labels)
