r"""Critics of the Dudley metric: :math:`\|d\|_\infty + \mathrm{Lip}(d) \le 1`, from any critic of slope 1.

.. math:: d(x) = (1 - c)\,\sigma\Bigl(\frac{c\,g(x)}{1 - c}\Bigr), \qquad \sigma(u) = \frac{u}{(1 + |u|^s)^{1/s}}

sigma has slope at most 1 and stays inside (-1, 1), so d has slope at most c and stays within 1 - c. With the contrast
of `pushforward.divergences.W1` the critic climbs to the metric, which no tails make infinite: no pair is 2 apart.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from pushforward.nets.blocks import classes_of, steepest_of

__all__ = ["Dudley"]


class Dudley(nn.Module):
    """A critic of slope c and bound 1 - c, the share c learned with the rest.

    Where the critic beneath is far beyond the bound on all samples it has no slope left to learn by: give it samples
    that are centred to within a few units.

    Args:
        critic: (n, *event) -> (n,) with slope at most 1; a conditional one takes labels (n,) too.
        share: Where c starts, in (0, 1).
        sharpness: s; between critics that meet at the bound the loss of height is 1 - 2^(-1/s), 8 % for 8.

    References:
        Real Analysis and Probability (Dudley, 2002), section 11.3, on the metric of bounded Lipschitz functions.
    """

    def __init__(self, critic: nn.Module, *, share: float = 0.5, sharpness: float = 8.0) -> None:
        super().__init__()
        self.critic, self.sharpness = critic, sharpness
        self.logit = nn.Parameter(torch.tensor(share).logit())

    @property
    def classes(self) -> int:
        """How many classes the critic beneath knows; 0 for an unconditional one."""
        return classes_of(self.critic)

    @property
    def steepest(self) -> float | None:
        """The slope of the critic beneath, of which this one has the share c < 1."""
        return steepest_of(self.critic)

    @property
    def share(self) -> Tensor:
        """c, the largest slope; 1 - c is the largest absolute value."""
        return self.logit.sigmoid()

    def forward(self, x: Tensor, *labels: Any) -> Tensor:
        """Scores (n,) of points (n, *event)."""
        bound = (-self.logit).sigmoid()
        u = self.share * self.critic(x, *labels) / bound
        top = u.detach().abs().clamp(min=1.0)  # divides both terms of the root, so that no power overflows
        v, power = u / top, self.sharpness
        return bound * v / (v.abs().pow(power) + top.pow(-power)).pow(1 / power)
