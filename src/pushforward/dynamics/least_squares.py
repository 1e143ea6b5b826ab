r"""The gradient method for least squares as an ordinary differential equation, with its solution in closed form.

.. math::
    F(\beta) = \frac{1}{2n} \|y - X \beta\|^2, \qquad \frac{d\beta}{dt} = -\nabla F = \frac1n X^\top (y - X \beta),

.. math::
    \beta(t) = \beta(0) + \frac{1 - e^{-tA}}{A}\, \frac1n X^\top (y - X \beta(0)), \quad A = \frac1n X^\top X
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward.errors import DataError

__all__ = ["LeastSquares"]


@dataclass(frozen=True)
class LeastSquares:
    """A least-squares problem, its flow and its path; coefficients are rows, so that many starts move at once.

    Attributes:
        x: Predictors, (n, k), of any rank.
        y: Responses, (n,).

    Raises:
        DataError: If the shapes do not fit together.
    """

    x: Tensor
    y: Tensor

    def __post_init__(self) -> None:
        if self.x.dim() != 2 or self.y.shape != self.x.shape[:1]:
            raise DataError(f"x has shape {tuple(self.x.shape)} and y {tuple(self.y.shape)}: give (n, k) and (n,)")

    def value(self, beta: Tensor) -> Tensor:
        """Half the mean squared residual, (b,), of coefficients (b, k)."""
        return (self.y - beta @ self.x.T).square().mean(1) / 2

    def velocity(self, beta: Tensor, t: float = 0.0) -> Tensor:
        """Minus the gradient of the value, (b, k); an Euler step along it is an iteration of the gradient method."""
        return (self.y - beta @ self.x.T) @ self.x / len(self.y)

    def path(self, t: float, start: Tensor) -> Tensor:
        """Coefficients at time t of the flow from `start`, (b, k); from 0 they tend to the solution of least norm.

        Directions in which the predictors do not vary stay as they are, so that no rank is asked for.
        """
        _, scales, axes = torch.linalg.svd(self.x, full_matrices=False)
        rates = scales.square() / len(self.y)
        times = torch.where(rates > 0, -torch.expm1(-t * rates) / rates.clamp_min(torch.finfo(rates.dtype).tiny), t)
        return start + (self.velocity(start) @ axes.T * times) @ axes
