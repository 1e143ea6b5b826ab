"""Normal numbers about what a decoder says, of a width that is learned: squared errors with none of their constants
left out."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from pushforward.types import Randomness, Samples, Scores

__all__ = ["Normal"]


class Normal(nn.Module):
    r""":math:`x_j \sim N(\theta_j, s_j^2)`, with s a parameter.

    .. math:: \log p(x) = -\tfrac12 \sum_j (x_j - \theta_j)^2/s_j^2 + \log(2\pi s_j^2)

    Args:
        shape: Of s: () for one width of all numbers, or that of a sample for a width of each.
    """

    def __init__(self, shape: tuple[int, ...] = ()) -> None:
        super().__init__()
        self.log_deviation = nn.Parameter(torch.zeros(shape))

    @property
    def outputs(self) -> int:
        """One, the mean."""
        return 1

    def log_prob(self, x: Samples, theta: Tensor) -> Scores:
        r"""Log density (n,), in nats, for x (n, \*event) and theta (n, 1, \*event)."""
        white = (x - theta[:, 0]) * (-self.log_deviation).exp()
        each = -0.5 * (white.square() + math.log(2 * math.pi)) - self.log_deviation
        return each.flatten(1).sum(1)

    def mean(self, theta: Tensor) -> Samples:
        r"""Mean of x, (n, \*event)."""
        return theta[:, 0]

    def sample(self, theta: Tensor, rng: Randomness) -> Samples:
        r"""x, (n, \*event)."""
        mean = theta[:, 0]
        return mean + self.log_deviation.exp() * rng.normal(*mean.shape).to(mean)
