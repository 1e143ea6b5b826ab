r"""Activations whose slope is known, :math:`|a(u) - a(v)| \le s\,|u - v|`, for critics with a bounded slope."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import relu, silu

from pushforward.errors import UsageError
from pushforward.nets.waves import Waves

__all__ = ["GroupSort", "MollifiedReLU", "ScaledSiLU", "slope_of"]


class GroupSort(nn.Module):
    r"""Pairs of features in order, :math:`(\max(a, b), \min(a, b))`: its slope is one in every direction.

    The features (n, c, ...) are paired across the two halves of c. Unlike a ReLU it loses no length of a gradient, so a
    net of orthonormal layers reaches its slope everywhere.

    References:
        Sorting out Lipschitz function approximation (Anil et al., 2019), arXiv:1811.05381.
    """

    def forward(self, x: Tensor) -> Tensor:
        """The same shape, (n, c, ...); c is even."""
        a, b = x.chunk(2, 1)
        swap = relu(a - b)  # the derivative of a maximum and a minimum takes four times as long
        return torch.cat([b + swap, a - swap], 1)


class MollifiedReLU(nn.Module):
    r"""A ReLU with a rounded corner, twice continuously differentiable, of slope at most one.

    .. math::
        a(x) = \frac{x^2}{4\epsilon} + \frac{\epsilon}{2\pi^2}\Bigl(\cos\frac{\pi x}{\epsilon} - 1\Bigr)
        \text{ on } [0, 2\epsilon], \qquad 0 \text{ below}, \qquad x - \epsilon \text{ above.}

    Args:
        eps: Half the width of the corner.
    """

    def __init__(self, eps: float = 0.5) -> None:
        super().__init__()
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        eps, corner = self.eps, x.clamp(0.0, 2 * self.eps)
        bend = corner.square() / (4 * eps) + (torch.cos(corner * (math.pi / eps)) - 1) * (eps / (2 * math.pi**2))
        return bend + relu(x - 2 * eps)


class ScaledSiLU(nn.Module):
    r"""SiLU over its largest slope, :math:`x\,\sigma(x) / 1.1`; the slope of SiLU is 1.09984 near x = 2.4."""

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        return silu(x) / 1.1


UNIT = (GroupSort, MollifiedReLU, ScaledSiLU, nn.ReLU, nn.Softplus, nn.Tanh, nn.Hardtanh, nn.ReLU6, nn.Softsign)


def slope_of(module: nn.Module) -> float:
    """The largest slope of an activation, or 1 for `Waves` and for a module that only reshapes.

    Raises:
        UsageError: If the module is not one of those known here.
    """
    if isinstance(module, (*UNIT, Waves, nn.Identity, nn.Flatten, nn.Unflatten)):
        return 1.0
    if isinstance(module, nn.LeakyReLU):
        return max(1.0, abs(module.negative_slope))
    if isinstance(module, nn.ELU):
        return max(1.0, module.alpha)
    if isinstance(module, nn.SiLU):
        return 1.1
    if isinstance(module, nn.GELU):
        return 1.13
    if isinstance(module, nn.Sigmoid):
        return 0.25
    raise UsageError(
        f"the slope of {type(module).__name__} is not known: build the critic of linear layers and activations of "
        "pushforward.nets.activations, ReLU, LeakyReLU, Softplus, Tanh, SiLU, GELU or ELU"
    )
